//! `headwater check`: validates a configuration and opens nothing.

use std::path::Path;

use nodes::bitcoin::Kind;
use runtime::config::{
    Chain, Network,
    folder::{self, Folder},
};
use schemas::profiles::{Profile, Proof};

use crate::{exit::Failure, parts};

/// Checks the file and says what it would do.
pub fn run(file: &Path) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    parts::table_of_causes(&config).map_err(Failure::config)?;
    let folder = folder::look(&config.data_dir);
    if let Folder::Wrong(words) = folder {
        return Err(Failure::config(format!("{}: {words}", file.display())));
    }
    let networks: Vec<String> = config.networks.iter().map(in_short).collect();
    let what = if networks.is_empty() { "no network".to_owned() } else { networks.join(", ") };
    eprintln!("{}: no mistakes; follows {what}; data in {}", file.display(), config.data_dir.display());
    eprintln!("tenants, keys and contracts in {}", config.control.place());
    if !config.contract_sources.is_empty() {
        let sources: Vec<String> = config.contract_sources.iter().map(|source| source.name()).collect();
        eprintln!("names and ABIs of contracts from {}", sources.join(", "));
    }
    if let Some(table) = &config.causes.table {
        eprintln!("causes of failures by {} and our table", table.display());
    }
    if networks.is_empty() {
        eprintln!("add `[[network]]` to follow a chain; the README shows one");
    }
    for note in config.networks.iter().filter_map(of_profile) {
        eprintln!("note: {note}");
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

fn in_short(network: &Network) -> String {
    let chain = match network.chain {
        Chain::Evm { chain_id } => format!("profile {}", Profile::of(chain_id).proof.as_str()),
        Chain::Bitcoin { chain: Some(chain) } => format!("bitcoin {chain}"),
        Chain::Bitcoin { chain: None } => "bitcoin, the chain that most of them say".to_owned(),
    };
    format!("{} ({} endpoints, {chain})", network.slug, network.endpoints.len())
}

/// What is to be known of a network: its chain's profile rests on documentation only, or there is none; nobody gives bodies of blocks.
fn of_profile(network: &Network) -> Option<String> {
    let slug = &network.slug;
    let Some(id) = network.chain.evm_id() else {
        let bodies = network.endpoints.iter().any(|e| Kind::of(&e.url) == Kind::Core);
        return (!bodies).then(|| {
            format!(
                "{slug}: no endpoint is Bitcoin Core's, so that headers alone are followed (coverage = header); add one with an http:// \
                 URL for transactions"
            )
        });
    };
    let profile = Profile::of(id);
    match profile.proof {
        Proof::Proved | Proof::Development => None,
        Proof::Unproven => Some(format!(
            "{slug}: fees of chain {id} ({}) are reckoned by its documentation; no recorded receipt has proved them (docs/fees.md)",
            profile.name
        )),
        Proof::Unknown => Some(format!(
            "{slug}: chain {id} is not known: fees are what its receipts have fields for, and hashes decide nothing (docs/fees.md)"
        )),
    }
}
