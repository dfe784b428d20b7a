//! The command line: which command does what.

use std::net::SocketAddr;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{
    acls::{self, Acls},
    arguments::{ConfigFile, StageProcess},
    check, control,
    dead_letters::{self, Replay},
    demo::{self, Demo},
    exit::Failure,
    healthz::{self, Healthz},
    reload::{self, Reload},
    requests::{self, Accept, Backfill},
    stage::Stage,
    status::{self, Status},
    store,
    tail::{self, Tail},
    topics, up,
};

/// Follows the heads of many blockchains and turns every block and transaction into tables, topics and live pages.
#[derive(Parser)]
#[command(name = "headwater", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every stage in one process, with the embedded log and the embedded store
    Up(ConfigFile),
    /// Run `up` on simulated nodes that replay recorded blocks as live chains; needs no configuration and no network
    Demo(Demo),
    /// Run the stage from chain nodes to `raw.*`; several processes share the networks (needs `[log] kafka`)
    Ingest(StageProcess),
    /// Run the stage from `raw.*` to `enriched.*` (needs `[log] kafka`)
    Enrich(StageProcess),
    /// Run the stage that finds facts about contracts (proxies, names, ABIs), beside the stream (needs `[log] kafka`)
    Causes(StageProcess),
    /// Run the stage that merges blocks into windows of a minute to a day, `enriched.blocks` to `metrics.windows` (needs `[log] kafka`)
    Aggregate(StageProcess),
    /// Run the stage of alerts: rules and monitors of tenants, and the messages that they send (needs `[log] kafka`)
    Alerts(StageProcess),
    /// Run the stage from `enriched.*` to the store (needs `[log] kafka` and `[store] url`)
    Sink(StageProcess),
    /// Run REST, WebSocket and dashboard (needs `[log] kafka` and `[store] url`)
    Api(Api),
    /// Run the embedded store alone, on `[store] listen`
    Store(ConfigFile),
    /// Make the topics of a Kafka cluster, tell in what they differ from what this version wants, or who must be allowed what
    #[command(subcommand)]
    Topics(Topics),
    /// Register the schemas with `[log] schema_registry`
    #[command(subcommand)]
    Schemas(Schemas),
    /// Look at what could not be processed, and take it up again
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Check a configuration file: every mistake with line, key and what to write instead; opens nothing
    Check(ConfigFile),
    /// Have the running process take over what changed in its configuration file, and say what needs a restart
    ///
    /// Networks and endpoints come, go and change; nothing else is stopped. With one mistake in the file nothing changes, and the exit
    /// status is 78. The process reads its own file, with its own environment; SIGHUP does the same and says it in the log.
    Reload(Reload),
    /// Fill a range of heights, beside what is live; the request is kept and outlives kills
    ///
    /// Asks the process that watches the network, over either log and from any machine that reaches it; where the log is embedded and
    /// nothing runs on it, the stages are run here until the range is full. Only final heights are filled, and those that are held are
    /// skipped. Several requests of a network are carried out one after the other.
    ///
    /// Exit status: 0 when the range is full, 1 when it ended otherwise, 2 when it reaches above the finalized height or below what the
    /// nodes have.
    Backfill(Backfill),
    /// Let a network follow the nodes' chain after a reorg deeper than the limit
    ///
    /// What is held above the last common block is reverted, newest block first, and the nodes' blocks are applied. Carried out by the
    /// process that watches the network, once the store has everything that was published.
    AcceptReorg(Accept),
    /// Let a network go on past records that retention removed before they were read
    ///
    /// Prints what is given up: exactly the sequences that are no longer in the log. `headwater backfill --again` brings their heights
    /// back.
    AcceptGap(Accept),
    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(control::Keys),
    /// Found, list, suspend, export, import and delete organisations
    #[command(subcommand)]
    Organisations(control::Organisations),
    /// Say who is an operator of the platform
    #[command(subcommand)]
    People(control::People),
    /// Check that no entry of the audit was changed, removed or added
    #[command(subcommand)]
    Audit(control::Audit),
    /// The database of tenants, keys and contracts
    #[command(subcommand)]
    Control(control::Control),
    /// Print the records of a topic
    Tail(Tail),
    /// One screen: tip, processed height, lag and rate of each network, and the lag of each stage
    Status(Status),
    /// Ask the running process whether it lives; says it by the exit status (for health checks of containers)
    Healthz(Healthz),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
struct Api {
    #[command(flatten)]
    stage: StageProcess,
    /// Where REST, WebSocket and dashboard listen instead of `[api] listen`
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[derive(Subcommand)]
enum Topics {
    /// Make what is missing, change what can be changed; partitions only rise, nothing is removed
    Apply(ConfigFile),
    /// Tell the differences; exit status 1 when there are any
    Diff(ConfigFile),
    /// Print the `kafka-acls` commands that allow each stage and command what it needs, and nothing else
    Acls(Acls),
}

#[derive(Subcommand)]
enum Schemas {
    /// Register every version of every schema, and set the subjects' compatibility
    Push(ConfigFile),
}

#[derive(Subcommand)]
enum DeadLetters {
    /// One line for each: offset, time, stage, place, reason
    List(ConfigFile),
    /// One of them whole, its original bytes as hex
    Show {
        /// Its offset, as `list` tells it
        offset: u64,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Insert the missing rows of those that can be read by now; run twice, it inserts nothing twice
    ///
    /// The topics keep their placeholders. Only blocks are mended that nothing can revert any more; others are told and can be
    /// taken up later. Exit status 1 when some could not be taken up.
    Replay(Replay),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Up(file) => up::run(&file.config),
            Command::Demo(args) => demo::run(args),
            Command::Ingest(args) => up::run_one(&args, Stage::Ingest, None),
            Command::Enrich(args) => up::run_one(&args, Stage::Enrich, None),
            Command::Causes(args) => up::run_one(&args, Stage::Causes, None),
            Command::Aggregate(args) => up::run_one(&args, Stage::Aggregate, None),
            Command::Alerts(args) => up::run_one(&args, Stage::Alerts, None),
            Command::Sink(args) => up::run_one(&args, Stage::Sink, None),
            Command::Api(args) => up::run_one(&args.stage, Stage::Api, args.listen),
            Command::Store(file) => store::run(&file.config),
            Command::Topics(Topics::Apply(file)) => topics::apply(&file.config),
            Command::Topics(Topics::Diff(file)) => topics::diff(&file.config),
            Command::Topics(Topics::Acls(args)) => acls::print(&args),
            Command::Schemas(Schemas::Push(file)) => topics::push_schemas(&file.config),
            Command::DeadLetters(DeadLetters::List(file)) => dead_letters::list(&file.config),
            Command::DeadLetters(DeadLetters::Show { offset, config }) => dead_letters::show(&config.config, offset),
            Command::DeadLetters(DeadLetters::Replay(args)) => dead_letters::replay(&args),
            Command::Check(file) => check::run(&file.config),
            Command::Reload(args) => reload::run(&args),
            Command::Backfill(args) => requests::backfill(&args),
            Command::AcceptReorg(args) => requests::accept_reorg(&args),
            Command::AcceptGap(args) => requests::accept_gap(&args),
            Command::Keys(command) => control::keys(&command),
            Command::Organisations(command) => control::organisations(&command),
            Command::People(command) => control::people(&command),
            Command::Audit(command) => control::audit(&command),
            Command::Control(command) => control::control(&command),
            Command::Tail(args) => tail::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Healthz(args) => healthz::run(&args),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "headwater", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
