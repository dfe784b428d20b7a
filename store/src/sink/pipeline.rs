//! The sink's wiring: reader → (one batch) → writer → (its offsets) → commit, and beside it the auditor, the keeper, the causes,
//! the windows, the alerts and the samples.
//!
//! The writer works on one batch while the reader fills the next, so batches grow by themselves when the store is slow and
//! stay small when it is not. A batch goes when the writer is free, there is nothing more to read just now and the last one went
//! some moments ago, or when it is full or old enough.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runtime::{
    beat::{Beat, Board},
    control::Follower,
    log::Log,
};
use schemas::{Envelope, Network, Op, Origin, TimeMs, codec::Codec, topics};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use super::group::{GROUP, TOPICS};
use super::{
    Error, SinkConfig, SinkStatus,
    alerts::Alerts,
    audit::Auditor,
    batch::Event,
    beat::{self, Busy},
    causes::Causes,
    error::WriteError,
    floors::Floors,
    graveyard::{Burial, Graveyard},
    keep::Keeper,
    member::{Reading, Written},
    metrics,
    patience::Patience,
    reader::{Batch, Reader},
    samples::Samples,
    upgrade,
    windows::Windows,
    write::{Refused, Writer},
};
use crate::Store;

/// How long a store may take to start before that is told.
const STORE_STARTS: Duration = Duration::from_secs(10);

/// Runs the sink until `shutdown`. Makes, migrates and upgrades the database first, waiting for the store as long as it takes.
pub async fn run(
    config: SinkConfig,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let store = Store::connect(config.store.clone())?;
    let input = [topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS];
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), Some((GROUP, input)));
    let busy = Busy::new(config.board.clone());
    let outcome = tokio::select! {
        outcome = work(config, store.clone(), log, codec, busy.clone(), shutdown) => outcome,
        () = beat::follow(busy, store) => Ok(()), // never: it follows for ever
    };
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

async fn work(
    config: SinkConfig,
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    busy: Busy,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let patience = Patience::new(shutdown.clone());
    // A store that starts beside us takes a moment; only after that is its absence worth a line each time.
    tokio::select! { _ = store.wait_ready(STORE_STARTS) => {}, () = shutdown.cancelled() => return Ok(()) }
    let floors = Floors::default();
    let prepared = async {
        patience.again(|| store.migrate()).await?;
        upgrade::run(&store, &config, &patience, &busy).await?;
        patience.again(|| floors.load(&store)).await.map(drop)
    };
    match prepared.await {
        Ok(()) => busy.done(),
        Err(WriteError::Stopped) => return Ok(()),
        Err(WriteError::Refused(e) | WriteError::Store(e)) => return Err(e.into()),
    }

    let (to_writer, batches) = mpsc::channel::<Batch>(1);
    let (written, from_writer) = mpsc::channel::<Written>(1);
    let spans = config.spans.clone();
    let writer = Writer::new(store.clone(), patience.clone(), config.refusals, floors.clone(), spans);
    let graveyard = Graveyard::new(&config, log.clone(), codec.clone(), shutdown.clone());
    let auditor = Auditor::new(store.clone(), &config);
    let _auditing = AbortOnDropHandle::new(tokio::spawn(auditor.run()));
    let causes = Causes::new(store.clone(), log.clone(), codec.clone(), &config, patience.clone(), busy.clone());
    let _folding = AbortOnDropHandle::new(tokio::spawn(causes.run()));
    let keeper = Keeper::new(store.clone(), &config, floors, busy.clone());
    let _keeping = AbortOnDropHandle::new(tokio::spawn(keeper.run()));
    let told = (config.status.clone(), config.board.clone());
    let samples = Samples::new(store.clone(), log.clone(), codec.clone(), &config, patience.clone());
    let _sampling = AbortOnDropHandle::new(tokio::spawn(samples.run()));
    let windows = Windows::new(store.clone(), log.clone(), codec.clone(), &config, patience.clone(), busy.clone());
    let _telling = AbortOnDropHandle::new(tokio::spawn(windows.run()));
    let alerts = Alerts::new(store.clone(), log.clone(), codec.clone(), &config, patience.clone(), busy);
    let _remembering = AbortOnDropHandle::new(tokio::spawn(alerts.run()));
    let writing = tokio::spawn(write_batches(writer, graveyard, told, batches, written));

    // Before the first event, all that was asked is known (rule 34).
    let mut requests = Follower::follow(log.clone(), codec.clone());
    tokio::select! { () = requests.ready() => {}, () = shutdown.cancelled() => {} }
    let reader = Reader::new(config.clone(), store, codec, patience, requests);
    let mut reading = Reading::new(config, log, reader, (to_writer, from_writer), shutdown);
    let read = reading.run().await;
    drop(reading);
    let wrote = writing.await.map_err(|_| Error::Ended("writer"))?;
    // The writer's error is the cause when both ended.
    match wrote {
        Err(e) => Err(e),
        Ok(()) => read,
    }
}

/// The writing half. Sends a batch's offsets back when everything of it is on disk, its dead letters included.
async fn write_batches(
    mut writer: Writer,
    graveyard: Graveyard,
    (status, board): (SinkStatus, Board),
    mut batches: mpsc::Receiver<Batch>,
    written: mpsc::Sender<Written>,
) -> Result<(), Error> {
    while let Some(batch) = batches.recv().await {
        let started = Instant::now();
        // Before any row: once an event's row is there, it is passed over when it comes again.
        if graveyard.bury(batch.dead).await? == Burial::Stopped {
            return Ok(());
        }
        let all = async {
            if batch.fresh {
                writer.forget().await?;
            }
            let refused = writer.write(&batch.events).await?;
            writer.write_statuses(&batch.statuses).await?;
            Ok::<_, WriteError>(refused)
        };
        let refused = match all.await {
            Ok(refused) => refused,
            Err(WriteError::Stopped) => return Ok(()),
            Err(WriteError::Refused(e) | WriteError::Store(e)) => return Err(e.into()),
        };
        writer.store.has_answered();
        tell(&status, &board, &batch.events, &refused);
        metrics::batch(batch.events.len(), batch.rows, started.elapsed());
        if written.send(Written { offsets: batch.offsets, refused }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Says what became visible.
fn tell(status: &SinkStatus, board: &Board, events: &[Event], refused: &[Refused]) {
    let now = TimeMs::now();
    let mut newest: BTreeMap<&Network, &Envelope> = BTreeMap::new();
    let is_written = |e: &Envelope| refused.iter().all(|r| r.network != e.network || e.sequence < r.sequence);
    for e in events.iter().map(|event| &event.block.envelope).filter(|e| is_written(e)) {
        newest.insert(&e.network, e);
        status.written().add(&e.network, e.height);
        // What is filled in was asked for, and nobody waits for it at the head.
        if e.op == Op::Apply && e.origin == Origin::Live {
            metrics::visible_after(Duration::from_millis(now.0.saturating_sub(e.observed_at.0).max(0) as u64));
        }
    }
    beat::visible(board, events.iter().filter(|event| is_written(&event.block.envelope)));
    for (network, e) in newest {
        metrics::processed(network.as_str(), e.sequence);
    }
    for e in events.iter().map(|event| &event.block.envelope).filter(|e| is_written(e)) {
        status.visible(e);
        if e.origin == Origin::Live {
            metrics::processed_height(e.network.as_str(), e.height);
        }
    }
}
