//! Of Bitcoin: what nodes and servers send, and what is kept of it. A section per part.

/// A block with witnesses, weight units and bytes: the consensus limit (BIP-141).
pub const BLOCK_BYTES: usize = 4_000_000;

// Blocks as nodes give them.

/// Weight units of a block, the consensus limit (BIP-141).
pub const BLOCK_WEIGHT: usize = 4_000_000;
/// Virtual bytes that a block has room for: a quarter of its weight, and exactly the room of 4,000,000 units.
pub const BLOCK_VIRTUAL_BYTES: u64 = (BLOCK_WEIGHT / 4) as u64;
/// Transactions of a block, as many as fit: the smallest has 60 bytes without witnesses.
pub const BLOCK_TRANSACTIONS: usize = 16_666;
/// Inputs of a block, as many as fit: the smallest has 41 bytes.
pub const BLOCK_INPUTS: usize = 24_390;
/// Satoshi that there can ever be.
pub const MOST_SATOSHI: u64 = 2_100_000_000_000_000;
/// Headers asked for in one batch.
pub const CORE_HEADERS_PER_BATCH: usize = 256;
/// A frame of ZMQ. Notifications have less than a hundred bytes; raw blocks, which nobody needs to send here, are over it.
pub const ZMQ_FRAME_BYTES: usize = 4 << 10;

// Electrum servers.

/// A line that a server sends. 2,016 headers take a third of a megabyte; ElectrumX sends a megabyte by default.
pub const ELECTRUM_LINE_BYTES: usize = 4 << 20;
/// Messages of one connection within ten seconds that nobody waits for: notifications, late answers. More end it.
pub const ELECTRUM_NOTICES: u32 = 20_000;
/// Bytes of those in the same time.
pub const ELECTRUM_NOTICE_BYTES: usize = 16 << 20;
/// Messages that one line may hold: servers answer what is asked one by one.
pub const ELECTRUM_MESSAGES_PER_LINE: usize = 256;
/// Scripts that are watched over one network's servers at the same time.
pub const ELECTRUM_SCRIPTS: usize = 10_000;
/// Transactions of one script's history that are read.
pub const ELECTRUM_HISTORY: usize = 20_000;

// The endpoints of a network together.

/// Heights that one question for headers is about, where headers alone are followed.
pub const NODE_HEADERS_TOGETHER: usize = 256;
// What is read of transactions (`enrich/src/steps/bitcoin`).

/// Of an inscription's media type.
pub const MEDIA_TYPE_BYTES: usize = 256;

// The store's answers.

/// Words of the scripts of one transaction in one answer, bytes; scripts beyond are told in hex alone.
pub const SCRIPT_WORDS_BYTES: usize = 4 << 20;

/// Inputs, and outputs, of one transaction in one answer.
pub const TRANSACTION_PARTS: u32 = 1_000;
