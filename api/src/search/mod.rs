//! `GET /search`: from what somebody has in hand to the page that tells of it.
//!
//! Guarantee: nothing is found of a network that the caller does not reach, nor a name that is another's (rule 14). An answer has at most
//! [`finding::SEARCH_ITEMS`] items and looks into at most [`finding::SEARCH_NETWORKS`] networks, with one question to the store of a kind; of an
//! address one for each network, a few at a time and for a few seconds.

mod asked;

use asked::Asked;
use schemas::{Network, limits::finding};
use tokio::time::timeout;

use crate::{
    app::App,
    decoding::{Names, PATIENCE},
    door::Asking,
    error::ApiError,
    items::{FoundItem, FoundItems},
    kept,
};

/// What to write.
pub const EXPECTED: &str =
    "a hash, a height, an address, or a part of a contract's or network's name; at most 256 bytes";

/// So many networks are asked whether they hold headers alone, where a hash is not found.
const LOOKED_AT: usize = 4;

/// What a text finds in these networks: in the one that is named, or in all that the caller reaches.
///
/// # Errors
/// The store is away, or the network is not there.
pub async fn find(app: &App, asking: &Asking, text: &str, network: Option<Network>) -> Result<FoundItems, ApiError> {
    let (networks, cut) = reached(app, asking, network).await?;
    let asked = asked::read(text);
    let is_hash = matches!(asked, Asked::Hash(..));
    let mut items = match asked {
        Asked::Hash(with, without) => {
            // One of both forms is that of the network's family.
            let mut items = hash(app, &with, &networks).await?;
            if items.is_empty() {
                items = hash(app, &without, &networks).await?;
            }
            items
        }
        Asked::Address(address) => self::address(app, asking, &address, &networks).await?,
        Asked::Height(height) => {
            let mut items = self::height(app, height, &networks).await?;
            items.extend(names(app, asking, text, &networks).await);
            items
        }
        Asked::Name => names(app, asking, text, &networks).await,
    };
    let more = items.len() > finding::SEARCH_ITEMS;
    items.truncate(finding::SEARCH_ITEMS);
    let note = match (items.is_empty(), more, cut) {
        (_, true, _) => Some(format!("there are more than {}: write more of it", finding::SEARCH_ITEMS)),
        (_, _, true) => Some(format!("only {} networks were looked into: add `network`", finding::SEARCH_NETWORKS)),
        (true, ..) => {
            let headers = if is_hash { headers(app, &networks).await } else { None };
            let doubt = headers.map_or_else(String::new, |headers| format!("{headers}; "));
            Some(format!("nothing was found; {doubt}what can be looked for: {EXPECTED}"))
        }
        (false, ..) => None,
    };
    Ok(FoundItems { items, note })
}

/// The networks that are looked into, and whether there are more.
async fn reached(app: &App, asking: &Asking, network: Option<Network>) -> Result<(Vec<Network>, bool), ApiError> {
    if let Some(network) = network {
        if !asking.reach().contains(network.as_str()) {
            return Err(ApiError::NetworkNotFound { network: network.to_string() });
        }
        app.known_network(&network).await?;
        return Ok((vec![network], false));
    }
    let all = app.reached(asking).await?;
    let cut = all.len() > finding::SEARCH_NETWORKS;
    Ok((all.into_iter().take(finding::SEARCH_NETWORKS).collect(), cut))
}

/// The first of these networks of which blocks are held as headers alone, in words: a transaction of theirs is not found.
async fn headers(app: &App, networks: &[Network]) -> Option<String> {
    for network in networks.iter().take(LOOKED_AT) {
        if let Some(words) = kept::headers(app, network).await {
            return Some(words);
        }
    }
    None
}

async fn hash(app: &App, hash: &str, networks: &[Network]) -> Result<Vec<FoundItem>, ApiError> {
    let found = app.store.found_hash(hash, networks).await.map_err(|e| ApiError::from_store(&e))?;
    let item = |found: store::query::FoundHash| {
        let place = if found.kind == "block" { "blocks" } else { "txs" };
        FoundItem {
            path: format!("/{place}/{}/{hash}", found.network),
            kind: found.kind,
            network: found.network,
            id: hash.to_owned(),
            hash: Some(hash.to_owned()),
            height: Some(found.height),
            status: found.status,
            cause: found.cause,
            ..FoundItem::default()
        }
    };
    Ok(found.into_iter().map(item).collect())
}

async fn height(app: &App, height: u64, networks: &[Network]) -> Result<Vec<FoundItem>, ApiError> {
    let found = app.store.found_height(height, networks).await.map_err(|e| ApiError::from_store(&e))?;
    let item = |found: store::query::FoundHeight| FoundItem {
        kind: "block".to_owned(),
        id: height.to_string(),
        path: format!("/blocks/{}/{height}", found.network),
        network: found.network,
        hash: Some(found.hash),
        height: Some(height),
        ..FoundItem::default()
    };
    Ok(found.into_iter().map(item).collect())
}

/// Contracts of this address that somebody has named come first; then the networks in which it occurs.
async fn address(app: &App, asking: &Asking, address: &str, networks: &[Network]) -> Result<Vec<FoundItem>, ApiError> {
    let names = Names::of(app, asking, networks.iter().map(|network| (network.as_str(), address))).await;
    let named = |network: &Network| {
        names.of_contract(network.as_str(), address).map(|name| contract(network.as_str(), address, Some(name)))
    };
    let mut items: Vec<FoundItem> = networks.iter().filter_map(named).collect();
    if items.len() <= finding::SEARCH_ITEMS {
        let rest: Vec<Network> =
            networks.iter().filter(|n| items.iter().all(|item| item.network != n.as_str())).cloned().collect();
        let found = app.store.found_address(address, &rest).await.map_err(|e| ApiError::from_store(&e))?;
        items.extend(found.iter().map(|network| contract(network, address, None)));
    }
    Ok(items)
}

fn contract(network: &str, address: &str, name: Option<String>) -> FoundItem {
    FoundItem {
        kind: if name.is_some() { "contract" } else { "address" }.to_owned(),
        network: network.to_owned(),
        id: address.to_owned(),
        path: format!("/txs?network={network}&address={address}"),
        address: Some(address.to_owned()),
        name,
        ..FoundItem::default()
    }
}

/// Networks and contracts with this text in their names. A control store that is away costs names only.
async fn names(app: &App, asking: &Asking, text: &str, networks: &[Network]) -> Vec<FoundItem> {
    let part = text.to_lowercase();
    let of_networks = networks.iter().filter(|network| network.as_str().contains(&part)).map(|network| FoundItem {
        kind: "network".to_owned(),
        network: network.to_string(),
        id: network.to_string(),
        path: format!("/txs?network={network}"),
        name: Some(network.to_string()),
        ..FoundItem::default()
    });
    let mut items: Vec<FoundItem> = of_networks.take(finding::SEARCH_ITEMS).collect();
    let mut add = |network: &Network, address: &str, name: &str| {
        let is_new = items.iter().all(|item| (&*item.network, &*item.id) != (network.as_str(), address));
        if is_new && items.len() <= finding::SEARCH_ITEMS && networks.contains(network) {
            items.push(contract(network.as_str(), address, Some(name.to_owned())));
        }
    };
    if let (Some(tenant), Ok(control)) = (asking.tenant(), app.control()) {
        let most = finding::SEARCH_ITEMS as u32 + 1;
        match timeout(PATIENCE, control.contracts_called(tenant, &part, most)).await {
            Ok(Ok(own)) => own.iter().for_each(|c| add(&c.network, &c.address, &c.name)),
            Ok(Err(error)) => tracing::debug!(%error, "a search goes without contracts of who asks"),
            Err(_) => tracing::debug!("a search goes without contracts of who asks: they took too long"),
        }
    }
    for c in app.config.contracts.borrow().iter().filter(|c| c.name.to_lowercase().contains(&part)) {
        add(&c.network, &c.address, &c.name);
    }
    items
}
