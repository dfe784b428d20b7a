//! What real nodes answer otherwise than expected, one module a kind: the whole stage against a node over HTTP that serves the
//! recorded blocks as they are (`loadtest/data/cases/NAME`, whose README names the public report) and behaves as reported.
//! Each must give its right value: tip, sums, counts.

#[path = "../common/mod.rs"]
mod common;
mod run;

mod batches;
mod chain_id;
mod heads;
mod null_rounds;
mod odd;
mod plain;
mod polygon;
mod receipts;
mod refusals;
