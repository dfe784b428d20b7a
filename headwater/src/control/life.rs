//! `headwater organisations export|import|delete|tombstones`.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use control::{Bounds, Caller, Id, ImportReader, Operator, Progress, TenantInfo, ToImport};
use schemas::TimeMs;

use super::{failed, with_operator};
use crate::{arguments::ConfigFile, exit::Failure};

/// Bytes of a file that are read at a time.
const PIECE: usize = 256 << 10;

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
    /// What a new organisation is called, in which it is made
    #[arg(long, value_name = "NAME", required_unless_present = "into")]
    new: Option<String>,
    /// The e-mail address of an account that is to own the new one
    #[arg(long, value_name = "EMAIL", requires = "new")]
    owner: Option<String>,
    /// The organisation that is there in which it is made, by id or short name; at most 1,000 things
    #[arg(long, value_name = "ORGANISATION", conflicts_with = "new")]
    into: Option<String>,
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

/// What a document defines, in a new organisation or in one that is there: all of it, or nothing.
pub fn import(args: &Import) -> Result<(), Failure> {
    let bounds = Bounds::of(&runtime::config::load(&args.config.config)?.alerts);
    with_operator(&args.config.config, async |operator| {
        let mut said = Said::default();
        let brought = read(&args.file, &bounds, &mut said).await?;
        let imported = match (&args.new, &args.into) {
            (Some(name), _) => {
                let said = std::sync::Mutex::new(said);
                let tell = |now: Progress| {
                    let mut said = said.lock().unwrap_or_else(|e| e.into_inner());
                    said.say(now.made == now.of, || format!("{} of {} things are made", now.made, now.of));
                };
                let made = operator.import_organisation(name, args.owner.as_deref(), brought, &bounds, tell).await;
                let (id, imported) = made.map_err(|error| super::no_account(error, args.owner.as_deref()))?;
                writeln!(std::io::stdout().lock(), "{id}")?;
                imported
            }
            (None, Some(into)) => {
                let who = operator.within(&find(operator, into).await?);
                operator.control().import(Caller::here(&who), brought, &bounds).await.map_err(failed)?
            }
            (None, None) => {
                return Err(Failure::arguments("name a new organisation, `--new NAME`, or `--into ORGANISATION`"));
            }
        };
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

/// What is said while an import goes on: a line a second at most.
#[derive(Default)]
struct Said(Option<Instant>);

impl Said {
    fn say(&mut self, last: bool, words: impl FnOnce() -> String) {
        if last || self.0.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            eprintln!("{}", words());
            self.0 = Some(Instant::now());
        }
    }
}

/// Looks at all that a file defines.
async fn read(path: &Path, bounds: &Bounds, said: &mut Said) -> Result<ToImport, Failure> {
    let refused = |e: std::io::Error| Failure::arguments(format!("{} cannot be read: {e}", path.display()));
    let mut file = File::open(path).map_err(refused)?;
    let (mut reader, mut piece) = (ImportReader::new(bounds), vec![0; PIECE]);
    loop {
        let bytes = file.read(&mut piece).map_err(refused)?;
        let more = reader.take(piece.get(..bytes).unwrap_or_default()).await.map_err(failed)?;
        if !more || bytes == 0 {
            break;
        }
        said.say(false, || format!("{} lines are read", reader.lines()));
    }
    eprintln!("{} lines are read, and that is all that is imported of it", reader.lines());
    reader.end().await.map_err(failed)
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
