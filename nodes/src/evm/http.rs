//! JSON-RPC 2.0 over HTTP POST.
//!
//! Guarantee: an answer is read within its deadline, up to [`limits::NODE_ANSWER_BYTES`], whole or not at all, and parsed
//! once, straight from its bytes into the type that is wanted. A general JSON-RPC client reads the body without a bound,
//! drops `Retry-After`, and scans the result once for its end and once for its content; blocks are too big for that.
//! No compression is asked for: unpacking costs twice what parsing does.

use std::time::{Duration, Instant, SystemTime};

use alloy_json_rpc::{Id, Request};
use futures::StreamExt;
use reqwest::{
    StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use schemas::limits;
use serde::Serialize;
use url::Url;

use super::{
    rpc_error::{classify, classify_foreign},
    wire::{Answer, Envelope, ErrorObject, Remark, Text, Wire, parse_answer, value::Lenient},
};
use crate::{
    error::{NodeErrorKind, with_causes},
    http::{self, Exchanged, broke_off, retry_after},
    mask::Mask,
    metrics,
};

/// A JSON-RPC error as it was told.
#[derive(Debug, Clone)]
pub struct ToldError {
    /// Its number; 0 where it has none.
    pub code: i64,
    /// Its words.
    pub message: String,
    /// What it adds.
    pub data: serde_json::Value,
}

/// What is read of an answer that refuses, where others are not kept.
const REFUSAL_BYTES: usize = 64 << 10;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// One endpoint's HTTP side.
pub struct Http {
    endpoint: std::sync::Arc<str>,
    client: reqwest::Client,
    url: Url,
    mask: Mask,
}

impl Http {
    /// A client with its own connection pool.
    pub fn new(
        endpoint: std::sync::Arc<str>,
        url: Url,
        headers: HeaderMap,
        mask: Mask,
        connect_timeout: Duration,
    ) -> Result<Self, String> {
        let client = http::client(headers, connect_timeout, IDLE, &mask)?;
        Ok(Self { endpoint, client, url, mask })
    }

    /// One call. `null` is [`NodeErrorKind::Empty`].
    pub async fn call<T: Wire>(
        &self,
        method: &'static str,
        params: impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin,
        deadline: Duration,
    ) -> Exchanged<T> {
        let request = Request::new(method, Id::Number(1), params);
        self.exchange(&request, (deadline, limits::NODE_ANSWER_BYTES), |text| {
            if let Some(kind) = self.foreign(text) {
                return Err(kind);
            }
            match parse_answer(text).map_err(|e| self.malformed(e))? {
                Answer::Result(value) => Ok(value),
                Answer::Null => Err(NodeErrorKind::Empty),
                Answer::Error(e) => Err(self.rpc_error(e)),
            }
        })
        .await
    }

    /// The same method with several parameter lists in one batch. Answers in the order of the questions.
    pub async fn batch<T: Wire>(
        &self,
        method: &'static str,
        params: &[impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin],
        deadline: Duration,
    ) -> Exchanged<Vec<T>> {
        let requests: Vec<_> =
            params.iter().enumerate().map(|(i, p)| Request::new(method, Id::Number(i as u64), p.clone())).collect();
        self.exchange(&requests, (deadline, limits::NODE_ANSWER_BYTES), |text| {
            self.batch_answer(text, params.len())?.into_iter().collect()
        })
        .await
    }

    /// Calls of any kind in one batch, of whose answers each is for itself, in the order of the questions. The body is cut off at `most`
    /// bytes.
    pub async fn each<T: Wire>(
        &self,
        calls: &[(&'static str, serde_json::Value)],
        deadline: Duration,
        most: usize,
    ) -> Exchanged<Vec<Result<T, NodeErrorKind>>> {
        let request = |(i, (method, params)): (usize, &(&'static str, serde_json::Value))| {
            Request::new(*method, Id::Number(i as u64), params.clone())
        };
        let requests: Vec<_> = calls.iter().enumerate().map(request).collect();
        self.exchange(&requests, (deadline, most), |text| self.batch_answer(text, calls.len())).await
    }

    fn batch_answer<T: Wire>(&self, text: &str, asked: usize) -> Result<Vec<Result<T, NodeErrorKind>>, NodeErrorKind> {
        if !text.trim_start().starts_with('[') {
            if let Some(kind) = self.foreign(text) {
                return Err(kind);
            }
            return match parse_answer::<Ignored>(text).map_err(|e| self.malformed(e))? {
                Answer::Error(e) => Err(self.rpc_error(e)),
                _ => Err(NodeErrorKind::Malformed("no list in answer to a batch".into())),
            };
        }
        let answers: Lenient<Vec<Envelope<T>>> = serde_json::from_str(text).map_err(|e| self.malformed(e))?;
        let mut out: Vec<Option<Result<T, NodeErrorKind>>> = (0..asked).map(|_| None).collect();
        for answer in answers.0.unwrap_or_default() {
            let slot = answer.id.and_then(|id| out.get_mut(usize::try_from(id).ok()?));
            match (slot, answer.error, answer.result) {
                (Some(slot), Some(e), _) => *slot = Some(Err(self.rpc_error(e))),
                // It is about all of them.
                (None, Some(e), _) => return Err(self.rpc_error(e)),
                (Some(slot), None, Some(value)) => *slot = Some(value.ok_or(NodeErrorKind::Empty)),
                _ => return Err(NodeErrorKind::Malformed("an answer in a batch has no result or no id".into())),
            }
        }
        let missing = || Err(NodeErrorKind::Malformed("an answer is missing in a batch".into()));
        Ok(out.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect())
    }

    /// Sends a question, reads the answer, up to so many bytes, and what it means.
    async fn exchange<T>(
        &self,
        question: &impl Serialize,
        (deadline, most): (Duration, usize),
        read: impl FnOnce(&str) -> Result<T, NodeErrorKind>,
    ) -> Exchanged<T> {
        let body = match serde_json::to_vec(question) {
            Ok(body) => body,
            Err(e) => return Exchanged { outcome: Err(NodeErrorKind::Malformed(e.to_string())), bytes: 0 },
        };
        let started = Instant::now();
        let mut bytes = 0;
        let answer = match tokio::time::timeout(deadline, self.exchange_unbounded(body, most, &mut bytes)).await {
            Ok(answer) => answer,
            Err(_) => Err(NodeErrorKind::Timeout(started.elapsed())),
        };
        Exchanged { outcome: answer.and_then(|text| read(&text)), bytes }
    }

    async fn send(&self, body: Vec<u8>) -> Result<reqwest::Response, NodeErrorKind> {
        let unreachable =
            |e: reqwest::Error| NodeErrorKind::Unreachable(self.mask.scrub(with_causes(&e.without_url())));
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(body);
        request.send().await.map_err(unreachable)
    }

    async fn exchange_unbounded(&self, body: Vec<u8>, most: usize, read: &mut usize) -> Result<String, NodeErrorKind> {
        let response = self.send(body).await?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let bytes = http::body(response, most, read, |text| self.mask.scrub(text)).await?;
        metrics::answer_bytes(&self.endpoint, bytes.len());
        if !status.is_success() {
            return Err(self.refusal(status, retry_after, &bytes));
        }
        String::from_utf8(bytes).map_err(|_| NodeErrorKind::Malformed("the answer is not UTF-8".into()))
    }

    /// One call whose answer is handed to `take` as it comes, and is not kept. A status other than 2xx is an error as everywhere.
    pub async fn streamed(
        &self,
        method: &'static str,
        params: impl Serialize + Clone + std::fmt::Debug + Send + Sync + Unpin,
        (deadline, most): (Duration, usize),
        take: impl FnMut(&[u8]) -> Result<(), NodeErrorKind>,
    ) -> Exchanged<()> {
        let body = match serde_json::to_vec(&Request::new(method, Id::Number(1), params)) {
            Ok(body) => body,
            Err(e) => return Exchanged { outcome: Err(NodeErrorKind::Malformed(e.to_string())), bytes: 0 },
        };
        let (started, mut bytes) = (Instant::now(), 0);
        let outcome = match tokio::time::timeout(deadline, self.stream(body, most, &mut bytes, take)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NodeErrorKind::Timeout(started.elapsed())),
        };
        Exchanged { outcome, bytes }
    }

    async fn stream(
        &self,
        body: Vec<u8>,
        most: usize,
        read: &mut usize,
        mut take: impl FnMut(&[u8]) -> Result<(), NodeErrorKind>,
    ) -> Result<(), NodeErrorKind> {
        let response = self.send(body).await?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        if response.content_length().is_some_and(|announced| announced > most as u64) {
            return Err(NodeErrorKind::TooLarge(most));
        }
        let mut refused = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| broke_off(e, *read, |text| self.mask.scrub(text)))?;
            *read += chunk.len();
            match status.is_success() {
                true if *read > most => return Err(NodeErrorKind::TooLarge(most)),
                true => take(&chunk)?,
                false if *read > REFUSAL_BYTES => break,
                false => refused.extend_from_slice(&chunk),
            }
        }
        metrics::answer_bytes(&self.endpoint, *read);
        if status.is_success() { Ok(()) } else { Err(self.refusal(status, retry_after, &refused)) }
    }

    /// What an answer of which this is the beginning says that is no JSON-RPC.
    pub fn said_instead(&self, beginning: &[u8]) -> Option<NodeErrorKind> {
        self.foreign(&String::from_utf8_lossy(beginning))
    }

    /// What a JSON-RPC error says, and its data as JSON. Credentials are masked in the former.
    pub fn told(&self, error: &[u8]) -> Result<ToldError, NodeErrorKind> {
        #[derive(serde::Deserialize)]
        struct Told {
            code: Option<serde_json::Value>,
            message: Option<serde_json::Value>,
            data: Option<serde_json::Value>,
        }
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        if let Ok(message) = serde_json::from_slice::<String>(error) {
            return Ok(ToldError { code: 0, message: self.mask.scrub(message), data: serde_json::Value::Null });
        }
        let told: Told = serde_json::from_slice(error).map_err(|e| self.malformed(e))?;
        Ok(ToldError {
            code: told.code.and_then(|code| code.as_i64()).unwrap_or_default(),
            message: self.mask.scrub(told.message.map(text).unwrap_or_default()),
            data: told.data.unwrap_or_default(),
        })
    }

    /// What kind of error that is.
    pub fn kind_of(&self, told: &ToldError) -> NodeErrorKind {
        let data = match &told.data {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let short = |text: String| text[..text.floor_char_boundary(Remark::BYTES)].to_owned();
        self.rpc_error(ErrorObject {
            code: Some(told.code),
            message: Some(Text(short(told.message.clone()))),
            data: data.map(|data| Remark(short(data))),
        })
    }

    /// What a status other than 2xx means. Some nodes put JSON-RPC errors under them, and what those say is what counts.
    fn refusal(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> NodeErrorKind {
        let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
        let kind = match parse_answer::<Ignored>(&text) {
            Ok(Answer::Error(e)) => Some(self.rpc_error(e)),
            _ => self.foreign(&text),
        };
        let said = match kind {
            Some(NodeErrorKind::Throttled(asked, said)) => {
                return NodeErrorKind::Throttled(retry_after.or(asked), said);
            }
            Some(kind @ (NodeErrorKind::Missing(..) | NodeErrorKind::NoBlock(_))) => return kind,
            Some(NodeErrorKind::Malformed(_)) | None => self.mask.scrub(text),
            Some(kind) => kind.to_string(),
        };
        match status.as_u16() {
            429 => NodeErrorKind::Throttled(retry_after, said),
            code @ 500.. => NodeErrorKind::Server(code, retry_after, said),
            code => NodeErrorKind::Refused(code, said),
        }
    }

    fn rpc_error(&self, e: ErrorObject) -> NodeErrorKind {
        let message = e.message.map(|text| Text(self.mask.scrub(text.0)));
        let data = e.data.map(|data| Remark(self.mask.scrub(data.0)));
        classify(&ErrorObject { code: e.code, message, data })
    }

    /// What an answer means that is no JSON-RPC; `None` where it may be.
    fn foreign(&self, text: &str) -> Option<NodeErrorKind> {
        Some(match classify_foreign(text)? {
            NodeErrorKind::Throttled(wait, said) => NodeErrorKind::Throttled(wait, self.mask.scrub(said)),
            NodeErrorKind::Missing(what, said) => NodeErrorKind::Missing(what, self.mask.scrub(said)),
            NodeErrorKind::Malformed(said) => NodeErrorKind::Malformed(self.mask.scrub(said)),
            NodeErrorKind::Rpc(code, said) => NodeErrorKind::Rpc(code, self.mask.scrub(said)),
            NodeErrorKind::NoBlock(said) => NodeErrorKind::NoBlock(self.mask.scrub(said)),
            kind => kind,
        })
    }

    fn malformed(&self, e: serde_json::Error) -> NodeErrorKind {
        NodeErrorKind::Malformed(self.mask.scrub(e.to_string()))
    }
}

/// A result that is not looked at.
#[derive(Debug)]
struct Ignored;

impl Wire for Ignored {
    fn wire<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Self>, D::Error> {
        <serde::de::IgnoredAny as serde::Deserialize>::deserialize(d).map(|_| Some(Ignored))
    }
}
