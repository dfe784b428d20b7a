//! `loadtest workers`: many processes of a stage, many partitions and many networks on one broker: whether the assignment comes to rest, whether
//! workers come, go and die without a partition in two hands, and how long a network stands still for it.
//!
//! Guarantee: what is measured is what a foreign consumer of the last stage's headers sees, of chains that grow all the time; who dies is a
//! function of the seed, which is printed. The run fails where a partition was in two hands, where an event is missing, doubled or out of
//! its order on the topics, and where a block was longer on its way than `--within`. There is no store. Partitions on which no network lives
//! are not looked at: no stage speaks of them, and the report says how many they are.

mod hands;
mod stand;

use crate::cluster::Servers;
use crate::failure::Failure;
use clap::Args;
use stand::Stand;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How much, and on what.
#[derive(Clone, Debug, Args)]
// What is said last holds: `make workers` says some of it, and whoever calls it may say otherwise.
#[command(args_override_self = true)]
pub struct Workers {
    /// Processes of ingest
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub ingest: u16,
    /// Processes of enrich; 0: blocks are looked for where ingest writes them
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub enrich: u16,
    /// Networks, each with a simulated node of its own
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub networks: u64,
    /// Partitions of the chain topics
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub partitions: u32,
    /// Seconds between two blocks of each chain, 0.1 to 3600
    #[arg(long, default_value_t = 6.0, value_parser = interval)]
    pub every: f64,
    /// Seconds for which it is watched after each change
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=3_600))]
    pub watch: u64,
    /// How often all kinds of changes come
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub rounds: u16,
    /// Seconds that a block may be on its way
    #[arg(long, default_value_t = 10)]
    pub within: u64,
    /// Hits the same workers again [default: others each time]
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// A broker that runs, `host:port` [default: one of its own is started]
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// The `headwater` binary [default: beside this one]
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    pub release_binary: Option<PathBuf>,
    /// The script that starts the broker
    #[arg(long, value_name = "PATH", default_value = "scripts/services")]
    pub services: PathBuf,
    /// Keep configuration and the processes' messages, and say where
    #[arg(long)]
    pub keep: bool,
}

/// Seconds between two blocks of a chain. Without a pause between them a run would have no end.
fn interval(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3_600.0).contains(seconds));
    seconds.ok_or("it is no pause between two blocks: write 0.1 to 3600 seconds, such as 6")
}

/// What came of one change.
#[derive(Clone, Debug)]
pub struct Phase {
    /// What was changed.
    pub what: String,
    /// The longest that a block was on its way.
    pub slowest: Duration,
    /// Partitions that passed to another worker.
    pub moved: usize,
    /// From the change until the last of them had; `None`: none did.
    pub settled: Option<Duration>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// From the start of all workers to the first events of every network.
    pub started: Duration,
    /// From there to the last time that a partition passed to another worker.
    pub settled: Duration,
    /// Partitions that somebody speaks of: those that networks live on, of each stage.
    pub spoken: usize,
    /// All partitions, of each stage: whose those are on which no network lives is not known.
    pub partitions: usize,
    /// Each change, in its order.
    pub phases: Vec<Phase>,
    /// What was in two hands.
    pub doubled: Vec<String>,
    /// Events on the topics, each once and in its order.
    pub events: u64,
    /// The highest resident memory of all workers that ran at the end together, bytes.
    pub memory: u64,
    /// How many they were.
    pub workers: usize,
}

impl Report {
    /// The longest that a block was on its way.
    fn slowest(&self) -> Duration {
        self.phases.iter().map(|phase| phase.slowest).max().unwrap_or_default()
    }
}

/// Runs it and prints the report to standard output.
///
/// # Errors
/// A partition in two hands, an event that is not where it should be, a network that stood still for too long, or whatever kept it from coming
/// to its end.
pub async fn run(args: Workers) -> Result<(), Failure> {
    let report = report(&args, &mut |line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    })
    .await?;
    writeln!(std::io::stdout(), "{report}")?;
    if !report.doubled.is_empty() {
        return Err(format!("in two hands: {}", report.doubled.join("; ")).into());
    }
    match report.slowest() > Duration::from_secs(args.within) {
        true => Err(format!("a network stood still for {:.1} s", report.slowest().as_secs_f64()).into()),
        false => Ok(()),
    }
}

/// Runs it. `tell` hears what happens.
///
/// # Errors
/// Whatever kept it from coming to its end, and an event that is not where it should be.
pub async fn report(args: &Workers, tell: &mut (dyn FnMut(String) + Send)) -> Result<Report, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    tell(format!("seed {seed} (HEADWATER_SEED={seed} or --seed {seed} hits the same workers)"));
    let own = match &args.kafka {
        None => Some(Servers::start(&args.services, 1, false).await?),
        Some(_) => None,
    };
    let brokers = own.as_ref().map(|servers| servers.direct.clone()).or_else(|| args.kafka.clone());
    let mut stand = Stand::build(args, &brokers.ok_or("there is no broker")?).await?;
    let outcome = stand.run(args, seed, tell).await;
    if args.keep {
        tell(format!("kept in {}", stand.keep().display()));
    }
    outcome.map_err(|e| format!("{e}\n{}seed {seed}", stand.last_words()).into())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = Duration::as_secs_f64;
        writeln!(f, "from the start to every network's blocks       {:>8.1} s", s(&self.started))?;
        writeln!(
            f,
            "from there to the last change of hands         {:>8.1} s, {} partitions with networks",
            s(&self.settled),
            self.spoken
        )?;
        writeln!(f, "{:<46} {:>8} {:>8} {:>8}", "", "moved", "s until", "slowest block, s")?;
        for phase in &self.phases {
            let settled = phase.settled.map_or_else(|| "–".to_owned(), |took| format!("{:.1}", s(&took)));
            writeln!(f, "{:<46} {:>8} {settled:>8} {:>8.1}", phase.what, phase.moved, s(&phase.slowest))?;
        }
        writeln!(f, "slowest block of all (aim: at most 10 s)       {:>8.1} s", s(&self.slowest()))?;
        writeln!(
            f,
            "partitions in two hands (aim: none)            {:>8} of {} with networks; {} without are not looked at",
            self.doubled.len(),
            self.spoken,
            self.partitions.saturating_sub(self.spoken)
        )?;
        writeln!(f, "events on the topics, each once, in order      {:>8}", self.events)?;
        write!(f, "memory of {:>3} workers at most                  {:>8} MiB", self.workers, self.memory >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches as _};

    fn read(line: &str) -> Result<Workers, clap::Error> {
        let matches = Workers::augment_args(Command::new("workers")).try_get_matches_from(line.split(' '))?;
        Workers::from_arg_matches(&matches)
    }

    #[test]
    fn what_is_said_last_holds() {
        let args = read("workers --ingest 8 --enrich 8 --ingest 4").expect("both");
        assert_eq!((args.ingest, args.enrich), (4, 8));
    }

    #[test]
    fn a_report_says_what_was_not_looked_at() {
        let none = Duration::ZERO;
        let (phases, doubled) = (Vec::new(), Vec::new());
        let (spoken, partitions) = (35, 64);
        let report = Report {
            started: none,
            settled: none,
            spoken,
            partitions,
            phases,
            doubled,
            events: 0,
            memory: 0,
            workers: 0,
        };
        assert!(report.to_string().contains("0 of 35 with networks; 29 without are not looked at"), "{report}");
    }

    #[test]
    fn chains_that_never_pause_are_refused() {
        for every in ["0", "-1", "NaN", "inf", "often"] {
            let refused = read(&format!("workers --every={every}")).expect_err(every).to_string();
            assert!(refused.contains("write 0.1 to 3600 seconds"), "{refused}");
        }
        let pauses = ["workers", "workers --every 0.1"].map(|line| read(line).expect(line).every);
        assert!((pauses[0] - 6.0).abs() < 1e-9 && (pauses[1] - 0.1).abs() < 1e-9);
    }
}
