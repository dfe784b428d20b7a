//! `sink_status_rows`.

use schemas::TimeMs;

use super::native::{Strings, Times, Values, Words, columns};

columns! {
    /// `sink_status_rows`; columns as there.
    SinkStatusColumns of "sink_status_rows" { network: Words, family: Words, state: Words, message: Strings, at: Times }
}

/// What the sink says of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StatusRow {
    pub network: String,
    pub family: &'static str,
    pub state: &'static str,
    pub message: String,
    pub at: TimeMs,
}

impl SinkStatusColumns {
    /// A network's row.
    pub fn push(&mut self, row: &StatusRow) {
        self.network.push(&row.network);
        self.family.push(row.family);
        self.state.push(row.state);
        self.message.push(row.message.as_bytes());
        self.at.push(row.at);
    }
}
