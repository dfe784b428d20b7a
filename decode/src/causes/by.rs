//! By a trace, by a call made again, by the receipt.

use alloy_primitives::hex;
use schemas::limits::traces as limits;

use super::{
    Abis, CallAnswer, Cause, Failed, Finding, Frame, Named, Table, said,
    text::cleaned,
    tree,
    values::Values,
    verdict::{self, Verdict, View, bounded},
    way::{self, Step},
};
use crate::Abi;

/// What of the gas limit is used where a call inside used all that it could get.
const NEARLY: (u64, u64) = (63, 64);

pub(super) fn trace(root: &Frame, tx: &Failed<'_>, abis: &dyn Abis, table: &Table) -> Finding {
    let mut steps = vec![Step::first(root, tx)];
    if root.error.is_none() {
        let reason = "its trace says that it went well, and its receipt that it failed".to_owned();
        return finding(Verdict::bare(Cause::Unknown, "read:went_well", reason), tx, &steps, Vec::new(), None);
    }
    let mut data = way::follow(&mut steps, table);
    let mut verdict = one(&steps, &data, tx, abis, table);
    // A caller that says no more than that a call failed: what that one failed of counts, where it is known.
    let mut deeper = steps.clone();
    let (mut outer, mut at) = (verdict.clone(), steps.last().map(|step| step.frame));
    while let Some(inner) = at.filter(|_| outer.inner).and_then(last_failed) {
        if let Some(step) = deeper.last().map(|step| step.on(inner)) {
            deeper.push(step);
        }
        let inner_data = way::follow(&mut deeper, table);
        let it = one(&deeper, &inner_data, tx, abis, table);
        if it.cause.is_classed() || (it.cause == Cause::Custom && !verdict.cause.is_classed()) {
            let said = verdict.words.clone().filter(|_| !it.inner);
            let reason = match &said {
                Some(said) => bounded(format!("{} (passed on as: {said})", it.reason)),
                None => it.reason.clone(),
            };
            let words = verdict.words.clone();
            (steps, data, verdict) = (deeper.clone(), inner_data, Verdict { reason, words, ..it.clone() });
        }
        (outer, at) = (it, deeper.last().map(|step| step.frame));
    }
    let word = steps.last().and_then(|step| step.frame.error.clone());
    if steps.len() > 1 && word.as_deref().is_some_and(way::never_began) {
        steps.pop();
    }
    finding(verdict, tx, &steps, data, word)
}

/// The last failed call of a frame.
fn last_failed(frame: &Frame) -> Option<&Frame> {
    frame.calls.iter().rev().find(|call| call.error.is_some())
}

/// Class and sentence of the last of steps.
fn one(steps: &[Step<'_>], data: &[u8], tx: &Failed<'_>, abis: &dyn Abis, table: &Table) -> Verdict {
    let Some(step) = steps.last() else {
        return Verdict::bare(Cause::Unknown, "read:nothing", Cause::Unknown.about().to_owned());
    };
    let view = View::of(step, tx);
    let known = of_steps(steps, abis);
    let word = step.frame.error.as_deref().unwrap_or_default();
    // Data is there where it was handed on, whatever is kept of the call itself.
    if let Some(verdict) = verdict::of_data(&view, &known, data, table) {
        return verdict;
    }
    if !way::is_revert(word) {
        let verdict = verdict::of_word(&view, &known, word, table);
        return if verdict::is_gas(word) { verdict::out_of_gas(steps, tx, verdict) } else { verdict };
    }
    if let Some(text) = step.frame.revert_reason.as_deref().filter(|_| step.frame.output_len == 0) {
        return of_text(&view, &known, text, table);
    }
    let inner = step.frame.calls.last().filter(|call| call.error.is_some()).map(|inner| {
        let mut deeper = steps.to_vec();
        deeper.push(step.on(inner));
        let data = way::follow(&mut deeper, table);
        let step = deeper.last().unwrap_or(step);
        let view = View::of(step, tx);
        let known = of_steps(&deeper, abis);
        verdict::of_data(&view, &known, &data, table).map(|it| it.reason)
    });
    let own = step.frame.to.map(|to| abis.of(to)).unwrap_or_default();
    let calls = !step.frame.calls.is_empty() || step.frame.kind.is_delegated();
    verdict::of_nothing(&view, &own, calls, inner.flatten().as_deref())
}

/// ABIs of the code that ran, of the account on which it ran, and of whom the transaction called.
fn of_steps<'a>(steps: &[Step<'_>], abis: &'a dyn Abis) -> Vec<&'a Abi> {
    let mut found: Vec<&Abi> = Vec::new();
    let Some(step) = steps.last() else { return found };
    let entry = steps.first().and_then(|step| step.account);
    for address in [step.frame.to, step.account, entry].into_iter().flatten() {
        for abi in abis.of(address) {
            if !found.iter().any(|other| std::ptr::eq(*other, abi)) {
                found.push(abi);
            }
        }
    }
    found
}

/// A text that stands for data.
fn of_text(view: &View<'_>, abis: &[&Abi], text: &str, table: &Table) -> Verdict {
    let data =
        text.strip_prefix("0x").and_then(|hex| hex::decode(hex).ok()).unwrap_or_else(|| text.as_bytes().to_vec());
    // Texts of less than five bytes are no selectors here.
    let wrapped = match text.starts_with("0x") {
        true => data,
        false => error_string(&data),
    };
    let verdict = verdict::of_data(view, abis, &wrapped, table);
    verdict.unwrap_or_else(|| verdict::of_nothing(view, &[], true, None))
}

/// `Error(string)` around a text.
fn error_string(text: &[u8]) -> Vec<u8> {
    let word = |n: usize| alloy_primitives::U256::from(n).to_be_bytes::<32>();
    [&said::TEXT[..], &word(32), &word(text.len()), text].concat()
}

pub(super) fn call(answer: &CallAnswer, tx: &Failed<'_>, abis: &dyn Abis, table: &Table) -> Finding {
    let view = View::outer(tx);
    let known = tx.to.map(|to| abis.of(to)).unwrap_or_default();
    let approximate = |verdict: Verdict, data: &[u8], word: Option<&str>| {
        let mut it = finding(verdict, tx, &[], data.to_vec(), word.map(|word| cleaned(word, limits::ERROR_BYTES)));
        it.approximate = true;
        it
    };
    match answer {
        CallAnswer::Returned => {
            let receipt = receipt(tx, table);
            if receipt.cause.is_classed() {
                return Finding { approximate: true, ..receipt };
            }
            let reason =
                "the same call goes well at the block before: what came before it in its own block changed that";
            approximate(Verdict::bare(Cause::Unknown, "read:goes_well_before", reason.to_owned()), &[], None)
        }
        CallAnswer::Refused { message, data } => {
            if let Some(verdict) = verdict::of_data(&view, &known, data, table) {
                return approximate(verdict, data, Some(message));
            }
            let message = message.trim();
            let verdict = match revert_text(message) {
                Some(text) if !text.is_empty() => of_text(&view, &known, text, table),
                // A revert gives the rest back: here it was something else.
                Some(_) if tx.gas > 0 && tx.gas_used >= tx.gas => gas_limit(tx, "read:all_gas"),
                Some(_) => verdict::of_nothing(&view, &known, true, None),
                None => of_message(&view, &known, message, table),
            };
            approximate(verdict, &[], Some(message))
        }
    }
}

/// The text behind `execution reverted:`; empty where none stands there, `None` where the message says something else.
fn revert_text(message: &str) -> Option<&str> {
    let message = message.strip_prefix("err: ").unwrap_or(message);
    let message = message.strip_prefix("VM Exception while processing transaction: ").unwrap_or(message);
    let rest = ["execution reverted", "Execution reverted", "reverted", "Reverted", "revert"]
        .into_iter()
        .find_map(|start| message.strip_prefix(start))?;
    let rest = rest.split(" (supplied gas").next().unwrap_or_default();
    let rest = rest.trim_start_matches([':', ' ', ',']);
    // Anvil and Hardhat say in words what the data said.
    let rest = rest.strip_prefix("custom error ").unwrap_or(rest);
    Some(rest.trim())
}

fn of_message(view: &View<'_>, abis: &[&Abi], message: &str, table: &Table) -> Verdict {
    let bare = ["err: ", "EVM error: ", "EVM error ", "EvmError: "]
        .iter()
        .fold(message, |m, p| m.strip_prefix(p).unwrap_or(m));
    match table.message(bare) {
        Some(it) => {
            let said = it.row.say.as_ref().and_then(|say| {
                say.say(&|name| match name {
                    "limit" => (view.tx.gas > 0).then(|| view.tx.gas.to_string()),
                    "text" => Some(bare.to_owned()),
                    _ => None,
                })
            });
            let reason = said.unwrap_or_else(|| format!("{}; the node says: {bare}", it.row.cause.about()));
            Verdict::bare(it.row.cause, &it.rule, reason)
        }
        None => verdict::of_word(view, abis, bare, table),
    }
}

pub(super) fn receipt(tx: &Failed<'_>, table: &Table) -> Finding {
    let (verdict, approximate) = of_receipt(tx, table);
    Finding { approximate, ..finding(verdict, tx, &[], Vec::new(), None) }
}

fn of_receipt(tx: &Failed<'_>, table: &Table) -> (Verdict, bool) {
    if tx.gas > 0 && tx.gas_used >= tx.gas {
        return (gas_limit(tx, "read:all_gas"), true);
    }
    let decoded = tx.to.and_then(|_| crate::call(&[], tx.input));
    if let (Some(call), Some(time)) = (&decoded, tx.block_time) {
        let values = Values::of(&call.arguments);
        let deadline = ["deadline", "expiration", "sigDeadline"].iter().find_map(|name| values.get(name));
        if let Some(deadline) = deadline.and_then(|text| text.parse::<u64>().ok()).filter(|it| *it > 0 && *it < time) {
            let reason = format!(
                "its deadline was {deadline}, and its block is of {time} (seconds since 1970): {} too late",
                time - deadline
            );
            return (Verdict::bare(Cause::Deadline, "read:deadline", reason), false);
        }
    }
    if let Some((cause, reason)) = tx.same_call.filter(|(cause, _)| cause.is_classed()) {
        let reason = bounded(format!("most likely as calls like it before: {reason}"));
        return (Verdict::bare(cause, "read:same_call", reason), true);
    }
    if nearly_all(tx) {
        return (gas_limit(tx, "read:nearly_all_gas"), true);
    }
    if let Some(call) = &decoded {
        let name = call.signature.split('(').next().unwrap_or_default();
        if let Some(it) = table.call(name) {
            let say = it.row.say.as_ref().and_then(|say| say.say(&|value| (value == "call").then(|| name.to_owned())));
            let reason = say.unwrap_or_else(|| format!("most likely {}", it.row.cause.about()));
            return (Verdict::bare(it.row.cause, &it.rule, reason), true);
        }
    }
    (Verdict::bare(Cause::Unknown, "read:nothing", Cause::Unknown.about().to_owned()), true)
}

/// Whether so much of the limit was used that a call inside can have had no more.
fn nearly_all(tx: &Failed<'_>) -> bool {
    tx.gas > 0 && u128::from(tx.gas_used) * u128::from(NEARLY.1) >= u128::from(tx.gas) * u128::from(NEARLY.0)
}

fn gas_limit(tx: &Failed<'_>, rule: &str) -> Verdict {
    let reason = match tx.gas_used >= tx.gas {
        true => format!("the whole gas limit of {} was used", tx.gas),
        false => format!(
            "of the gas limit of {} nearly all was used, {}: most likely a call inside had too little",
            tx.gas, tx.gas_used
        ),
    };
    Verdict::bare(Cause::GasLimit, rule, reason)
}

fn finding(verdict: Verdict, tx: &Failed<'_>, steps: &[Step<'_>], data: Vec<u8>, word: Option<String>) -> Finding {
    let last = steps.last();
    let mut output = data;
    output.truncate(limits::FOUND_OUTPUT_BYTES);
    let signature = verdict.signature.filter(|signature| signature.len() <= limits::ERROR_SIGNATURE_BYTES);
    Finding {
        cause: verdict.cause,
        reason: verdict.reason,
        rule: verdict.rule,
        approximate: false,
        entry: tx.to.or_else(|| steps.first().and_then(|step| step.frame.to)),
        frame: last.and_then(|step| step.frame.to.or(step.account)),
        depth: u16::try_from(steps.len().saturating_sub(1)).unwrap_or(u16::MAX),
        error: word,
        error_selector: verdict.selector,
        output,
        error_signature: signature.map(|signature| signature.to_string()),
        error_arguments: verdict.arguments.filter(|arguments| arguments.len() <= limits::ERROR_ARGUMENTS_BYTES),
        calls: tree::of(steps),
    }
}

pub(super) fn again(output: &[u8], abis: &[&Abi], table: &Table) -> Option<Named> {
    let tx = Failed::default();
    let view = View { creates: false, ..View::outer(&tx) };
    let verdict = verdict::of_data(&view, abis, output, table)?;
    // Public signatures are known already: whoever asks again has some of their own.
    let selector = verdict.selector.filter(|selector| abis.iter().any(|abi| abi.errors(*selector).next().is_some()))?;
    let signature = verdict.signature.filter(|_| selector != said::TEXT && selector != said::PANIC)?;
    Some(Named {
        cause: verdict.cause,
        reason: verdict.reason,
        rule: verdict.rule,
        signature: signature.to_string(),
        arguments: verdict.arguments.unwrap_or_else(|| "{}".to_owned()),
    })
}
