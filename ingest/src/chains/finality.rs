//! Safe and final heights: asked for at a sensible rate, and never taken back.
//!
//! Guarantee: what was published as final is not taken back by a node that is behind. A node that calls its own head final, on a
//! chain whose finality is not instant, is not believed: the next reorg of one block would end the network.

use nodes::Finality;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{family::Family, watcher::Watcher};

/// Finality as a node tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// Its heights.
    pub finality: Finality,
    /// The head that was known when it was asked.
    pub head: u64,
}

impl<F: Family> Watcher<F> {
    /// Asks for safe and final heights at a sensible rate, as soon as a head is known; not where finality is instant.
    pub(super) fn poll_finality(
        &self,
        out: watch::Sender<Told>,
        mut heads: watch::Receiver<Option<u64>>,
    ) -> Option<AbortOnDropHandle<()>> {
        if self.traits.instant_finality {
            return None;
        }
        let (node, every) = (self.node.clone(), self.finality_every);
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            while !out.is_closed() {
                let Some(head) = heads.wait_for(Option::is_some).await.ok().and_then(|head| *head) else { return };
                match node.finality().await {
                    Ok(finality) => {
                        let told = Told { finality, head };
                        out.send_if_modified(|t| std::mem::replace(t, told).finality != finality);
                    }
                    Err(error) => tracing::debug!(%error, "no word on finality"),
                }
                tokio::time::sleep(every).await;
            }
        })))
    }
}

/// What is known of finality after `told`. A chain does not take finality back: a lower height, or none, is of a node that is
/// behind; a safe height above the node's own head is a mistake, and so is a final one that is not below it.
pub(super) fn told_later(known: Finality, told: Told) -> Finality {
    let Told { finality, head } = told;
    Finality {
        safe: finality.safe.filter(|safe| *safe <= head).or(known.safe),
        finalized: finality.finalized.filter(|finalized| *finalized < head).max(known.finalized),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(safe: Option<u64>, finalized: Option<u64>, head: u64) -> Told {
        Told { finality: Finality { safe, finalized }, head }
    }

    #[test]
    fn finality_lies_below_the_head_and_is_not_taken_back() {
        let known = told_later(Finality::default(), told(Some(98), Some(90), 100));
        assert_eq!(known, Finality { safe: Some(98), finalized: Some(90) });
        assert_eq!(told_later(known, told(Some(80), Some(70), 85)), Finality { safe: Some(80), finalized: Some(90) });
        assert_eq!(told_later(known, told(None, None, 100)), known);
        assert_eq!(told_later(known, Told::default()), known);
        // The head itself is never final, a head that nobody has yet neither.
        assert_eq!(told_later(known, told(Some(100), Some(100), 100)).finalized, Some(90));
        assert_eq!(told_later(known, told(Some(101), Some(101), 100)), known);
        assert_eq!(told_later(known, told(None, Some(99), 100)).finalized, Some(99));
    }
}
