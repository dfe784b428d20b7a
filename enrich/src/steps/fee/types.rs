//! EIP-2718 types that a fee depends on. A number means another thing on another chain: Arbitrum's deposit is Ronin's sponsored
//! transaction, OP-stack's deposit is Scroll's message and Berachain's distribution.

/// EIP-4844.
pub(super) const BLOB: u64 = 0x03;
/// Arbitrum: deposit from L1.
pub(super) const ARBITRUM_DEPOSIT: u64 = 0x64;
/// Arbitrum: submission of a retryable ticket.
pub(super) const ARBITRUM_SUBMIT_RETRYABLE: u64 = 0x69;
/// Arbitrum: internal.
pub(super) const ARBITRUM_INTERNAL: u64 = 0x6a;
/// Celo before 2024 (CIP-42): with a gateway's fee, which no receipt and no record has.
pub(super) const CELO_GATEWAY: u64 = 0x7c;
/// OP-stack: deposit. Scroll: message from L1. Berachain: distribution of rewards (BRIP-0004).
pub(super) const DEPOSIT: u64 = 0x7e;
/// Polygon: state sync (PIP-74).
pub(super) const STATE_SYNC: u64 = 0x7f;
/// ZKsync: upgrade of the protocol.
pub(super) const ZKSYNC_UPGRADE: u64 = 0xfe;
/// ZKsync: priority transaction from L1.
pub(super) const ZKSYNC_PRIORITY: u64 = 0xff;
