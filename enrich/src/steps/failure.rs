//! Why a transaction failed, as far as its records tell. Causes that only a node can tell come later, to another topic.

use schemas::{Status, records::Figures};

/// A cause and its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Class, as in SQL's `failure_cause`.
    pub cause: &'static str,
    /// For people.
    pub reason: &'static str,
}

/// A failed transaction that used its whole gas limit ran out of gas: every other failure but an invalid instruction gives the
/// rest back (EIP-140). The word is the class of the table of causes; records and rows of before have `out_of_gas` for it.
pub fn of(status: Status, tx: &Figures) -> Option<Failure> {
    (status == Status::Failed && tx.gas > 0 && tx.receipt_gas_used == tx.gas)
        .then_some(Failure { cause: "gas_limit", reason: "the whole gas limit was used" })
}
