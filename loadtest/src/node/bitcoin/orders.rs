//! Orders to a running node, as calls `sim_…` on any of its endpoints: a child process is driven through them. Faults never hit them.
//!
//! Guarantee: an order that cannot be carried out changes nothing.

use super::faults::Fault;
use super::shared::Shared;
use super::{Endpoint, Latency};
use schemas::limits::simulator as limits;
use serde_json::{Value, json};
use std::sync::Arc;

fn number(params: &[Value], n: usize, default: Option<u64>) -> Result<u64, String> {
    match params.get(n) {
        None | Some(Value::Null) => default.ok_or_else(|| format!("argument {n}: want a number")),
        Some(value) => value.as_u64().ok_or_else(|| format!("argument {n}: want a number")),
    }
}

fn faults(list: &[Value]) -> Result<Vec<Fault>, String> {
    let read = |value: &Value| -> Result<Fault, String> {
        let text = value.as_str().ok_or("want a list of faults, each a string")?;
        text.parse::<Fault>().map_err(|e| e.to_string())
    };
    list.iter().map(read).collect()
}

impl Endpoint {
    /// Carries out an order that came to it.
    pub(crate) fn order(&self, order: &str, params: &[Value]) -> Result<Value, String> {
        let shared = &self.shared;
        match order {
            "advance" => shared.advance(number(params, 0, Some(1))?).map(Value::from).map_err(|e| e.to_string()),
            "fork" => {
                let (depth, more) = (number(params, 0, None)?, number(params, 1, Some(0))?);
                shared.fork(depth, more).map(Value::from).map_err(|e| e.to_string())
            }
            "fault" => {
                let new = faults(params)?;
                self.clear_faults();
                new.into_iter().for_each(|fault| self.fault(fault));
                Ok(serde_json::to_value(self.faults()).unwrap_or_default())
            }
            "endpoints" => Ok(shared.endpoints().iter().map(|endpoint| described(endpoint)).collect()),
            "endpoint" => shared.changed(params),
            "canonical" => {
                let (from, to) = (number(params, 0, Some(0))?, number(params, 1, Some(shared.head()))?);
                if to.saturating_sub(from) >= limits::LISTED_HEIGHTS {
                    return Err(format!("at most {} heights", limits::LISTED_HEIGHTS));
                }
                Ok(serde_json::to_value(shared.canonical(from..=to)).unwrap_or_default())
            }
            other => {
                Err(format!("there is no order sim_{other}: advance, fork, fault, endpoints, endpoint, canonical"))
            }
        }
    }
}

impl Shared {
    /// `[NAME, {latency, faults, drop}]`: changes what is given and leaves the rest; `null` takes a latency away.
    fn changed(&self, params: &[Value]) -> Result<Value, String> {
        let name = params.first().and_then(Value::as_str).ok_or("want the endpoint's name")?;
        let all = self.endpoints();
        let endpoint: &Arc<Endpoint> = all.iter().find(|endpoint| endpoint.name() == name).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|endpoint| endpoint.name()).collect();
            format!("no endpoint {name:?}; there are {}", names.join(", "))
        })?;
        let nothing = serde_json::Map::new();
        let changes = params.get(1).and_then(Value::as_object).unwrap_or(&nothing);
        // All is read before anything changes.
        let (mut latency, mut new, mut drop) = (None, None, false);
        for (key, value) in changes {
            match (key.as_str(), value) {
                ("latency", Value::Null) => latency = Some(None),
                ("latency", Value::String(text)) => {
                    latency = Some(Some(text.parse::<Latency>().map_err(|e| e.to_string())?));
                }
                ("faults", Value::Array(list)) => new = Some(faults(list)?),
                ("drop", Value::Bool(on)) => drop = *on,
                _ => return Err(format!("{key}: there are latency, faults (a list), drop (a boolean)")),
            }
        }
        if let Some(latency) = latency {
            endpoint.set_latency(latency);
        }
        if let Some(new) = new {
            endpoint.clear_faults();
            new.into_iter().for_each(|fault| endpoint.fault(fault));
        }
        if drop {
            endpoint.drop_connections();
        }
        Ok(described(endpoint))
    }
}

fn described(endpoint: &Endpoint) -> Value {
    json!({
        "name": endpoint.name(),
        "kind": endpoint.kind().to_string(),
        "url": endpoint.url(),
        "faults": endpoint.faults(),
        "counts": endpoint.counts(),
    })
}
