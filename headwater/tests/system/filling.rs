//! `loadtest backfill`, short: 300 heights below a live chain, filled once undisturbed and once with three kills; then every height is
//! compared with the node, in the store and on the log. The seed is printed; `make backfill` does it over 20,000 heights with 20 kills.

use loadtest::backfill::{self, Backfill};

use crate::common::binary;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn killed_while_it_fills_it_fills_each_height_once() {
    let backfill = Backfill {
        heights: 300,
        kills: 3,
        seed: std::env::var("HEADWATER_SEED").ok().and_then(|seed| seed.parse().ok()),
        set: "optimism".into(),
        every: 0.5,
        calm: 2,
        late: 100, // so that the kills come in the middle
        catch_up: 0,
        release_binary: Some(binary().into()),
        keep: false,
    };
    let report = backfill::report(&backfill, &mut |line| eprintln!("{line}")).await.unwrap_or_else(|e| panic!("{e}"));
    eprintln!("{report}");
    let killed = report.killed.as_ref().expect("it was killed");
    assert_eq!((killed.kills, killed.totals), (3, report.undisturbed.totals), "{report}");
    assert!(killed.totals.blocks == 300 && killed.live.blocks > 3 && killed.totals.transactions >= 300, "{report}");
    assert!(report.undisturbed.busy.blocks > 0, "live blocks came meanwhile: {report}");
}
