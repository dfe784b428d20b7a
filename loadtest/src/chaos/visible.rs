//! What is visible while the chains grow: how far behind its head each network is, and how soon a blow is over.

use super::chains::Chain;
use super::plan::Blow;
use crate::cluster::{Outside, number};
use crate::failure::Failure;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often it is asked: one cheap query for all networks, so that asking does not slow what is asked.
const PERIOD: Duration = Duration::from_millis(300);

/// Heights at one time, in the order of the chains.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    heads: Vec<u64>,
    seen: Vec<u64>,
}

/// A blow, and the first heights that did not exist when it fell.
#[derive(Clone, Debug)]
struct Fallen {
    at: Instant,
    blow: Blow,
    wanted: Vec<u64>,
}

/// Watches until it is dropped.
pub struct Watch {
    chains: Vec<Arc<Chain>>,
    samples: Arc<Mutex<Vec<Sample>>>,
    fallen: Vec<Fallen>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Begins.
    pub fn begin(chains: Vec<Arc<Chain>>, outside: Outside) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (of, into) = (chains.clone(), samples.clone());
        let task = tokio::spawn(async move {
            let mut seen = vec![0; of.len()];
            let mut ticks = tokio::time::interval(PERIOD);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let heads = of.iter().map(|c| c.node.head()).collect();
                // Whoever does not answer shows nothing new.
                if let Ok(now) = visible(&of, &outside).await {
                    seen = now;
                }
                lock(&into).push(Sample { at: Instant::now(), heads, seen: seen.clone() });
            }
        });
        Self { chains, samples, fallen: Vec::new(), task }
    }

    /// A blow falls now.
    pub fn falls(&mut self, blow: Blow) {
        let wanted = self.chains.iter().map(|c| c.node.head() + 1).collect();
        self.fallen.push(Fallen { at: Instant::now(), blow, wanted });
    }

    /// Waits until every blow is over. The chains have to grow meanwhile.
    ///
    /// # Errors
    /// Which network did not show anything new.
    pub async fn all_over(&self, patience: Duration) -> Result<(), Failure> {
        let end = Instant::now() + patience;
        loop {
            let seen = lock(&self.samples).last().map_or_else(Vec::new, |last| last.seen.clone());
            let late = self.fallen.iter().find_map(|fallen| {
                let n = (0..self.chains.len()).find(|n| seen.get(*n).is_none_or(|seen| *seen < fallen.wanted[*n]))?;
                Some((self.chains[n].slug, fallen.wanted[n], &fallen.blow))
            });
            let Some((slug, height, blow)) = late else { return Ok(()) };
            if Instant::now() > end {
                return Err(format!("{slug} {height} did not get visible in {patience:?} after: {blow}").into());
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// From each blow to the next block that was made after it and is visible, of the slowest network; the shortest first.
    pub fn recoveries(&self) -> Vec<(Duration, Blow)> {
        let samples = lock(&self.samples);
        let over = |fallen: &Fallen, sample: &&Sample| {
            sample.at > fallen.at && sample.seen.iter().zip(&fallen.wanted).all(|(seen, wanted)| seen >= wanted)
        };
        let mut recoveries: Vec<(Duration, Blow)> = self
            .fallen
            .iter()
            .filter_map(|f| Some((samples.iter().find(|s| over(f, s))?.at - f.at, f.blow.clone())))
            .collect();
        recoveries.sort_by_key(|(took, _)| *took);
        recoveries
    }

    /// How long the oldest block that is not visible has been there, at each time and of each network; the shortest first.
    pub fn behind(&self) -> Vec<Duration> {
        let samples = lock(&self.samples);
        let mut behind = Vec::with_capacity(samples.len() * self.chains.len());
        for n in 0..self.chains.len() {
            let mut born = 0; // the sample in which the oldest invisible block first was there
            for sample in samples.iter() {
                let next = sample.seen[n] + 1;
                while samples[born].heads[n] < next && samples[born].at < sample.at {
                    born += 1;
                }
                behind.push(sample.at - samples[born].at);
            }
        }
        behind.sort();
        behind
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(samples: &Mutex<Vec<Sample>>) -> std::sync::MutexGuard<'_, Vec<Sample>> {
    samples.lock().unwrap_or_else(|e| e.into_inner())
}

/// The highest canonical height of each chain that is visible in SQL; 0: none.
async fn visible(chains: &[Arc<Chain>], outside: &Outside) -> Result<Vec<u64>, Failure> {
    let rows = outside.query("SELECT network, max(number) AS n FROM blocks GROUP BY network").await?;
    chains
        .iter()
        .map(|c| rows.iter().find(|row| row["network"] == c.slug).map_or(Ok(0), |row| number(row, "n")))
        .collect()
}
