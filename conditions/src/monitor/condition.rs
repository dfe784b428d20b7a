//! One condition of a monitor.

use std::sync::Arc;

use alloy_primitives::Address;
use schemas::Status;

use super::shape::Shape;
use crate::expression::{Expression, OverTransaction};

/// A condition over events or functions.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Signature, as it is written.
    pub signature: String,
    /// The canonical one, without blanks and names: `Transfer(address,address,uint256)`.
    pub canonical: Arc<str>,
    /// Expression over the parameters; `None`: every one fits.
    pub expression: Option<String>,
    /// What it is put to.
    pub(crate) forms: Vec<Form>,
}

impl PartialEq for Condition {
    /// Forms follow from the rest and from the monitor's addresses.
    fn eq(&self, other: &Self) -> bool {
        (&self.signature, &self.expression) == (&other.signature, &other.expression)
    }
}

/// A condition at one of the shapes that its signature may have.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Where.
    pub target: Target,
    /// The parameters' names and kinds.
    pub shape: Arc<Shape>,
    /// The expression over them.
    pub expression: Option<Arc<Expression>>,
}

/// Where a form is put to what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// At any contract.
    Everywhere,
    /// At these.
    At(Vec<Address>),
}

/// A condition over transactions.
#[derive(Debug, Clone, PartialEq)]
pub struct OfTransaction {
    /// Which outcome.
    pub status: Wanted,
    /// Expression over the transaction; `None`: every one fits.
    pub expression: Option<Arc<OverTransaction>>,
}

/// Which outcome a transaction must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Any, unknown ones too.
    Any,
    /// Success.
    Success,
    /// Failure.
    Failure,
}

impl Wanted {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("Any", Self::Any), ("Success", Self::Success), ("Failure", Self::Failure)];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Success => "Success",
            Self::Failure => "Failure",
        }
    }

    /// Whether an outcome is it.
    pub const fn is(self, status: Status) -> bool {
        match self {
            Self::Any => true,
            Self::Success => matches!(status, Status::Success),
            Self::Failure => matches!(status, Status::Failed),
        }
    }
}
