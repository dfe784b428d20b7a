//! What is to be read of a topic.

use std::{fmt, str::FromStr};

use schemas::{Network, topics};
use serde::{Deserialize, Serialize};

/// Where a tail begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest record.
    Beginning,
    /// After the newest record.
    End,
    /// At the first record with this sequence or a later one.
    Sequence(u64),
}

impl FromStr for From {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "beginning" => Ok(Self::Beginning),
            "end" => Ok(Self::End),
            number => number
                .parse()
                .map(Self::Sequence)
                .map_err(|_| "write `beginning`, `end` or a sequence such as 1234".to_owned()),
        }
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::End => f.write_str("end"),
            Self::Sequence(n) => write!(f, "{n}"),
        }
    }
}

/// What to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// `beginning`, `end` or a sequence.
    pub from: String,
    /// Go on with what comes.
    #[serde(default)]
    pub follow: bool,
}

/// The topic with this name; an error that lists them all otherwise.
pub fn topic(name: &str) -> Result<topics::TopicSpec, String> {
    let bare = name.strip_prefix(topics::DEFAULT_PREFIX).unwrap_or(name);
    topics::KNOWN.into_iter().find(|t| t.name == bare).ok_or_else(|| {
        let names: Vec<&str> = topics::ALL.iter().map(|t| t.name).collect();
        format!("`{name}` is no topic; the topics are {}", names.join(", "))
    })
}
