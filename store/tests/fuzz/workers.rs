//! Analysts that ask without end, and what became of it.

use crate::door::Silence;
use crate::grammar::Maker;
use crate::mutate::mutated;
use crate::names::Names;
use crate::watched::Watched;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Counts by kind of statement and outcome.
#[derive(Default)]
pub struct Tally {
    outcomes: BTreeMap<&'static str, BTreeMap<String, u64>>,
    pub wrong: Vec<String>,
}

/// Wrong things that are kept; more say no more.
const KEPT: usize = 50;

impl Tally {
    pub fn with(mut self, other: Self) -> Self {
        for (kind, outcomes) in other.outcomes {
            let mine = self.outcomes.entry(kind).or_default();
            for (outcome, count) in outcomes {
                *mine.entry(outcome).or_default() += count;
            }
        }
        self.wrong.extend(other.wrong);
        self
    }

    fn all(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (outcome, count) in self.outcomes.values().flatten() {
            *all.entry(outcome.as_str()).or_default() += count;
        }
        all
    }

    pub fn statements(&self) -> u64 {
        self.all().values().sum()
    }

    /// Statements that were answered without an error.
    pub fn passed(&self) -> u64 {
        self.all().get("0").copied().unwrap_or(0)
    }

    pub fn report(&self) -> String {
        let line = |outcomes: Vec<(&str, u64)>| {
            let mut outcomes = outcomes;
            outcomes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let parts: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{outcome}: {count}")).collect();
            parts.join(", ")
        };
        let mut text = format!("all: {}\n", line(self.all().into_iter().collect()));
        for (kind, outcomes) in &self.outcomes {
            let outcomes = outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect();
            let _ = writeln!(text, "{kind}: {}", line(outcomes));
        }
        text
    }
}

/// One statement, and how it is sent: a function of its three numbers.
fn statement(watched: &Watched, names: &Names, seed: u64, worker: u64, number: u64) -> Sent {
    let mut rng = fastrand::Rng::with_seed(seed ^ (worker << 56) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (kind, sql) = Maker::new(&mut rng, names).statement();
    let body = mutated(&mut rng, names, watched.fill(&sql).as_bytes());
    let mut target = "/?".to_owned();
    if rng.u8(..) > 16 {
        target.push_str("max_execution_time=1&max_result_rows=2000");
    }
    if rng.u8(..) < 16 {
        let name = &names.settings[rng.usize(..names.settings.len())];
        let value = rng.choice(["0", "1", "2", "auto", "-1", "1000000000000", "x", "1%0a--readonly=0"]).unwrap_or("0");
        target.push_str(&format!("&{name}={value}"));
    }
    target.push_str("&param_p=1&param_t=t&param_d=system&param_f=hostName");
    // Some leave before there is an answer, as people do.
    let within = if rng.u8(..) < 8 { Duration::from_millis(rng.u64(1..80)) } else { Duration::from_secs(5) };
    Sent { kind, body, target, within }
}

struct Sent {
    kind: &'static str,
    body: Vec<u8>,
    target: String,
    within: Duration,
}

/// Asks until the time is over.
pub fn run(watched: &Watched, names: &Names, seed: u64, worker: u64, until: Instant) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if Instant::now() >= until {
            break;
        }
        let sent = statement(watched, names, seed, worker, number);
        let answer = watched.analyst.ask(&sent.target, &sent.body, sent.within);
        let outcome = match &answer {
            Ok(answer) => answer.code().to_string(),
            Err(Silence::Gone) => "gone".to_owned(),
            Err(Silence::Late) => "left alone".to_owned(),
        };
        *tally.outcomes.entry(sent.kind).or_default().entry(outcome).or_default() += 1;
        match answer {
            Ok(answer) => {
                if let Some(canary) = watched.leak(&[&sent.body, sent.target.as_bytes()].concat(), &answer)
                    && tally.wrong.len() < KEPT
                {
                    tally.wrong.push(format!(
                        "LEAK of {canary} by statement {number} of worker {worker} ({}): {:?} was answered {}",
                        sent.target,
                        String::from_utf8_lossy(&sent.body),
                        answer.brief()
                    ));
                }
            }
            Err(Silence::Gone) => {
                eprintln!("gone at {number} of {worker}: {}", String::from_utf8_lossy(&sent.body).replace('\n', " "));
                std::thread::sleep(Duration::from_millis(100)); // it may be starting again
            }
            Err(Silence::Late) => {}
        }
    }
    tally
}
