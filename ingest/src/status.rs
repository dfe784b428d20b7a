//! What ingest says of itself and of its networks (rule 27): from the watchers and the publishers onto the board, which the beat
//! reads whatever they are doing.

use runtime::{
    beat::{Board, Unnamed},
    log::{LogError, LogErrorKind},
};
use schemas::{
    Network, TimeMs,
    records::{NetworkState, NetworkStatus, stage_status::state},
};
use tokio::sync::watch;

use crate::{
    metrics,
    networks::{Followed, Following},
    source::Source,
};

/// A network of a partition that is held here, and that is not in this process's configuration.
pub const UNNAMED: Unnamed = Unnamed {
    state: state::UNCONFIGURED,
    detail: "this process holds the network's partition, and its configuration does not name the network: nobody follows it. Give \
             every ingest process the same [[network]] sections",
};

/// Hands on what a watcher says until it ends; its last word stays.
pub async fn tell(board: Board, partition: u32, mut status: watch::Receiver<NetworkStatus>) {
    loop {
        let now = status.borrow_and_update().clone();
        board.network(partition, &now.network, |row| {
            now.state.as_str().clone_into(&mut row.state);
            row.detail = now.detail;
            row.family = Some(now.family);
            row.endpoint = now.endpoint;
            row.tip_height = now.tip_height;
        });
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Where a network's published events end.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// Its last sequence.
    pub sequence: u64,
    /// Height of its tip.
    pub height: Option<u64>,
    /// The tip's time stamp, where it was published just now.
    pub block_time: Option<TimeMs>,
}

/// Says where a network's published events end.
pub fn published(board: &Board, partition: u32, network: &Network, at: Published) {
    board.network(partition, network, |row| {
        if row.height != at.height || at.block_time.is_some() {
            row.block_time = at.block_time;
        }
        row.sequence = Some(at.sequence);
        row.height = at.height;
    });
}

/// Says of a partition's networks that nothing can be written, and why.
pub fn blocked(board: &Board, partition: u32, mine: &[Following], error: &LogError) {
    if error.kind == LogErrorKind::NoTopic {
        metrics::topic_missing();
    }
    for following in mine {
        metrics::state(&following.source.network.slug, NetworkState::Stalled);
    }
    board.blocked(partition, Some(format!("nothing can be written: {error}")));
}

/// Says nothing more of networks of a partition than that they live on it, but for these, and for those whose partition cannot be read.
pub fn only(board: &Board, partition: u32, mine: &[Following], followed: &Followed) {
    let others = board.networks().into_iter().filter(|(network, at)| {
        *at == partition
            && mine.iter().all(|following| following.source.network.slug != *network)
            && !(followed.partitions.unreadable.contains_key(network) && followed.get(network).is_some())
    });
    others.for_each(|(network, _)| board.forget(&network));
}

/// Says of a network that it stands still, and why.
pub fn stalled(board: &Board, partition: u32, source: &Source, problem: &str) {
    metrics::state(&source.network.slug, NetworkState::Stalled);
    board.network(partition, &source.network.slug, |row| {
        NetworkState::Stalled.as_str().clone_into(&mut row.state);
        row.detail = Some(problem.to_owned());
        row.family = Some(source.network.family());
    });
}
