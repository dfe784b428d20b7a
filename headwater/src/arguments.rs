//! Arguments that several commands share; those of one command stand beside what it does.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

/// The configuration file.
#[derive(Args)]
pub struct ConfigFile {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", default_value = "headwater.toml", env = "HEADWATER_CONFIG")]
    pub config: PathBuf,
}

/// A stage in a process of its own.
#[derive(Args)]
pub struct StageProcess {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Names this process to its group instead of `[runtime] instance`; each process of a stage has a name of its own
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Where health and metrics listen instead of `[admin] listen`
    #[arg(long, value_name = "ADDR")]
    pub admin_listen: Option<SocketAddr>,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON
    Json,
    /// A table
    Table,
}
