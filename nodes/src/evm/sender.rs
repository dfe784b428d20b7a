//! Who signed a transaction: ECDSA over secp256k1 (Yellow Paper, appendix F; EIP-155, EIP-2930, EIP-1559, EIP-4844, EIP-7702).
//! Pure.

use alloy_primitives::{Address, keccak256};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use super::{encode, wire::Transaction};

/// The sender. `None`: this type is not known here, or has no signature. `Some(None)`: the signature is none of this curve's.
pub fn recover(t: &Transaction) -> Option<Option<Address>> {
    let (payload, odd) = encode::signed_payload(t)?;
    let (r, s) = (t.r?.to_be_bytes::<32>(), t.s?.to_be_bytes::<32>());
    Some(recovered(&keccak256(payload).0, r, s, odd))
}

fn recovered(hash: &[u8; 32], r: [u8; 32], s: [u8; 32], odd: bool) -> Option<Address> {
    let signature = Signature::from_scalars(r, s).ok()?;
    // Before EIP-2 both halves of s were taken; this is the same signature written in the lower one.
    let (signature, odd) = match signature.normalize_s() {
        Some(low) => (low, !odd),
        None => (signature, odd),
    };
    let key = VerifyingKey::recover_from_prehash(hash, &signature, RecoveryId::new(odd, false)).ok()?;
    // Without the byte that says how the point is written.
    Some(Address::from_raw_public_key(&key.to_encoded_point(false).as_bytes()[1..]))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, address, b256};

    use super::*;

    /// The example of EIP-155.
    fn example() -> Transaction {
        Transaction {
            transaction_type: Some(0),
            nonce: Some(9),
            gas_price: Some(U256::from(20_000_000_000u64)),
            gas: Some(21_000),
            to: Some(Address::repeat_byte(0x35)),
            value: Some(U256::from(1_000_000_000_000_000_000u64)),
            v: Some(U256::from(37)),
            r: Some(b256!("28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276").into()),
            s: Some(b256!("67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").into()),
            ..Transaction::default()
        }
    }

    #[test]
    fn the_signer_is_found_and_whatever_is_changed_gives_another() {
        let signer = address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
        assert_eq!(recover(&example()), Some(Some(signer)));
        // The other half of s, with the other parity, is the same signature.
        let order = U256::from_be_bytes(b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").0);
        let high = Transaction { s: example().s.map(|s| order - s), v: Some(U256::from(38)), ..example() };
        assert_eq!(recover(&high), Some(Some(signer)));
        for other in [
            Transaction { nonce: Some(10), ..example() },
            Transaction { v: Some(U256::from(38)), ..example() },
            Transaction { v: Some(U256::from(39)), ..example() },
            Transaction { v: Some(U256::from(27)), ..example() },
        ] {
            assert_ne!(recover(&other), Some(Some(signer)));
        }
        for none in [U256::ZERO, order, U256::MAX] {
            assert_eq!(recover(&Transaction { r: Some(none), ..example() }), Some(None));
        }
        assert_eq!(recover(&Transaction { r: None, ..example() }), None);
        assert_eq!(recover(&Transaction { transaction_type: Some(0x42), ..example() }), None);
    }
}
