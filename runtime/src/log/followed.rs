//! Following partitions of a compacted topic (rule 34): what follows from all their records is there at any moment, as an immutable
//! snapshot with the offset up to which it was read.
//!
//! Guarantee: when [`Followed::hold`] has returned, all is taken in that stood in these partitions when it was called; what comes later
//! is within moments, and nobody ever waits for it. A snapshot never changes: whoever has one works with it as long as he likes. A
//! topic that is not there yet is one without records. A log that does not answer is asked again, and what was known stays; a topic that
//! was made anew is read anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::codec::Codec;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{Log, LogError, LogErrorKind, PollLimits, Polled, Record, Topic, TopicPartition, fold_from};

/// How much one poll brings, and how long it waits.
const POLL: PollLimits = PollLimits { records: 500, bytes: 1 << 20, wait: Duration::from_millis(250) };
/// Pause before a log that did not answer is read again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long [`Followed::hold`] waits while nothing comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what was read of a partition before its reading ended midway is good for going on from: less than any log keeps what says
/// that a key was removed.
const KEPT: Duration = Duration::from_secs(600);

/// What follows from the records of a partition. Cloned when it changes while somebody has a snapshot: let that be cheap.
pub trait Fold: Clone + Default + Send + Sync + 'static {
    /// Takes the next record.
    fn take(&mut self, codec: &Codec, record: &Record);
}

/// A partition as far as it was read.
#[derive(Debug, Clone)]
pub struct Snapshot<F> {
    /// What follows from its records.
    pub fold: Arc<F>,
    /// All records below this offset were taken in, and no other.
    pub next: u64,
}

impl<F: Default> Default for Snapshot<F> {
    fn default() -> Self {
        Self { fold: Arc::default(), next: 0 }
    }
}

/// Follows partitions until the last clone is dropped. Clones are the same.
#[derive(Clone)]
pub struct Followed<F: Fold> {
    shared: Arc<Shared<F>>,
    _reading: Arc<AbortOnDropHandle<()>>,
}

struct Shared<F> {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    topic: Topic,
    held: Mutex<BTreeMap<u32, Snapshot<F>>>,
    /// Partitions that are read whole, as far as that is, and when their last record came; one at a time.
    begun: tokio::sync::Mutex<BTreeMap<u32, (Instant, Snapshot<F>)>>,
    /// When the last record came.
    moved: Mutex<Instant>,
    patience: Duration,
    /// Told when other partitions are held.
    holds: watch::Sender<()>,
    /// Told when records were taken in.
    news: watch::Sender<()>,
}

impl<F: Fold> Followed<F> {
    /// Of this topic; no partition is held yet. Runs on the present runtime.
    pub fn new(log: Arc<dyn Log>, codec: Arc<Codec>, topic: Topic) -> Self {
        Self::with_patience(log, codec, topic, PATIENCE)
    }

    fn with_patience(log: Arc<dyn Log>, codec: Arc<Codec>, topic: Topic, patience: Duration) -> Self {
        let (holds, news) = (watch::Sender::new(()), watch::Sender::new(()));
        let (held, begun, moved) = (Mutex::default(), tokio::sync::Mutex::default(), Mutex::new(Instant::now()));
        let shared = Arc::new(Shared { log, codec, topic, held, begun, moved, patience, holds, news });
        let reading = AbortOnDropHandle::new(tokio::spawn(shared.clone().run()));
        Self { shared, _reading: Arc::new(reading) }
    }

    /// Follows these partitions from now on, beside those that are held already. Of all of them what is in the log now is known when it
    /// returns, however long that takes, as long as it comes. Where it fails, the next attempt goes on from what was read.
    ///
    /// # Errors
    /// What the log says; [`LogErrorKind::Unavailable`] when nothing comes of a partition for a minute.
    pub async fn hold(&self, partitions: &[u32]) -> Result<(), LogError> {
        for partition in partitions {
            self.shared.patiently(*partition).await?;
        }
        self.shared.holds.send_replace(());
        Ok(())
    }

    /// Follows these no longer, and forgets what they said.
    pub fn release(&self, partitions: &[u32]) {
        self.shared.held().retain(|partition, _| !partitions.contains(partition));
    }

    /// A partition as it is known now; `None` where it is not held.
    pub fn of(&self, partition: u32) -> Option<Snapshot<F>> {
        self.shared.held().get(&partition).cloned()
    }

    /// All partitions that are held.
    pub fn all(&self) -> Vec<(u32, Snapshot<F>)> {
        self.shared.held().iter().map(|(partition, snapshot)| (*partition, snapshot.clone())).collect()
    }

    /// Tells whenever records were taken in.
    pub fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }
}

impl<F: Fold> Shared<F> {
    fn held(&self) -> MutexGuard<'_, BTreeMap<u32, Snapshot<F>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, partition: u32) -> TopicPartition {
        TopicPartition { topic: self.topic, partition }
    }

    /// Takes in what follows what is known of a partition, whoever read it first.
    fn take<'r>(&self, partition: u32, records: impl Iterator<Item = &'r Record>) {
        let (mut held, mut any) = (self.held(), false);
        let Some(snapshot) = held.get_mut(&partition) else { return };
        for record in records.filter(|r| r.from.partition == partition) {
            if record.offset >= snapshot.next {
                Arc::make_mut(&mut snapshot.fold).take(&self.codec, record);
                snapshot.next = record.offset + 1;
                any = true;
            }
        }
        drop(held);
        if any {
            self.news.send_replace(());
        }
    }

    fn moved(&self) -> MutexGuard<'_, Instant> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a partition to its end as it is now, as long as records come.
    async fn patiently(&self, partition: u32) -> Result<(), LogError> {
        *self.moved() = Instant::now();
        let mut reading = std::pin::pin!(self.up_to_now(partition));
        loop {
            let until = *self.moved() + self.patience;
            match tokio::time::timeout_at(until, &mut reading).await {
                Ok(read) => return read,
                Err(_) if *self.moved() + self.patience > until => {}
                Err(_) => {
                    let (topic, patience) = (self.topic, self.patience);
                    let message =
                        format!("{topic} [{partition}] was not read to its end: nothing came for {patience:?}");
                    return Err(LogError::new(LogErrorKind::Unavailable, message));
                }
            }
        }
    }

    /// Reads a partition to its end as it is now: on from where it is known, or whole.
    async fn up_to_now(&self, partition: u32) -> Result<(), LogError> {
        let known = self.held().get(&partition).map(|snapshot| snapshot.next);
        let at = self.at(partition);
        let read = match known {
            Some(next) if !self.was_made_anew(at, next).await? => {
                let each = |record| {
                    *self.moved() = Instant::now();
                    self.take(partition, std::iter::once(&record));
                    Ok::<(), LogError>(())
                };
                fold_from(&*self.log, at, next, each).await.map(drop)
            }
            _ => self.whole(at).await,
        };
        match read {
            Err(error) if error.kind == LogErrorKind::NoTopic => {
                // It is made by whoever writes there first, or by an operator.
                self.held().entry(partition).or_default();
                Ok(())
            }
            read => read,
        }
    }

    async fn was_made_anew(&self, at: TopicPartition, next: u64) -> Result<bool, LogError> {
        match self.log.watermarks(at).await {
            Ok(ends) => Ok(ends.high < next),
            Err(error) if error.kind == LogErrorKind::NoTopic => Ok(next > 0),
            Err(error) => Err(error),
        }
    }

    /// Reads a partition from its beginning, or on from where its reading ended midway.
    async fn whole(&self, at: TopicPartition) -> Result<(), LogError> {
        let mut begun = self.begun.lock().await;
        let known = begun.get(&at.partition).map(|(when, snapshot)| (when.elapsed(), snapshot.next));
        if let Some((age, next)) = known
            && (age > KEPT || self.was_made_anew(at, next).await?)
        {
            begun.remove(&at.partition);
        }
        let (when, snapshot) = begun.entry(at.partition).or_insert_with(|| (Instant::now(), Snapshot::default()));
        let from = snapshot.next;
        let each = |record: Record| {
            *when = Instant::now();
            *self.moved() = *when;
            Arc::make_mut(&mut snapshot.fold).take(&self.codec, &record);
            snapshot.next = record.offset + 1;
            Ok::<(), LogError>(())
        };
        let end = fold_from(&*self.log, at, from, each).await?;
        if let Some((_, whole)) = begun.remove(&at.partition) {
            self.held().insert(at.partition, Snapshot { next: whole.next.max(end), ..whole });
        }
        self.news.send_replace(());
        Ok(())
    }

    async fn run(self: Arc<Self>) {
        let mut holds = self.holds.subscribe();
        loop {
            while self.held().is_empty() {
                if holds.changed().await.is_err() {
                    return;
                }
            }
            let error = match self.read(&mut holds).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            if error.kind == LogErrorKind::NoTopic {
                tracing::debug!(%error, topic = self.topic, "there is nothing to follow yet");
            } else {
                tracing::warn!(%error, topic = self.topic, "the topic cannot be followed; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads what comes, from what is known of each partition on.
    async fn read(&self, holds: &mut watch::Receiver<()>) -> Result<Infallible, LogError> {
        holds.borrow_and_update();
        let known = |shared: &Self| -> BTreeMap<u32, u64> { shared.held().iter().map(|(p, s)| (*p, s.next)).collect() };
        for (partition, next) in known(self) {
            if self.was_made_anew(self.at(partition), next).await? {
                tracing::warn!(topic = self.topic, partition, "the topic was made anew and is read anew");
                self.whole(self.at(partition)).await?;
            }
        }
        let from = |known: &BTreeMap<u32, u64>| -> Vec<(TopicPartition, u64)> {
            known.iter().map(|(partition, next)| (self.at(*partition), *next)).collect()
        };
        let begun = known(self);
        let mut reader = self.log.reader(&from(&begun)).await?;
        let mut following: BTreeSet<u32> = begun.into_keys().collect();
        loop {
            if holds.has_changed().unwrap_or(false) {
                holds.borrow_and_update();
                let now = known(self);
                let gone: Vec<_> = following.iter().filter(|p| !now.contains_key(p)).map(|p| self.at(*p)).collect();
                if !gone.is_empty() {
                    // A partition that comes back is read by a new reader, from where it is known by then.
                    return Err(LogError::new(LogErrorKind::Aborted, "partitions were given back"));
                }
                let more: BTreeMap<u32, u64> = now.into_iter().filter(|(p, _)| !following.contains(p)).collect();
                reader.add(&from(&more)).await?;
                following.extend(more.into_keys());
            }
            match reader.poll(POLL).await? {
                Polled::Records(records) => {
                    let partitions: BTreeSet<u32> = records.iter().map(|r| r.from.partition).collect();
                    partitions.into_iter().for_each(|partition| self.take(partition, records.iter()));
                }
                // Compaction went on meanwhile; what it removed has a newer record further on.
                Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::log::{
        NewRecord, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
        whole::tests::{AT, Scripted},
    };

    /// How many records there were.
    #[derive(Clone, Default, Debug)]
    struct Count(u64);

    impl Fold for Count {
        fn take(&mut self, _: &Codec, record: &Record) {
            assert_eq!(record.offset, self.0, "each once, in order");
            self.0 += 1;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_long_partition_is_read_to_its_end_and_what_was_read_is_not_read_again() {
        let pause = Duration::from_millis(4);
        let scripted = |silent_from| Scripted { pause, ..Scripted::silent_from(silent_from) };
        let follow = |log: &Scripted| {
            let (log, codec) = (Arc::new(log.clone()), Arc::new(Codec::builtin()));
            Followed::<Count>::with_patience(log, codec, AT.topic, Duration::from_secs(1))
        };
        let (log, began) = (scripted(100), std::time::Instant::now());
        let followed = follow(&log);
        followed.hold(&[AT.partition]).await.expect("held");
        assert!(began.elapsed() > Duration::from_secs(2), "longer than it waits where nothing comes");
        let whole = followed.of(AT.partition).expect("held");
        assert_eq!((whole.next, whole.fold.0), (100, 100));

        let log = scripted(7);
        let followed = follow(&log);
        let error = followed.hold(&[AT.partition]).await.expect_err("nothing comes any more");
        assert_eq!(error.kind, LogErrorKind::Unavailable, "{error}");
        assert!(followed.of(AT.partition).is_none(), "half of it is nothing to work with");
        log.silent_from.store(100, Ordering::SeqCst);
        followed.hold(&[AT.partition]).await.expect("held");
        let whole = followed.of(AT.partition).expect("held");
        assert_eq!((whole.next, whole.fold.0), (100, 100));
        assert_eq!(log.opened_at.lock().expect("no panic")[..2], [0, 7], "it goes on where it was");
    }

    const TOPIC: schemas::topics::TopicSpec = schemas::topics::CONTRACT_FACTS;

    /// The newest value of each key.
    #[derive(Clone, Default, Debug)]
    struct Newest(BTreeMap<String, Option<u8>>);

    impl Fold for Newest {
        fn take(&mut self, _: &Codec, record: &Record) {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            self.0.insert(key, record.value.as_ref().and_then(|v| v.first().copied()));
        }
    }

    async fn say(log: &EmbeddedLog, partition: u32, key: &str, value: Option<u8>) {
        let mut producer = log.producer("p").await.expect("a producer");
        let to = TopicPartition { topic: TOPIC.name, partition };
        let value = value.map(|v| vec![v].into());
        let records = vec![NewRecord { to, key: Some(key.to_owned().into()), value, headers: Vec::new() }];
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    async fn until(followed: &Followed<Newest>, partition: u32, key: &str, value: Option<u8>) {
        let mut news = followed.news();
        let there = async {
            while followed.of(partition).expect("held").fold.0.get(key) != Some(&value) {
                news.changed().await.expect("it is followed");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), there).await.expect("it comes");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_there_is_known_at_once_and_what_comes_within_moments() {
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        let followed = Followed::<Newest>::new(log.clone(), Arc::new(Codec::builtin()), TOPIC.name);
        // Nobody has made the topic.
        followed.hold(&[0]).await.expect("held");
        assert_eq!(followed.of(0).expect("held").next, 0);
        log.ensure_topics(&[TOPIC], 3).await.expect("topics");
        say(&log, 0, "a", Some(1)).await;
        until(&followed, 0, "a", Some(1)).await;
        say(&log, 1, "b", Some(2)).await;
        assert!(followed.of(1).is_none());
        followed.hold(&[0, 1]).await.expect("held");
        let then = followed.of(1).expect("held");
        assert_eq!(then.fold.0["b"], Some(2));
        say(&log, 1, "b", Some(3)).await;
        say(&log, 0, "a", None).await;
        followed.hold(&[0, 1]).await.expect("held");
        assert_eq!(followed.of(1).expect("held").fold.0["b"], Some(3), "up to now");
        assert_eq!(then.fold.0["b"], Some(2), "a snapshot stays what it was");
        assert!(followed.of(1).expect("held").next > then.next);
        until(&followed, 0, "a", None).await;
        followed.release(&[1]);
        assert!(followed.of(1).is_none());
        say(&log, 1, "b", Some(4)).await;
        followed.hold(&[1]).await.expect("held");
        assert_eq!(followed.of(1).expect("held").fold.0["b"], Some(4));
        say(&log, 1, "b", Some(5)).await;
        until(&followed, 1, "b", Some(5)).await;
    }
}
