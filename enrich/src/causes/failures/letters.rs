//! Failed transactions of which the stream has a placeholder, or what nobody could read: the dead letters hold them whole (rule 13), and
//! they get a record like any other. Their rows come when `headwater dead-letters replay` inserts them.
//!
//! Guarantee: each letter that can be read and that the stream does not have gets exactly one record, whoever is killed. `dead.letters` has
//! no partitions of networks and no position here: whoever takes a partition over reads it from its beginning, and what has its record
//! is known by the header [`LETTER`] that such records have. So a letter that only a newer version reads is told by that. A letter that is
//! older than what is kept of `enriched.causes` is passed over, since nobody knows any more whether it was told.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use runtime::log::{
    Log, LogError, LogErrorKind, PollLimits, Polled, Reader, Record, TopicPartition, fold,
    membership::decided as all_decided,
};
use schemas::{
    ChildEnvelope, Network, Op, Status, TimeMs,
    codec::Codec,
    headers::ChainHeaders,
    limits::causes as limits,
    records::{
        DeadLetter, EvmTransaction, Payload, RawTransaction,
        dead_letter::{PART, reason},
    },
    topics,
};
use tokio::time::{Instant, timeout};

/// The header of a cause whose transaction came from a dead letter: the letter's offset.
pub const LETTER: &str = "letter";
/// Offsets from here on are those of letters: so they lie behind every offset of the stream.
pub const FIRST: u64 = 1 << 63;

const AT: TopicPartition = TopicPartition { topic: topics::DEAD_LETTERS.name, partition: 0 };
/// How much is read between two looks at the stream.
const POLL: PollLimits = PollLimits { records: 200, bytes: 4 << 20, wait: Duration::from_millis(1) };
/// Pause before a topic that cannot be read is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// The longest that the stream waits for the letters.
const WITHIN: Duration = Duration::from_secs(10);

/// Network, sequence and position of a transaction.
pub type Key = (Network, u64, u32);

/// A failed transaction that a letter holds.
#[derive(Debug)]
pub struct Letter {
    /// The letter's offset.
    pub offset: u64,
    /// Its place in the chain.
    pub envelope: ChildEnvelope,
    /// The transaction.
    pub transaction: EvmTransaction,
    /// When it became a letter.
    failed_at: TimeMs,
    /// Whether the stream has its bytes too: a version that read them there has told it from there.
    pub is_streamed: bool,
}

impl Letter {
    /// See [`Key`].
    pub fn key(&self) -> Key {
        (self.envelope.network.clone(), self.envelope.sequence, self.transaction.transaction_index)
    }
}

/// Which letters of a partition have their record, or are in hand.
#[derive(Debug, Default)]
pub struct Told {
    keys: HashSet<Key>,
    /// The oldest cause that is kept, where older ones were removed.
    kept_since: Option<TimeMs>,
}

impl Told {
    /// Whether a transaction was taken from a letter.
    pub fn has(&self, network: &Network, sequence: u64, index: u32) -> bool {
        !self.keys.is_empty() && self.keys.contains(&(network.clone(), sequence, index))
    }

    /// What was read later is known too.
    pub fn merge(&mut self, later: Self) {
        self.keys.extend(later.keys);
        self.kept_since = later.kept_since.or(self.kept_since);
    }

    /// Takes a letter; false where it has its record, is in hand, or is passed over.
    pub fn take(&mut self, letter: &Letter) -> bool {
        if self.kept_since.is_some_and(|since| letter.failed_at.0 < since.0) {
            return false;
        }
        let key = letter.key();
        if self.keys.len() >= limits::LETTERS && !self.keys.contains(&key) {
            tracing::warn!(offset = letter.offset, "more failed transactions are in dead letters than are told");
            return false;
        }
        self.keys.insert(key)
    }
}

/// Reads which letters of a partition of the stream have their record, or whether the stream itself was told, of these.
///
/// # Errors
/// What the log says.
pub async fn told(log: &dyn Log, partition: u32, of: &[Letter]) -> Result<Told, LogError> {
    let at = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition };
    all_decided(log, at).await?;
    let was_removed = log.watermarks(at).await?.low > 0;
    let wanted: HashSet<Key> = of.iter().map(Letter::key).collect();
    let (mut told, mut last) = (Told::default(), None);
    let each = |record: Record| {
        if was_removed {
            told.kept_since.get_or_insert(record.timestamp);
        }
        let Ok(headers) = ChainHeaders::parse_near(|name| record.header(name), last.as_ref()) else { return Ok(()) };
        last = Some(headers.network.clone());
        if let Some(index) = headers.index {
            let key = (headers.network, headers.sequence, index);
            if record.header(LETTER).is_some() || wanted.contains(&key) {
                told.keys.insert(key);
            }
        }
        Ok::<(), LogError>(())
    };
    fold(log, at, each).await?;
    if was_removed && told.kept_since.is_none() {
        // Nothing is left to tell how old it is: what is kept so long would be here.
        let before =
            |kept: Duration| TimeMs::now().0.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
        told.kept_since = topics::ENRICHED_CAUSES.retention.map(|kept| TimeMs(before(kept)));
    }
    Ok(told)
}

/// Reads `dead.letters` beside the stream.
#[derive(Default)]
pub struct Letters {
    reader: Option<Box<dyn Reader>>,
    not_before: Option<Instant>,
    /// Letters in parts: what the parts have in common, how many came, and their bytes.
    open: Vec<(DeadLetter, u64, usize, Vec<u8>)>,
}

impl Letters {
    /// All of them are read again: a partition of the stream is new here.
    pub fn begin_again(&mut self) {
        (self.reader, self.not_before) = (None, None);
        self.open.clear();
    }

    /// The next letters of failed transactions, by the partition of the stream.
    ///
    /// # Errors
    /// What only a new process mends. That the topic cannot be read is none: causes of the stream wait for no letter.
    pub async fn next(&mut self, log: &dyn Log, codec: &Codec) -> Result<BTreeMap<u32, Vec<Letter>>, LogError> {
        let mut found: BTreeMap<u32, Vec<Letter>> = BTreeMap::new();
        if self.not_before.is_some_and(|until| Instant::now() < until) {
            return Ok(found);
        }
        let silent = || LogError::new(LogErrorKind::Unavailable, format!("no answer in {WITHIN:?}"));
        let polled = match timeout(WITHIN, self.poll(log)).await.unwrap_or_else(|_| Err(silent())) {
            Err(e) if !matches!(e.kind, LogErrorKind::Stuck | LogErrorKind::Closed) => {
                tracing::warn!(error = %e, "dead letters cannot be read: the failed transactions among them get no cause now");
                self.begin_again();
                self.not_before = Some(Instant::now() + AGAIN);
                return Ok(found);
            }
            polled => polled?,
        };
        for record in polled {
            if let Some((partition, letter)) = self.read(codec, &record) {
                found.entry(partition).or_default().push(letter);
            }
        }
        Ok(found)
    }

    async fn poll(&mut self, log: &dyn Log) -> Result<Vec<Record>, LogError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let low = log.watermarks(AT).await?.low;
                self.reader.insert(log.reader(&[(AT, low)]).await?)
            }
        };
        match reader.poll(POLL).await? {
            Polled::Records(records) => Ok(records),
            Polled::OutOfRange { at, oldest, .. } => {
                reader.seek(at, oldest).await?;
                Ok(Vec::new())
            }
            Polled::Assigned(_) | Polled::Revoked(_) => Ok(Vec::new()),
        }
    }

    /// The failed transaction of a letter that is whole with this record, and the partition of the stream that it is of.
    fn read(&mut self, codec: &Codec, record: &Record) -> Option<(u32, Letter)> {
        let letter: DeadLetter = codec.decode(record.value.as_ref()?).ok()?;
        // What enrich found too large is whole in the stream.
        let is_in_the_stream = letter.reason == reason::TOO_LARGE && letter.source_offset.is_some();
        if letter.source_topic != topics::RAW_TRANSACTIONS.name || letter.reason == reason::FOREIGN || is_in_the_stream
        {
            return None;
        }
        let (offset, letter) = match record.header(PART) {
            Some(part) => self.whole(part, record.offset, letter)?,
            None => (record.offset, letter),
        };
        let RawTransaction { envelope, payload } = codec.decode(letter.value.as_ref()?).ok()?;
        let Payload::Evm(mut transaction) = payload else { return None };
        let is_its_place = letter.network.as_ref() == Some(&envelope.network)
            && letter.sequence == Some(envelope.sequence)
            && letter.index == Some(transaction.transaction_index);
        if !is_its_place || envelope.op != Op::Apply || transaction.status() != Status::Failed {
            return None;
        }
        transaction.logs = Vec::new();
        let (partition, failed_at) = (letter.source_partition, letter.failed_at);
        let is_streamed = letter.source_offset.is_some();
        Some((partition, Letter { offset, envelope, transaction: *transaction, failed_at, is_streamed }))
    }

    /// The letter that is whole with this part, and the offset of its first.
    fn whole(&mut self, part: &[u8], offset: u64, mut letter: DeadLetter) -> Option<(u64, DeadLetter)> {
        let (part, of) = std::str::from_utf8(part).ok()?.split_once('/')?;
        let (part, of): (usize, usize) = (part.parse().ok()?, of.parse().ok()?);
        if of == 1 {
            return Some((offset, letter));
        }
        let bytes = letter.value.take()?;
        if part == 1 {
            self.open.retain(|(same, ..)| *same != letter);
            if self.open.len() >= limits::LETTER_PARTS.1 {
                self.open.remove(0);
            }
            self.open.push((letter, offset, 1, bytes.to_vec()));
            return None;
        }
        let at = self.open.iter().position(|(same, ..)| *same == letter)?;
        let (mut same, first, seen, mut whole) = self.open.remove(at);
        if seen + 1 != part || whole.len() + bytes.len() > limits::LETTER_PARTS.0 {
            return None;
        }
        whole.extend_from_slice(&bytes);
        if part < of {
            self.open.push((same, first, part, whole));
            return None;
        }
        same.value = Some(whole.into());
        Some((first, same))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};
    use runtime::log::{
        Headers, NewRecord, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
        letters,
    };
    use schemas::BlockHash;

    use super::*;

    fn raw(sequence: u64, failed: bool, input: usize) -> RawTransaction {
        let envelope = ChildEnvelope {
            network: "eth".parse().expect("a slug"),
            sequence,
            op: Op::Apply,
            height: sequence,
            block_hash: BlockHash::from(B256::with_last_byte(1)),
            block_time: TimeMs(0),
            observed_at: TimeMs(0),
        };
        let transaction = EvmTransaction {
            transaction_index: 3,
            to_address: Some(Address::repeat_byte(1)),
            input: vec![7; input].into(),
            receipt_status: Some(u64::from(!failed)),
            ..EvmTransaction::default()
        };
        RawTransaction { envelope, payload: Payload::Evm(Box::new(transaction)) }
    }

    fn letter(codec: &Codec, raw: &RawTransaction, why: &str, source_offset: Option<u64>) -> DeadLetter {
        DeadLetter {
            source_topic: topics::RAW_TRANSACTIONS.name.into(),
            source_partition: 2,
            source_offset,
            stage: "ingest".into(),
            network: Some(raw.envelope.network.clone()),
            sequence: Some(raw.envelope.sequence),
            index: Some(3),
            reason: why.into(),
            error: "e".into(),
            key: None,
            value: Some(codec.encode(raw).expect("encoded")),
            failed_at: TimeMs(5),
        }
    }

    /// The records of letters, as a reader has them, from an offset on.
    fn written(codec: &Codec, letter: DeadLetter, limit: usize, offset: u64) -> Vec<Record> {
        let records = letters::records(codec, letter, limit, &Headers::new());
        let read = |(record, offset): (NewRecord, u64)| Record {
            from: AT,
            offset,
            timestamp: TimeMs(0),
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        records.into_iter().zip(offset..).map(read).collect()
    }

    #[test]
    fn what_failed_and_is_not_in_the_stream_is_found_in_parts_too() {
        let codec = Codec::builtin();
        let mut letters = Letters::default();
        let mut read = |records: Vec<Record>| {
            let found: Vec<_> = records.iter().filter_map(|record| letters.read(&codec, record)).collect();
            found
                .into_iter()
                .map(|(partition, l)| (partition, l.offset, l.envelope.sequence, l.transaction.input.len()))
                .collect::<Vec<_>>()
        };
        let of = |sequence, failed, why, at| letter(&codec, &raw(sequence, failed, 10), why, at);
        assert_eq!(read(written(&codec, of(1, true, reason::TOO_LARGE, None), 1 << 20, 7)), [(2, 7, 1, 10)]);
        assert_eq!(read(written(&codec, of(2, true, reason::UNDECODABLE, Some(9)), 1 << 20, 8)), [(2, 8, 2, 10)]);
        assert!(read(written(&codec, of(3, false, reason::TOO_LARGE, None), 1 << 20, 9)).is_empty());
        assert!(
            read(written(&codec, of(4, true, reason::TOO_LARGE, Some(9)), 1 << 20, 9)).is_empty(),
            "the stream has it"
        );
        let elsewhere = DeadLetter { index: Some(4), ..of(5, true, reason::UNDECODABLE, Some(9)) };
        assert!(read(written(&codec, elsewhere, 1 << 20, 9)).is_empty());
        // Two in parts, between each other.
        let large = |sequence| {
            written(&codec, letter(&codec, &raw(sequence, true, 5_000), reason::TOO_LARGE, None), 3_000, sequence * 100)
        };
        let (one, two) = (large(6), large(7));
        assert!(one.len() > 1 && one.len() == two.len());
        let mixed: Vec<Record> = one.into_iter().zip(two).flat_map(|(a, b)| [a, b]).collect();
        assert_eq!(read(mixed), [(2, 600, 6, 5_000), (2, 700, 7, 5_000)]);
        // Of one whose first part is gone nothing is made.
        assert!(read(large(8).split_off(1)).is_empty());
    }

    #[test]
    fn each_is_taken_once_and_none_that_is_older_than_what_is_kept() {
        let codec = Codec::builtin();
        let of = |sequence, failed_at| {
            let letter = DeadLetter {
                failed_at: TimeMs(failed_at),
                ..letter(&codec, &raw(sequence, true, 1), reason::TOO_LARGE, None)
            };
            let record = written(&codec, letter, 1 << 20, 1).remove(0);
            Letters::default().read(&codec, &record).expect("a letter").1
        };
        let mut told = Told { kept_since: Some(TimeMs(50)), ..Told::default() };
        assert!(!told.take(&of(1, 49)) && told.take(&of(2, 50)) && !told.take(&of(2, 50)));
        let network: Network = "eth".parse().expect("a slug");
        assert!(told.has(&network, 2, 3) && !told.has(&network, 1, 3) && !told.has(&network, 2, 4));
    }

    #[tokio::test]
    async fn of_a_topic_that_is_empty_again_the_old_letters_are_passed_over() {
        let codec = Codec::builtin();
        let of = |sequence, failed_at| {
            let letter =
                DeadLetter { failed_at, ..letter(&codec, &raw(sequence, true, 1), reason::UNDECODABLE, Some(9)) };
            Letters::default().read(&codec, &written(&codec, letter, 1 << 20, 1).remove(0)).expect("a letter").1
        };
        let dir = tempfile::tempdir().expect("a folder");
        let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path().join("log")) };
        let log = EmbeddedLog::open(EmbeddedConfig { retention_check: None, ..config }).await.expect("a log");
        let causes = topics::TopicSpec { retention: Some(Duration::from_millis(1)), ..topics::ENRICHED_CAUSES };
        log.ensure_topics(&[causes], 1).await.expect("a topic");
        let letters = [of(1, TimeMs(1_000)), of(2, TimeMs::now())];
        assert!(letters.iter().all(|letter| letter.is_streamed));
        let mut told = super::told(&*log, 0, &letters).await.expect("read");
        assert!(letters.iter().all(|letter| told.take(letter)), "nothing was removed");
        let to = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition: 0 };
        let record = NewRecord { to, key: None, value: Some(vec![1_u8].into()), headers: Headers::new() };
        let mut producer = log.producer("causes").await.expect("a producer");
        producer.commit(Transaction { records: vec![record], offsets: None }).await.expect("committed");
        tokio::time::sleep(Duration::from_millis(50)).await;
        log.apply_retention().await.expect("applied");
        let ends = log.watermarks(to).await.expect("ends");
        assert!(ends.low > 0 && ends.low == ends.high, "all was removed: {ends:?}");
        let mut told = super::told(&*log, 0, &letters).await.expect("read");
        assert_eq!(letters.each_ref().map(|letter| told.take(letter)), [false, true]);
        // What is read later is known beside what was.
        told.merge(Told { keys: HashSet::from([of(3, TimeMs::now()).key()]), kept_since: None });
        assert!(!told.take(&of(3, TimeMs::now())) && !told.take(&letters[1]) && !told.take(&of(4, TimeMs(1_000))));
    }
}
