//! What the endpoints of a fleet have in common: heights, who is in use, and where samples go.
//!
//! Guarantee: samples never hold a call up: a full queue drops them, which is counted.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{Network, records::ProviderSample};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    clock::Moment,
    heights::{Pulse, best},
    metrics,
    score::lag_ok,
};

/// What they have in common.
#[derive(Debug)]
pub(super) struct Hub {
    pub network: Network,
    pub observer: String,
    block_time: Option<Duration>,
    heights: Mutex<Heights>,
    samples: Mutex<Option<mpsc::Sender<ProviderSample>>>,
    /// A breaker opened: somebody is to be tried sooner than was thought.
    pub opened: Notify,
    /// The endpoint in use, by its place.
    pub primary: watch::Sender<Option<usize>>,
}

#[derive(Debug)]
struct Heights {
    claims: Vec<Option<(std::sync::Arc<str>, u64)>>,
    pulse: Pulse,
}

impl Hub {
    /// Of a network with so many endpoints.
    pub fn new(network: Network, observer: &str, endpoints: usize, block_time: Option<Duration>) -> Self {
        let heights = Heights { claims: vec![None; endpoints], pulse: Pulse::default() };
        Self {
            network,
            observer: observer.to_owned(),
            block_time,
            heights: Mutex::new(heights),
            samples: Mutex::new(None),
            opened: Notify::new(),
            primary: watch::Sender::new(None),
        }
    }

    /// Goes on with what the former one knows: `heirs` has, for each endpoint, the former place and the present operator.
    pub fn going_on(self, former: &Self, heirs: &[Option<(usize, std::sync::Arc<str>)>]) -> Self {
        {
            let (mut heights, before) = (self.heights(), former.heights());
            heights.pulse = before.pulse;
            for (claim, heir) in heights.claims.iter_mut().zip(heirs) {
                let Some((place, operator)) = heir else { continue };
                let claimed = before.claims.get(*place).and_then(Option::as_ref);
                *claim = claimed.map(|(_, height)| (operator.clone(), *height));
            }
        }
        let primary = *former.primary.borrow();
        let heir = |place| heirs.iter().position(|heir| heir.as_ref().is_some_and(|(former, _)| *former == place));
        self.primary.send_replace(primary.and_then(heir));
        let samples = former.samples.lock().unwrap_or_else(PoisonError::into_inner).clone();
        samples.into_iter().for_each(|samples| self.samples_to(samples));
        self
    }

    /// From now on nothing is said any more.
    pub fn hush(&self) {
        *self.samples.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn heights(&self) -> MutexGuard<'_, Heights> {
        self.heights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lag_ok_of(&self, heights: &Heights) -> u64 {
        lag_ok(self.block_time.or_else(|| heights.pulse.block_time()))
    }

    /// An endpoint claims a height. Gives the best one, the claim included.
    pub fn claimed(&self, index: usize, operator: &std::sync::Arc<str>, height: u64, now: Moment) -> u64 {
        let mut heights = self.heights();
        if let Some(claim) = heights.claims.get_mut(index) {
            *claim = Some((operator.clone(), height));
        }
        let ok = self.lag_ok_of(&heights);
        let best = best(heights.claims.iter().flatten().map(|(operator, h)| (&**operator, *h)), ok).unwrap_or(height);
        heights.pulse.saw(best, now);
        best
    }

    /// What an endpoint claims counts no more.
    pub fn disbelieve(&self, index: usize) {
        if let Some(claim) = self.heights().claims.get_mut(index) {
            *claim = None;
        }
    }

    /// The best height.
    pub fn best(&self) -> Option<u64> {
        let heights = self.heights();
        let ok = self.lag_ok_of(&heights);
        best(heights.claims.iter().flatten().map(|(operator, h)| (&**operator, *h)), ok)
    }

    /// How many blocks behind it are well.
    pub fn lag_ok(&self) -> u64 {
        self.lag_ok_of(&self.heights())
    }

    /// From now on samples go there.
    pub fn samples_to(&self, sender: mpsc::Sender<ProviderSample>) {
        *self.samples.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }

    /// Sends a sample, where there is room.
    pub fn send(&self, sample: ProviderSample) {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*samples
            && sender.try_send(sample).is_err()
        {
            metrics::sample_lost(self.network.as_str());
        }
    }
}
