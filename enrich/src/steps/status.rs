//! Outcome, read from the receipt and never inferred (rule 20).

use schemas::{Status, records::Figures};

/// `unknown` for receipts without status (before EIP-658), and for values that EIP-658 does not have.
pub fn of(tx: &Figures) -> Status {
    Status::of_receipt(tx.receipt_status)
}
