//! What a Bitcoin network is judged by, beside what all chains are: how full its blocks are by weight, what is paid for room in them, and whether
//! its sources are on one branch.

use schemas::limits::bitcoin::BLOCK_WEIGHT;
use store::query::Figures;

use super::{
    judge::{Seen, Verdict},
    words,
};

/// Weight units of a virtual byte (BIP-141).
const UNITS: f64 = 4.0;

impl Seen<'_> {
    /// How full blocks are.
    pub(super) fn weight(&mut self) -> Option<String> {
        let (none, note) = (
            "no window of the last hour tells of a block",
            "virtual bytes of transactions by the million of a block, which are its 4,000,000 units of weight",
        );
        self.fullness(fullness, none, note)
    }

    /// What transactions paid for room.
    pub(super) fn fee_rate(&mut self) -> Option<String> {
        let of = |figures: &Figures| figures.gas_price_avg().map(words::number);
        let (none, note) = (
            "no window of the last hour tells of a transaction that paid one",
            "plain mean of the last hour's transactions, by virtual bytes",
        );
        self.price("fee rate", of, none, note, words::fee_rate)
    }

    /// What cannot be compared where block headers alone are held.
    pub(super) fn headers_alone(&mut self) {
        let why = "of this network block headers alone are held, since its endpoints are Electrum servers; a Bitcoin Core among them gives the rest";
        for what in ["how full blocks are", "the fee rate", "how fast blocks come"] {
            self.lack(format!("{what}: {why}"));
        }
    }

    /// That the network's sources contradict each other about its chain, in words.
    pub(super) fn apart(&mut self) -> Option<String> {
        let case = self.case;
        let why = case.apart.as_deref()?.trim_end_matches('.');
        let (name, note) = ("branches of the chain that sources show", Some(why.to_owned()));
        self.tell(name, "branches", 2.0, Some((1.0, 1.0)), Some(Verdict::Provider), note);
        Some(format!("its sources contradict each other: {why}"))
    }
}

/// Virtual bytes of transactions by what the blocks have room for, 0 to 1; `None` without blocks. Each transaction's are rounded up, so that those
/// of full blocks may be a bit more.
fn fullness(figures: &Figures) -> Option<f64> {
    let room = figures.blocks as f64 * BLOCK_WEIGHT as f64 / UNITS;
    (room > 0.0).then(|| (figures.gas_used as f64 / room).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_room_for_a_million_virtual_bytes() {
        let of = |blocks, gas_used| fullness(&Figures { blocks, gas_used, ..Figures::default() });
        assert_eq!([of(0, 0), of(2, 1_000_000), of(1, 1_000_400)], [None, Some(0.5), Some(1.0)]);
    }
}
