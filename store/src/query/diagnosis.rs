//! What a verdict rests on, whether it is the contract, the chain or the provider: figures of some minutes, and of the day before them.

use schemas::{Network, TimeMs, limits};

use super::{
    EndpointAt, Figures, Overview, OverviewFilter, Step,
    steps::{StepFigures, Wanted},
    told::check_contract,
};
use crate::{Store, StoreError};

/// Of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosisFilter {
    /// The network.
    pub network: Network,
    /// A contract of it: `0x` and 40 lower-case hex digits on EVM. `None`: the network alone.
    pub contract: Option<String>,
    /// From which beginning on windows of the contract may tell of it: that one exists tells that somebody watches it. Else it is read from rows
    /// alone.
    pub contract_windows: Option<TimeMs>,
    /// How long the time is that one judges, and each step of the day before: five minutes, or an hour where blocks come minutes apart.
    pub step: Step,
    /// The time in question: what is judged ends with it.
    pub at: TimeMs,
}

/// The time in question, and the day before it in steps of equal length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnosis {
    /// Minutes that one judges: those of a [`DiagnosisFilter::step`], and the one that the time lies in.
    pub from: TimeMs,
    /// Their end.
    pub to: TimeMs,
    /// The network in them.
    pub network: Overview,
    /// The contract in them; `None` where none was asked for.
    pub contract: Option<Overview>,
    /// The network in the day before: steps that are complete, the oldest first; at most 288.
    pub usual_network: Vec<Usual>,
    /// The contract likewise. A step in which nothing touched it has figures of zero.
    pub usual_contract: Vec<Usual>,
    /// Endpoints in these minutes, by name.
    pub endpoints: Vec<EndpointAt>,
    /// The same endpoints over the day before.
    pub usual_endpoints: Vec<EndpointAt>,
    /// The last event of the network that is in it; 0 before the first.
    pub sequence: u64,
}

/// A step of the day before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// Where it begins.
    pub at: TimeMs,
    /// Its figures.
    pub figures: Figures,
}

const ASKING: &str = "gathering evidence";
/// The day before.
const USUAL_MS: i64 = 86_400_000;
/// Endpoints of an answer.
const ENDPOINTS: u32 = 256;

impl Store {
    /// What a verdict about these minutes rests on. The day before is told by windows alone, but for a contract whose windows may not tell of
    /// it: where there are none it is empty.
    ///
    /// # Errors
    /// The store is away.
    pub async fn diagnosis(&self, filter: &DiagnosisFilter) -> Result<Diagnosis, StoreError> {
        let contract = filter.contract.as_deref();
        check_contract(contract, ASKING)?;
        let at = filter.at.0.clamp(0, limits::BLOCK_TIME_END_MS);
        let minute = Step::Minute.start(at);
        let (from, to) = ((minute - filter.step.ms()).max(0), minute + Step::Minute.ms());
        let usual_to = filter.step.start(from);
        let usual = ((usual_to - USUAL_MS).max(0), usual_to.max(filter.step.ms()));
        let overview = |contract: Option<&str>| OverviewFilter {
            network: filter.network.clone(),
            contract: contract.map(str::to_owned),
            contract_windows: filter.contract_windows,
            from: TimeMs(from),
            to: TimeMs(to),
        };
        let steps = |contract| Wanted {
            network: &filter.network,
            contract,
            contract_windows: filter.contract_windows,
            step: filter.step,
            times: usual,
            sketches: false,
            rows: contract.is_some(),
        };
        let (of_network, of_contract) = (overview(None), contract.map(|contract| overview(Some(contract))));
        let now = futures::future::try_join(self.overview(&of_network), async {
            match &of_contract {
                Some(filter) => self.overview(filter).await.map(Some),
                None => Ok(None),
            }
        });
        let wanted = (steps(None), contract.map(|contract| steps(Some(contract))));
        let before = futures::future::try_join(self.steps(&wanted.0), async {
            match &wanted.1 {
                Some(wanted) => self.steps(wanted).await,
                None => Ok((Vec::new(), 0)),
            }
        });
        let endpoints = futures::future::try_join(
            self.endpoints_at(&filter.network, (TimeMs(from), TimeMs(to)), ENDPOINTS),
            self.endpoints_by_minutes(&filter.network, (TimeMs(usual.0), TimeMs(usual.1)), ENDPOINTS),
        );
        let ((network, contract), (usual_network, usual_contract), (endpoints, usual_endpoints)) =
            futures::future::try_join3(now, before, endpoints).await?;
        let of_contract = contract.as_ref().map_or(0, |contract| contract.sequence);
        let sequence = [network.sequence, of_contract, usual_network.1, usual_contract.1].into_iter().max();
        Ok(Diagnosis {
            from: TimeMs(from),
            to: TimeMs(to),
            network,
            contract,
            usual_network: usual_of(usual_network.0),
            usual_contract: usual_of(usual_contract.0),
            endpoints,
            usual_endpoints,
            sequence: sequence.unwrap_or(0),
        })
    }
}

/// What is whole of these.
fn usual_of(steps: Vec<StepFigures>) -> Vec<Usual> {
    let whole = steps.into_iter().filter(|step| step.complete);
    whole.filter_map(|step| Some(Usual { at: TimeMs(step.at), figures: step.figures? })).collect()
}
