//! Which transactions: the query parameters that lists and exports share.
//!
//! Guarantee: what is not understood is refused, and never left out; two requests with the same filters have one name, to which cursors
//! are bound.

use schemas::{Network, Status, primitives::ParseError};
use store::query::TransactionFilter;

use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    kept, methods,
    params::{BlockName, Params, cause, path_block},
};

/// The parameters.
pub const KNOWN: [&str; 10] =
    ["network", "contract", "address", "method", "block", "status", "cause", "from", "to", "sort"];

/// A filter, without cursor and limit, and its name.
pub async fn read(app: &App, asking: &Asking, params: &Params) -> Result<(TransactionFilter, String), ApiError> {
    let methods = match params.text("method")? {
        Some(text) => methods::named(app, asking, "method", text).await?.iter().map(ToString::to_string).collect(),
        None => Vec::new(),
    };
    let network = params.network()?;
    let named = params.text("block")?.map(path_block).transpose()?;
    if let (Some(_), None) = (&named, &network) {
        let value = params.text("block")?.unwrap_or_default();
        return Err(ApiError::invalid("block", value, "a block of one network: add `network`"));
    }
    if let Some(network) = &network {
        app.known_network(network).await?;
    }
    let block = match (named, &network) {
        (Some(named), Some(network)) => Some(height(app, network, named).await?),
        _ => None,
    };
    let filter = TransactionFilter {
        network,
        contract: params.address("contract")?,
        address: params.address("address")?,
        status: params.parsed("status", "success, failed or unknown", |v| v.parse::<Status>().ok())?,
        causes: params.parsed("cause", CAUSE, cause)?.into_iter().collect(),
        found_by: None,
        methods,
        block,
        from: params.time("from")?,
        to: params.time("to")?,
        sort: params.sort()?,
        cursor: None,
        limit: 0,
    };
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from >= to
    {
        let value = params.text("to")?.unwrap_or_default();
        return Err(ApiError::invalid("to", value, "a time after `from`"));
    }
    let TransactionFilter { network, contract, address, status, causes, methods, block, from, to, sort, .. } = &filter;
    let name = format!(
        "txs {network:?} {contract:?} {address:?} {status:?} {causes:?} {methods:?} {block:?} {from:?} {to:?} {sort:?}"
    );
    Ok((filter, name))
}

/// The height of a block.
async fn height(app: &App, network: &Network, named: BlockName) -> Result<u64, ApiError> {
    let hash = match named {
        BlockName::Height(height) => return Ok(height),
        BlockName::Hash(hash) => hash,
    };
    let parsed = hash.parse().map_err(|e: ParseError| ApiError::invalid("block", &hash, e.expected))?;
    match app.store.block_by_hash(network, &parsed).await.map_err(|e| ApiError::from_store(&e))? {
        Some(block) => Ok(block.number),
        None => {
            let doubt = kept::doubt(app, network).await?;
            Err(ApiError::BlockNotFound { network: network.to_string(), block: hash, doubt })
        }
    }
}

/// What a cause is.
pub const CAUSE: &str = "a failure cause: a word of a-z, 0-9 and _, such as out_of_gas";
