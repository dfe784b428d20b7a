//! What a transaction says, with everything that is known when it is read (rule 14).
//!
//! Guarantee: what was decoded when the block came stays as it is; what was not is tried with what came to be known since, and a reader's
//! own ABIs are applied for that reader alone: both are marked `late`, with whose ABI it was. What does not decode exactly stays raw. Names
//! and ABIs of one answer are looked up within [`PATIENCE`]; a control store that is away costs names, never the answer.

mod abis;
mod failure;
mod known;
mod names;

use std::{collections::HashSet, str::FromStr};

use alloy_primitives::{Address, B256, Selector};
use decode::{Decoded, Source};
use schemas::{Network, limits::control as limits};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use abis::Abis;
use known::{Candidate, Known};
pub use names::Names;

use crate::{
    app::App,
    door::Asking,
    items::{CallItem, EventItem, InnerCallItem, TransactionDetail, TransferItem},
};

/// A call to a contract, as bytes.
struct Called {
    to: Address,
    input: Vec<u8>,
}

impl Called {
    /// `None` where nothing is called: a plain transfer, or a contract's creation.
    fn of(detail: &TransactionDetail) -> Option<Self> {
        let input = const_hex::decode(detail.input.as_deref()?).ok()?;
        let to = detail.transaction.to.as_deref()?.parse().ok()?;
        (input.len() >= 4).then_some(Self { to, input })
    }
}

/// A transaction, from the store's rows and what is known by now.
pub async fn detail(
    app: &App,
    asking: &Asking,
    network: &Network,
    row: &store::query::TransactionDetail,
) -> TransactionDetail {
    let mut detail = TransactionDetail::from_row(row);
    let called = Called::of(&detail);
    let inner = called.as_ref().map(|called| decode::inner_calls(called.to, &called.input)).unwrap_or_default();
    let inside = inner.calls.iter().map(|call| call.to);
    detail.failure = failure::of_row(row, app.config.cause_pending);
    let failing = detail.failure.as_ref().map(failure::addresses).unwrap_or_default();
    let addresses: Vec<Address> = addresses(&detail).take(ADDRESSES / 2).chain(failing).chain(inside).collect();
    let known = Known::look_up(app, asking, network, row.transaction.block_number, &addresses).await;
    detail.to_name = detail.transaction.to.as_deref().and_then(|to| known.name_of(to));
    if let Some(called) = &called {
        call(&mut detail, &known, called);
        detail.inner_calls = inner_calls(&known, &inner, stored_inner_calls(row));
        if detail.call.is_none() {
            detail.text = decode::text(&called.input).map(str::to_owned);
        }
    }
    failure::name(&mut detail, &known, &app.config.causes);
    for event in &mut detail.events {
        self::event(event, &known, &mut detail.transfers);
    }
    detail
}

/// Whose names and ABIs are wanted: the receiver's first, then those of contracts that logged.
fn addresses(detail: &TransactionDetail) -> impl Iterator<Item = Address> {
    let texts = detail.transaction.to.iter().chain(&detail.created_contract);
    let texts = texts.chain(detail.events.iter().map(|event| &event.address));
    let mut seen = HashSet::new();
    texts.filter_map(|text| text.parse().ok()).filter(move |address| seen.insert(*address))
}

fn call(detail: &mut TransactionDetail, known: &Known, called: &Called) {
    let selector = called.input.first_chunk::<4>().map(Selector::from);
    let candidates = known.abis(called.to, selector);
    let stored = detail.call.as_ref().map(|call| call.signature.as_str());
    if let Some((found, source)) = better(stored, &candidates, |abis| decode::call(abis, &called.input)) {
        detail.call = Some(CallItem {
            signature: found.signature.as_ref().into(),
            arguments: json(found.arguments),
            contract: None,
            source: Some(source.to_owned()),
            late: true,
        });
    }
    if let Some(call) = &mut detail.call {
        call.contract = detail.to_name.clone();
    }
}

/// What the stream said of the calls inside, in their order: signature and arguments.
type Stored = Vec<(Option<String>, Option<Box<RawValue>>)>;

#[derive(Deserialize)]
struct StoredCall {
    call: Option<String>,
    arguments: Option<Box<RawValue>>,
}

fn stored_inner_calls(row: &store::query::TransactionDetail) -> Stored {
    let stored = row.evm.inner_calls.as_deref().and_then(|json| serde_json::from_str::<Vec<StoredCall>>(json).ok());
    stored.unwrap_or_default().into_iter().map(|stored| (stored.call, stored.arguments)).collect()
}

fn inner_calls(known: &Known, inner: &decode::InnerCalls<'_>, stored: Stored) -> Vec<InnerCallItem> {
    let mut stored = stored.into_iter();
    let item = |call: &decode::InnerCall<'_>| {
        let (mut signature, mut arguments) = stored.next().unwrap_or_default();
        let selector = call.input.first_chunk::<4>().map(Selector::from);
        let better = selector.and_then(|selector| {
            let candidates = known.abis(call.to, Some(selector));
            better(signature.as_deref(), &candidates, |abis| decode::call(abis, call.input))
        });
        let late = better.is_some();
        if let Some((found, _)) = better {
            (signature, arguments) = (Some(found.signature.as_ref().into()), json(found.arguments));
        }
        let to = const_hex::encode_prefixed(call.to);
        InnerCallItem {
            contract: known.name_of(&to),
            to: Some(to),
            value: call.value.map(|value| value.to_string()),
            signature,
            arguments,
            method: selector.map(const_hex::encode_prefixed),
            late,
        }
    };
    inner.calls.iter().map(item).collect()
}

fn event(event: &mut EventItem, known: &Known, transfers: &mut Vec<TransferItem>) {
    let topics: Vec<B256> = event.topics.iter().filter_map(|topic| B256::from_str(topic).ok()).collect();
    let (Ok(address), Ok(data)) = (event.address.parse::<Address>(), const_hex::decode(&event.data)) else { return };
    event.contract = known.name_of(&event.address);
    let candidates = known.abis(address, None);
    if let Some((found, source)) =
        better(event.event.as_deref(), &candidates, |abis| decode::event(abis, &topics, &data))
    {
        event.event = Some(found.signature.as_ref().into());
        event.arguments = json(found.arguments);
        (event.source, event.late) = (Some(source.to_owned()), true);
    }
    let moved = decode::movements(address, &topics, &data).map(|moved| TransferItem {
        standard: moved.standard.as_str().to_owned(),
        token: event.address.clone(),
        token_name: event.contract.clone(),
        from: const_hex::encode_prefixed(moved.from),
        to: const_hex::encode_prefixed(moved.to),
        id: moved.id.map(|id| id.to_string()),
        amount: moved.amount.map(|amount| amount.to_string()),
        log_index: event.log_index,
    });
    transfers.extend(moved);
}

/// What is to be shown in the place of what is stored, and whose ABI says so: what the reader's own ABIs say, where that is something
/// else; and where nothing is stored, what anything says that is known by now.
fn better(
    stored: Option<&str>,
    candidates: &[Candidate<'_>],
    decode: impl Fn(&[&decode::Abi]) -> Option<Decoded>,
) -> Option<(Decoded, &'static str)> {
    let own: Vec<&decode::Abi> = candidates.iter().filter(|c| c.is_own).map(|c| c.abi).collect();
    if !own.is_empty()
        && let Some(found) = decode(&own)
        && found.source != Source::Builtin
        && stored != Some(&*found.signature)
    {
        return Some((found, control::Source::Tenant.word()));
    }
    if stored.is_some() {
        return None;
    }
    let all: Vec<&decode::Abi> = candidates.iter().map(|c| c.abi).collect();
    let found = decode(&all)?;
    let source = match found.source {
        Source::Abi(at) => candidates.get(at)?.source,
        Source::Builtin => "builtin",
    };
    Some((found, source))
}

fn json(arguments: String) -> Option<Box<RawValue>> {
    RawValue::from_string(arguments).ok()
}

/// How long names and ABIs of one answer may take.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
/// Addresses of one answer that are looked up.
const ADDRESSES: usize = limits::LOOK_UP_ADDRESSES;

#[cfg(test)]
mod tests {
    use decode::Abi;

    use super::*;

    fn abi(line: &str) -> Abi {
        Abi::from_lines([line]).expect("a line")
    }

    #[test]
    fn what_is_stored_stays_but_for_a_readers_own_names() {
        let transfer = const_hex::decode(
            "a9059cbb00000000000000000000000000000000000000000000000000000000000000aa0000000000000000000000000000000000000000000000000000000000000007",
        )
        .expect("hex");
        let call = |stored, candidates: &[Candidate<'_>]| {
            better(stored, candidates, |abis| decode::call(abis, &transfer))
                .map(|(found, source)| (found.signature.to_string(), source))
        };
        let (mine, facts) = (
            abi("function transfer(address recipient, uint256 wad)"),
            abi("function transfer(address whom, uint256 much)"),
        );
        let none = abi("function other()");
        let own = Candidate { abi: &mine, source: "yours", is_own: true };
        let known = Candidate { abi: &facts, source: "sourcify", is_own: false };
        let nothing = Candidate { abi: &none, source: "yours", is_own: true };
        let mine = "transfer(address recipient, uint256 wad)";
        for (stored, candidates, wanted) in [
            (Some("transfer(address a, uint256 b)"), vec![], None),
            (Some("transfer(address a, uint256 b)"), vec![known], None),
            (Some("transfer(address a, uint256 b)"), vec![own, known], Some((mine, "yours"))),
            (Some(mine), vec![own], None),
            (Some("transfer(address a, uint256 b)"), vec![nothing], None),
            (None, vec![known], Some(("transfer(address whom, uint256 much)", "sourcify"))),
            (None, vec![nothing, known], Some(("transfer(address whom, uint256 much)", "sourcify"))),
            (None, vec![own, known], Some((mine, "yours"))),
        ] {
            let found = call(stored, &candidates);
            assert_eq!(found, wanted.map(|(signature, source)| (signature.to_owned(), source)), "{stored:?}");
        }
        assert_eq!(call(None, &[]).map(|(_, source)| source), Some("builtin"));
    }
}
