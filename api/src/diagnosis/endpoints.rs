//! How the endpoints were, in words.

use super::{
    Chain, EndpointThen,
    judge::{Seen, Verdict},
    words,
};

/// States in which an endpoint shows what there is, late or dearly.
const SEEING: [&str; 3] = ["ok", "slow", "throttled"];
const WELL: &str = "ok";
const UNKNOWN: &str = "unknown";

impl Seen<'_> {
    /// Endpoints that are not well, in words, and whether none shows what there is.
    pub(super) fn endpoints(&mut self) -> Option<(bool, String)> {
        let case = self.case;
        let known: Vec<&EndpointThen> = case.endpoints.iter().filter(|e| e.state != UNKNOWN).collect();
        if known.is_empty() {
            self.lack("endpoints: nothing is known of how they were");
            return None;
        }
        let bad: Vec<&EndpointThen> = known.iter().copied().filter(|e| e.state != WELL).collect();
        let (all, well) = (known.len(), known.len() - bad.len());
        let points = (!bad.is_empty()).then_some(Verdict::Provider);
        self.tell("endpoints that are well", "endpoints", well as f64, Some((all as f64, all as f64)), points, None);
        for endpoint in &bad {
            let (unit, value) = match (&*endpoint.state, endpoint.lag_blocks, endpoint.latency_ms) {
                ("behind", Some(lag), _) => ("blocks", lag as f64),
                (.., Some(latency)) => ("ms", latency as f64),
                (_, Some(lag), None) => ("blocks", lag as f64),
                _ => continue,
            };
            let note = Some(about(endpoint));
            self.tell(&format!("endpoint {}", endpoint.name), unit, value, None, Some(Verdict::Provider), note);
        }
        let first = bad.first()?;
        let blind = bad.len() == all && known.iter().all(|e| !sees(e));
        // Servers that give headers alone stand in for no node where transactions are wanted.
        if case.chain == Chain::Bitcoin && !blind {
            let nodes = || known.iter().filter(|e| e.bodies);
            if let Some(node) = nodes().next()
                && nodes().all(|e| !sees(e))
            {
                let clause = format!(
                    "no endpoint gives the newest blocks: {} is {}; Electrum servers give headers alone, and the network waits",
                    node.name,
                    about(node)
                );
                return Some((true, clause));
            }
        }
        let clause = match (bad.len(), all) {
            (_, 1) => format!("the only endpoint, {}, is {}", first.name, about(first)),
            (1, _) => format!(
                "endpoint {} is {}; the other {} well, so that blocks come from there",
                first.name,
                about(first),
                if well == 1 { "is".to_owned() } else { format!("{well} are") }
            ),
            (n, all) if n == all => {
                let alike = bad.iter().all(|e| e.state == first.state);
                let how = if alike { word(&first.state) } else { "not well" };
                format!("all {all} endpoints are {how}, such as {}: {}", first.name, about(first))
            }
            (n, all) => {
                format!("{n} of {all} endpoints are not well, such as {}, which is {}", first.name, about(first))
            }
        };
        Some((blind, clause))
    }
}

/// Whether an endpoint shows what there is.
fn sees(endpoint: &EndpointThen) -> bool {
    SEEING.contains(&&*endpoint.state)
}

/// A state in words that follow `is`.
fn word(state: &str) -> &str {
    match state {
        "open" => "not asked for a while, since it failed again and again",
        "quarantined" => "in quarantine for what it said",
        "throttled" => "throttling",
        other => other,
    }
}

/// How an endpoint is, in words that follow `is`.
fn about(endpoint: &EndpointThen) -> String {
    let word = word(&endpoint.state);
    match (&*endpoint.state, endpoint.latency_ms, endpoint.lag_blocks, &endpoint.reason) {
        ("slow", Some(latency), ..) => format!("slow: half of its answers take {} or more", words::time(latency)),
        ("behind", _, Some(lag), _) if lag > 0 => match lag {
            1 => "behind by 1 block".to_owned(),
            lag => format!("behind by {lag} blocks"),
        },
        (.., Some(reason)) => format!("{word} ({})", reason.trim_end_matches('.')),
        _ => word.to_owned(),
    }
}
