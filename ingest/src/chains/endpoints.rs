//! The endpoints of a network: a fleet of them, and whichever succeeds it. It knows no family.
//!
//! Guarantee: samples go to and come from the present fleet; a successor is made ready before anything changes, and the former fleet leaves
//! once it is asked no more.

use std::sync::Arc;

use nodes::{
    ChainSource, Changing,
    fleet::{Fleet, MemberConfig},
};
use schemas::records::ProviderSample;
use tokio::sync::mpsc;

use super::family::Family;
use crate::{
    config::NetworkConfig,
    samples::Observed,
    source::{Changes, Source, TakeOver},
};

/// Endpoints, with what their fleet is told of each.
pub(super) type Members<E> = Vec<(MemberConfig, E)>;

/// How a family makes fleets.
pub(super) trait Fleets: Send + Sync + 'static {
    /// A fleet as a source of blocks.
    type Source: ChainSource;
    /// Asks one endpoint.
    type Client: Clone + Send + Sync + 'static;
    /// An endpoint as configured.
    type Endpoint: Clone;

    /// The network's endpoints.
    ///
    /// # Errors
    /// It is a network of another family.
    fn endpoints<'a>(&self, network: &'a NetworkConfig) -> Result<&'a [Self::Endpoint], String>;

    /// A fleet of a network.
    ///
    /// # Errors
    /// An endpoint that cannot be used as configured: what is wrong and what to write instead.
    fn begin(&self, network: &NetworkConfig, members: Members<Self::Endpoint>) -> Result<Self::Source, String>;

    /// The fleet that goes on in the place of `former`.
    ///
    /// # Errors
    /// As [`Fleets::begin`].
    fn succeed(
        &self,
        former: &Self::Source,
        network: &NetworkConfig,
        members: Members<Self::Endpoint>,
    ) -> Result<Self::Source, String>;

    /// The fleet below a source.
    fn fleet(source: &Self::Source) -> &Fleet<Self::Client>;
}

/// A network and the fleet of its endpoints.
///
/// # Errors
/// No endpoint, or one that cannot be used as configured: what is wrong and what to write instead.
pub(super) fn source<F: Family, S: Fleets>(network: &NetworkConfig, family: F, fleets: S) -> Result<Source, String>
where
    S::Source: ChainSource<Block = F::Block>,
{
    let present = Changing::new(fleets.begin(network, members(&fleets, network)?)?);
    let source = Source::new(network.clone(), family, Arc::new(present.clone()));
    let endpoints = Arc::new(Endpoints { present, fleets });
    Ok(source.observed(endpoints.clone()).changed_by(endpoints))
}

fn members<S: Fleets>(fleets: &S, network: &NetworkConfig) -> Result<Members<S::Endpoint>, String> {
    let endpoints = fleets.endpoints(network)?;
    if endpoints.is_empty() {
        return Err("it has no [[network.endpoint]]".into());
    }
    Ok(network.members().into_iter().zip(endpoints.iter().cloned()).collect())
}

/// See the module.
struct Endpoints<S: Fleets> {
    present: Changing<S::Source>,
    fleets: S,
}

impl<S: Fleets> Observed for Endpoints<S> {
    fn samples_to(&self, to: mpsc::Sender<ProviderSample>) {
        S::fleet(&self.present.now()).samples_to(to);
    }
    fn hear(&self, sample: &ProviderSample) {
        S::fleet(&self.present.now()).hear(sample);
    }
    fn leave(&self) {
        S::fleet(&self.present.now()).leave(None);
    }
}

impl<S: Fleets> Changes for Endpoints<S> {
    fn prepare(&self, network: &NetworkConfig) -> Result<TakeOver, String> {
        let (former, present) = (self.present.now(), self.present.clone());
        let successor = self.fleets.succeed(&former, network, members(&self.fleets, network)?)?;
        Ok(Box::new(move || {
            let fleet = S::fleet(&successor).clone();
            present.succeed(successor);
            S::fleet(&former).leave(Some(&fleet));
        }))
    }
}
