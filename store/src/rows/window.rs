//! `window_rows`: windows as the stage `aggregate` told them.

use alloy_primitives::U256;
use schemas::records::{Mark, Window, window};

use super::native::{Arrays, Fixed, Nullable, Numbers, Strings, Times, Values, Words, columns};

columns! {
    /// `window_rows`; columns as there.
    WindowColumns of "window_rows" {
        network: Words,
        contract: Strings,
        window_seconds: Numbers<u32>,
        window_start: Times,
        sequence: Numbers<u64>,
        height: Numbers<u64>,
        complete: Numbers<u8>,
        reason: Words,
        watched_from: Nullable<Times>,
        blocks: Numbers<u64>,
        transactions: Numbers<u64>,
        failed: Numbers<u64>,
        unknown: Numbers<u64>,
        unreadable: Numbers<u64>,
        logs: Numbers<u64>,
        token_transfers: Numbers<u64>,
        contracts_created: Numbers<u64>,
        contracts_left_out: Numbers<u64>,
        gas_used: Numbers<u64>,
        gas_limit: Numbers<U256>,
        base_fee_sum: Numbers<U256>,
        base_fee_count: Numbers<u64>,
        base_fee_min: Nullable<Numbers<U256>>,
        base_fee_max: Nullable<Numbers<U256>>,
        fee_total: Numbers<U256>,
        fee_unknown: Numbers<u64>,
        fees_known: Numbers<u8>,
        fee_tokens: Arrays<Fixed<20>>,
        fee_token_totals: Arrays<Numbers<U256>>,
        fee_token_counts: Arrays<Numbers<u64>>,
        value_total: Numbers<U256>,
        gas_price_sum: Numbers<U256>,
        gas_price_count: Numbers<u64>,
        gas_price_min: Nullable<Numbers<U256>>,
        gas_price_max: Nullable<Numbers<U256>>,
        gas_price_p50: Nullable<Numbers<U256>>,
        gas_price_p95: Nullable<Numbers<U256>>,
        senders: Nullable<Numbers<u64>>,
        first_height: Nullable<Numbers<u64>>,
        first_time: Nullable<Times>,
        last_height: Nullable<Numbers<u64>>,
        last_time: Nullable<Times>,
        price_sketch: Nullable<Strings>,
        sender_sketch: Nullable<Strings>,
    }
}

impl WindowColumns {
    /// The row of a window.
    pub fn push(&mut self, window: &Window) {
        let p = &window.partial;
        self.network.push(window.network.as_str());
        self.contract.push(window::text_of(window.contract).as_bytes());
        self.window_seconds.push(window.window_seconds);
        self.window_start.push(window.window_start);
        self.sequence.push(window.sequence);
        self.height.push(window.height);
        self.complete.push(u8::from(window.complete));
        self.reason.push(window.reason.as_deref().unwrap_or_default());
        self.watched_from.push(window.watched_from);
        self.blocks.push(p.blocks);
        self.transactions.push(p.transactions);
        self.failed.push(p.failed);
        self.unknown.push(p.unknown);
        self.unreadable.push(p.unreadable);
        self.logs.push(p.logs);
        self.token_transfers.push(p.token_transfers);
        self.contracts_created.push(p.contracts_created);
        self.contracts_left_out.push(p.contracts_left_out);
        self.gas_used.push(p.gas_used);
        self.gas_limit.push(p.gas_limit);
        self.base_fee_sum.push(p.base_fee_sum);
        self.base_fee_count.push(p.base_fee_count);
        self.base_fee_min.push(p.base_fee_min);
        self.base_fee_max.push(p.base_fee_max);
        self.fee_total.push(p.fee_total);
        self.fee_unknown.push(p.fee_unknown);
        self.fees_known.push(u8::from(p.fees.is_some()));
        let fees = p.fees.as_deref().unwrap_or_default();
        self.fee_tokens.push_all(fees.iter().map(|fees| fees.token.into_array()));
        self.fee_token_totals.push_all(fees.iter().map(|fees| fees.total));
        self.fee_token_counts.push_all(fees.iter().map(|fees| fees.count));
        self.value_total.push(p.value_total);
        self.gas_price_sum.push(p.gas_price_sum);
        self.gas_price_count.push(p.gas_price_count);
        self.gas_price_min.push(p.gas_price_min);
        self.gas_price_max.push(p.gas_price_max);
        self.gas_price_p50.push(window.told.gas_price_p50);
        self.gas_price_p95.push(window.told.gas_price_p95);
        self.senders.push(window.told.senders);
        self.first_height.push(p.first.map(|Mark { height, .. }| height));
        self.first_time.push(p.first.map(|Mark { time, .. }| time));
        self.last_height.push(p.last.map(|Mark { height, .. }| height));
        self.last_time.push(p.last.map(|Mark { time, .. }| time));
        let (prices, senders) = (p.bins.as_ref().map(|bins| bins.encode()), p.senders.as_ref().map(|set| set.encode()));
        self.price_sketch.push(prices.as_deref());
        self.sender_sketch.push(senders.as_deref());
    }
}
