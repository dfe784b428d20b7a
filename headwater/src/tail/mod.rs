//! `headwater tail`: decoded records of the log. The embedded log has one owner: while a process runs on it, that process is
//! asked over its admin port; otherwise the directory is opened here.

mod follow;
mod print;
pub mod route;

use std::{fmt, str::FromStr, sync::Arc};

use futures::StreamExt;
use runtime::{config::Config, log::LogErrorKind};
use schemas::{Network, topics};
use serde::{Deserialize, Serialize};

use crate::{cli, exit::Failure, parts};

/// Where a tail begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest record.
    Beginning,
    /// After the newest record.
    End,
    /// At the first record with this sequence or a later one.
    Sequence(u64),
}

impl FromStr for From {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            number => number
                .parse()
                .map(Self::Sequence)
                .map_err(|_| "write `beginning`, `end` or a sequence such as 1234".to_owned()),
        }
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::Sequence(n) => write!(f, "{n}"),
        }
    }
}

/// What to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// `beginning`, `end` or a sequence.
    pub from: String,
    /// Go on with what comes.
    #[serde(default)]
    pub follow: bool,
}

/// The topic with this name; an error that lists them all otherwise.
pub fn topic(name: &str) -> Result<topics::TopicSpec, String> {
    let bare = name.strip_prefix(topics::DEFAULT_PREFIX).unwrap_or(name);
    topics::ALL.into_iter().find(|t| t.name == bare).ok_or_else(|| {
        let names: Vec<&str> = topics::ALL.iter().map(|t| t.name).collect();
        format!("`{name}` is no topic; the topics are {}", names.join(", "))
    })
}

/// Prints a topic.
pub fn run(args: &cli::Tail) -> Result<(), Failure> {
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
