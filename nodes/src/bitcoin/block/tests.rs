use super::{merkle::double_sha256, *};

/// Block 111 of a chain for tests, as Knots 29.4 made it: a coinbase with a commitment, and a transaction without witnesses.
const RAW: &[u8] = include_bytes!("../../../../loadtest/data/bitcoin/regtest/0000111.raw");
const HASH: &str = "11199054781201ca916a1966b8ef791c50baefd3cc67b0f1c7e0f1b622cb5f53";
/// Bytes of the header and of the coinbase in it.
const COINBASE: std::ops::Range<usize> = 81..252;

fn read(raw: &[u8], chain: BitcoinChain, height: u64) -> Result<Body, NodeErrorKind> {
    Body::read(Bytes::copy_from_slice(raw), chain, height)
}

fn lie(outcome: Result<Body, NodeErrorKind>) -> String {
    match outcome {
        Err(NodeErrorKind::Lying(lie)) => lie,
        other => panic!("no lie: {other:?}"),
    }
}

fn known(chain: BitcoinChain, height: u64) -> Known {
    Known { chain, height, median_time: None, chain_work: None }
}

fn spent(value: u64) -> Vec<Vec<BitcoinPrevout>> {
    vec![Vec::new(), vec![BitcoinPrevout { value, ..BitcoinPrevout::default() }]]
}

/// The transaction.
fn payment() -> Vec<u8> {
    RAW[COINBASE.end..].to_vec()
}

/// The coinbase without its witness: what was before SegWit.
fn old_coinbase() -> Vec<u8> {
    let coinbase = &RAW[COINBASE];
    let (end, lock_time) = (coinbase.len() - 4 - 34, coinbase.len() - 4);
    [&coinbase[..4], &coinbase[6..end], &coinbase[lock_time..]].concat()
}

/// A block of transactions without witnesses, with a header that fits them where that is possible.
fn block_of(transactions: &[Vec<u8>]) -> Vec<u8> {
    let leaves = transactions.iter().map(|bytes| double_sha256(&[bytes])).collect();
    let mut raw = RAW[..80].to_vec();
    raw[36..68].copy_from_slice(&merkle::witness_root(leaves));
    raw.push(u8::try_from(transactions.len()).unwrap());
    raw.extend(transactions.concat());
    raw
}

#[test]
fn a_block_is_read_whole() {
    let body = read(RAW, BitcoinChain::Regtest, 111).unwrap();
    assert_eq!(body.header().hash.to_string(), HASH);
    assert_eq!((body.weight(), body.spends_any(), body.spends().collect::<Vec<_>>()), (1_800, true, vec![0, 1]));
    let txids: Vec<String> = body.txids().map(|txid| txid.to_string()).collect();
    assert_eq!(
        txids,
        [
            "bd99ac5851443ce6c90202a383ff7c9cebdf9af216ca1063ee1af0efdcf1d2e7",
            "c0119aeb17280406e20c2ce04682372f00fdef4e113b3a2655bc4547af71e7a5",
        ]
    );
    let block = body.with(known(BitcoinChain::Regtest, 111), spent(5_000_000_000)).unwrap();
    let header = &block.header;
    assert_eq!((header.size, header.stripped_size, header.weight), (Some(477), Some(441), Some(1_800)));
    assert_eq!(header.coinbase.as_deref().map(|script| &script[..]), Some(&[1, 0x6f, 0][..]));
    assert_eq!((block.tx_count(), block.log_count(), block.head().height), (2, 0, 111));
    assert_eq!(block.head.hash.as_str(), HASH);
    let raw: Vec<u8> = block.transactions.iter().flat_map(|transaction| transaction.raw.to_vec()).collect();
    assert_eq!(raw, RAW[81..], "nothing is left out");
    assert_eq!(block.transactions.iter().map(|t| t.transaction_index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(block.transactions[1].prevouts[0].value, 5_000_000_000);
}

#[test]
fn no_bit_of_it_can_be_another() {
    for at in (36..68).chain(80..RAW.len()) {
        for bit in 0..8 {
            let mut raw = RAW.to_vec();
            raw[at] ^= 1 << bit;
            assert!(read(&raw, BitcoinChain::Regtest, 111).is_err(), "bit {bit} of byte {at}");
        }
    }
    for cut in 0..RAW.len() {
        let cut = read(&RAW[..cut], BitcoinChain::Regtest, 111);
        assert!(matches!(cut, Err(NodeErrorKind::Malformed(_))), "{cut:?}");
    }
    let more = [RAW, &[0]].concat();
    assert!(matches!(read(&more, BitcoinChain::Regtest, 111), Err(NodeErrorKind::Malformed(_))));
}

#[test]
fn a_tree_that_others_fit_too_is_refused() {
    let mut other = payment();
    *other.last_mut().unwrap() = 1;
    let three = [old_coinbase(), payment(), other.clone()];
    let of = |transactions: &[Vec<u8>]| read(&block_of(transactions), BitcoinChain::Main, 200);
    assert_eq!(of(&three).unwrap().spends().count(), 3);
    let doubled = [&three[..], &[other]].concat();
    assert_eq!(block_of(&three)[36..68], block_of(&doubled)[36..68], "the same root");
    assert!(lie(of(&doubled)).contains("doubled"));
    assert!(lie(of(&[payment(), old_coinbase()])).contains("no coinbase"));
    assert!(lie(of(&[old_coinbase(), payment(), old_coinbase()])).contains("another coinbase"));
    assert!(lie(of(&[])).contains("no coinbase"));
}

#[test]
fn witnesses_are_those_that_were_committed_to() {
    let stripped = block_of(&[old_coinbase(), payment()]);
    assert_eq!(stripped[..80], RAW[..80], "an id has no witness in it");
    assert!(lie(read(&stripped, BitcoinChain::Regtest, 111)).contains("32 bytes"));
    assert!(read(&stripped, BitcoinChain::Main, 111).is_ok(), "before SegWit there were none");
    let mut without = RAW.to_vec();
    // The mark of the commitment.
    let mark = without.windows(4).position(|bytes| bytes == [0xaa, 0x21, 0xa9, 0xed]).unwrap();
    without[mark] = 0;
    let coinbase = double_sha256(&[&without[81..85], &without[87..252 - 38], &without[252 - 4..252]]);
    let root = merkle::hash_pair(&coinbase, &double_sha256(&[&payment()]));
    without[36..68].copy_from_slice(&root);
    assert!(lie(read(&without, BitcoinChain::Regtest, 111)).contains("no commitment"));
}

#[test]
fn a_coinbase_says_its_height_where_it_must() {
    assert!(read(RAW, BitcoinChain::Testnet4, 111).is_ok());
    assert!(lie(read(RAW, BitcoinChain::Testnet4, 112)).contains("says height 111, not 112"));
    assert!(read(RAW, BitcoinChain::Main, 112).is_ok(), "not yet");
}

#[test]
fn what_is_spent_covers_what_is_given() {
    let with = |chain, value| read(RAW, chain, 111).unwrap().with(known(chain, 111), spent(value));
    assert!(with(BitcoinChain::Signet, 5_000_000_000).is_ok());
    for (value, said) in [
        (4_999_997_749, "gives 4999997750 satoshi and spends 4999997749"),
        (4_999_999_999, "its coinbase takes 5000002250 satoshi, and subsidy and fees are 5000002249"),
        (u64::MAX, "more than all coins"),
    ] {
        match with(BitcoinChain::Signet, value) {
            Err(NodeErrorKind::Lying(lie)) => assert!(lie.contains(said), "{lie}"),
            other => panic!("{value}: {other:?}"),
        }
    }
    assert!(with(BitcoinChain::Regtest, 4_999_999_999).is_ok(), "subsidies of such chains are whatever they were made");
    let body = || read(RAW, BitcoinChain::Regtest, 111).unwrap();
    for wrong in [vec![], vec![Vec::new()], vec![Vec::new(), Vec::new()], spent(1)[..1].to_vec()] {
        assert!(matches!(body().with(known(BitcoinChain::Regtest, 111), wrong), Err(NodeErrorKind::Lying(_))));
    }
}

#[test]
fn what_the_block_itself_makes_is_told_as_it_is() {
    // Spends the second output of the payment.
    let child = |output: u8| {
        let mut bytes = vec![2, 0, 0, 0, 1];
        bytes.extend(double_sha256(&[&payment()]));
        bytes.extend([output, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]);
        bytes.extend(149_000_000_u64.to_le_bytes());
        bytes.extend([1, 0x51, 0, 0, 0, 0]);
        bytes
    };
    let with = |output: u8, value: u64, script: &[u8]| {
        let raw = block_of(&[old_coinbase(), payment(), child(output)]);
        let made = BitcoinPrevout { value, script: Bytes::copy_from_slice(script), ..BitcoinPrevout::default() };
        let mut prevouts = spent(5_000_000_000);
        prevouts.push(vec![made]);
        read(&raw, BitcoinChain::Main, 200).unwrap().with(known(BitcoinChain::Main, 200), prevouts)
    };
    let script = const_hex::decode("76a914085570668a8a74b26bde935752243473bbc824dd88ac").unwrap();
    assert!(with(1, 150_000_000, &script).is_ok());
    for wrong in [with(1, 150_000_001, &script), with(1, 150_000_000, &[0x51]), with(7, 150_000_000, &script)] {
        assert!(matches!(&wrong, Err(NodeErrorKind::Lying(lie)) if lie.contains("of transaction 1")), "{wrong:?}");
    }
}

#[test]
fn what_claims_to_be_long_takes_no_room() {
    let mut raw = RAW[..80].to_vec();
    raw.extend([0xfe, 0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(read(&raw, BitcoinChain::Main, 1), Err(NodeErrorKind::Malformed(_))));
    let mut inputs = RAW[..81].to_vec();
    inputs.extend([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(read(&inputs, BitcoinChain::Main, 1), Err(NodeErrorKind::Malformed(_))));
    let padded = [&RAW[..80], &[0xfd, 2, 0], &RAW[81..]].concat();
    assert!(
        matches!(read(&padded, BitcoinChain::Regtest, 111), Err(NodeErrorKind::Malformed(said)) if said.contains("shortest"))
    );
    let large = vec![0; limits::BLOCK_BYTES + 1];
    assert!(matches!(read(&large, BitcoinChain::Main, 1), Err(NodeErrorKind::TooLarge(_))));
}
