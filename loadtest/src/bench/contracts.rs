//! Contracts of an operator with their ABIs, so that decoding has as much to look up as it may.
//!
//! Guarantee: half of them, at most, are those that the recorded blocks name most often, as receivers and in logs; the others are at made-up
//! addresses that nobody calls. Each ABI has functions of its own beside those of a token and a pair.

use super::NETWORK;
use crate::failure::Failure;
use crate::node::evm::Dataset;
use alloy_primitives::Address;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use tempfile::TempDir;

/// Functions of each ABI that no other has.
const OWN: usize = 60;

/// Configured contracts; their ABIs' files live as long as this does.
pub(super) struct Contracts {
    _folder: TempDir,
    /// Lines of the configuration.
    pub lines: String,
}

impl Contracts {
    /// So many, for the first network.
    pub(super) fn of(data: &Dataset, count: usize) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("headwater-bench-abis-").tempdir()?;
        let mut lines = String::new();
        let named = most_named(data).into_iter().take(count / 2);
        let others = (1_u64..).map(|n| Address::left_padding_from(&(u64::MAX - n).to_be_bytes()));
        for (n, address) in named.chain(others).take(count).enumerate() {
            let file = folder.path().join(format!("{n}.json"));
            fs::write(&file, serde_json::to_vec(&abi(n))?)?;
            // Writing into memory cannot fail.
            let _ = write!(
                lines,
                "[[contract]]\nnetwork = \"{NETWORK}\"\naddress = \"{address:#x}\"\nname = \"Contract {n}\"\nabi = {file:?}\n"
            );
        }
        Ok(Self { _folder: folder, lines })
    }
}

/// Addresses that recorded blocks name as receivers and in logs, the most frequent first.
pub(crate) fn most_named(data: &Dataset) -> Vec<Address> {
    let mut times: HashMap<Address, usize> = HashMap::new();
    for (address, of_block) in data.blocks().iter().flat_map(|block| block.contracts()) {
        *times.entry(*address).or_default() += of_block;
    }
    let mut all: Vec<_> = times.into_iter().collect();
    all.sort_by_key(|(address, times)| (std::cmp::Reverse(*times), *address));
    all.into_iter().map(|(address, _)| address).collect()
}

fn abi(n: usize) -> Value {
    let input = |kind: &str, name: &str, indexed: bool| json!({ "type": kind, "name": name, "indexed": indexed });
    let function = |name: String, inputs: [Value; 2]| json!({ "type": "function", "name": name, "inputs": inputs, "outputs": [], "stateMutability": "nonpayable" });
    let event =
        |name: &str, inputs: Vec<Value>| json!({ "type": "event", "name": name, "inputs": inputs, "anonymous": false });
    let (to, amount) = (input("address", "dst", false), input("uint256", "wad", false));
    let own = (0..OWN).map(|i| function(format!("own{n}_{i}"), [to.clone(), input("uint256[]", "amounts", false)]));
    let known = ["transfer", "approve"].map(|name| function(name.to_owned(), [to.clone(), amount.clone()]));
    let parties = |names: [&str; 2]| names.map(|name| input("address", name, true)).to_vec();
    let swap = ["amount0In", "amount1In", "amount0Out", "amount1Out"].map(|name| input("uint256", name, false));
    let [sender, receiver] = ["sender", "to"].map(|name| input("address", name, true));
    let events = [
        event("Transfer", [parties(["src", "dst"]), vec![amount.clone()]].concat()),
        event("Approval", [parties(["src", "guy"]), vec![amount]].concat()),
        event("Swap", [vec![sender], swap.to_vec(), vec![receiver]].concat()),
    ];
    own.chain(known).chain(events).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_are_those_that_the_blocks_name_and_none_stands_twice() {
        let data = Dataset::embedded("ethereum").unwrap();
        let contracts = Contracts::of(&data, 20).unwrap();
        let values = |key: &str| -> Vec<String> {
            let lines = contracts.lines.lines().filter_map(|line| line.strip_prefix(&format!("{key} = ")));
            lines.map(|value| value.trim_matches('"').to_owned()).collect()
        };
        let mut addresses = values("address");
        let named: Vec<String> = most_named(&data).iter().map(|address| format!("{address:#x}")).collect();
        assert_eq!(addresses[..10], named[..10]);
        for file in values("abi") {
            let abi: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            assert_eq!(abi.as_array().unwrap().len(), OWN + 5);
        }
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 20);
    }
}
