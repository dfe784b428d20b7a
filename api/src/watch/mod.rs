//! What the API knows of networks and endpoints without asking at each request.

pub mod facts;
pub mod positions;
pub mod probe;
pub mod providers;
pub mod status;
pub mod visible;

pub use facts::Facts;
pub use positions::Positions;
pub use probe::Probe;
pub use providers::Providers;
pub use status::{Snapshot, Statuses};
pub use visible::Visible;
