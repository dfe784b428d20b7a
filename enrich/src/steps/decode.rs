//! Calls and events as signatures and arguments, by the ABIs that are known and by the table of public signatures (`decode/`).
//!
//! Guarantee: arguments of one call or event, and all calls inside a call, take at most [`ARGUMENTS_BYTES`], and all that is decoded of a
//! transaction, signatures too, at most [`TRANSACTION_BYTES`]: the call counts first, then the logs in their order. What takes more
//! stays raw, so that no record becomes much larger by being decoded.

use std::ops::Range;

use ::decode::{Abi, InnerCall};
use alloy_primitives::{Address, B256, Selector, hex};
use schemas::{
    limits::{ARGUMENTS_BYTES, decoding::TRANSACTION_BYTES},
    records::{DecodedCall, DecodedEvent, EvmLog, EvmTransaction},
    wire::{U256_DIGITS, decimal_text},
};

use super::known::Known;

/// Decodes what the transactions of one block say.
pub struct Decoder<'k> {
    known: &'k Known,
    height: u64,
    /// Bytes that the present transaction has left.
    room: usize,
    /// Kept from one look-up to the next.
    abis: Vec<&'k Abi>,
    /// The ABIs of the last emitter: logs of one contract often stand in a row.
    emitted: (Option<Address>, Vec<&'k Abi>),
}

/// A decoded call, whose texts were appended to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called<'k> {
    /// Signature with names.
    pub signature: &'k str,
    /// Where the arguments are, a JSON object; `None` where they are too large.
    pub arguments: Option<Range<usize>>,
    /// Where the calls inside are, a JSON array; `None` where there are none, or they are too large.
    pub inner_calls: Option<Range<usize>>,
}

impl<'k> Decoder<'k> {
    /// For a block at a height.
    pub fn new(known: &'k Known, height: u64) -> Self {
        Self { known, height, room: TRANSACTION_BYTES, abis: Vec::new(), emitted: (None, Vec::new()) }
    }

    /// The next transaction: it has all of the room.
    pub fn begin(&mut self) {
        self.room = TRANSACTION_BYTES;
    }

    /// The offset of facts that are used.
    pub fn position(&self) -> Option<u64> {
        self.known.position
    }

    /// Decodes a call of a contract. Appends the texts to `out`; nothing where it is not known.
    pub fn call(&mut self, to: Address, input: &[u8], out: &mut String) -> Option<Called<'k>> {
        let selector = Selector::from(*input.first_chunk::<4>()?);
        self.known.abis(to, self.height, Some(selector), &mut self.abis);
        let start = out.len();
        let found = ::decode::call_into(&self.abis, input, out)?;
        let signature = &**found.signature;
        let arguments = within(start, out);
        let inner_calls = self.inner_calls(to, input, out);
        self.room = self.room.saturating_sub(signature.len() + out.len() - start);
        Some(Called { signature, arguments, inner_calls })
    }

    /// Appends the calls inside of a call, one level deep, as a JSON array.
    fn inner_calls(&mut self, to: Address, input: &[u8], out: &mut String) -> Option<Range<usize>> {
        let inner = ::decode::inner_calls(to, input).calls;
        let start = out.len();
        for (at, call) in inner.iter().enumerate() {
            out.push_str(if at == 0 { "[" } else { "," });
            self.inner_call(call, out);
            // One that is too large alone is refused before the others are made.
            if out.len() - start > ARGUMENTS_BYTES {
                break;
            }
        }
        if inner.is_empty() {
            return None;
        }
        out.push(']');
        within(start, out)
    }

    fn inner_call(&mut self, call: &InnerCall<'_>, out: &mut String) {
        let selector = call.input.first_chunk::<4>().map(|bytes| Selector::from(*bytes));
        let mut digits = [0; U256_DIGITS];
        let quoted = |name: &str, text: Option<&str>, out: &mut String| {
            out.push_str(name);
            match text {
                Some(text) => ["\"", text, "\""].into_iter().for_each(|part| out.push_str(part)),
                None => out.push_str("null"),
            }
        };
        quoted("{\"to\":", Some(hex::Buffer::<20, true>::new().format(&call.to)), out);
        quoted(",\"value\":", call.value.as_ref().map(|value| decimal_text(value, &mut digits)), out);
        let mut method = hex::Buffer::<4, true>::new();
        quoted(",\"method\":", selector.as_ref().map(|selector| &*method.format(selector)), out);
        // The signature stands before the arguments, and is known behind them.
        let start = out.len();
        out.push_str(",\"arguments\":");
        let before = out.len();
        self.known.abis(call.to, self.height, selector, &mut self.abis);
        let found = ::decode::call_into(&self.abis, call.input, out);
        match found {
            Some(found) => {
                // A signature is identifiers, types and punctuation: nothing in it needs escaping.
                out.insert_str(start, &[",\"call\":\"", found.signature, "\""].concat());
            }
            None => {
                out.truncate(before);
                out.push_str("null");
                out.insert_str(start, ",\"call\":null");
            }
        }
        out.push('}');
    }

    /// Decodes the next log of a transaction. Appends the arguments to `out`, a JSON object, and gives the signature; nothing where it is
    /// not known, or where the transaction has no room left.
    pub fn event(&mut self, emitter: Address, topics: &[B256], data: &[u8], out: &mut String) -> Option<&'k str> {
        if self.room == 0 {
            return None;
        }
        let (of, abis) = &mut self.emitted;
        if *of != Some(emitter) {
            self.known.abis(emitter, self.height, None, abis);
            *of = Some(emitter);
        }
        let start = out.len();
        let found = ::decode::event_into(abis, topics, data, out)?;
        let arguments = within(start, out)?;
        let Some(room) = self.room.checked_sub(found.signature.len() + arguments.len()) else {
            // Nor has any log behind it.
            self.room = 0;
            out.truncate(start);
            return None;
        };
        self.room = room;
        Some(&**found.signature)
    }

    /// What a transaction calls: the call, and the calls inside.
    pub(super) fn call_of(&mut self, tx: &EvmTransaction) -> (Option<DecodedCall>, Option<String>) {
        let mut texts = String::new();
        let Some(called) = tx.to_address.and_then(|to| self.call(to, &tx.input, &mut texts)) else {
            return (None, None);
        };
        let text = |range: Range<usize>| texts[range].to_owned();
        let inner_calls = called.inner_calls.clone().map(text);
        let call = DecodedCall { signature: called.signature.to_owned(), arguments: called.arguments.map(text) };
        (Some(call), inner_calls)
    }

    /// What a log says.
    pub(super) fn event_of(&mut self, log: &EvmLog) -> Option<DecodedEvent> {
        let mut arguments = String::new();
        let event = self.event(log.address, &log.topics, &log.data, &mut arguments)?;
        Some(DecodedEvent { event: event.to_owned(), arguments })
    }
}

/// Where a text from `start` on is, which is taken back where it is too large.
fn within(start: usize, out: &mut String) -> Option<Range<usize>> {
    let range = start..out.len();
    if range.len() > ARGUMENTS_BYTES {
        out.truncate(start);
        return None;
    }
    Some(range)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, keccak256};

    use super::*;

    fn word(n: u64) -> [u8; 32] {
        U256::from(n).to_be_bytes()
    }

    /// `transfer(address,uint256)` of so much to the address 2.
    fn transfer(amount: u64) -> Vec<u8> {
        [&[0xa9, 0x05, 0x9c, 0xbb][..], &word(2), &word(amount)].concat()
    }

    /// `multicall(bytes[])` of these calls.
    fn multicall(calls: &[Vec<u8>]) -> Vec<u8> {
        let (mut heads, mut tails) = (Vec::new(), Vec::new());
        for call in calls {
            heads.extend(word((32 * calls.len() + tails.len()) as u64));
            tails.extend(word(call.len() as u64));
            tails.extend(call);
            tails.resize(tails.len().next_multiple_of(32), 0);
        }
        [&[0xac, 0x96, 0x50, 0xd8][..], &word(32), &word(calls.len() as u64), &heads, &tails].concat()
    }

    /// What is decoded of a call, in its record.
    fn decoded(input: Vec<u8>) -> (Option<DecodedCall>, Option<String>) {
        let known = Known::default();
        let to = Address::repeat_byte(9);
        let tx = EvmTransaction { to_address: Some(to), input: input.into(), ..EvmTransaction::default() };
        Decoder::new(&known, 1).call_of(&tx)
    }

    #[test]
    fn calls_inside_of_a_call_are_told_in_their_order() {
        let unknown = vec![0xfe, 0xdc, 0xba, 0x98, 1];
        let (call, inner) = decoded(multicall(&[transfer(5), unknown, vec![]]));
        assert!(call.as_ref().is_some_and(|c| c.signature.starts_with("multicall(bytes[] ") && c.arguments.is_some()));
        let to = "\"to\":\"0x0909090909090909090909090909090909090909\",\"value\":null";
        let inner = inner.unwrap();
        let begin = format!("[{{{to},\"method\":\"0xa9059cbb\",\"call\":\"transfer(address ");
        assert!(inner.starts_with(&begin), "{inner}");
        let end = format!(
            "\"5\"}}}},{{{to},\"method\":\"0xfedcba98\",\"call\":null,\"arguments\":null}},\
             {{{to},\"method\":null,\"call\":null,\"arguments\":null}}]"
        );
        assert!(inner.ends_with(&end), "{inner}");
        let (call, inner) = decoded(transfer(5));
        assert!(call.is_some_and(|c| c.signature.starts_with("transfer(address ")) && inner.is_none());
        assert_eq!(decoded(vec![]), (None, None));
    }

    #[test]
    fn what_is_too_large_stays_raw_and_the_name_is_told() {
        // The arguments have all of the calls as hex; each call alone is small.
        let many: Vec<_> = (0..200).map(transfer).collect();
        let (call, inner) = decoded(multicall(&many));
        let room = call.unwrap().arguments.map(|arguments| arguments.len());
        assert!(
            room.is_some_and(|len| len < ARGUMENTS_BYTES) && inner.is_some_and(|inner| inner.len() < ARGUMENTS_BYTES)
        );
        let large = multicall(&[vec![1; ARGUMENTS_BYTES / 2]]);
        let (call, inner) = decoded(large);
        assert_eq!(call.map(|call| (call.signature.starts_with("multicall("), call.arguments)), Some((true, None)));
        assert!(inner.is_some_and(|inner| inner.len() < 200));
        // An event is not told without its arguments.
        let mut out = String::from("before");
        assert_eq!(within(0, &mut "x".repeat(ARGUMENTS_BYTES + 1)), None);
        assert_eq!(Decoder::new(&Known::default(), 1).event(Address::ZERO, &[], &[], &mut out), None);
        assert_eq!(out, "before");
    }

    #[test]
    fn a_transaction_has_so_much_room_and_the_logs_behind_stay_raw() {
        let known = Known::default();
        let mut decoder = Decoder::new(&known, 1);
        let topics = [keccak256("Transfer(address,address,uint256)"), B256::ZERO, B256::ZERO];
        let emitter = Address::repeat_byte(9);
        let all = |decoder: &mut Decoder<'_>| {
            let (mut bytes, mut logs, mut out) = (0, 0, String::new());
            while let Some(signature) = decoder.event(emitter, &topics, &word(5), &mut out) {
                (bytes, logs) = (bytes + signature.len(), logs + 1);
            }
            (bytes + out.len(), logs)
        };
        let (bytes, logs) = all(&mut decoder);
        assert!(
            bytes <= TRANSACTION_BYTES && TRANSACTION_BYTES - bytes < bytes / logs && logs > 7_000,
            "{bytes} {logs}"
        );
        assert_eq!(all(&mut decoder), (0, 0));
        decoder.begin();
        assert_eq!(all(&mut decoder), (bytes, logs));
        // The call counts too.
        decoder.begin();
        let mut texts = String::new();
        let called = decoder.call(emitter, &transfer(5), &mut texts);
        let called = called.map_or(0, |called| called.signature.len() + texts.len());
        assert!(called > 0 && decoder.room == TRANSACTION_BYTES - called);
    }
}
