//! Monitors of alerts as people have them, for measurements: what they say, and what they are about where nothing shall be found.

use serde_json::{Value, json};

/// What monitors mostly say, each a little different.
pub(crate) fn conditions(n: usize) -> Value {
    match n % 3 {
        0 => json!({
            "events": [{"signature": "Transfer(address,address,uint256)", "expression": format!("value > {n}")}],
            "transactions": [{"status": "Success"}]
        }),
        1 => json!({
            "functions": [{"signature": "transfer(address to, uint256 amount)", "expression": format!("amount > {n} gwei")}],
            "events": [{"signature": "Approval(address,address,uint256)"}]
        }),
        _ => json!({
            "transactions": [{"status": "Any", "expression": format!("value >= {n} wei AND gas_used > 21000")}]
        }),
    }
}

/// An address that nothing happens at, another for each.
pub(crate) fn elsewhere(n: usize) -> String {
    format!("0x{:040x}", 0x5eed_0000_0000_u64 + n as u64)
}

/// A monitor of a network that finds nothing, another for each.
pub(crate) fn nowhere(network: &str, n: usize) -> Value {
    json!({
        "name": format!("m{n:05}"), "network": network, "addresses": [{"address": elsewhere(n)}], "match_conditions": conditions(n)
    })
}
