//! What a Bitcoin transaction moved, in words.

use serde_json::{Map, Value};

use crate::number::Number;

/// Satoshi of a bitcoin.
const COIN: u64 = 100_000_000;
/// Of a rate for a virtual byte, which is kept for a thousand.
const RATE: u64 = 1_000;

/// What a match of a Bitcoin transaction says of it: `received 2.5 BTC, moved 3 BTC, fee 500 sat (2.5 sat/vB)`; `None` for any other.
pub(super) fn of(arguments: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let moved = text("output_value")?;
    let mut all = Vec::new();
    for name in ["received", "spent"] {
        all.extend(
            text(name).filter(|amount| *amount != "0").map(|amount| format!("{name} {} BTC", parts(amount, COIN))),
        );
    }
    all.push(format!("moved {} BTC", parts(moved, COIN)));
    if let Some(fee) = text("fee") {
        let rate = text("fee_rate").map(|rate| format!(" ({} sat/vB)", parts(rate, RATE)));
        all.push(format!("fee {fee} sat{}", rate.unwrap_or_default()));
    }
    all.extend(text("pool").map(|pool| format!("mined by {pool}")));
    Some(all.join(", "))
}

/// A whole number of small parts as a decimal number of large ones, each of so many; what is none stays.
fn parts(number: &str, of: u64) -> String {
    let large = number.parse().ok().and_then(|small| Number::ratio(small, of));
    large.map_or_else(|| number.to_owned(), |large| large.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_told_in_bitcoins() {
        let of = |json: Value| of(json.as_object().expect("an object"));
        let all = json!({"output_value": "300000000", "received": "250000000", "spent": "0", "fee": "500", "fee_rate": "2505"});
        assert_eq!(of(all).as_deref(), Some("received 2.5 BTC, moved 3 BTC, fee 500 sat (2.505 sat/vB)"));
        let coinbase = json!({"output_value": "1", "pool": "SlushPool"});
        assert_eq!(of(coinbase).as_deref(), Some("moved 0.00000001 BTC, mined by SlushPool"));
        assert_eq!(of(json!({"value": "5"})), None);
        assert_eq!([parts("0", COIN), parts("x", COIN), parts("1000", RATE)], ["0", "x", "1"]);
    }
}
