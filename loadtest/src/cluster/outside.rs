//! Asks a running Headwater from outside: SQL over ClickHouse's HTTP interface, JSON of the API.

use crate::failure::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One request.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where to ask, and with whose password.
#[derive(Clone, Debug)]
pub struct Outside {
    client: reqwest::Client,
    /// `http://host:port` of the API.
    pub api: String,
    /// `http://host:port` of the store.
    pub sql: String,
    /// The store's `credentials.toml`.
    credentials: PathBuf,
}

impl Outside {
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(api: String, sql: String, credentials: PathBuf) -> Result<Self, Failure> {
        // A second installation fails, and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { client: reqwest::Client::builder().timeout(DEADLINE).build()?, api, sql, credentials })
    }

    /// A password that the store made: `analyst_password` or `stages_password`. `None` until the store has started.
    #[must_use]
    pub fn password(&self, key: &str) -> Option<String> {
        password(&self.credentials, key)
    }

    /// Rows of a query as the analyst, each an object.
    ///
    /// # Errors
    /// What the store says, or that it does not answer.
    pub async fn query(&self, sql: &str) -> Result<Vec<Value>, Failure> {
        let password = self.password("analyst_password").ok_or("the store has made no password yet")?;
        let answer = self
            .client
            .post(format!("{}/?default_format=JSONEachRow&database=headwater", self.sql))
            .basic_auth("analyst", Some(password))
            .body(sql.to_owned())
            .send()
            .await?;
        let ok = answer.status().is_success();
        let text = answer.text().await?;
        if !ok {
            return Err(text.into());
        }
        text.lines().map(|line| serde_json::from_str(line).map_err(|e| format!("{e}: {line}").into())).collect()
    }

    /// The column `line` of a query, which is text.
    ///
    /// # Errors
    /// What the store says, or that it does not answer.
    pub async fn lines(&self, sql: &str) -> Result<Vec<String>, Failure> {
        let rows = self.query(sql).await?;
        Ok(rows.iter().map(|row| row["line"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// The highest canonical height of a network that is visible in SQL; 0: none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn height(&self, slug: &str) -> Result<u64, Failure> {
        let rows = self.query(&format!("SELECT max(number) AS n FROM blocks WHERE network = '{slug}'")).await?;
        number(rows.first().unwrap_or(&Value::Null), "n")
    }

    /// JSON of an API path below `/api/v1`.
    ///
    /// # Errors
    /// When it does not answer, or not with success.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.client.get(format!("{}/api/v1{path}", self.api)).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{path}: {status}: {text}").into());
        }
        serde_json::from_str(&text).map_err(|e| format!("{path}: {e}: {text}").into())
    }
}

/// A password in a store's `credentials.toml`: `analyst_password`, `api_password` or `stages_password`.
pub(crate) fn password(credentials: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(credentials).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// A whole number of a row: ClickHouse prints 64-bit numbers as numbers or in quotes, by settings.
///
/// # Errors
/// When there is no such number.
pub fn number(row: &Value, column: &str) -> Result<u64, Failure> {
    let value = &row[column];
    value
        .as_u64()
        .or_else(|| value.as_str()?.parse().ok())
        .ok_or_else(|| format!("{column} is no whole number in {row}").into())
}
