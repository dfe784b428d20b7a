//! Figures of steps of time that no window tells of, from the rows of blocks and transactions.
//!
//! Guarantee: a step is answered only where the ledger is full over it (rule 31): from the block before its first to the block behind its
//! last every transaction and log has its row, without a gap. Reading is bounded as that of lists is ([`super::windows`]): the newest steps come
//! first, and what the time does not suffice for is said, not left out.

mod around;
mod lines;
mod past;

use std::collections::BTreeMap;

pub(super) use around::Refusal;
use lines::{BLOCKS, Blocks, SPENDING, Spending, Step, Transactions, of_transactions};
pub use past::ContractPast;
use schemas::Network;

use super::{
    Figures, Sort,
    windows::{End, Looked, Windows, look},
};
use crate::{Store, StoreError, StoreErrorKind};

/// Steps of equal length, some of which are to be computed.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub network: &'a Network,
    pub contract: Option<&'a str>,
    /// Where the first step begins, milliseconds since 1970.
    pub base: i64,
    /// Length of a step, milliseconds.
    pub width: i64,
    /// Steps, the first and the last; those between are computed too.
    pub steps: (u64, u64),
    /// Whether quantiles and senders are wanted, for which every transaction is read.
    pub sketches: bool,
    /// Whether the last step may reach beyond the last block: it is whole up to there then. Not on a chain whose time stamps do not rise: a
    /// later block may still fall into it.
    pub open: bool,
}

/// What was computed of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Computed {
    pub figures: Figures,
    /// The last event that applied a block of it.
    pub sequence: u64,
}

/// What was read, by step; of steps below the first nothing was.
struct Read<T> {
    lines: BTreeMap<u64, T>,
    from: u64,
}

/// Time of a first window over blocks, and over transactions, in milliseconds.
const FIRST_MS: (i64, i64) = (86_400_000, 600_000);

impl Store {
    /// Computes steps from rows: by step what it has, or why not.
    pub(super) async fn computed(&self, ask: &Ask<'_>) -> Result<BTreeMap<u64, Result<Computed, Refusal>>, StoreError> {
        let (first, last) = ask.steps;
        let around = self.around(ask).await?;
        if let Some(refusal) = around.refuses(ask.contract.is_some()) {
            return Ok((first..=last).map(|step| (step, Err(refusal))).collect());
        }
        if around.full.is_empty() {
            let refusal = around.judge(None, None, None, ask.open).err().unwrap_or(Refusal::NotFull);
            return Ok((first..=last).map(|step| (step, Err(refusal))).collect());
        }
        // Of a step whose end the chain's time has not reached nothing is told: none of them is read one by one.
        let settles = |step: u64| around.settles(ask.start_of(step.saturating_add(1)));
        let Some(settled) = last_settled((first, last), |step| settles(step).is_ok()) else {
            return Ok((first..=last).filter_map(|step| Some((step, Err(settles(step).err()?)))).collect());
        };
        let is_bitcoin = around.is_unordered();
        let singly = ask.contract.is_some() || ask.sketches;
        let of_blocks = self.read_steps::<Blocks>(ask, BLOCKS, FIRST_MS.0, None);
        let of_transactions = async {
            if !singly || is_bitcoin {
                return Ok(Read { lines: BTreeMap::new(), from: first });
            }
            let sql = of_transactions(ask.contract.is_some(), ask.sketches);
            self.read_steps::<Transactions>(ask, &sql, FIRST_MS.1, None).await
        };
        let of_spending = async {
            if !ask.sketches || !is_bitcoin {
                return Ok(Read { lines: BTreeMap::new(), from: first });
            }
            let ask = Ask { steps: (first, settled), ..ask.clone() };
            self.read_steps::<Spending>(&ask, SPENDING, FIRST_MS.1, None).await
        };
        let (blocks, transactions, spending) =
            futures::future::try_join3(of_blocks, of_transactions, of_spending).await?;
        let mut computed = BTreeMap::new();
        for step in first..=last {
            let own = blocks.lines.get(&step);
            // What was not read lies before what was.
            let unread = step < blocks.from || (ask.contract.is_some() && step < transactions.from);
            let before = blocks.lines.range(..step).map(|(_, b)| b.s_last).max();
            let behind = blocks.lines.range(step + 1..).map(|(_, b)| b.s_first).min();
            // The step before the first that was read is not known to be its neighbour.
            let edge = before.is_none() && blocks.from > first;
            let open = ask.open && step == last && !around.is_unordered();
            let whole = match unread || edge {
                true => Err(Refusal::TooMuch),
                false => {
                    settles(step).and_then(|()| around.judge(own.map(|b| (b.s_first, b.s_last)), before, behind, open))
                }
            };
            let together = || put_together(ask, own, transactions.lines.get(&step), spending.lines.get(&step));
            computed.insert(step, whole.map(|()| together()));
        }
        Ok(computed)
    }

    /// Reads lines of steps, the newest first, as far as the time suffices; with `most` so many of them at most.
    async fn read_steps<T>(
        &self,
        ask: &Ask<'_>,
        sql: &str,
        first_ms: i64,
        most: Option<u32>,
    ) -> Result<Read<T>, StoreError>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead + Step,
    {
        let (first, last) = ask.steps;
        let width = u64::try_from(first_ms / ask.width.max(1)).unwrap_or_default();
        let (windows, limit) = (Windows::new(first, last, width, Sort::Newest), most.unwrap_or(u32::MAX));
        let looked = look(windows, limit, self.list_time(), |(a, b), left| {
            let (from, to) = (ask.start_of(a), ask.start_of(b.saturating_add(1)));
            let sql = if most.is_some() { format!("{sql} LIMIT {left}") } else { sql.to_owned() };
            let query = self.read_window(&sql).param("network", ask.network.as_str()).param("base", ask.base);
            let query = query.param("width", ask.width).param("from", from.max(0)).param("to", to.max(0));
            let query = match ask.contract {
                Some(contract) => query.param("contract", contract),
                None => query,
            };
            self.within("computing figures from rows", query.fetch_all::<T>())
        });
        match looked.await {
            Ok(Looked { items, end }) => {
                let from = match end {
                    End::OutOfTime((from, _)) => from,
                    End::Full | End::Over => first,
                };
                Ok(Read { lines: items.into_iter().map(|line| (line.step(), line)).collect(), from })
            }
            Err(error) if matches!(error.kind, StoreErrorKind::TooLarge | StoreErrorKind::Timeout) => {
                Ok(Read { lines: BTreeMap::new(), from: last.saturating_add(1) })
            }
            Err(error) => Err(error),
        }
    }
}

/// The last of steps whose end the chain's time has reached: it has reached that of all before it.
fn last_settled((first, last): (u64, u64), settles: impl Fn(u64) -> bool) -> Option<u64> {
    (first..=last).take_while(|step| settles(*step)).last()
}

impl Ask<'_> {
    /// Where a step begins.
    fn start_of(&self, step: u64) -> i64 {
        self.base.saturating_add(self.width.saturating_mul(i64::try_from(step).unwrap_or(i64::MAX)))
    }
}

/// A step without lines had nothing in it.
fn put_together(
    ask: &Ask<'_>,
    blocks: Option<&Blocks>,
    transactions: Option<&Transactions>,
    spending: Option<&Spending>,
) -> Computed {
    let sequence = blocks.map_or(0, |b| b.s_sequence).max(transactions.map_or(0, |t| t.s_sequence));
    if ask.contract.is_some() {
        let none = Figures { senders: ask.sketches.then_some(0), ..Figures::default() };
        return Computed { figures: transactions.map_or(none, Transactions::figures), sequence };
    }
    let mut figures = blocks
        .map_or_else(|| Figures { logs: Some(0), token_transfers: Some(0), ..Figures::default() }, Blocks::figures);
    if let Some(spending) = spending {
        figures.gas_price_p50 = spending.s_price_p50;
        figures.gas_price_p95 = spending.s_price_p95;
        figures.senders = Some(spending.s_senders);
    } else if let Some(singly) = transactions {
        figures.gas_price_p50 = singly.s_price_p50;
        figures.gas_price_p95 = singly.s_price_p95;
        figures.senders = singly.s_senders;
    } else if ask.sketches && figures.transactions == 0 {
        figures.senders = Some(0);
    }
    Computed { figures, sequence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_far_as_the_chains_time_has_come() {
        assert_eq!(last_settled((3, 9), |step| step < 6), Some(5));
        assert_eq!(last_settled((3, 9), |_| true), Some(9));
        assert_eq!(last_settled((3, 9), |_| false), None, "then nothing is read");
    }
}
