//! Arguments.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{check, demo, exit::Failure, status, store, tail, up};

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
    /// Run the embedded store alone, on `[store] listen`
    Store(ConfigFile),
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
    /// One JSON object a line
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
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Up(file) => up::run(&file.config),
            Command::Demo(args) => demo::run(args),
            Command::Store(file) => store::run(&file.config),
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
