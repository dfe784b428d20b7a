//! What is judged, gathered from the store, and from what the stages say of endpoints.
//!
//! Guarantee: the present state of endpoints comes from memory, that of a time in the past from what their calls then told. What cannot be
//! had is missing in the answer, by name; only without figures of the network there is none.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{
    Family, Network, TimeMs,
    limits::metrics as limits,
    records::{Coverage, NetworkState, stage_status::stage},
};
use store::query::{DiagnosisFilter, EndpointAt, FailuresFilter, Overview, Usual};

use super::{Case, Chain, EndpointThen, Worst, judge, usual};
use crate::{app::App, error::ApiError, items::Diagnosis, windows::Whose};

/// Of a time that is at most so long ago the present state of endpoints tells, milliseconds.
const PRESENT_MS: i64 = 30_000;
/// A median latency that is slow, milliseconds, where only calls tell of it.
const SLOW_MS: u64 = 2_000;
/// Blocks that an endpoint may be behind (rule 23's `lag_ok`), where only calls tell of it.
const LAG_OK: u64 = 3;
/// Calls that tell something of an endpoint, at least.
const CALLS: u64 = 4;
/// What the words for an Electrum server's protocol begin with.
const ELECTRUM: &str = "electrum";
/// Endpoints that are looked at.
const ENDPOINTS: usize = schemas::limits::ENDPOINTS_PER_NETWORK;

/// What likely is the matter, and the event that it was told at.
///
/// # Errors
/// The store is away.
pub async fn of(
    app: &App,
    whose: &Whose,
    called: Option<&str>,
    at: Option<TimeMs>,
) -> Result<(Diagnosis, u64), ApiError> {
    let now = TimeMs::now();
    let time = at.unwrap_or(now);
    let is_present = now.0.saturating_sub(time.0) <= PRESENT_MS;
    let family = match app.family(&whose.network) {
        Some(Family::Bitcoin) => Chain::Bitcoin,
        _ => Chain::Evm,
    };
    let filter = DiagnosisFilter {
        network: whose.network.clone(),
        contract: whose.contract.clone().filter(|_| family == Chain::Evm),
        contract_windows: whose.own,
        step: family.step(),
        at: time,
    };
    let found = app.store.diagnosis(&filter).await.map_err(|e| ApiError::from_store(&e))?;
    let head = match family {
        Chain::Evm => None,
        Chain::Bitcoin | Chain::Headers => {
            app.store.head(whose.network.as_str()).await.map_err(|e| ApiError::from_store(&e))?
        }
    };
    // What is held of the newest block says nothing of a time before it.
    let is_header = is_present && head.as_ref().is_some_and(|head| head.coverage == Coverage::Header.as_str());
    let chain = if is_header && found.network.figures.blocks == 0 { Chain::Headers } else { family };
    let mut missing = Vec::new();
    match chain {
        Chain::Evm => missing.extend(lacking("the network's last minutes are not whole", &found.network)),
        Chain::Bitcoin => missing.extend(lacking("the network's last hour is not whole", &found.network)),
        // Why is said of each comparison.
        Chain::Headers => {}
    }
    if let Some(contract) = &found.contract {
        missing.extend(lacking("the contract's last minutes are not whole", contract));
    }
    if let Some(address) = whose.contract.as_deref().filter(|_| chain != Chain::Evm) {
        missing.push(of_address(&whose.network, address));
    }
    let now_are = present(app, &whose.network);
    let endpoints = match is_present {
        true => now_are,
        false => of_calls(&found.endpoints, &now_are),
    };
    let figures = |usual: Vec<Usual>| usual.into_iter().map(|usual| usual.figures).collect();
    let mut case = Case {
        contract: filter.contract.as_deref().map(|address| called.unwrap_or(address).to_owned()),
        chain,
        at: time,
        now: found.network.figures,
        usual: figures(found.usual_network),
        contract_now: found.contract.map(|contract| contract.figures),
        contract_usual: figures(found.usual_contract),
        head: head.filter(|_| is_present).map(|head| (head.number, head.timestamp)),
        apart: if is_present { apart(app, &whose.network) } else { None },
        endpoints,
        worst: None,
        missing,
    };
    if whose.contract.is_none() && fails(&case) {
        case.worst = worst(app, &whose.network, (found.from, time)).await;
    }
    let judged = judge(&case);
    let answer = Diagnosis {
        network: whose.network.to_string(),
        contract: whose.contract.clone(),
        at: time.rfc3339(),
        verdict: judged.verdict.word().to_owned(),
        sentence: judged.sentence,
        evidence: judged.evidence,
        missing: judged.missing,
    };
    Ok((answer, found.sequence))
}

fn lacking(what: &str, found: &Overview) -> Option<String> {
    (!found.complete).then(|| match &found.reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    })
}

/// Why nothing is compared of an address where a chain has no contracts.
fn of_address(network: &Network, address: &str) -> String {
    format!(
        "{address} alone: Bitcoin has no contracts, and figures of single addresses are not computed, so that this is about the whole network; \
         /txs?network={network}&address={address} lists what the address did"
    )
}

/// Why the network's sources are on different branches, as ingest says now; `None`: they are not.
fn apart(app: &App, network: &Network) -> Option<String> {
    let said = app.statuses.of(stage::INGEST, network)?;
    let is_apart = said.state == NetworkState::Diverged.as_str();
    is_apart.then(|| said.detail.unwrap_or_else(|| "they show different branches of the chain".to_owned()))
}

/// Whether more fails in the network than usual.
fn fails(case: &Case) -> bool {
    let now = &case.now;
    usual::failure_rates(&case.usual, now.transactions)
        .is_some_and(|range| usual::is_high_share(now.failed, now.transactions, range))
}

/// The contract that most failures of a time called; `None` where that cannot be told.
async fn worst(app: &App, network: &Network, (from, to): (TimeMs, TimeMs)) -> Option<Worst> {
    let filter = FailuresFilter {
        networks: vec![network.clone()],
        contract: None,
        causes: Vec::new(),
        methods: Vec::new(),
        from,
        to,
        limit: limits::DIAGNOSIS_GROUPS,
    };
    let found = match app.store.failures(&filter).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "a diagnosis does not know what was called by what failed");
            return None;
        }
    };
    let mut called: BTreeMap<&str, u64> = BTreeMap::new();
    for group in &found.groups {
        if let Some(contract) = group.contract.as_deref() {
            *called.entry(contract).or_default() += group.count;
        }
    }
    let (name, failed) = called.into_iter().max_by_key(|(_, count)| *count)?;
    Some(Worst { name: name.to_owned(), failed, of: found.failed })
}

/// The endpoints as they are.
fn present(app: &App, network: &Network) -> Vec<EndpointThen> {
    let (items, _) = app.providers.items(Some(network), None, ENDPOINTS);
    let then = |item: crate::items::ProviderItem| EndpointThen {
        name: item.name,
        state: item.state,
        reason: item.reason,
        latency_ms: item.latency_ms,
        lag_blocks: item.lag_blocks,
        bodies: item.protocol.is_none_or(|protocol| !protocol.starts_with(ELECTRUM)),
    };
    items.into_iter().map(then).collect()
}

/// The endpoints as their calls of a time tell. `now`: as they are, since calls tell nothing of what is spoken there.
fn of_calls(rows: &[EndpointAt], now: &[EndpointThen]) -> Vec<EndpointThen> {
    let servers: BTreeSet<&str> = now.iter().filter(|e| !e.bodies).map(|e| e.name.as_str()).collect();
    let best = rows.iter().filter_map(|row| row.height).max();
    let then = |row: &EndpointAt| {
        let lag = best.zip(row.height).map(|(best, height)| best - height);
        let state = if row.lies > 0 {
            "quarantined"
        } else if row.calls < CALLS {
            "unknown"
        } else if row.failures * 2 >= row.calls {
            "failing"
        } else if lag.is_some_and(|lag| lag > LAG_OK) {
            "behind"
        } else if row.latency_ms.is_some_and(|latency| latency >= SLOW_MS) {
            "slow"
        } else {
            "ok"
        };
        EndpointThen {
            name: row.endpoint.clone(),
            state: state.to_owned(),
            reason: row.error.clone().filter(|_| state == "failing"),
            latency_ms: row.latency_ms,
            lag_blocks: lag,
            bodies: !servers.contains(row.endpoint.as_str()),
        }
    };
    rows.iter().take(ENDPOINTS).map(then).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_tell_how_an_endpoint_was() {
        let row = |endpoint: &str, height: u64, calls: u64, failures: u64, latency: u64, lies: u64| EndpointAt {
            endpoint: endpoint.to_owned(),
            height: Some(height),
            lowest: None,
            calls,
            failures,
            latency_ms: Some(latency),
            lies,
            error: Some("HTTP 503".to_owned()),
            at: TimeMs(0),
        };
        let rows = [
            row("well", 100, 50, 1, 80, 0),
            row("slow", 99, 50, 0, 2_500, 0),
            row("behind", 90, 50, 0, 80, 0),
            row("failing", 100, 10, 6, 80, 0),
            row("lying", 100, 10, 0, 80, 1),
            row("seldom", 100, 2, 2, 80, 0),
        ];
        let server = EndpointThen { bodies: false, ..of_calls(&rows[..1], &[]).remove(0) };
        let told = of_calls(&rows, &[server]);
        let states: Vec<&str> = told.iter().map(|endpoint| &*endpoint.state).collect();
        assert_eq!(states, ["ok", "slow", "behind", "failing", "quarantined", "unknown"]);
        assert_eq!(told.iter().filter(|endpoint| !endpoint.bodies).map(|e| &*e.name).collect::<Vec<_>>(), ["well"]);
        assert_eq!(
            (told[2].lag_blocks, told[3].reason.as_deref(), &told[0].reason),
            (Some(10), Some("HTTP 503"), &None)
        );
    }
}
