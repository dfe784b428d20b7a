//! The dead man's switch: somebody outside is told again and again that alerts work, and hears nothing when they do not.
//!
//! Guarantee: the operator's URL (`[alerts] heartbeat_url`) is called only while the last self-test that went through evaluation, state and
//! delivery is younger than [`FRESH`], and no stage that this log knows of is silent or stalled. The same is a metric. A self-test is an alert of the tenant
//! [`TENANT`], whom no control store has: it takes the way of every alert, up to here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use runtime::log::{
    Log, Record,
    compacted::{Found, judge, key},
    followed::{Fold, Followed},
};
use schemas::{
    Codec,
    records::{
        StageStatus,
        stage_status::{SILENT_AFTER, state},
    },
    topics,
};
use tokio::time::Instant;
use url::Url;

use super::{
    channels::{Method, Request},
    http::Http,
    metrics,
};

/// The tenant of self-tests; no ULID, so that no tenant has this id.
pub const TENANT: &str = "self-test";
/// The channel of self-tests.
pub const CHANNEL: &str = "self-test";
/// The rule of self-tests.
pub const RULE: &str = "self-test";
/// How often one begins.
pub const EVERY: Duration = Duration::from_secs(60);
/// How long the last one counts: one may be late.
pub const FRESH: Duration = Duration::from_secs(110);
/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How often the URL is called.
const CALL: Duration = Duration::from_secs(60);

/// When a self-test last came through. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Passed(Arc<Mutex<Option<Instant>>>);

impl Passed {
    /// One came through now.
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
    /// How long ago the last one was; `None`: none was.
    pub fn ago(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

/// What stages said last, by their records' keys.
#[derive(Debug, Clone, Default)]
pub struct Stages(BTreeMap<String, Said>);

#[derive(Debug, Clone)]
struct Said {
    stage: String,
    instance: String,
    state: String,
    every: Duration,
    heard: Instant,
}

impl Fold for Stages {
    fn take(&mut self, codec: &Codec, record: &Record) {
        let Some(key) = key(record) else { return };
        match judge::<StageStatus>(codec, record) {
            // A network's record tells of the network; whether a process lives, its own does.
            Found::Ours(status) if status.network.is_none() => {
                let every = Duration::from_millis(status.every_ms.clamp(1_000, 600_000));
                let said = Said {
                    stage: status.stage,
                    instance: status.instance,
                    state: status.state,
                    every,
                    heard: Instant::now(),
                };
                self.0.insert(key.to_owned(), said);
            }
            Found::Removed => drop(self.0.remove(key)),
            _ => {}
        }
    }
}

impl Stages {
    /// What is wrong with a stage: all its processes are silent, or one is stalled.
    pub fn trouble(&self) -> Option<String> {
        let mut by_stage: BTreeMap<&str, Vec<&Said>> = BTreeMap::new();
        self.0.values().for_each(|said| by_stage.entry(&said.stage).or_default().push(said));
        by_stage.into_iter().find_map(|(stage, all)| {
            let silent = |said: &&&Said| said.heard.elapsed() > said.every * SILENT_AFTER;
            if all.iter().all(|said| silent(&said)) {
                return Some(format!("the stage {stage} is silent"));
            }
            let stalled = all.iter().filter(|said| !silent(said)).find(|said| said.state == state::STALLED);
            stalled.map(|said| format!("the stage {stage} of {} is stalled", said.instance))
        })
    }
}

/// Looks for ever, and calls the URL while all is well.
pub async fn watch(
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    passed: Passed,
    url: Option<Url>,
    http: Http,
) -> std::convert::Infallible {
    let stages = Followed::<Stages>::new(log, codec, topics::STAGE_STATUS.name);
    // Records of before are taken as heard now: a dead stage is missed three of its periods later.
    while let Err(error) = stages.hold(&[0]).await {
        tracing::warn!(%error, "stages cannot be followed yet");
        tokio::time::sleep(LOOK).await;
    }
    let (begun, mut called, mut was) = (Instant::now(), None::<Instant>, None::<bool>);
    loop {
        tokio::time::sleep(LOOK).await;
        let trouble = trouble(&passed, stages.of(0).and_then(|snapshot| snapshot.fold.trouble()));
        metrics::heartbeat(trouble.is_none(), passed.ago().unwrap_or(begun.elapsed()).as_secs_f64());
        let alive = trouble.is_none();
        if was != Some(alive) {
            match &trouble {
                None => tracing::info!("alerts work: a self-test came through"),
                Some(why) => tracing::warn!(why, "alerts do not work: the dead man's switch is not told otherwise"),
            }
            was = Some(alive);
        }
        let due = called.is_none_or(|at| at.elapsed() + LOOK / 2 >= CALL);
        if let (true, true, Some(url)) = (alive, due, &url) {
            called = Some(Instant::now());
            let request = Request { method: Method::Post, url: url.clone(), headers: Vec::new(), body: Vec::new() };
            match http.ask_operators(&request).await {
                Ok(answer) if answer.status < 300 => {}
                Ok(answer) => tracing::warn!(status = answer.status, "the dead man's switch refuses its call"),
                Err(error) => tracing::warn!(%error, "the dead man's switch cannot be called"),
            }
        }
    }
}

fn trouble(passed: &Passed, stages: Option<String>) -> Option<String> {
    match passed.ago() {
        None => Some("no self-test has come through yet".to_owned()),
        Some(ago) if ago > FRESH => Some(format!("the last self-test came through {} s ago", ago.as_secs())),
        Some(_) => stages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stage: &str, instance: &str, state: &str, ago: u64) -> Said {
        let heard = Instant::now() - Duration::from_secs(ago);
        Said {
            stage: stage.to_owned(),
            instance: instance.to_owned(),
            state: state.to_owned(),
            every: Duration::from_secs(5),
            heard,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_only_while_all_is_well() {
        tokio::time::advance(Duration::from_secs(1_000)).await;
        let mut stages = Stages::default();
        stages.0.insert("a".to_owned(), said("enrich", "one", "running", 3));
        stages.0.insert("b".to_owned(), said("sink", "one", "running", 3));
        // Of two processes one may be gone.
        stages.0.insert("c".to_owned(), said("sink", "two", "running", 100));
        assert_eq!(stages.trouble(), None);
        let passed = Passed::default();
        assert!(trouble(&passed, stages.trouble()).is_some());
        passed.now();
        assert_eq!(trouble(&passed, stages.trouble()), None);
        stages.0.insert("a".to_owned(), said("enrich", "one", "stalled", 3));
        assert_eq!(trouble(&passed, stages.trouble()).as_deref(), Some("the stage enrich of one is stalled"));
        stages.0.insert("a".to_owned(), said("enrich", "one", "running", 16));
        assert_eq!(trouble(&passed, stages.trouble()).as_deref(), Some("the stage enrich is silent"));
        // Within two minutes, the look included.
        tokio::time::advance(FRESH + Duration::from_secs(1)).await;
        assert!(FRESH + LOOK <= Duration::from_secs(120));
        assert!(trouble(&passed, None).is_some());
    }
}
