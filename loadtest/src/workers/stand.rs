//! Nodes, workers and who watches them.

use super::hands::Hands;
use super::{Phase, Report, Workers};
use crate::arrivals::Arrivals;
use crate::bench::memory;
use crate::chains::Chains;
use crate::chaos::topics::{PAIRS, counts};
use crate::cluster::{self, Endpoint, Processes};
use crate::failure::Failure;
use runtime::log::kafka::{KafkaConfig, KafkaLog};
use rustix::process::Signal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(240);
/// Where nothing passed to another hand for so long, the assignment is at rest: three times what stages need to say so.
const AT_REST: Duration = Duration::from_secs(15);
/// Chains that are not done with growing so long after their time are too many.
const LATE: Duration = Duration::from_secs(1);

/// What happens to workers.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Nothing.
    Calm,
    /// So many are killed by `kill -9`.
    Kill(usize),
    /// One is told to stop.
    Stop,
    /// Those that are away come back.
    Back,
    /// One more comes.
    Join,
}

/// All kinds of them, in an order in which those that are away come back.
const ROUND: [Change; 8] = [
    Change::Calm,
    Change::Kill(1),
    Change::Back,
    Change::Stop,
    Change::Back,
    Change::Join,
    Change::Kill(3),
    Change::Back,
];

/// See the module.
pub(super) struct Stand {
    binary: PathBuf,
    // Before the folder in which they write: what is dropped first ends first.
    processes: Processes,
    folder: tempfile::TempDir,
    chains: Chains,
    log: Arc<KafkaLog>,
    arrivals: Arrivals,
    hands: Hands,
    /// Between two blocks of all chains, and when the next one is made.
    pause: Duration,
    next: Instant,
    /// Told to stop.
    stopping: Vec<String>,
    /// Killed or stopped.
    away: Vec<String>,
    /// Pairs of topics that are written.
    pairs: usize,
}

impl Stand {
    /// Everything but the workers.
    pub(super) async fn build(args: &Workers, brokers: &str) -> Result<Self, Failure> {
        let chains = Chains::spawn(args.networks).await?;
        let folder = tempfile::Builder::new().prefix("headwater-workers-").tempdir()?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
        let prefix = format!("workers-{now:x}.");
        let mut text = format!("[data]\ndir = {:?}\n", folder.path().join("data"));
        for (slug, node) in &chains.nodes {
            text += &Endpoint::from(node).network(slug);
        }
        text += &format!(
            "[log]\nkafka = {brokers:?}\nprefix = \"{prefix}\"\npartitions = {}\nreplication = 1\n",
            args.partitions
        );
        let config = folder.path().join("headwater.toml");
        std::fs::write(&config, text)?;
        let binary = cluster::binary(args.release_binary.as_deref())?;
        let made = cluster::run(&binary, &config, &["topics", "apply"], PATIENCE).await?;
        if !made.status.success() {
            return Err(format!("the topics were not made: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let log = KafkaLog::connect(KafkaConfig { prefix, ..KafkaConfig::new(brokers) }).await?;
        let pairs = if args.enrich > 0 { 2 } else { 1 };
        let topic = PAIRS[pairs - 1].0.name;
        let arrivals = Arrivals::from_the_beginning(&*log, topic, args.partitions).await?;
        let hands = Hands::follow(&*log).await?;
        Ok(Self {
            binary,
            processes: Processes::new(folder.path()),
            // Never all at once: a chain's block is no other's.
            pause: Duration::try_from_secs_f64(args.every / chains.nodes.len() as f64)?,
            folder,
            chains,
            log,
            arrivals,
            hands,
            next: Instant::now(),
            stopping: Vec::new(),
            away: Vec::new(),
            pairs,
        })
    }

    /// Starts the workers, and has all changes happen to them.
    pub(super) async fn run(
        &mut self,
        args: &Workers,
        seed: u64,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Report, Failure> {
        let mut random = fastrand::Rng::with_seed(seed);
        let begun = Instant::now();
        for (stage, many) in [("ingest", args.ingest), ("enrich", args.enrich)] {
            for n in 1..=many {
                self.start(&format!("{stage}-{n}"))?;
            }
        }
        self.until_all().await?;
        let started = begun.elapsed();
        tell(format!("every network's blocks are there after {:.1} s", started.as_secs_f64()));
        let all_there = Instant::now();
        self.hands.changed = all_there;
        while self.hands.changed.elapsed() < AT_REST {
            self.look().await?;
            if all_there.elapsed() > PATIENCE {
                let doubled = self.hands.said.doubled().join("; ");
                return Err(
                    format!("partitions go on to change hands for {PATIENCE:?}; in two hands: {doubled}").into()
                );
            }
        }
        let settled = self.hands.changed - all_there;
        let spoken = self.hands.said.count();
        tell(format!("the assignment is at rest {:.1} s later", settled.as_secs_f64()));

        let (mut phases, mut doubled) = (Vec::new(), self.hands.said.over("the start"));
        let mut joined = args.ingest;
        for change in std::iter::repeat_n(ROUND, args.rounds.into()).flatten() {
            let what = self.change(change, &mut joined, &mut random)?;
            let phase = self.watch(args, what).await?;
            doubled.extend(self.hands.said.over(&phase.what));
            tell(format!("{}: slowest block {:.1} s", phase.what, phase.slowest.as_secs_f64()));
            phases.push(phase);
        }
        // What was written together appears a moment apart.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let events = self.events().await?;
        let running: Vec<u32> = self.processes.names().filter_map(|name| self.processes.pid(name)).collect();
        let memory = running.iter().map(|pid| memory(*pid).main).sum();
        let partitions = usize::try_from(args.partitions)? * self.pairs;
        Ok(Report { started, settled, spoken, partitions, phases, doubled, events, memory, workers: running.len() })
    }

    fn start(&mut self, name: &str) -> Result<(), Failure> {
        let config = self.folder.path().join("headwater.toml");
        self.processes.spawn(name, &mut cluster::stage(&self.binary, &config, name))
    }

    /// Has something happen; what that was.
    fn change(&mut self, change: Change, joined: &mut u16, random: &mut fastrand::Rng) -> Result<String, Failure> {
        let many = match change {
            Change::Calm => return Ok("nothing".to_owned()),
            Change::Kill(many) => many,
            Change::Stop => 1,
            Change::Back => {
                let back = std::mem::take(&mut self.away);
                for name in &back {
                    self.start(name)?;
                }
                return Ok(format!("back: {}", back.join(" ")));
            }
            Change::Join => {
                *joined += 1;
                let name = format!("ingest-{joined}");
                self.start(&name)?;
                return Ok(format!("one more: {name}"));
            }
        };
        let mut names: Vec<String> = self.processes.names().map(str::to_owned).collect();
        random.shuffle(&mut names);
        // Somebody of each stage stays.
        let mut hit = Vec::new();
        for name in names {
            let stage = name.split('-').next().unwrap_or(&name).to_owned();
            let of_stage = self.processes.names().filter(|other| other.starts_with(&stage)).count();
            if hit.len() < many && of_stage > 1 {
                match change {
                    Change::Stop => {
                        self.processes.signal(&name, Signal::TERM)?;
                        self.stopping.push(name.clone());
                    }
                    _ => self.processes.kill(&name)?,
                }
                hit.push(name);
            }
        }
        self.away.extend(hit.iter().cloned());
        let word = if matches!(change, Change::Stop) { "stopped" } else { "killed" };
        Ok(format!("{word}: {}", hit.join(" ")))
    }

    /// Lets every chain grow for a while, until what was made then has come.
    async fn watch(&mut self, args: &Workers, what: String) -> Result<Phase, Failure> {
        let begun = Instant::now();
        self.arrivals.slowest = Duration::ZERO;
        self.next = begun;
        let watch = Duration::from_secs(args.watch);
        while begun.elapsed() < watch {
            while Instant::now() >= self.next {
                if begun.elapsed() > watch + LATE {
                    return Err(format!(
                        "{} chains do not grow a block every {} s here: write more seconds in --every, or fewer --networks",
                        args.networks, args.every
                    )
                    .into());
                }
                self.next += self.pause;
                self.chains.grow()?;
            }
            self.look().await?;
        }
        let until = Instant::now() + PATIENCE;
        while !self.chains.made.is_empty() || !self.stopping.is_empty() {
            self.look().await?;
            if Instant::now() > until {
                let waiting =
                    self.chains.made.keys().next().map_or_else(String::new, |(slug, n)| format!("{slug} {n}"));
                let (many, stopping) = (self.chains.made.len(), self.stopping.join(" "));
                return Err(format!(
                    "after {what}: {many} blocks did not come in {PATIENCE:?}, such as {waiting}; still to stop: {stopping}"
                )
                .into());
            }
        }
        let settled = self.hands.changed.checked_duration_since(begun);
        Ok(Phase { what, slowest: self.arrivals.slowest, moved: self.hands.said.moved(), settled })
    }

    /// Takes in what there is to see.
    async fn look(&mut self) -> Result<(), Failure> {
        self.arrivals.poll().await?;
        self.arrivals.measure(&mut self.chains.made);
        self.hands.poll().await?;
        for name in std::mem::take(&mut self.stopping) {
            if !self.processes.has_ended(&name)? {
                self.stopping.push(name);
            }
        }
        // Of those that were told to stop it is not known when they do.
        if self.stopping.is_empty() { self.processes.all_run() } else { Ok(()) }
    }

    /// Waits until the head of every chain is there.
    async fn until_all(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.look().await?;
            let missing = self.chains.missing(&self.arrivals);
            if missing == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("{missing} networks are not there in {PATIENCE:?}").into());
            }
        }
    }

    /// Events on the topics: of each network and pair as many as its chain has blocks.
    async fn events(&self) -> Result<u64, Failure> {
        let mut all = 0;
        for pair in PAIRS.into_iter().take(self.pairs) {
            let there = counts(&*self.log, pair).await?;
            for (slug, node) in &self.chains.nodes {
                let (events, head) = (there.get(slug).map_or(0, |(events, _)| *events), node.head());
                if events != head {
                    return Err(format!("{} has {events} events of {slug}, whose head is {head}", pair.0.name).into());
                }
                all += events;
            }
        }
        Ok(all)
    }

    /// Keeps the folder; where it is.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// The last lines of every worker.
    pub(super) fn last_words(&self) -> String {
        self.processes.last_words()
    }
}
