//! The endpoints of a network as one: probed, scored, kept within their limits, found out when they lie, routed around.
//!
//! Guarantee: it knows no family (its tests use one that exists in tests only). Whoever wants something of a network asks the
//! [`Fleet`], which picks an endpoint that is believed and well, waits for its limits, and goes on to the next within the time of
//! a block; every request passes a [`Meter`], so that all of them are counted, timed and weighed once. What is decided is decided
//! by pure code without clocks or I/O, a file per thing:
//!
//! * [`score`] (rule 23), from [`sketch`]es of latencies; [`breaker`]; [`capability`]: what an endpoint cannot do; [`together`]: how
//!   much one request may ask for; [`sizes`]: by how large blocks are;
//! * [`pace`], [`flight`], [`day`]: the limits, of which [`limits`] has one set per endpoint and process (rule 33);
//! * [`quarantine`], [`votes`]: who lies and for how long that counts (rule 24); [`heights`]: whose head is believed;
//! * [`router`]: who is asked, and when another endpoint comes into use; [`state`]: the word and the sentence for people;
//! * [`sample`]: what is written down; [`succession`]: what is kept when the configuration changes.
//!
//! What brings them together: `seat` and `standing` (one endpoint), `hub` and `table` (what all have in common), [`member`] (the way of a
//! request), [`ask`] (a question), [`probe`] (the one task of a fleet), `snapshot` (for people).

pub mod ask;
pub mod breaker;
pub mod capability;
pub mod clock;
pub mod config;
pub mod day;
#[allow(clippy::module_inception)]
mod fleet;
pub mod flight;
pub mod heights;
mod hub;
pub mod limits;
pub mod member;
mod metrics;
pub mod pace;
#[cfg(test)]
mod pace_play;
pub mod probe;
pub mod quarantine;
pub mod router;
pub mod sample;
pub mod score;
mod seat;
pub mod sizes;
pub mod sketch;
mod snapshot;
mod standing;
pub mod state;
pub mod succession;
mod table;
#[cfg(test)]
mod tests;
pub mod together;
pub mod votes;

pub use self::{
    ask::{Answer, Ask},
    capability::{Cannot, Scope},
    clock::{Clock, Moment},
    config::{Confirm, FleetConfig, MemberConfig, Role},
    fleet::Fleet,
    limits::{Account, Limits},
    member::{Admitted, Done, Member, Meter, Metered, Purpose},
    metrics::describe,
    probe::Probe,
    quarantine::Lie,
};
