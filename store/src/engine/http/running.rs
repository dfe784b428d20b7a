//! Statements of analysts that run, by the query id that their client gave, else the request's own: what `KILL QUERY` finds.

use super::ticket::{Ticket, Why};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Statements by query id. Several may have the same one.
#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<String, Vec<Ticket>>>);

impl Running {
    /// Enters a statement until the answer is dropped.
    pub fn enter(self: &Arc<Self>, query_id: &str, ticket: &Ticket) -> Entered {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(query_id.to_owned()).or_default().push(ticket.clone());
        Entered { running: Arc::clone(self), query_id: query_id.to_owned(), ticket: ticket.clone() }
    }

    /// Ends the statements with these ids, unless this is a `test`; answers which of the ids there were.
    pub fn end(&self, query_ids: &[String], test: bool) -> Vec<String> {
        let found: Vec<(String, Vec<Ticket>)> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            query_ids.iter().filter_map(|id| all.get(id).map(|tickets| (id.clone(), tickets.clone()))).collect()
        };
        for ticket in found.iter().flat_map(|(_, tickets)| tickets).filter(|_| !test) {
            ticket.cancel(Why::Asked);
        }
        found.into_iter().map(|(id, _)| id).collect()
    }
}

impl Running {
    /// Ends all of them.
    pub fn end_all(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().for_each(|ticket| ticket.cancel(Why::Asked));
    }
}

/// A statement's entry.
pub(super) struct Entered {
    running: Arc<Running>,
    query_id: String,
    ticket: Ticket,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut all = self.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tickets) = all.get_mut(&self.query_id) {
            tickets.retain(|ticket| !ticket.is(&self.ticket));
            if tickets.is_empty() {
                all.remove(&self.query_id);
            }
        }
    }
}
