//! Why transactions failed: every class, in every client's shape, on recorded traces, and of whatever a node may send.

mod answers;
mod clients;
mod documents;
mod classes;
mod random;
mod recorded;
mod ways;
