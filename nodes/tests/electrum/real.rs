//! A real Electrum server over a real node. Whoever judges what our client read is another client, which shares no code with it.

use std::{path::PathBuf, time::Duration};

use electrum_client::{Client, ElectrumApi, bitcoin::Script};
use loadtest::node::bitcoind::{Bitcoind, ElectrumX};
use nodes::bitcoin::{
    Endpoint,
    electrum::{
        ElectrumClient, Push, ScriptHash, Scripts, Status, Subscription,
        scripts::{Known, Watch},
    },
    header::Header,
};
use schemas::{BitcoinHash, bitcoin::BitcoinChain};

use super::tuning;

/// What [`Bitcoind::mine`] pays to: anybody.
const ANYBODY: [u8; 1] = [0x51];
/// ElectrumX waits a second before it tells of a block.
const SOON: Duration = Duration::from_secs(30);

fn client_at(url: &str) -> ElectrumClient {
    let endpoint = Endpoint::new("real", url.parse().unwrap());
    ElectrumClient::new(endpoint, BitcoinChain::Regtest, tuning()).unwrap()
}

/// A node with so many blocks, and a server over it.
async fn started(blocks: u64) -> Option<(Bitcoind, ElectrumX)> {
    let node = Bitcoind::start(runtime::cache::folder().as_deref()).await?;
    node.mine(blocks).await;
    let server = ElectrumX::start(&node).await;
    Some((node, server))
}

/// What another client says.
async fn judged<T: Send + 'static>(url: &str, ask: impl FnOnce(Client) -> T + Send + 'static) -> T {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || ask(Client::new(&url).expect("it connects"))).await.unwrap()
}

/// Listens until the tip is the node's.
async fn until_at(heads: &mut Subscription, node: &Bitcoind) {
    let (height, hash) = node.head().await;
    let wanted: BitcoinHash = hash.parse().unwrap();
    let waited = tokio::time::timeout(SOON, async {
        loop {
            match heads.next().await {
                Push::Tip(tip, _) if tip.header.hash == wanted => return assert_eq!(tip.height, height),
                Push::Tip(..) => {}
                other => panic!("no tip but {other:?}"),
            }
        }
    });
    assert!(waited.await.is_ok(), "never at {height}, {hash}");
}

async fn changed(watch: &mut Watch) -> Known {
    tokio::time::timeout(SOON, watch.changed()).await.expect("a word")
}

#[tokio::test]
async fn another_client_reads_the_same() {
    let Some((node, server)) = started(130).await else { return };
    let client = client_at(&server.url());
    let (height, tip) = client.tip().await.unwrap();
    assert_eq!((height, tip.hash.to_string()), node.head().await);
    let theirs = judged(&server.url(), |judge| {
        let tip = judge.block_headers_subscribe_raw().unwrap();
        let headers: Vec<Vec<u8>> = (0..=tip.height).map(|height| judge.block_header_raw(height).unwrap()).collect();
        let history = judge.script_get_history(Script::from_bytes(&ANYBODY)).unwrap();
        let history: Vec<(String, i32)> = history.iter().map(|h| (h.tx_hash.to_string(), h.height)).collect();
        (tip.height as u64, tip.header, headers, history)
    })
    .await;
    assert_eq!((theirs.0, Header::read(&theirs.1).unwrap()), (height, tip));
    let headers = client.headers(0, 2016).await.unwrap();
    assert_eq!(headers.iter().map(|header| header.bytes().to_vec()).collect::<Vec<_>>(), theirs.2);
    assert_eq!(headers[0].hash, client.genesis().await.unwrap());
    for (height, header) in headers.iter().enumerate() {
        assert_eq!(header.hash.to_string(), node.hash(height as u64).await);
    }
    let history = client.history(ScriptHash::of(&ANYBODY)).await.unwrap();
    let ours: Vec<(String, i32)> = history.iter().map(|h| (h.txid.to_string(), h.height as i32)).collect();
    assert_eq!(ours, theirs.3);
    assert!(client.header_at(height + 1).await.unwrap_err().class() == nodes::Class::Empty);
    assert!(client.link().software.is_some_and(|software| software.starts_with("ElectrumX")));
}

#[tokio::test]
async fn heads_follow_the_node_through_forks_and_a_killed_server() {
    let Some((node, mut server)) = started(10).await else { return };
    let client = client_at(&server.url());
    let mut heads = client.subscribe().await.unwrap();
    until_at(&mut heads, &node).await;
    for _ in 0..3 {
        node.mine(1).await;
        until_at(&mut heads, &node).await;
    }
    for depth in [1, 3] {
        node.reorg(depth).await;
        until_at(&mut heads, &node).await;
    }
    server.kill();
    let ended = tokio::time::timeout(SOON, async { while !matches!(heads.next().await, Push::Ended(_)) {} });
    assert!(ended.await.is_ok());
    assert!(client.tip().await.is_err());
    node.mine(2).await;
    server.start_again().await;
    until_at(&mut client.subscribe().await.unwrap(), &node).await;
    assert_eq!(client.tip().await.unwrap().0, node.head().await.0);
}

#[tokio::test]
async fn the_status_of_a_script_is_what_its_history_gives() {
    let Some((node, mut server)) = started(10).await else { return };
    let client = client_at(&server.url());
    let scripts = Scripts::new(vec![client.clone()]);
    let running = tokio::spawn({
        let scripts = scripts.clone();
        async move { scripts.run().await }
    });
    let script = ScriptHash::of(&ANYBODY);
    let (mut watch, mut empty) = (scripts.watch(script).unwrap(), scripts.watch(ScriptHash::of(b"nobody")).unwrap());
    assert_eq!(changed(&mut empty).await, Known::Status(None));
    let first = changed(&mut watch).await;
    assert_eq!(first, Known::Status(Status::of(&client.history(script).await.unwrap())));
    node.mine(1).await;
    let second = changed(&mut watch).await;
    assert_ne!(first, second);
    assert_eq!(second, Known::Status(Status::of(&client.history(script).await.unwrap())));
    // What happens while the server is away is told by the difference.
    server.kill();
    node.mine(1).await;
    server.start_again().await;
    let third = changed(&mut watch).await;
    assert_eq!(third, Known::Status(Status::of(&client.history(script).await.unwrap())));
    assert_eq!(empty.known(), Known::Status(None));
    running.abort();
}

#[tokio::test]
async fn tls_is_spoken_with_it_too() {
    let Some(node) = Bitcoind::start(runtime::cache::folder().as_deref()).await else { return };
    node.mine(3).await;
    let folder = std::env::temp_dir().join(format!("headwater-electrumx-{}", fastrand::u64(..)));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["e.example".to_owned()]).unwrap();
    let (certificate, key): (PathBuf, PathBuf) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = ElectrumX::start_with(&node, Some((certificate, key))).await;
    let client = client_at(&server.url());
    assert_eq!(client.tip().await.unwrap().0, 3);
    assert_eq!(client.link().protocol, "electrum tls");
    std::fs::remove_dir_all(&folder).unwrap();
}
