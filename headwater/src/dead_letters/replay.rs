//! `headwater dead-letters replay`: what can be read by now gets its row.
//!
//! The stream went on with a placeholder, and stays as it is: sequences are gapless and topics are not written to a second time
//! (rules 1 and 2). What is missing is the row in the store. A letter of a transaction is decoded and enriched again by this
//! program, and its rows are inserted at the event's own sequence, by the sink's own code, where they are missing and nothing can
//! revert the block any more ([`store::sink::mend`]). Whoever runs it twice inserts nothing twice. What is no transaction's
//! letter is refused, and so is one whose bytes are gone or say nothing, with what to do instead. All of it holds for every family.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

use alloy_primitives::Address;
use clap::Args;
use enrich::steps::{bitcoin, decode::Decoder, enrich_transaction, fee::InBlock};
use indicatif::{ProgressBar, ProgressStyle};
use runtime::config::{Config, Live};
use schemas::{
    Network,
    codec::Codec,
    records::{EnrichedTransaction, Payload, WatchedAddress, dead_letter::reason},
    topics,
};
use serde_json::Value;
use store::{
    Store,
    sink::mend::{self, Place},
};

use super::{
    causes::Failed,
    facts::Facts,
    letter::{Letter, Parts},
    original::{Found, Read, Why, read},
    read::{each, none_at},
};
use crate::{
    arguments::ConfigFile,
    exit::Failure,
    parts,
    tail::{self, Query},
};

/// What is to be done before a block is asked for again that has a transaction which the log did not take.
const TOO_LARGE_FIRST: &str = "raise the topic's limit first, or it becomes a letter again: over Kafka `max.message.bytes` (`headwater topics \
     diff` tells it), for a record over 8 MiB there is no room in any log; then ";

/// Arguments of `headwater dead-letters replay`.
#[derive(Args)]
pub struct Replay {
    /// Only the letters with these offsets, as `list` tells them
    pub offsets: Vec<u64>,
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only this network
    #[arg(long, value_name = "SLUG")]
    pub network: Option<Network>,
    /// Only this reason, such as `too_large`
    #[arg(long, value_name = "WORD")]
    pub reason: Option<String>,
    /// Tell what would be done, and insert nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What became of a letter.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Inserted,
    WouldInsert,
    AlreadyThere,
    Reverted,
    /// What lies at its height is not kept any more.
    Pruned,
    /// Later, perhaps: why not now.
    NotYet(&'static str),
    Refused(String),
}

impl Outcome {
    const fn word(&self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::WouldInsert => "would_insert",
            Self::AlreadyThere => "already_there",
            Self::Reverted => "reverted",
            Self::Pruned => "pruned",
            Self::NotYet(_) => "not_yet",
            Self::Refused(_) => "refused",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::NotYet(why) => why,
            Self::Refused(why) => why,
            Self::Reverted => "the block was reverted, or filled again: nothing is missing of it",
            Self::Pruned => "rows of the block's height were removed by `[store] keep` or `max_bytes`",
            _ => "",
        }
    }
}

/// Takes letters up again.
pub fn replay(args: &Replay) -> Result<(), Failure> {
    let config = runtime::config::load(&args.config.config)?;
    parts::block_on(async {
        let (store, _) = parts::connect_store(&config, parts::Asker::Sink)?;
        store.ping().await.map_err(|e| format!("the rows go into the store, which must run (`headwater up`): {e}"))?;
        let finalized = finalized_heights(&config).await?;
        let mut work = Work {
            store,
            codec: parts::codec(&config).await?,
            enrich: parts::enrich_config(&mut Live::new(config.clone())),
            finalized,
            watched: watched_contracts(&config).await?,
            config: config.clone(),
            facts: Facts::default(),
            failed: Failed::default(),
        };
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {pos} letters, {elapsed}").expect("a template"));
        let mut out = std::io::stdout().lock();
        writeln!(out, "OFFSET\tNETWORK\tSEQUENCE\tINDEX\tREASON\tOUTCOME\tWHY")?;
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        let mut missing = args.offsets.clone();
        let mut incomplete = Parts::default();
        let taken = each(&config, async |record| {
            let Some(letter) = incomplete.add(record) else { return Ok(true) };
            if !wanted(args, &letter) {
                return Ok(true);
            }
            missing.retain(|offset| *offset != letter.offset);
            let outcome = work.take_up(&letter, args.dry_run).await?;
            *counts.entry(outcome.word()).or_default() += 1;
            let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
            let network = letter.network.as_deref().unwrap_or("-");
            let (sequence, index) = (number(letter.sequence), number(letter.index.map(u64::from)));
            let (offset, reason) = (letter.offset, &letter.reason);
            writeln!(out, "{offset}\t{network}\t{sequence}\t{index}\t{reason}\t{}\t{}", outcome.word(), outcome.why())?;
            bar.inc(1);
            Ok(true)
        })
        .await;
        // Those that have a row get their causes, also where it ends before the last letter.
        let folded = work.failed.fold(&config, &work.store).await;
        taken?;
        folded?;
        bar.finish_and_clear();
        if let Some(offset) = missing.first() {
            return Err(none_at(*offset));
        }
        summary(&counts)
    })?
}

fn wanted(args: &Replay, letter: &Letter) -> bool {
    (args.offsets.is_empty() || args.offsets.contains(&letter.offset))
        && args.network.as_ref().is_none_or(|n| letter.network.as_deref() == Some(n.as_str()))
        && args.reason.as_ref().is_none_or(|r| *r == letter.reason)
}

#[allow(clippy::print_stderr)]
fn summary(counts: &HashMap<&'static str, usize>) -> Result<(), Failure> {
    let all: usize = counts.values().sum();
    let mut words: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    words.sort();
    eprintln!("{all} dead letters{}{}", if all == 0 { "" } else { ": " }, words.join(", "));
    let of = |word| counts.get(word).copied().unwrap_or(0);
    match of("refused") + of("not_yet") {
        0 => Ok(()),
        left => Err(Failure::new(format!("{left} could not be taken up; the column WHY says why"))),
    }
}

/// The highest final height of each network, as its watcher last published it.
async fn finalized_heights(config: &Config) -> Result<HashMap<String, u64>, Failure> {
    let query = Query { network: None, from: "beginning".into(), follow: false };
    let mut heights = HashMap::new();
    tail::each_line(config, topics::INGEST_CHECKPOINTS, query, async |line| {
        let record: Value = serde_json::from_str(line)?;
        let value = &record["value"];
        if let (Some("checkpoint"), Some(network)) = (value["kind"].as_str(), value["network"].as_str()) {
            match value["finalized_height"].as_u64() {
                Some(height) => heights.insert(network.to_owned(), height),
                None => heights.remove(network),
            };
        }
        Ok(true)
    })
    .await?;
    Ok(heights)
}

/// The contracts of each network that somebody calls his own, as they are now.
async fn watched_contracts(config: &Config) -> Result<HashMap<Network, HashSet<Address>>, Failure> {
    let query = Query { network: None, from: "beginning".into(), follow: false };
    let mut there: HashSet<(Network, Address)> = HashSet::new();
    tail::each_line(config, topics::CONTROL_CONFIG, query, async |line| {
        let record: Value = serde_json::from_str(line)?;
        let named = record["key"].as_str().and_then(WatchedAddress::in_key);
        if let Some((network, address)) = named
            && let Ok(address) = address.parse()
        {
            match record["value"].is_null() {
                true => there.remove(&(network, address)),
                false => there.insert((network, address)),
            };
        }
        Ok(true)
    })
    .await?;
    let mut watched: HashMap<Network, HashSet<Address>> = HashMap::new();
    for (network, address) in there {
        watched.entry(network).or_default().insert(address);
    }
    Ok(watched)
}

/// What a letter is worked up with.
struct Work {
    store: Store,
    codec: Codec,
    enrich: enrich::Config,
    finalized: HashMap<String, u64>,
    watched: HashMap<Network, HashSet<Address>>,
    config: Config,
    facts: Facts,
    /// Those that have a row now, and get a cause.
    failed: Failed,
}

impl Work {
    async fn take_up(&mut self, letter: &Letter, dry_run: bool) -> Result<Outcome, Failure> {
        let read = match read(&self.codec, letter) {
            Ok(read) => read,
            Err(Why::Said(why)) => return Ok(Outcome::Refused(why)),
            Err(Why::AskAgain(why)) => return self.ask_again(letter, why).await,
        };
        let (envelope, has_failed) = (&read.envelope, read.found.has_failed());
        let watched = self.watched.get(&envelope.network);
        let contracts = watched.map(|watched| read.found.touched(watched)).unwrap_or_default();
        let finalized = self.finalized.get(envelope.network.as_str()).copied();
        let index = letter.index.unwrap_or_default();
        let place = mend::place(&self.store, envelope, index, finalized).await?;
        let Place::Missing { base_fee, chain, facts_position } = place else {
            // Whoever inserted rows may have been killed before the look whether the block stands.
            if place == Place::Reverted && !dry_run {
                mend::clear(&self.store, envelope).await?;
            }
            // Whoever inserted the row may have been cut off before the block's sums were put right.
            if place == Place::Held && !dry_run {
                mend::sum_up(&self.store, envelope, &contracts).await?;
                if has_failed {
                    self.failed.add(envelope.network.clone(), envelope.sequence, index);
                }
            }
            return Ok(without_a_row(&place));
        };
        let Read { envelope, found } = read;
        let payload = match found {
            Found::Evm(both) => Payload::Evm(both),
            Found::Bitcoin(decoded) => Payload::Bitcoin(decoded),
            Found::RawEvm(tx) => {
                let known = self.facts.before(&self.config, &envelope.network, facts_position).await?;
                let mut decoder = Decoder::new(&known, envelope.height);
                let block = InBlock { base_fee, time: envelope.block_time };
                let found = enrich_transaction(&self.enrich.profile(&envelope.network), &block, &mut decoder, &tx);
                Payload::Evm(Box::new((*tx, found)))
            }
            Found::RawBitcoin(tx) => match bitcoin::decode(chain, &tx) {
                Ok(decoded) => Payload::Bitcoin(Box::new(decoded)),
                Err(why) => return self.ask_again(letter, format!("this version cannot read it either: {why}")).await,
            },
        };
        if dry_run {
            return Ok(Outcome::WouldInsert);
        }
        let enriched = EnrichedTransaction { envelope, payload };
        if mend::insert(&self.store, &enriched, &contracts).await? == Place::Reverted {
            return Ok(Outcome::Reverted);
        }
        if has_failed {
            self.failed.add(enriched.envelope.network, enriched.envelope.sequence, index);
        }
        Ok(Outcome::Inserted)
    }

    /// The letter's bytes are gone, or say nothing: the node has them, and the command that asks it is told with its height.
    async fn ask_again(&self, letter: &Letter, why: String) -> Result<Outcome, Failure> {
        let network = letter.network.as_deref().and_then(|slug| slug.parse::<Network>().ok());
        let (Some(network), Some(sequence)) = (network, letter.sequence) else { return Ok(Outcome::Refused(why)) };
        let height = match mend::height_of(&self.store, &network, sequence).await? {
            Ok(height) => height,
            Err(place) => return Ok(without_a_row(&place)),
        };
        // Another letter brought it, or the block was asked for again.
        if let Some(index) = letter.index
            && mend::is_held(&self.store, &network, (height, sequence), index).await?
        {
            return Ok(Outcome::AlreadyThere);
        }
        let first = if letter.reason == reason::TOO_LARGE { TOO_LARGE_FIRST } else { "" };
        Ok(Outcome::Refused(format!(
            "{why}; {first}`headwater backfill --config FILE --network {network} --from {height} --to {height} --again` asks the node \
             for the whole block again, once its height is final"
        )))
    }
}

/// What is told where there is nothing to insert.
fn without_a_row(place: &Place) -> Outcome {
    match place {
        Place::Missing { .. } => Outcome::WouldInsert,
        Place::Held => Outcome::AlreadyThere,
        Place::Reverted => Outcome::Reverted,
        Place::Pruned => Outcome::Pruned,
        Place::NotStored => Outcome::NotYet("the sink has not come to this block; run it again later"),
        Place::NotFinal => Outcome::NotYet("the block can still be reverted; run it again when it is final"),
    }
}
