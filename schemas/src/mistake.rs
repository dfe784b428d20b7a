//! A mistake in what somebody sent or wrote.

/// Where it is, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// Where: a path such as `abi.3.inputs.0.type`, or `line 4, column 7` of a text that is no JSON.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl Mistake {
    /// One.
    pub fn new(path: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), cure: cure.into() }
    }
}
