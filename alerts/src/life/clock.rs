//! Which time it is for whom.

use std::collections::BTreeMap;

use schemas::{Network, TimeMs};

/// The clocks by which alerts live.
///
/// That something *still* holds is only known as far as everything has been heard: while records wait to be read, each network's time is
/// that of its last record, so that a stage that was away does not take old news for lasting ones.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    wall: TimeMs,
    level: bool,
    levels: BTreeMap<Network, bool>,
    heard: BTreeMap<Network, TimeMs>,
}

impl Clock {
    /// The time of this machine; and whether everything that was found so far has been read. It never goes back.
    pub fn set(&mut self, wall: TimeMs, level: bool) {
        self.wall = self.wall.max(wall);
        self.level = level;
    }

    /// The same of single networks, where it is known: one that is behind holds up no other's timers.
    pub fn set_networks(&mut self, levels: BTreeMap<Network, bool>) {
        self.levels = levels;
    }

    /// A record of a network was heard that speaks of this stored time.
    pub fn hears(&mut self, network: &Network, at: TimeMs) {
        match self.heard.get_mut(network) {
            Some(heard) => *heard = (*heard).max(at),
            None => drop(self.heard.insert(network.clone(), at)),
        }
    }

    /// The time of this machine.
    pub fn wall(&self) -> TimeMs {
        self.wall
    }

    /// Up to when everything of a network has been heard.
    pub fn told(&self, network: &Network) -> TimeMs {
        let heard = self.heard.get(network).copied().unwrap_or_default();
        if self.levels.get(network).copied().unwrap_or(self.level) { self.wall.max(heard) } else { heard }
    }
}

/// A time so much later. Saturates.
pub fn after(at: TimeMs, span: std::time::Duration) -> TimeMs {
    TimeMs(at.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
