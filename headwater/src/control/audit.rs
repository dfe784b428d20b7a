//! `headwater audit verify`.

use std::io::Write;

use clap::Subcommand;
use control::{Operator, Verified};

use super::{failed, with_operator};
use crate::{arguments::ConfigFile, exit::Failure};

/// Commands of the audit.
#[derive(Subcommand)]
pub enum Audit {
    /// Read every entry of every tenant, and say whether all fit
    ///
    /// Prints for each tenant its name, the number of entries and the hash of the newest; keep them, and compare: a later head with fewer
    /// entries, or with as many and another hash, was made by somebody. Exit status 1 names the first entry that does not fit.
    Verify(ConfigFile),
}

/// Runs one of them.
pub fn run(command: &Audit) -> Result<(), Failure> {
    let Audit::Verify(file) = command;
    with_operator(&file.config, verify)
}

async fn verify(operator: &Operator) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for tenant in operator.tenants().await.map_err(failed)? {
        let who = operator.within(&tenant);
        match operator.control().verify_audit(who.tenant()).await.map_err(failed)? {
            Verified::Fits { entries, head } => {
                let head = if head.is_empty() { "-" } else { &head };
                writeln!(std::io::stdout().lock(), "{}\t{entries}\t{head}", tenant.slug)?;
            }
            Verified::Misfit(misfit) => wrong.push(format!("tenant {}: {misfit}", tenant.slug)),
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("the audit does not fit: {}", wrong.join("; ")))),
    }
}
