//! What operators ask of the stages (rules 5, 7, 12, 34): the records of kind `request` in `control.config`, followed as they come.
//!
//! Guarantee: who has waited for [`Requests::ready`] knows every request that was in the topic when the following began; what comes
//! later is known within moments. The newest record of an id counts, its tombstone removes it. Kinds that are not known, other
//! programs' records and requests of a newer version are passed over (rules 13 and 34).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use schemas::{
    Network,
    codec::{Codec, Record as _},
    records::{Asks, ControlConfig, Request, Wanted},
    topics,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, TopicPartition};

const AT: TopicPartition = TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 };
const POLL: PollLimits = PollLimits { records: 1_000, bytes: 1 << 20, wait: Duration::from_millis(500) };
/// Pause before a log that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// All requests, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(pub BTreeMap<String, Request>);

impl Known {
    /// Takes the next record of `control.config`. True when it changed something.
    pub fn take(&mut self, codec: &Codec, record: &Record) -> bool {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let Some(id) = key.and_then(Request::id_in) else { return false };
        let Some(value) = &record.value else { return self.0.remove(id).is_some() };
        match codec.decode::<ControlConfig>(value) {
            Ok(found @ ControlConfig::Request(_)) if Some(found.key().as_str()) != key => false,
            Ok(ControlConfig::Request(request)) => {
                self.0.insert(id.to_owned(), request.clone()).is_none_or(|former| former != request)
            }
            Ok(ControlConfig::NetworkPartition(_)) => false,
            Err(error) => {
                tracing::warn!(id, %error, "a request cannot be read and is passed over");
                false
            }
        }
    }

    /// What was asked of a network.
    pub fn of(&self, network: &Network) -> impl Iterator<Item = &Request> {
        self.0.values().filter(move |request| request.network == *network)
    }

    /// Where a network goes on that lacks the sequence `next`, and the request that allows it: behind what operators gave up from
    /// exactly there on. `None`: nobody gave it up.
    pub fn behind_gap(&self, network: &Network, next: u64) -> Option<(u64, &str)> {
        let given_up = |at: u64| {
            self.0.values().find_map(|request| match request.asks {
                Asks::AcceptGap { first, last }
                    if request.network == *network
                        && request.wanted == Wanted::Run
                        && (first..=last).contains(&at)
                        && last < u64::MAX =>
                {
                    Some((last + 1, request.id.as_str()))
                }
                _ => None,
            })
        };
        let mut found = given_up(next)?;
        // One gap may follow another.
        while let Some(further) = given_up(found.0) {
            found = further;
        }
        Some(found)
    }

    /// The request by which a network went on over a gap that lies wholly below this sequence, if there is one.
    pub fn went_on(&self, network: &Network, next: u64) -> Option<&str> {
        self.0.values().find_map(|request| match request.asks {
            Asks::AcceptGap { last, .. }
                if request.network == *network && request.wanted == Wanted::Run && last < next =>
            {
                Some(request.id.as_str())
            }
            _ => None,
        })
    }
}

/// Follows the requests until it is dropped. Cloning shares what is known.
#[derive(Clone)]
pub struct Requests {
    known: watch::Receiver<Option<Arc<Known>>>,
    _task: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Requests {
    /// Begins to follow, on the present runtime.
    pub fn follow(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        let (out, known) = watch::channel(None);
        let task = tokio::spawn(async move {
            loop {
                match read(&*log, &codec, &out).await {
                    Ok(()) => return, // nobody listens any more
                    Err(error) => {
                        tracing::debug!(%error, "what operators ask cannot be read now");
                        if error.kind == LogErrorKind::NoTopic {
                            // It is made by whoever asks first.
                            out.send_if_modified(|known| known.is_none() && known.replace(Arc::default()).is_none());
                        }
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { known, _task: Some(Arc::new(AbortOnDropHandle::new(task))) }
    }

    /// None, for ever.
    pub fn none() -> Self {
        Self { known: watch::Sender::new(Some(Arc::default())).subscribe(), _task: None }
    }

    /// Waits until all that was asked before the following began is known.
    pub async fn ready(&mut self) {
        let _ = self.known.wait_for(Option::is_some).await;
    }

    /// Those that are known now.
    pub fn known(&self) -> Arc<Known> {
        self.known.borrow().clone().unwrap_or_default()
    }

    /// Waits until something changes; for ever when nothing can any more.
    pub async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Reads from the beginning on, until nobody listens.
async fn read(log: &dyn Log, codec: &Codec, out: &watch::Sender<Option<Arc<Known>>>) -> Result<(), LogError> {
    let ends = log.watermarks(AT).await?;
    let mut reader = log.reader(&[(AT, ends.low)]).await?;
    let mut known = Known::default();
    let (mut whole, mut changed) = (false, true);
    while !out.is_closed() {
        if !whole && reader.reached(AT) >= ends.high {
            (whole, changed) = (true, true);
        }
        if whole && std::mem::take(&mut changed) {
            let now = Some(Arc::new(known.clone()));
            out.send_if_modified(|said| *said != now && std::mem::replace(said, now.clone()) != now);
        }
        match reader.poll(POLL).await? {
            Polled::Records(records) => {
                for record in &records {
                    changed |= known.take(codec, record);
                }
            }
            Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use schemas::{TimeMs, records::HeldRange};

    use super::*;
    use crate::log::{
        NewRecord, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
    };

    fn gap(id: &str, network: &str, first: u64, last: u64) -> Request {
        Request {
            id: id.to_owned(),
            network: network.parse().expect("a slug"),
            asks: Asks::AcceptGap { first, last },
            wanted: Wanted::Run,
            asked_at: TimeMs(0),
        }
    }

    fn record(request: Option<&Request>, id: &str) -> NewRecord {
        let value = request.map(|r| Codec::builtin().encode(&ControlConfig::Request(r.clone())).expect("a value"));
        NewRecord { to: AT, key: Some(Request::key_of(id).into()), value, headers: Vec::new() }
    }

    #[test]
    fn only_what_was_given_up_is_jumped_over() {
        let mut known = Known::default();
        let backfill = Asks::Backfill { heights: HeldRange { from: 1, to: 100 }, again: false };
        for request in [
            gap("a", "n", 10, 20),
            gap("b", "n", 21, 21),
            gap("c", "other", 1, 100),
            Request { wanted: Wanted::Cancelled, ..gap("d", "n", 30, 40) },
            Request { asks: backfill, ..gap("e", "n", 0, 0) },
        ] {
            known.0.insert(request.id.clone(), request);
        }
        let network: Network = "n".parse().expect("a slug");
        assert_eq!(known.behind_gap(&network, 10), Some((22, "b")), "one gap follows another");
        assert_eq!(known.behind_gap(&network, 21), Some((22, "b")));
        for next in [9, 22, 30] {
            assert_eq!(known.behind_gap(&network, next), None, "{next}");
        }
    }

    #[tokio::test]
    async fn all_that_was_asked_is_known_first_and_what_comes_later_soon() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&[topics::CONTROL_CONFIG], 1).await.expect("topic");
        let mut producer = log.producer("p").await.expect("producer");
        let mut write = async |records| {
            producer.commit(Transaction { records, offsets: None }).await.expect("commit");
        };
        let (a, b) = (gap("a", "n", 1, 2), gap("b", "n", 5, 6));
        let foreign = NewRecord { value: Some("x".into()), ..record(None, "z") };
        write(vec![record(Some(&a), "a"), record(Some(&b), "b"), record(Some(&a), "c"), foreign]).await;
        let mut requests = Requests::follow(log.clone(), Arc::new(Codec::builtin()));
        requests.ready().await;
        assert_eq!(
            requests.known().0.keys().collect::<Vec<_>>(),
            ["a", "b"],
            "what stands under another key is not ours"
        );
        write(vec![record(None, "a")]).await;
        tokio::time::timeout(Duration::from_secs(30), requests.changed()).await.expect("heard");
        assert_eq!(requests.known().0.keys().collect::<Vec<_>>(), ["b"]);
        drop(requests);
        log.close().await.expect("closed");
    }
}
