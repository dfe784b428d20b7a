//! How far a request is, for people: a bar on a terminal, a line in the log every ten seconds elsewhere.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use schemas::records::RequestState;

use super::row::ProgressRow;

/// How often a line is written where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(10);
/// The time over which a rate is measured.
const RATE_OVER: Duration = Duration::from_secs(15);

/// Heights a second, measured over the last moments.
#[derive(Default)]
pub struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// So many were done at this time. What goes back begins anew.
    pub fn at(&mut self, now: Instant, done: u64) {
        if self.0.back().is_some_and(|(_, before)| *before > done) {
            self.0.clear();
        }
        self.0.push_back((now, done));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            self.0.pop_front();
        }
    }

    /// A second; `None` before anything can be said.
    pub fn per_second(&self) -> Option<f64> {
        let ((from, first), (to, last)) = self.0.front().zip(self.0.back())?;
        let seconds = to.duration_since(*from).as_secs_f64();
        (seconds > 0.0 && last > first).then(|| (last - first) as f64 / seconds)
    }
}

/// What is shown.
pub struct Screen {
    bar: Option<ProgressBar>,
    id: String,
    /// Heights that were asked for.
    heights: u64,
    rate: Rate,
    said: Option<Instant>,
    begun: Instant,
}

impl Screen {
    /// For a request of so many heights.
    pub fn new(id: &str, heights: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(heights);
            let template = "{bar:30} {human_pos} of {human_len} heights, {msg}";
            bar.set_style(ProgressStyle::with_template(template).expect("a template"));
            bar
        });
        Self { bar, id: id.to_owned(), heights, rate: Rate::default(), said: None, begun: Instant::now() }
    }

    /// Shows how it stands; `None`: nobody has taken it up.
    pub fn show(&mut self, progress: Option<&ProgressRow>) {
        let now = Instant::now();
        let (done, all) = progress.and_then(ProgressRow::heights).unwrap_or((0, self.heights));
        if progress.is_some() {
            self.rate.at(now, done);
        }
        let words = words(progress, self.rate.per_second(), all.saturating_sub(done));
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(words);
        } else if self.said.is_none_or(|at| now.duration_since(at) >= LINES_EVERY) {
            self.said = Some(now);
            let id = &self.id;
            tracing::info!("{id}: {} of {} heights, {words}", HumanCount(done), HumanCount(all));
        }
    }

    /// Says something beside.
    pub fn say(&self, words: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(words.to_owned()),
            None => tracing::info!("{}: {words}", self.id),
        }
    }

    /// Takes the bar away; how long it was there.
    pub fn end(&self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed()
    }
}

/// Rate, transactions, time left, and the state in words.
fn words(progress: Option<&ProgressRow>, rate: Option<f64>, left: u64) -> String {
    let Some(progress) = progress else { return state(None) };
    let mut parts = Vec::new();
    let runs = progress.known_state() == Some(RequestState::Running);
    if let Some(rate) = rate.filter(|_| runs) {
        parts.push(format!("{rate:.1} blocks/s"));
    }
    parts.push(format!("{} transactions", HumanCount(progress.transactions)));
    if let Some(rate) = rate.filter(|_| runs && left > 0) {
        parts.push(format!("{} left", HumanDuration(Duration::from_secs_f64(left as f64 / rate))));
    }
    parts.push(state(Some(progress)));
    parts.join(", ")
}

/// A state in words.
pub fn state(progress: Option<&ProgressRow>) -> String {
    let Some(progress) = progress else {
        return "waiting: no process that watches the network has taken it up yet".into();
    };
    let why = |word: &str| match &progress.detail {
        Some(detail) => format!("{word}: {detail}"),
        None => word.to_owned(),
    };
    match progress.known_state() {
        Some(RequestState::Queued) => why("queued"),
        Some(RequestState::Running) => why("filling"),
        Some(RequestState::Waiting) => why("waiting"),
        Some(RequestState::Paused) => format!("paused; `headwater backfill resume {}` goes on", progress.id),
        Some(RequestState::Cancelled) => "cancelled".into(),
        Some(RequestState::Done) => "done".into(),
        Some(RequestState::Failed) => why("failed"),
        None => why(&progress.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_moments() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        rate.at(start, 0);
        assert_eq!(rate.per_second(), None);
        for second in 1..=60 {
            rate.at(start + Duration::from_secs(second), if second < 30 { second } else { 30 + (second - 30) * 10 });
        }
        assert_eq!(rate.per_second(), Some(10.0));
        rate.at(start + Duration::from_secs(61), 0);
        assert_eq!(rate.per_second(), None);
    }

    #[test]
    fn a_line_says_what_there_is_to_say() {
        let mut progress: ProgressRow = serde_json::from_str(
            r#"{"id":"n-1","asks":"backfill","state":"running","first":10,"last":109,"next":60,"blocks":50,"transactions":12345}"#,
        )
        .expect("JSON");
        assert_eq!(progress.heights(), Some((50, 100)));
        let said = words(Some(&progress), Some(5.0), 50);
        assert_eq!(said, "5.0 blocks/s, 12,345 transactions, 10 seconds left, filling");
        (progress.state, progress.detail) = ("waiting".into(), Some("no node answers".into()));
        assert_eq!(words(Some(&progress), Some(5.0), 50), "12,345 transactions, waiting: no node answers");
        assert!(words(None, None, 0).contains("taken it up"));
    }
}
