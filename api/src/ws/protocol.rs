//! The messages of the WebSocket. What a client sends is parsed strictly; every mistake says what to write.

use axum::extract::ws::Utf8Bytes;
use schemas::{Network, limits};
use serde::{Deserialize, Serialize};

use super::filter::Filter;
use crate::error::{ApiError, Problem, cut};

/// How a client names its operation, so that answers can be told apart: a number or a short text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(u64),
    /// A text of at most 64 bytes.
    Text(String),
}

/// A set of topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Topics {
    /// Blocks are wanted.
    pub blocks: bool,
    /// Transactions are wanted.
    pub transactions: bool,
    /// States of endpoints are wanted.
    pub providers: bool,
    /// Windows are wanted.
    pub windows: bool,
    /// What becomes of alerts is wanted.
    pub alerts: bool,
}

impl Topics {
    /// All that there are.
    pub const ALL: Self = Self { blocks: true, transactions: true, providers: true, windows: true, alerts: true };

    /// Whether none is wanted.
    pub fn is_empty(self) -> bool {
        !self.has_chain() && !self.providers && !self.windows && !self.alerts
    }

    /// Whether block events are wanted, which have an order and a position.
    pub fn has_chain(self) -> bool {
        self.blocks || self.transactions
    }

    /// What either wants.
    pub fn union(self, other: Self) -> Self {
        Self {
            blocks: self.blocks || other.blocks,
            transactions: self.transactions || other.transactions,
            providers: self.providers || other.providers,
            windows: self.windows || other.windows,
            alerts: self.alerts || other.alerts,
        }
    }

    /// What this wants and the other does not.
    pub fn without(self, other: Self) -> Self {
        Self {
            blocks: self.blocks && !other.blocks,
            transactions: self.transactions && !other.transactions,
            providers: self.providers && !other.providers,
            windows: self.windows && !other.windows,
            alerts: self.alerts && !other.alerts,
        }
    }

    fn parse(words: &[String]) -> Result<Self, ApiError> {
        let mut topics = Self::default();
        for word in words {
            match word.as_str() {
                "blocks" => topics.blocks = true,
                "transactions" => topics.transactions = true,
                "providers" => topics.providers = true,
                "windows" => topics.windows = true,
                "alerts" => topics.alerts = true,
                other => {
                    let problem = format!(
                        "`{}` is no topic: write blocks, transactions, windows, providers or alerts in `topics`",
                        cut(other)
                    );
                    return Err(ApiError::InvalidOperation { problem });
                }
            }
        }
        if topics.is_empty() {
            let problem = "`topics` is empty: write for example [\"blocks\",\"transactions\"]".to_owned();
            return Err(ApiError::InvalidOperation { problem });
        }
        Ok(topics)
    }

    fn words(self) -> Vec<&'static str> {
        [
            (self.blocks, "blocks"),
            (self.transactions, "transactions"),
            (self.windows, "windows"),
            (self.providers, "providers"),
            (self.alerts, "alerts"),
        ]
        .into_iter()
        .filter_map(|(on, word)| on.then_some(word))
        .collect()
    }
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is held while it is answered")]
pub enum Operation {
    /// Begin to follow.
    Subscribe {
        /// Names the subscription.
        id: Id,
        /// What of it.
        topics: Topics,
        /// Which network; all when `None`.
        network: Option<Network>,
        /// Resume token.
        after: Option<u64>,
        /// Which of the transactions; without the method.
        filter: Filter,
        /// The called function, as it was written.
        method: Option<String>,
        /// Resume token of alerts.
        alerts_after: Option<String>,
    },
    /// Stop following: the subscription of this id, or (with topics) these topics of this network.
    Unsubscribe {
        /// Names the subscription, or just this operation when `what` is given.
        id: Id,
        /// Topics and network.
        what: Option<(Topics, Option<Network>)>,
    },
    /// Wants a pong.
    Ping {
        /// Echoed.
        id: Option<Id>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Wire {
    Subscribe {
        id: Id,
        topics: Vec<String>,
        network: Option<String>,
        after: Option<u64>,
        contract: Option<String>,
        address: Option<String>,
        status: Option<String>,
        cause: Option<String>,
        found_by: Option<String>,
        method: Option<String>,
        alerts_after: Option<String>,
    },
    Unsubscribe {
        id: Id,
        topics: Option<Vec<String>>,
        network: Option<String>,
    },
    Ping {
        id: Option<Id>,
    },
}

impl Operation {
    /// Parses a text frame. With the error comes the operation's id, as far as it could be read.
    pub fn parse(text: &str) -> Result<Self, (Option<Id>, ApiError)> {
        let invalid = |problem: String| ApiError::InvalidOperation { problem };
        if text.len() > limits::WS_CLIENT_FRAME_BYTES {
            let limit = limits::WS_CLIENT_FRAME_BYTES;
            return Err((None, invalid(format!("the frame has {} bytes; at most {limit} are read", text.len()))));
        }
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| (None, invalid(format!("the frame is no JSON: {e}"))))?;
        let id = value.get("id").and_then(|id| Id::deserialize(id).ok()).filter(Id::is_short);
        if !value.is_object() {
            return Err((id, invalid("an operation is a JSON object with `op`".to_owned())));
        }
        let known = ["subscribe", "unsubscribe", "ping"];
        match value.get("op").and_then(|op| op.as_str()) {
            Some(op) if known.contains(&op) => {}
            _ => return Err((id, invalid("`op` must be subscribe, unsubscribe or ping".to_owned()))),
        }
        // A ping may leave it out, but not have one that could not be echoed.
        let left_out = value.get("id").is_none_or(serde_json::Value::is_null);
        if id.is_none() && (value["op"] != "ping" || !left_out) {
            let problem = "`id` must be a number from 0 up or a text of at most 64 bytes".to_owned();
            return Err((None, invalid(problem)));
        }
        let wire = Wire::deserialize(value).map_err(|e| (id.clone(), invalid(cut_to(&e.to_string(), 200))))?;
        Self::from_wire(wire).map_err(|e| (id, e))
    }

    fn from_wire(wire: Wire) -> Result<Self, ApiError> {
        Ok(match wire {
            Wire::Subscribe {
                id,
                topics,
                network,
                after,
                contract,
                address,
                status,
                cause,
                found_by,
                method,
                alerts_after,
            } => {
                let topics = Topics::parse(&topics)?;
                let network = parse_network(network)?;
                if after.is_some() && !topics.has_chain() {
                    let problem =
                        "`after` goes with blocks or transactions: windows and providers send their present state, alerts have `alerts_after`"
                            .to_owned();
                    return Err(ApiError::InvalidOperation { problem });
                }
                if alerts_after.is_some() && !topics.alerts {
                    let problem = "`alerts_after` goes with alerts: add alerts to `topics`".to_owned();
                    return Err(ApiError::InvalidOperation { problem });
                }
                if after.is_some() && network.is_none() {
                    let problem = "`after` goes with exactly one network: add `network`".to_owned();
                    return Err(ApiError::InvalidOperation { problem });
                }
                let (contract, address) = (contract.as_deref(), address.as_deref());
                let filter =
                    Filter::read(contract, address, status.as_deref(), (cause.as_deref(), found_by.as_deref()))?;
                let of_windows = topics.windows && filter.is_of_contract_alone() && method.is_none();
                if !topics.transactions && !of_windows && (!filter.is_empty() || method.is_some()) {
                    let problem =
                        "contract, address, status, cause, found_by and method choose among transactions, and contract among windows: \
                                   add transactions to `topics`, or leave them out"
                            .to_owned();
                    return Err(ApiError::InvalidOperation { problem });
                }
                if topics.windows && contract.is_some() && network.is_none() {
                    let problem = "windows of a contract are of one network: add `network`".to_owned();
                    return Err(ApiError::InvalidOperation { problem });
                }
                Self::Subscribe { id, topics, network, after, filter, method, alerts_after }
            }
            Wire::Unsubscribe { id, topics, network } => {
                let network = parse_network(network)?;
                let what = match topics {
                    Some(topics) => Some((Topics::parse(&topics)?, network)),
                    None if network.is_some() => Some((Topics::ALL, network)),
                    None => None,
                };
                Self::Unsubscribe { id, what }
            }
            Wire::Ping { id } => Self::Ping { id },
        })
    }
}

impl Id {
    fn is_short(&self) -> bool {
        !matches!(self, Self::Text(t) if t.len() > 64)
    }
}

fn parse_network(slug: Option<String>) -> Result<Option<Network>, ApiError> {
    let parse = |slug: String| slug.parse().map_err(|e| ApiError::InvalidOperation { problem: format!("{e}") });
    slug.map(parse).transpose()
}

fn cut_to(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// Control frames of the server. Data frames are made in `live::event` and shared.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Answer<'a> {
    /// The subscription holds.
    Subscribed {
        /// Its id.
        id: &'a Id,
        /// Its topics.
        topics: Vec<&'static str>,
        /// Its network; null for all.
        network: Option<&'a Network>,
        /// Where it begins: the first frames are of the next sequence. Null when it follows all networks or nothing is known.
        after: Option<u64>,
        /// Which of the transactions come, where not all do: what was asked for, and the selectors that `method` stands for.
        #[serde(skip_serializing_if = "Filter::is_empty")]
        filter: &'a Filter,
        /// Where alerts begin: behind this cursor.
        #[serde(skip_serializing_if = "Option::is_none")]
        alerts_after: Option<String>,
    },
    /// It is over.
    Unsubscribed {
        /// The operation's id.
        id: &'a Id,
    },
    /// Answer to `ping`.
    Pong {
        /// The operation's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
    },
    /// These sequences (both included) will not come: the store does not have them either. Read the state again.
    Gap {
        /// The network.
        network: &'a Network,
        /// First missing sequence.
        from: u64,
        /// Last missing sequence.
        to: u64,
        /// `pruned`: what they held was removed by `[store] keep` or `max_bytes`; `not_held`: nothing is known of them.
        reason: &'static str,
    },
    /// What became of alerts between these cursors will not come: it is not held any more. Read them again.
    #[serde(rename = "gap")]
    AlertsGap {
        /// `alerts`.
        topic: &'static str,
        /// The last one before; null: the first there was.
        from: Option<String>,
        /// The last one that is missing.
        to: String,
        /// `not_held`.
        reason: &'static str,
    },
    /// An operation failed.
    Error {
        /// Its id, as far as it could be read.
        id: Option<&'a Id>,
        /// Why.
        problem: Problem,
    },
}

impl Answer<'_> {
    /// The subscription's acknowledgement.
    pub fn subscribed<'a>(
        id: &'a Id,
        topics: Topics,
        network: Option<&'a Network>,
        after: Option<u64>,
        filter: &'a Filter,
        alerts_after: Option<String>,
    ) -> Answer<'a> {
        Answer::Subscribed { id, topics: topics.words(), network, after, filter, alerts_after }
    }

    /// As text.
    pub fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn operations_parse() {
        let text =
            r#"{"op":"subscribe","id":1,"topics":["blocks","transactions"],"network":"mantle-mainnet","after":1234}"#;
        let Ok(Operation::Subscribe { id, topics, network, after, filter, method, .. }) = Operation::parse(text) else {
            panic!("{text}")
        };
        assert_eq!((id, after, method), (Id::Number(1), Some(1234), None));
        assert!(filter.is_empty());
        assert!(topics.blocks && topics.transactions);
        assert_eq!(network.map(|n| n.to_string()).as_deref(), Some("mantle-mainnet"));
        assert_eq!(Operation::parse(r#"{"op":"ping"}"#), Ok(Operation::Ping { id: None }));
        let one = Operation::parse(r#"{"op":"unsubscribe","id":"x"}"#);
        assert_eq!(one, Ok(Operation::Unsubscribe { id: Id::Text("x".into()), what: None }));
        let some = Operation::parse(r#"{"op":"unsubscribe","id":2,"topics":["blocks"],"network":"a"}"#);
        assert!(
            matches!(some, Ok(Operation::Unsubscribe { what: Some((t, Some(_))), .. }) if t.blocks && !t.transactions)
        );
    }

    #[test]
    fn mistakes_are_answered_with_the_id() {
        for (text, id, kind) in [
            ("", None, "invalid-operation"),
            ("[]", None, "invalid-operation"),
            (r#"{"op":"dance","id":3}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","topics":["blocks"]}"#, None, "invalid-operation"),
            (r#"{"op":"subscribe","id":-1,"topics":["blocks"]}"#, None, "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":[]}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["block"]}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["blocks"],"afer":1}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["blocks"],"after":1}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["blocks"],"network":"A B"}"#, Some(3), "invalid-operation"),
            (
                r#"{"op":"subscribe","id":3,"topics":["providers"],"network":"a","after":1}"#,
                Some(3),
                "invalid-operation",
            ),
            (r#"{"op":"subscribe","id":3,"topics":["transactions"],"status":"bad"}"#, Some(3), "invalid-parameter"),
            (r#"{"op":"subscribe","id":3,"topics":["transactions"],"contract":"0x1"}"#, Some(3), "invalid-parameter"),
            (r#"{"op":"subscribe","id":3,"topics":["transactions"],"sender":"0x1"}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["transactions"],"status":7}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["blocks"],"status":"failed"}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["blocks"],"method":"transfer"}"#, Some(3), "invalid-operation"),
            (r#"{"op":"unsubscribe","id":3,"status":"failed"}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["windows"],"network":"a","after":1}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["windows"],"status":"failed"}"#, Some(3), "invalid-operation"),
            (
                r#"{"op":"subscribe","id":3,"topics":["windows"],"contract":"0x00000000000000000000000000000000000000bb"}"#,
                Some(3),
                "invalid-operation",
            ),
            (r#"{"op":"subscribe","id":3,"topics":["blocks"],"alerts_after":"00"}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["alerts"],"network":"a","after":1}"#, Some(3), "invalid-operation"),
            (r#"{"op":"subscribe","id":3,"topics":["alerts"],"status":"failed"}"#, Some(3), "invalid-operation"),
        ] {
            let (got, error) = Operation::parse(text).expect_err(text);
            assert_eq!((got, error.kind().name), (id.map(Id::Number), kind), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            drop(Operation::parse(&text));
        }

        #[test]
        fn no_json_panics(op in "subscribe|unsubscribe|ping|x", id in "[0-9]{1,25}|null|\"a\"|\\[\\]", tail in "[\\[\\]{}\",:a-z0-9]{0,40}") {
            drop(Operation::parse(&format!(r#"{{"op":"{op}","id":{id},{tail}}}"#)));
            drop(Operation::parse(&format!(r#"{{"op":"{op}","id":{id},"topics":[{tail}]}}"#)));
        }
    }
}
