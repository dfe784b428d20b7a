//! The table of public signatures: `decode/signatures/*.txt`, compiled in as text.
//!
//! Guarantee: no selector and no topic is written down anywhere; all are computed from the lines when the table is first asked. A test
//! reads every line.

use std::sync::LazyLock;

use crate::abi::{Abi, read};

const TEXTS: [&str; 2] = [include_str!("../signatures/common.txt"), include_str!("../signatures/protocols.txt")];

static TABLE: LazyLock<Abi> = LazyLock::new(|| {
    // A line that is none is found by the test, and passed over here.
    let items: Vec<_> =
        TEXTS.iter().flat_map(|text| text.lines()).flat_map(|line| read([line]).unwrap_or_default()).collect();
    Abi::of(items.iter(), true)
});

/// The table. Of each event it also knows the shapes with all parameters indexed and with none, as old contracts emit them.
pub fn builtin() -> &'static Abi {
    &TABLE
}
