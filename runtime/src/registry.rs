//! A Confluent-compatible schema registry beside Kafka: our subjects are registered there, and its ids are ours (rule 22).
//!
//! Guarantee: [`Registry::ids`] either knows an id for every version of every schema that this program writes, each with the very
//! text that this program has, or says which subject it lacks or why the registry refuses it.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use schemas::registry::{SCHEMAS, SchemaVersion};
use serde_json::{Value, json};
use url::Url;

/// Deadline of one call.
const CALL: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 1 << 20;
/// Processes that start together register at the same time, and a registry may refuse the second of two equal requests
/// (Apicurio: 409, "already exists"): so often it is tried, with this pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
/// The media type of the registry's API.
const MEDIA: &str = "application/vnd.schemaregistry.v1+json";
/// What our subjects promise: a new schema reads what the last one wrote.
pub const COMPATIBILITY: &str = "BACKWARD";

/// Why the registry does not have our schemas.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer, or none that can be read.
    #[error("the schema registry at {url} does not answer: {problem}; see `[log] schema_registry`")]
    Unreachable {
        /// Where, without credentials.
        url: String,
        /// Why.
        problem: String,
    },
    /// The subject or this version of it is not there, and we were not to register it.
    #[error("the schema registry at {url} lacks version {version} of subject {subject}: run `headwater schemas push`")]
    Missing {
        /// Where.
        url: String,
        /// The subject.
        subject: String,
        /// Our version.
        version: u32,
    },
    /// It does not take the schema.
    #[error(
        "the schema registry at {url} refuses version {version} of subject {subject}: {problem}. Another program's schema, or a newer \
         Headwater's, stands under this subject: use another `[log] prefix`, or compare them with GET /subjects/{subject}/versions/latest"
    )]
    Refused {
        /// Where.
        url: String,
        /// The subject.
        subject: String,
        /// Our version.
        version: u32,
        /// What it says.
        problem: String,
    },
}

/// A registry.
pub struct Registry {
    base: Url,
    prefix: String,
    client: Client,
}

/// What became of one schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The subject.
    pub subject: String,
    /// The topic without prefix.
    pub topic: &'static str,
    /// Our version.
    pub version: u32,
    /// The registry's id.
    pub id: u32,
}

/// Whether schemas that are missing are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Register them, and set the subject's compatibility.
    Register,
    /// They are an error.
    Refuse,
}

impl Registry {
    /// The registry at a base URL, which may have a path. Opens nothing.
    pub fn new(base: Url, prefix: &str) -> Result<Self, RegistryError> {
        let client = Client::builder().timeout(CALL).build();
        let client = client.map_err(|e| RegistryError::Unreachable { url: masked(&base), problem: e.to_string() })?;
        Ok(Self { base, prefix: prefix.to_owned(), client })
    }

    /// The ids of all our schemas there; of those that only former versions wrote, where they are.
    pub async fn ids(&self, missing: Missing) -> Result<Vec<Registered>, RegistryError> {
        let mut all = Vec::with_capacity(SCHEMAS.len());
        for schema in SCHEMAS.iter() {
            let id = match self.look_up(schema).await? {
                Some(id) => id,
                None if schema.is_former() => continue,
                None if missing == Missing::Register => self.register(schema).await?,
                None => {
                    let (url, subject) = (masked(&self.base), schema.subject(&self.prefix));
                    return Err(RegistryError::Missing { url, subject, version: schema.version });
                }
            };
            let subject = schema.subject(&self.prefix);
            all.push(Registered { subject, topic: schema.topic.name, version: schema.version, id });
        }
        Ok(all)
    }

    /// The id of exactly this text under its subject.
    async fn look_up(&self, schema: &SchemaVersion) -> Result<Option<u32>, RegistryError> {
        let path = format!("subjects/{}", schema.subject(&self.prefix));
        match self.call(Method::POST, &path, Some(body(schema))).await? {
            (status, answer) if status.is_success() => self.id(&answer).map(Some),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) => Err(self.refused(schema, status, &answer)),
        }
    }

    async fn register(&self, schema: &SchemaVersion) -> Result<u32, RegistryError> {
        let subject = schema.subject(&self.prefix);
        let answer = self.settle(schema, Method::POST, &format!("subjects/{subject}/versions"), body(schema)).await?;
        let id = self.id(&answer)?;
        let level = json!({ "compatibility": COMPATIBILITY });
        self.settle(schema, Method::PUT, &format!("config/{subject}"), level).await?;
        tracing::info!(subject, version = schema.version, id, "the schema is registered");
        Ok(id)
    }

    /// Asks until it is taken, a few times while the registry says that another does the same.
    async fn settle(
        &self,
        schema: &SchemaVersion,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, RegistryError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.call(method.clone(), path, Some(body.clone())).await? {
                (status, answer) if status.is_success() => return Ok(answer),
                (StatusCode::CONFLICT, _) if tries < TRIES => tokio::time::sleep(PAUSE).await,
                (status, answer) => return Err(self.refused(schema, status, &answer)),
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), RegistryError> {
        let unreachable = |problem: String| RegistryError::Unreachable { url: masked(&self.base), problem };
        let url = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        let mut request = self.client.request(method, url).header("accept", MEDIA);
        if let Some(body) = body {
            request = request.header("content-type", MEDIA).body(body.to_string());
        }
        let mut answer = request.send().await.map_err(|e| unreachable(e.without_url().to_string()))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| unreachable(e.without_url().to_string()))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES {
                return Err(unreachable(format!("its answer has more than {ANSWER_BYTES} bytes")));
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(text.into_owned()))))
    }

    fn id(&self, answer: &Value) -> Result<u32, RegistryError> {
        answer["id"].as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| RegistryError::Unreachable {
            url: masked(&self.base),
            problem: format!("it answered without an id: {answer}"),
        })
    }

    fn refused(&self, schema: &SchemaVersion, status: StatusCode, answer: &Value) -> RegistryError {
        let said = answer["message"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
        let problem = format!("{status}: {}", said.chars().take(500).collect::<String>());
        let subject = schema.subject(&self.prefix);
        RegistryError::Refused { url: masked(&self.base), subject, version: schema.version, problem }
    }
}

fn body(schema: &SchemaVersion) -> Value {
    json!({ "schema": schema.avsc, "schemaType": "AVRO" })
}

/// The URL without what may be secret in it; its path is where a registry lives and no secret.
fn masked(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.to_string()
}
