//! What came of it, for people and for programs.

use super::live::Delay;
use super::truth::Totals;
use crate::bench::Speed;
use serde::Serialize;
use std::fmt;

/// What the killed run's rate is to be of the undisturbed one's, at least.
const AIM_RATE: f64 = 0.8;
/// What the live delay is to be of that without back-fill, at most.
const AIM_DELAY: f64 = 1.2;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Deals the same kills again.
    pub seed: u64,
    /// The recorded blocks that were replayed.
    pub set: String,
    /// Heights that were filled.
    pub heights: u64,
    /// Seconds between live blocks.
    pub every: f64,
    /// The run without kills.
    pub undisturbed: Undisturbed,
    /// The run with kills.
    pub killed: Option<Killed>,
    /// The bench's catch-up.
    pub catch_up: Option<Speed>,
}

/// The run without kills.
#[derive(Clone, Debug, Serialize)]
pub struct Undisturbed {
    /// From before the command was started until the last height was visible.
    pub seconds: f64,
    /// Of live blocks before anything was filled.
    pub calm: Delay,
    /// Of live blocks meanwhile.
    pub busy: Delay,
    /// What the filled heights hold.
    pub totals: Totals,
    /// What the live heights hold.
    pub live: Totals,
    /// Records of the log that were compared.
    pub records: u64,
}

/// The run with kills.
#[derive(Clone, Debug, Serialize)]
pub struct Killed {
    /// How often it was killed.
    pub kills: usize,
    /// How often of these some heights, but not all, were filled.
    pub in_the_middle: usize,
    /// From before the command was started until the last height was visible, all starts included.
    pub seconds: f64,
    /// Of these, from each kill until the store answered again.
    pub down_seconds: f64,
    /// From a kill until one more height was visible, the median.
    pub again_seconds: f64,
    /// What the filled heights hold.
    pub totals: Totals,
    /// What the live heights hold.
    pub live: Totals,
    /// Records of the log that were compared.
    pub records: u64,
}

impl Report {
    /// The killed run's rate as a part of the undisturbed one's: with its starts, and without the time until it answered again.
    #[must_use]
    pub fn rate_kept(&self) -> Option<(f64, f64)> {
        let killed = self.killed.as_ref()?;
        let calm = self.undisturbed.seconds;
        Some((calm / killed.seconds, calm / (killed.seconds - killed.down_seconds)))
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "reached" } else { "not reached" }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (u, heights) = (&self.undisturbed, self.heights as f64);
        let transactions = u.totals.transactions as f64;
        let rates =
            |seconds: f64| format!("{:.0} heights/s, {:.0} transactions/s", heights / seconds, transactions / seconds);
        writeln!(
            f,
            "filled      {} heights of {}, {} transactions, {} logs, beside a live block every {} s",
            self.heights, self.set, u.totals.transactions, u.totals.logs, self.every
        )?;
        writeln!(f, "undisturbed {:.1} s: {}", u.seconds, rates(u.seconds))?;
        if let (Some(k), Some((with, without))) = (&self.killed, self.rate_kept()) {
            writeln!(
                f,
                "killed      {} times, {} of them in the middle; {:.1} s with all starts: {}",
                k.kills,
                k.in_the_middle,
                k.seconds,
                rates(k.seconds)
            )?;
            let worked = k.seconds - k.down_seconds;
            writeln!(
                f,
                "            {worked:.1} s without the {:.1} s from the kills until the store answered again: {}",
                k.down_seconds,
                rates(worked)
            )?;
            writeln!(f, "            one more height is visible {:.1} s after a kill (median)", k.again_seconds)?;
            writeln!(
                f,
                "rate kept   {:.0} % with all starts, {:.0} % without them; aim {:.0} %: {}, {}",
                with * 100.0,
                without * 100.0,
                AIM_RATE * 100.0,
                verdict(with >= AIM_RATE),
                verdict(without >= AIM_RATE)
            )?;
        }
        let ratio = u.busy.p99_ms / u.calm.p99_ms;
        writeln!(
            f,
            "live delay  node to row {:.0} / {:.0} ms (p50 / p99 of {} blocks), {:.0} / {:.0} ms (of {}) while heights were filled: \
             p50 × {:.2}, p99 × {ratio:.2}; aim × {AIM_DELAY}: {}",
            u.calm.p50_ms,
            u.calm.p99_ms,
            u.calm.blocks,
            u.busy.p50_ms,
            u.busy.p99_ms,
            u.busy.blocks,
            u.busy.p50_ms / u.calm.p50_ms,
            verdict(ratio <= AIM_DELAY)
        )?;
        if let Some(catch_up) = &self.catch_up {
            let speed = transactions / u.seconds;
            writeln!(
                f,
                "catch-up    {:.0} transactions/s over {} blocks; back-fill makes {:.2} of it",
                catch_up.transactions_per_second,
                catch_up.blocks,
                speed / catch_up.transactions_per_second
            )?;
        }
        let mut all = vec![(&u.totals, &u.live, u.records)];
        all.extend(self.killed.as_ref().map(|k| (&k.totals, &k.live, k.records)));
        for (filled, live, records) in all {
            writeln!(
                f,
                "compared    {} filled and {} live blocks, {} transactions (value {}, fees {}), {records} records of four topics: equal to \
                 the node's, each once, gapless",
                filled.blocks,
                live.blocks,
                filled.transactions + live.transactions,
                filled.value + live.value,
                filled.fees + live.fees
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_told_with_and_without_starts() {
        let (totals, live) = (Totals { blocks: 100, transactions: 1_000, ..Totals::default() }, Totals::default());
        let delay = |p99_ms| Delay { blocks: 9, p50_ms: 5.0, p99_ms };
        let report = Report {
            seed: 1,
            set: "optimism".into(),
            heights: 100,
            every: 2.0,
            undisturbed: Undisturbed { seconds: 10.0, calm: delay(10.0), busy: delay(13.0), totals, live, records: 7 },
            killed: Some(Killed {
                kills: 2,
                in_the_middle: 1,
                seconds: 20.0,
                down_seconds: 8.0,
                again_seconds: 4.5,
                totals,
                live,
                records: 7,
            }),
            catch_up: None,
        };
        let (with, without) = report.rate_kept().expect("killed");
        assert_eq!((with, (without * 100.0).round()), (0.5, 83.0));
        let text = report.to_string();
        assert!(text.contains("50 % with all starts, 83 % without them; aim 80 %: not reached, reached"), "{text}");
        assert!(text.contains("p99 × 1.30; aim × 1.2: not reached"), "{text}");
        assert!(text.contains("undisturbed 10.0 s: 10 heights/s, 100 transactions/s"), "{text}");
    }
}
