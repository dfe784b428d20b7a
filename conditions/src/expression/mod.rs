//! The language of conditions. What it means is in docs/alerts.md, with its operators and variables.
//!
//! ```text
//! text ─▶ lexer ─▶ parser ─▶ tree ─▶ check (names and types of a scope) ─▶ Expression ─▶ eval (values of that scope) ─▶ true or false
//! ```
//!
//! Guarantee: what is wrong with a text is told with the character at which it begins and with what to write instead; a text that is taken
//! can be evaluated over every value of its scope. Numbers are exact. Evaluation takes at most
//! [`EXPRESSION_STEPS`](schemas::limits::conditions::EXPRESSION_STEPS) steps and memory of the order of the values that it reads; where a
//! number leaves 512 bits, is divided by zero, or the steps are used up, it has a [`Fault`], and fits nothing.

mod bitcoin;
mod check;
mod eval;
mod lexer;
mod literal;
mod over;
mod parser;
mod transaction;
mod value;

use std::sync::Arc;

// A crate has the same name.
pub use self::bitcoin::BitcoinSubject;
pub(crate) use eval::BYTES_OF_STEP;
pub use eval::{Fault, Variables};
pub use over::OverTransaction;
pub(crate) use transaction::CAUSE;
pub use transaction::{FIELDS, Field, Subject};
pub use value::{Arguments, Kind, Value};

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The character at which it begins, from 0.
    pub position: usize,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

/// What a text may speak of.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// The [`FIELDS`] of an EVM transaction.
    Transaction,
    /// Those of a Bitcoin transaction.
    Bitcoin,
    /// Parameters of an event or a function, by name.
    Parameters(&'a [(String, Kind)]),
}

/// An expression that can be evaluated over one scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: Arc<str>,
    test: eval::Test,
}

impl Expression {
    /// Reads a text.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str, scope: Scope<'_>) -> Result<Self, Wrong> {
        let tree = parser::parse(text)?;
        let text: Arc<str> = text.into();
        Self::of(&text, &tree, scope)
    }

    /// That of a text which was read as this tree: scopes that one text is tried in share both.
    fn of(text: &Arc<str>, tree: &parser::Node, scope: Scope<'_>) -> Result<Self, Wrong> {
        let test = check::check(tree, scope).map_err(|wrong| wrong.in_text(text))?;
        Ok(Self { text: text.clone(), test })
    }

    /// The text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether it fits.
    ///
    /// # Errors
    /// It cannot be told: see the module.
    pub fn fits(&self, variables: &impl Variables) -> Result<bool, Fault> {
        self.fits_after(variables).0
    }

    /// The same, and how many steps it took to tell.
    pub fn fits_after(&self, variables: &impl Variables) -> (Result<bool, Fault>, u32) {
        let all = schemas::limits::conditions::EXPRESSION_STEPS;
        let mut left = all;
        let fits = self.test.holds(variables, &mut left);
        let taken = if fits == Err(Fault::Steps) { all } else { all.saturating_sub(left) };
        (fits, taken)
    }
}

/// A mistake by its byte in the text.
#[derive(Debug)]
pub(crate) struct WrongAt {
    at: usize,
    problem: String,
    cure: String,
}

impl WrongAt {
    fn new(at: usize, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { at, problem: problem.into(), cure: cure.into() }
    }

    fn in_text(self, text: &str) -> Wrong {
        let position = text.char_indices().take_while(|(at, _)| *at < self.at).count();
        Wrong { position, problem: self.problem, cure: self.cure }
    }
}
