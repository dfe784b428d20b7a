//! `headwater control`, `keys`, `organisations`, `people` and `audit`: what is kept of tenants, keys and contracts, worked on by whoever holds the store's own
//! credentials.
//!
//! Guarantee: what these commands change is in the audit like every other change, as done by the operator who ran them. The secret of a
//! key is printed once, alone on standard output, and is in no log.

mod audit;
mod keys;
mod life;
mod migrate;
mod organisations;
mod people;

use std::path::Path;

use control::{Error, Operator};
pub use {
    audit::{Audit, run as audit},
    keys::{Keys, run as keys},
    migrate::{Control, run as control},
    organisations::{Organisations, run as organisations},
    people::{People, run as people},
};

use crate::{exit::Failure, parts};

/// Opens the control store that the file names, and works on it.
fn with_operator<T>(file: &Path, work: impl AsyncFnOnce(&Operator) -> Result<T, Failure>) -> Result<T, Failure> {
    let config = runtime::config::load(file)?;
    parts::block_on(async {
        let operator = Operator::open(&config.control, &user()).await.map_err(failed)?;
        let done = work(&operator).await;
        operator.control().close().await;
        done
    })?
}

/// What the control store refused, of a command that names an account.
fn no_account(error: Error, email: Option<&str>) -> Failure {
    match (error, email) {
        (Error::NotFound, Some(email)) => Failure::new(format!("there is no account of {email}")),
        (error, _) => failed(error),
    }
}

/// The system's user who runs the command, for the audit.
fn user() -> String {
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned())
}

/// What the control store refused, with the exit code that it deserves.
fn failed(e: Error) -> Failure {
    match e {
        Error::Settings(_) => Failure::config(e),
        Error::Invalid(_) | Error::MoreThanMaker(_) => Failure::arguments(e),
        e => Failure::new(e),
    }
}
