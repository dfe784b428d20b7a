//! ERC-20 and ERC-721 `Transfer` and `Approval`. The two standards share signatures and are told apart by what is indexed: an
//! ERC-20 log has three topics and one word of data, an ERC-721 log four topics and no data. Anything else is not decoded.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolEvent;
use schemas::records::{DecodedEvent, EvmLog};

mod erc20 {
    alloy_sol_types::sol! {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
    }
}

mod erc721 {
    alloy_sol_types::sol! {
        event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
        event Approval(address indexed owner, address indexed approved, uint256 indexed tokenId);
    }
}

/// The event of a log; `None` where it is not known or malformed.
pub fn decode(log: &EvmLog) -> Option<DecodedEvent> {
    let signature = *log.topics.first()?;
    let fungible = match (log.topics.len(), log.data.len()) {
        (3, 32) => true,
        (4, 0) => false,
        _ => return None,
    };
    if signature == erc20::Transfer::SIGNATURE_HASH {
        return Some(if fungible {
            let e: erc20::Transfer = event(log)?;
            decoded(erc20::Transfer::SIGNATURE, ["from", "to", "value"], e.from, e.to, e.value)
        } else {
            let e: erc721::Transfer = event(log)?;
            decoded(erc721::Transfer::SIGNATURE, ["from", "to", "tokenId"], e.from, e.to, e.tokenId)
        });
    }
    if signature == erc20::Approval::SIGNATURE_HASH {
        return Some(if fungible {
            let e: erc20::Approval = event(log)?;
            decoded(erc20::Approval::SIGNATURE, ["owner", "spender", "value"], e.owner, e.spender, e.value)
        } else {
            let e: erc721::Approval = event(log)?;
            decoded(erc721::Approval::SIGNATURE, ["owner", "approved", "tokenId"], e.owner, e.approved, e.tokenId)
        });
    }
    None
}

/// Whether a decoded event moves a token.
pub fn is_transfer(event: &DecodedEvent) -> bool {
    event.event == erc20::Transfer::SIGNATURE
}

/// Addresses with anything but zeros in front are malformed, hence the validation.
fn event<E: SolEvent>(log: &EvmLog) -> Option<E> {
    E::decode_raw_log_validate(log.topics.iter().copied(), &log.data).ok()
}

fn decoded(signature: &str, names: [&str; 3], a: Address, b: Address, n: U256) -> DecodedEvent {
    DecodedEvent {
        event: signature.to_owned(),
        arguments: format!(r#"{{"{}":"{a:#x}","{}":"{b:#x}","{}":"{n}"}}"#, names[0], names[1], names[2]),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, address, b256};

    use super::*;

    fn word(address: Address) -> B256 {
        address.into_word()
    }

    #[test]
    fn the_two_standards_are_told_apart() {
        let (from, to) = (
            address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
            address!("70997970c51812dc3a010c7d01b50e0d17dc79c8"),
        );
        // keccak256("Transfer(address,address,uint256)")
        let signature = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
        let amount = U256::from(1_000_000_000_000_000_000_000u128);
        let mut log = EvmLog {
            topics: vec![signature, word(from), word(to)],
            data: amount.to_be_bytes::<32>().into(),
            ..EvmLog::default()
        };
        let expected = r#"{"from":"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266","to":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8","value":"1000000000000000000000"}"#;
        let event = decode(&log).unwrap();
        assert_eq!((event.event.as_str(), event.arguments.as_str()), ("Transfer(address,address,uint256)", expected));
        assert!(is_transfer(&event));

        log.topics.push(B256::from(U256::from(77)));
        assert_eq!(decode(&log), None, "four topics and data");
        log.data = Default::default();
        let event = decode(&log).unwrap();
        assert!(event.arguments.ends_with(r#","tokenId":"77"}"#), "{}", event.arguments);

        // keccak256("Approval(address,address,uint256)")
        log.topics[0] = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
        let event = decode(&log).unwrap();
        assert!(event.arguments.starts_with(r#"{"owner":"0xf39f"#) && !is_transfer(&event));
        log.topics[1].0[3] = 1;
        assert_eq!(decode(&log), None, "an address with something in front");
        log.topics.truncate(3);
        assert_eq!(decode(&log), None, "three topics without data");
    }
}
