//! `headwater tail`: decoded records of the log. The embedded log has one owner: while a process runs on it, that process is
//! asked over its admin port; otherwise the directory is opened here.

mod follow;
mod print;
mod query;
pub mod route;

pub use query::Query;

use std::sync::Arc;

use clap::Args;
use futures::StreamExt;
use runtime::{config::Config, log::LogErrorKind};
use schemas::{Network, topics};

use crate::{
    arguments::{ConfigFile, Format},
    exit::Failure,
    parts,
};
use query::{From, topic};

/// Arguments of `headwater tail`.
#[derive(Args)]
pub struct Tail {
    /// The topic without prefix, such as `enriched.transactions`
    pub topic: String,
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only this network
    #[arg(long, value_name = "SLUG")]
    pub network: Option<schemas::Network>,
    /// Where to begin: `beginning`, `end`, or a sequence
    #[arg(long, value_name = "beginning|end|SEQUENCE", default_value = "beginning")]
    pub from: From,
    /// One JSON object a line, or a table for people
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// Go on with what comes
    #[arg(long)]
    pub follow: bool,
}

/// Prints a topic.
pub fn run(args: &Tail) -> Result<(), Failure> {
    let spec = topic(&args.topic).map_err(Failure::arguments)?;
    let config = runtime::config::load(&args.config.config)?;
    let query = Query { network: args.network.clone(), from: args.from.to_string(), follow: args.follow };
    parts::block_on(async {
        if let Some(network) = &args.network {
            known(&config, spec, network).await?;
        }
        let mut out = print::Printer::new(args.format);
        each_line(&config, spec, query, async |line| Ok(out.line(line)?)).await
    })?
}

/// Refuses a network that is neither configured nor in the topic: nothing would ever be printed.
async fn known(config: &Config, spec: topics::TopicSpec, network: &Network) -> Result<(), Failure> {
    if config.networks.iter().any(|n| n.slug == *network) {
        return Ok(());
    }
    let mut found = false;
    let query = Query { network: Some(network.clone()), from: From::Beginning.to_string(), follow: false };
    each_line(config, spec, query, async |_| {
        found = true;
        Ok(false)
    })
    .await?;
    if found {
        return Ok(());
    }
    let slugs: Vec<&str> = config.networks.iter().map(|n| n.slug.as_str()).collect();
    let slugs = if slugs.is_empty() { "none".to_owned() } else { slugs.join(", ") };
    Err(Failure::new(format!(
        "network `{network}` is not in the configuration, and {} holds nothing of it; the configured networks: {slugs}",
        spec.name
    )))
}

/// Calls with every matching record as a line of JSON, until it returns false. Reads the log here; where another process holds
/// it, asks that one.
pub async fn each_line(
    config: &Config,
    spec: topics::TopicSpec,
    query: Query,
    mut each: impl AsyncFnMut(&str) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let open = match parts::open_log_for_reading(config).await {
        Ok(open) => open,
        Err(e) if e.kind == LogErrorKind::InUse => return remote_lines(config, spec, &query, each).await,
        Err(e) => return Err(e.into()),
    };
    let codec = Arc::new(parts::codec(config).await?);
    {
        let mut lines = std::pin::pin!(follow::records(open.log.clone(), codec, spec, query).await?);
        while let Some(line) = lines.next().await {
            if !each(&line?).await? {
                break;
            }
        }
    }
    Ok(open.close().await?)
}

/// Asks the process that owns the log, line by line until there are no more or nobody wants more.
async fn remote_lines(
    config: &Config,
    spec: topics::TopicSpec,
    query: &Query,
    mut each: impl AsyncFnMut(&str) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let url = format!("http://{}{}", config.admin_listen, route::path(spec.name));
    let network = query.network.iter().map(|n| format!("&network={n}")).collect::<String>();
    let query_string = format!("from={}&follow={}{network}", query.from, query.follow);
    let asked = reqwest::Client::builder()
        .connect_timeout(parts::CONNECT_DEADLINE)
        .build()?
        .get(format!("{url}?{query_string}"))
        .send()
        .await
        .map_err(|e| format!("a process holds the log, but its admin port does not answer at {url}: {e}"))?;
    if !asked.status().is_success() {
        let status = asked.status();
        return Err(format!("{url} answered {status}: {}", asked.text().await.unwrap_or_default()).into());
    }
    let mut body = asked.bytes_stream();
    let mut pending: Vec<u8> = Vec::new();
    while let Some(chunk) = body.next().await {
        pending.extend_from_slice(&chunk?);
        while let Some(end) = pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).take(end).collect();
            if !each(&String::from_utf8_lossy(&line)).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}
