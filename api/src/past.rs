//! The past of networks, read from the store in pages that WebSocket clients share.
//!
//! Guarantee: what many ask for at the same time is read once (clients that were cut off together resume at the same places, and
//! pages end at the same sequences wherever they begin). At most so many questions run at once, and at most so many bytes are
//! held; nobody's reading has to do with how fast somebody else's client reads, since pages are read by tasks of their own and
//! kept for moments only. What nobody waits for any more when its turn comes is not read: who asks and goes takes nobody's turn.
//! Whoever sends a page gives it back within [`HOLD`], sent or not.
//!
//! A page is the same for every client: it holds the reverts and says which blocks have left the chain since. What of it a client
//! is told depends on where it began.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use schemas::{Network, Op, limits};
use store::{
    Store, StoreError,
    query::{GapReason, ReplayEvent, ReplayPage, Rows},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    error::ApiError,
    items::{BlockItem, BlockRevert, TransactionItem},
    live::{
        Mark,
        event::{DataFrame, Frames},
    },
};

/// How long a connection may hold a page. What it has not sent by then is read again when the client has taken the rest.
pub const HOLD: Duration = Duration::from_secs(5);
/// How long a page is kept for others after it was read: a small one (the end of the past, which all who were cut off together
/// want), and a large one. A failure is kept for as long as the former, so that a store in trouble is not asked at once again.
const KEPT: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(250));
/// Bytes up to which a page is small.
const SMALL: usize = 256 << 10;
/// How often, and how many times, a block whose rows are not whole is read again before it is taken for lost: removing a block's
/// rows takes as long as the store takes for some inserts.
const AGAIN: (Duration, u32) = (Duration::from_millis(250), 40);
/// Bytes are counted in units of this.
const UNIT: usize = 1 << 10;
/// What a frame takes besides its text.
const FRAME_BYTES: usize = 64;
/// Pages end at multiples of so many sequences, so that they are the same for clients that began at different ones.
const ALIGNED: u64 = limits::REPLAY_EVENTS as u64;

/// Which page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The network.
    pub network: Network,
    /// What is known already.
    pub after: u64,
    /// The last sequence that is wanted; visible in the store.
    pub until: u64,
    /// How many transactions it should have at most; `None` leaves them out.
    pub transactions: Option<u32>,
}

/// A page.
pub struct Page {
    /// Sequences that are gone (both included), before the events.
    pub gap: Option<(u64, u64)>,
    /// Why they are.
    pub reason: GapReason,
    /// Every event behind the gap, in order.
    pub events: Vec<Past>,
    /// Whether it has transactions too.
    pub transactions: bool,
    bytes: usize,
    /// Its share of the bytes that may be held.
    _held: Option<OwnedSemaphorePermit>,
}

/// An event of the past.
pub struct Past {
    /// Its sequence.
    pub sequence: u64,
    /// On a revert: what it undoes.
    pub reverts_sequence: Option<u64>,
    /// The block has left the chain since. It has a `position` frame only.
    pub undone: bool,
    /// Its frames.
    pub frames: Frames,
}

/// A page on its way.
#[derive(Clone)]
enum State {
    Asked,
    There(Arc<Page>),
    Failed(ApiError),
    /// It was there for so long that it had to go.
    Gone,
}

/// The pages that are being read, or were read a moment ago.
pub struct Pages {
    questions: Arc<Semaphore>,
    held: Arc<Semaphore>,
    units: u32,
    pages: Known,
}

/// Each page with a receiver of its own, which keeps it for whoever comes.
type Known = Arc<Mutex<HashMap<Place, watch::Receiver<State>>>>;

impl Pages {
    /// With so many questions at once, and so many bytes of frames.
    pub fn new(questions: usize, bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            questions: Arc::new(Semaphore::new(questions)),
            held: Arc::new(Semaphore::new(units as usize)),
            units,
            pages: Arc::default(),
        }
    }

    /// The page; `None` when it had to go before it was taken: ask again.
    pub async fn get(
        &self,
        store: &Store,
        mut place: Place,
        shutdown: &CancellationToken,
    ) -> Result<Option<Arc<Page>>, ApiError> {
        place.until = place.until.min((place.after / ALIGNED + 1) * ALIGNED);
        let mut page = self.ask(store, place, shutdown);
        let state = page.wait_for(|state| !matches!(state, State::Asked)).await.map(|state| state.clone());
        match state {
            Ok(State::There(page)) => Ok(Some(page)),
            Ok(State::Failed(error)) => Err(error),
            Ok(State::Asked | State::Gone) | Err(_) => Ok(None),
        }
    }

    fn ask(&self, store: &Store, place: Place, shutdown: &CancellationToken) -> watch::Receiver<State> {
        let mut pages = self.pages.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(page) = pages.get(&place) {
            return page.clone();
        }
        let (sender, receiver) = watch::channel(State::Asked);
        pages.insert(place.clone(), receiver.clone());
        let all = Arc::clone(&self.pages);
        let (questions, held, units) = (Arc::clone(&self.questions), Arc::clone(&self.held), self.units);
        let (store, shutdown) = (store.clone(), shutdown.clone());
        tokio::spawn(async move {
            let wanted = || is_wanted(&all, &place, &sender);
            let reading = async {
                let state = match read(&store, &place, &questions, &held, units, wanted).await {
                    Ok(Some(page)) => State::There(Arc::new(page)),
                    Ok(None) => return false,
                    Err(error) => State::Failed(ApiError::from_store(&error)),
                };
                let large = matches!(&state, State::There(page) if page.bytes > SMALL);
                sender.send_replace(state);
                tokio::time::sleep(if large { KEPT.1 } else { KEPT.0 }).await;
                true
            };
            // Where it was given up, the place may be somebody else's by now.
            if shutdown.run_until_cancelled(reading).await != Some(false) {
                all.lock().unwrap_or_else(|e| e.into_inner()).remove(&place);
                sender.send_replace(State::Gone);
            }
        });
        receiver
    }
}

/// Whether somebody still waits for a page. If not it is forgotten: whoever comes for it asks anew.
fn is_wanted(all: &Known, place: &Place, sender: &watch::Sender<State>) -> bool {
    let mut all = all.lock().unwrap_or_else(|e| e.into_inner());
    let wanted = sender.receiver_count() > 1;
    if !wanted {
        all.remove(place);
    }
    wanted
}

/// `None` when nobody waits for it any more.
async fn read(
    store: &Store,
    place: &Place,
    questions: &Semaphore,
    held: &Arc<Semaphore>,
    units: u32,
    wanted: impl Fn() -> bool,
) -> Result<Option<Page>, StoreError> {
    let mut tries = AGAIN.1;
    loop {
        // A semaphore that nobody closes.
        let permit = questions.acquire().await;
        if !wanted() {
            return Ok(None);
        }
        crate::metrics::ws_page();
        let found = store.replay(&place.network, place.after, place.until, place.transactions).await?;
        let lost = found.position + 1;
        let nothing = found.events.is_empty() && found.gap.is_none();
        if found.torn && nothing && tries > 0 {
            drop(permit);
            tries -= 1;
            tokio::time::sleep(AGAIN.0).await;
            continue;
        }
        if found.torn && nothing {
            tracing::warn!(network = %place.network, sequence = lost, "the store does not hold all of this event: a gap");
            return Ok(Some(page(place, ReplayPage { gap: Some((lost, lost)), ..found })));
        }
        let mut page = page(place, found);
        page.bytes = page.events.iter().map(Past::bytes).sum();
        let share = u32::try_from(page.bytes / UNIT).unwrap_or(u32::MAX).clamp(1, units);
        page._held = Arc::clone(held).acquire_many_owned(share).await.ok();
        drop(permit);
        return Ok(Some(page));
    }
}

fn page(place: &Place, found: ReplayPage) -> Page {
    let events = found.events.into_iter().map(|event| past(place.network.as_str(), event)).collect();
    let (gap, reason) = (found.gap, found.reason);
    Page { gap, reason, events, transactions: place.transactions.is_some(), bytes: 0, _held: None }
}

fn past(network: &str, ReplayEvent { event, rows }: ReplayEvent) -> Past {
    let sequence = event.sequence;
    let mut frames = Frames::of(network, sequence);
    let undone = matches!(rows, Rows::Undone);
    match rows {
        Rows::Applied { block, transactions } => {
            let op = Op::Apply;
            let data = BlockItem::from_row(&block);
            frames.block = Some(DataFrame { r#type: "block", network, sequence, op, data }.text());
            let transaction = |row| {
                let data = TransactionItem::from_row(row);
                DataFrame { r#type: "transaction", network, sequence, op, data }.text()
            };
            frames.transactions = transactions.iter().map(transaction).collect();
            frames.marks = transactions.iter().map(Mark::from_row).collect();
        }
        Rows::Undone => {}
        Rows::Revert => frames.revert(BlockRevert {
            network: network.to_owned(),
            height: event.height,
            hash: event.block_hash,
            reverts_sequence: event.reverts_sequence.unwrap_or_default(),
            sequence,
            observed_at: event.observed_at.rfc3339(),
        }),
    }
    Past { sequence, reverts_sequence: event.reverts_sequence, undone, frames }
}

impl Past {
    fn bytes(&self) -> usize {
        let of = |frame: &Utf8Bytes| frame.len() + FRAME_BYTES;
        let texts = self.frames.transactions.iter().chain(&self.frames.block).map(of).sum::<usize>();
        texts + self.frames.marks.iter().map(Mark::bytes).sum::<usize>() + of(&self.frames.position)
    }
}

#[cfg(test)]
mod tests {
    use store::StoreConfig;
    use tokio::net::TcpListener;

    use super::*;

    fn place(after: u64) -> Place {
        Place { network: "a".parse().expect("a slug"), after, until: after + 1, transactions: None }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let config = StoreConfig::new(url.parse().expect("a URL"), "db", "user", "password");
        let (store, shutdown) = (Store::connect(config).expect("a handle"), CancellationToken::new());
        let pages = Pages::new(1, 1 << 20);
        let turn = pages.questions.clone().acquire_owned().await.expect("open");
        for after in 0..1_000 {
            drop(pages.ask(&store, place(after), &shutdown));
        }
        let waits = pages.ask(&store, place(1_000), &shutdown);
        assert_eq!(pages.pages.lock().expect("no panic").len(), 1_001);
        drop(turn);
        let known = async {
            while pages.pages.lock().expect("no panic").len() > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The one that is waited for is the first that the store is asked for.
            let (socket, _) = listener.accept().await.expect("a connection");
            socket
        };
        let _asked = tokio::time::timeout(KEPT.0 / 2, known).await.expect("the others take no turn");
        assert!(matches!(*waits.borrow(), State::Asked));
        let others = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(others.is_err(), "nobody else asks");
    }
}
