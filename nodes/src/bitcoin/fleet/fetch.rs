//! Blocks: with their bodies from Bitcoin Core, or headers alone where none is configured.
//!
//! Guarantee: a block of coverage `header` says nothing of transactions, and has its median time past wherever the headers below it are to
//! be had. Several come in one question where the endpoint likes that and they are small.

use std::{collections::VecDeque, time::Instant};

use schemas::{
    BitcoinHash, TimeMs,
    bitcoin::BitcoinChain,
    limits::bitcoin as limits,
    records::bitcoin::{BitcoinHeader, Coverage},
};

use super::{BitcoinFleet, client::Client};
use crate::{
    bitcoin::{
        block::BitcoinBlock,
        core,
        header::{Header, MEDIAN_OF, median_time},
    },
    error::{Class, Missing, NodeError, NodeErrorKind},
    fleet::{Answer, Ask},
    source::{ChainSource, SourceBlock},
};

/// Headers below a block whose time stamps its median takes too.
const BELOW: u64 = MEDIAN_OF as u64 - 1;

/// A block of which the header alone is known.
pub fn header_block(chain: BitcoinChain, height: u64, header: &Header, median: Option<u32>) -> BitcoinBlock {
    BitcoinBlock {
        head: header.head(height),
        header: BitcoinHeader {
            chain,
            coverage: Coverage::Header,
            version: header.version,
            merkle_root: header.merkle_root,
            time: header.time,
            bits: header.bits,
            nonce: header.nonce,
            median_time: median.map(|seconds| TimeMs::from_secs(seconds.into())),
            chain_work: None,
            size: None,
            stripped_size: None,
            weight: None,
            transaction_count: None,
            coinbase: None,
        },
        transactions: Vec::new(),
    }
}

/// Blocks of linked headers, the first at `first`, from the height `from` on.
fn header_blocks(chain: BitcoinChain, first: u64, headers: &[Header], from: u64) -> Vec<BitcoinBlock> {
    let mut blocks = Vec::with_capacity(headers.len());
    let mut times = VecDeque::with_capacity(MEDIAN_OF);
    for (height, header) in (first..).zip(headers) {
        if times.len() == MEDIAN_OF {
            times.pop_front();
        }
        times.push_back(header.time);
        if height >= from {
            let whole = times.len() == MEDIAN_OF || first == 0;
            let median = if whole { median_time(times.iter().copied()) } else { None };
            blocks.push(header_block(chain, height, header, median));
        }
    }
    blocks
}

impl BitcoinFleet {
    /// Asks the endpoint in use, of those that can give what is written down, and the next when it fails.
    pub(super) async fn ask<T, F, Fut>(&self, ask: Ask, call: F) -> Result<Answer<T>, NodeError>
    where
        T: Send,
        F: Fn(Client) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, NodeError>> + Send,
    {
        let call = &call;
        let able = |client: &Client| self.gives(client);
        let answer = self.fleet.ask_able(ask, able, move |member| async move {
            self.on_chain(&member).await?;
            call(self.client(&member)).await
        });
        answer.await
    }

    /// The block; who was asked for it has said so.
    pub(super) async fn block(
        &self,
        ask: Ask,
        height: u64,
        at: Option<BitcoinHash>,
    ) -> Result<BitcoinBlock, NodeError> {
        // What is known of it was shown by whoever claims it, and is no further word of anybody.
        if let (false, Some(hash), Ok(chain)) = (self.bodies, at, self.chain())
            && let Some(block) = self.known_block(chain, height, &hash)
        {
            return Ok(block);
        }
        let asked = Instant::now();
        let answer = self.block_by(ask, height, at).await?;
        if let Ok(hash) = answer.value.head.hash.as_str().parse::<BitcoinHash>() {
            self.said().show(&answer.operator, &answer.endpoint, (height, hash), asked);
        }
        Ok(answer.value)
    }

    /// The block at a height, of this hash where one is expected, and whose it is.
    pub(super) async fn block_by(
        &self,
        ask: Ask,
        height: u64,
        at: Option<BitcoinHash>,
    ) -> Result<Answer<BitcoinBlock>, NodeError> {
        let ask = Ask { told: at.is_some(), ..ask };
        if !self.bodies {
            return self.header_by(ask, height).await;
        }
        self.ask(ask, move |client| async move {
            let Client::Core(core) = &client else { return Err(no_bodies(&client, height)) };
            let mut block = core.block(height, at.as_ref()).await?;
            self.block_bytes.saw(block.header.size.unwrap_or_default().into(), 1);
            self.with_medians(&client, std::slice::from_mut(&mut block)).await?;
            Ok(block)
        })
        .await
    }

    /// The median time past of linked blocks, of their headers and of those below them: no proof covers what a node says of it, and whole
    /// hours are closed by it. Unknown where the headers below are of another branch by now.
    async fn with_medians(&self, client: &Client, blocks: &mut [BitcoinBlock]) -> Result<(), NodeError> {
        let Some(lowest) = blocks.first().map(|block| block.head.clone()) else { return Ok(()) };
        let known: Vec<Option<u32>> = {
            let view = self.view();
            let hashes = blocks.iter().map(|block| block.head.hash.as_str().parse::<BitcoinHash>().ok());
            hashes.map(|hash| view.tree.median(&hash?)).collect()
        };
        let first = lowest.height.saturating_sub(BELOW);
        let count = usize::try_from(lowest.height - first).unwrap_or(MEDIAN_OF);
        let mut times = VecDeque::with_capacity(MEDIAN_OF);
        let mut linked = count == 0;
        if known.contains(&None) && count > 0 {
            let below = client.headers(first, count).await?;
            let parent = below.last().map(|header| header.hash.to_string());
            linked = below.len() == count && parent.as_deref() == Some(lowest.parent.as_str());
            times.extend(below.iter().map(|header| header.time));
        }
        for (block, known) in blocks.iter_mut().zip(known) {
            times.push_back(block.header.time);
            if times.len() > MEDIAN_OF {
                times.pop_front();
            }
            let own = known.or_else(|| if linked { median_time(times.iter().copied()) } else { None });
            let own = own.map(|seconds| TimeMs::from_secs(seconds.into()));
            believe_median(block, own)
                .map_err(|words| client.error("block", Some(block.head.height), NodeErrorKind::Lying(words)))?;
        }
        Ok(())
    }

    /// The same of a header.
    async fn header_by(&self, ask: Ask, height: u64) -> Result<Answer<BitcoinBlock>, NodeError> {
        let chain = self.chain()?;
        let first = height.saturating_sub(BELOW);
        let count = usize::try_from(height - first).unwrap_or(MEDIAN_OF).saturating_add(1);
        self.ask(ask, move |client| async move {
            let headers = client.headers(first, count).await?;
            let block = header_blocks(chain, first, &headers, height).pop();
            block.ok_or_else(|| client.error("header", Some(height), NodeErrorKind::Empty))
        })
        .await
    }

    /// A block of the tree, with its median: among the newest nobody has to be asked for a header.
    fn known_block(&self, chain: BitcoinChain, height: u64, hash: &BitcoinHash) -> Option<BitcoinBlock> {
        let view = self.view();
        let known = view.tree.get(hash).filter(|known| known.height == height)?;
        let median = view.tree.median(hash)?;
        Some(header_block(chain, height, &known.header, Some(median)))
    }

    /// As many heights as one question is about now.
    pub(super) fn heights_together(&self) -> usize {
        if !self.bodies {
            return limits::NODE_HEADERS_TOGETHER;
        }
        let members = self.fleet.members();
        let able = members.iter().filter(|m| m.usable() && self.gives(&m.client));
        able.map(|m| m.together(core::CALLS)).max().unwrap_or(1).min(self.block_bytes.together())
    }

    /// See [`ChainSource::fetch_together`].
    pub(super) async fn blocks_together(
        &self,
        from: u64,
        count: usize,
        history: bool,
    ) -> Result<Vec<BitcoinBlock>, NodeError> {
        let ask = if history { self.historical(from) } else { self.question("block", Some(from)) };
        let asked = Instant::now();
        let answer = match self.bodies {
            true => self.bodies_together(ask, from, count).await,
            false => self.headers_together(ask, from, count).await,
        };
        match answer {
            Ok(answer) => {
                if !history {
                    let mut said = self.said();
                    for head in answer.value.iter().map(SourceBlock::head) {
                        if let Ok(hash) = head.hash.as_str().parse::<BitcoinHash>() {
                            said.show(&answer.operator, &answer.endpoint, (head.height, hash), asked);
                        }
                    }
                }
                self.fleet.passed(answer.value.len() as u64);
                Ok(answer.value)
            }
            Err(e) if count > 1 && e.class() == Class::Failing && e.asked_wait().is_none() => {
                tracing::debug!(network = %self.config.network, from, count, error = %e, "the block is asked for by itself");
                let block = if history { self.fetch_history(from).await? } else { self.fetch(from, None).await? };
                Ok(vec![block])
            }
            Err(e) => Err(e),
        }
    }

    async fn bodies_together(&self, ask: Ask, from: u64, count: usize) -> Result<Answer<Vec<BitcoinBlock>>, NodeError> {
        let able = |client: &Client| self.gives(client);
        let answer = self.fleet.ask_able(ask, able, move |member| async move {
            self.on_chain(&member).await?;
            let client = self.client(&member);
            let Client::Core(core) = &client else { return Err(no_bodies(&client, from)) };
            let began = Instant::now();
            let mut blocks = match core.blocks(from, count).await {
                Ok(blocks) => blocks,
                Err(e) => {
                    if count > 1 && e.class() == Class::Failing {
                        member.together_failed(e.label(), count);
                    }
                    return Err(e);
                }
            };
            if blocks.len() == count && count > 1 {
                member.together_worked(count, began.elapsed());
            }
            let bytes = blocks.iter().map(|block| u64::from(block.header.size.unwrap_or_default())).sum();
            self.block_bytes.saw(bytes, blocks.len());
            self.with_medians(&client, &mut blocks).await?;
            Ok(blocks)
        });
        answer.await
    }

    async fn headers_together(
        &self,
        ask: Ask,
        from: u64,
        count: usize,
    ) -> Result<Answer<Vec<BitcoinBlock>>, NodeError> {
        let chain = self.chain()?;
        let first = from.saturating_sub(BELOW);
        let below = usize::try_from(from - first).unwrap_or(MEDIAN_OF);
        self.ask(ask, move |client| async move {
            let headers = client.headers(first, count.saturating_add(below)).await?;
            let mut blocks = header_blocks(chain, first, &headers, from);
            blocks.truncate(count);
            if blocks.is_empty() {
                return Err(client.error("header", Some(from), NodeErrorKind::Empty));
            }
            Ok(blocks)
        })
        .await
    }
}

/// The block's median time past is the one that was computed; a node that says another one lies.
fn believe_median(block: &mut BitcoinBlock, own: Option<TimeMs>) -> Result<(), String> {
    let told = std::mem::replace(&mut block.header.median_time, own);
    match (own, told) {
        (Some(own), Some(told)) if own != told => Err(format!(
            "it says that the median time past of block {} is {} ms, which is {} ms",
            block.head.hash.as_str(),
            told.0,
            own.0
        )),
        _ => Ok(()),
    }
}

fn no_bodies(client: &Client, height: u64) -> NodeError {
    let words = "an Electrum server gives headers only".to_owned();
    client.error("block", Some(height), NodeErrorKind::Missing(Missing::Method, words))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tree::tests::{first, run},
        *,
    };

    #[test]
    fn a_median_is_computed_whatever_a_node_says() {
        let (own, told) = (Some(TimeMs(1_000)), Some(TimeMs(4_102_444_800_000)));
        let mut block = header_block(BitcoinChain::Regtest, 7, &first(), Some(1));
        for (own, said, fits) in [(own, told, false), (own, own, true), (own, None, true), (None, told, true)] {
            block.header.median_time = said;
            assert_eq!(believe_median(&mut block, own).is_ok(), fits, "{own:?} {said:?}");
            assert_eq!(block.header.median_time, own);
        }
    }

    #[test]
    fn a_header_is_a_block_of_which_nothing_else_is_said() {
        let root = first();
        let headers = [&[root][..], &run(&root, 12, 1)[..]].concat();
        let chain = BitcoinChain::Regtest;
        let of = |first, from| {
            let blocks = header_blocks(chain, first, &headers, from);
            blocks.iter().map(|b| (b.head.height, b.header.median_time.map(|t| t.0 / 1_000))).collect::<Vec<_>>()
        };
        assert_eq!(of(0, 12), [(12, Some(1_000_000 + 600 * 7))]);
        assert_eq!(of(0, 0)[..2], [(0, Some(1_000_000)), (1, Some(1_000_600))], "a chain's begin has fewer");
        assert_eq!(of(50, 59), [(59, None), (60, Some(1_003_000)), (61, Some(1_003_600)), (62, Some(1_004_200))]);
        let block = header_block(chain, 7, &root, None);
        assert_eq!((block.tx_count(), block.log_count(), block.header.coverage), (0, 0, Coverage::Header));
        assert_eq!((block.header.transaction_count, block.header.coinbase.is_none()), (None, true));
    }
}
