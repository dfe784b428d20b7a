//! Statements to the store of a `headwater` on this machine.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, Url};

use crate::cluster::password;
use crate::failure::Failure;

/// One statement.
const DEADLINE: Duration = Duration::from_secs(1_800);

/// The store, as one of its users.
pub struct Sql {
    client: Client,
    at: SocketAddr,
    user: &'static str,
    password: String,
}

impl Sql {
    /// As this user, whose generated password stands in the data directory.
    pub fn new(data: &Path, at: SocketAddr, user: &'static str) -> Result<Self, Failure> {
        let file = data.join("store/credentials.toml");
        let wanted = if user == "headwater" { "stages_password" } else { "analyst_password" };
        let password = password(&file, wanted).ok_or_else(|| format!("{}: no {wanted}", file.display()))?;
        Ok(Self { client: Client::builder().timeout(DEADLINE).build()?, at, user, password })
    }

    /// Runs a statement; its answer as text.
    pub async fn text(&self, sql: &str, settings: &[(&str, &str)]) -> Result<String, Failure> {
        let url = Url::parse_with_params(&format!("http://{}/?database=headwater", self.at), settings)?;
        let answer =
            self.client.post(url).basic_auth(self.user, Some(&self.password)).body(sql.to_owned()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        match status.is_success() {
            true => Ok(text),
            false => Err(format!("{sql}: {status}: {text}").into()),
        }
    }

    /// Runs a statement that has no answer.
    pub async fn run(&self, sql: &str, settings: &[(&str, &str)]) -> Result<(), Failure> {
        self.text(sql, settings).await.map(drop)
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> Result<u64, Failure> {
        let text = self.text(sql, &[]).await?;
        text.trim().parse().map_err(|e| format!("{sql}: {text:?}: {e}").into())
    }

    /// Runs a statement; how long it took.
    pub async fn timed(&self, sql: &str) -> Result<(String, Duration), Failure> {
        let began = Instant::now();
        let text = self.text(sql, &[]).await?;
        Ok((text, began.elapsed()))
    }
}
