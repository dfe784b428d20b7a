//! From the moment a node shows a new head to the frame of that block on a WebSocket, and to the frame of the window that it is the last
//! block of, at a steady rate.
//!
//! Windows that are open come once a second, so that not every block has one of its own: measured are those that do.

use super::instance::Instance;
use super::{Failure, NETWORK, Node, speed};
use crate::node::evm::HeadEvent;
use futures::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// How long the last frames may take, and a frame of the subscription.
const PATIENCE: Duration = Duration::from_secs(30);

/// Head-to-WebSocket times.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// Transactions per second that the node made.
    pub transactions_per_second: f64,
    /// Blocks measured.
    pub blocks: u64,
    /// Median in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// The slowest in milliseconds.
    pub max_ms: f64,
    /// The same of windows.
    pub windows: Windows,
}

/// From a head to the window of its minute that it is the last block of.
#[derive(Clone, Debug, Serialize)]
pub struct Windows {
    /// Windows measured.
    pub count: u64,
    /// Median in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
}

/// What was heard, and when.
#[derive(Default)]
struct Heard {
    /// Blocks by height.
    blocks: HashMap<u64, Instant>,
    /// Heights by the sequence of their event.
    heights: HashMap<u64, u64>,
    /// The network's windows of a minute, by the sequence of their last event: the first frame of each.
    windows: HashMap<u64, Instant>,
}

pub(super) async fn measure(
    node: &Node,
    instance: &mut Instance,
    rate: f64,
    lasting: Duration,
) -> Result<Latency, Failure> {
    let simulator = &node.simulator;
    let cycle = simulator.canonical(1..=simulator.head());
    let mean = cycle.iter().map(|b| b.facts.tx_count).sum::<u64>() as f64 / cycle.len().max(1) as f64;
    let (mut socket, _) = connect_async(instance.socket_url()).await?;
    let subscribe = json!({"op": "subscribe", "id": 1, "topics": ["blocks", "windows"], "network": NETWORK});
    socket.send(Message::text(subscribe.to_string())).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (first, mut heads) = (simulator.head() + 1, simulator.subscribe());
    let blocks = (lasting.as_secs_f64() * rate / mean.max(1.0)).ceil() as u64;
    let making = async {
        let mut pace = tokio::time::interval(lasting.div_f64(blocks.max(1) as f64));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        for _ in 0..blocks {
            pace.tick().await;
            simulator.advance(1)?;
        }
        Ok::<_, Failure>(begun.elapsed())
    };
    let last = first + blocks - 1;
    let hearing = async {
        let mut heard = Heard::default();
        while heard.blocks.len() < blocks as usize {
            let message = tokio::time::timeout(lasting + PATIENCE, socket.next()).await;
            let message = message.map_err(|_| format!("{} of {blocks} blocks were heard", heard.blocks.len()))?;
            let Message::Text(text) = message.ok_or("the WebSocket was closed")?? else { continue };
            let at = Instant::now();
            let frame: Value = serde_json::from_str(&text)?;
            match frame["type"].as_str() {
                Some("block") if frame["op"] != "revert" => {
                    let height = ["height", "number"].iter().find_map(|key| frame["data"][key].as_u64());
                    let height = height.ok_or_else(|| format!("a block frame without a height: {text}"))?;
                    let sequence = frame["sequence"].as_u64().ok_or_else(|| format!("without a sequence: {text}"))?;
                    if (first..=last).contains(&height) {
                        heard.blocks.entry(height).or_insert(at);
                        heard.heights.insert(sequence, height);
                    }
                }
                Some("window") if frame["data"]["contract"].is_null() && frame["data"]["window_seconds"] == 60 => {
                    let sequence = frame["sequence"].as_u64().ok_or_else(|| format!("without a sequence: {text}"))?;
                    heard.windows.entry(sequence).or_insert(at);
                }
                Some("error" | "gap") => return Err(format!("the WebSocket says {text}").into()),
                _ => {}
            }
        }
        Ok::<_, Failure>(heard)
    };
    let (made, heard) = tokio::try_join!(making, hearing)?;
    let shown = shown(&mut heads);
    let since = |height: &u64, at: &Instant| Some(at.saturating_duration_since(*shown.get(height)?));
    let times = Times::of(heard.blocks.iter().filter_map(|(height, at)| since(height, at)));
    let of_windows = heard.windows.iter().filter_map(|(sequence, at)| since(heard.heights.get(sequence)?, at));
    let of_windows = Times::of(of_windows);
    instance.reach(last, PATIENCE).await?;
    speed::verify(node, instance).await?;
    let made_transactions: u64 = simulator.canonical(first..=last).iter().map(|b| b.facts.tx_count).sum();
    Ok(Latency {
        transactions_per_second: made_transactions as f64 / made.as_secs_f64(),
        blocks: times.count(),
        p50_ms: times.ms(0.5),
        p99_ms: times.ms(0.99),
        max_ms: times.ms(1.0),
        windows: Windows { count: of_windows.count(), p50_ms: of_windows.ms(0.5), p99_ms: of_windows.ms(0.99) },
    })
}

/// Times, the shortest first.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort();
        Self(times)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Milliseconds that this part of them does not exceed; not a number without any.
    pub(crate) fn ms(&self, part: f64) -> f64 {
        let at = ((self.0.len() as f64 * part).ceil() as usize).saturating_sub(1);
        self.0.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// When the node showed each height.
pub(super) fn shown(heads: &mut Receiver<HeadEvent>) -> HashMap<u64, Instant> {
    let mut shown = HashMap::new();
    while let Ok(head) = heads.try_recv() {
        shown.insert(head.block.height, head.at);
    }
    shown
}
