//! Made-up records for the tests: any record from a number, and fixed ones with known bytes.

#![allow(dead_code)] // each test binary uses its part

use alloy_primitives::{Address, B64, B256, Bytes as HexBytes, FixedBytes, U256, keccak256};
use bytes::Bytes;
use schemas::{
    BitcoinHash, BlockHash, ChildEnvelope, Envelope, Family, Network, Op, Origin, Status, TimeMs,
    bitcoin::BitcoinChain,
    limits::windows::SECONDS,
    records::{
        AlertCommand, AlertDelivery, AlertEvent, AlertEventKind, AlertMatch, AlertOutbox, AlertRing, AlertSource,
        AlertState, Asked, Asks, BitcoinDecoded, BitcoinHeader, BitcoinInput, BitcoinOutput, BitcoinPrevout,
        BitcoinSpent, BitcoinTransaction, BlockSummary, CallSample, CauseEvidence, Checkpoint, CheckpointRecord,
        Command, ConfiguredNetwork, Contract, ContractFacts, ContractSum, ControlConfig, ControlTenant, Coverage,
        DeadLetter, DecodedCall, DecodedEvent, Definition, DefinitionKind, DeliveryState, EmittedEvent, EndpointState,
        EnrichState, EnrichStatus, EnrichedBlock, EnrichedCause, EnrichedEvent, EnrichedTransaction, Enrichment,
        EvmHeader, EvmLog, EvmTransaction, FactSource, FeeParts, Figured, Found, FoundBy, FoundKind, HeldRange,
        Implementation, Lie, Link, Mark, MatchOp, MinuteSample, NetworkPartition, NetworkState, NetworkStatus,
        OperatorContract, Outcome, Partial, Payload, ProviderSample, ProviderState, ProxyKind, RawBlock,
        RawTransaction, Request, RequestProgress, RequestState, RingEntry, ScriptKind, Seen, Share, SourceKind,
        StageStatus, TenantThing, TokenFees, Told, Usage, Wanted, WatchedAddress, Window,
    },
    sketch::{Bins, Distinct},
};

/// A stream of values that follows from a seed.
pub struct Gen(pub u64);

impl Gen {
    pub fn u64(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.u64() % n
    }
    /// Any size of number is about as likely.
    pub fn number(&mut self) -> u64 {
        let shift = self.below(65);
        if shift == 64 { 0 } else { self.u64() >> shift }
    }
    pub fn u32(&mut self) -> u32 {
        (self.number() >> 32) as u32 >> self.below(32)
    }
    pub fn opt<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| f(self))
    }
    pub fn vec<T>(&mut self, most: u64, mut f: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| f(self)).collect()
    }
    pub fn fixed<const N: usize>(&mut self) -> FixedBytes<N> {
        FixedBytes::from_slice(&keccak256(self.u64().to_le_bytes())[..N])
    }
    pub fn hash(&mut self) -> B256 {
        self.fixed()
    }
    pub fn address(&mut self) -> Address {
        Address::from(self.fixed::<20>())
    }
    pub fn amount(&mut self) -> U256 {
        U256::from_be_bytes(self.hash().0) >> (self.below(257) as usize)
    }
    pub fn bytes(&mut self) -> HexBytes {
        let n = self.below(200);
        (0..n).map(|_| self.u64() as u8).collect::<Vec<_>>().into()
    }
    pub fn text(&mut self) -> String {
        self.vec(20, |g| char::from_u32(g.u32() & 0x1_ffff).unwrap_or('é')).into_iter().collect()
    }
    pub fn network(&mut self) -> Network {
        format!("net-{}", self.below(1000)).parse().unwrap()
    }
    pub fn block_hash(&mut self) -> BlockHash {
        if self.below(2) == 0 { self.hash().into() } else { self.hash().to_string()[2..].parse().unwrap() }
    }
    pub fn time(&mut self) -> TimeMs {
        TimeMs(self.number() as i64)
    }
    pub fn envelope(&mut self) -> Envelope {
        Envelope {
            network: self.network(),
            sequence: self.number(),
            op: [Op::Apply, Op::Revert, Op::Finality][self.below(3) as usize],
            origin: [Origin::Live, Origin::Backfill][self.below(2) as usize],
            height: self.number(),
            block_hash: self.block_hash(),
            parent_hash: self.block_hash(),
            block_time: self.time(),
            observed_at: self.time(),
            safe_height: self.opt(Self::number),
            finalized_height: self.opt(Self::number),
            tx_count: self.u32(),
            log_count: self.u32(),
            reverts_sequence: self.opt(Self::number),
            reorg_remaining: self.u32(),
        }
    }
    pub fn child(&mut self, op: Op) -> ChildEnvelope {
        ChildEnvelope { op, ..self.envelope().child() }
    }
    pub fn header(&mut self) -> EvmHeader {
        EvmHeader {
            sha3_uncles: self.opt(Self::hash),
            miner: self.opt(Self::address),
            state_root: self.opt(Self::hash),
            transactions_root: self.opt(Self::hash),
            receipts_root: self.opt(Self::hash),
            logs_bloom: self.opt(Self::bytes),
            difficulty: self.opt(Self::amount),
            total_difficulty: self.opt(Self::amount),
            gas_limit: self.number(),
            gas_used: self.number(),
            extra_data: self.bytes(),
            mix_hash: self.opt(Self::hash),
            nonce: self.opt(|g| B64::from(g.u64())),
            base_fee_per_gas: self.opt(Self::amount),
            withdrawals_root: self.opt(Self::hash),
            withdrawal_count: self.opt(Self::u32),
            blob_gas_used: self.opt(Self::number),
            excess_blob_gas: self.opt(Self::number),
            parent_beacon_block_root: self.opt(Self::hash),
            requests_hash: self.opt(Self::hash),
            size: self.opt(Self::number),
            uncles: self.vec(2, Self::hash),
            l1_block_number: self.opt(Self::number),
        }
    }
    pub fn log(&mut self) -> EvmLog {
        EvmLog { log_index: self.u32(), address: self.address(), topics: self.vec(4, Self::hash), data: self.bytes() }
    }
    pub fn transaction(&mut self) -> EvmTransaction {
        EvmTransaction {
            transaction_index: self.u32(),
            hash: self.hash(),
            from_address: self.address(),
            to_address: self.opt(Self::address),
            value: self.amount(),
            nonce: self.number(),
            gas: self.number(),
            gas_price: self.opt(Self::amount),
            max_fee_per_gas: self.opt(Self::amount),
            max_priority_fee_per_gas: self.opt(Self::amount),
            max_fee_per_blob_gas: self.opt(Self::amount),
            blob_versioned_hashes: self.vec(3, Self::hash),
            input: self.bytes(),
            transaction_type: self.number(),
            chain_id: self.opt(Self::number),
            authorization_count: self.opt(Self::u32),
            source_hash: self.opt(Self::hash),
            mint: self.opt(Self::amount),
            receipt_status: self.opt(Self::number),
            receipt_root: self.opt(Self::hash),
            receipt_gas_used: self.number(),
            receipt_cumulative_gas_used: self.number(),
            receipt_effective_gas_price: self.opt(Self::amount),
            receipt_contract_address: self.opt(Self::address),
            receipt_blob_gas_used: self.opt(Self::number),
            receipt_blob_gas_price: self.opt(Self::amount),
            receipt_l1_fee: self.opt(Self::amount),
            receipt_l1_gas_used: self.opt(Self::amount),
            receipt_l1_gas_price: self.opt(Self::amount),
            receipt_l1_fee_scalar: self.opt(Self::text),
            receipt_l1_base_fee_scalar: self.opt(Self::number),
            receipt_l1_blob_base_fee: self.opt(Self::amount),
            receipt_l1_blob_base_fee_scalar: self.opt(Self::number),
            receipt_operator_fee_scalar: self.opt(Self::number),
            receipt_operator_fee_constant: self.opt(Self::number),
            receipt_da_footprint_gas_scalar: self.opt(Self::number),
            receipt_token_ratio: self.opt(Self::amount),
            receipt_gas_used_for_l1: self.opt(Self::number),
            receipt_l1_block_number: self.opt(Self::number),
            receipt_deposit_nonce: self.opt(Self::number),
            receipt_deposit_receipt_version: self.opt(Self::number),
            fee_currency: None,
            logs: self.vec(4, Self::log),
        }
    }
    fn payload<T, B>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (ChildEnvelope, Payload<T, B>) {
        match self.below(6) {
            0 => (self.child(Op::Revert), Payload::Revert),
            1 => (self.child(Op::Apply), Payload::Unreadable { index: self.u32(), error: self.text() }),
            _ => (self.child(Op::Apply), Payload::Evm(Box::new(f(self)))),
        }
    }
    pub fn raw_transaction(&mut self) -> RawTransaction {
        let (envelope, payload) = self.payload(Self::transaction);
        RawTransaction { envelope, payload }
    }
    pub fn enriched_transaction(&mut self) -> EnrichedTransaction {
        let (envelope, payload) = self.payload(|g| {
            let tx = g.transaction();
            let enrichment = Enrichment {
                status: [Status::Success, Status::Failed, Status::Unknown][g.below(3) as usize],
                fee: g.opt(|g| FeeParts {
                    execution: g.amount(),
                    l1: g.opt(Self::amount),
                    operator: g.opt(Self::amount),
                    blob: g.opt(Self::amount),
                }),
                fee_reason: None,
                fee_token_amount: None,
                method: g.opt(Self::fixed),
                failure_cause: g.opt(Self::text),
                failure_reason: g.opt(Self::text),
                call: None,
                inner_calls: None,
                events: (0..tx.logs.len())
                    .map(|_| g.opt(|g| DecodedEvent { event: g.text(), arguments: g.text() }))
                    .collect(),
            };
            (tx, enrichment)
        });
        EnrichedTransaction { envelope, payload }
    }
    /// With what version 2 of the schema added. Version 1's golden records follow from the same seeds, without it.
    pub fn raw_transaction_2(&mut self) -> RawTransaction {
        let mut record = self.raw_transaction();
        if let Payload::Evm(tx) = &mut record.payload {
            tx.fee_currency = self.opt(Self::address);
        }
        record
    }
    /// With what version 2 of the schema added.
    pub fn enriched_transaction_2(&mut self) -> EnrichedTransaction {
        let mut record = self.enriched_transaction();
        if let Payload::Evm(both) = &mut record.payload {
            both.0.fee_currency = self.opt(Self::address);
            both.1.fee_reason = self.opt(Self::text);
            both.1.fee_token_amount = self.opt(Self::amount);
        }
        record
    }
    /// With what version 3 of the schema added.
    pub fn enriched_transaction_3(&mut self) -> EnrichedTransaction {
        let mut record = self.enriched_transaction_2();
        if let Payload::Evm(both) = &mut record.payload {
            both.1.call = self.opt(|g| DecodedCall { signature: g.text(), arguments: g.opt(Self::text) });
            both.1.inner_calls = self.opt(Self::text);
        }
        record
    }
    /// With what version 3 of the schema added.
    pub fn raw_transaction_3(&mut self) -> RawTransaction {
        let mut record = self.raw_transaction_2();
        if matches!(record.payload, Payload::Evm(_)) && self.below(2) == 0 {
            record.payload = Payload::Bitcoin(Box::new(self.bitcoin_transaction()));
        }
        record
    }
    /// With what version 4 of the schema added.
    pub fn enriched_transaction_4(&mut self) -> EnrichedTransaction {
        let mut record = self.enriched_transaction_3();
        if matches!(record.payload, Payload::Evm(_)) && self.below(2) == 0 {
            record.payload = Payload::Bitcoin(Box::new(self.bitcoin_decoded()));
        }
        record
    }
    pub fn bitcoin_hash(&mut self) -> BitcoinHash {
        BitcoinHash(self.hash().0)
    }
    pub fn bitcoin_header(&mut self) -> BitcoinHeader {
        let chains = [
            BitcoinChain::Main,
            BitcoinChain::Test,
            BitcoinChain::Testnet4,
            BitcoinChain::Signet,
            BitcoinChain::Regtest,
        ];
        BitcoinHeader {
            chain: chains[self.below(5) as usize],
            coverage: [Coverage::Full, Coverage::Header][self.below(2) as usize],
            version: self.u32(),
            merkle_root: self.bitcoin_hash(),
            time: self.u32(),
            bits: self.u32(),
            nonce: self.u32(),
            median_time: self.opt(Self::time),
            chain_work: self.opt(Self::amount),
            size: self.opt(Self::u32),
            stripped_size: self.opt(Self::u32),
            weight: self.opt(Self::u32),
            transaction_count: self.opt(Self::u32),
            coinbase: self.opt(Self::bytes),
        }
    }
    pub fn bitcoin_transaction(&mut self) -> BitcoinTransaction {
        BitcoinTransaction {
            transaction_index: self.u32(),
            txid: self.bitcoin_hash(),
            raw: self.bytes(),
            prevouts: self.vec(3, |g| BitcoinPrevout {
                value: g.number(),
                script: g.bytes(),
                height: g.opt(Self::u32),
                coinbase: g.opt(|g| g.below(2) == 0),
            }),
        }
    }
    fn script_kind(&mut self) -> ScriptKind {
        [
            ScriptKind::PubKey,
            ScriptKind::PubKeyHash,
            ScriptKind::ScriptHash,
            ScriptKind::MultiSig,
            ScriptKind::NullData,
            ScriptKind::WitnessV0KeyHash,
            ScriptKind::WitnessV0ScriptHash,
            ScriptKind::WitnessV1Taproot,
            ScriptKind::Anchor,
            ScriptKind::WitnessUnknown,
            ScriptKind::NonStandard,
        ][self.below(11) as usize]
    }
    pub fn bitcoin_decoded(&mut self) -> BitcoinDecoded {
        BitcoinDecoded {
            transaction_index: self.u32(),
            txid: self.bitcoin_hash(),
            wtxid: self.bitcoin_hash(),
            version: self.u32(),
            lock_time: self.u32(),
            size: self.u32(),
            weight: self.u32(),
            virtual_size: self.u32(),
            sigops: self.opt(Self::u32),
            is_coinbase: self.below(2) == 0,
            segwit: self.below(2) == 0,
            replaceable: self.below(2) == 0,
            input_value: self.opt(Self::number),
            output_value: self.number(),
            fee: self.opt(Self::number),
            fee_rate: self.opt(Self::number),
            pool: self.opt(Self::text),
            inputs: self.vec(3, |g| BitcoinInput {
                spent_txid: g.bitcoin_hash(),
                spent_index: g.u32(),
                script: g.bytes(),
                sequence: g.u32(),
                witness: g.vec(3, Self::bytes),
                spent: g.opt(|g| BitcoinSpent {
                    value: g.number(),
                    script: g.bytes(),
                    kind: g.script_kind(),
                    addresses: g.vec(2, Self::text),
                    height: g.opt(Self::u32),
                }),
                envelope: g.opt(Self::text),
            }),
            outputs: self.vec(3, |g| BitcoinOutput {
                value: g.number(),
                script: g.bytes(),
                kind: g.script_kind(),
                addresses: g.vec(2, Self::text),
            }),
        }
    }
    pub fn enriched_event(&mut self) -> EnrichedEvent {
        let (envelope, payload) = self.payload(|g| EmittedEvent {
            transaction_index: g.u32(),
            transaction_hash: g.hash(),
            log: g.log(),
            decoded: g.opt(|g| DecodedEvent { event: g.text(), arguments: g.text() }),
        });
        EnrichedEvent { envelope, payload }
    }
    pub fn enriched_cause(&mut self) -> EnrichedCause {
        EnrichedCause {
            network: self.network(),
            sequence: self.number(),
            height: self.number(),
            block_hash: self.block_hash(),
            block_time: self.time(),
            transaction_index: self.u32(),
            transaction_hash: self.hash(),
            revision: 1 + self.below(254) as u8,
            cause: self.text(),
            reason: self.text(),
            rule: self.opt(Self::text),
            found_by: CauseEvidence::ALL[self.below(4) as usize],
            approximate: self.below(2) == 0,
            from_address: self.opt(Self::address),
            contract: self.opt(Self::address),
            method: self.opt(Self::fixed),
            entry: self.opt(Self::address),
            frame_address: self.opt(Self::address),
            frame_depth: self.opt(|g| g.u32() as u16),
            error: self.opt(Self::text),
            error_selector: self.opt(Self::fixed),
            error_signature: self.opt(Self::text),
            error_arguments: self.opt(Self::text),
            output: self.bytes(),
            calls: self.opt(Self::text),
            group: self.opt(Self::text),
            found_at: self.time(),
        }
    }
    pub fn raw_block(&mut self) -> RawBlock {
        RawBlock { envelope: self.envelope(), evm: self.opt(|g| Box::new(g.header())), bitcoin: None }
    }
    /// With what version 2 of the schema added.
    pub fn raw_block_2(&mut self) -> RawBlock {
        RawBlock { bitcoin: self.opt(|g| Box::new(g.bitcoin_header())), ..self.raw_block() }
    }
    pub fn summary(&mut self) -> BlockSummary {
        BlockSummary {
            transactions: self.u32(),
            failed: self.u32(),
            unknown: self.u32(),
            unreadable: self.u32(),
            logs: self.u32(),
            token_transfers: self.u32(),
            contracts_created: self.u32(),
            gas_used: self.number(),
            fee_total: self.amount(),
            fee_unknown: self.u32(),
            gas_price_sum: self.amount(),
            gas_price_count: self.u32(),
            gas_price_min: self.opt(Self::amount),
            gas_price_max: self.opt(Self::amount),
            value_total: self.amount(),
            ..BlockSummary::default()
        }
    }
    pub fn enriched_block(&mut self) -> EnrichedBlock {
        let RawBlock { envelope, evm, .. } = self.raw_block();
        EnrichedBlock { envelope, evm, bitcoin: None, summary: self.opt(Self::summary), facts_position: None }
    }
    /// With what version 2 of the schema added.
    pub fn enriched_block_2(&mut self) -> EnrichedBlock {
        let mut record = self.enriched_block();
        if let Some(summary) = &mut record.summary {
            summary.contracts = self.vec(3, |g| ContractSum {
                address: g.address(),
                transactions: g.u32(),
                failed: g.u32(),
                unknown: g.u32(),
                logs: g.u32(),
                gas_used: g.number(),
                ..ContractSum::default()
            });
        }
        record
    }
    /// With what version 3 of the schema added.
    pub fn enriched_block_3(&mut self) -> EnrichedBlock {
        let mut record = self.enriched_block_2();
        record.facts_position = self.opt(Self::number);
        record
    }
    /// With what version 4 of the schema added.
    pub fn enriched_block_4(&mut self) -> EnrichedBlock {
        let mut record = self.enriched_block_3();
        if let Some(summary) = &mut record.summary {
            summary.contracts_left_out = self.below(3) as u32;
            summary.bins = self.opt(Self::bins);
            summary.senders = self.opt(Self::distinct);
            summary.fees = self.opt(Self::token_fees);
            for sum in &mut summary.contracts {
                sum.token_transfers = self.u32();
                sum.fee_total = self.amount();
                sum.fee_unknown = self.u32();
                sum.value_total = self.amount();
                sum.gas_price_sum = self.amount();
                sum.gas_price_count = self.u32();
                sum.gas_price_min = self.opt(Self::amount);
                sum.gas_price_max = self.opt(Self::amount);
                sum.bins = self.opt(Self::bins);
                sum.senders = self.opt(Self::distinct);
                sum.watched_from = self.opt(Self::time);
            }
        }
        record
    }
    /// With what version 5 of the schema added.
    pub fn enriched_block_5(&mut self) -> EnrichedBlock {
        EnrichedBlock { bitcoin: self.opt(|g| Box::new(g.bitcoin_header())), ..self.enriched_block_4() }
    }
    /// Of prices of every size.
    pub fn bins(&mut self) -> Bins {
        let mut bins = Bins::default();
        let most = 1 + self.below(9);
        (0..self.below(1 << most)).for_each(|_| bins.add(self.amount()));
        bins
    }
    /// Of few or many addresses.
    pub fn distinct(&mut self) -> Distinct {
        let mut distinct = Distinct::default();
        let most = 1 + self.below(13);
        (0..self.below(1 << most)).for_each(|_| distinct.add(self.address().as_slice()));
        distinct
    }
    pub fn token_fees(&mut self) -> Vec<TokenFees> {
        let mut fees = Vec::new();
        for one in self.vec(5, |g| TokenFees { token: g.address(), total: g.amount(), count: g.number() }) {
            one.add_to(&mut fees);
        }
        fees
    }
    /// A block's place, some of them the same.
    pub fn mark(&mut self) -> Mark {
        Mark { height: self.below(1_000), time: TimeMs(self.below(100) as i64) }
    }
    pub fn partial(&mut self) -> Partial {
        Partial {
            blocks: self.number(),
            transactions: self.number(),
            failed: self.number(),
            unknown: self.number(),
            unreadable: self.number(),
            logs: self.number(),
            token_transfers: self.number(),
            contracts_created: self.number(),
            contracts_left_out: self.number(),
            gas_used: self.number(),
            gas_limit: self.amount(),
            base_fee_sum: self.amount(),
            base_fee_count: self.number(),
            base_fee_min: self.opt(Self::amount),
            base_fee_max: self.opt(Self::amount),
            fee_total: self.amount(),
            fee_unknown: self.number(),
            fees: self.opt(Self::token_fees),
            value_total: self.amount(),
            gas_price_sum: self.amount(),
            gas_price_count: self.number(),
            gas_price_min: self.opt(Self::amount),
            gas_price_max: self.opt(Self::amount),
            bins: self.opt(Self::bins),
            senders: self.opt(Self::distinct),
            first: self.opt(Self::mark),
            last: self.opt(Self::mark),
        }
    }
    pub fn window(&mut self) -> Window {
        let partial = self.partial();
        Window {
            network: self.network(),
            contract: self.opt(Self::address),
            window_seconds: SECONDS[self.below(4) as usize],
            window_start: self.time(),
            complete: self.below(2) == 0,
            reason: self.opt(Self::text),
            watched_from: self.opt(Self::time),
            sequence: self.number(),
            height: self.number(),
            told: Told::of(&partial),
            partial,
        }
    }
    pub fn checkpoint(&mut self) -> CheckpointRecord {
        if self.below(2) == 0 {
            CheckpointRecord::Ring(RingEntry {
                network: self.network(),
                height: self.number(),
                block_hash: self.block_hash(),
                parent_hash: self.block_hash(),
                block_time: self.time(),
                sequence: self.number(),
                tx_count: self.u32(),
                log_count: self.u32(),
            })
        } else {
            CheckpointRecord::Checkpoint(Checkpoint {
                network: self.network(),
                sequence: self.number(),
                tip_height: self.opt(Self::number),
                tip_hash: self.opt(Self::block_hash),
                first_height: self.opt(Self::number),
                highest_height: self.opt(Self::number),
                reorg_remaining: self.u32(),
                safe_height: self.opt(Self::number),
                finalized_height: self.opt(Self::number),
                chain_id: self.text(),
                held: self.vec(3, |g| HeldRange { from: g.number(), to: g.number() }),
                reorg_too_deep: self.below(2) == 0,
                updated_at: self.time(),
                requests: Vec::new(),
            })
        }
    }
    /// With what version 2 of the schema added.
    pub fn checkpoint_2(&mut self) -> CheckpointRecord {
        let mut record = self.checkpoint();
        if let CheckpointRecord::Checkpoint(c) = &mut record {
            c.requests = self.vec(3, |g| RequestProgress {
                id: format!("b-{}", g.below(1_000)),
                asks: match g.below(2) {
                    0 => Asked::AcceptReorg,
                    _ => Asked::Backfill { heights: HeldRange { from: g.number(), to: g.number() }, next: g.number() },
                },
                state: RequestState::ALL[g.below(7) as usize],
                detail: g.opt(Self::text),
                blocks: g.number(),
                transactions: g.number(),
                last_hash: g.opt(|g| BlockHash::from(g.hash())),
                changed_at: g.time(),
            });
        }
        record
    }
    pub fn status(&mut self) -> NetworkStatus {
        NetworkStatus {
            network: self.network(),
            family: [Family::Evm, Family::Bitcoin, Family::Stellar][self.below(3) as usize],
            // Those of version 1, whose golden records follow from seeds: states that came later stand at the end.
            state: NetworkState::ALL[self.below(7) as usize],
            tip_height: self.opt(Self::number),
            endpoint: self.opt(Self::text),
            detail: self.opt(Self::text),
            at: self.time(),
        }
    }
    pub fn stage_status(&mut self) -> StageStatus {
        StageStatus {
            stage: ["ingest", "enrich", "sink", "api"][self.below(4) as usize].to_owned(),
            instance: format!("host-{}", self.below(9)),
            network: self.opt(Self::network),
            partition: self.opt(Self::u32),
            state: self.text(),
            since: self.time(),
            detail: self.opt(Self::text),
            every_ms: self.number(),
            at: self.time(),
            family: self.opt(|g| [Family::Evm, Family::Bitcoin, Family::Stellar][g.below(3) as usize]),
            chain_id: self.opt(Self::number),
            endpoint: self.opt(Self::text),
            tip_height: self.opt(Self::number),
            sequence: self.opt(Self::number),
            height: self.opt(Self::number),
            block_time: self.opt(Self::time),
            unread_percent: self.opt(Self::u32),
            networks: self.vec(3, |g| ConfiguredNetwork { slug: g.text(), chain_id: g.opt(Self::number) }),
        }
    }
    pub fn share(&mut self) -> Share {
        Share::from_ppm(self.below(1_000_001) as u32).unwrap()
    }
    pub fn endpoint_state(&mut self) -> EndpointState {
        use ProviderState as S;
        EndpointState {
            url: self.text(),
            operator: self.text(),
            state: [S::Ok, S::Slow, S::Behind, S::Throttled, S::Failing, S::Open, S::Quarantined, S::Unknown]
                [self.below(8) as usize],
            reason: self.opt(Self::text),
            since: self.time(),
            every_ms: self.number(),
            score: self.opt(|g| g.below(101) as u32),
            latency_part: self.opt(Self::share),
            success_part: self.opt(Self::share),
            height_part: self.opt(Self::share),
            latency_ms: self.opt(Self::number),
            latency_p95_ms: self.opt(Self::number),
            success_rate: self.opt(Self::share),
            height: self.opt(Self::number),
            lag_blocks: self.opt(Self::number),
            in_use: self.below(2) == 0,
            in_use_since: self.opt(Self::time),
            last_error: self.opt(Self::text),
            last_error_at: self.opt(Self::time),
            last_seen_at: self.opt(Self::time),
            priority: self.u32(),
            roles: self.text(),
            limit_per_1000_s: self.opt(Self::number),
            usage: Usage {
                hour_calls: self.number(),
                hour_bytes: self.number(),
                hour_blocks: self.number(),
                day_calls: self.number(),
                day_bytes: self.number(),
                per_day: self.opt(Self::number),
            },
            lie: self.opt(|g| Lie { at: g.time(), found_by: g.text(), said: g.text(), right: g.text() }),
            link: self.opt(|g| Link {
                protocol: g.text(),
                software: g.opt(Self::text),
                sockets: g.opt(Self::u32),
                in_flight: g.opt(Self::u32),
            }),
        }
    }
    pub fn provider_sample(&mut self) -> ProviderSample {
        use Outcome as O;
        ProviderSample {
            network: self.network(),
            endpoint: self.text(),
            at: self.time(),
            observer: ProviderSample::observer_of("ingest", &format!("host-{}", self.below(9))),
            seen: match self.below(3) {
                0 => Seen::Call(CallSample {
                    method: self.text(),
                    probe: self.below(2) == 0,
                    latency_ms: self.number(),
                    outcome: [O::Ok, O::Empty, O::Missing, O::Failing, O::Stale, O::Wrong][self.below(6) as usize],
                    height: self.opt(Self::number),
                    error: self.opt(Self::text),
                    bytes: self.number(),
                }),
                1 => Seen::Minute(MinuteSample {
                    method: self.text(),
                    calls: self.number(),
                    failures: self.number(),
                    latency_p50_ms: self.opt(Self::number),
                    latency_p95_ms: self.opt(Self::number),
                    bytes: self.number(),
                }),
                _ => Seen::State(Box::new(self.endpoint_state())),
            },
        }
    }
    pub fn enrich_status(&mut self) -> EnrichStatus {
        EnrichStatus {
            network: self.network(),
            state: EnrichState::ALL[self.below(EnrichState::ALL.len() as u64) as usize],
            detail: self.opt(Self::text),
            at: self.time(),
        }
    }
    pub fn config(&mut self) -> ControlConfig {
        ControlConfig::NetworkPartition(NetworkPartition {
            network: self.network(),
            partition: self.u32(),
            decided_at: self.time(),
        })
    }
    /// With what version 2 of the schema added.
    pub fn config_2(&mut self) -> ControlConfig {
        if self.below(2) == 0 {
            return self.config();
        }
        ControlConfig::Request(Request {
            id: format!("r-{}", self.below(1_000)),
            network: self.network(),
            asks: match self.below(3) {
                0 => Asks::Backfill {
                    heights: HeldRange { from: self.number(), to: self.number() },
                    again: self.below(2) == 0,
                },
                1 => Asks::AcceptReorg,
                _ => Asks::AcceptGap { first: self.number(), last: self.number() },
            },
            wanted: [Wanted::Run, Wanted::Paused, Wanted::Cancelled][self.below(3) as usize],
            asked_at: self.time(),
        })
    }
    /// Kinds that came with version 3.
    pub fn config_3(&mut self) -> ControlConfig {
        let revision = self.number();
        if self.below(2) == 0 {
            let address = self.text();
            return ControlConfig::Watched(WatchedAddress { network: self.network(), address, revision, since: None });
        }
        ControlConfig::Contract(OperatorContract { revision, contract: self.contract() })
    }
    /// With what version 4 added.
    pub fn config_4(&mut self) -> ControlConfig {
        let mut record = self.config_3();
        if let ControlConfig::Watched(watched) = &mut record {
            watched.since = self.opt(Self::time);
        }
        record
    }
    pub fn control_tenant(&mut self) -> ControlTenant {
        ControlTenant {
            tenant: self.text(),
            id: self.text(),
            revision: self.number(),
            thing: TenantThing::Contract(self.contract()),
        }
    }
    /// Kinds that came with version 2.
    pub fn control_tenant_2(&mut self) -> ControlTenant {
        let kind = DefinitionKind::ALL[self.below(4) as usize];
        let definition = Definition {
            name: self.text(),
            version: self.number(),
            definition: self.text(),
            sealed: self.opt(Self::text),
            disabled: self.opt(Self::text),
        };
        ControlTenant {
            tenant: self.text(),
            id: self.text(),
            revision: self.number(),
            thing: TenantThing::of(kind, definition),
        }
    }
    fn contract(&mut self) -> Contract {
        Contract {
            network: self.network(),
            address: self.text(),
            name: self.text(),
            labels: (0..self.below(4)).map(|_| self.text()).collect(),
            abi: self.opt(Self::text),
        }
    }
    pub fn contract_facts(&mut self) -> ContractFacts {
        ContractFacts {
            network: self.network(),
            address: self.address(),
            revision: self.number(),
            name: self.opt(Self::text),
            name_source: self.opt(|g| FactSource::ALL[g.below(4) as usize]),
            abi: self.opt(Self::text),
            abi_source: self.opt(|g| FactSource::ALL[g.below(4) as usize]),
            source_host: self.opt(Self::text),
            proxy: self.opt(|g| ProxyKind::ALL[g.below(7) as usize]),
            implementations: self.vec(3, |g| Implementation {
                from_height: g.number(),
                selector: g.opt(Self::fixed),
                address: g.opt(Self::address),
                found_by: FoundBy::ALL[g.below(2) as usize],
                block_hash: g.opt(|g| BlockHash::from(g.hash())),
            }),
            found_at: self.time(),
        }
    }
    pub fn dead_letter(&mut self) -> DeadLetter {
        DeadLetter {
            source_topic: self.text(),
            source_partition: self.u32(),
            source_offset: self.opt(Self::number),
            stage: self.text(),
            network: self.opt(Self::network),
            sequence: self.opt(Self::number),
            index: self.opt(Self::u32),
            reason: self.text(),
            error: self.text(),
            key: self.opt(|g| Bytes::from(g.bytes().to_vec())),
            value: self.opt(|g| Bytes::from(g.bytes().to_vec())),
            failed_at: self.time(),
        }
    }
}

impl Gen {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
    pub fn alert_ring(&mut self) -> AlertRing {
        AlertRing {
            network: self.network(),
            sequence: self.number(),
            height: self.number(),
            block_hash: self.block_hash(),
            given: self.text(),
        }
    }
    pub fn alert_match(&mut self) -> AlertMatch {
        use MatchOp::{Amend, Figure, IncludedAgain, LeftOut, Match, Retract, Settled};
        let op = self.pick(&[Match, Retract, IncludedAgain, Amend, Figure, Settled, LeftOut]);
        let source = AlertSource {
            kind: self.pick(&[SourceKind::Rule, SourceKind::Monitor]),
            id: self.text(),
            name: self.text(),
            version: self.number(),
        };
        let found = |g: &mut Self| Found {
            transaction_hash: g.hash(),
            kind: g.pick(&[FoundKind::Event, FoundKind::Function, FoundKind::Transaction]),
            position: g.opt(Self::u32),
            condition: g.u32(),
            signature: g.opt(Self::text),
            arguments: g.text(),
            cause: g.opt(Self::text),
        };
        AlertMatch {
            tenant: self.text(),
            source: if op == Settled { AlertSource::nobody() } else { source },
            op,
            network: self.network(),
            sequence: self.number(),
            height: self.number(),
            block_hash: self.opt(Self::block_hash),
            at: self.time(),
            observed_at: self.time(),
            contract: self.opt(Self::text),
            group: self.vec(3, |g| (g.text(), g.text())).into_iter().collect(),
            found: matches!(op, Match | Retract | IncludedAgain | Amend).then(|| found(self)),
            figure: (op == Figure).then(|| Figured { over: self.below(2) == 0, evidence: self.text() }),
        }
    }
    pub fn alert_state(&mut self) -> AlertState {
        AlertState {
            tenant: self.text(),
            source_id: self.text(),
            group: self.text(),
            revision: self.number(),
            state: self.text(),
        }
    }
    pub fn alert_event(&mut self) -> AlertEvent {
        use AlertEventKind::{Acknowledged, Amended, Fired, IncludedAgain, Pending, Repeated, Resolved, Retracted};
        let kinds = [Pending, Fired, Amended, Acknowledged, Repeated, Resolved, Retracted, IncludedAgain];
        AlertEvent {
            tenant: self.text(),
            alert_id: self.text(),
            kind: self.pick(&kinds),
            revision: self.number(),
            at: self.time(),
            by: self.opt(Self::text),
            note: self.opt(Self::text),
            network: self.network(),
            sequence: self.opt(Self::number),
            height: self.opt(Self::number),
            alert: self.text(),
            matches: self.text(),
        }
    }
    pub fn alert_outbox(&mut self) -> AlertOutbox {
        AlertOutbox {
            tenant: self.text(),
            id: self.text(),
            alert_id: self.opt(Self::text),
            channel_id: self.text(),
            kind: self.text(),
            created_at: self.time(),
            next_attempt_at: self.time(),
            attempts: self.u32(),
            order: self.number(),
            body: self.text(),
            done_at: self.opt(Self::time),
            thread: self.opt(Self::text),
        }
    }
    pub fn alert_delivery(&mut self) -> AlertDelivery {
        use DeliveryState::{Failed, Queued, Replaced, Sent};
        AlertDelivery {
            tenant: self.text(),
            id: self.text(),
            alert_id: self.opt(Self::text),
            channel_id: self.text(),
            channel_type: self.text(),
            kind: self.text(),
            state: self.pick(&[Queued, Sent, Failed, Replaced]),
            at: self.time(),
            attempt: self.u32(),
            status: self.opt(|g| g.number() as u16),
            latency_ms: self.opt(Self::number),
            error: self.opt(Self::text),
            next_attempt_at: self.opt(Self::time),
            thread: self.opt(Self::text),
        }
    }
    pub fn alert_command(&mut self) -> AlertCommand {
        let what = match self.below(4) {
            0 => Command::Acknowledge { alert_id: self.text(), note: self.opt(Self::text) },
            1 => Command::TestChannel { channel_id: self.text(), delivery_id: self.text() },
            2 => Command::ReplayDelivery { delivery_id: self.text() },
            _ => Command::ReplayChannel { channel_id: self.text(), since: self.time() },
        };
        AlertCommand { tenant: self.text(), id: self.text(), at: self.time(), by: self.text(), what }
    }
}

/// The first seed from `from` on whose record satisfies a condition: golden records of every form.
pub fn find<T>(from: u64, make: impl Fn(&mut Gen) -> T, wanted: impl Fn(&T) -> bool) -> T {
    (from..).map(|seed| make(&mut Gen(seed))).find(wanted).unwrap()
}
