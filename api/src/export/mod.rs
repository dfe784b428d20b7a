//! Exports: all transactions that a filter lets through, or all of an organisation, as one file, streamed.
//!
//! Guarantee: a part is read from the store only when the client has taken the one before, so that memory is bounded by a part whatever
//! is asked for, and a client that goes ends it; so do a client that takes nothing, a key that is not good any more, a stop of the service
//! and a time. An export that does not come to its end is no whole answer: the connection closes in the middle of the body, which every
//! HTTP client tells from an end. Exports have places and turns at the store of their own, which leave it to others (rule 28).

mod body;
mod format;
mod organisation;
mod places;

use std::sync::Arc;

use bytes::Bytes;
use control::Authenticated;
use schemas::limits;
use store::query::{Page, Transaction, TransactionCursor, TransactionFilter};
use tokio::time::timeout;

pub use self::{
    body::{Outlet, body},
    format::{Format, Writer},
    organisation::OfOrganisation,
    places::{Exports, Place, place},
};
use crate::{
    app::App,
    door::{self, Credential},
    error::ApiError,
    items::TransactionItem,
    metrics,
};

/// A part of an export, as the store gives it.
type Part = Page<Transaction, TransactionCursor>;

/// An export whose first part was read.
pub struct Export {
    app: Arc<App>,
    filter: TransactionFilter,
    first: Part,
    /// Rows that are still to be given, at most.
    left: u32,
    place: Place,
}

/// Why an export ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Gone,
    Stalled,
    Late,
    Denied,
    Stopped,
    Store,
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Gone => "gone",
            Self::Stalled => "stalled",
            Self::Late => "late",
            Self::Denied => "denied",
            Self::Stopped => "stopped",
            Self::Store => "store",
        }
    }
}

impl Export {
    /// Reads the first part of at most `limit` rows, so that what is wrong is told as with any other request.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(
        app: Arc<App>,
        mut filter: TransactionFilter,
        limit: u32,
        place: Place,
    ) -> Result<Self, ApiError> {
        filter.limit = limit.min(limits::EXPORT_PART_ROWS);
        let first = part(&app, &filter).await?;
        Ok(Self { app, filter, first, left: limit, place })
    }

    /// Gives it all, in the background, to whoever reads the other end of the outlet.
    pub fn give(self, format: Format, outlet: Outlet, credential: Option<Credential>) {
        let app = Arc::clone(&self.app);
        let gone = outlet.gone();
        give(app, gone, (credential, None), async move { self.run(Writer::new(format), &outlet).await });
    }

    async fn run(mut self, mut writer: Writer, outlet: &Outlet) -> End {
        let mut part = self.first;
        loop {
            let rows = part.items.len() as u32;
            for row in &part.items {
                writer.write(&TransactionItem::from_row(row));
                if writer.is_full()
                    && let Err(end) = send(outlet, writer.take()).await
                {
                    return end;
                }
            }
            metrics::export_rows(u64::from(rows));
            self.left = self.left.saturating_sub(rows);
            let next = part.next.filter(|_| self.left > 0);
            let Some(next) = next else { break };
            self.filter.cursor = Some(next);
            self.filter.limit = self.left.min(limits::EXPORT_PART_ROWS);
            drop(part.items);
            part = match self::part(&self.app, &self.filter).await {
                Ok(part) => part,
                Err(_) => return End::Store,
            };
        }
        writer.end();
        match send(outlet, writer.take()).await {
            Ok(()) => whole(outlet, self.place).await,
            Err(end) => end,
        }
    }
}

/// Runs an export in the background until it is whole, nobody takes it any more, whoever asked may not, or the time is over. `by`: with what
/// that was, and as whom where it is to stay the same.
fn give(
    app: Arc<App>,
    gone: impl Future<Output = ()> + Send + 'static,
    by: (Option<Credential>, Option<Arc<Authenticated>>),
    run: impl Future<Output = End> + Send + 'static,
) {
    tokio::spawn(async move {
        let end = tokio::select! {
            end = run => end,
            () = gone => End::Gone,
            () = door::until_ended(&app, by.0, by.1) => End::Denied,
            () = app.shutdown.cancelled() => End::Stopped,
            () = tokio::time::sleep(limits::EXPORT_TIME) => End::Late,
        };
        if !matches!(end, End::Whole | End::Gone) {
            tracing::warn!(end = end.as_str(), "an export was cut off");
        }
        metrics::export(end.as_str());
    });
}

/// The next part, in turn with other exports.
async fn part(app: &App, filter: &TransactionFilter) -> Result<Part, ApiError> {
    let _turn = app.exports.turn().await;
    app.store.export(filter).await.map_err(|e| ApiError::from_store(&e))
}

/// Sends what is written, once the client has room for it.
async fn send(outlet: &Outlet, written: Bytes) -> Result<(), End> {
    match timeout(limits::EXPORT_STALL, outlet.send(written)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(End::Gone),
        Err(_) => Err(End::Stalled),
    }
}

/// All was sent: the place is another's before the client can know.
async fn whole(outlet: &Outlet, place: Place) -> End {
    drop(place);
    match timeout(limits::EXPORT_STALL, outlet.whole()).await {
        Ok(()) => End::Whole,
        Err(_) => End::Stalled,
    }
}
