//! `loadtest backfill`: the real `headwater up` over the embedded log follows the end of a chain while `headwater backfill` fills
//! heights below it: once undisturbed, once killed (`kill -9`) again and again at random; then every height is compared with the node.
//!
//! Guarantee: when it is killed follows from the seed, which is printed; and the run succeeds only when, after both, each height that was
//! asked for and each live one has its rows once, with the node's own hashes, counts, values and fees, when the sequences of store and log
//! have no gap, and nothing is a dead letter. Speed and delays are measured and told beside their aims, and fail nothing.
//!
//! Both runs begin in a fresh folder and fill the same heights of the same chain, so that their rates may be compared; the catch-up
//! that back-fill is compared with is the one of `loadtest bench`, on the same recorded blocks, in the same run.

mod live;
mod plan;
mod process;
mod records;
mod report;
mod truth;

use crate::bench;
use crate::cluster::{self, number};
use crate::failure::Failure;
use crate::node::evm::{Clock, Config, Dataset, Fault, Simulator, spawn};
use clap::Args;
use live::{Delay, Growth, Measuring};
use plan::Kill;
use process::{NETWORK, Process};
pub use report::{Killed, Report, Undisturbed};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use truth::{Totals, Truth};

/// How far the finalized block is behind the head: what is asked for lies below it after some live blocks.
const FINALITY: u64 = 8;
/// How often it is asked how much is filled.
const POLL: Duration = Duration::from_millis(100);
/// How long nothing more may be filled before a run is given up.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is done, and with what.
#[derive(Clone, Debug, Args)]
pub struct Backfill {
    /// Heights that are filled
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(10..=10_000_000))]
    pub heights: u64,
    /// How often the process is killed meanwhile; 0: only the undisturbed run
    #[arg(long, default_value_t = 20)]
    pub kills: usize,
    /// Kills at the same moments again [default: others each time]
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// The built-in set of recorded blocks that is replayed
    #[arg(long, value_name = "NAME", default_value = "ethereum")]
    pub set: String,
    /// Seconds from one live block to the next
    #[arg(long, default_value_t = 2.0)]
    pub every: f64,
    /// Seconds for which the delay of live blocks is measured before anything is filled
    #[arg(long, default_value_t = 120)]
    pub calm: u64,
    /// Milliseconds that the node takes for an answer
    #[arg(long, default_value_t = 0)]
    pub late: u64,
    /// Blocks of the bench's catch-up that back-fill is compared with; 0: it is not
    #[arg(long, default_value_t = 5_000)]
    pub catch_up: u64,
    /// The `headwater` binary [default: beside this one]
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    pub release_binary: Option<PathBuf>,
    /// Keep configuration, data and the process's messages, and say where
    #[arg(long)]
    pub keep: bool,
}

/// Runs it and prints the report to standard output: a table, then one line of JSON.
///
/// # Errors
/// The first difference between rows, log and node, or whatever kept it from coming to its end.
pub async fn run(args: Backfill) -> Result<(), Failure> {
    let report = report(&args, &mut |line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    })
    .await?;
    writeln!(std::io::stdout(), "{report}{}", serde_json::to_string(&report)?)?;
    Ok(())
}

/// Runs it. `tell` hears what happens.
///
/// # Errors
/// As [`run`].
pub async fn report(args: &Backfill, tell: &mut (dyn FnMut(String) + Send)) -> Result<Report, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    tell(format!("seed {seed} (HEADWATER_SEED={seed} or --seed {seed} kills at the same moments)"));
    let binary = cluster::binary(args.release_binary.as_deref())?;
    if !args.every.is_finite() || !(0.01..=3_600.0).contains(&args.every) {
        return Err(format!("--every {}: possible is 0.01 to 3600 seconds", args.every).into());
    }
    let data = Arc::new(Dataset::embedded(&args.set)?);
    let config = Config {
        clock: Clock::Manual,
        history: args.heights,
        finality_depth: FINALITY,
        safe_depth: FINALITY / 2,
        faults: match args.late {
            0 => Vec::new(),
            late => vec![format!("slow:{late}").parse::<Fault>()?],
        },
        window: usize::try_from(args.heights)?.saturating_add(8_192),
        ..Config::new(data.clone())
    };
    let stand = Stand { args, seed, binary, node: Arc::new(spawn(config).await?) };
    let undisturbed = stand.undisturbed(tell).await?;
    let killed = match args.kills {
        0 => None,
        _ => Some(stand.killed(tell).await?),
    };
    let catch_up = match args.catch_up {
        0 => None,
        blocks => {
            tell(format!("catching up with {blocks} blocks, as `loadtest bench` does"));
            Some(bench::catch_up(&stand.binary, data, blocks).await?)
        }
    };
    Ok(Report { seed, set: args.set.clone(), heights: args.heights, every: args.every, undisturbed, killed, catch_up })
}

/// All that both runs share.
struct Stand<'a> {
    args: &'a Backfill,
    seed: u64,
    binary: PathBuf,
    node: Arc<Simulator>,
}

impl Stand<'_> {
    fn grow(&self) -> Growth {
        Growth::start(self.node.clone(), Duration::from_secs_f64(self.args.every))
    }

    async fn undisturbed(&self, tell: &mut (dyn FnMut(String) + Send)) -> Result<Undisturbed, Failure> {
        let mut process = Process::new(&self.binary, &self.node, self.args.keep)?;
        tell(format!("undisturbed, in {}", process.folder().display()));
        let outcome = self.fill_undisturbed(&mut process, tell).await;
        outcome.map_err(|e| process.explain(e))
    }

    async fn fill_undisturbed(
        &self,
        process: &mut Process,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Undisturbed, Failure> {
        process.start()?;
        process.answers().await?;
        let first = self.first_live(process).await?;
        let growth = self.grow();
        let calm = Measuring::start(&self.node, process.outside.clone());
        tokio::time::sleep(Duration::from_secs(self.args.calm)).await;
        let calm = calm.end().await?;
        tell(format!(
            "{} live blocks: {:.0} / {:.0} ms (p50 / p99) to their rows",
            calm.blocks, calm.p50_ms, calm.p99_ms
        ));
        self.until_final().await?;

        let busy = Measuring::start(&self.node, process.outside.clone());
        let begun = self.ask(process).await?;
        self.until_filled(process, self.args.heights).await?;
        let took = begun.elapsed();
        let busy: Delay = busy.end().await?;
        tell(format!("{} heights filled in {:.1} s", self.args.heights, took.as_secs_f64()));
        drop(growth);
        let (totals, live, records) = self.compare(process, first, tell).await?;
        Ok(Undisturbed { seconds: took.as_secs_f64(), calm, busy, totals, live, records })
    }

    async fn killed(&self, tell: &mut (dyn FnMut(String) + Send)) -> Result<Killed, Failure> {
        let mut process = Process::new(&self.binary, &self.node, self.args.keep)?;
        tell(format!("killed {} times, in {}", self.args.kills, process.folder().display()));
        let outcome = self.fill_killed(&mut process, tell).await;
        outcome.map_err(|e| process.explain(format!("{e}\nseed {}", self.seed).into()))
    }

    async fn fill_killed(
        &self,
        process: &mut Process,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Killed, Failure> {
        process.start()?;
        process.answers().await?;
        let first = self.first_live(process).await?;
        let growth = self.grow();
        let begun = self.ask(process).await?;
        let (mut down, mut again, mut in_the_middle) = (Duration::ZERO, Vec::new(), 0);
        // Since when it has not answered, with what was filled then.
        let mut fell: Option<(Instant, u64)> = None;
        for kill in plan::plan(self.seed, self.args.kills, self.args.heights) {
            let filled = match kill {
                Kill::Filled(heights, later) => {
                    self.back(process, fell.take(), &mut down, &mut again).await?;
                    self.until_filled(process, heights).await?;
                    tokio::time::sleep(later).await;
                    process.filled().await?
                }
                Kill::Starting(later) => {
                    tokio::time::sleep(later).await;
                    fell.map_or(0, |(_, filled)| filled)
                }
            };
            in_the_middle += usize::from((1..self.args.heights).contains(&filled));
            tell(format!("{:6.1} s  killed ({kill:?}) with {filled} heights filled", begun.elapsed().as_secs_f64()));
            process.kill()?;
            fell = fell.or(Some((Instant::now(), filled)));
            process.start()?;
        }
        self.back(process, fell, &mut down, &mut again).await?;
        self.until_filled(process, self.args.heights).await?;
        let took = begun.elapsed();
        tell(format!("{} heights filled in {:.1} s", self.args.heights, took.as_secs_f64()));
        drop(growth);
        let (totals, live, records) = self.compare(process, first, tell).await?;
        again.sort();
        let middle = again.get(again.len() / 2).copied().unwrap_or_default();
        Ok(Killed {
            kills: self.args.kills,
            in_the_middle,
            seconds: took.as_secs_f64(),
            down_seconds: down.as_secs_f64(),
            again_seconds: middle.as_secs_f64(),
            totals,
            live,
            records,
        })
    }

    /// Waits until it answers again, and then until something more is filled, each counted from the kill.
    async fn back(
        &self,
        process: &mut Process,
        fell: Option<(Instant, u64)>,
        down: &mut Duration,
        again: &mut Vec<Duration>,
    ) -> Result<(), Failure> {
        let Some((at, filled)) = fell else { return Ok(()) };
        process.answers().await?;
        *down += at.elapsed();
        if filled < self.args.heights {
            self.until_filled(process, filled + 1).await?;
            again.push(at.elapsed());
        }
        Ok(())
    }

    /// Asks for the heights, and leaves it to the process; since when. What was told of finality may be some seconds old: until it is
    /// known that they are final, it is asked anew.
    async fn ask(&self, process: &mut Process) -> Result<Instant, Failure> {
        let (to, end) = (self.args.heights.to_string(), Instant::now() + PATIENCE);
        loop {
            let begun = Instant::now();
            let args = ["backfill", "--network", NETWORK, "--from", "1", "--to", &to, "--detach"];
            match process.command(&args).await {
                Ok(told) if told.trim().is_empty() => {
                    return Err("`headwater backfill --detach` told no id: nothing was asked".into());
                }
                Ok(_) => return Ok(begun),
                Err(error) if Instant::now() > end || !error.to_string().contains("final") => return Err(error),
                Err(_) => process.runs()?,
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The first block of the network, once it is visible: the node's head at that time or before.
    async fn first_live(&self, process: &mut Process) -> Result<u64, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let sql = format!("SELECT min(number) AS n FROM blocks WHERE network = '{NETWORK}'");
            let rows = process.outside.query(&sql).await;
            match rows.ok().and_then(|rows| number(rows.first()?, "n").ok()) {
                Some(first) if first > 0 => return Ok(first),
                _ if Instant::now() > end => return Err("no live block is visible".into()),
                _ => process.runs()?,
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until what is asked for is final at the node.
    async fn until_final(&self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while self.node.head() < self.args.heights + FINALITY {
            if Instant::now() > end {
                return Err(format!("{PATIENCE:?} are too short for {FINALITY} blocks: give a smaller --every").into());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn until_filled(&self, process: &mut Process, heights: u64) -> Result<(), Failure> {
        let (mut seen, mut changed) = (0, Instant::now());
        loop {
            let now = process.filled().await.unwrap_or(seen);
            if now >= heights {
                return Ok(());
            }
            if now != seen {
                (seen, changed) = (now, Instant::now());
            }
            process.runs()?;
            if changed.elapsed() > PATIENCE {
                let list = process.command(&["backfill", "list"]).await.unwrap_or_else(|e| e.to_string());
                return Err(format!(
                    "{heights} filled heights were awaited; for {PATIENCE:?} it stays at {now}\n{list}"
                )
                .into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Compares all that there is, and stops the process: totals of the filled heights, totals of the live ones, records of the log.
    async fn compare(
        &self,
        process: &mut Process,
        first: u64,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<(Totals, Totals, u64), Failure> {
        let head = self.node.head();
        let end = Instant::now() + PATIENCE;
        while process.outside.height(NETWORK).await? < head {
            process.runs()?;
            if Instant::now() > end {
                return Err(format!("the live block {head} has no row after {PATIENCE:?}").into());
            }
            tokio::time::sleep(POLL).await;
        }
        tell("the chain stands still; comparing".into());
        let mut truth = Truth::new(&self.node)?;
        let filled =
            truth.compare(&process.outside, 1..=self.args.heights).await.map_err(|e| format!("filled: {e}"))?;
        let live = truth.compare(&process.outside, first..=head).await.map_err(|e| format!("live: {e}"))?;
        let events = self.events(process, filled.blocks + live.blocks).await?;
        let letters = process.command(&["dead-letters", "list"]).await?;
        if letters.lines().count() != 1 {
            return Err(format!("dead letters: {letters}").into());
        }
        process.stop().await?;
        let records = records::compare(&process.log(), events).await?;
        Ok((filled, live, records))
    }

    /// The number of block events, which have no gap: an apply of each height that is held, each once, and nothing beside.
    async fn events(&self, process: &Process, held: u64) -> Result<u64, Failure> {
        let heights = self.args.heights;
        let sql = format!(
            "SELECT count() AS n, uniqExact(sequence) AS distinct, min(sequence) AS first, max(sequence) AS last, uniqExact(height) AS heights, \
             countIf(op != 'apply') AS others, countIf(origin = 'backfill') AS filled, \
             uniqExactIf(height, origin = 'backfill') AS filled_heights, maxIf(height, origin = 'backfill') AS highest \
             FROM block_events WHERE network = '{NETWORK}'"
        );
        let row = process.outside.query(&sql).await?.pop().unwrap_or_default();
        let of = |column: &str| number(&row, column);
        let last = of("last")?;
        if (of("first")?, of("n")?, of("distinct")?) != (1, last, last) {
            return Err(format!("block events are not gapless: {row}").into());
        }
        if (last, of("heights")?, of("others")?) != (held, held, 0) {
            return Err(format!("{held} heights are held, each should have one event: {row}").into());
        }
        if (of("filled")?, of("filled_heights")?, of("highest")?) != (heights, heights, heights) {
            return Err(format!("{heights} heights were asked for, each should be filled once: {row}").into());
        }
        for view in ["blocks", "evm_transactions", "evm_logs"] {
            let column = if view == "blocks" { "number" } else { "block_number" };
            let sql = format!(
                "SELECT uniqExact({column}) AS n, max({column}) AS top FROM {view} WHERE network = '{NETWORK}'"
            );
            let row = process.outside.query(&sql).await?.pop().unwrap_or_default();
            if number(&row, "n")? > held || number(&row, "top")? > self.node.head() {
                return Err(format!("{view} has heights that nobody asked for: {row}, {held} are held").into());
            }
        }
        Ok(last)
    }
}
