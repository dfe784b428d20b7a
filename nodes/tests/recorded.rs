//! Every recorded block parses, hashes to what it states where its chain allows that, and survives small lies not at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, U256};
use nodes::evm::{
    Checks, assemble,
    verify::{Weight, senders, verify},
    wire::{self, Answer, Wire, parse_answer},
};

/// Folders with recorded blocks: the repository's, and the full set when `HEADWATER_DATA` names it.
fn roots() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/evm");
    let full = std::env::var_os("HEADWATER_DATA").map(|d| PathBuf::from(d).join("evm"));
    std::iter::once(own).chain(full).collect()
}

/// Paths of files with this name, two levels down.
fn find(root: &Path, name: &str) -> Vec<PathBuf> {
    let folders = |p: &Path| fs::read_dir(p).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut found: Vec<_> =
        folders(root).iter().flat_map(|c| folders(c)).map(|b| b.join(name)).filter(|p| p.is_file()).collect();
    found.sort();
    found
}

fn read<T: Wire>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    match parse_answer(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
        Answer::Result(v) => v,
        _ => panic!("{}: no result", path.display()),
    }
}

/// What the recorder found to hold, per chain.
fn checks(chain: &str) -> Checks {
    let all = Checks::all(Weight::Decide);
    match chain {
        // Arbitrum's internal transactions have an encoding of their own, and the base fee is paid, whatever was offered.
        "arbitrum" => Checks { transactions_root: Weight::Off, price: Weight::Off, ..all },
        // Ethermint: headers and roots are Tendermint's.
        "cronos" => Checks { transaction_hashes: Weight::Decide, created: Weight::Decide, ..Checks::OFF },
        _ => all,
    }
}

fn chain_of(path: &Path) -> &str {
    path.parent().and_then(Path::parent).and_then(Path::file_name).and_then(|n| n.to_str()).unwrap()
}

#[test]
fn recorded_blocks_parse_and_hash_to_what_they_state() {
    let (mut blocks, mut transactions) = (0, 0);
    for path in roots().iter().flat_map(|r| find(r, "receipts.json")) {
        let (block_path, what) = (path.with_file_name("block.json"), path.display());
        let (block, receipts) = (read::<wire::Block>(&block_path), read::<Vec<wire::Receipt>>(&path));
        let number = block.number.unwrap();
        verify(&block, &receipts, number, &checks(chain_of(&path))).unwrap_or_else(|lie| panic!("{what}: {lie}"));
        let logs: usize = receipts.iter().map(|r| r.logs.as_ref().map_or(0, Vec::len)).sum();
        let gas: u64 = receipts.iter().filter_map(|r| r.gas_used).sum();
        let assembled = assemble(block, receipts).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(assembled.log_count as usize, logs, "{what}");
        assert_eq!(assembled.transactions.iter().map(|t| t.receipt_gas_used).sum::<u64>(), gas, "{what}");
        let indexes: Vec<u32> = assembled.transactions.iter().map(|t| t.transaction_index).collect();
        assert_eq!(indexes, (0..indexes.len() as u32).collect::<Vec<_>>(), "{what}");
        blocks += 1;
        transactions += assembled.transactions.len();
    }
    assert!(blocks >= 23 && transactions > 1_400, "{blocks} blocks, {transactions} transactions");
}

#[test]
fn blocks_without_receipts_and_single_objects_are_accepted() {
    let Some(root) = std::env::var_os("HEADWATER_DATA").map(|d| PathBuf::from(d).join("evm")) else { return };
    for path in find(&root, "block.json") {
        let block: wire::Block = read(&path);
        assert!(block.hash.is_some() && block.number.is_some(), "{}", path.display());
    }
    let single = |name: &str| root.join(name);
    let entries = |folder: &str| fs::read_dir(single(folder)).unwrap().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut seen = 0;
    for path in ["single-objects", "ethereum-etl-rpc-1755634"].iter().flat_map(|f| entries(f)) {
        let name = path.file_name().unwrap().to_string_lossy().to_ascii_lowercase();
        if name.contains("receipt") {
            assert!(read::<wire::Receipt>(&path).transaction_hash.is_some(), "{name}");
        } else if name.contains("latest_false") {
            assert!(read::<wire::Head>(&path).hash.is_some(), "{name}");
        } else if name.contains("block") {
            assert!(read::<wire::Block>(&path).hash.is_some(), "{name}");
        } else {
            assert!(read::<wire::Transaction>(&path).hash.is_some(), "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
    let tron: wire::Block = read(&single("single-objects/hypersync_tron_block_without_tx.json"));
    assert_eq!(tron.state_root, None, "an empty root is none");
    let scalar: wire::Receipt = read(&single("single-objects/hypersync_optimism_tx_receipt.json"));
    assert_eq!(scalar.l1_fee_scalar.unwrap().0, "0.684");
}

fn sample() -> (wire::Block, Vec<wire::Receipt>, u64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/evm/ethereum/19433902");
    let block: wire::Block = read(&folder.join("block.json"));
    let number = block.number.unwrap();
    (block, read(&folder.join("receipts.json")), number)
}

#[test]
fn lies_are_found() {
    type Lie = fn(&mut wire::Block, &mut Vec<wire::Receipt>);
    let lies: [(&str, Lie); 19] = [
        ("asked for block", |b, _| b.number = Some(1)),
        ("but 170 receipts", |_, r| drop(r.pop())),
        ("different hashes", |_, r| r.swap(3, 4)),
        ("another block", |_, r| r[7].block_hash = Some(B256::repeat_byte(1))),
        ("another index", |_, r| r[7].transaction_index = Some(8)),
        ("hash to", |b, _| b.gas_used = Some(1)),
        ("does not hash", |b, _| b.transactions.as_mut().unwrap()[5].value = Some(U256::from(1))),
        ("blooms", |_, r| r[0].logs_bloom = Some(alloy_primitives::Bloom::repeat_byte(0xff))),
        ("receipts have root", |_, r| r[9].status = Some(0)),
        ("receipts have root", |_, r| r[9].cumulative_gas_used = Some(1)),
        ("receipts have root", |_, r| {
            r.iter_mut().find(|r| !r.logs.as_ref().unwrap().is_empty()).unwrap().logs = Some(vec![])
        }),
        ("different hashes", |_, r| r[0].transaction_hash = None),
        ("receipt 9 lacks", |_, r| r[9].cumulative_gas_used = None),
        ("gas were used", |_, r| r[9].gas_used = Some(1)),
        ("states a price", |_, r| r[9].effective_gas_price = Some(U256::from(1))),
        ("it is a call", |_, r| r[9].contract_address = r[8].logs.as_ref().unwrap()[0].address),
        ("another index", |b, _| b.transactions.as_mut().unwrap()[7].transaction_index = Some(6)),
        ("lacks `mixHash`", |b, _| b.mix_hash = None),
        ("transaction 5 lacks", |b, _| b.transactions.as_mut().unwrap()[5].r = None),
    ];
    for (says, lie) in lies {
        let (mut block, mut receipts, number) = sample();
        lie(&mut block, &mut receipts);
        let found = verify(&block, &receipts, number, &Checks::all(Weight::Decide)).unwrap_err();
        assert!(found.contains(says), "{found} should say {says}");
    }
}

#[test]
fn addresses_of_created_contracts_follow_from_maker_and_nonce() {
    let mut created = 0;
    for path in roots().iter().flat_map(|r| find(r, "receipts.json")) {
        let block = read::<wire::Block>(&path.with_file_name("block.json"));
        let number = block.number.unwrap();
        let checks = Checks { created: Weight::Decide, ..Checks::OFF };
        let receipts = read::<Vec<wire::Receipt>>(&path);
        for i in (0..receipts.len()).filter(|i| receipts[*i].contract_address.is_some()) {
            let mut told = receipts.clone();
            told[i].contract_address = Some(alloy_primitives::Address::repeat_byte(1));
            let lie = verify(&block, &told, number, &checks).unwrap_err();
            assert!(lie.starts_with(&format!("receipt {i} states the created contract")), "{lie}");
            created += 1;
        }
    }
    assert!(created > 0);
}

#[test]
fn senders_are_those_who_signed() {
    let mut signed = 0;
    for path in roots().iter().flat_map(|r| find(r, "block.json")) {
        let Some(mut list) = read::<wire::Block>(&path).transactions else { continue };
        let checks = Checks::all(Weight::Decide).with_senders();
        senders(0, &list, &checks).unwrap_or_else(|lie| panic!("{}: {lie}", path.display()));
        // Deposits and system transactions have no signature, so their sender is the node's word.
        let by_signature = |t: &wire::Transaction| t.transaction_type.unwrap_or_default() <= 4;
        if let Some(i) = list.iter().position(by_signature) {
            list[i].from = Some(alloy_primitives::Address::repeat_byte(1));
            let lie = senders(100, &list, &checks).unwrap_err();
            assert!(lie.starts_with(&format!("transaction {} was signed by", 100 + i)), "{lie}");
            assert!(senders(0, &list, &Checks::all(Weight::Decide)).is_ok(), "not asked for");
            signed += 1;
        }
    }
    assert!(signed > 10, "{signed}");
}

#[test]
fn blooms_that_are_left_out_are_made_from_the_logs() {
    let (block, mut receipts, number) = sample();
    receipts.iter_mut().for_each(|r| r.logs_bloom = None);
    verify(&block, &receipts, number, &Checks::all(Weight::Decide)).unwrap();
}

#[test]
fn what_is_not_decisive_only_counts() {
    let (mut block, receipts, number) = sample();
    block.gas_used = Some(1);
    assert!(verify(&block, &receipts, number, &Checks::all(Weight::Count)).is_ok());
    assert!(verify(&block, &receipts, number, &Checks::OFF).is_ok());
}

/// Costs per transaction; run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "measures, asserts nothing about speed"]
fn cost_of_parsing_and_verifying() {
    let texts: Vec<(String, String, Checks)> = find(&roots()[0], "receipts.json")
        .iter()
        .map(|p| {
            let block = fs::read_to_string(p.with_file_name("block.json")).unwrap();
            (block, fs::read_to_string(p).unwrap(), checks(chain_of(p)))
        })
        .collect();
    // The least of several rounds: what else runs on the machine only ever adds.
    let mut least = [f64::INFINITY; 4];
    let mut transactions = 0;
    for _ in 0..60 {
        let mut sums = [0.0; 4];
        transactions = 0;
        for (b, r, checks) in &texts {
            let t0 = std::time::Instant::now();
            let (Answer::Result(block), Answer::Result(receipts)) =
                (parse_answer::<wire::Block>(b).unwrap(), parse_answer::<Vec<wire::Receipt>>(r).unwrap())
            else {
                panic!("no result")
            };
            let t1 = std::time::Instant::now();
            verify(&block, &receipts, block.number.unwrap(), checks).unwrap();
            let t2 = std::time::Instant::now();
            senders(0, block.transactions.as_deref().unwrap_or_default(), &checks.with_senders()).unwrap();
            let t3 = std::time::Instant::now();
            let assembled = assemble(block, receipts).unwrap();
            let t4 = std::time::Instant::now();
            transactions += assembled.transactions.len();
            for (sum, took) in sums.iter_mut().zip([t1 - t0, t2 - t1, t3 - t2, t4 - t3]) {
                *sum += took.as_secs_f64();
            }
        }
        for (l, s) in least.iter_mut().zip(sums) {
            *l = l.min(s);
        }
    }
    let [parse, check, recover, join] = least.map(|s| s * 1e6 / transactions as f64);
    eprintln!("µs per transaction: parse {parse:.2}, verify {check:.2}, senders {recover:.2}, assemble {join:.2}");
}
