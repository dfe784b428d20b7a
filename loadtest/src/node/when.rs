//! When a fault happens, and how it is written: `KIND[:ARGUMENT]`, when (`@CHANCE`, `@xCOUNT`, `@TIME`), and of which method (`/METHOD`).

use super::latency::{Shown, duration};
use std::fmt;
use std::time::{Duration, Instant};

/// Which requests are hit, or of which blocks a lie is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// All. Lies are told of all blocks above the present head, unless it is said of which.
    Always,
    /// Each with this chance, 0 to 1.
    Chance(f64),
    /// The next so many.
    Next(u64),
    /// All for so long.
    For(Duration),
}

impl When {
    /// What stands behind the `@`.
    ///
    /// # Errors
    /// What belongs there.
    fn read(text: &str) -> Result<Self, &'static str> {
        match (text.strip_prefix('x'), duration(text)) {
            (Some(count), _) => count.parse().map(Self::Next).map_err(|_| "after @x belongs a whole number"),
            (None, Some(time)) => Ok(Self::For(time)),
            (None, None) => match text.parse::<f64>() {
                Ok(chance) if (0.0..=1.0).contains(&chance) => Ok(Self::Chance(chance)),
                _ => Err("after @ belongs a chance from 0 to 1, xCOUNT, or a time such as 5s"),
            },
        }
    }

    /// Whether it is always so, or for a time: what no request decides.
    pub(crate) fn lasts(self) -> bool {
        matches!(self, Self::Always | Self::For(_))
    }

    /// When that is over which begins now.
    pub(crate) fn end(self) -> Option<Instant> {
        if let Self::For(time) = self { Some(Instant::now() + time) } else { None }
    }

    /// Whether the next request is hit, after so many were; `over`: whether the [end](Self::end) is past.
    pub(crate) fn strikes(self, hits: u64, over: bool, random: &mut fastrand::Rng) -> bool {
        match self {
            Self::Always => true,
            Self::Chance(chance) => random.f64() < chance,
            Self::Next(count) => hits < count,
            Self::For(_) => !over,
        }
    }
}

/// A fault as it is written, in its parts.
pub(crate) struct Written<'a> {
    pub name: &'a str,
    pub argument: Option<&'a str>,
    pub when: When,
    pub method: Option<String>,
}

impl<'a> Written<'a> {
    /// # Errors
    /// What belongs behind the `@`.
    pub(crate) fn read(text: &'a str) -> Result<Self, &'static str> {
        let (rest, method) = match text.split_once('/') {
            Some((rest, method)) => (rest, Some(method.to_owned())),
            None => (text, None),
        };
        let (rest, when) = match rest.split_once('@') {
            None => (rest, When::Always),
            Some((rest, when)) => (rest, When::read(when)?),
        };
        let (name, argument) = rest.split_once(':').map_or((rest, None), |(name, argument)| (name, Some(argument)));
        Ok(Self { name, argument, when, method })
    }
}

impl fmt::Display for When {
    /// With the `@`; nothing where it is always.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::Chance(chance) => write!(f, "@{chance}"),
            Self::Next(count) => write!(f, "@x{count}"),
            Self::For(time) => write!(f, "@{}", Shown(*time)),
        }
    }
}
