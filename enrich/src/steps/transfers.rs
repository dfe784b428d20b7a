//! ERC-20 and ERC-721 `Transfer` and `Approval`. The two standards share signatures and are told apart by what is indexed: an
//! ERC-20 log has three topics and one word of data, an ERC-721 log four topics and no data. Anything else is not decoded.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, U256, hex};
use alloy_sol_types::SolEvent;
use schemas::{
    passing::LogView,
    records::{DecodedEvent, EvmLog},
    wire::{U256_DIGITS, decimal_text},
};

/// What the arguments take, about.
const ARGUMENTS_BYTES: usize = 160;

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

/// The signatures' hashes as they stand in a record, without `0x`.
static SIGNATURE_DIGITS: LazyLock<[[u8; 64]; 2]> = LazyLock::new(|| {
    [erc20::Transfer::SIGNATURE_HASH, erc20::Approval::SIGNATURE_HASH].map(|hash| {
        let mut digits = [0; 64];
        // Twice the bytes is all that it can object to.
        let done = hex::encode_to_slice(hash, &mut digits);
        debug_assert!(done.is_ok());
        digits
    })
});

/// A known event of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Signature in canonical form.
    pub signature: &'static str,
    names: [&'static str; 3],
    addresses: [Address; 2],
    number: U256,
}

impl Found {
    /// Appends the arguments as a JSON object.
    pub fn write_arguments(&self, out: &mut String) {
        let [mut a, mut b] = [hex::Buffer::<20, true>::new(), hex::Buffer::new()];
        let addresses: [&str; 2] = [a.format(&self.addresses[0]), b.format(&self.addresses[1])];
        let mut digits = [0; U256_DIGITS];
        let values = [addresses[0], addresses[1], decimal_text(&self.number, &mut digits)];
        for (begin, (name, value)) in ["{\"", "\",\"", "\",\""].into_iter().zip(self.names.into_iter().zip(values)) {
            [begin, name, "\":\"", value].into_iter().for_each(|part| out.push_str(part));
        }
        out.push_str("\"}");
    }
}

/// The event of a log; `None` where it is not known or malformed.
pub fn decode(log: &EvmLog) -> Option<DecodedEvent> {
    let found = of(&log.topics, &log.data)?;
    let mut arguments = String::with_capacity(ARGUMENTS_BYTES);
    found.write_arguments(&mut arguments);
    Some(DecodedEvent { event: found.signature.to_owned(), arguments })
}

/// The event of a log that was only looked at: as good as all that are none of these are told by their first topic's text.
pub fn look(log: &LogView<'_>) -> Option<Found> {
    let first = log.topic_digits(0)?;
    if !SIGNATURE_DIGITS.iter().any(|known| known == first) {
        return None;
    }
    let topic = |at| log.topic(at);
    match (log.topics(), log.data_len()) {
        (3, 32) => of(&[topic(0)?, topic(1)?, topic(2)?], &log.data::<32>()?),
        (4, 0) => of(&[topic(0)?, topic(1)?, topic(2)?, topic(3)?], &[]),
        _ => None,
    }
}

fn of(topics: &[B256], data: &[u8]) -> Option<Found> {
    let signature = *topics.first()?;
    let fungible = match (topics.len(), data.len()) {
        (3, 32) => true,
        (4, 0) => false,
        _ => return None,
    };
    if signature == erc20::Transfer::SIGNATURE_HASH {
        return Some(if fungible {
            let e: erc20::Transfer = event(topics, data)?;
            found(erc20::Transfer::SIGNATURE, ["from", "to", "value"], [e.from, e.to], e.value)
        } else {
            let e: erc721::Transfer = event(topics, data)?;
            found(erc721::Transfer::SIGNATURE, ["from", "to", "tokenId"], [e.from, e.to], e.tokenId)
        });
    }
    if signature == erc20::Approval::SIGNATURE_HASH {
        return Some(if fungible {
            let e: erc20::Approval = event(topics, data)?;
            found(erc20::Approval::SIGNATURE, ["owner", "spender", "value"], [e.owner, e.spender], e.value)
        } else {
            let e: erc721::Approval = event(topics, data)?;
            found(erc721::Approval::SIGNATURE, ["owner", "approved", "tokenId"], [e.owner, e.approved], e.tokenId)
        });
    }
    None
}

/// Whether a decoded event moves a token.
pub fn is_transfer(signature: &str) -> bool {
    signature == erc20::Transfer::SIGNATURE
}

/// Addresses with anything but zeros in front are malformed, hence the validation.
fn event<E: SolEvent>(topics: &[B256], data: &[u8]) -> Option<E> {
    E::decode_raw_log_validate(topics.iter().copied(), data).ok()
}

fn found(signature: &'static str, names: [&'static str; 3], addresses: [Address; 2], number: U256) -> Found {
    Found { signature, names, addresses, number }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256};

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
        assert!(is_transfer(&event.event));

        log.topics.push(B256::from(U256::from(77)));
        assert_eq!(decode(&log), None, "four topics and data");
        log.data = Default::default();
        let event = decode(&log).unwrap();
        assert!(event.arguments.ends_with(r#","tokenId":"77"}"#), "{}", event.arguments);

        // keccak256("Approval(address,address,uint256)")
        log.topics[0] = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
        let event = decode(&log).unwrap();
        assert!(event.arguments.starts_with(r#"{"owner":"0xf39f"#) && !is_transfer(&event.event));
        log.topics[1].0[3] = 1;
        assert_eq!(decode(&log), None, "an address with something in front");
        log.topics.truncate(3);
        assert_eq!(decode(&log), None, "three topics without data");
    }
}
