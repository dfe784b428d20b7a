//! "Is it us, the chain or the provider?", in JSON.

use serde::Serialize;
use utoipa::ToSchema;

use super::series::Figure;

/// What likely is the matter, and on what that rests.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Diagnosis {
    /// The network's slug.
    pub network: String,
    /// The contract that it is about; null: all of the network.
    pub contract: Option<String>,
    /// The time that it is about.
    #[schema(format = DateTime)]
    pub at: String,
    /// `contract`, `chain` or `provider`: where the cause likely is. `nothing`: nothing stands out, or nothing could be compared.
    #[schema(pattern = "^(contract|chain|provider|nothing)$")]
    pub verdict: String,
    /// One sentence for people.
    pub sentence: String,
    /// What was compared, what stands out first.
    pub evidence: Vec<EvidenceItem>,
    /// Comparisons that were not possible, and why.
    pub missing: Vec<String>,
}

/// A figure beside what is usual.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub struct EvidenceItem {
    /// What it is, in words for people.
    pub name: String,
    /// The figure of the last minutes, on Bitcoin of the last hour: a number, or a decimal string for amounts and prices.
    pub value: Option<Figure>,
    /// Its unit: `ratio` (0 to 1), `price` (wei per gas; on Bitcoin satoshi per 1,000 virtual bytes), `ms`, `blocks`, `endpoints` or `branches`.
    pub unit: String,
    /// The lower end of what is usual; null where nothing is known of it.
    pub usual_low: Option<Figure>,
    /// The upper end.
    pub usual_high: Option<Figure>,
    /// Where it points to when it stands out: `contract`, `chain` or `provider`; null while it does not.
    pub verdict: Option<String>,
    /// What it was compared with, and what it says, in words.
    pub note: Option<String>,
}
