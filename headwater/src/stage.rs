//! The stages, by name.

/// A stage, as it is named on the command line and to the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Node → `raw.*`.
    Ingest,
    /// `raw.*` → `enriched.*`.
    Enrich,
    /// Facts about contracts, beside the stream.
    Causes,
    /// `enriched.blocks` → `metrics.windows`, beside the stream.
    Aggregate,
    /// Rules and monitors of tenants, beside the stream.
    Alerts,
    /// `enriched.*` → store.
    Sink,
    /// REST, WebSocket, dashboard.
    Api,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Enrich => "enrich",
            Self::Causes => "causes",
            Self::Aggregate => "aggregate",
            Self::Alerts => "alerts",
            Self::Sink => "sink",
            Self::Api => "api",
        })
    }
}

/// In the order of the data.
pub const ALL: [Stage; 7] =
    [Stage::Ingest, Stage::Enrich, Stage::Causes, Stage::Aggregate, Stage::Alerts, Stage::Sink, Stage::Api];
/// Those that bring blocks into the store.
pub const INTO_THE_STORE: [Stage; 3] = [Stage::Ingest, Stage::Enrich, Stage::Sink];
