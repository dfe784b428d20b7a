//! The way to the log for commands. Kafka is reached by everybody. The embedded log has one owner: while a process runs on it, that
//! process is asked over its admin port; otherwise the directory is opened here.

use std::sync::Arc;

use futures::StreamExt;
use runtime::{
    config::Config,
    log::{Log, LogErrorKind},
};
use schemas::{codec::Codec, records::Request, topics::TopicSpec};

use crate::{
    exit::Failure,
    parts::{self, OpenLog},
    requests::{self, row::RequestRow},
    tail::{self, Query},
};

/// How the log is reached.
pub enum Way {
    /// Here.
    Here {
        /// What has to be closed; `None`: somebody else's.
        open: Option<OpenLog>,
        /// The log.
        log: Arc<dyn Log>,
        /// Its codec.
        codec: Arc<Codec>,
    },
    /// Over the admin port of the process that has it.
    There {
        /// Asks.
        client: reqwest::Client,
        /// Where, without a path.
        base: String,
    },
}

impl Way {
    /// Opens a log that is there, or finds out who has it. Nothing is made, and nothing goes that a stage may still want.
    pub async fn find(config: &Config) -> Result<Self, Failure> {
        let open = match parts::open_log_for_reading(config).await {
            Ok(open) => open,
            Err(e) if e.kind == LogErrorKind::InUse => {
                let client = reqwest::Client::builder().connect_timeout(parts::CONNECT_DEADLINE).build()?;
                return Ok(Self::There { client, base: format!("http://{}", config.admin_listen) });
            }
            Err(e) => return Err(e.into()),
        };
        let codec = Arc::new(parts::codec(config).await?);
        Ok(Self::Here { log: open.log.clone(), codec, open: Some(open) })
    }

    /// A log that is open already.
    pub fn within(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        Self::Here { open: None, log, codec }
    }

    /// Closes what was opened.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Here { open: Some(open), .. } => Ok(open.close().await?),
            _ => Ok(()),
        }
    }

    /// Calls with every matching record of a topic as a line of JSON, until it returns false.
    pub async fn each_line(
        &self,
        spec: TopicSpec,
        query: Query,
        mut each: impl AsyncFnMut(&str) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Here { log, codec, .. } => {
                let lines = tail::follow::records(log.clone(), codec.clone(), spec, query).await?;
                let mut lines = std::pin::pin!(lines);
                while let Some(line) = lines.next().await {
                    if !each(&line?).await? {
                        break;
                    }
                }
                Ok(())
            }
            Self::There { client, base } => remote_lines(client, base, spec, &query, each).await,
        }
    }

    /// Writes what an operator asks; a former record of the same id is replaced.
    pub async fn put(&self, request: &Request) -> Result<(), Failure> {
        match self {
            Self::Here { log, codec, .. } => Ok(requests::write::put(&**log, codec, request).await?),
            Self::There { client, base } => {
                let asked = client.put(requests::route::url(base, &request.id)).json(&RequestRow::of(request));
                answered(asked, base).await
            }
        }
    }

    /// Removes a request.
    pub async fn remove(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Here { log, .. } => Ok(requests::write::remove(&**log, id).await?),
            Self::There { client, base } => answered(client.delete(requests::route::url(base, id)), base).await,
        }
    }
}

async fn answered(request: reqwest::RequestBuilder, base: &str) -> Result<(), Failure> {
    let answer = request.timeout(parts::CALL_DEADLINE).send().await;
    let answer =
        answer.map_err(|e| format!("a process holds the log, but its admin port does not answer at {base}: {e}"))?;
    let status = answer.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("{base} answered {status}: {}", answer.text().await.unwrap_or_default()).into()),
    }
}

/// Asks the process that owns the log, line by line until there are no more or nobody wants more.
async fn remote_lines(
    client: &reqwest::Client,
    base: &str,
    spec: TopicSpec,
    query: &Query,
    mut each: impl AsyncFnMut(&str) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let url = format!("{base}{}", tail::route::path(spec.name));
    let network = query.network.iter().map(|n| format!("&network={n}")).collect::<String>();
    let query_string = format!("from={}&follow={}{network}", query.from, query.follow);
    let asked = client.get(format!("{url}?{query_string}")).send().await;
    let asked =
        asked.map_err(|e| format!("a process holds the log, but its admin port does not answer at {url}: {e}"))?;
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
