//! The toy family: its chain, its source, and what is its own in the watcher's eyes.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use ingest::{
    chains::{Family, Traits},
    records::{Circumstances, Scribe, envelope},
    tracker::Position,
};
use nodes::{ChainSource, Finality, Head, HeadView, NodeError, NodeErrorKind, SourceBlock, Word};
use runtime::log::NewRecord;
use schemas::{
    BlockHash, Op, TimeMs,
    codec::EncodeError,
    records::{RawBlock, RingEntry},
};
use tokio::sync::watch;

/// Time that others have for their word.
pub const CONFIRM_WITHIN: Duration = Duration::from_millis(150);
pub const CHAIN_ID: &str = "the toy chain";

/// A block: its place, and nothing in it.
pub struct ToyBlock(Head);

impl SourceBlock for ToyBlock {
    fn head(&self) -> Head {
        self.0.clone()
    }
    fn tx_count(&self) -> u32 {
        0
    }
    fn log_count(&self) -> u32 {
        0
    }
}

/// What is the toy family's own.
#[derive(Clone, Copy)]
pub struct Toy {
    pub traits: Traits,
}

impl Family for Toy {
    type Block = ToyBlock;

    fn chain_id(&self) -> String {
        CHAIN_ID.into()
    }
    fn traits(&self) -> Traits {
        self.traits
    }
    fn is_no_chain(&self, said: &str) -> bool {
        said.is_empty()
    }
    fn wrong_chain(&self, endpoints: &[String], said: &str) -> String {
        format!("{} is on {said}", endpoints.join(", "))
    }
    fn held_chain(&self, held: &str) -> String {
        format!("{held} is held")
    }
    fn lacks_a_part(&self, _: &NodeError) -> bool {
        false
    }
    fn incomplete(&self, error: &NodeError) -> String {
        error.to_string()
    }
    fn apply(
        &self,
        scribe: &Scribe,
        entry: &RingEntry,
        after: &Position,
        _: ToyBlock,
        at: Circumstances,
    ) -> Result<Vec<NewRecord>, EncodeError> {
        Ok(vec![scribe.record(&RawBlock {
            envelope: envelope(Op::Apply, entry, after, at),
            evm: None,
            bitcoin: None,
        })?])
    }
}

pub fn hash(id: u64) -> BlockHash {
    format!("0x{id:064x}").parse().expect("a hash")
}

/// A node's view of the chain: the blocks that it has, lowest first.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct View(pub Vec<Head>);

impl View {
    /// Blocks at these heights, with ids from `id` on, on top of what there is.
    pub fn grown(&self, heights: impl IntoIterator<Item = u64>, mut id: u64) -> Self {
        let mut blocks = self.0.clone();
        for height in heights {
            let parent = blocks.last().map_or_else(|| hash(0), |below: &Head| below.hash.clone());
            blocks.push(Head { height, hash: hash(id), parent, time: TimeMs(height as i64 * 1_000) });
            id += 1;
        }
        Self(blocks)
    }
    /// What it has up to this height.
    pub fn up_to(&self, height: u64) -> Self {
        Self(self.0.iter().filter(|b| b.height <= height).cloned().collect())
    }
    pub fn top(&self) -> &Head {
        self.0.last().expect("a block")
    }
    fn at(&self, height: u64) -> Option<&Head> {
        self.0.iter().find(|b| b.height == height)
    }
}

/// Who else may be asked for a word.
#[derive(Clone)]
pub enum Other {
    /// Nobody.
    None,
    /// Somebody who does not answer.
    Silent,
    /// An operator that sees this.
    Sees(View),
    /// Enough of them to decide: whoever contradicts them is asked no more.
    Decide(View),
}

pub struct State {
    /// Nodes behind the one name, asked by chance.
    pub views: Vec<View>,
    pub other: Other,
    /// The endpoint in use.
    pub endpoint: &'static str,
    pub finality: Finality,
    /// Whether a node says of a height that it never has a block, or just gives none.
    pub says: bool,
    /// Heights that it takes in one question.
    pub at_once: usize,
    /// What was asked, in order.
    pub asked: Vec<String>,
    turn: usize,
}

/// The source of a toy network. A clone is the same source.
#[derive(Clone)]
pub struct ToySource {
    state: Arc<Mutex<State>>,
    heads: watch::Sender<HeadView>,
}

impl ToySource {
    pub fn new(view: View) -> Self {
        let (other, finality, asked) = (Other::None, Finality::default(), Vec::new());
        let state =
            State { views: vec![view], other, endpoint: "toy", finality, says: false, at_once: 1, asked, turn: 0 };
        Self { state: Arc::new(Mutex::new(state)), heads: watch::Sender::new(HeadView::default()) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// All nodes see this now, and a subscription tells the head.
    pub fn sees(&self, view: View) {
        let top = view.top().clone();
        self.state().views = vec![view];
        self.tell(top);
    }

    /// A subscription tells this head.
    pub fn tell(&self, head: Head) {
        self.heads.send_modify(|v| {
            v.saw(head);
        });
    }

    /// How often something was asked that begins with this.
    pub fn count(&self, what: &str) -> usize {
        self.state().asked.iter().filter(|asked| asked.starts_with(what)).count()
    }

    fn ask<T>(
        &self,
        what: String,
        answer: impl FnOnce(&View, &State) -> Result<T, NodeErrorKind>,
    ) -> Result<T, NodeError> {
        let mut state = self.state();
        // In no order that anything could fall into step with.
        state.turn = state.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let view = state.views[(state.turn >> 33) % state.views.len()].clone();
        state.asked.push(what.clone());
        answer(&view, &state).map_err(|kind| NodeError { endpoint: "toy".into(), call: what, kind })
    }

    fn at(&self, what: &str, height: u64) -> Result<Head, NodeError> {
        self.ask(format!("{what} {height}"), |view, state| match view.at(height) {
            Some(block) => Ok(block.clone()),
            None if state.says && height < view.top().height => Err(NodeErrorKind::NoBlock("null round".into())),
            None => Err(NodeErrorKind::Empty),
        })
    }
}

#[async_trait]
impl ChainSource for ToySource {
    type Block = ToyBlock;

    fn endpoint(&self) -> String {
        self.state().endpoint.into()
    }
    fn endpoints(&self) -> Vec<String> {
        vec![self.endpoint()]
    }
    async fn chain_id(&self) -> Result<String, NodeError> {
        Ok(CHAIN_ID.into())
    }
    async fn head(&self) -> Result<Head, NodeError> {
        self.ask("head".into(), |view, _| Ok(view.top().clone()))
    }
    async fn header(&self, height: u64) -> Result<Head, NodeError> {
        self.at("header", height)
    }
    async fn fetch(&self, height: u64, _: Option<&BlockHash>) -> Result<ToyBlock, NodeError> {
        self.at("fetch", height).map(ToyBlock)
    }
    async fn fetch_history(&self, height: u64) -> Result<ToyBlock, NodeError> {
        self.fetch(height, None).await
    }
    fn at_once(&self) -> usize {
        self.state().at_once
    }
    async fn fetch_together(&self, from: u64, count: usize, _: bool) -> Result<Vec<ToyBlock>, NodeError> {
        let mut blocks = Vec::new();
        for height in from..from + count as u64 {
            match self.at("together", height) {
                Ok(head) => blocks.push(ToyBlock(head)),
                Err(e) if blocks.is_empty() => return Err(e),
                Err(_) => break,
            }
        }
        Ok(blocks)
    }
    async fn finality(&self) -> Result<Finality, NodeError> {
        self.ask("finality".into(), |_, state| Ok(state.finality))
    }
    fn heads(&self) -> watch::Receiver<HeadView> {
        let mut heads = self.heads.subscribe();
        heads.mark_changed();
        heads
    }
    async fn second_word(&self, head: &Head) -> Word {
        let decides = matches!(self.state().other, Other::Decide(_));
        if decides {
            // The block has come by then.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let other = {
            let mut state = self.state();
            state.asked.push(format!("word {}", head.height));
            let other = state.other.clone();
            if let Other::Decide(view) = &other
                && view.at(head.height).is_some_and(|block| block.hash != head.hash)
            {
                (state.views, state.endpoint) = (vec![view.clone()], "second");
            }
            other
        };
        match other {
            Other::None => Word::Alone,
            Other::Silent => {
                tokio::time::sleep(CONFIRM_WITHIN).await;
                Word::Silent
            }
            Other::Sees(view) | Other::Decide(view) => match view.at(head.height) {
                Some(block) if block.hash == head.hash => Word::Agrees,
                Some(block) => Word::Contradicts { by: "second".into(), says: block.hash.to_string() },
                None => Word::Silent,
            },
        }
    }
}
