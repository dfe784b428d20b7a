//! Consensus encoding (RLP, EIP-2718) of what nodes send, straight from the wire structs, for hashes and roots. Pure.
//!
//! `None` is "this type's encoding is not known here"; such an object is counted, not judged.

use alloy_primitives::{B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{BufMut, Encodable, Header};

use super::wire::{Block, Log, Receipt, Transaction, transaction};

/// EIP-2718 type of OP-stack deposits.
const DEPOSIT: u64 = 0x7e;
/// EIP-2718 type of Polygon's state syncs (PIP-74). Its payload is not shown by JSON-RPC.
pub const STATE_SYNC: u64 = 0x7f;

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

/// A field that is an empty string when it is not there (`to` of contract creations, the data of a log).
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
encodable_list!(Log, |l| [l.address.unwrap_or_default(), ListOf(&l.topics), OrEmpty(&l.data)]);

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

/// Whether every transaction of this type can be encoded here, if nothing is left out.
pub fn is_known(t: &Transaction) -> bool {
    t.transaction_type.unwrap_or_default() <= 4
}

/// A transaction as it stands in the transactions' trie.
pub fn transaction(t: &Transaction) -> Option<Vec<u8>> {
    let (r, s) = (t.r?, t.s?);
    let legacy = t.transaction_type.unwrap_or_default() == 0;
    let parity = if legacy { t.v.unwrap_or_default() } else { t.y_parity.or(t.v)? };
    encoded(t, &[&parity, &r, &s])
}

/// What a transaction's sender signed, before hashing, and whether the signature's point has an odd y. `None` for types that
/// have no signature or are not known here.
pub fn signed_payload(t: &Transaction) -> Option<(Vec<u8>, bool)> {
    let odd = |parity: U256| (parity <= U256::ONE).then_some(parity == U256::ONE);
    if t.transaction_type.unwrap_or_default() != 0 {
        return Some((encoded(t, &[])?, odd(t.y_parity.or(t.v)?)?));
    }
    let v = t.v?;
    match v.checked_sub(U256::from(35)) {
        // EIP-155: v is 35 + 2 × chain + parity, and the chain is signed.
        Some(rest) => {
            let chain: U256 = rest >> 1usize;
            Some((encoded(t, &[&chain, &0u8, &0u8])?, rest.bit(0)))
        }
        None => Some((encoded(t, &[])?, odd(v.checked_sub(U256::from(27))?)?)),
    }
}

/// A transaction's fields and those that follow them.
fn encoded(t: &Transaction, last: &[&dyn Encodable]) -> Option<Vec<u8>> {
    let empty = Bytes::new();
    let kind = t.transaction_type.unwrap_or_default();
    let input = t.input.as_ref().unwrap_or(&empty);
    let or_zero = |v: &Option<U256>| v.unwrap_or_default();
    let (nonce, gas) = (t.nonce.unwrap_or_default(), t.gas.unwrap_or_default());
    let (gas_price, value, chain_id) = (or_zero(&t.gas_price), or_zero(&t.value), or_zero(&t.chain_id));
    let (fee_cap, tip_cap) = (or_zero(&t.max_fee_per_gas), or_zero(&t.max_priority_fee_per_gas));
    let (to, access) = (OrEmpty(&t.to), ListOf(&t.access_list));
    let (blob_cap, hashes) = (or_zero(&t.max_fee_per_blob_gas), ListOf(&t.blob_versioned_hashes));
    let authorizations = ListOf(&t.authorization_list);
    let mut fields: Vec<&dyn Encodable> = Vec::with_capacity(14);
    match kind {
        0 => fields.extend([&nonce as &dyn Encodable, &gas_price, &gas, &to, &value, input]),
        1 => fields.extend([&chain_id as &dyn Encodable, &nonce, &gas_price, &gas, &to, &value, input, &access]),
        2..=4 => {
            fields.extend([&chain_id as &dyn Encodable, &nonce, &tip_cap, &fee_cap, &gas, &to, &value, input, &access]);
            match kind {
                3 => fields.extend([&blob_cap as &dyn Encodable, &hashes]),
                4 => fields.push(&authorizations),
                _ => {}
            }
        }
        _ => return None,
    }
    fields.extend(last);
    let mut out = Vec::with_capacity(input.len() + 256);
    if kind != 0 {
        out.push(kind as u8);
    }
    list(&fields, &mut out);
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

/// The hash of a header in Ethereum's format, with as many of the later forks' fields as are there. Fails, saying which, when
/// one of the first fork's is not.
pub fn header_hash(b: &Block) -> Result<B256, String> {
    macro_rules! first {
        ($($field:ident = $name:literal),* $(,)?) => {
            $(let $field = b.$field.as_ref().ok_or(concat!("the header lacks `", $name, "`, which its hash is made of"))?;)*
        };
    }
    first! {
        parent_hash = "parentHash", sha3_uncles = "sha3Uncles", miner = "miner", state_root = "stateRoot",
        transactions_root = "transactionsRoot", receipts_root = "receiptsRoot", logs_bloom = "logsBloom",
        difficulty = "difficulty", number = "number", gas_limit = "gasLimit", gas_used = "gasUsed",
        timestamp = "timestamp", mix_hash = "mixHash", nonce = "nonce",
    }
    let extra = b.extra_data.clone().unwrap_or_default();
    let mut fields: Vec<&dyn Encodable> = vec![
        parent_hash,
        sha3_uncles,
        miner,
        state_root,
        transactions_root,
        receipts_root,
        logs_bloom,
        difficulty,
        number,
        gas_limit,
        gas_used,
        timestamp,
        &extra,
        mix_hash,
        nonce,
    ];
    macro_rules! later {
        ($($field:ident),*) => {$( if let Some(v) = &b.$field { fields.push(v); } )*};
    }
    later!(base_fee_per_gas, withdrawals_root, blob_gas_used, excess_blob_gas, parent_beacon_block_root, requests_hash);
    let mut out = Vec::with_capacity(1024);
    list(&fields, &mut out);
    Ok(keccak256(out))
}
