//! What a fleet is told: of each endpoint, and of all of them.

use std::{fmt, str::FromStr, time::Duration};

use super::limits::{Account, Limits};

/// What an endpoint is used for (rule 33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Following the chain.
    Stream,
    /// Traces and calls for causes.
    Trace,
    /// What readers ask for.
    Serve,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stream, Self::Trace, Self::Serve];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Trace => "trace",
            Self::Serve => "serve",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|r| r.as_str() == s).ok_or_else(|| format!("`{s}` is not a role"))
    }
}

/// An endpoint, as its configuration says, without anything of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberConfig {
    /// Name for people and metrics, of its own within the network.
    pub name: String,
    /// Its URL with credentials masked, to be shown.
    pub url: String,
    /// What its limits are counted by.
    pub account: Account,
    /// Whose it is: endpoints of one operator are one voice.
    pub operator: String,
    /// What it is used for.
    pub roles: Vec<Role>,
    /// Lower is asked first; equal ones share.
    pub priority: u16,
    /// Requests a second, of all our processes together; `None`: found out.
    pub limit: Option<f64>,
    /// Requests a day (UTC) that are never passed; from nine tenths on only the stream is served.
    pub per_day: Option<u64>,
}

impl MemberConfig {
    /// One with every role and without limits, of an operator of its own.
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            account: Account::of([name, url]),
            operator: name.into(),
            roles: Role::ALL.to_vec(),
            priority: 1,
            limit: None,
            per_day: None,
        }
    }
}

/// What holds for all endpoints of a network.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Time between two probes of an endpoint.
    pub probe_every: Duration,
    /// Whether a second endpoint is asked as soon as the first takes longer than most of its answers.
    pub hedge: bool,
    /// How long a liar must agree with the others before it is asked again.
    pub quarantine: Duration,
    /// Usual time between blocks; `None`: observed.
    pub block_time: Option<Duration>,
    /// Blocks below the lowest of the newest heights at which endpoints are compared, or a minute's if that is more: what ordinary
    /// forks do not reach.
    pub settled: u64,
    /// How long an endpoint may take before the next is asked too, at the longest.
    pub patience: Duration,
    /// Limits shared by all fleets of this process that use the same endpoints.
    pub limits: Limits,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            probe_every: Duration::from_secs(30),
            hedge: false,
            quarantine: Duration::from_secs(600),
            block_time: None,
            settled: 8,
            patience: Duration::from_millis(1_000),
            limits: Limits::default(),
        }
    }
}
