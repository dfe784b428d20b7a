//! The `headwater` command: reads arguments and configuration, wires the rooms together, turns outcomes into exit codes.
//!
//! Exit status: 0 done or stopped on request, 2 bad arguments, 78 bad configuration, 1 anything else. Standard output carries
//! results only; everything else goes to standard error.

mod access;
mod acls;
mod arguments;
mod check;
mod cli;
mod control;
mod dead_letters;
mod demo;
mod exit;
mod healthz;
mod origin;
mod parts;
mod reload;
mod requests;
mod stage;
mod status;
mod store;
mod tail;
mod topics;
mod up;
mod way;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::exit::Exit;

/// Runs the command that the arguments name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are results; clap knows where each goes. A closed pipe is nobody's fault.
            let _ = e.print();
            return if e.use_stderr() { Exit::Arguments.into() } else { Exit::Done.into() };
        }
    };
    match cli.run() {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            exit::report(&failure);
            failure.exit.into()
        }
    }
}
