//! Over the embedded log: what fleets say is in the topic, what others said before and meanwhile is heard, and a log that takes nothing
//! holds nobody up.

use std::sync::{Mutex, PoisonError};

use runtime::log::embedded::{EmbeddedConfig, EmbeddedLog, Sync};
use schemas::records::{CallSample, EndpointState, Lie, Outcome, ProviderState, Usage};
use tempfile::TempDir;

use super::*;

const PARTITIONS: u32 = 4;

#[derive(Default)]
struct Told {
    to: Mutex<Option<mpsc::Sender<ProviderSample>>>,
    heard: Mutex<Vec<ProviderSample>>,
}

impl Told {
    fn say(&self, sample: ProviderSample) {
        let to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.as_ref().expect("it was told where to").try_send(sample).expect("there is room");
    }

    fn heard(&self) -> Vec<(String, String, TimeMs)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heard: Vec<_> = heard.iter().map(|s| (s.endpoint.clone(), s.observer.clone(), s.at)).collect();
        heard.sort();
        heard
    }
}

impl Observed for Told {
    fn samples_to(&self, to: mpsc::Sender<ProviderSample>) {
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }
    fn hear(&self, sample: &ProviderSample) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(sample.clone());
    }
    fn leave(&self) {}
}

async fn log() -> (Arc<EmbeddedLog>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig { sync: Sync::Os, ..EmbeddedConfig::new(dir.path().join("log")) };
    (EmbeddedLog::open(config).await.unwrap(), dir)
}

fn eth() -> Network {
    "eth".parse().unwrap()
}

fn started(log: &Arc<EmbeddedLog>, instance: &str) -> (AbortOnDropHandle<()>, Arc<Told>) {
    let fleet = Arc::<Told>::default();
    let partitions = HashMap::from([(eth(), 3)]);
    let told: Arc<dyn Observed> = fleet.clone();
    let places = Places { partitions, fleets: HashMap::from([(eth(), told)]) };
    let places = watch::Sender::new(Arc::new(places)).subscribe();
    let handle = start(log.clone(), Arc::new(Codec::builtin()), instance, places);
    (handle, fleet)
}

fn sample(endpoint: &str, observer: &str, at: i64, seen: Seen) -> ProviderSample {
    ProviderSample { network: eth(), endpoint: endpoint.into(), at: TimeMs(at), observer: observer.into(), seen }
}

fn call(at: i64) -> ProviderSample {
    let call = CallSample {
        method: "eth_blockNumber".into(),
        probe: false,
        latency_ms: 5,
        outcome: Outcome::Ok,
        height: Some(1),
        error: None,
        bytes: 9,
    };
    sample("a", "ingest/one", at, Seen::Call(call))
}

fn lies(endpoint: &str, observer: &str, at: i64) -> ProviderSample {
    let lie = Lie { at: TimeMs(1), found_by: observer.into(), said: "0x1".into(), right: "0x2".into() };
    let state = EndpointState {
        url: "https://a.example/".into(),
        operator: "a.example".into(),
        state: ProviderState::Quarantined,
        reason: Some("said 0x1, right is 0x2".into()),
        since: TimeMs(1),
        every_ms: 30_000,
        score: None,
        latency_part: None,
        success_part: None,
        height_part: None,
        latency_ms: None,
        latency_p95_ms: None,
        success_rate: None,
        height: None,
        lag_blocks: None,
        in_use: false,
        in_use_since: None,
        last_error: None,
        last_error_at: None,
        last_seen_at: None,
        priority: 1,
        roles: String::new(),
        limit_per_1000_s: None,
        usage: Usage::default(),
        lie: Some(lie),
        link: None,
    };
    sample(endpoint, observer, at, Seen::State(Box::new(state)))
}

async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let wait = async {
        while !check().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// All of the topic, with the partition of each.
async fn written(log: &EmbeddedLog) -> Vec<(u32, String, ProviderSample)> {
    let mut all = Vec::new();
    for partition in 0..PARTITIONS {
        let at = TopicPartition { topic: TOPIC, partition };
        let read = runtime::log::fold(log, at, |record| {
            let sample = Codec::builtin().decode(record.value.as_ref().unwrap()).unwrap();
            all.push((partition, String::from_utf8_lossy(record.key.as_ref().unwrap()).into_owned(), sample));
            Ok::<_, LogError>(())
        });
        read.await.unwrap();
    }
    all
}

#[tokio::test]
async fn what_fleets_say_stands_in_the_topic_in_order() {
    let (log, _dir) = log().await;
    log.ensure_topics(&[topics::PROVIDERS_SAMPLES], PARTITIONS).await.unwrap();
    let (_running, fleet) = started(&log, "one");
    let said: Vec<ProviderSample> = (0..2_000).map(call).chain([lies("b", "ingest/one", 3)]).collect();
    said.iter().cloned().for_each(|s| fleet.say(s));
    until("all of it", || async { written(&log).await.len() == said.len() }).await;
    let expected: Vec<_> = said.into_iter().map(|s| (3, "eth".to_owned(), s)).collect();
    assert_eq!(written(&log).await, expected);
    assert!(fleet.heard().is_empty(), "nobody is told what it said itself");
}

#[tokio::test]
async fn a_restart_hears_the_last_state_of_each_and_then_what_others_say() {
    let (log, _dir) = log().await;
    log.ensure_topics(&[topics::PROVIDERS_SAMPLES], PARTITIONS).await.unwrap();
    let (running, fleet) = started(&log, "one");
    for at in 1..=3 {
        fleet.say(lies("a", "ingest/one", at));
        fleet.say(call(at));
    }
    // Another observer's word, and one that came late.
    fleet.say(lies("a", "ingest/two", 7));
    fleet.say(lies("b", "ingest/two", 5));
    until("all of it", || async { written(&log).await.len() == 8 }).await;
    drop(running);

    let (_running, fleet) = started(&log, "one");
    let of = |endpoint: &str, observer: &str, at| (endpoint.to_owned(), observer.to_owned(), TimeMs(at));
    let before = [of("a", "ingest/one", 3), of("a", "ingest/two", 7), of("b", "ingest/two", 5)];
    until("what was said before", || async { fleet.heard().len() >= 3 }).await;
    assert_eq!(fleet.heard(), before);
    // From now on only what others say, and nothing twice.
    fleet.say(lies("a", "ingest/one", 10));
    fleet.say(lies("a", "ingest/two", 6));
    fleet.say(lies("b", "ingest/two", 11));
    until("the other's word", || async { fleet.heard().len() >= 4 }).await;
    assert_eq!(fleet.heard(), [&before[..], &[of("b", "ingest/two", 11)]].concat());
}

#[tokio::test]
async fn a_log_that_takes_nothing_holds_nobody_up_and_is_written_to_when_it_does() {
    let (log, _dir) = log().await;
    // Its topic is not there yet.
    let (_running, fleet) = started(&log, "one");
    fleet.say(call(1));
    sleep(GATHER + Duration::from_millis(200)).await;
    log.ensure_topics(&[topics::PROVIDERS_SAMPLES], PARTITIONS).await.unwrap();
    until("what is said later", || async {
        fleet.say(call(2));
        sleep(Duration::from_millis(100)).await;
        !written(&log).await.is_empty()
    })
    .await;
    assert!(written(&log).await.iter().all(|(_, _, s)| s.at == TimeMs(2)), "what was lost is not written late");
    // And heard from.
    fleet.say(lies("a", "ingest/two", 3));
    until("the other's word", || async { !fleet.heard().is_empty() }).await;
}
