//! `headwater status`: one screen, or one JSON object, of what the running process says: its networks, their endpoints, and the
//! lag of its stages.

use std::{collections::BTreeMap, io::Write, time::Duration};

use clap::Args;
use schemas::limits;
use serde_json::Value;

use crate::{
    arguments::{ConfigFile, Format},
    exit::Failure,
    parts,
    tail::route::GroupLag,
};

const DEADLINE: Duration = Duration::from_secs(5);

/// Arguments of `headwater status`.
#[derive(Args)]
pub struct Status {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Ask the API at this URL instead of the configured one
    #[arg(long, value_name = "URL")]
    pub api: Option<url::Url>,
    /// One JSON object, or a table for people
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Asks and prints.
pub fn run(args: &Status) -> Result<(), Failure> {
    let (api, admin) = match &args.api {
        Some(url) => (url.as_str().trim_end_matches('/').to_owned(), None),
        None => {
            let config = runtime::config::load(&args.config.config)?;
            (format!("http://{}", config.api_listen), Some(format!("http://{}", config.admin_listen)))
        }
    };
    parts::block_on(async {
        let client = reqwest::Client::builder().timeout(DEADLINE).build()?;
        let mut health: Value = get(&client, &format!("{api}/api/v1/health")).await?;
        let lags: Vec<GroupLag> = match &admin {
            Some(admin) => get(&client, &format!("{admin}/lag")).await?,
            None => Vec::new(),
        };
        let endpoints = endpoints(&client, &api).await?;
        let text = match args.format {
            Format::Table => screen(&health, &endpoints, &lags),
            Format::Json => {
                health["endpoints"] = Value::Array(endpoints);
                health["lags"] = serde_json::to_value(&lags)?;
                format!("{health}\n")
            }
        };
        let mut out = std::io::stdout().lock();
        // A closed pipe is nobody's fault.
        let _ = out.write_all(text.as_bytes());
        Ok(())
    })?
}

/// All endpoints, page by page; none where a former version answers, which does not know them.
async fn endpoints(client: &reqwest::Client, api: &str) -> Result<Vec<Value>, Failure> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{api}/api/v1/providers/health?limit={}{cursor}", limits::PAGE_ITEMS_MAX);
        let answer = ask(client, &url).await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(all);
        }
        let mut page: Value = read(answer, &url).await?;
        if let Value::Array(items) = page["items"].take() {
            all.extend(items);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

async fn get<T: serde::de::DeserializeOwned>(client: &reqwest::Client, url: &str) -> Result<T, Failure> {
    read(ask(client, url).await?, url).await
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<reqwest::Response, Failure> {
    let asked = client.get(url).send().await;
    Ok(asked.map_err(|e| format!("nothing answers at {url}: {e}; is `headwater up` running?"))?)
}

async fn read<T: serde::de::DeserializeOwned>(answer: reqwest::Response, url: &str) -> Result<T, Failure> {
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("{url} answered {status}: {}", answer.text().await.unwrap_or_default()).into());
    }
    Ok(answer.json().await?)
}

fn screen(health: &Value, endpoints: &[Value], lags: &[GroupLag]) -> String {
    let mut rows = vec![["NETWORK", "STATE", "TIP", "PROCESSED", "LAG", "TX/S", "LAST BLOCK"].map(str::to_owned)];
    let mut notes = Vec::new();
    for n in health["networks"].as_array().into_iter().flatten() {
        let cell = |key: &str| cell(n, key);
        rows.push([
            cell("network"),
            cell("state"),
            cell("tip_height"),
            cell("processed_height"),
            cell("lag_blocks"),
            cell("tx_per_second"),
            cell("last_block_at"),
        ]);
    }
    for p in health["problems"].as_array().into_iter().flatten() {
        let word = |key: &str| p[key].as_str();
        let whom: Vec<&str> = ["network", "stage"].into_iter().filter_map(word).collect();
        let since = word("since").map(|since| format!(" (since {since})")).unwrap_or_default();
        notes.push(format!(
            "{}: {}{since}. {}",
            whom.join(", "),
            word("problem").unwrap_or_default(),
            word("cure").unwrap_or_default()
        ));
    }
    notes.extend(health["store_error"].as_str().map(|error| format!("store: {error}")));
    let mut text = format!("status: {}\n\n{}", health["status"].as_str().unwrap_or("unknown"), table(&rows));
    if !endpoints.is_empty() {
        text.push_str(&format!("\n{}", table(&endpoint_rows(endpoints))));
    }
    notes.extend(endpoints.iter().filter(|e| e["state"] != "ok").filter_map(|endpoint| {
        let word = |key: &str| endpoint[key].as_str();
        Some(format!("{}, endpoint {}: {}", word("network")?, word("name")?, word("reason")?))
    }));
    let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
    for lag in lags {
        *groups.entry(&lag.group).or_default() += lag.lag;
    }
    let stages: Vec<&Value> = health["stages"].as_array().into_iter().flatten().collect();
    let mut rows = vec![["STAGE", "STATE", "SINCE", "PROCESSES", "LAG (RECORDS)"].map(str::to_owned)];
    rows.extend(stages.iter().map(|stage| {
        let word = |key: &str| stage[key].as_str().unwrap_or("-").to_owned();
        let instances: Vec<String> = stage["instances"].as_array().into_iter().flatten().map(instance).collect();
        let lag = stage["stage"].as_str().and_then(|name| groups.remove(name));
        let instances = if instances.is_empty() { "-".to_owned() } else { instances.join(" ") };
        [word("stage"), word("state"), word("since"), instances, lag.map_or("-".to_owned(), |lag| lag.to_string())]
    }));
    let dash = || "-".to_owned();
    rows.extend(groups.iter().map(|(group, lag)| [(*group).to_owned(), dash(), dash(), dash(), lag.to_string()]));
    if rows.len() > 1 {
        text.push_str(&format!("\n{}", table(&rows)));
    }
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    text
}

/// A value as a cell shows it.
fn cell(of: &Value, key: &str) -> String {
    match &of[key] {
        Value::Null => "-".to_owned(),
        Value::String(s) => s.clone(),
        Value::Number(x) if x.is_f64() => format!("{:.1}", x.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// The endpoints, those in use marked.
fn endpoint_rows(endpoints: &[Value]) -> Vec<[String; 8]> {
    let head =
        ["NETWORK", "ENDPOINT", "STATE", "SCORE", "LATENCY MS", "HEIGHT", "BEHIND", "IN USE SINCE"].map(str::to_owned);
    let row = |e: &Value| {
        ["network", "name", "state", "score", "latency_ms", "height", "lag_blocks", "in_use_since"]
            .map(|key| cell(e, key))
    };
    std::iter::once(head).chain(endpoints.iter().map(row)).collect()
}

/// A process, and what it does unless it just works.
fn instance(i: &Value) -> String {
    let name = i["instance"].as_str().unwrap_or("?");
    match i["state"].as_str() {
        Some("running") | None => name.to_owned(),
        Some(state) => format!("{name}({state})"),
    }
}

/// Rows in columns.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0));
    rows.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_shows_networks_stages_and_what_is_wrong() {
        let health = serde_json::json!({"status": "degraded", "networks": [{
            "network": "mantle-mainnet", "state": "stalled", "tip_height": 7, "processed_height": 5, "lag_blocks": 2,
            "tx_per_second": 1.25, "last_block_at": null, "error": "the node does not answer"
        }], "stages": [
            {"stage": "enrich", "state": "silent", "since": "T1", "instances": [{"instance": "a", "state": "silent"}]},
            {"stage": "sink", "state": "running", "since": "T0", "instances": [
                {"instance": "a", "state": "running"}, {"instance": "b", "state": "stalled"}]},
        ], "problems": [
            {"stage": "ingest", "network": "mantle-mainnet", "since": null, "problem": "the node does not answer", "cure": "See it"},
            {"stage": "enrich", "network": null, "since": "T1", "problem": "enrich is silent", "cure": "Start it"},
        ]});
        let lags = [1, 2].map(|lag| GroupLag { group: "sink".into(), topic: "t".into(), partition: 0, lag });
        let endpoints = [
            serde_json::json!({"network": "mantle-mainnet", "name": "official", "state": "ok", "score": 99, "latency_ms": 208,
                "height": 7, "lag_blocks": 0, "in_use_since": "T0", "reason": null}),
            serde_json::json!({"network": "mantle-mainnet", "name": "other", "state": "quarantined", "score": null,
                "latency_ms": null, "height": 7, "lag_blocks": null, "in_use_since": null, "reason": "said 1, right is 2"}),
        ];
        let text = screen(&health, &endpoints, &lags);
        assert!(text.contains("mantle-mainnet  stalled  7    5          2    1.2   -"), "{text}");
        assert!(text.contains("enrich  silent   T1     a(silent)     -"), "{text}");
        assert!(text.contains("sink    running  T0     a b(stalled)  3"), "{text}");
        assert!(
            text.contains("mantle-mainnet  official  ok           99     208         7       0       T0"),
            "{text}"
        );
        assert!(text.contains("mantle-mainnet  other     quarantined  -      -           7       -       -"), "{text}");
        assert!(text.contains("mantle-mainnet, endpoint other: said 1, right is 2"), "{text}");
        assert!(!screen(&health, &[], &lags).contains("ENDPOINT"));
        assert!(text.contains("mantle-mainnet, ingest: the node does not answer. See it"), "{text}");
        assert!(text.contains("enrich: enrich is silent (since T1). Start it"), "{text}");
    }
}
