//! A block's transactions, written one after the other, and passed on as enriched ones without being read whole and written anew.
//!
//! An enriched transaction has the raw one's bytes in it: the envelope and the transaction's columns stand before what enrich adds,
//! each log before its event. So the values that enrich needs are looked at where they lie, and the rest is copied.
//!
//! Guarantee: [`Passing::pass_on`] writes the very bytes that [`Codec::decode`] and [`Codec::encode`] would, or nothing: a record
//! of another schema version, of another event, not in the one form that is written here, damaged, or without a transaction is `None`
//! when it is looked at and has to be read whole (`enrich/src/shortcut/tests.rs`).

mod events;

use alloy_primitives::{Address, B256, Selector};
use bytes::Bytes;

use crate::{
    codec::{Codec, DecodeError, EncodeError, MAGIC, PREFIX_BYTES},
    envelope::ChildEnvelope,
    records::{EnrichedTransaction, Enrichment, EvmLog, EvmTransaction, Figures},
    topics,
    wire::{
        Columns, enriched_transactions,
        envelopes::ChildRow,
        input::{Input, put_bytes, put_long},
        place, raw_transactions,
        strict::{Form, HASH_ITEM, Seen, amount_of, bytes_of, count},
    },
};

pub use crate::wire::enriched_transactions::CallTexts;
pub use events::Events;

/// Signature and arguments of a decoded event.
pub type Decoded<'a> = (&'a str, &'a str);

/// Writes the transactions of one applied block: the same bytes as [`Codec::encode`] of their records.
pub struct Writer {
    /// How each value begins.
    begin: Vec<u8>,
    /// Kept from one value to the next, which then has no byte too many.
    out: Vec<u8>,
}

impl Writer {
    /// For the transactions of a block with this envelope.
    pub fn new(codec: &Codec, envelope: &ChildEnvelope) -> Self {
        Self { begin: begin_raw(codec, envelope), out: Vec::new() }
    }

    /// The value for `raw.transactions`, of at most `limit` bytes.
    pub fn value(&mut self, transaction: &EvmTransaction, limit: usize) -> Result<Bytes, EncodeError> {
        self.out.clear();
        self.out.extend_from_slice(&self.begin);
        raw_transactions::put_transaction(transaction, &mut self.out);
        let bytes = self.out.len();
        if bytes > limit {
            return Err(EncodeError::TooLarge { topic: topics::RAW_TRANSACTIONS.name, bytes, limit });
        }
        Ok(Bytes::copy_from_slice(&self.out))
    }
}

/// How a value with this schema's id begins.
fn begin(id: u32) -> [u8; PREFIX_BYTES] {
    let mut begin = [MAGIC; PREFIX_BYTES];
    begin[1..].copy_from_slice(&id.to_be_bytes());
    begin
}

fn begin_raw(codec: &Codec, envelope: &ChildEnvelope) -> Vec<u8> {
    let mut out = begin(codec.evm_id(topics::RAW_TRANSACTIONS)).to_vec();
    ChildRow::put(envelope, &mut out);
    out
}

/// Passes the transactions of one applied block on.
pub struct Passing {
    /// How each value begins.
    raw: Vec<u8>,
    enriched: [u8; PREFIX_BYTES],
    /// Kept from one value to the next, which then has no byte too many.
    out: Vec<u8>,
}

/// A raw transaction, looked at.
pub struct View<'a> {
    /// What enrich needs of it.
    pub figures: Figures,
    /// Hex digits of its hash, 64 of them.
    hash: &'a [u8],
    /// Hex digits of the call data.
    input: &'a [u8],
    /// Envelope and transaction, as they are.
    before_logs: &'a [u8],
}

impl View<'_> {
    /// Bytes of the call data.
    pub fn input_len(&self) -> usize {
        self.input.len() / 2
    }

    /// The call data, in the place of what is in `bytes`.
    pub fn read_input(&self, bytes: &mut Vec<u8>) {
        read_digits(self.input, bytes);
    }
}

/// The bytes of hex digits that were looked at, in the place of what is in `bytes`.
fn read_digits(digits: &[u8], bytes: &mut Vec<u8>) {
    bytes.resize(digits.len() / 2, 0);
    // Lower-case digits two by two are all that was taken.
    let done = const_hex::decode_to_slice(digits, bytes);
    debug_assert!(done.is_ok());
}

/// One of its logs.
#[derive(Clone, Copy)]
pub struct LogView<'a> {
    index: u32,
    bytes: &'a [u8],
    address: &'a [u8],
    topics: &'a [u8],
    data: &'a [u8],
}

impl<'a> LogView<'a> {
    /// Position in the block, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The contract that emitted it.
    pub fn address(&self) -> Option<Address> {
        bytes_of(self.address).map(|bytes: [u8; 20]| Address::from(bytes))
    }

    /// Number of topics.
    pub fn topics(&self) -> usize {
        self.topics.len() / HASH_ITEM
    }

    /// The hex digits of a topic, 64 of them.
    pub fn topic_digits(&self, at: usize) -> Option<&'a [u8]> {
        let start = at.checked_mul(HASH_ITEM)?;
        self.topics.get(start..start.checked_add(HASH_ITEM)?).map(|item| &item[HASH_ITEM - 64..])
    }

    /// A topic.
    pub fn topic(&self, at: usize) -> Option<B256> {
        self.topic_digits(at).and_then(bytes_of).map(B256::new)
    }

    /// Bytes of the data.
    pub fn data_len(&self) -> usize {
        self.data.len() / 2
    }

    /// The data, in the place of what is in `bytes`.
    pub fn read_data(&self, bytes: &mut Vec<u8>) {
        read_digits(self.data, bytes);
    }
}

impl Passing {
    /// For the transactions of a block with this envelope.
    pub fn new(codec: &Codec, envelope: &ChildEnvelope) -> Self {
        let (raw, enriched) = (begin_raw(codec, envelope), begin(codec.evm_id(topics::ENRICHED_TRANSACTIONS)));
        Self { raw, enriched, out: Vec::new() }
    }

    /// Looks at a value of `raw.transactions`; its logs take the place of what is in `logs`. `None`: read it whole.
    pub fn look<'a>(&self, value: &'a [u8], logs: &mut Vec<LogView<'a>>) -> Option<View<'a>> {
        logs.clear();
        let mut input = Input(value.strip_prefix(&*self.raw)?);
        let (figures, hash, call) = figures(&mut input)?;
        let before_logs = &value[PREFIX_BYTES..value.len() - input.0.len()];
        if input.byte().ok()? != 2 {
            return None;
        }
        let many = count(&mut input)?;
        for _ in 0..many {
            logs.push(log(&mut input)?);
        }
        let whole = many == 0 || input.byte().ok()? == 0;
        // No error, and nothing behind it.
        (whole && input.0 == [0]).then_some(View { figures, hash, input: call, before_logs })
    }

    /// The value for `enriched.transactions`: what was looked at, with what was found: `call` in the place of
    /// `found.call` and `found.inner_calls`, and `events`, those of the logs in their order, in the place of `found.events`. `None`: it
    /// takes more than `limit` bytes.
    pub fn pass_on<'e>(
        &mut self,
        view: &View<'_>,
        logs: &[LogView<'_>],
        found: &Enrichment,
        call: CallTexts<'_>,
        events: impl Iterator<Item = Option<Decoded<'e>>>,
        limit: usize,
    ) -> Option<Bytes> {
        let out = &mut self.out;
        out.clear();
        out.extend_from_slice(&self.enriched);
        out.extend_from_slice(view.before_logs);
        enriched_transactions::put_enrichment(found, call, out);
        out.push(2);
        if !logs.is_empty() {
            put_long(logs.len() as i64, out);
        }
        for (log, event) in logs.iter().zip(events) {
            out.extend_from_slice(log.bytes);
            put_event(event, out);
            if out.len() > limit {
                return None;
            }
        }
        out.extend_from_slice(&[0, 0]); // the array's end, and no error
        (out.len() <= limit).then(|| Bytes::copy_from_slice(out))
    }
}

/// What a log is: two columns, both null where that is not known.
fn put_event(event: Option<Decoded<'_>>, out: &mut Vec<u8>) {
    match event {
        Some((signature, arguments)) => {
            for text in [signature, arguments] {
                out.push(2);
                put_bytes(text.as_bytes(), out);
            }
        }
        None => out.extend_from_slice(&[0, 0]),
    }
}

/// Reads the enriched transactions of one event.
pub struct Reader<'c> {
    codec: &'c Codec,
    envelope: ChildEnvelope,
    /// How an EVM value begins that this program wrote for the event.
    begin: Vec<u8>,
}

impl<'c> Reader<'c> {
    /// For the transactions of an event with this envelope.
    pub fn new(codec: &'c Codec, envelope: ChildEnvelope) -> Self {
        let mut begin = begin(codec.evm_id(topics::ENRICHED_TRANSACTIONS)).to_vec();
        ChildRow::put(&envelope, &mut begin);
        Self { codec, envelope, begin }
    }

    /// The event's envelope.
    pub fn envelope(&self) -> &ChildEnvelope {
        &self.envelope
    }

    /// As [`Codec::decode`], which it is for all that does not begin with the event's envelope.
    pub fn read(&self, value: &[u8]) -> Result<EnrichedTransaction, DecodeError> {
        match value.strip_prefix(&*self.begin) {
            Some(rest) => self.codec.decode_behind(&self.envelope, rest),
            None => self.codec.decode(value),
        }
    }
}

/// The figures, and the digits of hash and call data.
fn figures<'a>(input: &mut Input<'a>) -> Option<(Figures, &'a [u8], &'a [u8])> {
    const fn at(name: &str) -> usize {
        place(EvmTransaction::LAYOUT, name)
    }
    macro_rules! places {
        ($($name:ident = $field:ident),* $(,)?) => { $(const $name: usize = at(stringify!($field));)* };
    }
    places! {
        INDEX = transaction_index, HASH = hash, FROM = from_address, TO = to_address, VALUE = value, GAS = gas, PRICE = gas_price, CAP = max_fee_per_gas,
        TIP = max_priority_fee_per_gas, BLOBS = blob_versioned_hashes, INPUT = input, TYPE = transaction_type,
        CURRENCY = fee_currency, STATUS = receipt_status, USED = receipt_gas_used, PAID = receipt_effective_gas_price,
        BLOB_USED = receipt_blob_gas_used, BLOB_PRICE = receipt_blob_gas_price, L1_FEE = receipt_l1_fee,
        OPERATOR_SCALAR = receipt_operator_fee_scalar, OPERATOR_CONSTANT = receipt_operator_fee_constant,
        FOOTPRINT = receipt_da_footprint_gas_scalar, RATIO = receipt_token_ratio, FOR_L1 = receipt_gas_used_for_l1, CREATED = receipt_contract_address,
    }
    let address = |digits: &[u8]| bytes_of(digits).map(|bytes: [u8; 20]| Address::from(bytes));
    let mut f = Figures::default();
    let (mut hash, mut call): (&[u8], &[u8]) = (&[], &[]);
    for (place, column) in EvmTransaction::LAYOUT.iter().enumerate() {
        let Some(seen) = column.form.take_nullable(input)? else {
            if !column.optional {
                return None;
            }
            continue;
        };
        match (place, seen) {
            (INDEX, Seen::Number(n)) => f.transaction_index = n as u32,
            (HASH, Seen::Hex(digits)) => hash = digits,
            (FROM, Seen::Hex(digits)) => f.from_address = address(digits)?,
            (TO, Seen::Hex(digits)) => f.to_address = Some(address(digits)?),
            (VALUE, Seen::Decimal(digits)) => f.value = amount_of(digits)?,
            (GAS, Seen::Number(n)) => f.gas = n as u64,
            (PRICE, Seen::Decimal(digits)) => f.gas_price = Some(amount_of(digits)?),
            (CAP, Seen::Decimal(digits)) => f.max_fee_per_gas = Some(amount_of(digits)?),
            (TIP, Seen::Decimal(digits)) => f.max_priority_fee_per_gas = Some(amount_of(digits)?),
            (BLOBS, Seen::Hashes(items)) => f.blobs = (items.len() / HASH_ITEM) as u64,
            (INPUT, Seen::Hex(digits)) => {
                call = digits;
                f.selector = digits.get(..8).and_then(bytes_of).map(Selector::new);
            }
            (TYPE, Seen::Number(n)) => f.transaction_type = n as u64,
            (CURRENCY, Seen::Hex(digits)) => f.fee_currency = Some(address(digits)?),
            (STATUS, Seen::Number(n)) => f.receipt_status = Some(n as u64),
            (USED, Seen::Number(n)) => f.receipt_gas_used = n as u64,
            (PAID, Seen::Decimal(digits)) => f.receipt_effective_gas_price = Some(amount_of(digits)?),
            (BLOB_USED, Seen::Number(n)) => f.receipt_blob_gas_used = Some(n as u64),
            (BLOB_PRICE, Seen::Decimal(digits)) => f.receipt_blob_gas_price = Some(amount_of(digits)?),
            (L1_FEE, Seen::Decimal(digits)) => f.receipt_l1_fee = Some(amount_of(digits)?),
            (OPERATOR_SCALAR, Seen::Number(n)) => f.receipt_operator_fee_scalar = Some(n as u64),
            (OPERATOR_CONSTANT, Seen::Number(n)) => f.receipt_operator_fee_constant = Some(n as u64),
            (FOOTPRINT, Seen::Number(n)) => f.receipt_da_footprint_gas_scalar = Some(n as u64),
            (RATIO, Seen::Decimal(digits)) => f.receipt_token_ratio = Some(amount_of(digits)?),
            (FOR_L1, Seen::Number(n)) => f.receipt_gas_used_for_l1 = Some(n as u64),
            (CREATED, Seen::Hex(digits)) => f.receipt_contract_address = Some(address(digits)?),
            _ => {}
        }
    }
    Some((f, hash, call))
}

fn log<'a>(input: &mut Input<'a>) -> Option<LogView<'a>> {
    const PLACES: [usize; 4] = [
        place(EvmLog::LAYOUT, "log_index"),
        place(EvmLog::LAYOUT, "address"),
        place(EvmLog::LAYOUT, "topics"),
        place(EvmLog::LAYOUT, "data"),
    ];
    const { assert!(EvmLog::LAYOUT.len() == 4 && PLACES[0] == 0 && PLACES[1] == 1 && PLACES[2] == 2 && PLACES[3] == 3) };
    let before = input.0;
    let Seen::Number(index) = Form::Short.take(input)? else { return None };
    let Seen::Hex(address) = Form::Hex(40).take(input)? else { return None };
    let Seen::Hashes(topics) = Form::Hashes.take(input)? else { return None };
    let Seen::Hex(data) = Form::Data.take(input)? else { return None };
    Some(LogView { index: index as u32, bytes: &before[..before.len() - input.0.len()], address, topics, data })
}
