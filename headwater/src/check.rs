//! `headwater check`: validates a configuration and opens nothing.

use std::path::Path;

use runtime::config::folder::{self, Folder};

use crate::exit::Failure;

/// Checks the file and says what it would do.
pub fn run(file: &Path) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let folder = folder::look(&config.data_dir);
    if let Folder::Wrong(words) = folder {
        return Err(Failure::config(format!("{}: {words}", file.display())));
    }
    let networks: Vec<String> =
        config.networks.iter().map(|n| format!("{} ({} endpoints)", n.slug, n.endpoints.len())).collect();
    let what = if networks.is_empty() { "no network".to_owned() } else { networks.join(", ") };
    eprintln!("{}: no mistakes; follows {what}; data in {}", file.display(), config.data_dir.display());
    eprintln!("tenants, keys and contracts in {}", config.control.place());
    if networks.is_empty() {
        eprintln!("add `[[network]]` to follow a chain; the README shows one");
    }
    let of_kafka = config.log.kafka.iter().flat_map(|kafka| kafka.warnings());
    let not_ours = match folder {
        Folder::NotOurs(words) => Some(words),
        Folder::Fine | Folder::Wrong(_) => None,
    };
    let of_doors = config.auth.warnings(&config.doors());
    let of_parts = config.store.warnings().into_iter().chain(of_kafka).chain(config.control.warnings());
    for warning in of_doors.into_iter().chain(of_parts).chain(not_ours) {
        eprintln!("warning: {warning}");
    }
    Ok(())
}
