//! Which time figures are wanted of. Pure.

use schemas::{TimeMs, limits::metrics as limits};
use store::query::Step;

use crate::{error::ApiError, params::Params};

const MINUTE_MS: i64 = 60_000;

/// A trailing time: so many complete minutes, and the current one (rule 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailing {
    /// `1m`
    Minute,
    /// `5m`
    FiveMinutes,
    /// `1h`
    Hour,
    /// `24h`
    Day,
}

impl Trailing {
    /// All, the shortest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    /// By its word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trailing| trailing.word() == word)
    }

    const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::FiveMinutes => 5,
            Self::Hour => 60,
            Self::Day => 1_440,
        }
    }

    /// Its beginning at a time: a whole minute.
    pub const fn from(self, now: TimeMs) -> TimeMs {
        TimeMs(now.0 - now.0.rem_euclid(MINUTE_MS) - self.minutes() * MINUTE_MS)
    }
}

/// Steps of a series: those that begin from `from` (included) to `to` (not).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Their length.
    pub step: Step,
    /// Beginning of the first.
    pub from: TimeMs,
    /// The end that was asked for.
    pub to: TimeMs,
}

impl Span {
    /// From `step`, `from` and `to` of a request: minutes, up to now, and the last hour's worth of steps where they are left out.
    ///
    /// # Errors
    /// They are none, there is no step between them, or there are too many.
    pub fn read(params: &Params, now: TimeMs) -> Result<Self, ApiError> {
        let words = Step::ALL.map(Step::as_str).join(", ");
        let step = params.parsed("step", &words, |word| word.parse().ok())?.unwrap_or(Step::Minute);
        let (from, to) = (params.time("from")?, params.time("to")?);
        let end = to.unwrap_or(now);
        // Where the beginning is left out, the current step is the last one.
        let default = || TimeMs(step.start(end.0).saturating_sub((limits::SERIES_POINTS_DEFAULT - 1) * step.ms()));
        let from = TimeMs(step.ceil(from.unwrap_or_else(default).0));
        let steps = end.0.saturating_sub(from.0).saturating_add(step.ms() - 1) / step.ms();
        match steps {
            1.. if steps <= i64::from(limits::SERIES_POINTS) => Ok(Self { step, from, to: end }),
            1.. => {
                let most = limits::SERIES_POINTS;
                let expected = format!("a time at most {most} steps before `to`; there are {steps} of {step}");
                Err(ApiError::invalid("from", &from.rfc3339(), expected))
            }
            _ => {
                let expected = format!("a time behind `from`, so that a step of {step} begins between them");
                Err(ApiError::invalid("to", &end.rfc3339(), expected))
            }
        }
    }

    /// What of a request decides it, but for the step: what was left out is the same question a moment later.
    ///
    /// # Errors
    /// A parameter that stands there twice.
    pub fn name(params: &Params) -> Result<String, ApiError> {
        let [from, to] = [params.text("from")?, params.text("to")?].map(|text| text.unwrap_or("-"));
        Ok(format!("{from} {to}"))
    }

    /// How many steps there are.
    pub const fn steps(self) -> usize {
        ((self.to.0 - self.from.0 + self.step.ms() - 1) / self.step.ms()) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_are_whole_minutes_and_the_current_one() {
        let now = TimeMs(10 * 86_400_000 + 90_500);
        for (word, ms) in [("1m", 60_000), ("5m", 300_000), ("1h", 3_600_000), ("24h", 86_400_000)] {
            let trailing = Trailing::read(word).expect(word);
            assert_eq!((trailing.from(now).0, trailing.word()), (10 * 86_400_000 + 60_000 - ms, word));
        }
        assert!(["", "1d", "2h", "1H"].iter().all(|word| Trailing::read(word).is_none()));
    }

    #[test]
    fn steps_are_those_that_begin_in_the_span() {
        let now = TimeMs(1_700_000_000_000);
        let at = |ms: i64| TimeMs(ms).rfc3339();
        let read = |query: &str| {
            let params = Params::parse(Some(query), &["step", "from", "to"]).expect("known");
            Span::read(&params, now)
        };
        let span = read("").expect("defaults");
        assert_eq!((span.step, span.to, span.steps()), (Step::Minute, now, 60));
        assert_eq!(read("step=1h").expect("hours").steps(), 60);
        let five = 300_000;
        let span = read(&format!("step=5m&from={}&to={}", at(five + 1), at(4 * five))).expect("a span");
        assert_eq!((span.from.0, span.steps()), (2 * five, 2), "from is included, to is not");
        let span = read(&format!("step=5m&from={}&to={}", at(five), at(2 * five + 1))).expect("a span");
        assert_eq!(span.steps(), 2, "the last step begins before the end");
        for (query, parameter) in [
            ("step=2m".to_owned(), "step"),
            ("step=".to_owned(), "step"),
            (format!("from={}&to={}", at(now.0 - 120_000), at(now.0 - 120_000)), "to"),
            (format!("from={}", at(now.0 + 3_600_000)), "to"),
            (format!("from={}&to={}", at(61_000), at(62_000)), "to"),
            (format!("from={}", at(now.0 - 3 * 86_400_000)), "from"),
        ] {
            assert_eq!(read(&query).expect_err(&query).problem().parameter.as_deref(), Some(parameter), "{query}");
        }
    }
}
