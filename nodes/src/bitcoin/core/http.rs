//! One exchange with a node over HTTP: RPC by POST, REST by GET.
//!
//! Guarantee: an answer is read within its deadline and up to its limit, whole or not at all; who we are is told again once when a cookie
//! was outdated; no message holds a credential.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use alloy_primitives::Bytes;
use reqwest::{
    Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use schemas::limits;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::{
    auth::Auth,
    refusal::{of_rest, of_rpc, of_status},
    wire::{Answer, Answers, RpcError},
};
use crate::{
    bitcoin::Endpoint,
    error::{NodeErrorKind, with_causes},
    http::{self, Exchanged, retry_after},
    mask::Mask,
    metrics,
};

/// What a message shows of an answer that is none, bytes.
const SHOWN: usize = 400;

/// How long a connection is kept that nobody uses: Core closes it after 30 s.
const IDLE: Duration = Duration::from_secs(20);

/// A status and a body.
struct Reply {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// What is asked.
enum Question {
    /// A call, or a batch of them: its body.
    Rpc(String),
    /// A resource: its path.
    Rest(String),
}

/// What REST gave.
pub(super) enum Rest {
    /// The body.
    Body(Bytes),
    /// It is not offered there.
    NotOffered(String),
}

/// A node's HTTP side.
pub(super) struct Http {
    endpoint: Arc<str>,
    client: reqwest::Client,
    /// Without user and password.
    url: Url,
    auth: Auth,
    mask: Mask,
    under_way: AtomicU32,
}

/// A request under way, until dropped.
struct UnderWay<'a>(&'a AtomicU32);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Http {
    /// A client with its own connection pool; nothing is connected yet. Fails on header names, values and passwords that HTTP does not
    /// allow.
    pub fn new(endpoint: &Endpoint, connect_timeout: Duration) -> Result<Self, String> {
        let mask = Mask::new([&endpoint.url], endpoint.headers.iter().map(|(_, value)| value.as_str()));
        let headers = http::headers(&endpoint.name, &endpoint.headers)?;
        let auth = Auth::new(&endpoint.url, endpoint.cookie.clone())
            .map_err(|e| format!("endpoint `{}`: {e}", endpoint.name))?;
        let mut url = endpoint.url.clone();
        // Neither fails where there is a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let client = http::client(headers, connect_timeout, IDLE, &mask)?;
        let name = endpoint.name.as_str().into();
        Ok(Self { endpoint: name, client, url, auth, mask, under_way: AtomicU32::new(0) })
    }

    /// Requests that have not been answered yet.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// One call of RPC. `null` is [`NodeErrorKind::Empty`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &Value,
        (deadline, most): (Duration, usize),
    ) -> Exchanged<T> {
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.exchange(Question::Rpc(question.to_string()), (deadline, most), |reply| {
            match serde_json::from_slice::<Answer<T>>(&reply.body) {
                Ok(answer) => self.answered(answer),
                Err(e) => Err(self.no_answer(reply, &e)),
            }
        })
        .await
    }

    /// The same method with several lists of parameters in one batch. The answers in the order of the questions, each for itself.
    pub async fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &[Value],
        deadline: Duration,
    ) -> Exchanged<Vec<Result<T, NodeErrorKind>>> {
        let question = |(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let questions: Value = params.iter().enumerate().map(question).collect();
        self.exchange(Question::Rpc(questions.to_string()), (deadline, limits::NODE_BATCH_ANSWER_BYTES), |reply| {
            let answers = match serde_json::from_slice::<Answers<T>>(&reply.body) {
                Ok(Answers(answers)) => answers,
                // One error for all of them: an object, since a list would be read as one by its fields' order.
                Err(e) => {
                    let is_object = reply.body.trim_ascii_start().starts_with(b"{");
                    let one = is_object.then(|| serde_json::from_slice::<Answer<serde::de::IgnoredAny>>(&reply.body));
                    return match one {
                        Some(Ok(Answer { error: Some(error), .. })) => Err(self.refused(error)),
                        _ => Err(self.no_answer(reply, &e)),
                    };
                }
            };
            let missing = || Err(NodeErrorKind::Malformed("an answer is missing in a batch".into()));
            let mut out: Vec<Option<Result<T, NodeErrorKind>>> = params.iter().map(|_| None).collect();
            for answer in answers {
                let slot = answer.id.and_then(|id| out.get_mut(usize::try_from(id).ok()?));
                match slot {
                    Some(slot) => *slot = Some(self.answered(answer)),
                    None => return Err(NodeErrorKind::Malformed("an answer in a batch has no id of ours".into())),
                }
            }
            Ok(out.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect())
        })
        .await
    }

    /// One resource of REST, such as `rest/block/….bin`.
    pub async fn rest(&self, path: &str, (deadline, most): (Duration, usize)) -> Exchanged<Rest> {
        self.exchange(Question::Rest(path.to_owned()), (deadline, most), |reply| {
            if reply.status == StatusCode::OK {
                return Ok(Rest::Body(reply.body.into()));
            }
            let said = self.said(&reply.body);
            match of_rest(reply.status.as_u16(), reply.retry_after, said.clone()) {
                Some(kind) => Err(kind),
                None => Ok(Rest::NotOffered(format!("HTTP {} {said}", reply.status.as_u16()))),
            }
        })
        .await
    }

    fn answered<T>(&self, answer: Answer<T>) -> Result<T, NodeErrorKind> {
        match answer {
            Answer { error: Some(error), .. } => Err(self.refused(error)),
            Answer { result: Some(value), .. } => Ok(value),
            Answer { .. } => Err(NodeErrorKind::Empty),
        }
    }

    fn refused(&self, error: RpcError) -> NodeErrorKind {
        of_rpc(RpcError { message: self.scrub(error.message), ..error })
    }

    /// What a body means that is no answer of RPC.
    fn no_answer(&self, reply: Reply, e: &serde_json::Error) -> NodeErrorKind {
        match reply.status.as_u16() {
            200 => NodeErrorKind::Malformed(self.scrub(e.to_string())),
            status => of_status(status, reply.retry_after, self.said(&reply.body)),
        }
    }

    fn scrub(&self, text: String) -> String {
        self.auth.scrub(self.mask.scrub(text))
    }

    fn said(&self, body: &[u8]) -> String {
        let beginning = body.get(..SHOWN).unwrap_or(body);
        self.scrub(String::from_utf8_lossy(beginning).trim().to_owned())
    }

    /// Sends a question, reads the answer, up to so many bytes, and what it means.
    async fn exchange<T>(
        &self,
        question: Question,
        (deadline, most): (Duration, usize),
        read: impl FnOnce(Reply) -> Result<T, NodeErrorKind>,
    ) -> Exchanged<T> {
        let _under_way = UnderWay::new(&self.under_way);
        let (started, mut bytes) = (Instant::now(), 0);
        let reply = match tokio::time::timeout(deadline, self.unbounded(question, most, &mut bytes)).await {
            Ok(reply) => reply,
            Err(_) => Err(NodeErrorKind::Timeout(started.elapsed())),
        };
        metrics::answer_bytes(&self.endpoint, bytes);
        Exchanged { outcome: reply.and_then(read), bytes }
    }

    async fn unbounded(&self, question: Question, most: usize, read: &mut usize) -> Result<Reply, NodeErrorKind> {
        let mut auth = self.auth.header().await?;
        let mut response = self.send(&question, auth.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.auth.another(auth.as_ref()).await? {
            auth = self.auth.header().await?;
            response = self.send(&question, auth.as_ref()).await?;
        }
        let (status, retry_after) = (response.status(), retry_after(response.headers(), SystemTime::now()));
        let body = http::body(response, most, read, |text| self.scrub(text)).await?;
        Ok(Reply { status, retry_after, body })
    }

    async fn send(&self, question: &Question, auth: Option<&HeaderValue>) -> Result<Response, NodeErrorKind> {
        let mut request = match question {
            Question::Rpc(body) => self
                .client
                .request(Method::POST, self.url.clone())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone()),
            Question::Rest(path) => self.client.request(Method::GET, self.resource(path)),
        };
        if let Some(auth) = auth {
            request = request.header(AUTHORIZATION, auth.clone());
        }
        let unreachable = |e: reqwest::Error| NodeErrorKind::Unreachable(self.scrub(with_causes(&e.without_url())));
        request.send().await.map_err(unreachable)
    }

    /// REST lies below the URL of RPC.
    fn resource(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let below = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&below);
        url
    }
}
