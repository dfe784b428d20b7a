//! Following a request until it is over, through restarts of the process that carries it out.

use std::{future::Future, time::Duration};

use schemas::{Network, records::RequestState, records::stage_status::stage, topics};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    row::{CheckpointRow, ProgressRow},
    screen::{self, Screen},
    state::checkpoint,
};
use crate::{exit::Failure, tail::Query, way::Way};

/// How often the screen is drawn.
const DRAW: Duration = Duration::from_millis(250);
/// Pause before a log that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it may not answer.
const AWAY: Duration = Duration::from_secs(60);

/// How following ended.
#[derive(Debug)]
pub enum Ended {
    /// It is over; the sequence of the network when that was written.
    Over(Box<ProgressRow>, u64),
    /// Whoever watched was interrupted.
    Interrupted,
}

/// Follows until the request is over or `interrupted` ends.
pub async fn follow(
    way: &Way,
    network: &Network,
    id: &str,
    screen: &mut Screen,
    interrupted: impl Future<Output = ()>,
) -> Result<Ended, Failure> {
    let mut interrupted = std::pin::pin!(interrupted);
    let (out, newest) = watch::channel(None::<CheckpointRow>);
    let mut heard = Instant::now();
    loop {
        let query = Query { network: Some(network.clone()), from: "beginning".into(), follow: true };
        let reading = way.each_line(topics::INGEST_CHECKPOINTS, query, async |line| {
            if let Some(row) = checkpoint(line)? {
                out.send_replace(Some(row));
            }
            Ok(true)
        });
        let mut reading = std::pin::pin!(reading);
        let error = loop {
            tokio::select! {
                read = &mut reading => break read.err(),
                () = &mut interrupted => return Ok(Ended::Interrupted),
                () = tokio::time::sleep(DRAW) => {}
            }
            let now = newest.borrow();
            let progress = now.as_ref().and_then(|row| row.progress(id));
            if let Some((progress, row)) = progress.filter(|p| p.is_over() || lacks_depth(p)).zip(now.as_ref()) {
                return Ok(Ended::Over(Box::new(progress.clone()), row.sequence));
            }
            screen.show(progress);
            heard = Instant::now();
        };
        let error = error.map_or_else(|| "the log's process ended the answer".to_owned(), |e| e.error.to_string());
        if heard.elapsed() > AWAY {
            return Err(Failure::new(format!(
                "{error}. Request {id} is kept and goes on when `headwater up` runs again; this command run again follows it"
            )));
        }
        screen.say(&format!("waiting: {error}; asked again"));
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = &mut interrupted => return Ok(Ended::Interrupted),
        }
    }
}

/// Waits until the rows of everything up to a sequence are visible. False when that did not come in time.
pub async fn until_visible(way: &Way, network: &Network, sequence: u64, patience: Option<Duration>) -> bool {
    let query = Query { network: Some(network.clone()), from: "beginning".into(), follow: true };
    let mut visible = false;
    let reading = way.each_line(topics::STAGE_STATUS, query, async |line| {
        let record: Value = serde_json::from_str(line)?;
        let value = &record["value"];
        visible = value["stage"] == stage::SINK
            && value["network"] == network.as_str()
            && value["sequence"].as_u64().is_some_and(|at| at >= sequence);
        Ok(!visible)
    });
    match patience {
        Some(patience) => drop(tokio::time::timeout(patience, reading).await),
        None => drop(reading.await),
    }
    visible
}

/// What to say of a request that is over: its totals, or why it ended otherwise and the exit code that this deserves.
pub fn verdict(progress: &ProgressRow, took: Duration) -> Result<String, Failure> {
    let range = match progress.first.zip(progress.last) {
        Some((first, last)) => format!("heights {first} to {last}"),
        None => "the request".to_owned(),
    };
    let ProgressRow { id, blocks, transactions, .. } = progress;
    if progress.known_state() == Some(RequestState::Done) {
        let seconds = took.as_secs_f64();
        let rate = *blocks as f64 / seconds.max(0.001);
        return Ok(format!(
            "{range} are filled: {blocks} blocks with {transactions} transactions in {seconds:.1} s ({rate:.1} blocks/s)"
        ));
    }
    let mut words = format!("{id}: {range}: {}; {blocks} blocks were filled", screen::state(Some(progress)));
    if !progress.is_over() {
        words += &format!(
            ". The request stays and goes on when an endpoint has them; `headwater backfill cancel {id}` ends it"
        );
    }
    Err(if lacks_depth(progress) { Failure::arguments(words) } else { Failure::new(words) })
}

/// Whether no node has heights so old: only an operator changes that, so that nobody is kept waiting for it.
fn lacks_depth(progress: &ProgressRow) -> bool {
    progress.detail.as_ref().is_some_and(|detail| detail.starts_with(NO_HISTORY))
}

/// How the reason begins when no node has heights so old.
const NO_HISTORY: &str = "below what the nodes have";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn how_it_ended_decides_the_exit_code() {
        let of = |state: &str, detail: &str| -> ProgressRow {
            serde_json::from_value(
                serde_json::json!({"id": "n-1", "asks": "backfill", "state": state, "detail": detail,
                "first": 10, "last": 109, "next": 60, "blocks": 50, "transactions": 7}),
            )
            .expect("JSON")
        };
        let done = verdict(&of("done", ""), Duration::from_secs(10)).expect("full");
        assert_eq!(done, "heights 10 to 109 are filled: 50 blocks with 7 transactions in 10.0 s (5.0 blocks/s)");
        for (state, detail, exit) in [
            ("cancelled", "", Exit::Failed),
            ("failed", "the network was removed", Exit::Failed),
            ("failed", "below what the nodes have: 10 to 40", Exit::Arguments),
            ("waiting", "below what the nodes have: block 10 was pruned", Exit::Arguments),
        ] {
            let failed = verdict(&of(state, detail), Duration::ZERO).expect_err("not full");
            assert!(failed.exit == exit && failed.error.to_string().contains(detail), "{failed:?}");
        }
    }
}
