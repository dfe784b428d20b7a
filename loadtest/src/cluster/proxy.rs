//! Faults on the way between stages and brokers, made by Toxiproxy (<https://github.com/Shopify/toxiproxy>), whose HTTP
//! interface this speaks. One proxy per broker, `broker-1` and on.

use crate::failure::Failure;
use serde_json::{Value, json};
use std::time::Duration;

/// One request; a slow way is given up only when what is on it has gone through.
const DEADLINE: Duration = Duration::from_secs(60);

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Both directions late by so many milliseconds, give or take half of it, at 1 MiB/s.
    Slow(u64),
    /// Connections are reset, and no new one comes about.
    Cut,
    /// What the broker sends does not arrive; what it is sent does. Nobody closes.
    HalfClosed,
}

/// A running Toxiproxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    client: reqwest::Client,
    url: String,
}

impl Proxy {
    pub(super) fn new(url: String) -> Result<Self, Failure> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { client: reqwest::Client::builder().timeout(DEADLINE).build()?, url })
    }

    /// Spoils the way to a broker, from 1.
    ///
    /// # Errors
    /// When the proxy refuses or does not answer.
    pub async fn spoil(&self, broker: u64, way: Way) -> Result<(), Failure> {
        let toxic = |kind: &str, stream: &str, attributes: Value| json!({"name": format!("{kind}-{stream}"), "type": kind, "stream": stream, "attributes": attributes});
        let toxics = match way {
            Way::Cut => return self.post(&format!("/proxies/broker-{broker}"), &json!({"enabled": false})).await,
            Way::HalfClosed => vec![toxic("timeout", "downstream", json!({"timeout": 0}))],
            Way::Slow(latency) => {
                let late = json!({"latency": latency, "jitter": latency / 2});
                let narrow = json!({"rate": 1024});
                vec![
                    toxic("latency", "upstream", late.clone()),
                    toxic("latency", "downstream", late),
                    toxic("bandwidth", "upstream", narrow.clone()),
                    toxic("bandwidth", "downstream", narrow),
                ]
            }
        };
        for toxic in toxics {
            self.post(&format!("/proxies/broker-{broker}/toxics"), &toxic).await?;
        }
        Ok(())
    }

    /// Makes every way good again. Half-closed connections are closed by it.
    ///
    /// # Errors
    /// When the proxy refuses or does not answer.
    pub async fn mend(&self) -> Result<(), Failure> {
        self.post("/reset", &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let answer = self.client.post(format!("{}{path}", self.url)).json(body).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("toxiproxy {path} {body}: {status}: {}", answer.text().await.unwrap_or_default()).into())
    }
}
