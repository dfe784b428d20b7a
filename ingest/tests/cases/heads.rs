//! Heads of another form on a subscription: not read, but worth asking.

use std::time::Duration;

use ingest::Start;
use loadtest::node::fixed::{Reply, recorded, stacked};
use serde_json::{Value, json};

use crate::{common::endpoints, run::Run};

/// What nodes push for a new head besides a header.
fn forms(block: &Value) -> Vec<Value> {
    vec![
        json!(block["hash"]),
        json!({"header": block}),
        json!({"number": block["number"]}),
        json!({"number": "latest", "hash": 7}),
        Value::Null,
        json!([block]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_of_another_form_is_asked_for() {
    let blocks = recorded("sei-block-receipts-error").expect("blocks");
    let mut run = Run::with(blocks, 1329, |config, node| {
        config.networks[0].start = Start::Height(node.blocks()[0].height());
        endpoints(config)[0].ws = Some(node.ws_url().parse().expect("a URL"));
        // Polling by itself would come too late.
        (config.tuning.poll_min, config.tuning.poll_max) = (Duration::from_secs(60), Duration::from_secs(600));
    })
    .await;
    run.whole().await;
    for n in 0..forms(&Value::Null).len() {
        let blocks = run.node.blocks();
        let top = blocks.last().expect("a block");
        run.node.replace(stacked(&blocks, &[top.height() + 1], Some(&top.hash()), 1));
        let new = run.node.blocks().pop().expect("a block");
        // Until somebody listens.
        let push = async {
            while run.node.push(forms(&new.block)[n].clone()) == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), push).await.expect("a subscriber");
        run.whole().await;
    }
    run.stop().await;
}

/// A node whose newest header is `null` for a while is one that starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_head_yet_is_waited_for() {
    let latest = json!("latest");
    let mut run = Run::case("sei-block-receipts-error", 1329, |node| {
        node.quirk(move |asked, _| (asked.params.first() == Some(&latest)).then_some(Reply::Result(Value::Null)));
    })
    .await;
    run.asked("eth_getBlockByNumber", 5).await;
    run.node.behave();
    assert_eq!(run.whole().await.blocks.len(), 5);
    run.stop().await;
}
