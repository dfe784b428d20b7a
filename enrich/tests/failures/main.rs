//! Causes of failures over the embedded log: each failed transaction has exactly one record, whatever is killed, moved or reverted, however
//! many fail and whatever nodes do. Nodes are anvil (`scripts/fetch-anvil`) where one can do what is tried, and a server that answers as
//! one does, as slowly as it is told, where none can.

mod bench;
mod crowd;
mod letters;
mod node;
mod once;
mod real;
mod waits;
