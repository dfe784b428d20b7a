//! The block's contribution to every metric, as partials that merge by addition, minimum and maximum.

use alloy_primitives::{Address, U256};
use schemas::{
    Status,
    bitcoin::BitcoinChain,
    limits::windows::FEE_TOKENS,
    records::{BitcoinDecoded, BlockSummary, Enrichment, Figures, RawBlock, TokenFees},
    sketch::{Bins, Distinct},
};

use super::{
    contracts::{Contracts, Watched},
    count,
    fee::{self, InBlock},
};

/// Sums over the records of one applied block, while they are worked up.
pub struct Summing {
    block: InBlock,
    chain: Option<BitcoinChain>,
    sum: BlockSummary,
    bins: Bins,
    senders: Distinct,
    /// `None` once there were too many tokens.
    fees: Option<Vec<TokenFees>>,
    contracts: Contracts,
}

/// What a transaction paid, in the chain's own coin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paid {
    /// Its fee, where that is known.
    pub fee: Option<U256>,
    /// The price of its gas, where it paid for gas (no deposits or system transactions).
    pub price: Option<U256>,
}

impl Paid {
    /// Of a Bitcoin transaction: one that left no fee paid no price (rule 20); a fee that is less than a unit of its rate did.
    fn of_bitcoin(tx: &BitcoinDecoded) -> Self {
        let price = tx.fee_rate.filter(|_| tx.fee.is_some_and(|fee| fee > 0));
        Self { fee: tx.fee.map(U256::from), price: price.map(U256::from) }
    }
}

impl Summing {
    /// Of a block, of which nothing is counted yet, and of these contracts in it.
    pub fn new(block: &RawBlock, watched: Watched) -> Self {
        Self {
            block: InBlock::of(block),
            chain: block.bitcoin.as_ref().map(|header| header.chain),
            sum: BlockSummary::default(),
            bins: Bins::default(),
            senders: Distinct::default(),
            fees: Some(Vec::new()),
            contracts: Contracts::of(watched),
        }
    }

    /// What the block has to do with its transactions' fees.
    pub fn in_block(&self) -> &InBlock {
        &self.block
    }

    /// Which of Bitcoin's chains the block is of.
    pub fn chain(&self) -> Option<BitcoinChain> {
        self.chain
    }

    /// A transaction that cannot be read.
    pub fn unreadable(&mut self) {
        self.sum.transactions += 1;
        self.sum.unreadable += 1;
    }

    /// A transaction, the contracts that emitted its logs, and which of these are transfers.
    pub fn add(
        &mut self,
        tx: &Figures,
        found: &Enrichment,
        logs: impl ExactSizeIterator<Item = Address>,
        transfers: &[bool],
    ) {
        let paid = self.paid(tx, found);
        let sum = &mut self.sum;
        sum.transactions += 1;
        sum.failed += u32::from(found.status == Status::Failed);
        sum.unknown += u32::from(found.status == Status::Unknown);
        sum.logs += count(logs.len());
        sum.token_transfers += count(transfers.iter().filter(|is_transfer| **is_transfer).count());
        sum.gas_used = sum.gas_used.saturating_add(tx.receipt_gas_used);
        if found.status != Status::Failed {
            sum.contracts_created += u32::from(tx.to_address.is_none());
            sum.value_total = sum.value_total.saturating_add(tx.value);
        }
        self.add_paid(paid);
        self.senders.add(tx.from_address.as_slice());
        if let (Some(token), Some(total), Some(fees)) = (tx.fee_currency, found.fee_token_amount, &mut self.fees) {
            TokenFees { token, total, count: 1 }.add_to(fees);
            self.fees.take_if(|fees| fees.len() > FEE_TOKENS);
        }
        self.contracts.add(tx, found.status, paid, logs.zip(transfers.iter().copied()));
    }

    /// A Bitcoin transaction: its virtual bytes as what it used, its fee rate as the price, the scripts that it spends as its senders. The
    /// coinbase moves no value and pays nothing.
    pub fn add_bitcoin(&mut self, tx: &BitcoinDecoded) {
        let sum = &mut self.sum;
        sum.transactions += 1;
        sum.gas_used = sum.gas_used.saturating_add(tx.virtual_size.into());
        if !tx.is_coinbase {
            sum.value_total = sum.value_total.saturating_add(U256::from(tx.output_value));
        }
        self.add_paid(Paid::of_bitcoin(tx));
        tx.inputs.iter().filter_map(|input| input.spent.as_ref()).for_each(|spent| self.senders.add(&spent.script));
    }

    fn add_paid(&mut self, paid: Paid) {
        let sum = &mut self.sum;
        match paid.fee {
            Some(fee) => sum.fee_total = sum.fee_total.saturating_add(fee),
            None => sum.fee_unknown += 1,
        }
        if let Some(price) = paid.price {
            sum.gas_price_sum = sum.gas_price_sum.saturating_add(price);
            sum.gas_price_count += 1;
            sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |p| p.min(price)));
            sum.gas_price_max = Some(sum.gas_price_max.map_or(price, |p| p.max(price)));
            self.bins.add(price);
        }
    }

    /// Paid gas: deposits, system transactions and state syncs have a price or a use of zero (rule 20).
    fn paid(&self, tx: &Figures, found: &Enrichment) -> Paid {
        let Some(fee) = &found.fee else { return Paid::default() };
        let has_price = fee.execution > U256::ZERO;
        let price = has_price.then(|| fee::effective_gas_price(self.block.base_fee, tx)).flatten();
        Paid { fee: Some(fee.total()), price }
    }

    /// The sums, and how many contracts had no room in them.
    pub fn done(self) -> (BlockSummary, usize) {
        let (contracts, left_out) = self.contracts.done();
        let summary = BlockSummary {
            contracts,
            contracts_left_out: count(left_out),
            bins: Some(self.bins),
            senders: Some(self.senders),
            fees: self.fees,
            ..self.sum
        };
        (summary, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitcoin_transaction_without_a_fee_paid_no_price() {
        let paid = |fee, fee_rate| Paid::of_bitcoin(&BitcoinDecoded { fee, fee_rate, ..BitcoinDecoded::default() });
        let told = |paid: Paid| (paid.fee, paid.price);
        assert_eq!(told(paid(Some(250), Some(2_000))), (Some(U256::from(250)), Some(U256::from(2_000))));
        assert_eq!(told(paid(Some(0), Some(0))), (Some(U256::ZERO), None));
        assert_eq!(
            told(paid(Some(1), Some(0))),
            (Some(U256::from(1)), Some(U256::ZERO)),
            "less than a unit of the rate"
        );
        assert_eq!(told(paid(Some(0), None)), (Some(U256::ZERO), None), "a coinbase");
        assert_eq!(told(paid(None, None)), (None, None));
    }
}
