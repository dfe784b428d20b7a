//! How often heads are asked for, as the chain goes.
//!
//! The polling period follows the chain: the interval between blocks is averaged as it is observed, polling rests until
//! shortly before the next block is due and is frequent then.

use std::time::{Duration, Instant};

use super::endpoint::Tuning;

/// With a subscription, polling is only the safety net: this many block intervals without a word.
const SILENT_INTERVALS: u32 = 4;
/// And at the longest this, however slow the chain is: long enough for a slot or two that are missed on a chain of slots.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// The interval between blocks while only one has been seen.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(2);
/// A block is not called overdue sooner than this after the last.
const OVERDUE_LEAST: Duration = Duration::from_millis(400);

/// The observed interval between blocks.
#[derive(Debug, Default)]
pub(super) struct Pace {
    interval: Option<Duration>,
    last: Option<(u64, Instant)>,
}

impl Pace {
    /// Takes a head in; true when it is higher than the last.
    pub(super) fn saw(&mut self, number: u64, now: Instant) {
        if let Some((n, at)) = self.last {
            if number <= n {
                return;
            }
            let sample = (now - at) / u32::try_from(number - n).unwrap_or(u32::MAX);
            self.interval = Some(self.interval.map_or(sample, |i| i.mul_f64(0.8) + sample.mul_f64(0.2)));
        }
        self.last = Some((number, now));
    }

    /// How long to wait before the next poll.
    pub(super) fn wait(&self, now: Instant, t: &Tuning) -> Duration {
        let (Some(interval), Some((_, at))) = (self.interval, self.last) else { return t.poll_min * 2 };
        let due = at + interval.mul_f64(0.9);
        if now < due {
            return (due - now).clamp(t.poll_min / 2, t.poll_max);
        }
        // Overdue: often at first, less so the longer it lasts.
        (interval / 20 + (now - due) / 10).clamp(t.poll_min, t.poll_max)
    }

    /// How long a subscription may be silent before it is asked whether there is nothing new.
    pub(super) fn silence(&self, t: &Tuning) -> Duration {
        let least = t.poll_min * 10;
        (self.interval.unwrap_or(t.poll_max) * SILENT_INTERVALS).clamp(least, LONGEST_SILENCE.max(least))
    }

    /// When the highest head was seen.
    pub(super) fn last_at(&self) -> Option<Instant> {
        self.last.map(|(_, at)| at)
    }

    /// How long the next block is overdue, beyond half an interval more than usual.
    pub(super) fn overdue(&self, now: Instant) -> Option<Duration> {
        let (interval, (_, at)) = (self.interval.unwrap_or(UNKNOWN_INTERVAL), self.last?);
        now.checked_duration_since(at + interval.mul_f64(1.5).max(OVERDUE_LEAST))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{
        evm::{
            Checks, Endpoint,
            fleet::{EvmFleet, EvmFleetConfig},
            subscribe::SUBSCRIBE_TIMEOUT,
        },
        fleet::{Clock, Confirm, FleetConfig, MemberConfig},
        source::ChainSource as _,
    };

    /// Answers whatever is asked with the head of a chain that has ten blocks a second.
    async fn answer(socket: TcpStream, began: Instant) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        loop {
            let (mut line, mut length) = (String::new(), 0);
            while socket.read_line(&mut line).await? > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                line.clear();
            }
            if length == 0 {
                return Ok(());
            }
            socket.read_exact(&mut vec![0; length]).await?;
            let (n, hash) = (began.elapsed().as_millis() / 100, format!("0x{}", "11".repeat(32)));
            let head = serde_json::json!({"number": format!("0x{n:x}"), "hash": hash, "parentHash": hash, "timestamp": "0x65000000"});
            let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": head}).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            socket.get_mut().write_all((head + &body).as_bytes()).await?;
        }
    }

    #[tokio::test]
    async fn heads_are_seen_while_the_subscription_does_not_come_about() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = |l: &TcpListener, scheme| format!("{scheme}://{}", l.local_addr().expect("an address"));
        let endpoint = Endpoint {
            name: "a".into(),
            url: at(&listener, "http").parse().expect("a URL"),
            ws: Some(at(&silent, "ws").parse().expect("a URL")),
            headers: Vec::new(),
        };
        let began = Instant::now();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, began));
            }
        });
        let config = EvmFleetConfig {
            network: "test".parse().expect("a slug"),
            chain_id: 1,
            observer: "ingest/test".into(),
            checks: Checks::of(&schemas::profiles::TOLERANT),
            tuning: Tuning::default(),
            confirm: Confirm::Auto,
            confirm_within: Duration::from_secs(2),
            fleet: FleetConfig::default(),
        };
        let member = MemberConfig::new("a", endpoint.url.as_str());
        let fleet = EvmFleet::new(config, vec![(member, endpoint)], Clock::system()).expect("a fleet");
        let mut heads = fleet.heads();
        let mut seen = std::collections::BTreeSet::new();
        let several = async {
            while seen.len() < 5 {
                heads.changed().await.expect("it is followed");
                seen.extend(heads.borrow_and_update().head.clone().map(|h| h.height));
            }
        };
        tokio::time::timeout(SUBSCRIBE_TIMEOUT / 2, several).await.expect("heads while nothing answers there");
    }

    #[test]
    fn polling_rests_between_blocks_and_follows_the_chain() {
        let (t, start) = (Tuning::default(), Instant::now());
        let mut pace = Pace::default();
        for n in 0..20u64 {
            pace.saw(n, start + Duration::from_secs(2) * n as u32);
        }
        let last = start + Duration::from_secs(38);
        let interval = pace.interval.unwrap();
        assert!((1.9..2.1).contains(&interval.as_secs_f64()), "{interval:?}");
        assert!(pace.wait(last, &t) > Duration::from_millis(1700));
        assert_eq!(pace.wait(last + Duration::from_millis(1800), &t), Duration::from_millis(100));
        assert!(pace.wait(last + Duration::from_secs(120), &t) <= t.poll_max);
        let slow =
            Tuning { poll_min: Duration::from_secs(60), poll_max: Duration::from_secs(600), ..Tuning::default() };
        assert_eq!(pace.silence(&slow), Duration::from_secs(600), "as patient as it is told to be");
        pace.saw(5, last);
        assert_eq!(pace.last.unwrap().0, 19, "a stale head is no measure");
        // A jump of many blocks counts per block.
        pace.saw(119, last + Duration::from_secs(10));
        assert!(pace.interval.unwrap() < Duration::from_secs(2));
    }
}
