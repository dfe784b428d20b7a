//! `block_rows`.

use alloy_primitives::U256;
use schemas::{
    Family, TimeMs,
    records::{BitcoinDecoded, BlockSummary, Coverage, EnrichedBlock, EvmHeader},
};

use super::{
    native::{Arrays, Fixed, Nullable, Numbers, Strings, Times, Values, Words, columns},
    row_version,
};

columns! {
    /// `block_rows`; columns as there.
    BlockColumns of "block_rows" {
        network: Words,
        height: Numbers<u64>,
        version: Numbers<u64>,
        family: Words,
        origin: Words,
        hash: Strings,
        parent_hash: Strings,
        block_time: Times,
        observed_at: Times,
        stored_at: Times,
        transaction_count: Numbers<u32>,
        log_count: Numbers<u32>,
        failed_count: Numbers<u32>,
        unknown_count: Numbers<u32>,
        unreadable_count: Numbers<u32>,
        token_transfer_count: Numbers<u32>,
        created_count: Numbers<u32>,
        gas_limit: Numbers<u64>,
        gas_used: Numbers<u64>,
        receipt_gas_used: Numbers<u64>,
        fee_total: Numbers<U256>,
        fee_unknown_count: Numbers<u32>,
        gas_price_sum: Numbers<U256>,
        gas_price_count: Numbers<u32>,
        gas_price_min: Nullable<Numbers<U256>>,
        gas_price_max: Nullable<Numbers<U256>>,
        value_total: Numbers<U256>,
        base_fee_per_gas: Nullable<Numbers<U256>>,
        miner: Nullable<Strings>,
        difficulty: Nullable<Numbers<U256>>,
        total_difficulty: Nullable<Numbers<U256>>,
        size: Nullable<Numbers<u64>>,
        nonce: Nullable<Strings>,
        extra_data: Strings,
        sha3_uncles: Nullable<Strings>,
        state_root: Nullable<Strings>,
        transactions_root: Nullable<Strings>,
        receipts_root: Nullable<Strings>,
        withdrawals_root: Nullable<Strings>,
        withdrawal_count: Nullable<Numbers<u32>>,
        blob_gas_used: Nullable<Numbers<u64>>,
        excess_blob_gas: Nullable<Numbers<u64>>,
        l1_block_number: Nullable<Numbers<u64>>,
        span: Numbers<u32>,
        contract_addresses: Arrays<Fixed<20>>,
        contract_transactions: Arrays<Numbers<u32>>,
        contract_failed: Arrays<Numbers<u32>>,
        contract_unknown: Arrays<Numbers<u32>>,
        contract_logs: Arrays<Numbers<u32>>,
        contract_gas_used: Arrays<Numbers<u64>>,
        facts_position: Nullable<Numbers<u64>>,
        coverage: Words,
        chain: Words,
        block_version: Numbers<u32>,
        merkle_root: Strings,
        bits: Numbers<u32>,
        work_nonce: Numbers<u32>,
        median_time: Nullable<Times>,
        chain_work: Nullable<Numbers<U256>>,
        stripped_size: Nullable<Numbers<u32>>,
        weight: Nullable<Numbers<u32>>,
        header_transaction_count: Nullable<Numbers<u32>>,
        coinbase: Nullable<Strings>,
        coinbase_value: Nullable<Numbers<u64>>,
        pool: Words,
    }
}

impl BlockColumns {
    /// The row of an apply. `header` and `summary` are what the record has, or empty ones; `coinbase`: on Bitcoin the block's first
    /// transaction, where it could be read; `span`: heights of a partition.
    pub fn push(
        &mut self,
        block: &EnrichedBlock,
        (header, summary): (&EvmHeader, &BlockSummary),
        coinbase: Option<&BitcoinDecoded>,
        span: u32,
        stored_at: TimeMs,
    ) {
        let e = &block.envelope;
        self.network.push(e.network.as_str());
        self.height.push(e.height);
        self.version.push(row_version(e.sequence));
        self.family.push(if block.bitcoin.is_some() { Family::Bitcoin } else { Family::Evm }.as_str());
        self.origin.push(e.origin.as_str());
        self.hash.push(e.block_hash.as_str().as_bytes());
        self.parent_hash.push(e.parent_hash.as_str().as_bytes());
        self.block_time.push(e.block_time);
        self.observed_at.push(e.observed_at);
        self.stored_at.push(stored_at);
        self.transaction_count.push(e.tx_count);
        self.log_count.push(e.log_count);
        self.failed_count.push(summary.failed);
        self.unknown_count.push(summary.unknown);
        self.unreadable_count.push(summary.unreadable);
        self.token_transfer_count.push(summary.token_transfers);
        self.created_count.push(summary.contracts_created);
        self.gas_limit.push(header.gas_limit);
        // Bitcoin's header counts no gas: virtual bytes are what its transactions take.
        self.gas_used.push(if block.bitcoin.is_some() { summary.gas_used } else { header.gas_used });
        self.receipt_gas_used.push(summary.gas_used);
        self.fee_total.push(summary.fee_total);
        self.fee_unknown_count.push(summary.fee_unknown);
        self.gas_price_sum.push(summary.gas_price_sum);
        self.gas_price_count.push(summary.gas_price_count);
        self.gas_price_min.push(summary.gas_price_min);
        self.gas_price_max.push(summary.gas_price_max);
        self.value_total.push(summary.value_total);
        self.base_fee_per_gas.push(header.base_fee_per_gas);
        self.miner.push(hex(&header.miner).as_deref());
        self.difficulty.push(header.difficulty);
        self.total_difficulty.push(header.total_difficulty);
        let bitcoin_size = block.bitcoin.as_ref().and_then(|b| b.size).map(u64::from);
        self.size.push(header.size.or(bitcoin_size));
        self.nonce.push(hex(&header.nonce).as_deref());
        self.extra_data.push(const_hex::encode_prefixed(&header.extra_data).as_bytes());
        self.sha3_uncles.push(hex(&header.sha3_uncles).as_deref());
        self.state_root.push(hex(&header.state_root).as_deref());
        self.transactions_root.push(hex(&header.transactions_root).as_deref());
        self.receipts_root.push(hex(&header.receipts_root).as_deref());
        self.withdrawals_root.push(hex(&header.withdrawals_root).as_deref());
        self.withdrawal_count.push(header.withdrawal_count);
        self.blob_gas_used.push(header.blob_gas_used);
        self.excess_blob_gas.push(header.excess_blob_gas);
        self.l1_block_number.push(header.l1_block_number);
        self.span.push(span);
        let contracts = &summary.contracts;
        self.contract_addresses.push_all(contracts.iter().map(|c| c.address.into_array()));
        self.contract_transactions.push_all(contracts.iter().map(|c| c.transactions));
        self.contract_failed.push_all(contracts.iter().map(|c| c.failed));
        self.contract_unknown.push_all(contracts.iter().map(|c| c.unknown));
        self.contract_logs.push_all(contracts.iter().map(|c| c.logs));
        self.contract_gas_used.push_all(contracts.iter().map(|c| c.gas_used));
        self.facts_position.push(block.facts_position);
        self.push_bitcoin(block, coinbase);
    }

    /// The columns that only Bitcoin fills.
    fn push_bitcoin(&mut self, block: &EnrichedBlock, coinbase: Option<&BitcoinDecoded>) {
        let header = block.bitcoin.as_deref();
        self.coverage.push(header.map_or(Coverage::Full, |h| h.coverage).as_str());
        self.chain.push(header.map_or("", |h| h.chain.as_str()));
        self.block_version.push(header.map_or(0, |h| h.version));
        self.merkle_root.push(header.map_or(&b""[..], |h| &h.merkle_root.0[..]));
        self.bits.push(header.map_or(0, |h| h.bits));
        self.work_nonce.push(header.map_or(0, |h| h.nonce));
        self.median_time.push(header.and_then(|h| h.median_time));
        self.chain_work.push(header.and_then(|h| h.chain_work));
        self.stripped_size.push(header.and_then(|h| h.stripped_size));
        self.weight.push(header.and_then(|h| h.weight));
        self.header_transaction_count.push(header.and_then(|h| h.transaction_count));
        self.coinbase.push(header.and_then(|h| h.coinbase.as_ref()).map(|script| &script[..]));
        self.coinbase_value.push(coinbase.map(|t| t.output_value));
        self.pool.push(coinbase.and_then(|t| t.pool.as_deref()).unwrap_or(""));
    }
}

/// Bytes as text.
fn hex(bytes: &Option<impl AsRef<[u8]>>) -> Option<Vec<u8>> {
    bytes.as_ref().map(|bytes| const_hex::encode_prefixed(bytes).into_bytes())
}
