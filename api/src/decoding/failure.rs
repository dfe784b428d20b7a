//! Why a transaction failed, with what is known when it is read.
//!
//! Guarantee: cause and sentence are those of the stream, but where an ABI of the reader's own names the error otherwise, or where nothing
//! had named it when the cause was found and something does now: that is marked `late`.

use std::time::Duration;

use alloy_primitives::Address;
use decode::causes::{Cause, Named, Table, name_again};
use schemas::TimeMs;

use super::{Candidate, Known, json};
use crate::items::{FailureItem, TransactionDetail};

/// Contracts of a call tree that are named.
const NAMED: usize = 32;

/// What is stored of it; nothing where the transaction did not fail. One without a final cause waits for it until it is older than `pending`.
pub(super) fn of_row(row: &store::query::TransactionDetail, pending: Duration) -> Option<FailureItem> {
    let failure = row.failure.as_ref()?;
    let transaction = &row.transaction;
    let age = TimeMs::now().0.saturating_sub(transaction.block_timestamp.0);
    let fresh = u128::try_from(age).is_ok_and(|age| age < pending.as_millis());
    let told = (transaction.failure_cause.as_deref(), transaction.failure_reason.as_deref());
    Some(FailureItem::from_row(told, failure, failure.found_by.is_none() && fresh))
}

/// Whose names are wanted: the frame's and the entry's first, then those of its calls.
pub(super) fn addresses(failure: &FailureItem) -> Vec<Address> {
    let frame = failure.frame.as_ref().and_then(|frame| frame.address.as_deref());
    let first = frame.into_iter().chain(failure.entry.as_deref()).filter_map(|text| text.parse().ok());
    let calls = failure.calls.as_ref().map(|calls| called(calls.get())).unwrap_or_default();
    let mut all: Vec<Address> = Vec::new();
    for address in first.chain(calls) {
        if all.len() < NAMED && !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

/// The receivers in the JSON of a call tree, which may be as deep as it likes: it is looked through, not parsed.
fn called(calls: &str) -> Vec<Address> {
    let after = calls.split("\"to\"").skip(1).take(4 * NAMED);
    let texts = after.filter_map(|rest| rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.get(..42));
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// Names the error and the contracts by what is known now.
pub(super) fn name(detail: &mut TransactionDetail, known: &Known, table: &Table) {
    let Some(failure) = &mut detail.failure else { return };
    failure.entry_name = failure.entry.as_deref().and_then(|entry| known.name_of(entry));
    if let Some(frame) = &mut failure.frame {
        frame.name = frame.address.as_deref().and_then(|address| known.name_of(address));
    }
    for address in addresses(failure) {
        let text = const_hex::encode_prefixed(address);
        if let Some(name) = known.name_of(&text) {
            failure.names.insert(text, name);
        }
    }
    again(failure, known, table, detail.transaction.to.as_deref());
    detail.sentence = Some(failure.sentence());
}

/// The error by ABIs of the contract that failed, of those before it, and of the one that was called.
fn again(failure: &mut FailureItem, known: &Known, table: &Table, to: Option<&str>) {
    let Some(output) = failure.output.as_deref().and_then(|output| const_hex::decode(output).ok()) else { return };
    if output.len() < 4 {
        return;
    }
    let frame = failure.frame.as_ref().and_then(|frame| frame.address.as_deref());
    let mut contracts: Vec<Address> = Vec::new();
    for address in [frame, failure.entry.as_deref(), to].into_iter().flatten().filter_map(|text| text.parse().ok()) {
        if !contracts.contains(&address) {
            contracts.push(address);
        }
    }
    let candidates: Vec<Candidate<'_>> = contracts.iter().flat_map(|contract| known.abis(*contract, None)).collect();
    if let Some((named, source)) = named(failure.error_signature.as_deref(), &candidates, &output, table) {
        say(failure, named, source);
    }
}

/// As [`super::better`]: a reader's own ABI comes in the place of another name, any other only where there is none.
fn named<'k>(
    stored: Option<&str>,
    candidates: &[Candidate<'k>],
    output: &[u8],
    table: &Table,
) -> Option<(Named, &'k str)> {
    let by = |candidate: &&Candidate<'k>| {
        let named = name_again(output, &[candidate.abi], table)?;
        Some((named, candidate.source))
    };
    let own = candidates.iter().filter(|candidate| candidate.is_own).find_map(|candidate| by(&candidate));
    if let Some((named, source)) = own.filter(|(named, _)| stored != Some(&*named.signature)) {
        return Some((named, source));
    }
    if stored.is_some() {
        return None;
    }
    candidates.iter().find_map(|candidate| by(&candidate))
}

/// A class that says something stays, unless the new name has one too.
fn say(failure: &mut FailureItem, named: Named, source: &str) {
    let is_classed = failure.cause.as_deref().and_then(Cause::of).is_some_and(Cause::is_classed);
    if named.cause.is_classed() || !is_classed {
        failure.cause = Some(named.cause.word().to_owned());
        failure.rule = Some(named.rule);
    }
    failure.reason = Some(named.reason);
    failure.error_signature = Some(named.signature);
    failure.error_arguments = json(named.arguments);
    (failure.source, failure.late) = (Some(source.to_owned()), true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_of_a_tree_are_found_whatever_else_it_says() {
        let deep = "{\"calls\":[".repeat(10_000);
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let text = format!(r#"{deep}{{"to":"{a}","x":"\"to\":"}},{{"to": "{b}"}},{{"to":null}},{{"to":"0x12"}},{{"to"#);
        assert_eq!(called(&text), [a, b]);
        assert!(called("\"to\":\"é0x0101010101010101010101010101010101010101").is_empty());
    }
}
