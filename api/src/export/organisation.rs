//! All of an organisation as one document: what the control store has of it, then its alerts and what became of its messages.
//!
//! Guarantee: as of every export of this folder: it is made while it is fetched, a part at a time, and one that is cut off has no end. The
//! last line says how many there are.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use control::{Authenticated, Control, Id};
use schemas::limits;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{End, Outlet, Place};
use crate::{
    alerts::whose,
    app::App,
    door::{self, Credential},
    metrics,
};

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
        tokio::spawn(async move {
            let (app, until) = (Arc::clone(&self.app), Instant::now() + limits::EXPORT_TIME);
            let (gone, had) = (outlet.gone(), Arc::clone(&self.who));
            let end = tokio::select! {
                end = self.run(&outlet) => end,
                () = gone => End::Gone,
                () = door::until_ended(&app, credential, Some(had)) => End::Denied,
                () = app.shutdown.cancelled() => End::Stopped,
                () = tokio::time::sleep_until(until) => End::Late,
            };
            if !matches!(end, End::Whole | End::Gone) {
                tracing::warn!(end = end.as_str(), "an organisation's export was cut off");
            }
            metrics::export(end.as_str());
        });
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
        drop(self.place);
        match timeout(limits::EXPORT_STALL, outlet.whole()).await {
            Ok(()) => End::Whole,
            Err(_) => End::Stalled,
        }
    }

    async fn lines(&self, outlet: &Outlet, given: &mut Given) -> Result<(), End> {
        let mut here = self.control.exporter(&self.who, &self.organisation).map_err(|_| End::Denied)?;
        while let Some(lines) = here.next().await.map_err(|_| End::Store)? {
            send(outlet, given, &lines).await?;
        }
        let (store, whose) = (&self.app.store, whose(here.tenant()));
        let mut behind = String::new();
        loop {
            let found = store.whole_alerts(&whose, &behind, PART).await.map_err(|_| End::Store)?;
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
            let found = store.whole_deliveries_of(&whose, &behind, PART).await.map_err(|_| End::Store)?;
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

async fn send(outlet: &Outlet, given: &mut Given, lines: &[Value]) -> Result<(), End> {
    for piece in lines.chunks(100) {
        let mut text = String::new();
        for line in piece {
            // Writing into a text does not fail.
            let _ = writeln!(text, "{line}");
        }
        given.rows += piece.len() as u64;
        given.bytes += text.len() as u64;
        match timeout(limits::EXPORT_STALL, outlet.send(Bytes::from(text))).await {
            Ok(true) => {}
            Ok(false) => return Err(End::Gone),
            Err(_) => return Err(End::Stalled),
        }
    }
    Ok(())
}
