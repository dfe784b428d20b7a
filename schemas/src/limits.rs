//! Every size and count limit of the product, in one file. Bytes unless the name says otherwise.

/// Length of a network's slug.
pub const NETWORK_SLUG_BYTES: usize = 64;
/// Recent live blocks that ingest keeps per network, so the deepest reorg that it walks back by itself, in blocks.
pub const REORG_LIMIT_BLOCKS: u64 = 256;
/// One record's value in the log. A larger one goes to `dead.letters` and a placeholder takes its place.
pub const RECORD_VALUE_BYTES: usize = 8 << 20;
/// Sum of record values in one transaction of the log, after which ingest starts the next.
pub const TRANSACTION_BYTES: usize = 32 << 20;
/// Answer of a chain node to one call.
pub const NODE_ANSWER_BYTES: usize = 64 << 20;
/// Networks in one configuration.
pub const NETWORKS: usize = 1_000;
/// Endpoints of one network.
pub const ENDPOINTS_PER_NETWORK: usize = 64;
/// Transactions in one block.
pub const TRANSACTIONS_PER_BLOCK: usize = 100_000;
/// Items of a REST list, at most.
pub const PAGE_ITEMS_MAX: u32 = 1_000;
/// Items of a REST list by default.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// WebSocket connections of one API process.
pub const WS_CONNECTIONS: usize = 10_000;
/// Subscriptions of one WebSocket connection.
pub const WS_SUBSCRIPTIONS: usize = 64;
/// A text frame from a WebSocket client.
pub const WS_CLIENT_FRAME_BYTES: usize = 16 << 10;
/// Body of a REST request.
pub const HTTP_BODY_BYTES: usize = 1 << 20;
