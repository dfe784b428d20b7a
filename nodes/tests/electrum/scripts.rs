//! Subscriptions to scripts.

use std::{sync::Arc, time::Duration};

use nodes::bitcoin::electrum::{
    ScriptHash, Scripts, Status,
    scripts::{Known, Watch},
};
use serde_json::json;

use super::{
    client_of,
    server::{Reply, Server},
    until,
};

fn text(n: u8) -> String {
    const_hex::encode([n; 32])
}

fn known(n: u8) -> Known {
    Known::Status(Some(text(n).parse::<Status>().unwrap()))
}

async fn changed(watch: &mut Watch) -> Known {
    tokio::time::timeout(Duration::from_secs(10), watch.changed()).await.expect("a word")
}

async fn silent(watch: &mut Watch) {
    let word = tokio::time::timeout(Duration::from_millis(200), watch.changed()).await;
    assert!(word.is_err(), "{word:?}");
}

fn run(servers: &[&Arc<Server>]) -> Scripts {
    let scripts = Scripts::new(servers.iter().map(|server| client_of(server)).collect());
    tokio::spawn({
        let scripts = scripts.clone();
        async move { scripts.run().await }
    });
    scripts
}

#[tokio::test]
async fn a_script_is_subscribed_to_once_however_many_watch_it() {
    let server = Server::start().await;
    let (one, other) = (ScriptHash::of(b"one"), ScriptHash::of(b"other"));
    server.status(&one.to_string(), json!(text(1)));
    let scripts = run(&[&server]);
    let mut watches: Vec<Watch> = (0..3).map(|_| scripts.watch(one).unwrap()).collect();
    for watch in &mut watches {
        assert_eq!(changed(watch).await, known(1));
    }
    let mut second = scripts.watch(other).unwrap();
    assert_eq!(changed(&mut second).await, Known::Status(None), "it has no history yet");
    server.changed(&one.to_string(), json!(text(2)));
    for watch in &mut watches {
        assert_eq!(changed(watch).await, known(2));
    }
    silent(&mut second).await;
    assert_eq!(server.asked("blockchain.scripthash.subscribe").len(), 2);
    assert_eq!(server.most(), 1);
    // With its last watcher it ends, and may begin anew.
    drop(watches);
    until("it is ended", || !server.asked("blockchain.scripthash.unsubscribe").is_empty()).await;
    assert_eq!((scripts.len(), scripts.is_empty()), (1, false));
    assert_eq!(changed(&mut scripts.watch(one).unwrap()).await, known(2));
}

#[tokio::test]
async fn after_a_lost_connection_only_what_differs_is_told() {
    let (first, second) = (Server::start().await, Server::start().await);
    let (same, differs) = (ScriptHash::of(b"same"), ScriptHash::of(b"differs"));
    for server in [&first, &second] {
        server.status(&same.to_string(), json!(text(1)));
        server.status(&differs.to_string(), json!(text(2)));
    }
    second.status(&differs.to_string(), json!(text(3)));
    let scripts = run(&[&first, &second]);
    let (mut same, mut differs) = (scripts.watch(same).unwrap(), scripts.watch(differs).unwrap());
    assert_eq!((changed(&mut same).await, changed(&mut differs).await), (known(1), known(2)));
    first.cut();
    assert_eq!(changed(&mut differs).await, known(3));
    silent(&mut same).await;
    assert_eq!(same.known(), known(1));
    assert_eq!(second.asked("blockchain.scripthash.subscribe").len(), 2);
}

#[tokio::test]
async fn a_history_that_is_too_large_is_that_scripts_matter() {
    let server = Server::start().await;
    let (large, small) = (ScriptHash::of(b"large"), ScriptHash::of(b"small"));
    let name = large.to_string();
    server.twist(move |method, params, reply| {
        let too_large = method == "blockchain.scripthash.subscribe" && params[0] == name.as_str();
        if too_large { Reply::Error(json!({"code": 10001, "message": "history too large"})) } else { reply }
    });
    let scripts = run(&[&server]);
    let (mut large, mut small) = (scripts.watch(large).unwrap(), scripts.watch(small).unwrap());
    assert_eq!((changed(&mut large).await, changed(&mut small).await), (Known::TooLarge, Known::Status(None)));
    assert_eq!(server.most(), 1);
}
