//! The store away for a while: the lag grows, nothing is lost, memory stays bounded, and it catches up faster than it fell behind.

use super::{PATIENCE, POLL, Stand};
use crate::failure::Failure;
use std::fmt;
use std::time::{Duration, Instant};

/// What was seen.
#[derive(Clone, Debug)]
pub struct Away {
    /// How long there was no store.
    pub lasted: Duration,
    /// Blocks that came meanwhile, of all chains.
    pub blocks: u64,
    /// From the store's return until all of them were visible.
    pub caught_up: Duration,
    /// What `/health` said just before the store came back.
    pub health: String,
    /// The most memory that a process with a sink had resident at the end, bytes.
    pub sink_memory: u64,
}

/// Takes the store away while the chains grow.
///
/// # Errors
/// When health says that all is well without a store, or it does not catch up faster than it fell behind.
pub(super) async fn take(
    stand: &Stand<'_>,
    lasting: Duration,
    tell: &mut (dyn FnMut(String) + Send),
) -> Result<Away, Failure> {
    tell(format!("the store goes away for {} s", lasting.as_secs()));
    let before: u64 = stand.chains.iter().map(|c| c.node.head()).sum();
    stand.cluster.lock().await.kill("store")?;
    let outside = stand.cluster.lock().await.outside.clone();
    tokio::time::sleep(lasting).await;
    let health = match outside.get("/health").await {
        Ok(health) => health["status"].as_str().unwrap_or("no status").to_owned(),
        Err(e) => e.to_string(),
    };
    if health == "ok" {
        return Err("without a store, /health says that all is well".into());
    }
    let wanted: Vec<(&str, u64)> = stand.chains.iter().map(|c| (c.slug, c.node.head())).collect();
    stand.cluster.lock().await.all_run()?;
    stand.cluster.lock().await.store()?;
    let back = Instant::now();
    for (slug, height) in &wanted {
        while !outside.height(slug).await.is_ok_and(|seen| seen >= *height) {
            if back.elapsed() > lasting.max(PATIENCE) {
                return Err(format!("{slug} {height} did not get visible in {:?}", back.elapsed()).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }
    let cluster = stand.cluster.lock().await;
    let names: Vec<String> = match stand.args.embedded {
        true => vec![super::UP.to_owned()],
        false => (1..=stand.args.processes).map(|n| format!("sink-{n}")).collect(),
    };
    let sinks = names.iter().filter_map(|name| cluster.peak_memory(name));
    let away = Away {
        lasted: lasting,
        blocks: wanted.iter().map(|(_, height)| height).sum::<u64>() - before,
        caught_up: back.elapsed(),
        health,
        sink_memory: sinks.max().unwrap_or(0),
    };
    tell(format!("the store was away: {away}"));
    Ok(away)
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} s, {} blocks came meanwhile; visible {:.1} s after its return (health: {}; sink at most {} MiB)",
            self.lasted.as_secs(),
            self.blocks,
            self.caught_up.as_secs_f64(),
            self.health,
            self.sink_memory >> 20
        )
    }
}
