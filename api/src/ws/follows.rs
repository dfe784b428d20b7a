//! Which rings a connection reads, and waiting until one of them moves. Who follows some networks is woken by those only.

use std::{collections::HashMap, sync::Arc};

use futures::future::select_all;
use schemas::Network;
use tokio::sync::watch;

use crate::live::{Ring, Rings};

/// The rings of one connection.
#[derive(Default)]
pub struct Follows {
    /// Wakes for all networks, and for new ones.
    all: Option<watch::Receiver<u64>>,
    rings: HashMap<Network, Following>,
}

struct Following {
    ring: Arc<Ring>,
    changes: watch::Receiver<u64>,
}

impl Follows {
    /// Follows exactly these networks, or all there are.
    pub fn set(&mut self, rings: &Rings, wanted: Wanted<'_>) {
        match wanted {
            Wanted::All => {
                let all = self.all.take().unwrap_or_else(|| rings.changes());
                self.all = Some(all);
                self.take_up(rings);
            }
            Wanted::Some(networks) => {
                self.all = None;
                self.rings.retain(|network, _| networks.contains(&network));
                for network in networks {
                    if !self.rings.contains_key(network) {
                        self.add(rings.of(network));
                    }
                }
            }
        }
    }

    fn add(&mut self, ring: Arc<Ring>) {
        self.rings.insert(ring.network().clone(), Following { changes: ring.changes(), ring });
    }

    /// Takes up rings that are new, where all are followed.
    pub fn take_up(&mut self, rings: &Rings) {
        if self.all.is_some() && rings.count() > self.rings.len() {
            for ring in rings.all() {
                if !self.rings.contains_key(ring.network()) {
                    self.add(ring);
                }
            }
        }
    }

    /// The rings.
    pub fn rings(&self) -> impl Iterator<Item = &Arc<Ring>> {
        self.rings.values().map(|following| &following.ring)
    }

    /// Until one of the rings moves. Safe to drop and call again.
    pub async fn changed(&mut self) {
        if let Some(all) = &mut self.all {
            // The sender lives as long as the service.
            drop(all.changed().await);
        } else if self.rings.is_empty() {
            std::future::pending::<()>().await;
        } else {
            let changes = self.rings.values_mut().map(|following| Box::pin(following.changes.changed()));
            drop(select_all(changes).await);
        }
    }
}

/// What is to be followed.
pub enum Wanted<'a> {
    /// All networks, those that are not known yet too.
    All,
    /// These.
    Some(Vec<&'a Network>),
}
