//! Liars: headers without work, blocks that link to none, blocks that are not what their headers say. Each is put into quarantine, and
//! nothing of it is given.

use std::time::Duration;

use nodes::{ChainSource, Word};
use schemas::records::ProviderState;

use crate::{at, chain, fleet, state_of, three, until, until_head, until_quarantined};

async fn a_server_lies(fault: &str) {
    let sim = chain(40, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    sim.endpoint("two").expect("it is there").fault(fault.parse().expect("a fault"));
    sim.advance(1).expect("it grows");
    until_quarantined(&fleet, "two").await;
    for _ in 0..3 {
        sim.advance(1).expect("it grows");
        let head = until_head(&mut heads, &sim).await;
        assert_eq!(fleet.second_word(&head).await, Word::Agrees);
    }
    for name in ["core", "one"] {
        assert_ne!(state_of(&fleet, name).state, ProviderState::Quarantined, "{name}");
    }
    let lie = state_of(&fleet, "two").lie.expect("what it said");
    assert!(!lie.said.is_empty() && !lie.right.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_without_work() {
    a_server_lies("no-work").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_links_to_none() {
    a_server_lies("unlinked").await;
}

/// Heights are nobody's proof: true headers at heights that are a little too high, or so much that they begin anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_at_a_height_that_is_too_high() {
    for fault in ["shifted:5", "shifted:3000"] {
        a_server_lies(fault).await;
    }
}

/// Whoever was first is no more right for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_height_that_was_shown_first_is_taken_back() {
    let sim = chain(200, three()).await;
    let endpoint = |name: &str| sim.endpoint(name).expect("it is there");
    endpoint("one").fault("shifted:5".parse().expect("a fault"));
    for name in ["core", "two"] {
        endpoint(name).fault("refused".parse().expect("a fault"));
    }
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    let shifted = sim.head() + 5;
    let is = |view: &nodes::HeadView| view.head.as_ref().is_some_and(|head| head.height == shifted);
    let first = tokio::time::timeout(Duration::from_secs(10), heads.wait_for(is)).await.is_ok();
    assert!(first, "it alone is heard");
    for name in ["core", "two"] {
        endpoint(name).clear_faults();
    }
    until("it is in quarantine", Duration::from_secs(30), || {
        state_of(&fleet, "one").state == ProviderState::Quarantined
    })
    .await;
    sim.advance(1).expect("it grows");
    let right = sim.head();
    let is = |view: &nodes::HeadView| view.head.as_ref().is_some_and(|head| head.height == right);
    let told = tokio::time::timeout(Duration::from_secs(10), heads.wait_for(is)).await.is_ok();
    assert!(told, "block {right}");
    for name in ["core", "two"] {
        assert_ne!(state_of(&fleet, name).state, ProviderState::Quarantined, "{name}");
    }
}

/// A body that is not its header's comes from the next Core at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_its_headers() {
    use loadtest::node::bitcoin::EndpointConfig;
    for fault in ["changed-transaction", "doubled-transactions"] {
        let sim = chain(30, vec![EndpointConfig::core("core"), EndpointConfig::core("other")]).await;
        sim.endpoint("core").expect("it is there").fault(fault.parse().expect("a fault"));
        let fleet = fleet(&sim);
        let mut heads = fleet.heads();
        until_head(&mut heads, &sim).await;
        // Whoever is asked first.
        for height in 5..15 {
            let block = fleet.fetch(height, None).await.expect("the other has it");
            assert_eq!(block.head.hash.as_str(), at(&sim, height).hash);
            if state_of(&fleet, "core").state == ProviderState::Quarantined {
                break;
            }
        }
        until_quarantined(&fleet, "core").await;
    }
}

/// A server that is on a branch of its own is no liar: it has less work, and is of another mind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_branch_is_no_lie() {
    let sim = chain(40, three()).await;
    let fleet = fleet(&sim);
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    sim.endpoint("two").expect("it is there").fault("other-branch:2".parse().expect("a fault"));
    for _ in 0..3 {
        sim.advance(1).expect("it grows");
        let head = until_head(&mut heads, &sim).await;
        assert_eq!(fleet.second_word(&head).await, Word::Agrees, "two of three");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(state_of(&fleet, "two").state, ProviderState::Quarantined);
}
