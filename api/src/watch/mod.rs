//! What the API knows of networks without asking at each request.

pub mod positions;
pub mod status;
pub mod visible;

pub use positions::Positions;
pub use status::Statuses;
pub use visible::Visible;
