//! A minute of `loadtest chaos` (two with `make test-long`): three brokers, three of each stage, without a store at first, then killed and stopped at random,
//! some for longer than a member's session, while chains fork; at the end every row is compared with the source. The seed is printed; `loadtest chaos --seed` deals the same
//! blows, for as long as wanted.

use std::path::Path;

use crate::common::{binary, cluster::servers, of_many};
use loadtest::chaos::{self, Chaos};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn whatever_is_killed_the_rows_are_the_chains() {
    // It starts brokers of its own; whether it can is told by those that run.
    if servers("whatever_is_killed_the_rows_are_the_chains").is_none() {
        return;
    }
    let chaos = Chaos {
        seconds: of_many(60, 120),
        seed: std::env::var("HEADWATER_SEED").ok().and_then(|seed| seed.parse().ok()),
        brokers: 3,
        embedded: false,
        max_bytes: None,
        processes: 3,
        rate: 100.0, // of a binary that is not optimized
        proxy: false,
        store_away: 20,
        release_binary: Some(binary().into()),
        services: Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services"),
        calm: false,
        keep: false,
    };
    let report = chaos::report(&chaos, &mut |line| eprintln!("{line}")).await.unwrap_or_else(|e| panic!("{e}"));
    eprintln!("{report}");
    let away = report.away.as_ref().expect("the store was away");
    assert!(away.blocks > 0 && away.sink_memory < 512 << 20, "{away}");
    assert!(report.long > 0 && report.moves > 0, "partitions moved: {report}");
    assert!(report.blows[0] > report.long && report.forks > 0, "{report}");
    let compared = report.compared;
    assert!(compared.windows > 0 && compared.parts > 1_000, "{report}");
    assert!(compared.transactions > 2_000 && compared.logs > compared.transactions / 2, "{report}");
}
