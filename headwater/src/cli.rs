//! Arguments.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{access, check, dead_letters, demo, exit::Failure, status, store, tail, topics, up};

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
    Ingest(Stage),
    /// Run the stage from `raw.*` to `enriched.*` (needs `[log] kafka`)
    Enrich(Stage),
    /// Run the stage from `enriched.*` to the store (needs `[log] kafka` and `[store] url`)
    Sink(Stage),
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
    /// Print the records of a topic
    Tail(Tail),
    /// One screen: tip, processed height, lag and rate of each network, and the lag of each stage
    Status(Status),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The configuration file.
#[derive(Args)]
pub struct ConfigFile {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", default_value = "headwater.toml", env = "HEADWATER_CONFIG")]
    pub config: PathBuf,
}

/// A stage in a process of its own.
#[derive(Args)]
pub struct Stage {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Names this process to its group instead of `[runtime] instance`; each process of a stage has a name of its own
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Where health and metrics listen instead of `[admin] listen`
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
}

#[derive(Args)]
struct Api {
    #[command(flatten)]
    stage: Stage,
    /// Where REST, WebSocket and dashboard listen instead of `[api] listen`
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

#[derive(Subcommand)]
pub enum Topics {
    /// Make what is missing, change what can be changed; partitions only rise, nothing is removed
    Apply(ConfigFile),
    /// Tell the differences; exit status 1 when there are any
    Diff(ConfigFile),
    /// Print the `kafka-acls` commands that allow each stage and command what it needs, and nothing else
    Acls(Acls),
}

#[derive(Args)]
pub struct Acls {
    /// Only these stages and commands
    #[arg(value_enum)]
    pub roles: Vec<access::Role>,
    /// Who is allowed, such as `User:CN=ingest` [default: User: and the stage's name]
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Subcommand)]
pub enum Schemas {
    /// Register every version of every schema, and set the subjects' compatibility
    Push(ConfigFile),
}

#[derive(Subcommand)]
pub enum DeadLetters {
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

#[derive(Args)]
pub struct Replay {
    /// Only the letters with these offsets, as `list` tells them
    pub offsets: Vec<u64>,
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only this network
    #[arg(long, value_name = "SLUG")]
    pub network: Option<schemas::Network>,
    /// Only this reason, such as `too_large`
    #[arg(long, value_name = "WORD")]
    pub reason: Option<String>,
    /// Tell what would be done, and insert nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args)]
pub struct Demo {
    /// Where dashboard, REST and WebSocket listen [default: 127.0.0.1:8080, or a free port when it is taken]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where the demo keeps its data; the same folder continues the same chains [default: headwater-demo in the cache folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Seconds between blocks of each simulated chain
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub block_time: f64,
}

#[derive(Args)]
pub struct Tail {
    /// The topic without prefix, such as `enriched.transactions`
    pub topic: String,
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only this network
    #[arg(long, value_name = "SLUG")]
    pub network: Option<schemas::Network>,
    /// Where to begin: `beginning`, `end`, or a sequence
    #[arg(long, value_name = "beginning|end|SEQUENCE", default_value = "beginning")]
    pub from: tail::From,
    /// One JSON object a line, or a table for people
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// Go on with what comes
    #[arg(long)]
    pub follow: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON
    Json,
    /// A table
    Table,
}

#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Ask the API at this URL instead of the configured one
    #[arg(long, value_name = "URL")]
    pub api: Option<url::Url>,
    /// One JSON object, or a table for people
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Up(file) => up::run(&file.config),
            Command::Demo(args) => demo::run(args),
            Command::Ingest(args) => up::run_one(&args, up::Stage::Ingest, None),
            Command::Enrich(args) => up::run_one(&args, up::Stage::Enrich, None),
            Command::Sink(args) => up::run_one(&args, up::Stage::Sink, None),
            Command::Api(args) => up::run_one(&args.stage, up::Stage::Api, args.listen),
            Command::Store(file) => store::run(&file.config),
            Command::Topics(Topics::Apply(file)) => topics::apply(&file.config),
            Command::Topics(Topics::Diff(file)) => topics::diff(&file.config),
            Command::Topics(Topics::Acls(args)) => {
                access::print(&args.config.config, &args.roles, args.principal.as_deref())
            }
            Command::Schemas(Schemas::Push(file)) => topics::push_schemas(&file.config),
            Command::DeadLetters(DeadLetters::List(file)) => dead_letters::list(&file.config),
            Command::DeadLetters(DeadLetters::Show { offset, config }) => dead_letters::show(&config.config, offset),
            Command::DeadLetters(DeadLetters::Replay(args)) => dead_letters::replay(&args),
            Command::Check(file) => check::run(&file.config),
            Command::Tail(args) => tail::run(&args),
            Command::Status(args) => status::run(&args),
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
