//! `headwater control migrate`.

use std::io::Write;

use clap::{Args, Subcommand};

use super::failed;
use crate::{arguments::ConfigFile, exit::Failure, parts};

/// Commands of the control store.
#[derive(Subcommand)]
pub enum Control {
    /// Bring its tables to what this version wants; forward only, all of it or nothing
    ///
    /// PostgreSQL wants it before the first start and after an upgrade, as the role of `[control] migrate_url`; it also says what the role
    /// of `[control] url` may do. SQLite is migrated by whoever opens it.
    Migrate(Migrate),
}

/// Arguments of `migrate`.
#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the SQL that would be run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs one of them.
pub fn run(command: &Control) -> Result<(), Failure> {
    let Control::Migrate(args) = command;
    let config = runtime::config::load(&args.config.config)?;
    let steps = parts::block_on(control::migrate(&config.control, args.dry_run))?.map_err(failed)?;
    let mut out = std::io::stdout().lock();
    for step in &steps {
        if args.dry_run {
            writeln!(out, "-- {:04} {}\n{}", step.number, step.name, step.sql)?;
        } else {
            writeln!(out, "{:04}\t{}\tapplied", step.number, step.name)?;
        }
    }
    let place = config.control.place();
    match (steps.len(), args.dry_run) {
        (0, _) => eprintln!("{place}: nothing to do"),
        (n, true) => eprintln!("{place}: {n} migrations would be applied; nothing was changed"),
        (n, false) => eprintln!("{place}: {n} migrations applied"),
    }
    Ok(())
}
