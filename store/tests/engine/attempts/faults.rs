//! Statements that have ended the engine's process by a fault of its own. Found by `tests/fuzz`; each is answered, or refused,
//! by a process that lives on.

use super::{PASSES, Report};
use crate::watched::Watched;
use std::time::Duration;

const STATEMENTS: &[&str] = &[
    // Extremes of a text column that ARRAY JOIN has repeated, in XML: SIGSEGV in 26.7.2.1.
    "SELECT s FROM t ARRAY JOIN [1] AS x LIMIT 70 SETTINGS extremes = 1 FORMAT XML",
    "SELECT * FROM t LEFT ARRAY JOIN [1] AS x LIMIT 70 SETTINGS extremes = 1 FORMAT XML",
    "SELECT s FROM t ARRAY JOIN [1] AS x LIMIT 70 SETTINGS extremes = 1 FORMAT JSON",
];

#[tokio::test(flavor = "multi_thread")]
async fn known_faults_of_the_engine_end_nothing() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    for sql in STATEMENTS {
        // 164, 452 the setting, 497 and 73 the format.
        match watched.analyst.ask("/", sql.as_bytes(), Duration::from_secs(20)) {
            Ok(answer) => report.judge(&watched, "faults", &[PASSES, 73, 164, 452, 497], sql.as_bytes(), &answer),
            Err(silence) => report.wrong(format!("{silence:?}: {sql}")),
        }
        if !watched.stages.ask("/", b"SELECT 1", Duration::from_secs(20)).is_ok_and(|answer| answer.text() == "1\n")
            || watched.store.holder() != Some(pid)
        {
            report.wrong(format!("the process has ended: {sql}"));
            break;
        }
    }
    // After an end the last looks of the report would find no store.
    watched.store.until(|state| matches!(state, store::engine::StoreState::Ready(_))).await;
    report.end(&watched, pid);
    watched.stop().await;
}
