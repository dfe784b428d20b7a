//! How patient to be with an Electrum server, and how much is asked of it at once.

use std::time::Duration;

use crate::tries::endless;

/// Deadlines and sizes of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectrumTuning {
    /// Connecting, TLS and the first words included.
    pub connect_timeout: Duration,
    /// One call.
    pub call_timeout: Duration,
    /// Between two `server.ping` of a connection: servers cut those that are idle for ten minutes.
    pub ping_every: Duration,
    /// After so long without a word a subscription to heads is asked for the tip: one that is dead is silent.
    pub ask_again: Duration,
    /// Connections for calls, which are made as they are needed; subscriptions have one more.
    pub sockets: usize,
    /// Requests under way on one connection. ElectrumX answers ten at a time.
    pub in_flight: usize,
}

impl Default for ElectrumTuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(15),
            ping_every: Duration::from_secs(60),
            ask_again: Duration::from_secs(30),
            sockets: 2,
            in_flight: 8,
        }
    }
}

/// Waits between attempts to subscribe, longer each time, with jitter. A server that was killed is back in moments.
pub fn reconnect_waits() -> backon::ExponentialBackoff {
    endless(Duration::from_millis(100), Duration::from_secs(30))
}

/// The shortest and the longest wait between attempts at a call, and to connect for one: short, since whoever asks has somebody else to ask.
pub(super) const CALL_WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
