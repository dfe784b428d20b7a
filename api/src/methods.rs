//! Functions as people name them: by selector, by signature, or by name.
//!
//! Guarantee: what comes of it are selectors, few enough for one look-up; a name that nothing is known of is refused with what to write,
//! since an empty list would look as if nobody called it. A name is looked for in the table that is compiled in, in the operator's ABIs and
//! in those of who asks, for who asks alone (rule 14).

use std::collections::BTreeSet;

use alloy_primitives::Selector;
use schemas::{
    abi::{Abi, What},
    limits,
};
use tokio::time::timeout;

use crate::{app::App, decoding::PATIENCE, door::Asking, error::ApiError};

/// What to write.
const EXPECTED: &str = "a function's selector (0x and 8 hex digits), its signature such as transfer(address,uint256), or a name that is \
                        known, such as transfer";
const MOST: usize = limits::METHODS_OF_A_NAME.0;

/// The selectors of what is named, one at least.
///
/// # Errors
/// It is none, or nothing is known of the name.
pub async fn named(app: &App, asking: &Asking, parameter: &str, text: &str) -> Result<Vec<Selector>, ApiError> {
    if let Some(selector) = of_itself(text) {
        return Ok(vec![selector]);
    }
    if !is_name(text) {
        return Err(ApiError::invalid(parameter, text, EXPECTED));
    }
    let mut found: BTreeSet<Selector> = decode::builtin().selectors(text).map(Selector::from).collect();
    for contract in &*app.config.contracts.borrow() {
        if let Some(abi) = &contract.abi {
            found.extend(selectors(abi, text));
        }
    }
    for abi in own(app, asking, text).await {
        found.extend(Abi::read(&abi).iter().flat_map(|abi| selectors(abi, text)));
    }
    match found.len() {
        0 => Err(ApiError::invalid(parameter, text, format!("{EXPECTED}; no function of this name is known here"))),
        many if many > MOST => {
            let expected = format!("a signature such as transfer(address,uint256): {many} functions have this name");
            Err(ApiError::invalid(parameter, text, expected))
        }
        _ => Ok(found.into_iter().collect()),
    }
}

/// Those of an ABI's functions that have this name.
fn selectors<'a>(abi: &'a Abi, name: &'a str) -> impl Iterator<Item = Selector> + use<'a> {
    let functions = abi.names().iter().filter(|named| named.what == What::Function);
    let of_name =
        functions.filter(move |named| named.signature.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')));
    of_name.filter_map(|named| named.id.parse().ok())
}

/// ABIs of who asks that may have a function of this name; none where they cannot be had in time.
async fn own(app: &App, asking: &Asking, name: &str) -> Vec<String> {
    let (Some(tenant), Ok(control)) = (asking.tenant(), app.control()) else { return Vec::new() };
    match timeout(PATIENCE, control.abis_naming(tenant, name, limits::METHODS_OF_A_NAME.1)).await {
        Ok(Ok(abis)) => abis,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a function is looked for without the ABIs of who asks");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

/// The selector of what needs no table: of a selector, and of a signature.
fn of_itself(text: &str) -> Option<Selector> {
    if let Some(digits) = text.strip_prefix("0x") {
        let is_selector = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        return text.parse().ok().filter(|_| is_selector);
    }
    if text.len() > limits::SIGNATURE_BYTES || !text.contains('(') {
        return None;
    }
    let selector = decode::selector(text)?;
    // A type that is none hashes like any other text, and would find nothing.
    let abi = decode::Abi::from_lines([format!("function {}", text.trim()).as_str()]).ok()?;
    abi.has_function(selector).then(|| Selector::from(selector))
}

/// Whether it is a name as Solidity allows it.
fn is_name(text: &str) -> bool {
    let mut characters = text.bytes();
    let first = characters.next().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$'));
    first && text.len() <= 128 && characters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_and_signatures_need_no_table() {
        for (text, selector) in [
            ("0xA9059CBB", "0xa9059cbb"),
            ("transfer(address,uint256)", "0xa9059cbb"),
            ("transfer(address to, uint256 amount)", "0xa9059cbb"),
            ("multicall(bytes[])", "0xac9650d8"),
            ("exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))", "0x414bf389"),
        ] {
            assert_eq!(of_itself(text), selector.parse().ok(), "{text}");
        }
        let long = format!("f({})", "uint256,".repeat(10_000));
        for text in
            ["", "0x", "0xa9059cb", "0xa9059cbbb", "0xzzzzzzzz", "transfer", "transfer(", "transfer(x)", "f(,)", &long]
        {
            assert_eq!(of_itself(text), None, "{text}");
        }
        for (text, is) in
            [("transfer", true), ("_a$1", true), ("1a", false), ("", false), ("a b", false), ("a'--", false)]
        {
            assert_eq!(is_name(text), is, "{text}");
        }
    }
}
