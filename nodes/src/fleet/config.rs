//! What a fleet is told: of each endpoint, and of all of them.

use std::time::Duration;

pub use schemas::records::EndpointRole as Role;

use super::limits::{Account, Limits};

/// How many operators must show a block before it is believed (rule 24). Endpoints of one operator are one voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// Two where there are two, and half of them where there are more than four, so that fewer than half never suffice.
    #[default]
    Auto,
    /// The word of the endpoint in use is enough.
    Never,
    /// So many, the one in use included.
    Operators(u32),
}

impl Confirm {
    /// Operators that are wanted, of those that there are.
    pub fn wanted(self, operators: usize) -> usize {
        match self {
            Self::Auto if operators >= 2 => operators.div_ceil(2).max(2),
            Self::Auto | Self::Never => 1,
            Self::Operators(n) => (n as usize).clamp(1, operators.max(1)),
        }
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
    /// Its URL alone, without showing it: what it is known by when anything else of its configuration changes.
    pub place: Account,
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
            place: Account::of([url]),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_than_half_of_the_operators_never_suffice() {
        assert_eq!((Confirm::Auto.wanted(1), Confirm::Never.wanted(5)), (1, 1));
        assert_eq!((Confirm::Auto.wanted(2), Confirm::Auto.wanted(3), Confirm::Auto.wanted(4)), (2, 2, 2));
        for operators in 2..60 {
            let wanted = Confirm::Auto.wanted(operators);
            assert!(wanted >= 2 && wanted <= operators && wanted * 2 >= operators, "{operators}");
        }
        assert_eq!((Confirm::Operators(9).wanted(3), Confirm::Operators(0).wanted(3)), (3, 1));
    }
}
