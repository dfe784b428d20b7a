//! Which transactions: the query parameters that lists and exports share.
//!
//! Guarantee: what is not understood is refused, and never left out; two requests with the same filters have one name, to which cursors
//! are bound.

use schemas::{Network, Status, primitives::ParseError, records::CauseEvidence};
use store::query::TransactionFilter;
use utoipa::IntoParams;

use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    kept, methods,
    params::{BlockName, Params, cause, path_block},
};

/// The parameters.
pub const KNOWN: [&str; 11] =
    ["network", "contract", "address", "method", "block", "status", "cause", "found_by", "from", "to", "sort"];

/// The parameters, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
pub struct Query {
    /// Only this network, by height and position. Without it: all networks, by time.
    network: Option<String>,
    /// Sent to this contract, creating it, or with a log from it.
    contract: Option<String>,
    /// The same for an address, or sent by it.
    address: Option<String>,
    /// Calling this function: its selector (`0x` and 8 hex digits), its signature such as `transfer(address,uint256)`, or a name that
    /// is known, such as `transfer`, which stands for every function of that name.
    method: Option<String>,
    /// In this block, by height or hash; goes with `network`.
    block: Option<String>,
    /// `success`, `failed` or `unknown`.
    status: Option<String>,
    /// Failed for this cause: its class, such as `slippage`.
    cause: Option<String>,
    /// Failed for a cause that was found so: `trace`, `call`, `receipt` or `budget`.
    found_by: Option<String>,
    /// In blocks not earlier than this (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// In blocks earlier than this (RFC 3339).
    #[param(format = DateTime)]
    to: Option<String>,
    /// `newest` (default) or `oldest` first.
    sort: Option<String>,
}

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
        causes: params.parsed("cause", CAUSE, cause)?.map(|cause| written(&cause)).unwrap_or_default(),
        found_by: found_by(params.text("found_by")?)?.map(|by| by.to_string()),
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
    let TransactionFilter { network, contract, address, status, causes, .. } = &filter;
    let TransactionFilter { found_by, methods, block, from, to, sort, .. } = &filter;
    let name = format!(
        "txs {network:?} {contract:?} {address:?} {status:?} {causes:?} {found_by:?} {methods:?} {block:?} {from:?} {to:?} {sort:?}"
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
pub const CAUSE: &str = "a failure cause: a word of a-z, 0-9 and _, such as slippage";

/// One class by its name of now and that of rows of former versions.
const SAME: [&str; 2] = ["gas_limit", "out_of_gas"];

/// The words that stand in rows for a cause.
pub fn written(cause: &str) -> Vec<String> {
    let words = if SAME.contains(&cause) { &SAME[..] } else { &[cause] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// By what causes were found.
///
/// # Errors
/// It is no such word.
pub fn found_by(text: Option<&str>) -> Result<Option<CauseEvidence>, ApiError> {
    let expected = "trace, call, receipt or budget";
    text.map(|text| text.parse().map_err(|_| ApiError::invalid("found_by", text, expected))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_found_by_both_of_its_names() {
        assert_eq!(written("gas_limit"), written("out_of_gas"));
        assert_eq!(written("slippage"), ["slippage"]);
        assert_eq!(found_by(None).expect("nothing"), None);
        assert_eq!(found_by(Some("trace")).expect("a word"), Some(CauseEvidence::Trace));
        assert_eq!(found_by(Some("Trace")).expect_err("none").problem().parameter.as_deref(), Some("found_by"));
    }
}
