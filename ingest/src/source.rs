//! The edge between configuration and watchers: a network and where its blocks come from.

use std::sync::Arc;

use nodes::evm::EvmSource;

use crate::config::NetworkConfig;

/// A network and its node.
#[derive(Clone)]
pub struct Source {
    /// As configured.
    pub network: NetworkConfig,
    /// Where its blocks come from.
    pub node: Arc<dyn EvmSource>,
}
