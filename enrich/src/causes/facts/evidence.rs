//! What logs say about the code behind contracts: `Upgraded` and `BeaconUpgraded` (EIP-1967), `DiamondCut` (EIP-2535). Pure.
//!
//! Guarantee: what is not exactly such a log says nothing. A log speaks of its own emitter and of nobody else, so that a contract that
//! lies says something false of itself only.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, FixedBytes};
use alloy_sol_types::{SolEvent, abi::AbiDecoderConfig, sol};
use memchr::memmem::Finder;
use schemas::records::{EvmLog, EvmTransaction, ProxyKind};

sol! {
    /// EIP-1967; the event of a beacon too.
    event Upgraded(address indexed implementation);
    /// EIP-1967.
    event BeaconUpgraded(address indexed beacon);
    /// EIP-1967: no word on the implementation, but whoever says so is a proxy.
    event AdminChanged(address previousAdmin, address newAdmin);

    /// EIP-2535.
    struct FacetCut {
        address facetAddress;
        uint8 action;
        bytes4[] functionSelectors;
    }
    /// EIP-2535.
    event DiamondCut(FacetCut[] _diamondCut, address _init, bytes _calldata);
}

/// `FacetCutAction.Remove` of EIP-2535.
const REMOVE: u8 = 2;

/// What a log says of its emitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The emitter.
    pub contract: Address,
    /// Of a diamond: calls with this selector.
    pub selector: Option<FixedBytes<4>>,
    /// What calls are handed on to from this block on; `None`: nothing any more.
    pub address: Option<Address>,
    /// What kind of proxy the emitter is, where the log tells.
    pub proxy: Option<ProxyKind>,
}

/// All that a transaction's logs say, in their order, and emitters that are proxies without saying more.
pub fn changes(transaction: &EvmTransaction) -> (Vec<Change>, Vec<Address>) {
    let (mut changes, mut proxies) = (Vec::new(), Vec::new());
    for log in &transaction.logs {
        match log.topics.first() {
            Some(topic) if *topic == AdminChanged::SIGNATURE_HASH => proxies.push(log.address),
            Some(topic) => of_log(*topic, log, &mut changes),
            None => {}
        }
    }
    (changes, proxies)
}

fn of_log(topic: B256, log: &EvmLog, changes: &mut Vec<Change>) {
    let whole = |proxy, address| Change { contract: log.address, selector: None, address: Some(address), proxy };
    if topic == Upgraded::SIGNATURE_HASH {
        changes.extend(named(log).map(|address| whole(None, address)));
    } else if topic == BeaconUpgraded::SIGNATURE_HASH {
        changes.extend(named(log).map(|address| whole(Some(ProxyKind::Beacon), address)));
    } else if topic == DiamondCut::SIGNATURE_HASH && log.topics.len() == 1 {
        let Ok(cut) = DiamondCut::abi_decode_data_with_config(&log.data, exactly()) else { return };
        for facet in cut.0 {
            let address = (facet.action != REMOVE && !facet.facetAddress.is_zero()).then_some(facet.facetAddress);
            changes.extend(facet.functionSelectors.into_iter().map(|selector| Change {
                contract: log.address,
                selector: Some(selector),
                address,
                proxy: Some(ProxyKind::Eip2535),
            }));
        }
    }
}

/// The canonical encoding only: in any other, parts may stand for several, and a short text for more than there is room.
pub fn exactly() -> AbiDecoderConfig {
    AbiDecoderConfig::new().strict(true).validate_allow_trailing_bytes(true)
}

/// The one address that a log names: indexed, as EIP-1967 has it, or not, as proxies before it did.
fn named(log: &EvmLog) -> Option<Address> {
    let word = match (&log.topics[..], &log.data[..]) {
        ([_, topic], []) => *topic,
        ([_], data) => B256::try_from(data).ok()?,
        _ => return None,
    };
    let (zeros, address) = word.split_at(12);
    zeros.iter().all(|byte| *byte == 0).then(|| Address::from_slice(address))
}

/// Whether a record's bytes may hold such a log: hashes stand in records as lower-case hex. Far cheaper than reading it.
pub fn may_say_something(value: &[u8]) -> bool {
    static WORDS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
        let topics = [
            Upgraded::SIGNATURE_HASH,
            BeaconUpgraded::SIGNATURE_HASH,
            AdminChanged::SIGNATURE_HASH,
            DiamondCut::SIGNATURE_HASH,
        ];
        // The first half is as good as the whole, and what records share of it is nothing.
        topics.map(|topic| Finder::new(&const_hex::encode(&topic[..16])).into_owned())
    });
    WORDS.iter().any(|word| word.find(value).is_some())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, bytes};
    use alloy_sol_types::SolValue;

    use super::*;

    fn log(topics: Vec<B256>, data: impl Into<Bytes>) -> EvmLog {
        EvmLog { log_index: 0, address: Address::repeat_byte(1), topics, data: data.into() }
    }

    fn said(log: EvmLog) -> Vec<Change> {
        changes(&EvmTransaction { logs: vec![log], ..EvmTransaction::default() }).0
    }

    #[test]
    fn the_events_are_those_of_the_specifications() {
        assert_eq!(Upgraded::SIGNATURE, "Upgraded(address)");
        assert_eq!(BeaconUpgraded::SIGNATURE, "BeaconUpgraded(address)");
        assert_eq!(DiamondCut::SIGNATURE, "DiamondCut((address,uint8,bytes4[])[],address,bytes)");
    }

    #[test]
    fn an_upgrade_names_the_implementation_indexed_or_not() {
        let word = Address::repeat_byte(7).into_word();
        let expected = vec![Change {
            contract: Address::repeat_byte(1),
            selector: None,
            address: Some(Address::repeat_byte(7)),
            proxy: None,
        }];
        assert_eq!(said(log(vec![Upgraded::SIGNATURE_HASH, word], bytes!(""))), expected);
        assert_eq!(said(log(vec![Upgraded::SIGNATURE_HASH], word.to_vec())), expected);
        let beacon = said(log(vec![BeaconUpgraded::SIGNATURE_HASH, word], bytes!("")));
        assert_eq!(beacon[0].proxy, Some(ProxyKind::Beacon));
        for odd in [
            log(vec![Upgraded::SIGNATURE_HASH, B256::repeat_byte(7)], bytes!("")),
            log(vec![Upgraded::SIGNATURE_HASH, word], bytes!("00")),
            log(vec![Upgraded::SIGNATURE_HASH, word, word], bytes!("")),
            log(vec![Upgraded::SIGNATURE_HASH], bytes!("07")),
            log(vec![word], word.to_vec()),
            log(vec![], word.to_vec()),
        ] {
            assert!(said(odd.clone()).is_empty(), "{odd:?}");
        }
    }

    #[test]
    fn a_cut_names_a_facet_for_each_selector() {
        let cut = |action: u8, facet: u8, selectors: &[u8]| FacetCut {
            facetAddress: Address::repeat_byte(facet),
            action,
            functionSelectors: selectors.iter().map(|n| FixedBytes([*n; 4])).collect(),
        };
        let data = (vec![cut(0, 5, &[1, 2]), cut(2, 0, &[3])], Address::ZERO, Bytes::new()).abi_encode_params();
        let found = said(log(vec![DiamondCut::SIGNATURE_HASH], data.clone()));
        let told: Vec<_> = found.iter().map(|c| (c.selector.map(|s| s[0]), c.address.map(|a| a[0]))).collect();
        assert_eq!(told, [(Some(1), Some(5)), (Some(2), Some(5)), (Some(3), None)]);
        assert!(said(log(vec![DiamondCut::SIGNATURE_HASH], data[..data.len() - 33].to_vec())).is_empty());
        assert!(said(log(vec![DiamondCut::SIGNATURE_HASH], vec![0xff; 640])).is_empty());
        // Two parts that stand in one place are none.
        let one = (vec![cut(0, 5, &[1])], Address::ZERO, Bytes::new()).abi_encode_params();
        let mut twice = one.clone();
        twice[127] = 2;
        twice.splice(128..128, [&[0; 31][..], &[0x40]].concat());
        twice[191] = 0x40;
        assert!(said(log(vec![DiamondCut::SIGNATURE_HASH], one)).len() == 1);
        assert!(said(log(vec![DiamondCut::SIGNATURE_HASH], twice)).is_empty());
    }

    #[test]
    fn who_changes_an_admin_is_a_proxy() {
        let admin = log(vec![AdminChanged::SIGNATURE_HASH], vec![0; 64]);
        let (none, proxies) = changes(&EvmTransaction { logs: vec![admin], ..EvmTransaction::default() });
        assert!(none.is_empty() && proxies == [Address::repeat_byte(1)]);
    }

    #[test]
    fn what_may_say_something_is_seen_in_the_bytes() {
        let text = format!("..0x{}..", const_hex::encode(Upgraded::SIGNATURE_HASH));
        assert!(may_say_something(text.as_bytes()));
        assert!(!may_say_something(&text.as_bytes()[..35]) && !may_say_something(b""));
    }
}
