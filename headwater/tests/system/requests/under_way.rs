//! A back-fill that is paused, resumed and cancelled by the command while it is under way.

use loadtest::node::evm::{Fault, Simulator};

use super::{chain, from_the_head, list, run, state_of, up_to_the_head};
use crate::common::{Headwater, expected, number};

async fn filled(headwater: &Headwater) -> u64 {
    let sql = "SELECT count() AS n FROM block_events WHERE origin = 'backfill'";
    headwater.query(sql).await.ok().map_or(0, |rows| number(&rows[0], "n"))
}

/// The node lacks one height: what lies above waits.
fn lack(node: &Simulator, height: u64) {
    node.clear_faults();
    node.fault(format!("null#{height}").parse::<Fault>().expect("a fault"));
}

async fn until_state(headwater: &mut Headwater, id: &str, state: &str) {
    let told = async |h: &Headwater| (state_of(h, id).await.as_deref() == Some(state)).then_some(());
    headwater.until(state, told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_under_way_is_paused_resumed_and_cancelled() {
    let node = chain(120, 4).await;
    let mut headwater = Headwater::new(&[from_the_head("eth", &node)]);
    headwater.start();
    up_to_the_head(&mut headwater, "eth", &node).await;
    let fill = async |h: &Headwater, from: &str, to: &str| {
        let (code, told, said) =
            run(h, &["backfill", "--network", "eth", "--from", from, "--to", to, "--detach"]).await;
        assert_eq!(code, Some(0), "{said}");
        told.trim().to_owned()
    };
    let tell = async |h: &Headwater, what: &str, id: &str| {
        let (code, _, said) = run(h, &["backfill", what, id]).await;
        assert_eq!(code, Some(0), "{said}");
    };

    // Paused: nothing more comes, although the node would give it, and live blocks do. A kill does not forget it.
    lack(&node, 40);
    let id = fill(&headwater, "1", "80").await;
    headwater.until("what is below", async |h: &Headwater| (filled(h).await == 39).then_some(())).await;
    tell(&headwater, "pause", &id).await;
    until_state(&mut headwater, &id, "paused").await;
    node.clear_faults();
    for _ in 0..2 {
        node.advance(2).expect("advance");
        up_to_the_head(&mut headwater, "eth", &node).await;
        assert_eq!(filled(&headwater).await, 39, "{:?}", list(&headwater).await);
        headwater.kill();
        headwater.start();
    }
    // Resumed: from where it stood.
    lack(&node, 70);
    tell(&headwater, "resume", &id).await;
    headwater.until("what is below", async |h: &Headwater| (filled(h).await == 69).then_some(())).await;
    // Cancelled: what is filled stays, and is not filled again.
    tell(&headwater, "cancel", &id).await;
    until_state(&mut headwater, &id, "cancelled").await;
    node.clear_faults();
    node.advance(1).expect("advance");
    up_to_the_head(&mut headwater, "eth", &node).await;
    assert_eq!(filled(&headwater).await, 69);
    let (code, _, said) = run(&headwater, &["backfill", "resume", &id]).await;
    assert!(code == Some(1) && said.contains("is over: cancelled"), "{said}");
    let rest = fill(&headwater, "1", "80").await;
    until_state(&mut headwater, &rest, "done").await;
    headwater.until("the rest", async |h: &Headwater| (filled(h).await == 80).then_some(())).await;
    expected::assert_gapless(&headwater, "eth").await;
    assert_eq!(headwater.stop(), Some(0));
}
