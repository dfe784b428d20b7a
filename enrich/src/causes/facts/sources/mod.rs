//! Names and ABIs from contract sources: Etherscan- and Blockscout-compatible explorers, and Sourcify. Nobody is asked who is not
//! configured.
//!
//! Guarantee: each source is asked within its rate and its day; one that wants to be asked more slowly, or is away, is left alone for a
//! while that grows, and one that refuses until an operator changes something, such as a wrong key, for good. What none has is
//! remembered. An ABI is checked whole, and against the deployed code: one that does not fit is no answer. Nothing of it touches the
//! stream: questions wait in a queue of their own, and what finds no room there is asked for when it is seen again.
//!
//! * [`kind`]: what each kind is asked, and what its answers mean; [`http`]: one question.
//! * [`cache`]: answers on disk.

mod cache;
mod http;
mod kind;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use alloy_primitives::{Address, Bytes, keccak256};
use runtime::secret::Secret;
use schemas::{
    Network, TimeMs,
    abi::{Abi, What},
    limits::facts as limits,
    records::FactSource,
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant},
};
use url::Url;

use self::{
    cache::{Cache, Kept},
    http::Trouble,
    kind::Said,
};
use super::{
    ledger::Verified,
    metrics,
    pace::{Pace, Turn},
    proxy::fits,
};

/// A configured source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// What it is: not [`FactSource::Operator`].
    pub kind: FactSource,
    /// Where it is.
    pub url: Url,
    /// Its key.
    pub key: Option<Secret>,
    /// Networks that it is asked about; `None`: all EVM networks.
    pub networks: Option<Vec<Network>>,
    /// Questions a second.
    pub per_second: f64,
    /// Questions a day (UTC).
    pub per_day: u64,
}

impl SourceConfig {
    /// Its host, for people and for the facts that it gives.
    pub fn host(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.url.host_str().unwrap_or_default())
    }

    /// Kind and place, as the name of a folder: so much of the path that instances on one host are apart.
    fn folder(&self) -> String {
        let place = format!("{}{}", self.host(), self.url.path().trim_end_matches('/'));
        let plain: String =
            place.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).collect();
        format!("{}-{plain}", self.kind)
    }
}

/// A contract whose name and ABI are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its network.
    pub network: Network,
    /// The network's chain id (EIP-155).
    pub chain_id: u64,
    /// Its address.
    pub address: Address,
    /// Its deployed code.
    pub code: Bytes,
}

/// What was found.
#[derive(Debug)]
pub struct Answered {
    /// The contract's network.
    pub network: Network,
    /// The contract.
    pub address: Address,
    /// What a source says of it.
    pub said: Verified,
}

struct Source {
    config: SourceConfig,
    pace: Pace,
    /// Networks on which it has nothing at all.
    without: Vec<Network>,
}

/// Asks for what comes, until the sender is gone.
pub async fn run(
    configs: Vec<SourceConfig>,
    folder: PathBuf,
    mut wanted: mpsc::Receiver<Wanted>,
    found: mpsc::Sender<Answered>,
) {
    let client = match http::client() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(error, "no contract source can be asked");
            return;
        }
    };
    let opened = tokio::task::spawn_blocking(move || Cache::open(folder)).await;
    let Ok(cache) = opened else { return };
    let sources = configs.into_iter().map(|config| Source {
        pace: Pace::new(config.per_second, config.per_day),
        config,
        without: Vec::new(),
    });
    let mut asking = Asking { client, cache, sources: sources.collect(), later: Vec::new() };
    loop {
        let due = asking.later.iter().map(|(at, _)| *at).min();
        let wait = due.map_or(Duration::from_secs(3_600), |at| at.saturating_duration_since(Instant::now()));
        let next = tokio::select! {
            biased;
            next = wanted.recv() => match next {
                Some(next) => next,
                None => return,
            },
            () = tokio::time::sleep(wait) => match asking.due() {
                Some(next) => next,
                None => continue,
            },
        };
        let place = (next.network.clone(), next.address);
        if let Some(said) = asking.ask(next).await
            && found.send(Answered { network: place.0, address: place.1, said }).await.is_err()
        {
            return;
        }
    }
}

struct Asking {
    client: reqwest::Client,
    cache: Cache,
    sources: Vec<Source>,
    /// Those that no source that could be asked had, while others could not be asked.
    later: Vec<(Instant, Wanted)>,
}

impl Asking {
    fn due(&mut self) -> Option<Wanted> {
        let now = Instant::now();
        let at = self.later.iter().position(|(at, _)| *at <= now)?;
        Some(self.later.swap_remove(at).1)
    }

    /// The first source's word that can be used, in the order of the configuration.
    async fn ask(&mut self, wanted: Wanted) -> Option<Verified> {
        let mut later: Option<Instant> = None;
        let code = keccak256(&wanted.code).to_string();
        for at in 0..self.sources.len() {
            let source = &mut self.sources[at];
            let about = source.config.networks.as_ref().is_none_or(|of| of.contains(&wanted.network));
            if !about || source.without.contains(&wanted.network) {
                continue;
            }
            let folder = source.config.folder();
            if let Some(kept) = self.cache.get(&folder, wanted.chain_id, wanted.address, &code, TimeMs::now()) {
                metrics::source_asked(source.config.kind, "cached");
                if kept.is_nothing() {
                    continue;
                }
                return Some(verified(&source.config, kept));
            }
            match source.pace.turn(Instant::now(), TimeMs::now()) {
                Turn::Now => {}
                Turn::After(wait) if wait <= PATIENCE => tokio::time::sleep(wait).await,
                Turn::After(wait) => {
                    let then = Instant::now() + wait;
                    later = Some(later.map_or(then, |soonest| soonest.min(then)));
                    continue;
                }
                Turn::Never => continue,
            }
            match self.ask_one(at, &wanted, &code).await {
                Ok(Some(kept)) => {
                    let source = &self.sources[at].config;
                    if let Err(error) = self.cache.put(&folder, wanted.chain_id, wanted.address, &kept) {
                        tracing::debug!(%error, "the answer of a contract source is not kept");
                    }
                    if !kept.is_nothing() {
                        return Some(verified(source, kept));
                    }
                }
                Ok(None) => {}
                Err(wait) => {
                    let then = Instant::now() + wait;
                    later = Some(later.map_or(then, |soonest| soonest.min(then)));
                }
            }
        }
        if let Some(at) = later
            && self.later.len() < limits::WAITING_FOR_ABI
        {
            self.later.push((at, wanted));
        }
        None
    }

    /// One source's answer, as it is to be kept; `None` when it has nothing on the chain; or how long it is to be left alone.
    async fn ask_one(&mut self, at: usize, wanted: &Wanted, code: &str) -> Result<Option<Kept>, Duration> {
        let Source { config, pace, without } = &mut self.sources[at];
        let key = config.key.as_ref().map(Secret::expose);
        let Some(url) = kind::question(config.kind, &config.url, key, wanted.chain_id, wanted.address) else {
            return Ok(None);
        };
        pace.asked(Instant::now(), TimeMs::now());
        let outcome = match http::get(&self.client, url, key).await {
            Ok(answer) => kind::read(config.kind, &config.url, key, &answer),
            Err(trouble) => Err(trouble),
        };
        let (kind, host) = (config.kind, config.host());
        let kept = |(name, abi)| Kept { at: TimeMs::now().0, code: code.to_owned(), name, abi };
        match outcome {
            Ok(said) => {
                pace.answered();
                Ok(match said {
                    Said::Verified { name, abi } => {
                        Some(kept(judged(kind, &host, wanted, name, abi).unwrap_or_default()))
                    }
                    Said::Nothing => {
                        metrics::source_asked(kind, "nothing");
                        Some(kept((None, None)))
                    }
                    Said::OtherChain(words) => {
                        metrics::source_asked(kind, "other_chain");
                        tracing::warn!(%kind, host, network = %wanted.network, words, "a contract source has nothing on this chain");
                        without.push(wanted.network.clone());
                        None
                    }
                })
            }
            Err(Trouble::Throttled(wait, words)) => {
                metrics::source_asked(kind, "throttled");
                let wait = pace.throttled(Instant::now(), wait);
                tracing::debug!(%kind, host, words, ?wait, "a contract source wants to be asked more slowly");
                Err(wait)
            }
            Err(Trouble::Away(words)) => {
                metrics::source_asked(kind, "away");
                let wait = pace.failed(Instant::now());
                tracing::warn!(%kind, host, words, ?wait, "a contract source is away");
                Err(wait)
            }
            Err(Trouble::Refused(words)) => {
                metrics::source_asked(kind, "refused");
                pace.stop();
                tracing::error!(
                    %kind, host, words,
                    "a contract source refuses and is not asked any more: correct its `key` or `url` under [[contract_source]] and start again"
                );
                Ok(None)
            }
        }
    }
}

/// The longest that a question waits for its turn beside the others.
const PATIENCE: Duration = Duration::from_secs(5);

fn verified(of: &SourceConfig, kept: Kept) -> Verified {
    Verified { source: of.kind, host: of.host(), name: kept.name, abi: kept.abi }
}

/// Name and ABI, as far as they can be used; `None`: nothing.
fn judged(
    kind: FactSource,
    host: &str,
    wanted: &Wanted,
    name: Option<String>,
    abi: Option<String>,
) -> Option<(Option<String>, Option<String>)> {
    let refused = |what: &'static str, why: String| {
        metrics::source_asked(kind, what);
        tracing::warn!(%kind, host, network = %wanted.network, contract = %wanted.address, why, "an ABI is not taken");
    };
    let abi = match abi.as_deref().map(Abi::read) {
        None => None,
        Some(Ok(abi)) => {
            if !fits(selectors(&abi), &wanted.code) {
                refused("does_not_fit", "it does not fit: none of its functions is in the deployed code".to_owned());
                // Whoever says something false of a contract's ABI is not believed about its name.
                return None;
            }
            Some(abi.text().to_owned())
        }
        Some(Err(mistakes)) => {
            let first = mistakes.first().map(|m| format!("{}: {}", m.path, m.problem)).unwrap_or_default();
            refused("unusable", http::shown(&format!("it is no good ABI: {first}"), None));
            None
        }
    };
    // Names are shown: one line, as long as anybody's.
    let name = name
        .map(|name| name.chars().filter(|c| !c.is_control()).take(schemas::limits::control::NAME_CHARACTERS).collect());
    let name = name.filter(|name: &String| !name.trim().is_empty());
    if abi.is_some() {
        metrics::source_asked(kind, "verified");
    }
    Some((name, abi))
}

fn selectors(abi: &Abi) -> impl Iterator<Item = [u8; 4]> + '_ {
    let functions = abi.names().iter().filter(|named| named.what == What::Function);
    functions.filter_map(|named| const_hex::decode_to_array(&named.id).ok())
}

/// A queue to the sources, for whoever finds contracts.
#[derive(Clone)]
pub struct Queue(Option<Arc<mpsc::Sender<Wanted>>>);

impl Queue {
    /// Nobody is configured.
    pub fn none() -> Self {
        Self(None)
    }

    /// To whoever receives it.
    pub fn to(sender: mpsc::Sender<Wanted>) -> Self {
        Self(Some(Arc::new(sender)))
    }

    /// Asks for a contract; false where there is no room, or nobody to be asked.
    pub fn ask(&self, wanted: Wanted) -> bool {
        let asked = self.0.as_ref().is_some_and(|queue| queue.try_send(wanted).is_ok());
        if !asked && self.0.is_some() {
            metrics::source_queue_full();
        }
        asked
    }

    /// Whether anybody can be asked.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}
