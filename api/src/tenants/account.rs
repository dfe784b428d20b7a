//! One tenant, as this process knows it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use control::{Control, Maxima, Metered, Standing as Told, Tenant};
use runtime::config::Rate;
use schemas::{Quota, TimeMs, limits::quotas as limits};

use super::{OF_A_DAY, sockets::Telling, until_tomorrow};
use crate::{
    door::{Bucket, Standing},
    error::ApiError,
};

/// The present, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    at: Instant,
    time: TimeMs,
}

impl Now {
    /// Now.
    pub fn new() -> Self {
        Self { at: Instant::now(), time: TimeMs::now() }
    }

    fn day(self) -> TimeMs {
        Control::day_of(self.time)
    }
}

/// Whether a plan is to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is known, or somebody does it.
    Good,
    /// Beside what goes on.
    Old,
    /// Before anything goes on: it never was.
    Unknown,
}

/// Places that all tenants share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// Requests.
    Requests,
    /// Those of them that ask the store for rows.
    Rows,
    /// Previews of monitors, which compute.
    Previews,
    /// Exports.
    Exports,
}

/// How much of what processes count is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// Requests of the minute, with the time until that is none; `None`: the plan does not bound them.
    pub minute: Option<(i64, Duration)>,
    /// Connections.
    pub sockets: i64,
    /// Of this day (UTC), by all processes.
    pub today: BTreeMap<Quota, i64>,
}

/// A tenant. What is counted of it is counted here and nowhere else.
pub struct Account {
    tenant: Tenant,
    state: Mutex<State>,
    looking: tokio::sync::Mutex<()>,
    /// Connections of this process.
    pub(super) sockets: AtomicUsize,
    /// Those of the others, as they were last heard of.
    pub(super) others: AtomicI64,
    /// Somebody says to the others how many there are.
    pub(super) untold: AtomicBool,
    /// Whoever says it, one at a time.
    pub(super) counting: tokio::sync::Mutex<()>,
    places: [AtomicUsize; 4],
}

struct State {
    maxima: Maxima,
    /// When they were last looked up; `None`: never.
    checked: Option<Instant>,
    /// Somebody looks them up.
    asking: bool,
    bucket: Option<Bucket>,
    /// The last standing by it, and when that was.
    minute: Option<(Standing, Instant)>,
    day: TimeMs,
    /// Of the day: by all processes, as it was last heard.
    heard: BTreeMap<Quota, i64>,
    /// Counted here and not handed on, by day.
    fresh: BTreeMap<(TimeMs, Quota), i64>,
    /// Handed on, and not known to be written.
    handed: BTreeMap<(TimeMs, Quota), i64>,
    last: Instant,
}

impl Account {
    pub(super) fn new(tenant: Tenant) -> Self {
        let now = Now::new();
        let state = State {
            maxima: Maxima::default(),
            checked: None,
            asking: false,
            bucket: None,
            minute: None,
            day: now.day(),
            heard: BTreeMap::new(),
            fresh: BTreeMap::new(),
            handed: BTreeMap::new(),
            last: now.at,
        };
        Self {
            tenant,
            state: Mutex::new(state),
            looking: tokio::sync::Mutex::default(),
            sockets: AtomicUsize::new(0),
            others: AtomicI64::new(0),
            untold: AtomicBool::new(false),
            counting: tokio::sync::Mutex::default(),
            places: Default::default(),
        }
    }

    /// The way to its rows.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whether its plan is to be looked up. Who is told that it is [`Look::Old`] does it; nobody else is told so meanwhile.
    pub(super) fn look(&self) -> Look {
        let mut state = self.state();
        match state.checked {
            None => Look::Unknown,
            Some(at) if state.asking || at.elapsed() < limits::FRESH => Look::Good,
            Some(_) => {
                state.asking = true;
                Look::Old
            }
        }
    }

    /// One at a time looks up what was never looked up.
    pub(super) async fn looking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// What was looked up; `None`: nothing, and what was known before goes on to hold.
    pub(super) fn know(&self, told: Option<Told>, now: Now) {
        let mut state = self.state();
        (state.checked, state.asking) = (Some(now.at), false);
        let Some(told) = told else { return };
        state.roll(now);
        state.maxima = told.maxima;
        // What is on its way may be in these sums or not; its answer will tell.
        if state.handed.is_empty() {
            state.heard = told.today;
        }
        let most = state.maxima.of(Quota::RequestsPerMinute).map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        let has = state.bucket.as_ref().map(|bucket| bucket.rate().requests);
        if most != has {
            state.minute = None;
            state.bucket = most
                .filter(|most| *most > 0)
                .map(|requests| Bucket::new(Rate { requests, per: Duration::from_secs(60) }));
        }
    }

    /// How many requests of a minute there may be, where the plan bounds that.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.state().bucket.as_ref().map(Bucket::rate)
    }

    /// Whether a request may come in at all, for what its plan gives of a day.
    pub(super) fn may_ask(&self, now: Now) -> Result<(), (Standing, Duration)> {
        let mut state = self.state();
        state.roll(now);
        state.may_ask(now)
    }

    /// Counts a request, where it may come in; how the tenant stands, where its plan bounds that. `by_all`: how it stands by what all
    /// processes count, where they do that together.
    pub(super) fn request(
        &self,
        now: Now,
        by_all: Option<Result<Standing, (Standing, Duration)>>,
    ) -> Result<Option<Standing>, (Standing, Duration)> {
        let mut state = self.state();
        state.roll(now);
        state.last = now.at;
        state.may_ask(now)?;
        let standing = match by_all {
            Some(standing) => standing.map(Some),
            None => state.bucket.as_ref().map(Bucket::count).transpose(),
        };
        let told = standing.as_ref().map_or_else(|(standing, _)| Some(*standing), |standing| *standing);
        state.minute = told.map(|standing| (standing, now.at));
        let standing = standing?;
        state.add(Quota::RequestsPerDay, 1);
        Ok(standing)
    }

    /// Whether so many rows more may be looked at today.
    ///
    /// # Errors
    /// What the plan gives is used up.
    pub fn may_read(&self, now: Now) -> Result<(), ApiError> {
        let mut state = self.state();
        state.roll(now);
        match state.left(Quota::BacktestRows) {
            Some(left) if left <= 0 => {
                let limit = state.maxima.of(Quota::BacktestRows).unwrap_or_default();
                Err(ApiError::Quota { name: Quota::BacktestRows, limit, used: limit - left })
            }
            _ => Ok(()),
        }
    }

    /// So many rows were looked at.
    pub fn read(&self, rows: u64, now: Now) {
        let mut state = self.state();
        state.roll(now);
        state.add(Quota::BacktestRows, i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// How many connections the plan gives.
    pub(super) fn most_sockets(&self) -> Option<i64> {
        self.state().maxima.of(Quota::Sockets)
    }

    /// A place for one connection, by what this process has.
    ///
    /// # Errors
    /// There are as many as the plan gives.
    pub(super) fn socket(self: &Arc<Self>) -> Result<Socket, ApiError> {
        let limit = self.most_sockets();
        let used = self.sockets.fetch_add(1, Ordering::AcqRel);
        let socket = Socket { account: Arc::clone(self), telling: None };
        match (limit, i64::try_from(used)) {
            (Some(limit), Ok(used)) if used >= limit => Err(ApiError::Quota { name: Quota::Sockets, limit, used }),
            _ => Ok(socket),
        }
    }

    /// A place among those that all share, of which there are `all` and `free` of them are free. `several`: others ask too.
    ///
    /// # Errors
    /// The tenant has its share, and what is free is for others.
    pub fn place(self: &Arc<Self>, of: Places, (free, all): (usize, usize), several: bool) -> Result<Place, ApiError> {
        let held = self.places[of as usize].fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self), of);
        let (share, last) = ((all / limits::SHARE).max(1), (all / (2 * limits::SHARE)).max(1));
        let beyond = several && held >= share && free <= last;
        if beyond { Err(ApiError::Overloaded { what: "requests of this organisation" }) } else { Ok(place) }
    }

    /// How much is used of what processes count, at one moment (connections, where processes share a server, with those of the others as far
    /// as this one has heard). `written`: how much of a day's stands in the control store.
    pub fn present(&self, written: impl Fn(Quota) -> i64) -> Present {
        let state = self.state();
        let minute = state.minute.map(|(standing, at)| {
            let (used, seconds) = standing.used();
            let left = Duration::from_secs(seconds).saturating_sub(at.elapsed());
            // It comes back evenly.
            let share =
                if seconds == 0 { 0.0 } else { left.as_secs_f64() / Duration::from_secs(seconds).as_secs_f64() };
            ((f64::from(used) * share).ceil() as i64, left)
        });
        let today = OF_A_DAY.map(|quota| (quota, state.today(quota, written(quota)))).into();
        let own = i64::try_from(self.sockets.load(Ordering::Acquire)).unwrap_or(i64::MAX);
        Present { minute, sockets: own.saturating_add(self.others.load(Ordering::Acquire)), today }
    }

    /// What was counted and not handed on; it is handed on by this.
    pub(super) fn counted(&self, now: Now) -> Vec<Metered> {
        let mut state = self.state();
        state.roll(now);
        let counted = std::mem::take(&mut state.fresh);
        for (key, used) in &counted {
            *state.handed.entry(*key).or_default() += used;
        }
        let of = |((day, quota), used)| Metered { tenant: *self.tenant.id(), quota, day, used };
        counted.into_iter().map(of).collect()
    }

    /// What was handed on is written down, and with it there are so many of the day.
    pub(super) fn written(&self, metered: &Metered, sum: Option<i64>) {
        let mut state = self.state();
        state.handed.remove(&(metered.day, metered.quota));
        if metered.day == state.day
            && let Some(sum) = sum
        {
            state.heard.insert(metered.quota, sum);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.fresh.is_empty() && state.handed.is_empty() && state.last.elapsed() > limits::IDLE
    }
}

impl State {
    /// A new day begins with nothing.
    fn roll(&mut self, now: Now) {
        if self.day < now.day() {
            self.day = now.day();
            self.heard.clear();
        }
    }

    /// `Err`: nothing is left of the day, or nothing is given at all; how long until that may be otherwise.
    fn may_ask(&self, now: Now) -> Result<(), (Standing, Duration)> {
        for (quota, wait) in
            [(Quota::RequestsPerMinute, Duration::from_secs(60)), (Quota::RequestsPerDay, until_tomorrow(now.time))]
        {
            let nothing = self.maxima.of(quota) == Some(0);
            if nothing || quota == Quota::RequestsPerDay && self.left(quota).is_some_and(|left| left <= 0) {
                let limit = self.maxima.of(quota).map_or(0, |most| u32::try_from(most).unwrap_or(u32::MAX));
                return Err((Standing::new(limit, 0, wait), wait));
            }
        }
        Ok(())
    }

    /// What was used today by all processes, as far as this one knows: what was `written`, and what it counted since.
    fn today(&self, quota: Quota, written: i64) -> i64 {
        let of = |counts: &BTreeMap<(TimeMs, Quota), i64>| counts.get(&(self.day, quota)).copied().unwrap_or(0);
        // What is on its way stands in it already, or not yet.
        let heard = self.heard.get(&quota).copied().unwrap_or(0).saturating_add(of(&self.handed));
        written.max(heard).saturating_add(of(&self.fresh))
    }

    fn add(&mut self, quota: Quota, many: i64) {
        debug_assert!(OF_A_DAY.contains(&quota), "what is counted of a day");
        let count = self.fresh.entry((self.day, quota)).or_default();
        *count = count.saturating_add(many);
    }

    /// What is left of the day; `None`: there is no bound.
    fn left(&self, quota: Quota) -> Option<i64> {
        let most = self.maxima.of(quota)?;
        let key = (self.day, quota);
        let of = |counts: &BTreeMap<(TimeMs, Quota), i64>| counts.get(&key).copied().unwrap_or(0);
        let used = self.heard.get(&quota).copied().unwrap_or(0);
        Some(most.saturating_sub(used.saturating_add(of(&self.fresh)).saturating_add(of(&self.handed))))
    }
}

/// One connection's place; it is free again when this is dropped.
pub struct Socket {
    account: Arc<Account>,
    /// How the other processes hear of it.
    telling: Option<Telling>,
}

impl Socket {
    /// That it goes is told to the others.
    pub(super) fn told_by(mut self, telling: Telling) -> Self {
        self.telling = Some(telling);
        self
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.account.sockets.fetch_sub(1, Ordering::AcqRel);
        if let Some(telling) = self.telling.take() {
            telling.gone(Arc::clone(&self.account));
        }
    }
}

/// One request's place; it is free again when this is dropped.
pub struct Place(Arc<Account>, Places);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
