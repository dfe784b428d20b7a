//! `headwater keys`: new, list, rotate, revoke.

use std::{io::Write, time::Duration};

use clap::{Args, Subcommand};
use control::{Caller, Fresh, Id, Key, Networks, NewKey, Operator, Paging, Scopes};
use schemas::{Network, TimeMs};

use super::{failed, with_operator};
use crate::{arguments::ConfigFile, exit::Failure};

/// Commands of keys.
#[derive(Subcommand)]
pub enum Keys {
    /// Make a key; it is printed once, and only its hash is kept
    New(New),
    /// One line for each: id, prefix, name, scopes, networks, when it ends, when it was last used
    List(ConfigFile),
    /// Give a key another secret; the former one works for a while still
    Rotate(Rotate),
    /// End a key, and with it what it made; it stops within 5 seconds
    Revoke(Revoke),
}

/// Arguments of `new`.
#[derive(Args)]
pub struct New {
    /// What it is called
    name: String,
    /// What it may: RESOURCE:ACTION such as `contracts:write`, `*:read` or `*:*`; several times for more
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<String>,
    /// Only this network; several times for more
    #[arg(long, value_name = "SLUG")]
    network: Vec<Network>,
    /// How long it lives, such as `90d`; without it until it is revoked
    #[arg(long, value_name = "TIME", value_parser = runtime::config::time)]
    expires: Option<Duration>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `rotate`.
#[derive(Args)]
pub struct Rotate {
    /// Its id, as `list` tells it
    id: String,
    /// How long the former secret goes on to work, at most `7d`
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = runtime::config::time)]
    overlap: Duration,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `revoke`.
#[derive(Args)]
pub struct Revoke {
    /// Its id, as `list` tells it
    id: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Runs one of them.
pub fn run(command: &Keys) -> Result<(), Failure> {
    match command {
        Keys::New(args) => new(args),
        Keys::List(file) => with_operator(&file.config, list),
        Keys::Rotate(args) => rotate(args),
        Keys::Revoke(args) => revoke(args),
    }
}

fn new(args: &New) -> Result<(), Failure> {
    let scopes = Scopes::read(&args.scope).map_err(Failure::arguments)?;
    let networks = if args.network.is_empty() { Networks::All } else { Networks::Only(args.network.clone()) };
    let new = NewKey { name: args.name.clone(), scopes, networks, expires_in: args.expires };
    with_operator(&args.config.config, async |operator| {
        let who = operator.at_home();
        print(&operator.control().create_key(Caller::here(&who), new).await.map_err(failed)?)
    })
}

async fn list(operator: &Operator) -> Result<(), Failure> {
    let who = operator.at_home();
    let mut paging = Paging { limit: Some(1_000), ..Paging::default() };
    let mut out = std::io::stdout().lock();
    writeln!(out, "ID\tPREFIX\tNAME\tSCOPES\tNETWORKS\tMADE BY\tENDS\tLAST USED")?;
    loop {
        let page = operator.control().keys(who.tenant(), &paging).await.map_err(failed)?;
        for key in &page.items {
            writeln!(out, "{}", line(key))?;
        }
        match page.next {
            None => return Ok(()),
            next => paging.after = next,
        }
    }
}

/// A key in one line; names have no control characters, so that a tab is a tab.
fn line(key: &Key) -> String {
    let networks = if key.networks == Networks::All { "all".to_owned() } else { key.networks.listed().join(" ") };
    let ends = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", at.rfc3339()),
        (None, Some(at)) if at <= TimeMs::now() => format!("expired {}", at.rfc3339()),
        (None, Some(at)) => at.rfc3339(),
        (None, None) => "-".to_owned(),
    };
    let used = key.last_used_at.map_or_else(|| "-".to_owned(), |at| at.rfc3339());
    let cells = [
        key.id.to_string(),
        format!("hw_{}", key.prefix),
        key.name.clone(),
        key.scopes.texts().join(" "),
        networks,
        key.created_by.clone(),
        ends,
        used,
    ];
    cells.join("\t")
}

fn rotate(args: &Rotate) -> Result<(), Failure> {
    with_operator(&args.config.config, async |operator| {
        let (who, id) = (operator.at_home(), id(&args.id)?);
        let rotated = operator.control().rotate_key(Caller::here(&who), &id, args.overlap).await;
        print(&rotated.map_err(|e| of_key(e, &args.id))?)
    })
}

fn revoke(args: &Revoke) -> Result<(), Failure> {
    with_operator(&args.config.config, async |operator| {
        let (who, id) = (operator.at_home(), id(&args.id)?);
        let key = operator.control().revoke_key(Caller::here(&who), &id).await.map_err(|e| of_key(e, &args.id))?;
        eprintln!("`{}` (hw_{}) is revoked; every process refuses it within 5 seconds", key.name, key.prefix);
        Ok(())
    })
}

fn print(fresh: &Fresh) -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{}", fresh.text.expose())?;
    eprintln!("this is `{}`, id {}; it is not shown again", fresh.key.name, fresh.key.id);
    Ok(())
}

fn id(text: &str) -> Result<Id, Failure> {
    text.parse().map_err(|e| of_key(e, text))
}

fn of_key(e: control::Error, id: &str) -> Failure {
    match e {
        control::Error::NotFound => {
            Failure::new(format!("there is no key `{id}`; `headwater keys list` tells the ids"))
        }
        e => failed(e),
    }
}
