//! How a contract hands calls on, from its code and the words that its code reads. Pure.
//!
//! Guarantee: what is found is what the code and the storage say by the specifications, and nothing is guessed: EIP-1967 (slots of
//! implementation and beacon), EIP-1822 (slot `PROXIABLE`), EIP-1167 (minimal proxies: the whole code), EIP-7702 (delegations), EIP-2535
//! (diamonds, by `facets()`), Safe's proxies (slot 0). The code decides which questions are worth their call: a contract without
//! `DELEGATECALL` is asked for nothing, and one that names a slot for that one.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, sol};
use memchr::memmem;
use schemas::{
    limits::facts as limits,
    records::{FoundBy, Implementation, ProxyKind},
};

use super::evidence::exactly;

sol! {
    /// EIP-2535.
    struct Facet {
        address facetAddress;
        bytes4[] functionSelectors;
    }
    /// EIP-2535.
    function facets() returns (Facet[]);
    /// What a beacon of EIP-1967 answers.
    function implementation() returns (address);
}

/// What a diamond is asked: `facets()`.
pub const FACETS: [u8; 4] = facetsCall::SELECTOR;
/// What a beacon is asked: `implementation()`.
pub const IMPLEMENTATION: [u8; 4] = implementationCall::SELECTOR;
const DELEGATECALL: u8 = 0xf4;
/// Code that is shorter than this and hands calls on is asked for all slots, whichever it names: bytes.
const SHORT: usize = 2 << 10;
/// EIP-1167, around the address; and the variants that its text and common factories have.
const MINIMAL: [(&[u8], &[u8]); 2] = [
    (
        &[0x36, 0x3d, 0x3d, 0x37, 0x3d, 0x3d, 0x3d, 0x36, 0x3d, 0x73],
        &[0x5a, 0xf4, 0x3d, 0x82, 0x80, 0x3e, 0x90, 0x3d, 0x91, 0x60, 0x2b, 0x57, 0xfd, 0x5b, 0xf3],
    ),
    // Without the last jump (Solady, "PUSH0" clones).
    (
        &[0x5f, 0x5f, 0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0x73],
        &[0x5a, 0xf4, 0x3d, 0x5f, 0x5f, 0x3e, 0x60, 0x2a, 0x57, 0x3d, 0x5f, 0xfd, 0x5b, 0x3d, 0x5f, 0xf3],
    ),
];
/// EIP-7702, before the address.
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];
/// What `masterCopy()` (0xa619486e) is compared with in the code of every version of Safe's proxy.
const SAFE: [u8; 4] = [0xa6, 0x19, 0x48, 0x6e];

/// A slot of storage that names code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where.
    pub at: U256,
    /// What it makes of the contract when there is an address.
    pub kind: ProxyKind,
}

/// What its code says of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// There is none: an account.
    None,
    /// The code itself names what calls are handed on to.
    Names(ProxyKind, Address),
    /// These slots are to be looked at, in this order, until one names an address; then, where told, it is asked whether it is a diamond.
    Asks {
        /// See there.
        slots: Vec<Slot>,
        /// Whether `facets()` occurs in the code.
        diamond: bool,
    },
}

/// EIP-1967: the hash of a text, less one.
fn slot_1967(text: &str) -> U256 {
    U256::from_be_bytes(keccak256(text).0).wrapping_sub(U256::from(1))
}

struct Slots {
    implementation: Slot,
    beacon: Slot,
    proxiable: Slot,
    zeppelin: Slot,
}

static SLOTS: LazyLock<Slots> = LazyLock::new(|| Slots {
    implementation: Slot { at: slot_1967("eip1967.proxy.implementation"), kind: ProxyKind::Eip1967 },
    beacon: Slot { at: slot_1967("eip1967.proxy.beacon"), kind: ProxyKind::Beacon },
    proxiable: Slot { at: U256::from_be_bytes(keccak256("PROXIABLE").0), kind: ProxyKind::Eip1822 },
    // Proxies of before EIP-1967, which it came from.
    zeppelin: Slot {
        at: U256::from_be_bytes(keccak256("org.zeppelinos.proxy.implementation").0),
        kind: ProxyKind::Eip1967,
    },
});

/// What is to be asked of a contract with this code.
pub fn judge(code: &[u8]) -> Code {
    if code.is_empty() {
        return Code::None;
    }
    if let Some(address) = code.strip_prefix(&DELEGATION).filter(|rest| rest.len() == 20) {
        return Code::Names(ProxyKind::Eip7702, Address::from_slice(address));
    }
    for (before, after) in MINIMAL {
        if let Some(address) = code.strip_prefix(before).and_then(|rest| rest.get(..20))
            && code[before.len() + 20..].starts_with(after)
        {
            return Code::Names(ProxyKind::Eip1167, Address::from_slice(address));
        }
    }
    if !code.contains(&DELEGATECALL) {
        return Code::Asks { slots: Vec::new(), diamond: false };
    }
    let has = |bytes: &[u8]| memmem::find(code, bytes).is_some();
    let Slots { implementation, beacon, proxiable, zeppelin } = &*SLOTS;
    let all = [implementation, beacon, proxiable, zeppelin];
    let mut slots: Vec<Slot> = all.into_iter().filter(|slot| has(&slot.at.to_be_bytes::<32>())).copied().collect();
    let short = code.len() < SHORT;
    if short && has(&SAFE) {
        slots.push(Slot { at: U256::ZERO, kind: ProxyKind::Safe });
    }
    let diamond = has(&FACETS);
    if short && slots.is_empty() && !diamond {
        // It hands calls on, and does not say where it reads to whom.
        slots.extend([*implementation, *beacon]);
    }
    Code::Asks { slots, diamond }
}

/// Whether what stands behind a contract of this kind may change without a log that we know.
pub fn is_silent(kind: ProxyKind) -> bool {
    matches!(kind, ProxyKind::Eip1822 | ProxyKind::Eip7702 | ProxyKind::Safe)
}

/// The address that a word of storage names, where it names one.
pub fn address_in(word: U256) -> Option<Address> {
    let bytes = B256::from(word);
    let (zeros, address) = bytes.split_at(12);
    let address = Address::from_slice(address);
    (zeros.iter().all(|b| *b == 0) && !address.is_zero()).then_some(address)
}

/// What `facets()` returned, as entries of a height; `None` where it is no such list.
pub fn facets_in(returned: &[u8], height: u64) -> Option<Vec<Implementation>> {
    let facets = facetsCall::abi_decode_returns_with_config(returned, exactly()).ok()?;
    let entries = facets.into_iter().filter(|facet| !facet.facetAddress.is_zero()).flat_map(|facet| {
        facet.functionSelectors.into_iter().map(move |selector| Implementation {
            from_height: height,
            selector: Some(selector),
            address: Some(facet.facetAddress),
            found_by: FoundBy::Call,
            block_hash: None,
        })
    });
    let entries: Vec<_> = entries.take(limits::IMPLEMENTATIONS).collect();
    (!entries.is_empty()).then_some(entries)
}

/// What `implementation()` of a beacon returned.
pub fn implementation_in(returned: &[u8]) -> Option<Address> {
    let word: [u8; 32] = returned.try_into().ok()?;
    address_in(U256::from_be_bytes(word))
}

/// Whether an ABI's function selectors occur in a contract's code: one that does not fit any of it is of something else. An ABI without
/// functions cannot be told.
pub fn fits(selectors: impl IntoIterator<Item = [u8; 4]>, code: &[u8]) -> bool {
    let mut any = false;
    for selector in selectors {
        any = true;
        // Compilers leave out leading zeros of what they push (PUSH3 for 0x00ab…).
        let bytes = &selector[selector.iter().take_while(|b| **b == 0).count().min(3)..];
        if memmem::find(code, bytes).is_some() {
            return true;
        }
    }
    !any
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, hex};
    use alloy_sol_types::SolValue;

    use super::*;

    const TO: Address = address!("bebebebebebebebebebebebebebebebebebebebe");

    #[test]
    fn slots_and_selectors_are_those_of_the_specifications() {
        let hex = |slot: U256| format!("{slot:064x}");
        assert_eq!(hex(SLOTS.implementation.at), "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
        assert_eq!(hex(SLOTS.beacon.at), "a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
        assert_eq!(FACETS, hex!("7a0ed627"));
        assert_eq!(IMPLEMENTATION, hex!("5c60da1b"));
        assert_eq!(SAFE, keccak256("masterCopy()")[..4]);
    }

    #[test]
    fn minimal_proxies_and_delegations_name_it_themselves() {
        // The text of EIP-1167.
        let minimal =
            hex!("363d3d373d3d3d363d73bebebebebebebebebebebebebebebebebebebebe5af43d82803e903d91602b57fd5bf3");
        assert_eq!(judge(&minimal), Code::Names(ProxyKind::Eip1167, TO));
        let with_arguments = [&minimal[..], &[1, 2, 3]].concat();
        assert_eq!(judge(&with_arguments), Code::Names(ProxyKind::Eip1167, TO));
        let delegation = [&DELEGATION[..], TO.as_slice()].concat();
        assert_eq!(judge(&delegation), Code::Names(ProxyKind::Eip7702, TO));
        assert_eq!(judge(&[]), Code::None);
        assert!(matches!(judge(&delegation[..20]), Code::Asks { .. }));
        assert!(matches!(judge(&minimal[..40]), Code::Asks { .. }));
    }

    #[test]
    fn code_is_asked_for_the_slots_that_it_names() {
        let asks = |code: &[u8]| match judge(code) {
            Code::Asks { slots, diamond } => (slots.into_iter().map(|s| s.kind).collect::<Vec<_>>(), diamond),
            other => panic!("{other:?}"),
        };
        let nothing = vec![0x60; 100];
        assert_eq!(asks(&nothing), (vec![], false), "it hands nothing on");
        let delegating = [&nothing[..], &[DELEGATECALL]].concat();
        assert_eq!(asks(&delegating).0, [ProxyKind::Eip1967, ProxyKind::Beacon], "and does not say by which slot");
        let named = [&delegating[..], &SLOTS.beacon.at.to_be_bytes::<32>()].concat();
        assert_eq!(asks(&named).0, [ProxyKind::Beacon]);
        let long = [delegating.clone(), vec![0; SHORT]].concat();
        assert_eq!(asks(&long), (vec![], false));
        let diamond = [&long[..], &FACETS].concat();
        assert_eq!(asks(&diamond), (vec![], true));
        let safe = [&delegating[..], &SAFE].concat();
        assert_eq!(asks(&safe).0, [ProxyKind::Safe]);
    }

    #[test]
    fn words_name_addresses_or_nothing() {
        assert_eq!(address_in(U256::from_be_bytes(TO.into_word().0)), Some(TO));
        assert_eq!(address_in(U256::ZERO), None);
        assert_eq!(address_in(U256::MAX), None);
        assert_eq!(implementation_in(&TO.abi_encode()), Some(TO));
        assert_eq!(implementation_in(&[]), None);
    }

    #[test]
    fn facets_are_read_exactly() {
        let list = vec![Facet { facetAddress: TO, functionSelectors: vec![[1; 4].into(), [2; 4].into()] }];
        let returned = (list,).abi_encode_params();
        let found = facets_in(&returned, 9).expect("a list");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|i| i.from_height == 9 && i.address == Some(TO) && i.found_by == FoundBy::Call));
        assert_eq!(facets_in(&returned[..64], 9), None);
        assert_eq!(facets_in(&[0xff; 320], 9), None);
    }

    #[test]
    fn an_abi_that_does_not_fit_is_told() {
        let code = hex!("6080604063a9059cbb1461");
        assert!(fits([hex!("deadbeef"), hex!("a9059cbb")], &code));
        assert!(!fits([hex!("deadbeef")], &code));
        assert!(fits([hex!("00604063")], &code), "pushed without its zeros");
        assert!(fits([], &code), "it has no functions to tell it by");
    }
}
