//! Orders to a running node, as JSON-RPC calls `sim_…`: a child process is driven through them. Faults and limits never hit them.
//!
//! Guarantee: an order that cannot be carried out changes nothing. What concerns an endpoint is about the one that is asked, or
//! about the one that is named, so that one whose port is refused can be told by another.

use super::faults::Fault;
use super::rpc::{Params, RpcError, error, json, no_method};
use super::{Endpoint, Error};
use schemas::limits::simulator as limits;
use serde_json::{Value, json as object};
use std::str::FromStr;
use std::sync::Arc;

fn refused(e: Error) -> RpcError {
    error(-32602, e.to_string())
}

/// Texts of a list, read.
fn read<T: FromStr<Err = Error>>(list: &[Value]) -> Result<Vec<T>, RpcError> {
    let bad = || error(-32602, "want a list of faults, each a string");
    list.iter().map(|v| v.as_str().ok_or_else(bad)?.parse().map_err(refused)).collect()
}

/// A text that is read, or `null`.
fn optional<T: FromStr<Err = Error>>(value: &Value) -> Result<Option<T>, RpcError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(refused),
        _ => Err(error(-32602, "want a string or null")),
    }
}

impl Endpoint {
    /// Carries an order out.
    pub(crate) fn control(&self, order: &str, params: &Params, out: &mut Vec<u8>) -> Result<(), RpcError> {
        match order {
            "advance" => json(&self.shared.advance(params.number(0, Some(1))?).map_err(refused)?.into(), out),
            "fork" => {
                let head = self.shared.fork(params.number(0, None)?, params.number(1, Some(0))?).map_err(refused)?;
                json(&head.into(), out);
            }
            "fault" => {
                self.replace_faults(read(&params.0)?);
                json(&serde_json::to_value(self.faults.list()).unwrap_or_default(), out);
            }
            "faults" => json(&serde_json::to_value(self.faults.list()).unwrap_or_default(), out),
            "endpoints" => {
                let all: Vec<Value> = self.shared.endpoints().iter().map(|endpoint| endpoint.described()).collect();
                json(&all.into(), out);
            }
            "endpoint" => json(&self.changed_by(params)?, out),
            "dropWebSockets" => {
                self.drop_websockets();
                out.extend_from_slice(b"true");
            }
            "canonical" => {
                let (start, head) = self.shared.span();
                let (from, to) = (params.number(0, Some(start))?, params.number(1, Some(head))?);
                if to.saturating_sub(from) >= limits::LISTED_HEIGHTS {
                    return Err(error(-32602, format!("at most {} heights", limits::LISTED_HEIGHTS)));
                }
                json(&serde_json::to_value(self.shared.canonical(from..=to)).unwrap_or_default(), out);
            }
            "stats" => json(&serde_json::to_value(self.stats.snapshot()).unwrap_or_default(), out),
            other => return Err(no_method(&format!("sim_{other}"))),
        }
        Ok(())
    }

    fn replace_faults(&self, faults: Vec<Fault>) {
        self.clear_faults();
        faults.into_iter().for_each(|fault| self.fault(fault));
    }

    fn described(&self) -> Value {
        object!({
            "name": self.name(),
            "url": self.url(),
            "ws": self.websocket().then(|| self.ws_url()),
            "latency": self.latency().map(|latency| latency.to_string()),
            "limit": self.limit().map(|limit| limit.to_string()),
            "faults": self.faults(),
            "counts": self.counts(),
        })
    }

    /// `[NAME, {latency, limit, faults, ws}]`: changes what is given and leaves the rest; `null` takes a latency or limit away.
    fn changed_by(&self, params: &Params) -> Result<Value, RpcError> {
        let name = params.at(0).as_str().ok_or_else(|| error(-32602, "want the endpoint's name"))?;
        let all = self.shared.endpoints();
        let endpoint: &Arc<Self> = all.iter().find(|endpoint| endpoint.name() == name).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|endpoint| endpoint.name()).collect();
            error(-32602, format!("no endpoint {name:?}; there are {}", names.join(", ")))
        })?;
        let nothing = serde_json::Map::new();
        let changes = match params.at(1) {
            Value::Null => &nothing,
            Value::Object(changes) => changes,
            _ => return Err(error(-32602, "want an object with latency, limit, faults, ws")),
        };
        // All is read before anything changes.
        let (mut latency, mut limit, mut faults, mut websocket) = (None, None, None, None);
        for (key, value) in changes {
            match (key.as_str(), value) {
                ("latency", value) => latency = Some(optional(value)?),
                ("limit", value) => limit = Some(optional(value)?),
                ("faults", Value::Array(list)) => faults = Some(read(list)?),
                ("ws", Value::Bool(on)) => websocket = Some(*on),
                _ => {
                    return Err(error(
                        -32602,
                        format!("{key}: there are latency, limit, faults (a list), ws (a boolean)"),
                    ));
                }
            }
        }
        if let Some(latency) = latency {
            endpoint.set_latency(latency);
        }
        if let Some(limit) = limit {
            endpoint.set_limit(limit);
        }
        if let Some(faults) = faults {
            endpoint.replace_faults(faults);
        }
        if let Some(on) = websocket {
            endpoint.set_websocket(on);
        }
        Ok(endpoint.described())
    }
}
