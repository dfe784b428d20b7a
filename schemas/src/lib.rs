//! The contract: what is written to which topic, in which shape, under which limits. No I/O.
//!
//! * [`primitives`]: newtypes that a value is parsed into once, at the edge.
//! * [`envelope`]: what every chain record carries (semantics, rule 3).
//! * [`records`]: one file per topic: the Rust type of its records.
//! * [`topics`]: names, keys, partitions, cleanup and retention of every topic.
//! * [`headers`]: the record headers that let a record be counted even when its value cannot be decoded.
//! * [`codec`]: values on the wire, Avro in the Confluent format; [`registry`] has the schemas and their ids, `wire` the columns.
//! * [`passing`]: raw transactions passed on as enriched ones without being read whole.
//! * [`profiles`]: what is known of each chain, one row per chain.
//! * [`abi`]: what contracts are made of, as their compiler wrote it; [`names`]: names and labels; [`Mistake`]: what is wrong with them.
//! * [`sketch`]: how prices are distributed and how many different addresses there were, mergeable in every order (rule 15).
//! * [`ulid_of`]: identities that follow from what they are of.
//! * [`Quota`]: what of a tenant has a bound.
//! * [`limits`]: every size and count limit of the product, in one file.
//!
//! Guarantee: a schema of today reads what any released version wrote (`tests/compatibility.rs`).

pub mod abi;
pub mod bitcoin;
pub mod codec;
pub mod envelope;
pub mod headers;
pub mod limits;
mod mistake;
pub mod names;
pub mod passing;
pub mod primitives;
pub mod profiles;
mod quota;
pub mod records;
pub mod registry;
pub mod sketch;
pub mod topics;
mod ulid;
pub mod wire;

pub use bitcoin::BitcoinChain;
pub use codec::{Codec, Record};
pub use envelope::{ChildEnvelope, Envelope};
pub use mistake::Mistake;
pub use primitives::{BitcoinHash, BlockHash, Family, Network, Op, Origin, Status, TimeMs};
pub use quota::Quota;
pub use ulid::ulid_of;
