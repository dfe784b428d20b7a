//! What each kind of contract source is asked, and what its answers mean. Pure.
//!
//! Guarantee: whatever a source sends is one of: what it says of the contract, that it has nothing, that it is to be asked more slowly
//! or later, or that it will not answer until an operator changes something. None of it holds the source's key, though the source sent
//! it back, and its words are short. Sources: the documentation of Etherscan's API v2, Blockscout's API v2 and Etherscan-compatible API,
//! and Sourcify's API v2, as `docs/facts.md` cites them.

use std::time::Duration;

use alloy_primitives::Address;
use schemas::records::FactSource;
use serde_json::Value;
use url::Url;

use super::http::{Answer, Trouble, scrub, shown};

/// What a source says of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Its sources are there.
    Verified {
        /// The contract's name.
        name: Option<String>,
        /// The ABI as it stands there, unchecked.
        abi: Option<String>,
    },
    /// It has nothing on it.
    Nothing,
    /// It has nothing on this chain.
    OtherChain(String),
}

/// Blockscout's own host for all chains, which speaks Etherscan's way.
const BLOCKSCOUT_PRO: &str = "api.blockscout.com";

/// Where a contract is asked for. Fails on a URL that cannot have a path.
pub fn question(kind: FactSource, base: &Url, key: Option<&str>, chain: u64, of: Address) -> Option<Url> {
    let address = format!("{of:#x}");
    let mut url = base.clone();
    url.set_fragment(None);
    let etherscan = |url: &mut Url| {
        let mut query = url.query_pairs_mut();
        query.append_pair("chainid", &chain.to_string()).append_pair("module", "contract");
        query.append_pair("action", "getsourcecode").append_pair("address", &address);
        if let Some(key) = key {
            query.append_pair("apikey", key);
        }
    };
    let add = |url: &mut Url, parts: &[&str]| -> Option<()> {
        url.path_segments_mut().ok()?.pop_if_empty().extend(parts);
        Some(())
    };
    match kind {
        FactSource::Etherscan => etherscan(&mut url),
        FactSource::Blockscout if base.host_str() == Some(BLOCKSCOUT_PRO) => {
            if url.path() == "/" {
                add(&mut url, &["v2", "api"])?;
            }
            etherscan(&mut url);
        }
        FactSource::Blockscout => {
            add(&mut url, &["api", "v2", "smart-contracts", &address])?;
            if let Some(key) = key {
                url.query_pairs_mut().append_pair("apikey", key);
            }
        }
        FactSource::Sourcify => {
            add(&mut url, &["v2", "contract", &chain.to_string(), &address])?;
            url.query_pairs_mut().append_pair("fields", "abi,compilation");
        }
        FactSource::Operator => return None,
    }
    Some(url)
}

/// What an answer to a question with this key says.
///
/// # Errors
/// What keeps it from saying anything.
pub fn read(kind: FactSource, base: &Url, key: Option<&str>, answer: &Answer) -> Result<Said, Trouble> {
    let shown = |words: String| shown(&words, key);
    match whole(kind, base, answer) {
        Ok(Said::Verified { name, abi }) => {
            // A text that is to be read is left as it is, or left out.
            let abi = abi.filter(|abi| scrub(abi, key) == *abi);
            Ok(match name.map(|name| scrub(&name, key).into_owned()) {
                None if abi.is_none() => Said::Nothing,
                name => Said::Verified { name, abi },
            })
        }
        Ok(Said::OtherChain(words)) => Ok(Said::OtherChain(shown(words))),
        Ok(Said::Nothing) => Ok(Said::Nothing),
        Err(Trouble::Throttled(wait, words)) => Err(Trouble::Throttled(wait, shown(words))),
        Err(Trouble::Away(words)) => Err(Trouble::Away(shown(words))),
        Err(Trouble::Refused(words)) => Err(Trouble::Refused(shown(words))),
    }
}

fn whole(kind: FactSource, base: &Url, answer: &Answer) -> Result<Said, Trouble> {
    let value: Value = serde_json::from_str(&answer.body)
        .map_err(|e| Trouble::Away(format!("status {}, and it is no JSON: {e}", answer.status)))?;
    match kind {
        FactSource::Blockscout if base.host_str() != Some(BLOCKSCOUT_PRO) => blockscout(answer.status, &value),
        FactSource::Sourcify => sourcify(answer.status, &value),
        _ => etherscan(answer.status, &value),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// An ABI as it stands in a field: a list, or a text that holds one.
fn abi_in(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if text.trim_start().starts_with('[') => Some(text.clone()),
        list @ Value::Array(_) => Some(list.to_string()),
        _ => None,
    }
}

fn etherscan(status: u16, value: &Value) -> Result<Said, Trouble> {
    let result = value.get("result").unwrap_or(&Value::Null);
    let contract = match result {
        Value::Array(list) => list.first(),
        Value::Object(_) => Some(result),
        _ => None,
    };
    if let Some(contract) = contract {
        let abi = contract.get("ABI").or(contract.get("abi"));
        let name = text(contract, "ContractName").or(text(contract, "Name")).map(str::to_owned);
        return Ok(match abi_in(abi) {
            None if name.is_none() => Said::Nothing,
            abi => Said::Verified { name, abi },
        });
    }
    let said = [result.as_str(), text(value, "message"), text(value, "error")];
    let said = said.into_iter().flatten().find(|said| !said.eq_ignore_ascii_case("NOTOK")).unwrap_or("nothing");
    Err(match words(said) {
        Words::NotVerified => return Ok(Said::Nothing),
        Words::OtherChain => return Ok(Said::OtherChain(said.to_owned())),
        Words::Refused => Trouble::Refused(said.to_owned()),
        Words::Day => Trouble::Throttled(Some(DAY_WAIT), said.to_owned()),
        Words::TooFast => Trouble::Throttled(None, said.to_owned()),
        Words::Other => Trouble::Away(format!("status {status}: {said}")),
    })
}

/// Pause when the plan's day is used up: not known when its day ends.
const DAY_WAIT: Duration = Duration::from_secs(3_600);

enum Words {
    NotVerified,
    OtherChain,
    Refused,
    Day,
    TooFast,
    Other,
}

/// What an error of an Etherscan-compatible source means; all come with status 200.
fn words(said: &str) -> Words {
    let lower = said.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if any(&["not verified", "contract not found", "smart-contract not found"]) {
        Words::NotVerified
    } else if any(&["chainid", "not supported for this chain", "upgrade your api plan"]) {
        Words::OtherChain
    } else if any(&["invalid api key", "invalid action", "invalid address", "deprecated"]) {
        Words::Refused
    } else if any(&["daily"]) {
        Words::Day
    } else if any(&["rate limit", "too many", "calls per sec", "max calls", "limit reached", "temporarily"]) {
        Words::TooFast
    } else {
        Words::Other
    }
}

fn blockscout(status: u16, value: &Value) -> Result<Said, Trouble> {
    let said = || text(value, "message").unwrap_or("nothing");
    match status {
        404 => Ok(Said::Nothing),
        200 => Ok(match (abi_in(value.get("abi")), text(value, "name")) {
            (None, None) => Said::Nothing,
            (abi, name) => Said::Verified { name: name.map(str::to_owned), abi },
        }),
        403 => Err(Trouble::Refused(format!("status 403: {}", said()))),
        _ => Err(Trouble::Away(format!("status {status}: {}", said()))),
    }
}

fn sourcify(status: u16, value: &Value) -> Result<Said, Trouble> {
    let code = text(value, "customCode").unwrap_or_default();
    let said = || text(value, "message").unwrap_or(code);
    match (status, code) {
        (_, "unsupported_chain") => Ok(Said::OtherChain(said().to_owned())),
        (_, "too_many_requests") => Err(Trouble::Throttled(None, said().to_owned())),
        (404, _) => Ok(Said::Nothing),
        (200, _) => {
            let name = value.get("compilation").and_then(|c| text(c, "name")).map(str::to_owned);
            Ok(match (abi_in(value.get("abi")), name) {
                (None, None) => Said::Nothing,
                (abi, name) => Said::Verified { name, abi },
            })
        }
        (403, _) => Err(Trouble::Refused(format!("status 403: {}", said()))),
        _ => Err(Trouble::Away(format!("status {status}: {}", said()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    const OF: Address = Address::repeat_byte(0xab);
    const KEY: &str = "K3Y OF+OURS";

    #[test]
    fn each_kind_is_asked_its_own_way() {
        let asks = |kind, base: &str, key| question(kind, &url(base), key, 5000, OF).expect("a question").to_string();
        let address = format!("{OF:#x}");
        let tail = format!("chainid=5000&module=contract&action=getsourcecode&address={address}");
        assert_eq!(
            asks(FactSource::Etherscan, "https://api.etherscan.io/v2/api", Some("K Y")),
            format!("https://api.etherscan.io/v2/api?{tail}&apikey=K+Y")
        );
        assert_eq!(
            asks(FactSource::Blockscout, "https://explorer.mantle.xyz/", None),
            format!("https://explorer.mantle.xyz/api/v2/smart-contracts/{address}")
        );
        assert_eq!(
            asks(FactSource::Blockscout, "https://api.blockscout.com", Some("proapi_1")),
            format!("https://api.blockscout.com/v2/api?{tail}&apikey=proapi_1")
        );
        assert_eq!(
            asks(FactSource::Sourcify, "https://sourcify.dev/server", None),
            format!("https://sourcify.dev/server/v2/contract/5000/{address}?fields=abi%2Ccompilation")
        );
        assert_eq!(question(FactSource::Operator, &url("https://a.example"), None, 1, OF), None);
    }

    fn said(kind: FactSource, status: u16, body: Value) -> Result<Said, Trouble> {
        read(kind, &url("https://a.example"), Some(KEY), &Answer { status, body: body.to_string() })
    }

    #[test]
    fn etherscans_answers() {
        let ask = |body| said(FactSource::Etherscan, 200, body);
        let contract = json!({"ABI": "[{\"type\":\"receive\"}]", "ContractName": "Router", "SourceCode": "…"});
        let router = Said::Verified { name: Some("Router".into()), abi: Some("[{\"type\":\"receive\"}]".into()) };
        assert_eq!(ask(json!({"status": "1", "message": "OK", "result": [contract]})), Ok(router.clone()));
        assert_eq!(ask(json!({"status": "1", "message": "OK", "result": contract})), Ok(router));
        let not = json!({"ABI": "Contract source code not verified", "ContractName": "", "SourceCode": ""});
        assert_eq!(ask(json!({"status": "1", "message": "OK", "result": [not]})), Ok(Said::Nothing));
        let error = |words: &str| ask(json!({"status": "0", "message": "NOTOK", "result": words}));
        assert_eq!(error("Contract source code not verified"), Ok(Said::Nothing));
        for fast in [
            "Max calls per sec rate limit reached (3/sec)",
            "Max rate limit reached, please use API Key for higher rate limit",
        ] {
            assert!(matches!(error(fast), Err(Trouble::Throttled(None, _))), "{fast}");
        }
        assert!(matches!(error("Max daily rate limit reached. 100000"), Err(Trouble::Throttled(Some(DAY_WAIT), _))));
        for key in [
            "Invalid API Key (#err2)",
            "Missing/Invalid API Key",
            "Too many invalid api key attempts, please try later",
        ] {
            assert!(matches!(error(key), Err(Trouble::Refused(_))), "{key}");
        }
        for chain in [
            "Missing or unsupported chainid parameter",
            "Free API access is not supported for this chain. Please upgrade your api plan for full chain coverage.",
        ] {
            assert!(matches!(error(chain), Ok(Said::OtherChain(_))), "{chain}");
        }
        assert!(matches!(error("Something went wrong"), Err(Trouble::Away(_))));
        let blockscout = json!({"status": "0", "message": "Contract source code not verified", "result": null});
        assert_eq!(ask(blockscout), Ok(Said::Nothing));
        for odd in [json!(7), json!({}), json!({"result": 7}), json!([])] {
            assert!(ask(odd).is_err());
        }
    }

    #[test]
    fn whatever_is_sent_back_it_is_short_and_without_the_key() {
        let in_url = "chainid=1&apikey=K3Y+OF%2BOURS&module=contract";
        let long = "x".repeat(1 << 20);
        for kind in [FactSource::Etherscan, FactSource::Blockscout, FactSource::Sourcify] {
            for says in ["Invalid API Key", "rate limit", "Max daily", "unsupported chainid", "something"] {
                let words = format!("{KEY} {in_url} {says} {KEY} {long}");
                for status in [200, 400, 403, 429, 500] {
                    let words = json!({"result": words, "message": words, "name": KEY, "customCode": words});
                    let heard = format!("{:?}", said(kind, status, words));
                    assert!(!heard.contains(KEY) && !heard.contains("%2BOURS"), "{heard}");
                    assert!(heard.len() < 200, "{heard}");
                }
            }
        }
        let chain = json!({"customCode": "unsupported_chain", "message": format!("{in_url}{long}")});
        let heard = said(FactSource::Sourcify, 404, chain);
        assert!(
            matches!(&heard, Ok(Said::OtherChain(words)) if words.len() == 120 && words.contains("***")),
            "{heard:?}"
        );
        // An ABI that holds it is none.
        let abi = json!([{"type": "receive", "note": KEY}]);
        let heard = said(FactSource::Blockscout, 200, json!({"abi": abi, "name": format!("of {KEY}")}));
        assert_eq!(heard, Ok(Said::Verified { name: Some("of ***".into()), abi: None }));
        assert_eq!(said(FactSource::Blockscout, 200, json!({"abi": abi})), Ok(Said::Nothing));
    }

    #[test]
    fn blockscouts_answers() {
        let ask = |status, body| said(FactSource::Blockscout, status, body);
        let abi = json!([{"type": "receive"}]);
        assert_eq!(
            ask(200, json!({"abi": abi, "name": "Router", "is_verified": true})),
            Ok(Said::Verified { name: Some("Router".into()), abi: Some(abi.to_string()) })
        );
        assert_eq!(ask(200, json!({"deployed_bytecode": "0x60"})), Ok(Said::Nothing));
        assert_eq!(ask(404, json!({"message": "Not found"})), Ok(Said::Nothing));
        assert!(matches!(ask(403, json!({"message": "no"})), Err(Trouble::Refused(_))));
        assert!(matches!(ask(422, json!({"message": "Invalid parameter(s)"})), Err(Trouble::Away(_))));
    }

    #[test]
    fn sourcifys_answers() {
        let ask = |status, body| said(FactSource::Sourcify, status, body);
        let abi = json!([{"type": "receive"}]);
        let whole =
            json!({"match": "exact_match", "abi": abi, "compilation": {"name": "Router", "language": "Solidity"}});
        assert_eq!(ask(200, whole), Ok(Said::Verified { name: Some("Router".into()), abi: Some(abi.to_string()) }));
        assert_eq!(ask(404, json!({"match": null, "chainId": "1"})), Ok(Said::Nothing));
        let chain = json!({"customCode": "unsupported_chain", "message": "The chain is not supported", "errorId": "1"});
        assert!(matches!(ask(404, chain), Ok(Said::OtherChain(_))));
        assert!(matches!(ask(429, json!({"customCode": "too_many_requests"})), Err(Trouble::Throttled(None, _))));
        assert!(matches!(ask(500, json!({"customCode": "internal_error"})), Err(Trouble::Away(_))));
    }
}
