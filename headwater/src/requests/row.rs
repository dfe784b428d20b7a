//! Requests and checkpoints as the log's JSON has them, and requests as they are sent to the process that owns the log: the fields are
//! those of `control.config` and `ingest.checkpoints`.

use schemas::{
    Network, TimeMs,
    records::{Asks, HeldRange, Request, RequestState, Wanted},
};
use serde::{Deserialize, Serialize};

/// A request. Its fields are those of `control.config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    id: String,
    #[serde(default)]
    network: Option<Network>,
    #[serde(default)]
    asks: Option<String>,
    #[serde(default)]
    wanted: Option<String>,
    #[serde(default)]
    first: Option<u64>,
    #[serde(default)]
    last: Option<u64>,
    #[serde(default)]
    again: Option<bool>,
    #[serde(default)]
    decided_at: Option<TimeMs>,
}

impl RequestRow {
    /// From a request.
    pub fn of(request: &Request) -> Self {
        let (first, last, again) = match request.asks {
            Asks::Backfill { heights, again } => (Some(heights.from), Some(heights.to), Some(again)),
            Asks::AcceptReorg => (None, None, None),
            Asks::AcceptGap { first, last } => (Some(first), Some(last), None),
        };
        Self {
            id: request.id.clone(),
            network: Some(request.network.clone()),
            asks: Some(request.asks.as_str().to_owned()),
            wanted: Some(request.wanted.as_str().to_owned()),
            first,
            last,
            again,
            decided_at: Some(request.asked_at),
        }
    }

    /// The request that it says; in words what is wrong with it.
    pub fn request(self) -> Result<Request, String> {
        fn given<T>(name: &str, value: Option<T>) -> Result<T, String> {
            value.ok_or_else(|| format!("`{name}` is missing"))
        }
        let network = given("network", self.network)?;
        if !Request::is_id(&self.id) {
            return Err(format!("`{}` is no id of a request: 1 to 64 of a–z, 0–9 and -", self.id));
        }
        let range = || -> Result<(u64, u64), String> {
            match (given("first", self.first)?, given("last", self.last)?) {
                (first, last) if first <= last => Ok((first, last)),
                (first, last) => Err(format!("`first` is {first}, above `last`, which is {last}")),
            }
        };
        let asks = match given("asks", self.asks.as_deref())? {
            "backfill" => {
                let (from, to) = range()?;
                Asks::Backfill { heights: HeldRange { from, to }, again: self.again.unwrap_or(false) }
            }
            "accept-reorg" => Asks::AcceptReorg,
            "accept-gap" => {
                let (first, last) = range()?;
                Asks::AcceptGap { first, last }
            }
            other => return Err(format!("`asks` is `{other}`: write backfill, accept-reorg or accept-gap")),
        };
        let word = given("wanted", self.wanted)?;
        let wanted = [Wanted::Run, Wanted::Paused, Wanted::Cancelled].into_iter().find(|w| w.as_str() == word);
        let wanted = wanted.ok_or_else(|| format!("`wanted` is `{word}`: write run, paused or cancelled"))?;
        Ok(Request { id: self.id, network, asks, wanted, asked_at: self.decided_at.unwrap_or_else(TimeMs::now) })
    }
}

/// A range of heights, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Heights {
    /// First height.
    pub from: u64,
    /// Last height.
    pub to: u64,
}

/// What is used of a network's checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckpointRow {
    /// The network.
    pub network: Network,
    /// Last sequence that was written.
    pub sequence: u64,
    /// Tip, as published.
    #[serde(default)]
    pub tip_height: Option<u64>,
    /// First live height.
    #[serde(default)]
    pub first_height: Option<u64>,
    /// Last published finalized height.
    #[serde(default)]
    pub finalized_height: Option<u64>,
    /// Ranges that back-fill holds.
    #[serde(default)]
    held: Option<Vec<Heights>>,
    /// Whether it stopped with a reorg deeper than the limit.
    #[serde(default)]
    pub reorg_too_deep: Option<bool>,
    #[serde(default)]
    requests: Option<Vec<ProgressRow>>,
}

/// How a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProgressRow {
    /// Its id.
    pub id: String,
    /// What was asked.
    pub asks: String,
    /// A word of [`RequestState`], or a newer one.
    pub state: String,
    /// What it waits for, or why it failed.
    #[serde(default)]
    pub detail: Option<String>,
    /// First height.
    #[serde(default)]
    pub first: Option<u64>,
    /// Last height.
    #[serde(default)]
    pub last: Option<u64>,
    /// Every height of the range below this one is held.
    #[serde(default)]
    pub next: Option<u64>,
    /// Block events written for it.
    #[serde(default)]
    pub blocks: u64,
    /// Transactions in them.
    #[serde(default)]
    pub transactions: u64,
}

impl CheckpointRow {
    /// How a request stands, if its watcher has taken it up.
    pub fn progress(&self, id: &str) -> Option<&ProgressRow> {
        self.requests().find(|p| p.id == id)
    }

    /// All that it tells of.
    pub fn requests(&self) -> impl Iterator<Item = &ProgressRow> {
        self.requests.iter().flatten()
    }

    /// How many of these heights are held, live or by back-fill.
    pub fn held_of(&self, from: u64, to: u64) -> u64 {
        let live = self.first_height.zip(self.tip_height).map(|(from, to)| Heights { from, to });
        let mut ranges: Vec<Heights> = self.held.iter().flatten().copied().chain(live).collect();
        ranges.sort_unstable_by_key(|range| range.from);
        let (mut held, mut next) = (0, from);
        for range in ranges {
            let (low, high) = (range.from.max(next), range.to.min(to));
            if low <= high {
                held += high - low + 1;
                next = high.saturating_add(1);
            }
        }
        held
    }
}

impl ProgressRow {
    /// Its state, where it is one that this version knows.
    pub fn known_state(&self) -> Option<RequestState> {
        RequestState::ALL.into_iter().find(|state| state.as_str() == self.state)
    }

    /// Whether it will never change again.
    pub fn is_over(&self) -> bool {
        self.known_state().is_some_and(RequestState::is_over)
    }

    /// Heights that are held of those that were asked for, and how many were.
    pub fn heights(&self) -> Option<(u64, u64)> {
        let (first, last) = self.first.zip(self.last)?;
        let all = last.saturating_sub(first).saturating_add(1);
        Some((self.next.unwrap_or(first).saturating_sub(first).min(all), all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(asks: Asks) -> Request {
        let network = "n".parse().expect("a slug");
        Request { id: "n-1".into(), network, asks, wanted: Wanted::Paused, asked_at: TimeMs(7) }
    }

    #[test]
    fn a_request_comes_back_as_it_was_sent_and_a_wrong_one_is_refused_in_words() {
        let heights = HeldRange { from: 3, to: 9 };
        for asks in [Asks::Backfill { heights, again: true }, Asks::AcceptReorg, Asks::AcceptGap { first: 3, last: 9 }]
        {
            let text = serde_json::to_string(&RequestRow::of(&request(asks))).expect("JSON");
            let row: RequestRow = serde_json::from_str(&text).expect("JSON");
            assert_eq!(row.request(), Ok(request(asks)));
        }
        let good = RequestRow::of(&request(Asks::AcceptGap { first: 3, last: 9 }));
        for (bad, words) in [
            (RequestRow { id: "../x".into(), ..good.clone() }, "no id"),
            (RequestRow { last: Some(2), ..good.clone() }, "above `last`"),
            (RequestRow { last: None, ..good.clone() }, "`last` is missing"),
            (RequestRow { asks: Some("dance".into()), ..good.clone() }, "write backfill"),
            (RequestRow { wanted: Some("later".into()), ..good }, "write run"),
        ] {
            let said = bad.request().expect_err("refused");
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn held_heights_are_counted_once() {
        let row: CheckpointRow = serde_json::from_str(
            r#"{"kind":"checkpoint","network":"n","sequence":5,"first_height":100,"tip_height":150,
                "held":[{"from":10,"to":19},{"from":15,"to":29},{"from":90,"to":105}]}"#,
        )
        .expect("JSON");
        for (from, to, held) in [(0, 9, 0), (10, 29, 20), (0, 200, 20 + 61), (95, 120, 26), (30, 89, 0), (29, 29, 1)] {
            assert_eq!(row.held_of(from, to), held, "{from} to {to}");
        }
    }
}
