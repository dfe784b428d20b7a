//! Consensus encoding (RLP, EIP-2718) of what nodes send, straight from the wire structs, for hashes and roots. Pure.
//!
//! `None` is "this type's encoding is not known here"; such an object is counted, not judged.

use alloy_primitives::{B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{BufMut, Encodable, Header};

use super::wire::{Block, Log, Receipt, Transaction, transaction};

/// EIP-2718 type of OP-stack deposits.
const DEPOSIT: u64 = 0x7e;

fn list(fields: &[&dyn Encodable], out: &mut dyn BufMut) {
    Header { list: true, payload_length: fields.iter().map(|f| f.length()).sum() }.encode(out);
    for field in fields {
        field.encode(out);
    }
}

fn list_length(fields: &[&dyn Encodable]) -> usize {
    let payload_length = fields.iter().map(|f| f.length()).sum();
    Header { list: true, payload_length }.length() + payload_length
}

/// A field that is an empty string when it is not there (`to` of contract creations).
struct OrEmpty<'a, T>(&'a Option<T>);

impl<T: Encodable> Encodable for OrEmpty<'_, T> {
    fn encode(&self, out: &mut dyn BufMut) {
        match self.0 {
            Some(v) => v.encode(out),
            None => out.put_u8(alloy_rlp::EMPTY_STRING_CODE),
        }
    }
    fn length(&self) -> usize {
        self.0.as_ref().map_or(1, Encodable::length)
    }
}

macro_rules! encodable_list {
    ($t:ty, |$v:ident| [$($field:expr),* $(,)?]) => {
        impl Encodable for $t {
            fn encode(&self, out: &mut dyn BufMut) { let $v = self; list(&[$(&$field),*], out) }
            fn length(&self) -> usize { let $v = self; list_length(&[$(&$field),*]) }
        }
    };
}

encodable_list!(transaction::AccessListItem, |i| [i.address.unwrap_or_default(), ListOf(&i.storage_keys),]);
encodable_list!(transaction::Authorization, |a| [
    a.chain_id.unwrap_or_default(),
    a.address.unwrap_or_default(),
    a.nonce.unwrap_or_default(),
    a.y_parity.unwrap_or_default(),
    a.r.unwrap_or_default(),
    a.s.unwrap_or_default(),
]);
encodable_list!(Log, |l| [l.address.unwrap_or_default(), ListOf(&l.topics), l.data.clone().unwrap_or_default(),]);

/// A slice as an RLP list.
struct ListOf<'a, T>(&'a Option<Vec<T>>);

impl<T: Encodable> Encodable for ListOf<'_, T> {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::encode_list::<T, T>(self.0.as_deref().unwrap_or_default(), out);
    }
    fn length(&self) -> usize {
        alloy_rlp::list_length::<T, T>(self.0.as_deref().unwrap_or_default())
    }
}

/// A transaction as it stands in the transactions' trie.
pub fn transaction(t: &Transaction) -> Option<Vec<u8>> {
    let empty = Bytes::new();
    let kind = t.transaction_type.unwrap_or_default();
    let input = t.input.as_ref().unwrap_or(&empty);
    let zero = U256::ZERO;
    let or_zero = |v: &Option<U256>| v.unwrap_or(zero);
    let (nonce, gas) = (t.nonce.unwrap_or_default(), t.gas.unwrap_or_default());
    let (gas_price, value, chain_id) = (or_zero(&t.gas_price), or_zero(&t.value), or_zero(&t.chain_id));
    let (fee_cap, tip_cap) = (or_zero(&t.max_fee_per_gas), or_zero(&t.max_priority_fee_per_gas));
    let (r, s) = (t.r?, t.s?);
    let parity = if kind == 0 { or_zero(&t.v) } else { t.y_parity.or(t.v)? };
    let (to, access) = (OrEmpty(&t.to), ListOf(&t.access_list));
    let mut out = Vec::with_capacity(input.len() + 256);
    match kind {
        0 => list(&[&nonce, &gas_price, &gas, &to, &value, input, &parity, &r, &s], &mut out),
        1 => {
            out.push(1);
            list(&[&chain_id, &nonce, &gas_price, &gas, &to, &value, input, &access, &parity, &r, &s], &mut out);
        }
        2 => {
            out.push(2);
            list(
                &[&chain_id, &nonce, &tip_cap, &fee_cap, &gas, &to, &value, input, &access, &parity, &r, &s],
                &mut out,
            );
        }
        3 => {
            out.push(3);
            let (blob_cap, hashes) = (or_zero(&t.max_fee_per_blob_gas), ListOf(&t.blob_versioned_hashes));
            list(
                &[
                    &chain_id, &nonce, &tip_cap, &fee_cap, &gas, &to, &value, input, &access, &blob_cap, &hashes,
                    &parity, &r, &s,
                ],
                &mut out,
            );
        }
        4 => {
            out.push(4);
            let authorizations = ListOf(&t.authorization_list);
            list(
                &[
                    &chain_id,
                    &nonce,
                    &tip_cap,
                    &fee_cap,
                    &gas,
                    &to,
                    &value,
                    input,
                    &access,
                    &authorizations,
                    &parity,
                    &r,
                    &s,
                ],
                &mut out,
            );
        }
        _ => return None,
    }
    Some(out)
}

/// An OP-stack deposit (OP-stack specification, deposits; with Mantle's additions where they are there).
pub fn deposit(t: &Transaction) -> Option<Vec<u8>> {
    if t.transaction_type != Some(DEPOSIT) {
        return None;
    }
    let empty = Bytes::new();
    let input = t.input.as_ref().unwrap_or(&empty);
    let (source, from) = (t.source_hash?, t.from?);
    let (mint, value) = (t.mint.unwrap_or_default(), t.value.unwrap_or_default());
    let (gas, system) = (t.gas.unwrap_or_default(), t.is_system_tx.unwrap_or_default());
    let to = OrEmpty(&t.to);
    let mut out = vec![DEPOSIT as u8];
    match (t.eth_value, t.eth_tx_value) {
        (None, None) => list(&[&source, &from, &to, &mint, &value, &gas, &system, input], &mut out),
        (eth, None) => {
            list(&[&source, &from, &to, &mint, &value, &gas, &system, &eth.unwrap_or_default(), input], &mut out)
        }
        (eth, Some(eth_tx)) => list(
            &[&source, &from, &to, &mint, &value, &gas, &system, &eth.unwrap_or_default(), input, &eth_tx],
            &mut out,
        ),
    }
    Some(out)
}

/// A transaction of any known type.
pub fn any_transaction(t: &Transaction) -> Option<Vec<u8>> {
    if t.transaction_type == Some(DEPOSIT) { deposit(t) } else { transaction(t) }
}

/// A receipt as it stands in the receipts' trie. Types that nobody knows are encoded like the known ones, as Arbitrum does.
pub fn receipt(r: &Receipt, out: &mut Vec<u8>) -> Option<()> {
    let status = r.status.map(|s| s == 1);
    let outcome: &dyn Encodable = match (&status, &r.root) {
        (Some(s), _) => s,
        (None, Some(root)) => root,
        (None, None) => return None,
    };
    let (gas, bloom, logs) = (r.cumulative_gas_used?, &bloom(r), ListOf(&r.logs));
    let kind = r.transaction_type.unwrap_or_default();
    if kind != 0 {
        out.push(u8::try_from(kind).ok()?);
    }
    match (kind, r.deposit_nonce, r.deposit_receipt_version) {
        (DEPOSIT, Some(nonce), Some(version)) => list(&[outcome, &gas, bloom, &logs, &nonce, &version], out),
        _ => list(&[outcome, &gas, bloom, &logs], out),
    }
    Some(())
}

/// A receipt's bloom filter, from its logs where the node left it out.
pub fn bloom(r: &Receipt) -> Bloom {
    r.logs_bloom.unwrap_or_else(|| {
        let mut bloom = Bloom::ZERO;
        for log in r.logs.iter().flatten() {
            bloom.accrue_raw_log(log.address.unwrap_or_default(), log.topics.as_deref().unwrap_or_default());
        }
        bloom
    })
}

/// The hash of a header in Ethereum's format, with as many of the later forks' fields as are there.
pub fn header_hash(b: &Block) -> Option<B256> {
    let extra = b.extra_data.clone().unwrap_or_default();
    let (parent, uncles, miner, state) = (b.parent_hash?, b.sha3_uncles?, b.miner?, b.state_root?);
    let (txs, receipts, bloom) = (b.transactions_root?, b.receipts_root?, b.logs_bloom.as_ref()?);
    let (difficulty, number, gas_limit) = (b.difficulty?, b.number?, b.gas_limit?);
    let (gas_used, time, mix, nonce) = (b.gas_used?, b.timestamp?, b.mix_hash?, b.nonce?);
    let mut fields: Vec<&dyn Encodable> = vec![
        &parent,
        &uncles,
        &miner,
        &state,
        &txs,
        &receipts,
        bloom,
        &difficulty,
        &number,
        &gas_limit,
        &gas_used,
        &time,
        &extra,
        &mix,
        &nonce,
    ];
    macro_rules! later {
        ($($field:ident),*) => {$( if let Some(v) = &b.$field { fields.push(v); } )*};
    }
    later!(base_fee_per_gas, withdrawals_root, blob_gas_used, excess_blob_gas, parent_beacon_block_root, requests_hash);
    let mut out = Vec::with_capacity(1024);
    list(&fields, &mut out);
    Some(keccak256(out))
}
