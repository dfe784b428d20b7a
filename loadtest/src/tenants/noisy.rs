//! A quiet tenant whose monitor finds what failed, beside one whose monitor finds every transaction.
//!
//! Guarantee: every alert of the quiet one came once, with and without the noisy one, at the same rate of transactions; each has a receiver of
//! its own. Times are from the moment the node shows a block to the request: what both have in common falls out of the difference.

use crate::bench::Node;
use crate::bench::alerts::{self, Receiver, Told};
use crate::defined::Defined;
use crate::failure::Failure;
use control::Authenticated;
use schemas::records::DefinitionKind;
use serde::Serialize;
use std::time::Duration;

/// Times of the quiet one's alerts.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Times {
    /// Messages.
    pub messages: u64,
    /// Median in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// The slowest in milliseconds.
    pub max_ms: f64,
}

/// What the noisy one costs the quiet one.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Noisy {
    /// Transactions per second while both were there.
    pub transactions_per_second: f64,
    /// Without it.
    pub alone: Times,
    /// Beside it.
    pub beside: Times,
    /// Messages that the noisy one's receiver got meanwhile.
    pub noise: usize,
}

impl Times {
    fn of(told: &Told) -> Self {
        let times = &told.times;
        Self { messages: times.count(), p50_ms: times.ms(0.5), p99_ms: times.ms(0.99), max_ms: times.ms(1.0) }
    }
}

/// First the quiet one alone, then beside the noisy one.
pub(super) async fn measure(
    node: &Node,
    defined: &Defined,
    (quiet, its): (&Authenticated, &Receiver),
    (noisy, their): (&Authenticated, &Receiver),
    load: (f64, Duration),
) -> Result<Noisy, Failure> {
    watch(defined, quiet, its, ("Failures", "Failure")).await?;
    alerts::warm_up(node, its, 1).await?;
    let alone = alerts::told(node, its, 1, load).await?;
    watch(defined, noisy, their, ("Everything", "Any")).await?;
    alerts::warm_up(node, their, 1).await?;
    let before = their.firings().len();
    let beside = alerts::told(node, its, 1, load).await?;
    let noise = their.firings().len() - before;
    if noise == 0 {
        return Err("the noisy tenant was told of nothing: it was not noisy".into());
    }
    Ok(Noisy {
        transactions_per_second: beside.transactions_per_second,
        alone: Times::of(&alone),
        beside: Times::of(&beside),
        noise,
    })
}

/// A channel of a tenant, and a monitor that it is told by; known to the stages.
async fn watch(
    defined: &Defined,
    who: &Authenticated,
    receiver: &Receiver,
    (name, status): (&str, &str),
) -> Result<(), Failure> {
    let channel = defined.make(who, DefinitionKind::Channel, &alerts::channel(&receiver.url(0))).await?;
    let monitor = defined.make(who, DefinitionKind::Monitor, &alerts::each(name, status, &channel)).await?;
    defined.known(&[channel, monitor]).await
}
