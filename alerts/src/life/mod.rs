//! The life of alerts: what becomes of what rules and monitors find. Pure: no clock, log or network of its own.
//!
//! Guarantee (rule 29): one firing per cause, however often it is found, read or restarted; what the chain takes back is taken back on the
//! same thread, and what comes again comes again there. Each channel that was told of an alert is told in the end what became of it, also
//! where a silence kept messages back for a while; what is over a channel's cap is told as one summary. All state is in [`Book`]s, whose
//! entries are written to the log whenever they change, and made from it again.
//!
//! * [`table`]: states and signals, cell by cell.
//! * [`Life`]: one alert. [`Entry`]: the alerts of one group. [`Book`]: all alerts and channels of one tenant.
//! * [`policy`]: what definitions say of it. [`Clock`]: which time it is. [`Output`]: what comes of it.

mod alert;
mod book;
mod clock;
mod entry;
mod held;
mod hour;
mod key;
mod left_out;
mod output;
pub mod policy;
pub mod table;
mod telling;

pub use alert::{Life, Rests, Said};
pub use book::{Book, Changed};
pub use clock::{Clock, after};
pub use entry::{Entry, World};
pub use held::Held;
pub use hour::Hour;
pub use key::Key;
pub use output::{Message, Output};
pub use policy::{ChannelFacts, Policy, Scope, Settings};
pub use telling::Told;
