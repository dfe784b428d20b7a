//! Why transactions failed: every class, in every client's shape, on recorded traces, and of whatever a node may send.

mod answers;
mod classes;
mod clients;
mod documents;
mod random;
mod recorded;
mod ways;
