//! Calls inside of a call: multicalls, Safe transactions, batches of accounts, ERC-4337 bundles, timelocks.
//!
//! Guarantee: only calls that decode exactly are looked into, and one level deep: of a bundle that is sent through a Safe the Safe's
//! transaction is told, whose arguments hold the bundle. At most [`limits::INNER_CALLS`] are told, the others counted. A `schedule…` of a
//! timelock names calls that are made later; whether a call was made at all is not in the input.

use std::sync::LazyLock;

use alloy_json_abi::AbiItem;
use alloy_primitives::{Address, U256};
use schemas::limits::decoding as limits;

use crate::{exact, lines, types::Fields};

const WORD: usize = 32;

/// A call inside of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerCall<'i> {
    /// Who is called.
    pub to: Address,
    /// What is sent along, in the chain's smallest unit; `None` where the outer call does not say it (a multicall by delegation).
    pub value: Option<U256>,
    /// Its calldata; may be empty.
    pub input: &'i [u8],
}

/// Those of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InnerCalls<'i> {
    /// In their order.
    pub calls: Vec<InnerCall<'i>>,
    /// How many more there are.
    pub left_out: usize,
}

/// Where in the parameters the calls are. Numbers are positions of parameters, or of members of a tuple.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// `bytes[]`, calls of the contract itself.
    Own(usize),
    /// A list of tuples.
    Tuples { list: usize, to: usize, value: Option<usize>, input: usize },
    /// Lists side by side.
    Lists { to: usize, value: Option<usize>, input: usize },
    /// One call.
    One { to: usize, value: Option<usize>, input: usize },
    /// Packed by Safe's MultiSend: operation (1 byte), to (20), value (32), length (32), data.
    MultiSend(usize),
    /// ERC-7579: a mode, whose first byte says one call (packed: to, value, data) or several, and the calls.
    Modes,
}

use Shape::{Lists, Modes, MultiSend, One, Own, Tuples};

/// What is known. The names of parameters do not matter; each is in the table of signatures too.
const KNOWN: [(&str, Shape); 31] = [
    ("multicall(bytes[])", Own(0)),
    ("multicall(uint256,bytes[])", Own(1)),
    ("multicall(bytes32,bytes[])", Own(1)),
    ("batch(bytes[],bool)", Own(0)),
    // Multicall 1 to 3
    ("aggregate((address,bytes)[])", Tuples { list: 0, to: 0, value: None, input: 1 }),
    ("blockAndAggregate((address,bytes)[])", Tuples { list: 0, to: 0, value: None, input: 1 }),
    ("tryAggregate(bool,(address,bytes)[])", Tuples { list: 1, to: 0, value: None, input: 1 }),
    ("tryBlockAndAggregate(bool,(address,bytes)[])", Tuples { list: 1, to: 0, value: None, input: 1 }),
    ("aggregate3((address,bool,bytes)[])", Tuples { list: 0, to: 0, value: None, input: 2 }),
    ("aggregate3Value((address,bool,uint256,bytes)[])", Tuples { list: 0, to: 0, value: Some(2), input: 3 }),
    // Safe
    (
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
        One { to: 0, value: Some(1), input: 2 },
    ),
    ("execTransactionFromModule(address,uint256,bytes,uint8)", One { to: 0, value: Some(1), input: 2 }),
    ("execTransactionFromModuleReturnData(address,uint256,bytes,uint8)", One { to: 0, value: Some(1), input: 2 }),
    ("multiSend(bytes)", MultiSend(0)),
    // ERC-4337: entry points 0.6 and 0.7; accounts
    (
        "handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],address)",
        Tuples { list: 0, to: 0, value: None, input: 3 },
    ),
    (
        "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
        Tuples { list: 0, to: 0, value: None, input: 3 },
    ),
    ("execute(address,uint256,bytes)", One { to: 0, value: Some(1), input: 2 }),
    ("execute(address,uint256,bytes,uint8)", One { to: 0, value: Some(1), input: 2 }),
    ("execute((address,uint256,bytes)[])", Tuples { list: 0, to: 0, value: Some(1), input: 2 }),
    ("executeBatch(address[],bytes[])", Lists { to: 0, value: None, input: 1 }),
    ("executeBatch(address[],uint256[],bytes[])", Lists { to: 0, value: Some(1), input: 2 }),
    ("executeBatch((address,uint256,bytes)[])", Tuples { list: 0, to: 0, value: Some(1), input: 2 }),
    ("execute(bytes32,bytes)", Modes),
    ("executeFromExecutor(bytes32,bytes)", Modes),
    // DSProxy, Polymarket's proxies
    ("execute(address,bytes)", One { to: 0, value: None, input: 1 }),
    ("proxy((uint8,address,uint256,bytes)[])", Tuples { list: 0, to: 1, value: Some(2), input: 3 }),
    // Timelocks
    ("execute(address,uint256,bytes,bytes32,bytes32)", One { to: 0, value: Some(1), input: 2 }),
    ("executeBatch(address[],uint256[],bytes[],bytes32,bytes32)", Lists { to: 0, value: Some(1), input: 2 }),
    ("schedule(address,uint256,bytes,bytes32,bytes32,uint256)", One { to: 0, value: Some(1), input: 2 }),
    ("scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)", Lists { to: 0, value: Some(1), input: 2 }),
    ("executeTransaction(address,uint256,string,bytes,uint256)", One { to: 0, value: Some(1), input: 3 }),
];

static ROWS: LazyLock<Vec<([u8; 4], Fields, Shape)>> = LazyLock::new(|| {
    let row = |(line, shape): &(&str, Shape)| match lines::item(&format!("function {line}")) {
        Ok(Some(AbiItem::Function(f))) => Some((f.selector().0, Fields::of(&f.inputs, 0).ok()?, *shape)),
        _ => None,
    };
    let mut rows: Vec<_> = KNOWN.iter().filter_map(row).collect();
    rows.sort_by_key(|row| row.0);
    rows
});

/// The calls inside of a call to `to`. None where it is not known to hold any.
pub fn inner_calls(to: Address, input: &[u8]) -> InnerCalls<'_> {
    look(to, input).unwrap_or_default()
}

fn look(own: Address, input: &[u8]) -> Option<InnerCalls<'_>> {
    let (selector, data) = input.split_first_chunk::<4>()?;
    let at = ROWS.binary_search_by_key(selector, |row| row.0).ok()?;
    let (_, fields, shape) = ROWS.get(at)?;
    // Behind this, every offset and every length is right.
    exact::parameters(fields, data, &mut String::new())?;
    let mut found = InnerCalls::default();
    let data = Data(data);
    match *shape {
        Own(list) => {
            let (list, count) = data.list(0, list)?;
            for i in 0..count {
                found.take(|| Some(InnerCall { to: own, value: None, input: data.bytes(list, i)? }))?;
            }
        }
        Tuples { list, to, value, input } => data.tuples(0, list, to, value, input, &mut found)?,
        Lists { to, value, input } => {
            let ((tos, count), (inputs, calls)) = (data.list(0, to)?, data.list(0, input)?);
            let values = match value {
                Some(value) => Some(data.list(0, value)?),
                None => None,
            };
            // An empty list of values stands for zeros (ERC-4337's sample accounts).
            if count != calls || values.is_some_and(|(_, values)| values != count && values != 0) {
                return None;
            }
            for i in 0..count {
                found.take(|| {
                    let value = match values {
                        Some((_, 0)) => Some(U256::ZERO),
                        Some((values, _)) => Some(data.number(values, i)?),
                        None => None,
                    };
                    Some(InnerCall { to: data.address(tos, i)?, value, input: data.bytes(inputs, i)? })
                })?;
            }
        }
        One { to, value, input } => {
            let value = match value {
                Some(value) => Some(data.number(0, value)?),
                None => None,
            };
            found.take(|| Some(InnerCall { to: data.address(0, to)?, value, input: data.bytes(0, input)? }))?;
        }
        MultiSend(packed) => {
            let mut rest = data.bytes(0, packed)?;
            while !rest.is_empty() {
                let (_, behind) = rest.split_first()?;
                let (to, behind) = behind.split_first_chunk::<20>()?;
                let (value, behind) = behind.split_first_chunk::<WORD>()?;
                let (length, behind) = behind.split_first_chunk::<WORD>()?;
                let length = usize::try_from(U256::from_be_bytes(*length)).ok()?;
                let (input, behind) = behind.split_at_checked(length)?;
                let value = Some(U256::from_be_bytes(*value));
                found.take(|| Some(InnerCall { to: Address::from(*to), value, input }))?;
                rest = behind;
            }
        }
        Modes => {
            let calls = data.bytes(0, 1)?;
            match data.word(0, 0)?.first()? {
                0 => {
                    let (to, behind) = calls.split_first_chunk::<20>()?;
                    let (value, input) = behind.split_first_chunk::<WORD>()?;
                    let value = Some(U256::from_be_bytes(*value));
                    found.take(|| Some(InnerCall { to: Address::from(*to), value, input }))?;
                }
                // The list as it would be a function's only parameter.
                1 => {
                    let (_, fields, _) =
                        ROWS.iter().find(|row| matches!(row.2, Tuples { list: 0, to: 0, value: Some(1), input: 2 }))?;
                    exact::parameters(fields, calls, &mut String::new())?;
                    Data(calls).tuples(0, 0, 0, Some(1), 2, &mut found)?;
                }
                _ => return None,
            }
        }
    }
    Some(found)
}

impl<'i> InnerCalls<'i> {
    fn take(&mut self, call: impl FnOnce() -> Option<InnerCall<'i>>) -> Option<()> {
        match self.calls.len() < limits::INNER_CALLS {
            true => self.calls.push(call()?),
            false => self.left_out += 1,
        }
        Some(())
    }
}

/// Calldata without the selector, in which heads are found by where their sequence begins and by position.
#[derive(Clone, Copy)]
struct Data<'i>(&'i [u8]);

impl<'i> Data<'i> {
    fn word(self, base: usize, at: usize) -> Option<&'i [u8; WORD]> {
        self.0.get(base.checked_add(at.checked_mul(WORD)?)?..)?.first_chunk()
    }

    fn number(self, base: usize, at: usize) -> Option<U256> {
        self.word(base, at).map(|word| U256::from_be_bytes(*word))
    }

    fn address(self, base: usize, at: usize) -> Option<Address> {
        self.word(base, at).map(|word| Address::from_word((*word).into()))
    }

    /// Where the tail begins that a head points to.
    fn tail(self, base: usize, at: usize) -> Option<usize> {
        base.checked_add(usize::try_from(self.number(base, at)?).ok()?)
    }

    fn bytes(self, base: usize, at: usize) -> Option<&'i [u8]> {
        let tail = self.tail(base, at)?;
        let length = usize::try_from(self.number(tail, 0)?).ok()?;
        self.0.get(tail.checked_add(WORD)?..)?.get(..length)
    }

    /// Where a list's heads begin, and how many they are.
    fn list(self, base: usize, at: usize) -> Option<(usize, usize)> {
        let tail = self.tail(base, at)?;
        Some((tail.checked_add(WORD)?, usize::try_from(self.number(tail, 0)?).ok()?))
    }

    fn tuples(
        self,
        base: usize,
        list: usize,
        to: usize,
        value: Option<usize>,
        input: usize,
        found: &mut InnerCalls<'i>,
    ) -> Option<()> {
        let (list, count) = self.list(base, list)?;
        for i in 0..count {
            found.take(|| {
                let tuple = self.tail(list, i)?;
                let value = match value {
                    Some(value) => Some(self.number(tuple, value)?),
                    None => None,
                };
                Some(InnerCall { to: self.address(tuple, to)?, value, input: self.bytes(tuple, input)? })
            })?;
        }
        Some(())
    }
}
