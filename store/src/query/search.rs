//! What a hash, a height or an address is, in all networks that somebody may read.
//!
//! Guarantee: each question is one look-up by an index, or a few windows of the newest rows for an address, and gives a bounded answer.

use clickhouse::Row;
use schemas::{Network, limits::causes::FOUND};
use serde::Deserialize;

use super::{Sort, TransactionFilter};
use crate::{Store, StoreError};

/// What has a hash.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct FoundHash {
    /// `transaction` or `block`.
    pub kind: String,
    /// Slug of the network.
    pub network: String,
    /// Height of the block.
    pub height: u64,
    /// A transaction's outcome.
    pub status: Option<String>,
    /// Why it failed, one word.
    pub cause: Option<String>,
}

/// A canonical block of a height.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct FoundHeight {
    /// Slug of the network.
    pub network: String,
    /// The block's hash.
    pub hash: String,
}

/// Networks that are asked for an address at the same time.
const AT_ONCE: usize = 4;
/// How long an address is looked for.
const ADDRESS_TIME: std::time::Duration = std::time::Duration::from_secs(6);

impl Store {
    /// The canonical transactions and blocks with this hash in these networks (none named: none is asked), at most [`FOUND`] of each. The
    /// hash is 64 lower-case hex digits as the family writes them: with `0x` on EVM, without on Bitcoin.
    ///
    /// # Errors
    /// The store is away.
    pub async fn found_hash(&self, hash: &str, networks: &[Network]) -> Result<Vec<FoundHash>, StoreError> {
        let ask = |sql: String| {
            let networks: Vec<&str> = networks.iter().map(Network::as_str).collect();
            self.read(&sql).param("hash", hash).param("networks", networks).fetch_all::<FoundHash>()
        };
        let transactions = ask(format!(
            "SELECT 'transaction' AS kind, network, block_number AS height, CAST(status, 'Nullable(String)') AS status, \
                 CAST(failure_cause, 'Nullable(String)') AS cause FROM transactions \
             WHERE hash = {{hash:String}} AND network IN {{networks:Array(String)}} \
             ORDER BY block_timestamp DESC, network LIMIT {FOUND}"
        ));
        let blocks = ask(format!(
            "SELECT 'block' AS kind, network, number AS height, CAST(NULL, 'Nullable(String)') AS status, \
                 CAST(NULL, 'Nullable(String)') AS cause FROM blocks \
             WHERE hash = {{hash:String}} AND network IN {{networks:Array(String)}} ORDER BY timestamp DESC, network LIMIT {FOUND}"
        ));
        let both = futures::future::try_join(transactions, blocks);
        let (mut found, blocks) = self.within("looking for a hash", both).await?;
        found.extend(blocks);
        Ok(found)
    }

    /// The canonical blocks of this height in these networks, at most [`FOUND`].
    ///
    /// # Errors
    /// The store is away.
    pub async fn found_height(&self, height: u64, networks: &[Network]) -> Result<Vec<FoundHeight>, StoreError> {
        let sql = format!(
            "SELECT network, hash FROM blocks WHERE network IN {{networks:Array(String)}} AND number = {{number:UInt64}} \
             ORDER BY network LIMIT {FOUND}"
        );
        let networks: Vec<&str> = networks.iter().map(Network::as_str).collect();
        let query = self.read(&sql).param("networks", networks).param("number", height);
        self.within("looking for a height", query.fetch_all::<FoundHeight>()).await
    }

    /// Those of these networks in which the address sent, received or logged something, as far as that is found in the time of a list: the
    /// newest rows are looked at first.
    ///
    /// # Errors
    /// The store is away.
    pub async fn found_address(&self, address: &str, networks: &[Network]) -> Result<Vec<String>, StoreError> {
        use futures::{StreamExt, stream};
        let ask = |network: &Network| {
            let filter = TransactionFilter {
                network: Some(network.clone()),
                address: Some(address.to_owned()),
                sort: Sort::Newest,
                limit: 1,
                ..TransactionFilter::default()
            };
            async move {
                let page = self.transactions(&filter).await?;
                Ok::<_, StoreError>((!page.items.is_empty()).then(|| filter.network.map(|n| n.as_str().to_owned())))
            }
        };
        let asks: Vec<_> = networks.iter().map(ask).collect();
        let mut found = Vec::new();
        let mut answers = stream::iter(asks).buffered(AT_ONCE);
        let until = tokio::time::Instant::now() + ADDRESS_TIME;
        // So many are enough, and so is what was found by then.
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, answers.next()).await {
            found.extend(answer?.flatten());
            if found.len() >= FOUND as usize {
                break;
            }
        }
        Ok(found)
    }
}
