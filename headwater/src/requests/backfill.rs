//! `headwater backfill`: asks for a range of heights and follows it (rule 5).
//!
//! Guarantee: what was asked is in the log before anything is shown, so that neither a kill nor Ctrl-C loses it; the same command
//! again follows the same request. Where the log is embedded and nobody holds it, the stages run here, as in `headwater up` without
//! the API, until the range is full and its rows are visible.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::{Args, Subcommand};
use futures::FutureExt;
use runtime::{config::Config, lifecycle, telemetry};
use schemas::{Network, records::HeldRange};

use super::{
    ask::{Asked, Range, ask},
    change::{self, Change},
    configured,
    follow::{Ended, follow, until_visible, verdict},
    list,
    screen::Screen,
};
use crate::{
    arguments::{ConfigFile, Format},
    exit::Failure,
    origin::Origin,
    parts, stage,
    up::{self, Beside},
    way::Way,
};

/// How long a network that was just started may take until something of it is known to be final.
const UNTIL_FINAL: Duration = Duration::from_secs(60);
/// The same where a process has been following it.
const UNTIL_FINAL_THERE: Duration = Duration::from_secs(15);
/// How long the rows may take where another process writes them.
const UNTIL_VISIBLE: Duration = Duration::from_secs(60);

/// Arguments of `headwater backfill`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backfill {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigFile,
    /// The network
    #[arg(long, value_name = "SLUG", required = true)]
    network: Option<Network>,
    /// First height
    #[arg(long, value_name = "H", required = true)]
    from: Option<u64>,
    /// Last height; at most the highest that is final
    #[arg(long, value_name = "H", required = true)]
    to: Option<u64>,
    /// Fill heights that are held, too
    #[arg(long)]
    again: bool,
    /// Only ask, and print the request's id
    #[arg(long)]
    detach: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Every request that is not over, and the last ones that are
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// One JSON object, or a table for people
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Make a request wait until it is resumed
    Pause(OfOne),
    /// Let a paused request go on
    Resume(OfOne),
    /// End a request where it is; what was filled stays
    Cancel(OfOne),
}

#[derive(Args)]
struct OfOne {
    /// The request's id, as `list` tells it
    id: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Asks, follows, tells or changes.
pub fn run(args: &Backfill) -> Result<(), Failure> {
    match &args.command {
        Some(Command::List { config, format }) => list::run(&config.config, *format),
        Some(Command::Pause(one)) => change::run(&one.config.config, &one.id, Change::Pause),
        Some(Command::Resume(one)) => change::run(&one.config.config, &one.id, Change::Resume),
        Some(Command::Cancel(one)) => change::run(&one.config.config, &one.id, Change::Cancel),
        None => fill(args),
    }
}

fn fill(args: &Backfill) -> Result<(), Failure> {
    let (Some(network), Some(from), Some(to)) = (&args.network, args.from, args.to) else {
        return Err(Failure::arguments("--network, --from and --to say what is to be filled"));
    };
    telemetry::init_logs_beside_progress();
    let config = runtime::config::load(&args.config.config)?;
    configured(&config, network)?;
    if from > to {
        return Err(Failure::arguments(format!("--from {from} is above --to {to}: write the lower height first")));
    }
    let wanted = Wanted { network: network.clone(), heights: HeldRange { from, to }, again: args.again };
    parts::block_on(async {
        let way = match parts::has_log(&config) {
            true => Some(Way::find(&config).await?),
            false => None,
        };
        match way {
            Some(way) if args.detach => {
                let runs = config.log.kafka.is_some() || matches!(way, Way::There { .. });
                let outcome = detach(&way, &wanted, runs).await;
                way.close().await?;
                outcome
            }
            Some(way @ Way::There { .. }) => by_another(&way, &wanted).await,
            Some(way) if config.log.kafka.is_some() => {
                let outcome = by_another(&way, &wanted).await;
                way.close().await?;
                outcome
            }
            None if args.detach => Err(Failure::new(format!(
                "there is no log in {} yet that the request could be kept in: start `headwater up`, or leave --detach out",
                config.data_dir.display()
            ))),
            nobody => {
                if let Some(way) = nobody {
                    way.close().await?;
                }
                here(config, args, wanted).await
            }
        }
    })?
}

/// A back-fill that is wanted.
#[derive(Clone)]
struct Wanted {
    network: Network,
    heights: HeldRange,
    again: bool,
}

impl Wanted {
    fn range(&self) -> Range<'_> {
        Range { network: &self.network, heights: self.heights, again: self.again }
    }

    fn count(&self) -> u64 {
        self.heights.to.saturating_sub(self.heights.from).saturating_add(1)
    }

    fn held(&self) -> String {
        let HeldRange { from, to } = self.heights;
        format!("heights {from} to {to} of network `{}` are held already; --again fills them again", self.network)
    }
}

fn result(line: &str) {
    // A closed pipe is nobody's fault.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[allow(clippy::print_stderr)]
fn told(line: &str) {
    eprintln!("{line}");
}

/// Only asks.
async fn detach(way: &Way, wanted: &Wanted, runs: bool) -> Result<(), Failure> {
    let id = match ask(way, &wanted.range(), runs.then_some(UNTIL_FINAL_THERE)).await? {
        Asked::Held => {
            told(&wanted.held());
            return Ok(());
        }
        Asked::Before(id) => {
            told("the same range was asked for before and is not over:");
            id
        }
        Asked::Written(id) => id,
    };
    result(&id);
    match runs {
        true => told(&ways_on(&id)),
        false => told("nothing runs on this log: the request is kept, and carried out when `headwater up` runs"),
    }
    Ok(())
}

fn ways_on(id: &str) -> String {
    format!(
        "see it with `headwater backfill list`; `headwater backfill pause {id}` makes it wait, `headwater backfill cancel {id}` ends it"
    )
}

/// Asks whoever watches the network, and follows.
async fn by_another(way: &Way, wanted: &Wanted) -> Result<(), Failure> {
    let Some(id) = asked(way, wanted, UNTIL_FINAL_THERE).await? else { return Ok(()) };
    let mut screen = Screen::new(&id, wanted.count());
    let mut signals = lifecycle::signals()?;
    let ended = follow(way, &wanted.network, &id, &mut screen, async {
        signals.recv().await;
    })
    .await;
    let took = screen.end();
    match ended? {
        Ended::Interrupted => Err(Failure::new(format!("request {id} goes on without this command: {}", ways_on(&id)))),
        Ended::Over(progress, sequence) => {
            let line = verdict(&progress, took)?;
            if !until_visible(way, &wanted.network, sequence, Some(UNTIL_VISIBLE)).await {
                told("its last rows are not in the store yet: `headwater status` says how far the sink is");
            }
            result(&line);
            Ok(())
        }
    }
}

/// The id of what is to be followed; `None`: there is nothing to do, which was said.
async fn asked(way: &Way, wanted: &Wanted, patience: Duration) -> Result<Option<String>, Failure> {
    Ok(match ask(way, &wanted.range(), Some(patience)).await? {
        Asked::Held => {
            told(&wanted.held());
            None
        }
        Asked::Before(id) => {
            told(&format!("the same range was asked for before and is not over: following {id}"));
            Some(id)
        }
        Asked::Written(id) => {
            told(&format!("request {id} is kept; Ctrl-C leaves it"));
            Some(id)
        }
    })
}

/// Runs the stages here until the range is full.
async fn here(config: Config, args: &Backfill, wanted: Wanted) -> Result<(), Failure> {
    told("nothing runs on this log: the stages run here until the range is full, and follow their networks meanwhile");
    let outcome = Arc::new(Mutex::new(None));
    let (slot, network) = (outcome.clone(), wanted.network.clone());
    let work = Beside(Box::new(move |log, codec, stop| {
        async move {
            let way = Way::within(log, codec);
            let filled = tokio::select! {
                filled = fill_within(&way, &wanted, stop.cancelled()) => filled,
                () = stop.cancelled() => return,
            };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(filled);
        }
        .boxed_local()
    }));
    let origin = Origin::of(std::path::absolute(&args.config.config)?);
    up::serve(config, origin, &stage::INTO_THE_STORE, None, Some(work)).await?;
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.unwrap_or_else(|| {
        Err(Failure::new(format!(
            "stopped before the range was full: what was asked of network `{network}` is kept, and goes on when this command or \
             `headwater up` runs again; `headwater backfill list` tells it"
        )))
    })
}

async fn fill_within(way: &Way, wanted: &Wanted, stopped: impl Future<Output = ()>) -> Result<(), Failure> {
    let Some(id) = asked(way, wanted, UNTIL_FINAL).await? else { return Ok(()) };
    let mut screen = Screen::new(&id, wanted.count());
    let ended = follow(way, &wanted.network, &id, &mut screen, stopped).await;
    let Ended::Over(progress, sequence) = ended? else {
        screen.end();
        return Err(Failure::new(format!("stopped before the range was full; request {id} is kept")));
    };
    screen.say("waiting until its last rows are visible");
    until_visible(way, &wanted.network, sequence, None).await;
    let took = screen.end();
    result(&verdict(&progress, took)?);
    Ok(())
}
