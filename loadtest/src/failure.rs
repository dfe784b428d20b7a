//! What every command and measurement fails with.

/// Any failure, in words for `main` to print.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
