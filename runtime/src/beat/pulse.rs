//! Says it, again and again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use schemas::{
    codec::{Codec, Record as _},
    limits,
    records::{
        StageStatus,
        stage_status::{EVERY, stage},
    },
    topics::{self, TopicSpec},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Board, roster, unread};
use crate::log::{Log, LogError, LogErrorKind, NewRecord, Producer, TopicPartition, Transaction};

/// What changed is said no sooner than this after the last time.
const CHANGES_AFTER: Duration = Duration::from_secs(1);
/// Pause after the log did not take it.
const RETRY: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const WRITE_DEADLINE: Duration = Duration::from_secs(12);
/// How long the process may take to say that it goes.
const FAREWELL: Duration = Duration::from_secs(5);

/// The beat of one stage. Dropping it is dying: nothing is said any more, and others see that by the silence.
pub struct Beat {
    goes: CancellationToken,
    ended: oneshot::Receiver<()>,
    _dies: DropGuard,
}

impl Beat {
    /// Begins to say what stands on the board, for a process of this name. `input`: the group and its topics, headers first,
    /// where retention may get ahead of the stage.
    pub fn start(
        board: &Board,
        instance: &str,
        log: Arc<dyn Log>,
        codec: Arc<Codec>,
        input: Option<(&'static str, [TopicSpec; 2])>,
    ) -> Self {
        let (goes, dies) = (CancellationToken::new(), CancellationToken::new());
        let (done, ended) = oneshot::channel();
        let pulse = Pulse {
            board: board.clone(),
            instance: instance.to_owned(),
            log: log.clone(),
            codec: codec.clone(),
            producer: None,
            written: HashMap::new(),
        };
        let (board, goes_too, dies_too) = (board.clone(), goes.clone(), dies.clone());
        let name = format!("{}-beat", board.stage());
        let work = async move {
            let more = async {
                let roster = async {
                    // The API has no partitions.
                    if board.stage() != stage::API {
                        roster::follow(board.clone(), log.clone(), codec).await;
                    }
                };
                let unread = async {
                    if let Some((group, topics)) = input {
                        unread::watch(board.clone(), log.clone(), group, topics).await;
                    }
                };
                tokio::join!(roster, unread);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = dies_too.cancelled() => {}
                () = more => {}
                () = pulse.run(goes_too) => {}
            }
            // Nobody waits when the stage was cut off.
            let _ = done.send(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(8)
            .thread_name(&name)
            .enable_all()
            .build();
        let thread = std::thread::Builder::new().name(name);
        // A thread of its own, so that no work of the stage delays it; where there is none to be had, among the stage's.
        match runtime {
            Ok(runtime) => {
                let spawned = thread.spawn(move || {
                    runtime.block_on(work);
                    runtime.shutdown_timeout(Duration::from_secs(1));
                });
                if let Err(error) = spawned {
                    tracing::error!(%error, "there is no thread for the stage's status: others will call it silent");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the stage's status has no runtime of its own");
                tokio::spawn(work);
            }
        }
        Self { goes, ended, _dies: dies.drop_guard() }
    }

    /// The stage stops in an orderly way: its process's record is taken away. Waits for that, not for long.
    pub async fn farewell(mut self) {
        self.goes.cancel();
        if timeout(FAREWELL, &mut self.ended).await.is_err() {
            tracing::debug!("the log did not take the farewell in time; others will see a silent process for a while");
        }
    }
}

struct Pulse {
    board: Board,
    instance: String,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    producer: Option<Box<dyn Producer>>,
    /// What was last said, by key.
    written: HashMap<String, StageStatus>,
}

impl Pulse {
    async fn run(mut self, goes: CancellationToken) {
        let mut last: Option<Instant> = None;
        let mut all_at = Instant::now();
        loop {
            let wake = match (self.board.news(), last) {
                (false, _) => all_at,
                (true, None) => Instant::now(),
                (true, Some(last)) => all_at.min(last + CHANGES_AFTER),
            };
            tokio::select! {
                biased;
                () = goes.cancelled() => break,
                () = sleep_until(wake) => {}
                () = self.board.changed() => continue,
            }
            let now = Instant::now();
            let all = now >= all_at;
            let said = tokio::select! {
                said = self.say(all) => said,
                () = goes.cancelled() => {
                    // What was under way is undecided: the next producer decides it.
                    self.producer = None;
                    break;
                }
            };
            last = Some(now);
            match said {
                Ok(()) if all => all_at = now + EVERY,
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(%error, stage = self.board.stage(), "the log did not take the status; trying again");
                    self.board.outcome(Some(error.to_string()));
                    self.producer = None;
                    // Everything is said the next time.
                    all_at = Instant::now() + RETRY;
                    last = Some(Instant::now());
                    continue;
                }
            }
            self.board.outcome(None);
        }
        let record = self.record(StageStatus::key_of(self.board.stage(), &self.instance, None), None);
        if let Err(error) = self.write(vec![record]).await {
            tracing::debug!(%error, "the process's status could not be taken away");
        }
    }

    /// Says everything, or only what is new.
    async fn say(&mut self, all: bool) -> Result<(), LogError> {
        let mut records = Vec::new();
        let statuses = self.board.statuses(&self.instance, EVERY);
        for status in &statuses {
            let is_new = |before: &StageStatus| *before != StageStatus { at: before.at, ..status.clone() };
            if all || self.written.get(&status.key()).is_none_or(is_new) {
                match self.codec.encode_within(status, limits::RECORD_VALUE_BYTES) {
                    Ok(value) => records.push(self.record(status.key(), Some(value))),
                    Err(error) => tracing::error!(%error, "a status is too large to be said"),
                }
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.write(records).await?;
        self.written = statuses.into_iter().map(|status| (status.key(), status)).collect();
        Ok(())
    }

    fn record(&self, key: String, value: Option<bytes::Bytes>) -> NewRecord {
        let to = TopicPartition { topic: topics::STAGE_STATUS.name, partition: 0 };
        NewRecord { to, key: Some(key.into()), value, headers: Vec::new() }
    }

    async fn write(&mut self, records: Vec<NewRecord>) -> Result<(), LogError> {
        let write = async {
            let producer = match &mut self.producer {
                Some(producer) => producer,
                none => {
                    none.insert(self.log.producer(&format!("status.{}.{}", self.board.stage(), self.instance)).await?)
                }
            };
            producer.commit(Transaction { records, offsets: None }).await
        };
        timeout(WRITE_DEADLINE, write).await.unwrap_or_else(|_| {
            let message = format!("the log did not take a status within {WRITE_DEADLINE:?}");
            Err(LogError::new(LogErrorKind::Indefinite, message))
        })
    }
}
