//! Several processes that start at the same moment register the same schemas at a real registry: all get the same ids.

use runtime::registry::{Missing, Registry};
use schemas::registry::SCHEMAS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn processes_that_register_at_once_get_the_same_ids() {
    let Ok(url) = std::env::var("HEADWATER_TEST_REGISTRY") else {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_REGISTRY is not set: run `scripts/services run …`");
        eprintln!("SKIPPED: no schema registry; run it with `scripts/services run cargo test …`");
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
    // Whether they collide is chance: several rounds.
    for round in 0..5 {
        let prefix = format!("race-{now:x}-{round}.");
        let process = || {
            let registry = Registry::new(url.parse().expect("a URL"), &prefix).expect("a client");
            async move { registry.ids(Missing::Register).await.map_err(|e| e.to_string()) }
        };
        let all = tokio::join!(process(), process(), process(), process());
        let first = all.0.expect("registered");
        let written = SCHEMAS.iter().filter(|s| !s.is_former()).count();
        assert_eq!(first.len(), written, "what only former versions wrote is not registered");
        for other in [all.1, all.2, all.3] {
            assert_eq!(other.expect("registered"), first, "round {round}");
        }
    }
}
