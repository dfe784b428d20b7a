//! `headwater control migrate` and `rotate-secret`.

use std::io::Write;

use clap::{Args, Subcommand};

use control::{Rotated, Rotation};

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
    /// Put another secret in the place of the present one; everything that is sealed is sealed anew, all of it or nothing
    ///
    /// With `[control] secret`: write the new one there and the one that was there as `former_secret`, for every process, and start them again;
    /// then run this. Beside SQLite without it: run this, and start Headwater again. Then run it with `--finish`.
    RotateSecret(RotateSecret),
}

/// Arguments of `rotate-secret`.
#[derive(Args)]
pub struct RotateSecret {
    #[command(flatten)]
    config: ConfigFile,
    /// Every process was started again since: do what is left, and let go of the former secret
    #[arg(long)]
    finish: bool,
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
    match command {
        Control::Migrate(args) => migrate(args),
        Control::RotateSecret(args) => rotate_secret(args),
    }
}

fn rotate_secret(args: &RotateSecret) -> Result<(), Failure> {
    let settings = runtime::config::load(&args.config.config)?.control;
    let rotation = if args.finish { Rotation::Finish } else { Rotation::Begin };
    let rotated = parts::block_on(control::rotate_secret(&settings, &super::user(), rotation))?.map_err(failed)?;
    let Rotated { things, people, signing_keys, .. } = rotated;
    writeln!(std::io::stdout().lock(), "things\t{things}\npeople\t{people}\nsigning_keys\t{signing_keys}")?;
    let place = settings.place();
    match (args.finish, settings.secret.is_some()) {
        (false, _) => eprintln!(
            "{place}: sealed with the new secret; start every process of Headwater again, then run this with --finish"
        ),
        (true, true) => eprintln!("{place}: `former_secret` can be taken out of the configuration"),
        (true, false) => eprintln!("{place}: the former secret was removed; start Headwater again"),
    }
    Ok(())
}

fn migrate(args: &Migrate) -> Result<(), Failure> {
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
