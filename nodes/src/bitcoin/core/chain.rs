//! What a node says of its chain: heights, hashes, headers. Each header is made of the answer's fields anew, so that its hash and its work are
//! its own.

use alloy_primitives::U256;
use schemas::{BitcoinChain, BitcoinHash, TimeMs, limits::bitcoin as limits};
use serde_json::json;

use super::{
    client::{Asked, CoreClient},
    wire::{Hash, Info, JsonHeader, NetworkInfo},
};
use crate::{
    bitcoin::header::Header,
    error::{Fault, NodeError, NodeErrorKind},
    source::Head,
};

const INFO: &str = "getblockchaininfo";
const NETWORK: &str = "getnetworkinfo";
const BEST: &str = "getbestblockhash";
pub(super) const HASH: &str = "getblockhash";
const HEADER: &str = "getblockheader";

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainInfo {
    /// The chain that it is on, in Core's words.
    pub chain: String,
    /// Height of its tip.
    pub height: u64,
    /// Hash of its tip.
    pub hash: BitcoinHash,
    /// Height of the best header that it has: above its tip while it catches up.
    pub headers: u64,
    /// Whether it says that it is in its initial download.
    pub initial_download: bool,
    /// The lowest height that it has whole; `None` where it prunes nothing.
    pub pruned_below: Option<u64>,
}

impl ChainInfo {
    /// Why its tip is no tip, where it catches up: it is in its initial download and knows of blocks that it does not have. One that has all
    /// of a chain on which nothing has happened for a day says the former too.
    pub fn catching_up(&self) -> Option<String> {
        let behind = self.initial_download && self.headers > self.height;
        behind.then(|| format!("it is in its initial download, at {} of {} blocks", self.height, self.headers))
    }
}

/// A header, and what a node says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreHeader {
    /// The header; its work was checked.
    pub header: Header,
    /// Its height.
    pub height: u64,
    /// Median of its and the ten former time stamps.
    pub median_time: Option<TimeMs>,
    /// Work of the chain up to it.
    pub chain_work: Option<U256>,
    /// Transactions of its block; `None` while that has not been downloaded.
    pub transactions: Option<u32>,
    /// Blocks on top of it, itself included; -1 where it is on no best chain.
    pub confirmations: Option<i64>,
}

impl CoreHeader {
    /// As much of it as following a chain takes.
    pub fn head(&self) -> Head {
        self.header.head(self.height)
    }

    /// Whether it is on the node's best chain.
    pub fn canonical(&self) -> bool {
        self.confirmations.is_none_or(|confirmations| confirmations >= 0)
    }
}

impl CoreClient {
    /// Checks that it is on the chain that it is asked for: [`NodeErrorKind::OtherChain`] where it is not.
    pub async fn check(&self) -> Result<(), NodeError> {
        let genesis = self.genesis().await?;
        if genesis == self.chain().genesis() {
            return Ok(());
        }
        let is = BitcoinChain::of_genesis(&genesis)
            .map_or_else(|| format!("a chain that begins with {genesis}"), |chain| format!("the chain `{chain}`"));
        let said = format!("it is on {is}, not on `{}`: check `chain` and the endpoint's URL", self.chain());
        Err(self.error(HASH, Some(0), NodeErrorKind::OtherChain(said)))
    }

    /// Hash of the first block, whatever chain it is asked for.
    pub async fn genesis(&self) -> Result<BitcoinHash, NodeError> {
        self.hash_at(0).await
    }

    /// What it says of itself.
    pub async fn info(&self) -> Result<ChainInfo, NodeError> {
        let asked = Asked { method: INFO, height: None };
        let told: Info = self.call_telling(asked, json!([]), |info: &Info| info.blocks).await?;
        let lacks = |field| {
            let said = format!("the answer has no `{field}`");
            self.error(INFO, None, NodeErrorKind::Malformed(said))
        };
        let height = told.blocks.ok_or_else(|| lacks("blocks"))?;
        Ok(ChainInfo {
            chain: told.chain.ok_or_else(|| lacks("chain"))?,
            height,
            hash: told.bestblockhash.ok_or_else(|| lacks("bestblockhash"))?.0,
            headers: told.headers.unwrap_or(height),
            initial_download: told.initialblockdownload.unwrap_or(false),
            pruned_below: told.pruneheight.filter(|_| told.pruned == Some(true)),
        })
    }

    /// Its tip. [`NodeErrorKind::Stale`] where it catches up. The meter is told of its height and of the way to it.
    pub async fn tip(&self) -> Result<CoreHeader, NodeError> {
        if !self.is_named() {
            // That it does not say is no reason to do without its tip, and to ask again only where it may have been an accident.
            match self.call::<NetworkInfo>(Asked { method: NETWORK, height: None }, json!([])).await {
                Ok(NetworkInfo { subversion }) => self.named(subversion.unwrap_or_default()),
                Err(e) if e.fault() == Fault::Endpoint => self.named(String::new()),
                Err(_) => {}
            }
        }
        let info = self.info().await?;
        if let Some(said) = info.catching_up() {
            return Err(self.error(INFO, None, NodeErrorKind::Stale(said)));
        }
        let header = self.header(&info.hash).await?;
        if header.height != info.height {
            let lie = format!("its tip {} is at {} and at {}", info.hash, info.height, header.height);
            return Err(self.error(HEADER, Some(info.height), NodeErrorKind::Lying(lie)));
        }
        self.tell_link();
        Ok(header)
    }

    /// Hash of its tip: the cheapest question for news.
    pub async fn best(&self) -> Result<BitcoinHash, NodeError> {
        let Hash(hash) = self.call(Asked { method: BEST, height: None }, json!([])).await?;
        Ok(hash)
    }

    /// Hash of the block of its best chain at a height; class `Empty` above its tip.
    pub async fn hash_at(&self, height: u64) -> Result<BitcoinHash, NodeError> {
        let Hash(hash) = self.call(Asked { method: HASH, height: Some(height) }, json!([height])).await?;
        Ok(hash)
    }

    /// The header with a hash, on its best chain or not; class `Empty` where it does not have it.
    pub async fn header(&self, hash: &BitcoinHash) -> Result<CoreHeader, NodeError> {
        self.header_said_at(hash, None).await
    }

    /// The header of its best chain at a height; class `Empty` above its tip.
    pub async fn header_at(&self, height: u64) -> Result<CoreHeader, NodeError> {
        let hash = self.hash_at(height).await?;
        self.header_said_at(&hash, Some(height)).await
    }

    async fn header_said_at(&self, hash: &BitcoinHash, height: Option<u64>) -> Result<CoreHeader, NodeError> {
        let told: JsonHeader = self.call(Asked { method: HEADER, height }, json!([hash.to_string(), true])).await?;
        self.read_header(told, hash, height).map_err(|kind| self.error(HEADER, height, kind))
    }

    /// The headers of so many heights of its best chain from one on, each the child of the one before: those before the first that is not
    /// to be had, at least one, or why there is none; never more than [`limits::CORE_HEADERS_PER_BATCH`].
    pub async fn headers(&self, from: u64, count: usize) -> Result<Vec<CoreHeader>, NodeError> {
        let heights = from..=from.saturating_add(count.clamp(1, limits::CORE_HEADERS_PER_BATCH) as u64 - 1);
        let asked = Asked { method: HASH, height: Some(from) };
        let told = self.batch::<Hash>(asked, heights.clone().map(|height| json!([height])).collect()).await?;
        let (mut hashes, mut first_error) = (Vec::with_capacity(told.len()), None);
        for hash in told {
            match hash {
                Ok(Hash(hash)) => hashes.push(hash),
                Err(kind) => {
                    first_error = Some(self.error(HASH, Some(from), kind));
                    break;
                }
            }
        }
        if let (true, Some(error)) = (hashes.is_empty(), first_error) {
            return Err(error);
        }
        let asked = Asked { method: HEADER, height: Some(from) };
        let questions = hashes.iter().map(|hash| json!([hash.to_string(), true])).collect();
        let told = self.batch::<JsonHeader>(asked, questions).await?;
        let mut headers: Vec<CoreHeader> = Vec::with_capacity(told.len());
        for ((told, hash), height) in told.into_iter().zip(&hashes).zip(heights) {
            let read = told.and_then(|told| self.read_header(told, hash, Some(height)));
            match read {
                // Between the two batches its chain may have become another.
                Ok(header) if headers.last().is_some_and(|parent| !header.header.follows(&parent.header)) => break,
                Ok(header) => headers.push(header),
                Err(kind) if headers.is_empty() => return Err(self.error(HEADER, Some(height), kind)),
                Err(_) => break,
            }
        }
        Ok(headers)
    }

    /// A header of its fields, once it is the one that was asked for.
    fn read_header(
        &self,
        told: JsonHeader,
        asked: &BitcoinHash,
        height: Option<u64>,
    ) -> Result<CoreHeader, NodeErrorKind> {
        let header = rebuilt(&told)?;
        if header.hash != *asked {
            return Err(NodeErrorKind::Lying(format!(
                "asked for the header {asked}, got one whose hash is {}",
                header.hash
            )));
        }
        header.check_work(self.chain()).map_err(|e| NodeErrorKind::Lying(e.to_string()))?;
        let said =
            told.height.ok_or_else(|| NodeErrorKind::Malformed(format!("the header {asked} has no `height`")))?;
        if let Some(height) = height.filter(|height| *height != said) {
            return Err(NodeErrorKind::Lying(format!("the block {asked} at {height} is said to be at {said}")));
        }
        Ok(CoreHeader {
            header,
            height: said,
            median_time: told.mediantime.map(TimeMs::from_secs),
            chain_work: told.chainwork.and_then(|digits| U256::from_str_radix(&digits, 16).ok()),
            transactions: told.transactions.filter(|count| *count > 0),
            confirmations: told.confirmations,
        })
    }
}

/// The header that these fields are of.
fn rebuilt(told: &JsonHeader) -> Result<Header, NodeErrorKind> {
    let lacks = |field: &str| NodeErrorKind::Malformed(format!("a header has no `{field}`, or none that fits"));
    let bits = told.bits.as_deref().and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let version = told.version.and_then(|version| match i32::try_from(version) {
        Ok(signed) => Some(signed.cast_unsigned()),
        // Some others print it without its sign.
        Err(_) => u32::try_from(version).ok(),
    });
    let fields = Header {
        hash: BitcoinHash::default(),
        prev: told.previousblockhash.map_or_else(BitcoinHash::default, |hash| hash.0),
        merkle_root: told.merkleroot.ok_or_else(|| lacks("merkleroot"))?.0,
        time: told.time.ok_or_else(|| lacks("time"))?,
        bits: bits.ok_or_else(|| lacks("bits"))?,
        nonce: told.nonce.ok_or_else(|| lacks("nonce"))?,
        version: version.ok_or_else(|| lacks("version"))?,
    };
    Ok(Header::of(&fields.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Knots 29.4 answered on a chain for tests.
    const TOLD: &str = r#"{"hash":"48a4e5c6606e26407f2529c739bacba0520b7fa16ce787934698195814d55dbc","confirmations":1,"height":110,
        "version":536870912,"versionHex":"20000000","merkleroot":"a6384fffeeefec75e69cf43cc1f33bc549e87f7ae7d1f844d45fd580334a10c5",
        "time":1795988324,"mediantime":1795988323,"nonce":0,"bits":"207fffff","difficulty":4.656542373906925e-10,
        "chainwork":"00000000000000000000000000000000000000000000000000000000000000de","nTx":1,
        "previousblockhash":"2e18623aff570e265bfab9d258ab52cac4813b93e53ee84efa1fa9bdd4c64a27"}"#;

    fn client() -> CoreClient {
        let endpoint = crate::bitcoin::Endpoint::new("a", "http://127.0.0.1:1/".parse().unwrap());
        CoreClient::new(endpoint, BitcoinChain::Regtest, Default::default()).unwrap()
    }

    #[test]
    fn a_header_is_what_its_fields_hash_to() {
        let told = || serde_json::from_str::<JsonHeader>(TOLD).unwrap();
        let hash = told().hash.unwrap().0;
        let read = client().read_header(told(), &hash, Some(110)).unwrap();
        assert_eq!((read.header.hash, read.height, read.canonical()), (hash, 110, true));
        assert_eq!((read.transactions, read.chain_work), (Some(1), Some(U256::from(0xde))));
        assert_eq!(read.median_time, Some(TimeMs(1_795_988_323_000)));
        let lies = |told: JsonHeader, height| client().read_header(told, &hash, height);
        assert!(matches!(lies(JsonHeader { nonce: Some(1), ..told() }, None), Err(NodeErrorKind::Lying(_))));
        assert!(matches!(lies(told(), Some(111)), Err(NodeErrorKind::Lying(_))));
        assert!(matches!(lies(JsonHeader { bits: None, ..told() }, None), Err(NodeErrorKind::Malformed(_))));
        let main = client().on(BitcoinChain::Main).read_header(told(), &hash, None);
        assert!(matches!(main, Err(NodeErrorKind::Lying(_))), "such work is none there");
        let left = JsonHeader { confirmations: Some(-1), transactions: Some(0), ..told() };
        let left = client().read_header(left, &hash, None).unwrap();
        assert_eq!((left.canonical(), left.transactions), (false, None));
    }

    #[test]
    fn a_node_that_has_all_of_a_sleeping_chain_does_not_catch_up() {
        let info = ChainInfo {
            chain: "regtest".into(),
            height: 7,
            hash: BitcoinHash::default(),
            headers: 7,
            initial_download: true,
            pruned_below: None,
        };
        assert_eq!(info.catching_up(), None);
        assert!(ChainInfo { headers: 9, ..info.clone() }.catching_up().is_some_and(|said| said.contains("7 of 9")));
        assert_eq!(ChainInfo { headers: 9, initial_download: false, ..info }.catching_up(), None);
    }
}
