//! `headwater organisations`: list, new, suspend, resume, networks, export, import, delete, tombstones.

use std::io::Write;

use clap::{Args, Subcommand};
use control::{Caller, Networks, Operator};
use schemas::Network;

use super::{failed, life, with_operator};
use crate::{arguments::ConfigFile, exit::Failure};

/// Commands of organisations.
#[derive(Subcommand)]
pub enum Organisations {
    /// One line for each: id, short name, name, since when, since when it is suspended
    List(ConfigFile),
    /// Found one; its id is printed
    New(New),
    /// Let nobody of it in any more, and evaluate and send nothing of it; nothing is lost, and it holds within 5 seconds
    Suspend(Suspend),
    /// Let its people and keys in again
    Resume(Named),
    /// Say which networks it reaches, its people and keys included; with none, all
    Networks(Entitle),
    /// Write all that the control store has of one to standard output, as JSON Lines; no secrets, no alerts
    Export(life::Export),
    /// Make what an export defines in a new organisation, or in one that is there: all or nothing; ids are new, channels without their secrets are disabled
    Import(life::Import),
    /// Delete one with all that it has; the process of the API does it, once nobody of it is let in any more
    Delete(life::Delete),
    /// What stays of those that were deleted: the heads of their audits, and what was removed where
    Tombstones(ConfigFile),
}

/// Arguments of `new`.
#[derive(Args)]
pub struct New {
    /// What it is called
    name: String,
    /// The e-mail address of an account that is to own it
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `suspend`.
#[derive(Args)]
pub struct Suspend {
    /// Its id or short name, as `list` tells it
    organisation: String,
    /// Why, for its people
    #[arg(long, value_name = "WORDS", default_value = "")]
    reason: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `networks`.
#[derive(Args)]
pub struct Entitle {
    /// Its id or short name, as `list` tells it
    organisation: String,
    /// A network that it reaches; several times for more
    #[arg(long, value_name = "SLUG")]
    network: Vec<Network>,
    #[command(flatten)]
    config: ConfigFile,
}

/// One of them.
#[derive(Args)]
pub struct Named {
    /// Its id or short name, as `list` tells it
    organisation: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs one of them.
pub fn run(command: &Organisations) -> Result<(), Failure> {
    match command {
        Organisations::List(file) => with_operator(&file.config, list),
        Organisations::New(args) => new(args),
        Organisations::Suspend(args) => suspend(&args.config, &args.organisation, Some(&args.reason)),
        Organisations::Resume(args) => suspend(&args.config, &args.organisation, None),
        Organisations::Networks(args) => entitle(args),
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

fn new(args: &New) -> Result<(), Failure> {
    with_operator(&args.config.config, async |operator| {
        let founded = operator.found_organisation(&args.name, args.owner.as_deref()).await;
        let founded = founded.map_err(|error| super::no_account(error, args.owner.as_deref()))?;
        writeln!(std::io::stdout().lock(), "{}", founded.id)?;
        Ok(())
    })
}

fn suspend(file: &ConfigFile, organisation: &str, reason: Option<&str>) -> Result<(), Failure> {
    with_operator(&file.config, async |operator| {
        let (home, found) = (operator.at_home(), life::find(operator, organisation).await?);
        let done = operator.control().suspend_organisation(Caller::here(&home), &found.id, reason).await;
        let state = done.map_err(failed)?.state();
        eprintln!("{} is {state}; every process knows it within 5 seconds", found.id);
        Ok(())
    })
}

fn entitle(args: &Entitle) -> Result<(), Failure> {
    let networks = if args.network.is_empty() { Networks::All } else { Networks::Only(args.network.clone()) };
    with_operator(&args.config.config, async |operator| {
        let (home, found) = (operator.at_home(), life::find(operator, &args.organisation).await?);
        operator.control().entitle(Caller::here(&home), &found.id, &networks).await.map_err(failed)
    })
}
