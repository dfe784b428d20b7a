//! The endpoints of one network, with their clients.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use schemas::{
    Network, limits,
    records::{EndpointState, ProviderSample},
};
use tokio::sync::{mpsc, watch};

use super::{
    clock::Clock,
    config::{FleetConfig, MemberConfig, Role},
    member::{Member, Purpose, SeatMeter, Turn},
    quarantine::Lie,
    seat::Seat,
    table::Table,
};

/// The endpoints of one network. Clones are the same fleet.
pub struct Fleet<C> {
    inner: Arc<Inner<C>>,
}

struct Inner<C> {
    table: Table,
    clients: Vec<C>,
}

impl<C> Clone for Fleet<C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<C> fmt::Debug for Fleet<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").field(&self.inner.table.seats).finish()
    }
}

impl<C: Clone + Send + Sync + 'static> Fleet<C> {
    /// A fleet of these endpoints, in the order of their configuration. `observer` names the stage and the process to samples.
    /// Nothing is asked yet; [`Fleet::run`] probes.
    pub fn new(
        network: Network,
        observer: &str,
        members: Vec<(MemberConfig, C)>,
        config: FleetConfig,
        clock: Clock,
    ) -> Self {
        let (configs, clients): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let table = Table::new(network, observer, configs, config, clock);
        Self { inner: Arc::new(Inner { table, clients }) }
    }

    /// The fleet that goes on with these endpoints and settings: who is there still, by its URL, keeps all that is known of it. The
    /// former one is to be asked nothing more once it was told to [`leave`](Self::leave).
    pub fn succeeded_by(&self, members: Vec<(MemberConfig, C)>, config: FleetConfig) -> Self {
        let (configs, clients): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let table = self.table().succeeded_by(configs, config);
        Self { inner: Arc::new(Inner { table, clients }) }
    }

    /// Says of every endpoint that is not in the successor, or of all where there is none, that it is gone, and nothing any more.
    pub fn leave(&self, successor: Option<&Self>) {
        self.table().leave(successor.map(Self::table));
    }

    pub(super) fn table(&self) -> &Table {
        &self.inner.table
    }

    /// The client of an endpoint.
    pub(super) fn client_of(&self, seat: &Seat) -> Option<&C> {
        self.inner.clients.get(seat.index)
    }

    /// The endpoint as whoever asks it sees it.
    pub(super) fn member(&self, seat: &Arc<Seat>, turn: Arc<Turn>) -> Member<C> {
        let client = self.inner.clients[seat.index].clone();
        Member { client, meter: Arc::new(SeatMeter { seat: seat.clone(), turn }), seat: seat.clone() }
    }

    /// The same outside of a question: a request that is dropped after `patience` counts as a timeout.
    pub(super) fn free(
        &self,
        seat: &Arc<Seat>,
        method: &'static str,
        purpose: Purpose,
        patience: Duration,
    ) -> Member<C> {
        let turn = Turn {
            method,
            role: Role::Stream,
            purpose,
            began: self.table().clock.now(),
            patience,
            ends: None,
            recorded: Default::default(),
            waiting: Default::default(),
        };
        self.member(seat, Arc::new(turn))
    }

    /// An endpoint for what is no question: subscriptions, and finding out what it is.
    fn at_large(&self, seat: &Arc<Seat>) -> Member<C> {
        self.free(seat, "call", Purpose::Read, Duration::MAX)
    }

    /// All endpoints, in the order of the configuration, for what is no question.
    pub fn members(&self) -> Vec<Member<C>> {
        self.table().seats.iter().map(|s| self.at_large(s)).collect()
    }

    /// Endpoints whose word on the chain counts now: those that may be asked about it and are believed.
    pub fn believed(&self) -> Vec<Member<C>> {
        let mut members = self.members();
        members.retain(|m| m.usable() && m.serves(Role::Stream));
        members
    }

    /// Operators of those, each once, in the order of their names.
    pub fn trusted(&self) -> Vec<Arc<str>> {
        let operators: BTreeSet<Arc<str>> = self.believed().iter().map(Member::operator).collect();
        operators.into_iter().collect()
    }

    /// The endpoint of this name, for what is no question.
    pub fn named(&self, name: &str) -> Option<Member<C>> {
        self.table().seat(name).map(|s| self.at_large(s))
    }

    /// The endpoint in use, or that would be.
    pub fn primary(&self) -> Option<Member<C>> {
        self.table().reelect();
        let index = *self.table().hub.primary.borrow();
        index.and_then(|i| self.table().seats.get(i)).map(|s| self.at_large(s))
    }

    /// The place of the endpoint in use in the configuration, as it changes.
    pub fn primary_watch(&self) -> watch::Receiver<Option<usize>> {
        self.table().hub.primary.subscribe()
    }

    /// Operators of whom at least one endpoint is to be believed and asked.
    pub fn operators(&self) -> usize {
        let usable = self.table().seats.iter().filter(|s| s.state().is_believed());
        usable.map(|s| &*s.operator).collect::<BTreeSet<_>>().len()
    }

    /// The newest height, as far as endpoints that are believed have shown.
    pub fn best_height(&self) -> Option<u64> {
        self.table().hub.best()
    }

    /// An endpoint showed a height, in a subscription.
    pub fn heard(&self, endpoint: &str, height: u64) {
        if let Some(seat) = self.table().seat(endpoint) {
            seat.heard(height);
            seat.evaluate(false);
        }
    }

    /// Bytes came from an endpoint other than in answer to a request.
    pub fn bytes(&self, endpoint: &str, bytes: usize) {
        if let Some(seat) = self.table().seat(endpoint) {
            let (bytes, now) = (bytes as u64, seat.clock.now());
            seat.gate.bytes(&seat.hub.observer, bytes);
            super::metrics::bytes(seat.hub.network.as_str(), &seat.name, bytes);
            let mut state = seat.state();
            state.window.add_traffic(now, 0, bytes);
            state.hour.add(now, 0, bytes, 0);
        }
    }

    /// So many blocks were passed on: what requests and bytes per block are counted by, on every endpoint.
    pub fn passed(&self, blocks: u64) {
        for seat in &self.table().seats {
            let now = seat.clock.now();
            seat.state().hour.add(now, 0, 0, blocks);
        }
    }

    /// An endpoint is not to be asked for a reason that is no lie, in a sentence: another chain, or not known yet.
    pub fn unusable(&self, endpoint: &str, reason: &str) {
        self.set_unusable(endpoint, Some(reason.to_owned()));
    }

    /// It is again.
    pub fn usable(&self, endpoint: &str) {
        self.set_unusable(endpoint, None);
    }

    fn set_unusable(&self, endpoint: &str, reason: Option<String>) {
        let Some(seat) = self.table().seat(endpoint) else { return };
        let changed = std::mem::replace(&mut seat.state().unusable, reason.clone()) != reason;
        if changed {
            if reason.is_some() {
                seat.hub.disbelieve(seat.index);
            }
            seat.evaluate(true);
            self.table().reelect();
        }
    }

    /// Names an endpoint a liar: it is not believed until it has agreed with the others for the configured while. False where
    /// that is known already, and where all endpoints are of its operator, so that nobody could tell.
    pub fn quarantine(&self, endpoint: &str, lie: Lie) -> bool {
        let table = self.table();
        table.seat(endpoint).is_some_and(|seat| table.quarantine(seat, &lie))
    }

    /// An endpoint said the same as the others do, where they were compared.
    pub fn agreed(&self, endpoint: &str) {
        if let Some(seat) = self.table().seat(endpoint) {
            seat.agreed();
        }
    }

    /// Takes over what other observers say of endpoints, and what this one said before a restart: lies, and what was spent of a
    /// day. Everything else is each one's own.
    pub fn hear(&self, sample: &ProviderSample) {
        self.table().hear(sample);
    }

    /// From now on samples are sent there; those for which there is no room are lost, and counted.
    pub fn samples_to(&self, sender: mpsc::Sender<ProviderSample>) {
        self.table().hub.samples_to(sender);
    }

    /// A queue of samples of this fleet alone.
    pub fn samples(&self) -> mpsc::Receiver<ProviderSample> {
        let (sender, receiver) = mpsc::channel(limits::SAMPLES_QUEUE);
        self.samples_to(sender);
        receiver
    }

    /// Sends what was counted in minutes that are not over yet: the last word of a process that stops.
    pub fn finish(&self) {
        self.table().seats.iter().for_each(|s| s.finish());
    }

    /// Name and state of every endpoint, in the order of the configuration.
    pub fn snapshot(&self) -> Vec<(Arc<str>, EndpointState)> {
        self.table().seats.iter().map(|s| (s.name.clone(), s.snapshot())).collect()
    }
}
