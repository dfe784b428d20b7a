//! All of an organisation as one document: what the control store has of it, then its alerts and what became of its messages.
//!
//! Guarantee: as of every export of this folder: it is made while it is fetched, a part at a time, and one that is cut off has no end. The
//! last line says how many there are.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use control::{Authenticated, Control, Id};
use serde_json::{Value, json};
use store::StoreError;

use super::{End, Outlet, Place};
use crate::{alerts::whose, app::App, door::Credential};

/// Lines of the store's that are read at a time.
const PART: u32 = 1_000;

/// An export of an organisation, and who fetches it.
pub struct OfOrganisation {
    pub app: Arc<App>,
    pub control: Arc<Control>,
    pub who: Arc<Authenticated>,
    pub organisation: Id,
    pub id: Id,
    pub place: Place,
}

/// What was given.
#[derive(Default)]
struct Given {
    rows: u64,
    bytes: u64,
}

impl OfOrganisation {
    /// Gives it all, in the background, to whoever reads the other end of the outlet.
    pub fn give(self, outlet: Outlet, credential: Option<Credential>) {
        let (app, gone, had) = (Arc::clone(&self.app), outlet.gone(), Arc::clone(&self.who));
        super::give(app, gone, (credential, Some(had)), async move { self.run(&outlet).await });
    }

    async fn run(self, outlet: &Outlet) -> End {
        let mut given = Given::default();
        if let Err(end) = self.lines(outlet, &mut given).await {
            return end;
        }
        let end = json!({ "kind": "end", "rows": given.rows });
        if let Err(end) = send(outlet, &mut given, &[end]).await {
            return end;
        }
        // That it is not written down takes nothing from who has the file.
        let fetched = self.control.export_fetched(&self.who, &self.organisation, &self.id, (given.rows, given.bytes));
        if let Err(error) = fetched.await {
            tracing::debug!(%error, "that an export was fetched is not written down");
        }
        super::whole(outlet, self.place).await
    }

    async fn lines(&self, outlet: &Outlet, given: &mut Given) -> Result<(), End> {
        let mut here = self.control.exporter(&self.who, &self.organisation).map_err(|_| End::Denied)?;
        while let Some(lines) = here.next().await.map_err(|_| End::Store)? {
            send(outlet, given, &lines).await?;
        }
        let (store, whose) = (&self.app.store, whose(here.tenant()));
        let mut behind = String::new();
        loop {
            let found = in_turn(&self.app, store.whole_alerts(&whose, &behind, PART)).await?;
            let Some(last) = found.last() else { break };
            behind.clone_from(&last.id);
            let of = |alert: &store::query::WholeAlert| {
                let value: Value = serde_json::from_str(&alert.alert).unwrap_or_default();
                json!({ "kind": "alert", "id": alert.id, "at": alert.at.rfc3339(), "revision": alert.revision, "alert": value })
            };
            let lines: Vec<Value> = found.iter().map(of).collect();
            send(outlet, given, &lines).await?;
        }
        behind.clear();
        loop {
            let found = in_turn(&self.app, store.whole_deliveries_of(&whose, &behind, PART)).await?;
            let Some(last) = found.last() else { break };
            behind.clone_from(&last.id);
            let of = |said: &store::query::WholeDelivery| {
                json!({
                    "kind": "delivery", "id": said.id, "at": said.at.rfc3339(), "attempt": said.attempt, "state": said.state,
                    "alert_id": said.alert_id, "channel_id": said.channel_id, "channel_type": said.channel_type, "message": said.message,
                    "status": said.status, "error": said.error,
                })
            };
            let lines: Vec<Value> = found.iter().map(of).collect();
            send(outlet, given, &lines).await?;
        }
        Ok(())
    }
}

/// What the store has, in turn with other exports.
async fn in_turn<T>(app: &App, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, End> {
    let _turn = app.exports.turn().await;
    asked.await.map_err(|_| End::Store)
}

async fn send(outlet: &Outlet, given: &mut Given, lines: &[Value]) -> Result<(), End> {
    for piece in lines.chunks(100) {
        let mut text = String::new();
        for line in piece {
            // Writing into a text does not fail.
            let _ = writeln!(text, "{line}");
        }
        given.rows += piece.len() as u64;
        given.bytes += text.len() as u64;
        super::send(outlet, Bytes::from(text)).await?;
    }
    Ok(())
}
