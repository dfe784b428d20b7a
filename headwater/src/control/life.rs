//! `headwater organisations export|import|delete|tombstones`.

use std::{io::Write, path::PathBuf};

use clap::Args;
use control::{Caller, Id, Operator, TenantInfo};
use schemas::TimeMs;

use super::{failed, with_operator};
use crate::{arguments::ConfigFile, exit::Failure, parts};

/// Arguments of `export`.
#[derive(Args)]
pub struct Export {
    /// Its id or short name, as `list` tells it
    organisation: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `import`.
#[derive(Args)]
pub struct Import {
    /// The file of an export
    file: PathBuf,
    /// The organisation in which it is made, by id or short name; best a new one
    #[arg(long, value_name = "ORGANISATION")]
    into: String,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `delete`.
#[derive(Args)]
pub struct Delete {
    /// Its id or short name, as `list` tells it
    organisation: String,
    /// It and all that it has is to go, and nothing brings it back
    #[arg(long, required = true)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// All that the control store has of an organisation, on standard output.
pub fn export(args: &Export) -> Result<(), Failure> {
    with_operator(&args.config.config, async |operator| {
        let who = operator.within(&find(operator, &args.organisation).await?);
        let control = operator.control();
        control.ask_for_export(Caller::here(&who), who.tenant().id()).await.map_err(failed)?;
        let mut exporter = control.exporter(&who, who.tenant().id()).map_err(failed)?;
        let (mut out, mut rows) = (std::io::stdout().lock(), 0u64);
        while let Some(lines) = exporter.next().await.map_err(failed)? {
            for line in &lines {
                writeln!(out, "{line}")?;
                rows += 1;
            }
        }
        writeln!(out, "{}", serde_json::json!({ "kind": "end", "rows": rows }))?;
        Ok(())
    })
}

/// What a document defines, in an organisation that is there.
pub fn import(args: &Import) -> Result<(), Failure> {
    let document = std::fs::read_to_string(&args.file)
        .map_err(|e| Failure::arguments(format!("{} cannot be read: {e}", args.file.display())))?;
    let bounds = parts::bounds(&runtime::config::load(&args.config.config)?.alerts);
    with_operator(&args.config.config, async |operator| {
        let who = operator.within(&find(operator, &args.into).await?);
        let imported = operator.control().import(Caller::here(&who), &document, &bounds).await.map_err(failed)?;
        writeln!(
            std::io::stdout().lock(),
            "{} contracts, {} channels, {} rules, {} monitors, {} silences",
            imported.contracts,
            imported.channels,
            imported.rules,
            imported.monitors,
            imported.silences
        )?;
        for name in &imported.without_secrets {
            eprintln!("channel `{name}` is disabled: set its `config` again, since no export has secrets");
        }
        Ok(())
    })
}

/// An organisation goes; the API's process does it.
pub fn delete(args: &Delete) -> Result<(), Failure> {
    with_operator(&args.config.config, async |operator| {
        let who = operator.within(&find(operator, &args.organisation).await?);
        let leaving = operator.control().delete_organisation(Caller::here(&who), who.tenant().id()).await;
        let leaving = leaving.map_err(failed)?;
        eprintln!(
            "nobody of {} is let in any more; the process of the API removes what it has, and `headwater organisations tombstones` \
             names it when that is done",
            leaving.id()
        );
        Ok(())
    })
}

/// What stays of those that were deleted, a line of JSON for each.
pub fn tombstones(file: &ConfigFile) -> Result<(), Failure> {
    with_operator(&file.config, async |operator| {
        let mut out = std::io::stdout().lock();
        for of in operator.control().tombstones(TimeMs(0)).await.map_err(failed)? {
            let line = serde_json::json!({
                "id": of.tenant, "name": of.name, "deleted_at": of.deleted_at.rfc3339(), "audit_entries": of.audit_entries,
                "audit_hash": of.audit_hash, "proof": of.proof,
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}

/// One by its id or short name.
pub(super) async fn find(operator: &Operator, text: &str) -> Result<TenantInfo, Failure> {
    let id = text.parse::<Id>().ok();
    let all = operator.tenants().await.map_err(failed)?;
    let found = all.into_iter().find(|tenant| tenant.slug == text || Some(tenant.id) == id);
    found.ok_or_else(|| {
        Failure::new(format!("there is no organisation `{text}`; `headwater organisations list` tells the ids"))
    })
}
