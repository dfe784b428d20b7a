//! Two processes share the partitions, one comes, goes or is killed in the middle of a block, and facts arrive meanwhile: a block's records
//! are a function of the block and of the position of the facts that it names, whoever made them, and are there once (rules 10 and 14).

mod support;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::Address;
use decode::facts::Facts;
use enrich::{
    Config, enrich_event_with,
    steps::known::{Known, Lookup},
};
use runtime::log::{Log, NewRecord, TopicPartition};
use schemas::{
    Network,
    profiles::Profile,
    records::{
        ContractFacts, EnrichedBlock, EnrichedTransaction, FactSource, FactsFold, Implementation, Payload, RawBlock,
        RawTransaction, StageStatus, stage_status::stage,
    },
    topics,
};
use support::{bench::Bench, recorded};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A network in each partition.
const NETWORKS: [(&str, u32); 2] = [("eth", 1), ("eth-2", 0)];
const BLOCKS: u64 = 40;

/// Repeatable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

type Stage = (CancellationToken, JoinHandle<Result<(), enrich::Error>>);
type Event = (RawBlock, Vec<RawTransaction>);

/// A token's ABI whose arguments have other names in each revision, and the same selectors.
fn abi(revision: u64) -> String {
    let input = |kind: &str, name: &str, indexed: bool| {
        format!(r#"{{"type":"{kind}","name":"{name}{revision}","indexed":{indexed}}}"#)
    };
    let (to, amount) = (input("address", "to", false), input("uint256", "amount", false));
    let event =
        [input("address", "src", true), input("address", "dst", true), input("uint256", "wad", false)].join(",");
    format!(
        r#"[{{"type":"function","name":"transfer","inputs":[{to},{amount}],"outputs":[],"stateMutability":"nonpayable"}},
            {{"type":"event","name":"Transfer","inputs":[{event}]}}]"#
    )
}

/// What is found out about a contract: its ABI, or that it hands calls on to another one.
fn facts(network: &str, address: Address, revision: u64, behind: Option<Address>) -> ContractFacts {
    let nothing = ContractFacts::nothing(network.parse().unwrap(), address);
    let implementations =
        behind.map(|address| Implementation { from_height: 0, address: Some(address), ..Implementation::default() });
    let own = behind.is_none();
    ContractFacts {
        revision,
        abi: own.then(|| abi(revision)),
        abi_source: own.then_some(FactSource::Operator),
        implementations: implementations.into_iter().collect(),
        ..nothing
    }
}

/// Contracts that the blocks' logs come from, those with most of them first.
fn contracts(events: &[Event]) -> Vec<Address> {
    let mut counts: HashMap<Address, usize> = HashMap::new();
    for tx in events.iter().flat_map(|(_, txs)| txs) {
        if let Payload::Evm(tx) = &tx.payload {
            tx.logs.iter().for_each(|log| *counts.entry(log.address).or_default() += 1);
        }
    }
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by_key(|(address, count)| (std::cmp::Reverse(*count), *address));
    all.into_iter().map(|(address, _)| address).take(6).collect()
}

/// Two processes, of which each may be away.
struct Members<'a> {
    bench: &'a Bench,
    of: [Option<Stage>; 2],
    changes: u32,
}

impl Members<'_> {
    fn start(&mut self, which: usize, dice: &mut Dice) {
        if self.of[which].is_none() {
            let networks = NETWORKS.map(|(name, _)| (name.parse().unwrap(), 1));
            let mut config = Config::new(["a", "b"][which], HashMap::from(networks));
            config.batch_events = 1 + dice.roll(3) as usize;
            self.of[which] = Some(self.bench.start_as(self.bench.log.clone(), config));
            self.changes += 1;
        }
    }

    async fn end(&mut self, which: usize, killed: bool) {
        let Some((stop, stage)) = self.of[which].take() else { return };
        self.changes += 1;
        if killed {
            stage.abort();
            let _ = stage.await;
        } else {
            stop.cancel();
            stage.await.unwrap().unwrap();
        }
    }

    /// One of both comes, goes or is killed; one is always there.
    async fn change(&mut self, dice: &mut Dice) {
        let which = dice.roll(2) as usize;
        match self.of[which].is_some() && self.of[1 - which].is_some() {
            true => self.end(which, dice.roll(2) == 0).await,
            false => self.start(which, dice),
        }
        self.start(1 - which, dice);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_follow_from_the_block_and_its_facts_whoever_made_them() {
    let (bench, mut dice) = (Bench::new().await, Dice(20_617));
    let recorded: Vec<_> =
        recorded().into_iter().filter(|r| r.chain == "ethereum" && (10..400).contains(&r.receipts.len())).collect();
    assert!(recorded.len() > 3, "too few recorded blocks");
    let events = |name: &str| -> Vec<Event> {
        (1..=BLOCKS).map(|sequence| recorded[sequence as usize % recorded.len()].event(name, sequence)).collect()
    };
    let chains = NETWORKS.map(|(name, partition)| (name, partition, events(name)));
    let known = contracts(&chains[0].2);
    let mut members = Members { bench: &bench, of: [None, None], changes: 0 };
    members.start(0, &mut dice);
    members.start(1, &mut dice);
    let mut revision = 0;
    for n in 0..BLOCKS as usize {
        for (name, partition, events) in &chains {
            let (block, txs) = &events[n];
            let half = dice.roll(txs.len() as u64) as usize;
            let records: Vec<NewRecord> = txs.iter().map(|tx| bench.record_at(*partition, tx)).collect();
            let (first, second) = records.split_at(half);
            bench.publish([vec![bench.record_at(*partition, block)], first.to_vec()].concat()).await;
            if dice.roll(3) == 0 {
                members.change(&mut dice).await;
            }
            // In the middle of the block, as far as the reader of the stream sees it.
            for _ in 0..dice.roll(3) {
                revision += 1;
                let address = known[dice.roll(known.len() as u64) as usize];
                let behind = (dice.roll(4) == 0).then(|| known[dice.roll(known.len() as u64) as usize]);
                bench.publish(vec![bench.record_at(*partition, &facts(name, address, revision, behind))]).await;
            }
            tokio::time::sleep(Duration::from_millis(dice.roll(40))).await;
            bench.publish(second.to_vec()).await;
        }
    }
    for (name, partition, events) in &chains {
        let network: Network = name.parse().unwrap();
        let told = bench.read(topics::CONTRACT_FACTS.name, *partition, 1).await;
        let blocks = bench.read(topics::ENRICHED_BLOCKS.name, *partition, events.len()).await;
        let wanted: usize = events.iter().map(|(_, txs)| txs.len()).sum();
        let rows = bench.read(topics::ENRICHED_TRANSACTIONS.name, *partition, wanted).await;
        assert_eq!((blocks.len(), rows.len()), (events.len(), wanted), "{name}: something is missing, or twice");
        let mut rows =
            rows.iter().map(|r| bench.codec.decode::<EnrichedTransaction>(r.value.as_ref().unwrap()).unwrap());
        let (mut positions, mut named) = (BTreeSet::new(), 0);
        for (record, (block, txs)) in blocks.iter().zip(events) {
            let got: EnrichedBlock = bench.codec.decode(record.value.as_ref().unwrap()).unwrap();
            // Told anew from the first fact on, up to the position that the block names.
            let mut table = Facts::default();
            for fact in told.iter().filter(|fact| Some(fact.offset) < got.facts_position) {
                table.put(bench.codec.decode(fact.value.as_ref().unwrap()).unwrap());
            }
            let facts = table.of(&network).map(|of| of.clone() as Arc<dyn Lookup>);
            let known = Known { position: got.facts_position, facts };
            let (wanted, enriched) = enrich_event_with(&Profile::of(1), &known, block.clone(), txs.clone());
            assert_eq!(got, wanted);
            for wanted in enriched {
                let got = rows.next().unwrap();
                assert_eq!(got, wanted, "{name}, sequence {}", got.envelope.sequence);
                if let Payload::Evm(both) = &got.payload {
                    let events = both.1.events.iter().flatten();
                    named += events.filter(|event| event.event.contains("address indexed src")).count();
                }
            }
            positions.insert(got.facts_position);
        }
        assert!(positions.len() > 5, "{name}: facts of {} positions only", positions.len());
        assert!(named > 20, "{name}: {named} events with names that facts told");
        let at = TopicPartition { topic: topics::CONTRACT_FACTS.name, partition: *partition };
        assert!(bench.log.watermarks(at).await.unwrap().high >= told.len() as u64);
    }
    assert!(members.changes > 12, "{} changes of the group only", members.changes);
    let statuses = bench.read(topics::STAGE_STATUS.name, 0, 2).await;
    let instances: BTreeSet<String> = statuses
        .iter()
        .filter_map(|r| bench.codec.decode::<StageStatus>(r.value.as_ref()?).ok())
        .filter(|status| status.stage == stage::ENRICH)
        .map(|status| status.instance)
        .collect();
    assert_eq!(instances, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    members.end(0, false).await;
    members.end(1, false).await;
}
