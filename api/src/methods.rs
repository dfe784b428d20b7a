//! Functions as people name them: by selector, by signature, or by name.
//!
//! Guarantee: what comes of it are selectors, few enough for one look-up; a name that nothing is known of is refused with what to write,
//! since an empty list would look as if nobody called it.

use alloy_json_abi::Function;
use alloy_primitives::Selector;

use crate::{app::App, door::Asking, error::ApiError};

/// What to write.
const EXPECTED: &str = "a function's selector (0x and 8 hex digits), its signature such as transfer(address,uint256), or a name that is \
                        known, such as transfer";

/// The selectors of what is named, one at least.
///
/// # Errors
/// It is none, or nothing is known of the name.
pub async fn named(_app: &App, _asking: &Asking, parameter: &str, text: &str) -> Result<Vec<Selector>, ApiError> {
    of_itself(text).map(|selector| vec![selector]).ok_or_else(|| ApiError::invalid(parameter, text, EXPECTED))
}

/// The selector of what needs no table: of a selector, and of a signature.
fn of_itself(text: &str) -> Option<Selector> {
    if let Some(digits) = text.strip_prefix("0x") {
        let is_selector = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        return text.parse().ok().filter(|_| is_selector);
    }
    if !text.contains('(') || text.len() > schemas::limits::SIGNATURE_BYTES {
        return None;
    }
    let function = Function::parse(text).ok()?;
    // A type that is none hashes like any other text, and would find nothing.
    let known = |input: &alloy_json_abi::Param| !input.ty.is_empty() && !input.is_udt();
    function.inputs.iter().all(known).then(|| function.selector())
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
            ("function transfer(address to, uint amount)", "0xa9059cbb"),
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
    }
}
