//! On a real EVM node (anvil): traces of what really failed, over a reorg that the node makes itself.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use loadtest::node::anvil::Anvil;
use schemas::records::{CauseEvidence, EvmTransaction};
use serde_json::{Value, json};

use crate::bench::{Bench, nodes};

/// Reverts with what follows the first four bytes of its calldata.
const MIRROR: &[u8] = &hex!("600b8060095f395ff3" "60043603806004" "5f375ffd");
/// Always an invalid instruction.
const BURNER: &[u8] = &hex!("60fe5f5360015ff3");

/// A call of the mirror that makes it revert with `Error(string)`.
fn error(text: &str) -> Vec<u8> {
    let mut call = hex!("aaaaaaaa" "08c379a0").to_vec();
    call.extend(B256::with_last_byte(0x20));
    call.extend(B256::with_last_byte(u8::try_from(text.len()).expect("short")));
    call.extend(text.as_bytes());
    call.resize(8 + 64 + text.len().div_ceil(32) * 32, 0);
    call
}

struct Real {
    anvil: Anvil,
    from: Value,
}

impl Real {
    async fn send(&self, to: Option<Address>, data: &[u8]) -> Value {
        let mut transaction = json!({"from": self.from, "data": hex::encode_prefixed(data), "gas": "0x30d40"});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let hash = self.anvil.call("eth_sendTransaction", json!([transaction])).await;
        self.anvil.receipt(&hash).await
    }

    async fn deploy(&self, code: &[u8]) -> Address {
        let receipt = self.send(None, code).await;
        receipt["contractAddress"].as_str().expect("made").parse().expect("an address")
    }
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().expect("text").trim_start_matches("0x"), 16).expect("a number")
}

/// Height, hash and transaction, as ingest would write them.
fn transaction(receipt: &Value, to: Address, input: &[u8]) -> (u64, B256, EvmTransaction) {
    let hash = |name: &str| receipt[name].as_str().expect("text").parse::<B256>().expect("a hash");
    let transaction = EvmTransaction {
        hash: hash("transactionHash"),
        from_address: receipt["from"].as_str().expect("text").parse().expect("an address"),
        to_address: Some(to),
        value: U256::ZERO,
        input: Bytes::copy_from_slice(input),
        gas: 200_000,
        receipt_gas_used: number(&receipt["gasUsed"]),
        receipt_status: Some(number(&receipt["status"])),
        ..EvmTransaction::default()
    };
    (number(&receipt["blockNumber"]), hash("blockHash"), transaction)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_real_node_traced_is_of_the_block_and_of_no_other() {
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let from = anvil.call("eth_accounts", json!([])).await[0].clone();
    let real = Real { anvil, from };
    let (mirror, burner) = (real.deploy(MIRROR).await, real.deploy(BURNER).await);
    let mut bench = Bench::new().await;
    bench.config.nodes = nodes(&real.anvil.url());
    let running = bench.start();

    let text = error("UniswapV2Router: EXPIRED");
    let (height, first, reverts) = transaction(&real.send(Some(mirror), &text).await, mirror, &text);
    assert_eq!(reverts.receipt_status, Some(0));
    bench.apply(height, first, vec![reverts]).await;
    let causes = bench.until(1).await;
    assert_eq!((causes[0].found_by, causes[0].frame_address), (CauseEvidence::Trace, Some(mirror)));
    assert_eq!((causes[0].cause.as_str(), causes[0].approximate), ("deadline", false), "{:?}", causes[0]);
    assert_eq!(causes[0].output[..], text[4..]);

    let (height, second, burns) = transaction(&real.send(Some(burner), &text).await, burner, &text);
    bench.apply(height, second, vec![burns]).await;
    let causes = bench.until(2).await;
    assert_eq!(causes[1].found_by, CauseEvidence::Trace);
    assert!(["assert", "bad_code"].contains(&causes[1].cause.as_str()), "not the gas limit: {:?}", causes[1]);

    // The node makes another branch while the stage stands still: of what is gone nothing is known any more.
    running.stop().await;
    let (height, gone, reverts) = transaction(&real.send(Some(mirror), &text).await, mirror, &text);
    let depth = real.anvil.head().await.0 - height + 1;
    real.anvil.call("anvil_reorg", json!([depth, []])).await;
    bench.apply(height, gone, vec![reverts.clone()]).await;
    bench.revert(height, gone).await;
    let (again, other, reverts) = transaction(&real.send(Some(mirror), &text).await, mirror, &text);
    bench.apply(again, other, vec![reverts]).await;
    let running = bench.start();
    let causes = bench.until(4).await;
    running.stop().await;
    let of = |hash: B256| causes.iter().find(|cause| cause.block_hash == hash.into()).expect("one");
    assert_eq!((of(gone).found_by, of(other).found_by), (CauseEvidence::Receipt, CauseEvidence::Trace));
}
