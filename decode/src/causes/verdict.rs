//! Class and sentence of one call that failed.

use std::sync::Arc;

use alloy_primitives::{Address, U256, hex};
use schemas::limits::traces as limits;

use super::{
    Cause, Failed, Table,
    said::{self, Reading, Said},
    table::Match,
    text::{cleaned, cut},
    values::Values,
    way::{self, Step},
};
use crate::Abi;

/// What is known of the call, for sentences.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) account: Option<Address>,
    pub(super) sender: Address,
    pub(super) value: U256,
    pub(super) input: &'a [u8],
    pub(super) gas: u64,
    /// Whether it was to make a contract.
    pub(super) creates: bool,
    pub(super) tx: &'a Failed<'a>,
}

impl<'a> View<'a> {
    pub(super) fn of(step: &Step<'a>, tx: &'a Failed<'a>) -> Self {
        let frame = step.frame;
        Self {
            account: step.account,
            sender: step.sender,
            value: frame.value,
            input: &frame.input,
            gas: frame.gas,
            creates: frame.kind.is_creation() || frame.to.is_none(),
            tx,
        }
    }

    /// Of the transaction itself, of which no trace is known.
    pub(super) fn outer(tx: &'a Failed<'a>) -> Self {
        let (account, creates) = (tx.to, tx.to.is_none());
        Self { account, sender: tx.from, value: tx.value, input: tx.input, gas: tx.gas, creates, tx }
    }

    /// Name of the function that was called, where it is known.
    pub(super) fn function(&self, abis: &[&Abi]) -> Option<String> {
        let selector = self.input.first_chunk::<4>().filter(|_| !self.creates)?;
        let known = abis.iter().copied().chain([crate::builtin()]).find_map(|abi| abi.functions(*selector).next())?;
        known.signature.split('(').next().map(str::to_owned)
    }

    /// In words: `the call transfer`, `the call 0x12345678`, `a plain transfer`.
    fn call(&self, function: Option<&str>) -> String {
        match (self.creates, function, self.input.first_chunk::<4>()) {
            (true, ..) => "being made".to_owned(),
            (_, Some(name), _) => format!("the call {name}"),
            (_, None, Some(selector)) => format!("the call {}", hex::encode_prefixed(selector)),
            (_, None, None) if self.input.is_empty() => "a plain transfer".to_owned(),
            (_, None, None) => format!("a call with {}", hex::encode_prefixed(self.input)),
        }
    }

    fn who(&self) -> String {
        match self.account {
            _ if self.creates => "the new contract".to_owned(),
            Some(account) => shown(account),
            None => "the contract".to_owned(),
        }
    }
}

/// What was decided.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) cause: Cause,
    pub(super) reason: String,
    pub(super) rule: String,
    pub(super) inner: bool,
    pub(super) selector: Option<[u8; 4]>,
    pub(super) signature: Option<Arc<str>>,
    pub(super) arguments: Option<String>,
    /// What the contract itself said, for whoever passes it on.
    pub(super) words: Option<String>,
}

impl Verdict {
    pub(super) fn bare(cause: Cause, rule: &str, reason: String) -> Self {
        Self {
            cause,
            reason: bounded(reason),
            rule: rule.to_owned(),
            inner: false,
            selector: None,
            signature: None,
            arguments: None,
            words: None,
        }
    }
}

/// Of data that came back, by ABIs, then by the table of public signatures.
pub(super) fn of_data(view: &View<'_>, abis: &[&Abi], data: &[u8], table: &Table) -> Option<Verdict> {
    let reading = said::read(abis, data, table);
    let function = view.function(abis);
    let function = function.as_deref();
    let (found, words, values) = match &reading.said {
        Said::Nothing => return None,
        Said::Text(text) => (table.text(text, function), Some(text.clone()), Values::default()),
        Said::Panic(code) => (table.panic(*code, function), Some(format!("Panic({code})")), values(&reading)),
        Said::Error => {
            let types = reading.types().unwrap_or_default();
            let values = values(&reading);
            let name = types.split('(').next().unwrap_or_default();
            let words = match values.all() {
                all if all.is_empty() => name.to_owned(),
                all => format!("{name}({all})"),
            };
            (table.error(&types, function), Some(words), values)
        }
        Said::Selector => (None, None, Values::default()),
        Said::Bytes => (None, None, Values::default()),
    };
    // What is inside says nothing that is known: then what the error around it says counts.
    let (found, words) = match (&reading.around, found) {
        (Some(around), None) => match table.text(around, function) {
            Some(it) => (Some(it), Some(around.clone())),
            None => (None, words),
        },
        (_, found) => (found, words),
    };
    let lookup = |name: &str| value(name, view, function, &reading, &values, words.as_deref());
    let mut verdict = match found {
        Some(Match { row, rule }) => {
            let said = row.say.as_ref().and_then(|say| say.say(&lookup));
            let reason = said.unwrap_or_else(|| match &words {
                Some(words) => format!("{}; the contract says: {words}", row.cause.about()),
                None => row.cause.about().to_owned(),
            });
            Verdict { inner: row.inner, ..Verdict::bare(row.cause, &rule, reason) }
        }
        None => unclassed(view, &reading, words.as_deref()),
    };
    verdict.selector = reading.selector;
    verdict.signature = reading.signature;
    verdict.arguments = reading.arguments;
    verdict.words = words;
    Some(verdict)
}

fn values(reading: &Reading) -> Values {
    reading.arguments.as_deref().map(Values::of).unwrap_or_default()
}

fn unclassed(view: &View<'_>, reading: &Reading, words: Option<&str>) -> Verdict {
    let who = view.who();
    let (rule, reason) = match (&reading.said, words, reading.selector) {
        (Said::Text(_), Some(text), _) => ("read:text", format!("{who} says: {text}")),
        (Said::Panic(code), ..) => {
            ("read:panic", format!("{who} panicked with a code that Solidity does not have: {code}"))
        }
        (Said::Error, Some(words), _) => ("read:error", format!("{who} refused with {words}")),
        (Said::Selector, _, Some(selector)) => {
            let selector = hex::encode_prefixed(selector);
            (
                "read:selector",
                format!("{who} refused with an error whose name nobody here knows: {selector}; its ABI would tell"),
            )
        }
        _ => {
            let data = reading.layers.last().map(Vec::as_slice).unwrap_or_default();
            let first = hex::encode_prefixed(data.get(..data.len().min(32)).unwrap_or_default());
            ("read:bytes", format!("{who} refused with bytes that are no known error: {first}"))
        }
    };
    Verdict::bare(Cause::Custom, rule, reason)
}

/// Of a call that was reverted without a word; `inner` is what a call of it that had failed before says.
pub(super) fn of_nothing(view: &View<'_>, abis: &[&Abi], calls: bool, inner: Option<&str>) -> Verdict {
    let function = view.function(abis);
    let (who, call) = (view.who(), view.call(function.as_deref()));
    let after = inner.map(|inner| format!(", after a call that it made had failed: {inner}")).unwrap_or_default();
    // An ABI without this function, and nothing that was handed on to other code.
    let strange = !abis.is_empty()
        && !calls
        && !view.creates
        && view.input.first_chunk::<4>().is_some_and(|selector| !abis.iter().any(|abi| abi.has_function(*selector)));
    if strange {
        let reason = format!("{who} has no function for {call}, as far as its ABI tells");
        return Verdict::bare(Cause::NotFound, "read:unknown_function", reason);
    }
    let (rule, reason) = match (view.creates, view.input.is_empty()) {
        (true, _) => ("read:creation", format!("the constructor refused and gave no reason{after}")),
        (_, true) => ("read:plain", format!("{who} refused a plain transfer and gave no reason{after}")),
        _ => ("read:no_reason", format!("{who} refused {call} and gave no reason{after}")),
    };
    Verdict::bare(Cause::Opaque, rule, reason)
}

/// Of a node's word that is not that of a revert.
pub(super) fn of_word(view: &View<'_>, abis: &[&Abi], word: &str, table: &Table) -> Verdict {
    let function = view.function(abis);
    let empty = Reading {
        said: Said::Nothing,
        selector: None,
        signature: None,
        arguments: None,
        layers: Vec::new(),
        around: None,
    };
    let lookup = |name: &str| value(name, view, function.as_deref(), &empty, &Values::default(), Some(word));
    match table.word(word) {
        Some(Match { row, rule }) => {
            let said = row.say.as_ref().and_then(|say| say.say(&lookup));
            let reason = said.unwrap_or_else(|| format!("{}; the node says: {word}", row.cause.about()));
            Verdict::bare(row.cause, &rule, reason)
        }
        None => Verdict::bare(Cause::Unknown, "read:word", format!("the node says: {word}")),
    }
}

/// Out of gas: the caller's limit, or what a contract gave to a call (docs/causes.md). What is left over by the callers tells: of the
/// rest of the gas a call gets all but one 64th (EIP-150), unless less was asked for.
pub(super) fn out_of_gas(steps: &[Step<'_>], tx: &Failed<'_>, verdict: Verdict) -> Verdict {
    for pair in steps.windows(2).rev() {
        let [caller, step] = pair else { continue };
        let given = step.frame.gas;
        let (limit, used) = match std::ptr::eq(caller.frame, steps[0].frame) && tx.gas > 0 {
            true => (tx.gas, tx.gas_used),
            false => (caller.frame.gas, caller.frame.gas_used),
        };
        let left = limit.saturating_sub(used);
        let who = step.account.map_or_else(|| "a contract".to_owned(), shown);
        if given <= 2_300 && !step.frame.value.is_zero() {
            let reason =
                format!("coins could not be sent to {who}: its code needs more than the {given} gas that it was given");
            return Verdict::bare(Cause::TransferFailed, "read:stipend", reason);
        }
        // Flat traces do not tell what a failed call used.
        if used > 0 && left > given / 32 + 10_000 {
            let reason = format!(
                "the call to {who} was given {given} gas by the contract that made it, and needed more: a higher gas limit alone changes nothing"
            );
            return Verdict::bare(Cause::GasLimit, "read:given_gas", reason);
        }
    }
    verdict
}

/// Whether a node's word says that the gas ran out.
pub(super) fn is_gas(word: &str) -> bool {
    way::is_out_of_gas(word)
}

fn value(
    name: &str,
    view: &View<'_>,
    function: Option<&str>,
    reading: &Reading,
    values: &Values,
    words: Option<&str>,
) -> Option<String> {
    if let Some(own) = values.get(name) {
        return Some(own);
    }
    if let Some(name) = name.strip_prefix("call.") {
        return crate::call(&[], view.input).and_then(|call| Values::of(&call.arguments).get(name));
    }
    match name {
        "text" | "words" => words.map(str::to_owned),
        "error" => reading.types()?.split('(').next().map(str::to_owned),
        "selector" => reading.selector.map(hex::encode_prefixed),
        "contract" => view.account.map(shown),
        "caller" => Some(shown(view.sender)),
        "sender" => Some(shown(view.tx.from)),
        "entry" => view.tx.to.map(shown),
        "value" => Some(view.value.to_string()),
        "gas" => Some(view.gas.to_string()),
        "limit" => (view.tx.gas > 0).then(|| view.tx.gas.to_string()),
        "used" => (view.tx.gas_used > 0).then(|| view.tx.gas_used.to_string()),
        "call" => Some(view.call(function)),
        "who" => Some(view.who()),
        _ => None,
    }
}

/// As the rest of the product writes addresses.
pub(super) fn shown(address: Address) -> String {
    hex::encode_prefixed(address)
}

/// A sentence in its bounds.
pub(super) fn bounded(reason: String) -> String {
    let mut reason = cleaned(&reason, limits::REASON_BYTES);
    cut(&mut reason, limits::REASON_BYTES);
    reason
}
