//! `metrics.windows`: which window, what its blocks did, and what follows from that.

use alloy_primitives::{Address, U256};

use super::{
    Column, Columns, Datum, Malformed, Row, columns, concat,
    input::{Input, Problem, put_bytes},
    plan::{Kind, Step},
    required,
    values::Base,
};
use crate::{
    primitives::{Network, TimeMs},
    records::{Mark, Partial, TokenFees, Told, Window},
    sketch::{Bins, Distinct},
};

/// A contract; the empty text is the network as a whole.
impl Base for Option<Address> {
    const KIND: Kind = Kind::Text;
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Some(address) => address.put(out),
            None => put_bytes(&[], out),
        }
    }
    fn get(input: &mut Input<'_>, step: &Step) -> Result<Self, Problem> {
        match input.0.first() {
            Some(0) => input.byte().map(|_| None),
            _ => Address::get(input, step).map(Some),
        }
    }
}

/// Which window, and how far it is.
#[derive(Default)]
struct WindowRow {
    network: Option<Network>,
    contract: Option<Address>,
    window_seconds: u32,
    window_start: TimeMs,
    complete: bool,
    reason: Option<String>,
    watched_from: Option<TimeMs>,
    sequence: u64,
    height: u64,
}
columns! { WindowRow, Window {
    must network: Network,
    must contract: Option<Address>,
    must window_seconds: u32,
    must window_start: TimeMs,
    must complete: bool,
    null reason: String,
    null watched_from: TimeMs,
    must sequence: u64,
    must height: u64,
} }

columns! { Partial, Partial {
    must blocks: u64,
    must transactions: u64,
    must failed: u64,
    must unknown: u64,
    must unreadable: u64,
    must logs: u64,
    must token_transfers: u64,
    must contracts_created: u64,
    must contracts_left_out: u64,
    must gas_used: u64,
    must gas_limit: U256,
    must base_fee_sum: U256,
    must base_fee_count: u64,
    null base_fee_min: U256,
    null base_fee_max: U256,
    must fee_total: U256,
    must fee_unknown: u64,
    null fees as "token_fees": Vec<TokenFees>,
    must value_total: U256,
    must gas_price_sum: U256,
    must gas_price_count: u64,
    null gas_price_min: U256,
    null gas_price_max: U256,
    null bins as "gas_price_bins": Bins,
    null senders as "senders_sketch": Distinct,
} }

/// Its first and its last block.
#[derive(Default)]
struct Ends {
    first_height: Option<u64>,
    first_time: Option<TimeMs>,
    last_height: Option<u64>,
    last_time: Option<TimeMs>,
}
columns! { Ends, Ends {
    null first_height: u64,
    null first_time: TimeMs,
    null last_height: u64,
    null last_time: TimeMs,
} }

columns! { Told, Told {
    null gas_price_avg: U256,
    null gas_price_p50: U256,
    null gas_price_p95: U256,
    null senders: u64,
} }

impl Row for Window {
    fn columns() -> Vec<Column> {
        concat([WindowRow::specs(), Partial::specs(), Ends::specs(), Told::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        WindowRow::put(self, out);
        <Partial as Columns>::put(&self.partial, out);
        let ends = |mark: Option<Mark>| (mark.map(|mark| mark.height), mark.map(|mark| mark.time));
        let ((first_height, first_time), (last_height, last_time)) =
            (ends(self.partial.first), ends(self.partial.last));
        Ends::put(&Ends { first_height, first_time, last_height, last_time }, out);
        <Told as Columns>::put(&self.told, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut row, mut ends, mut told) = (WindowRow::default(), Ends::default(), Told::default());
        // What is null is not known.
        let mut partial = Partial { fees: None, bins: None, senders: None, ..Partial::default() };
        let read = |column: usize, input: &mut Input<'_>, step: &Step| {
            let cell = match column.checked_sub(WindowRow::COUNT) {
                None => row.read(column, input, step),
                Some(column) => match column.checked_sub(Partial::COUNT) {
                    None => partial.read(column, input, step),
                    Some(column) => match column.checked_sub(Ends::COUNT) {
                        None => ends.read(column, input, step),
                        Some(column) => told.read(column, input, step),
                    },
                },
            };
            cell.map(drop)
        };
        datum.walk(read)?;
        let mark = |height: Option<u64>, time: Option<TimeMs>| Some(Mark { height: height?, time: time? });
        (partial.first, partial.last) =
            (mark(ends.first_height, ends.first_time), mark(ends.last_height, ends.last_time));
        Ok(Self {
            network: required("network", row.network)?,
            contract: row.contract,
            window_seconds: row.window_seconds,
            window_start: row.window_start,
            complete: row.complete,
            reason: row.reason,
            watched_from: row.watched_from,
            sequence: row.sequence,
            height: row.height,
            partial,
            told,
        })
    }

    fn size_hint(&self) -> usize {
        1_024
    }
}
