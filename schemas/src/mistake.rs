//! A mistake in what somebody sent or wrote.

/// Where it is, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// Where: a path such as `abi.3.inputs.0.type`, or `line 4, column 7` of a text that is no JSON.
    pub path: String,
    /// Inside of a text that is a language of its own, an expression: at which character it begins, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl Mistake {
    /// One.
    pub fn new(path: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { path: path.into(), position: None, problem: problem.into(), cure: cure.into() }
    }

    /// The same at a character of the text, from 0.
    #[must_use]
    pub fn at(self, position: usize) -> Self {
        Self { position: Some(position), ..self }
    }
}
