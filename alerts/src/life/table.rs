//! The life of an alert as a table: what each signal does to an alert in each state.
//!
//! | | holds | ripe | clears | taken back | again | acknowledge | changed | repeat |
//! |---|---|---|---|---|---|---|---|---|
//! | *none* | begins | – | – | – | begins | – | – | – |
//! | pending | – | firing (*fired*) | resolved (*resolved*) | retracted (*retracted*) | – | – | – | – |
//! | firing | – | – | resolved (*resolved*) | retracted (*retracted*) | – | acknowledged (*acknowledged*) | *amended* | *repeated* |
//! | acknowledged | – | – | resolved (*resolved*) | retracted (*retracted*) | – | – | *amended* | – |
//! | resolved | begins anew | – | – | retracted (*retracted*) | returns (*included_again*) | – | *amended* | – |
//! | retracted | begins anew | – | – | – | returns (*included_again*) | – | – | – |
//!
//! *Begins*: a new alert with an id of its own, pending (*pending*), or firing at once where nothing is to be waited for. *Returns*: to what
//! it was when it ended or was taken back; one that had not fired is pending again. What is gathered meanwhile (matches,
//! figures) is no signal: it is told by *changed*, now and then. Of a monitor's alert that is over, *again* is any match that was taken back
//! and stands once more, though others of it were not taken back.

use schemas::records::{AlertEventKind, AlertPhase};

/// What can happen to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The condition holds, or another match came.
    Holds,
    /// It has held for long enough, and the cooldown of its group is over.
    Ripe,
    /// The condition does not hold any more, no match came for long, or its rule is gone.
    Clears,
    /// The chain has taken back all that it rests on.
    TakenBack,
    /// What was taken back stands in the new branch, or what ended it was taken back itself.
    Again,
    /// Somebody takes it on.
    Acknowledge,
    /// What it says is no longer what was told.
    Changed,
    /// It is time to say it again.
    Repeat,
}

impl Signal {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 8] = [
        Self::Holds,
        Self::Ripe,
        Self::Clears,
        Self::TakenBack,
        Self::Again,
        Self::Acknowledge,
        Self::Changed,
        Self::Repeat,
    ];
}

/// A cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Nothing happens.
    Stays,
    /// A new alert.
    Begins,
    /// It is in that state from now on, and this is the event.
    Becomes(AlertPhase, AlertEventKind),
    /// It stays in its state, and this is the event.
    Tells(AlertEventKind),
    /// It is again what it was before it was taken back.
    Returns,
}

/// The table; `None` is the first row.
pub const fn cell(phase: Option<AlertPhase>, signal: Signal) -> Cell {
    use AlertEventKind as Kind;
    use AlertPhase::{Acknowledged, Firing, Pending, Resolved, Retracted};
    match (phase, signal) {
        (None, Signal::Holds | Signal::Again) | (Some(Resolved | Retracted), Signal::Holds) => Cell::Begins,
        (Some(Pending), Signal::Ripe) => Cell::Becomes(Firing, Kind::Fired),
        (Some(Pending | Firing | Acknowledged), Signal::Clears) => Cell::Becomes(Resolved, Kind::Resolved),
        (Some(Pending | Firing | Acknowledged | Resolved), Signal::TakenBack) => {
            Cell::Becomes(Retracted, Kind::Retracted)
        }
        (Some(Resolved | Retracted), Signal::Again) => Cell::Returns,
        (Some(Firing), Signal::Acknowledge) => Cell::Becomes(Acknowledged, Kind::Acknowledged),
        (Some(Firing | Acknowledged | Resolved), Signal::Changed) => Cell::Tells(Kind::Amended),
        (Some(Firing), Signal::Repeat) => Cell::Tells(Kind::Repeated),
        _ => Cell::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the module's header, cell by cell.
    #[test]
    fn every_cell_is_what_the_table_says() {
        let rows: Vec<Vec<&str>> = include_str!("table.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .skip(1)
            .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(rows.len(), 6);
        for row in rows {
            let phase = match row[0] {
                "*none*" => None,
                word => Some(word.parse::<AlertPhase>().unwrap()),
            };
            assert_eq!(row.len(), 1 + Signal::ALL.len(), "{row:?}");
            for (signal, text) in Signal::ALL.into_iter().zip(&row[1..]) {
                let kind = |text: &str| text.trim_matches(['*', '(', ')']).parse::<AlertEventKind>().unwrap();
                let wanted = match *text {
                    "–" => Cell::Stays,
                    "begins" | "begins anew" => Cell::Begins,
                    "returns (*included_again*)" => Cell::Returns,
                    text => match text.split_once(' ') {
                        None => Cell::Tells(kind(text)),
                        Some((phase, event)) => Cell::Becomes(phase.parse().unwrap(), kind(event)),
                    },
                };
                assert_eq!(cell(phase, signal), wanted, "{phase:?}, {signal:?}");
            }
        }
    }
}
