//! A source whose endpoints change while it is watched.
//!
//! Guarantee: whoever follows the chain notices nothing but that another endpoint may be in use. A question that is under way when the
//! source is succeeded is put to the successor at once, so that nobody waits for an endpoint that was taken out; heads go on, as after
//! a new connection, so that the chain is checked again. It knows no family.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use schemas::BlockHash;
use tokio::sync::watch;

use crate::{
    error::NodeError,
    source::{ChainSource, Finality, Head, HeadView, Word},
};

/// Pause before a source is asked again for its heads that has ended them by itself.
const PAUSE: Duration = Duration::from_millis(100);

/// A source, and whoever succeeds it. Clones are the same.
#[derive(Debug)]
pub struct Changing<S>(Arc<watch::Sender<Arc<S>>>);

impl<S> Clone for Changing<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Changing<S> {
    /// This one, to begin with.
    pub fn new(source: S) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(source))))
    }

    /// The present one.
    pub fn now(&self) -> Arc<S> {
        self.0.borrow().clone()
    }

    /// From now on this one.
    pub fn succeed(&self, source: S) {
        self.0.send_replace(Arc::new(source));
    }
}

/// Puts a question to the present source, and to its successor when that comes first.
macro_rules! of_the_present {
    ($changing:ident, $source:ident => $ask:expr) => {{
        let mut present = $changing.0.subscribe();
        loop {
            let $source = present.borrow_and_update().clone();
            tokio::select! {
                biased;
                answer = $ask => return answer,
                Ok(()) = present.changed() => {}
            }
        }
    }};
}

#[async_trait]
impl<S: ChainSource> ChainSource for Changing<S> {
    type Block = S::Block;

    fn endpoint(&self) -> String {
        self.now().endpoint()
    }

    fn endpoints(&self) -> Vec<String> {
        self.now().endpoints()
    }

    async fn chain_id(&self) -> Result<String, NodeError> {
        of_the_present!(self, source => source.chain_id())
    }

    async fn head(&self) -> Result<Head, NodeError> {
        of_the_present!(self, source => source.head())
    }

    async fn header(&self, height: u64) -> Result<Head, NodeError> {
        of_the_present!(self, source => source.header(height))
    }

    async fn fetch(&self, height: u64, hash: Option<&BlockHash>) -> Result<Self::Block, NodeError> {
        of_the_present!(self, source => source.fetch(height, hash))
    }

    async fn fetch_history(&self, height: u64) -> Result<Self::Block, NodeError> {
        of_the_present!(self, source => source.fetch_history(height))
    }

    fn at_once(&self) -> usize {
        self.now().at_once()
    }

    async fn fetch_together(&self, from: u64, count: usize, history: bool) -> Result<Vec<Self::Block>, NodeError> {
        of_the_present!(self, source => source.fetch_together(from, count, history))
    }

    async fn finality(&self) -> Result<Finality, NodeError> {
        of_the_present!(self, source => source.finality())
    }

    fn heads(&self) -> watch::Receiver<HeadView> {
        let (to, heads) = watch::channel(HeadView::default());
        tokio::spawn(follow(self.0.subscribe(), to));
        heads
    }

    async fn second_word(&self, head: &Head) -> Word {
        of_the_present!(self, source => source.second_word(head))
    }
}

/// Passes heads on until nobody listens.
async fn follow<S: ChainSource>(mut present: watch::Receiver<Arc<S>>, to: watch::Sender<HeadView>) {
    // Connections of former sources.
    let mut before = 0;
    loop {
        let mut heads = present.borrow_and_update().heads();
        loop {
            let view = heads.borrow_and_update().clone();
            // What a source shows before it has heard anything hides nothing that is known.
            if view.head.is_some() || view.error.is_some() {
                to.send_replace(HeadView { connection: before + view.connection, ..view });
            }
            tokio::select! {
                () = to.closed() => return,
                changed = present.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                changed = heads.changed() => if changed.is_err() {
                    tokio::time::sleep(PAUSE).await;
                    break;
                },
            }
        }
        before = to.borrow().connection + 1;
    }
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;
    use crate::{error::NodeErrorKind, source::SourceBlock};

    struct Block(Head);

    impl SourceBlock for Block {
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

    /// Answers with its name, or never.
    struct Named {
        name: &'static str,
        silent: bool,
        heads: watch::Sender<HeadView>,
    }

    fn named(name: &'static str, silent: bool) -> Named {
        Named { name, silent, heads: watch::Sender::default() }
    }

    fn head(height: u64) -> Head {
        let hash = BlockHash::from(alloy_primitives::B256::repeat_byte(height as u8));
        Head { height, hash: hash.clone(), parent: hash, time: TimeMs(0) }
    }

    #[async_trait]
    impl ChainSource for Named {
        type Block = Block;
        fn endpoint(&self) -> String {
            self.name.into()
        }
        fn endpoints(&self) -> Vec<String> {
            vec![self.endpoint()]
        }
        async fn fetch_history(&self, height: u64) -> Result<Block, NodeError> {
            self.fetch(height, None).await
        }
        fn at_once(&self) -> usize {
            1
        }
        async fn fetch_together(&self, from: u64, _: usize, _: bool) -> Result<Vec<Block>, NodeError> {
            Ok(vec![self.fetch(from, None).await?])
        }
        async fn second_word(&self, _: &Head) -> Word {
            Word::Alone
        }
        async fn chain_id(&self) -> Result<String, NodeError> {
            if self.silent {
                std::future::pending::<()>().await;
            }
            Ok(self.name.into())
        }
        async fn head(&self) -> Result<Head, NodeError> {
            Ok(head(1))
        }
        async fn header(&self, height: u64) -> Result<Head, NodeError> {
            Ok(head(height))
        }
        async fn fetch(&self, height: u64, _: Option<&BlockHash>) -> Result<Block, NodeError> {
            Ok(Block(head(height)))
        }
        async fn finality(&self) -> Result<Finality, NodeError> {
            Err(NodeError { endpoint: self.name.into(), call: "x".into(), kind: NodeErrorKind::Empty })
        }
        fn heads(&self) -> watch::Receiver<HeadView> {
            self.heads.subscribe()
        }
    }

    #[tokio::test]
    async fn a_question_that_nobody_answers_goes_to_the_successor() {
        let source = Changing::new(named("dead", true));
        let asked = tokio::spawn({
            let source = source.clone();
            async move { source.chain_id().await }
        });
        while source.0.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        source.succeed(named("live", false));
        assert_eq!(asked.await.expect("no panic").expect("an answer"), "live");
        assert_eq!((source.endpoint(), source.header(7).await.expect("an answer").height), ("live".into(), 7));
    }

    #[tokio::test]
    async fn heads_go_on_with_the_successor_as_after_a_new_connection() {
        let source = Changing::new(named("first", false));
        let first = source.now();
        let mut heads = source.heads();
        let saw = |source: &Named, height| {
            source.heads.send_modify(|view| assert!(view.saw(head(height))));
        };
        saw(&first, 5);
        let at = |height: u64| move |view: &HeadView| view.head.as_ref().is_some_and(|head| head.height == height);
        let before = heads.wait_for(at(5)).await.expect("open").connection;
        source.succeed(named("second", false));
        let second = source.now();
        while second.heads.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(at(5)(&heads.borrow()), "what is known stays");
        saw(&second, 6);
        assert!(heads.wait_for(at(6)).await.expect("open").connection > before);
        assert_eq!(first.heads.receiver_count(), 0, "nobody listens to the former one");
        drop(heads);
        while second.heads.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
