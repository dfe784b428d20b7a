//! Places that nothing is sent to.

use std::{
    io::Result as IoResult,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use runtime::targets::{PORTS, Resolve, Targets};
use schemas::records::DeliveryState;
use serde_json::json;

use crate::{
    receivers::{Receiver, status},
    support::{Bench, SECRET, message},
};

/// A channel that was made when its target was allowed, or whose name has changed since, is looked at for every attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attempt_looks_where_it_goes() {
    let mut bench = Bench::new().await;
    bench.settings.targets = Targets::new(&[], &PORTS).unwrap();
    let receiver = Receiver::new(|_, _| status(200)).await;
    let port = receiver.at.unwrap().port();
    let urls = [receiver.url("/"), format!("http://localhost:{port}/"), format!("http://2130706433:{port}/")];
    for (n, url) in urls.iter().enumerate() {
        let definition = json!({"name": "w", "type": "webhook", "config": {"url": url, "secret": SECRET}});
        bench.channels.put(&format!("c{n}"), definition);
    }
    bench.channels.put("mail", json!({"name": "m", "type": "email", "config": {"host": "127.0.0.1", "port": port, "sender": "a@b.example", "recipients": ["c@d.example"]}}));
    let running = bench.start();
    let mut all: Vec<_> = (0..urls.len()).map(|n| message(&format!("c{n}"), "A", "alert.firing", 1)).collect();
    all.push(message("mail", "A", "alert.firing", 1));
    bench.write(&all).await;
    let deliveries = bench.ended(4).await;
    running.stop().await;
    assert!(receiver.came().is_empty());
    assert!(deliveries.iter().all(|d| d.state == DeliveryState::Failed), "{deliveries:#?}");
    // What an internal name resolves to is told to nobody.
    assert!(deliveries.iter().all(|d| !d.error.as_ref().unwrap().contains("127.0.0.1")), "{deliveries:#?}");
}

/// A name of an attacker's: what may be sent to when it is asked first, another address ever after.
#[derive(Default)]
struct Changing(AtomicUsize);

#[async_trait]
impl Resolve for Changing {
    async fn addresses(&self, name: &str) -> IoResult<Vec<IpAddr>> {
        assert_eq!(name, "changes.example.com");
        let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        Ok(vec![if first { "127.0.0.1" } else { "127.0.0.2" }.parse().unwrap()])
    }
}

/// What was looked at is what is connected to: the name is asked once for an attempt, and the next attempt asks anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_that_was_looked_at_is_connected_to() {
    let mut bench = Bench::new().await;
    let names = Arc::new(Changing::default());
    bench.settings.targets = Targets::of(vec!["127.0.0.1".parse().unwrap()], PORTS.to_vec(), names.clone());
    let receiver = Receiver::new(|_, _| status(200)).await;
    let port = receiver.at.unwrap().port();
    let url = format!("http://Changes.example.com:{port}/x");
    bench.channels.put("hook", json!({"name": "w", "type": "webhook", "config": {"url": url, "secret": SECRET}}));
    let running = bench.start();
    bench.write(&[message("hook", "A", "alert.firing", 1)]).await;
    bench.ended(1).await;
    assert_eq!(names.0.load(Ordering::Relaxed), 1);
    bench.write(&[message("hook", "B", "alert.firing", 1)]).await;
    let deliveries = bench.ended(2).await;
    running.stop().await;
    let states: Vec<_> = deliveries.iter().map(|d| d.state).collect();
    assert_eq!(states, [DeliveryState::Sent, DeliveryState::Failed], "{deliveries:#?}");
    let came = receiver.came();
    assert_eq!((came.len(), came[0].header("host")), (1, format!("changes.example.com:{port}")));
}
