//! What other operators say of a block before it is published (rules 7, 24).
//!
//! Guarantee, where endpoints of more than one operator are configured: a hash is published when as many of them as are wanted have
//! shown it. At the head each block is asked about, while catching up the last of up to [`limits::INGEST_VOUCHED_BLOCKS`] blocks that
//! are linked: who agrees to it agrees to its ancestors, so that history is vouched for too at little cost. When no other answers in
//! time (and none contradicts the lowest of several), a block above the finalized height is published all the same and the state says `unconfirmed`; one at or below it waits.
//! Where another operator has another block nothing is published, and the state is `diverged` until they agree, or until the source
//! has found out who lies and asks another.

use std::time::Duration;

use nodes::{Head, Word};
use schemas::{limits, records::NetworkState};
use tokio_util::task::AbortOnDropHandle;

use super::{
    family::Family,
    fetcher::Fetched,
    finality::told_later,
    watcher::{Stop, Watcher},
};
use crate::{metrics, tracker::Tracker};

/// The source is to answer within `confirm_within`; this much later its silence is taken for an answer.
const GRACE: Duration = Duration::from_secs(1);
/// Contradictions in a row before they are a state: while a fork spreads, operators differ for a moment.
const DISPUTES: u32 = 2;
/// Contradictions in a row after which there is a pause even where another endpoint is asked.
const DECIDED_AT_ONCE: u32 = 4;

/// What was said of earlier blocks.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Whether there is somebody to be asked; unknown before the first word.
    pub others: Option<bool>,
    /// Why what is published is not confirmed.
    pub unconfirmed: Option<String>,
    /// Contradictions in a row.
    disputes: u32,
    /// Waits in a row for a word on history.
    waits: u32,
}

impl Said {
    /// Whether nothing is to be said of other operators.
    pub fn is_quiet(&self) -> bool {
        self.unconfirmed.is_none() && self.disputes == 0 && self.waits == 0
    }
}

/// A word that was asked for while the block is on its way.
pub(super) struct Asked {
    head: Head,
    word: AbortOnDropHandle<Word>,
}

impl<F: Family> Watcher<F> {
    /// Asks for a word on a head before its block has come.
    pub(super) fn ask_early(&self, head: Head) -> Asked {
        let (node, about) = (self.node.clone(), head.clone());
        let word = tokio::spawn(async move { node.second_word(&about).await });
        Asked { head, word: AbortOnDropHandle::new(word) }
    }

    /// What others say of this block.
    pub(super) fn word(&self, head: &Head, asked: Option<Asked>) -> impl Future<Output = Word> + Send + 'static {
        let (node, head, within) = (self.node.clone(), head.clone(), self.network.confirm_within + GRACE);
        let word = async move {
            match asked.filter(|asked| asked.head == head) {
                Some(asked) => asked.word.await.unwrap_or(Word::Silent),
                None => node.second_word(&head).await,
            }
        };
        async move { tokio::time::timeout(within, word).await.unwrap_or(Word::Silent) }
    }

    /// The same; back-fill goes on meanwhile.
    async fn word_meanwhile(&mut self, head: &Head, asked: Option<Asked>, tracker: &mut Tracker) -> Result<Word, Stop> {
        let mut word = std::pin::pin!(self.word(head, asked));
        loop {
            let may_fill = self.may_fill(tracker);
            let ready = tokio::select! {
                biased;
                word = &mut word => return Ok(word),
                ready = self.filling.ready(), if may_fill => ready,
            };
            self.take_ready(ready, tracker).await?;
        }
    }

    /// How many of these linked blocks, lowest first, may be published; `gave`: the endpoint in use when they were asked for. None: the
    /// state says why, and a pause was made.
    pub(super) async fn may_publish(
        &mut self,
        run: &[Head],
        asked: Option<Asked>,
        gave: &str,
        tracker: &mut Tracker,
    ) -> Result<usize, Stop> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(0) };
        let (mut about, mut vouched) = (last, run.len());
        let mut word = self.word_meanwhile(last, asked, tracker).await?;
        if word == Word::Silent && run.len() > 1 {
            // The others may not be so far yet; that they are of another chain would show below.
            about = first;
            word = self.word_meanwhile(first, None, tracker).await?;
            if word == Word::Agrees {
                vouched = 1;
            }
        }
        self.said.others = Some(word != Word::Alone);
        self.finality = told_later(self.finality, *self.told.borrow());
        Ok(match word {
            Word::Alone | Word::Agrees => {
                self.said = Said { others: self.said.others, ..Said::default() };
                vouched
            }
            Word::Silent if self.finality.finalized.is_some_and(|finalized| first.height <= finalized) => {
                self.said.waits += 1;
                metrics::unconfirmed(&self.network.slug, 0);
                self.say(NetworkState::Unconfirmed, Some(self.waiting(first)));
                self.fetcher.clear();
                self.pause(self.said.waits).await;
                0
            }
            Word::Silent => {
                metrics::unconfirmed(&self.network.slug, 1);
                self.said = Said { others: self.said.others, unconfirmed: Some(self.unconfirmed()), ..Said::default() };
                vouched
            }
            Word::Contradicts { by, says } => {
                self.disputed(self.diverged(gave, about, &by, &says), gave).await;
                tracker.absent();
                0
            }
        })
    }

    /// Operators contradict each other: a state when it lasts, and a pause; none where the source has found out who lies, and asks
    /// another than the endpoint that `gave` the block.
    pub(super) async fn disputed(&mut self, detail: String, gave: &str) {
        self.said.disputes += 1;
        self.fetcher.clear();
        if self.said.disputes >= DISPUTES && self.say(NetworkState::Diverged, Some(detail.clone())) {
            tracing::error!(network = %self.network.slug, detail, "operators contradict each other");
        }
        let decided = self.node.endpoint() != gave;
        if !decided || self.said.disputes > DECIDED_AT_ONCE {
            self.pause(self.said.disputes).await;
        }
    }

    /// Between two questions of the kind: longer each time.
    async fn pause(&mut self, times: u32) {
        let wait = Duration::from_millis(100).saturating_mul(1 << times.min(5));
        self.rest(wait.min(self.backoff.1)).await;
    }

    /// More blocks that stand on the first, so that one word vouches for all. What is no use is fetched again when its turn comes.
    pub(super) async fn run_of(&mut self, first: Fetched<F::Block>, to: u64) -> Vec<Fetched<F::Block>> {
        use nodes::SourceBlock as _;
        let (mut run, mut transactions) = (vec![first], 0);
        if self.said.others == Some(false) {
            return run;
        }
        while let Some(last) = run.last().map(|last| (last.block.head(), last.block.tx_count())) {
            let (below, count) = last;
            transactions += count as usize;
            let full =
                run.len() >= limits::INGEST_VOUCHED_BLOCKS || transactions >= limits::INGEST_VOUCHED_TRANSACTIONS;
            if full || below.height >= to {
                break;
            }
            match self.fetcher.next(below.height + 1, to, None).await {
                Ok(next) if next.block.head().parent == below.hash => run.push(next),
                _ => {
                    self.fetcher.clear();
                    break;
                }
            }
        }
        run
    }

    /// The state of a network that is at the head, or nearly so.
    pub(super) fn say_following(&self) {
        match (&self.diverged, &self.said.unconfirmed) {
            (Some(why), _) => self.say(NetworkState::Diverged, Some(why.clone())),
            (None, Some(why)) => self.say(NetworkState::Unconfirmed, Some(why.clone())),
            (None, None) => self.say(NetworkState::Live, None),
        };
    }

    pub(super) fn unconfirmed(&self) -> String {
        format!(
            "no second operator shows the newest blocks within {:.1} s: they are published on the word of endpoint `{}` alone; mend or \
             add an endpoint of another operator, or set `confirm = \"never\"` in network `{}`",
            self.network.confirm_within.as_secs_f64(),
            self.node.endpoint(),
            self.network.slug
        )
    }

    fn waiting(&self, head: &Head) -> String {
        format!(
            "block {} is below the finalized height and no second operator shows it: nothing is published on the word of endpoint `{}` \
             alone; asked again. Mend or add an endpoint of another operator, or set `confirm = \"never\"` in network `{}`",
            head.height,
            self.node.endpoint(),
            self.network.slug
        )
    }

    pub(super) fn diverged(&self, gave: &str, head: &Head, by: &str, says: &str) -> String {
        format!(
            "endpoint `{gave}` has block {} as {}, endpoint `{by}` has {says}: nothing is published until they agree; asked again. With \
             endpoints of a third operator the majority decides; else remove the one that is wrong from network `{}`",
            head.height, head.hash, self.network.slug
        )
    }
}

/// What is to become of a chain that is not followed.
pub(super) enum Verdict {
    /// Nobody else is to be asked.
    Alone,
    /// Others have it too.
    True,
    /// It is looked at again; the state says why, and a pause was made.
    Again,
}

impl<F: Family> Watcher<F> {
    /// Looks whether others have the chain that leaves the held one (rule 7).
    pub(super) async fn judge_refused(&mut self, tracker: &Tracker) -> Verdict {
        let Some(link) = tracker.suspect() else {
            // Nothing was seen since the start that differs: as it was kept.
            if self.judged {
                return Verdict::Alone;
            }
            self.rest(self.backoff.0).await;
            return Verdict::Again;
        };
        let gave = self.node.endpoint();
        let head = Head { height: link.height, hash: link.hash.clone(), parent: link.parent.clone(), time: link.time };
        match self.word(&head, None).await {
            Word::Alone => Verdict::Alone,
            Word::Agrees => Verdict::True,
            Word::Silent => {
                self.said.waits += 1;
                let detail = format!(
                    "endpoint `{}` tells another chain than the one held, from block {} on, and no second operator says whether that is \
                     so: nothing was reverted; asked again",
                    self.node.endpoint(),
                    head.height
                );
                self.say(NetworkState::Unconfirmed, Some(detail));
                self.pause(self.said.waits).await;
                Verdict::Again
            }
            Word::Contradicts { by, says } => {
                self.disputed(self.diverged(&gave, &head, &by, &says), &gave).await;
                Verdict::Again
            }
        }
    }
}
