//! Connections that say nothing, or never all of it, keep nobody out. They need no password, so anybody can have them.

use crate::ALONE;
use crate::door::Door;
use crate::harness::Running;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SOCKETS: usize = 300;
/// The first header has 5 s.
const WITHIN: Duration = Duration::from_secs(6);

/// What each of them says, in turn.
const BEGINNINGS: &[&str] = &[
    "",
    "P",
    "POST / HTTP/1.1\r\nHost: localh",
    "POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-User: analyst\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_keep_nobody_out() {
    let _alone = ALONE.lock().await;
    let store = Running::start().await;
    let (stages, analyst) = (Door::stages(&store), Door::analyst(&store));
    let address = stages.address();
    let mut wrong = Vec::new();
    for round in 0..2 {
        let open = |n: usize| {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).ok()?;
            let _ = stream.write_all(BEGINNINGS[n % BEGINNINGS.len()].as_bytes());
            Some(stream)
        };
        let sockets: Vec<TcpStream> = (0..SOCKETS).filter_map(open).collect();
        assert!(sockets.len() > SOCKETS / 2, "{} sockets could be opened", sockets.len());
        for (who, door) in [("the stages", &stages), ("an analyst", &analyst)] {
            let started = Instant::now();
            let answer = door.ask("/", b"SELECT 1", Duration::from_secs(60));
            let took = started.elapsed();
            eprintln!("round {round}, {SOCKETS} silent sockets: {who} got in after {took:?}");
            if took > WITHIN || !answer.as_ref().is_ok_and(|answer| answer.text() == "1\n") {
                wrong.push(format!("round {round}: {who} after {took:?}: {answer:?}"));
            }
        }
        drop(sockets);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    store.stop().await;
}
