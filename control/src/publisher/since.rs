//! Since when each address is watched without a break.
//!
//! Guarantee: it is what the log says. Whoever takes over reads it there, before he writes; it stays as it is while anybody has the address,
//! whoever comes and goes, and begins anew after a removal that was published. What was removed and added again between two looks was never
//! let go of by any stage.

use std::collections::{HashMap, hash_map::Entry};

use runtime::log::Record;
use schemas::{TimeMs, codec::Codec, records::ControlConfig};

use super::rows::{Kind, Place, Present, Unpublished};

/// See the module. As many as are watched ([`limits::WATCHED`](schemas::limits::WATCHED) are followed).
#[derive(Debug, Default)]
pub(super) struct Since(HashMap<Place, TimeMs>);

impl Since {
    /// What a record of the log says of an address; nothing of other kinds.
    pub fn take(&mut self, codec: &Codec, kind: Kind, place: &Place, record: &Record) {
        if kind != Kind::Watched {
            return;
        }
        let Some(value) = &record.value else {
            self.0.remove(place);
            return;
        };
        let told = match codec.decode::<ControlConfig>(value) {
            Ok(ControlConfig::Watched(watched)) => watched.since,
            _ => None,
        };
        self.0.insert(place.clone(), told.unwrap_or(record.timestamp));
    }

    /// Says it in what is to be published: of a new one, since now. The stages' margin
    /// ([`WATCHED_MARGIN`](schemas::limits::windows::WATCHED_MARGIN)) is longer than it may take until that is in the log.
    pub fn say(&mut self, thing: &mut Unpublished) {
        match &mut thing.present {
            Present::Config(ControlConfig::Watched(watched)) => {
                let since = match self.0.entry(thing.place.clone()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => *new.insert(TimeMs::now()),
                };
                watched.since = Some(since);
            }
            Present::Nothing if thing.kind == Kind::Watched => {
                self.0.remove(&thing.place);
            }
            _ => {}
        }
    }
}
