//! `headwater organisations`: list, export, import, delete, tombstones.

use std::io::Write;

use clap::Subcommand;
use control::Operator;

use super::{failed, life, with_operator};
use crate::{arguments::ConfigFile, exit::Failure};

/// Commands of organisations.
#[derive(Subcommand)]
pub enum Organisations {
    /// One line for each: id, short name, name, since when, since when it is suspended
    List(ConfigFile),
    /// Write all that the control store has of one to standard output, as JSON Lines; no secrets, no alerts
    Export(life::Export),
    /// Make what an export defines in another organisation: ids are new, channels without their secrets are disabled
    Import(life::Import),
    /// Delete one with all that it has; the process of the API does it, once nobody of it is let in any more
    Delete(life::Delete),
    /// What stays of those that were deleted: the heads of their audits, and what was removed where
    Tombstones(ConfigFile),
}

/// Runs one of them.
pub fn run(command: &Organisations) -> Result<(), Failure> {
    match command {
        Organisations::List(file) => with_operator(&file.config, list),
        Organisations::Export(args) => life::export(args),
        Organisations::Import(args) => life::import(args),
        Organisations::Delete(args) => life::delete(args),
        Organisations::Tombstones(file) => life::tombstones(file),
    }
}

async fn list(operator: &Operator) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ID\tSHORT NAME\tNAME\tSINCE\tSUSPENDED")?;
    for tenant in operator.tenants().await.map_err(failed)? {
        let suspended = tenant.suspended_at.map_or_else(|| "-".to_owned(), |at| at.rfc3339());
        writeln!(out, "{}\t{}\t{}\t{}\t{suspended}", tenant.id, tenant.slug, tenant.name, tenant.created_at.rfc3339())?;
    }
    Ok(())
}
