//! One request to a receiver.
//!
//! Guarantee: the receiver's name is resolved and looked at for this request, and what was looked at is what is connected to; no connection
//! is kept for another one, no proxy is used and no redirect followed. It ends within [`limits::ATTEMPT_WITHIN`], and of the answer at most
//! [`limits::ANSWER_BYTES`] are read. No URL and no header is in an error.

use std::net::SocketAddr;

use futures::StreamExt;
use runtime::targets::{Clients, Refused, Targets, told};
use rustls::pki_types::CertificateDer;
use schemas::limits::alerts as limits;
use tokio::time::timeout;

use super::channels::{Answer, LOOKED_AT, Method, Request};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing may be sent there.
    #[error("{0}")]
    NotAllowed(String),
    /// Nothing came, or not in time.
    #[error("{0}")]
    Away(String),
}

/// What sends requests. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    targets: Targets,
    clients: Clients,
}

impl Http {
    /// To these targets; certificates are the system's, and these.
    ///
    /// # Errors
    /// There are no certificates to be used.
    pub fn new(targets: Targets, further: &[CertificateDer<'static>]) -> Result<Self, String> {
        Ok(Self { targets, clients: Clients::new(further, "nothing can be sent over TLS")? })
    }

    /// What may be sent to.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Asks.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn ask(&self, request: &Request) -> Result<Answer, Trouble> {
        let asking = async {
            let addresses = self.targets.url(&request.url).await.map_err(|refused| match refused {
                Refused::NotAllowed(why) => Trouble::NotAllowed(why),
                Refused::Unresolved(why) => Trouble::Away(why),
            })?;
            self.asking(request, &addresses).await
        };
        in_time(asking).await
    }

    /// Asks at a place that the operator himself has configured, wherever it is.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn ask_operators(&self, request: &Request) -> Result<Answer, Trouble> {
        in_time(self.asking(request, &[])).await
    }

    async fn asking(&self, request: &Request, addresses: &[SocketAddr]) -> Result<Answer, Trouble> {
        let client = self.clients.one(&request.url, addresses, limits::ATTEMPT_WITHIN / 2);
        let client = client.map_err(|e| Trouble::Away(told(e)))?;
        let mut asked = match request.method {
            Method::Post => client.post(request.url.clone()),
            Method::Patch => client.patch(request.url.clone()),
        };
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        let response = asked.body(request.body.clone()).send().await.map_err(|e| Trouble::Away(told(e)))?;
        let mut answer = Answer { status: response.status().as_u16(), ..Answer::default() };
        for name in LOOKED_AT {
            if let Some(value) = response.headers().get(name).and_then(|value| value.to_str().ok()) {
                answer.headers.push((name, value.to_owned()));
            }
        }
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            // The status is known: what it says further is of no weight.
            let Ok(piece) = piece else { break };
            let room = limits::ANSWER_BYTES.saturating_sub(answer.body.len());
            answer.body.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
            if room <= piece.len() {
                break;
            }
        }
        Ok(answer)
    }
}

async fn in_time(asking: impl Future<Output = Result<Answer, Trouble>>) -> Result<Answer, Trouble> {
    let late = || Trouble::Away(format!("no answer within {} s", limits::ATTEMPT_WITHIN.as_secs()));
    timeout(limits::ATTEMPT_WITHIN, asking).await.unwrap_or_else(|_| Err(late()))
}
