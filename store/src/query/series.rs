//! Figures over time, step by step.

use schemas::{Network, TimeMs};

use super::{
    Figures, Metric, Source, Step, Value,
    steps::{StepFigures, Wanted, steps_of},
    told::check_contract,
};
use crate::{Store, StoreError};

/// Which figures, of whom, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFilter {
    /// The network.
    pub network: Network,
    /// A contract of it: `0x` and 40 lower-case hex digits on EVM. `None`: the whole network.
    pub contract: Option<String>,
    /// From which beginning on windows of the contract may tell of it: that one exists tells that somebody watches it. Else it is read from rows
    /// alone.
    pub contract_windows: Option<TimeMs>,
    /// Which figures; each is answered once, in this order.
    pub metrics: Vec<Metric>,
    /// In these steps.
    pub step: Step,
    /// From the step on that this time lies in.
    pub from: TimeMs,
    /// To this time: a step that begins at it or later is not in it.
    pub to: TimeMs,
}

/// Figures over time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeriesAnswer {
    /// As they were asked for.
    pub series: Vec<Series>,
    /// The last event of the network that is in them; 0 before the first.
    pub sequence: u64,
}

/// A figure over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which.
    pub metric: Metric,
    /// Every step, the oldest first.
    pub points: Vec<Point>,
}

/// A figure of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Where the step begins.
    pub at: TimeMs,
    /// The figure; `None` where it is not known, or has no meaning (a rate of nothing).
    pub value: Option<Value>,
    /// Whether everything of the step is in it.
    pub complete: bool,
    /// Where it comes from.
    pub source: Source,
    /// What is missing, in words, where it is not complete.
    pub reason: Option<String>,
}

const ASKING: &str = "reading figures over time";

impl Store {
    /// Figures of a network or a contract over time: each step from its window; where there is none from rows, if the ledger is full there.
    ///
    /// # Errors
    /// The time is empty or has too many steps, or the store is away.
    pub async fn series(&self, filter: &SeriesFilter) -> Result<SeriesAnswer, StoreError> {
        let (steps, sequence) = self.all_figures(filter).await?;
        let series = filter.metrics.iter().map(|metric| Series {
            metric: *metric,
            points: steps.iter().map(|step| point(step, *metric, filter.step)).collect(),
        });
        Ok(SeriesAnswer { series: series.collect(), sequence })
    }

    /// The same with all figures of each step, whatever metrics are named, the oldest first; and the last event of the network that is in them.
    /// Quantiles and senders are there only where a metric wants them.
    ///
    /// # Errors
    /// As of [`series`](Self::series).
    pub async fn all_figures(&self, filter: &SeriesFilter) -> Result<(Vec<StepFigures>, u64), StoreError> {
        check_contract(filter.contract.as_deref(), ASKING)?;
        let wanted = Wanted {
            network: &filter.network,
            contract: filter.contract.as_deref(),
            contract_windows: filter.contract_windows,
            step: filter.step,
            times: steps_of(filter.step, filter.from, filter.to, ASKING)?,
            sketches: filter.metrics.iter().any(|metric| metric.is_of_sketches()),
            rows: true,
        };
        self.steps(&wanted).await
    }
}

/// A figure of a step. Pure.
fn point(step: &StepFigures, metric: Metric, length: Step) -> Point {
    let value = step.figures.as_ref().and_then(|figures| figures.value(metric, length.ms()));
    // Quantiles and senders may be unknown where sums are not.
    let prices = |figures: &Figures| match metric {
        Metric::GasPriceP50 | Metric::GasPriceP95 => figures.gas_price_count > 0,
        Metric::Senders | Metric::TokenTransfers => true,
        _ => false,
    };
    let unknown = step.complete && value.is_none() && step.figures.as_ref().is_some_and(prices);
    let reason = match (unknown, step.source) {
        (false, _) => step.reason.clone(),
        (true, Source::Rows) => {
            Some("rows of this time do not tell it, or are more than one question reads".to_owned())
        }
        (true, Source::Windows) => Some("records of this time do not tell it".to_owned()),
    };
    Point { at: TimeMs(step.at), value, complete: step.complete && !unknown, source: step.source, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_complete_step_does_not_know_is_said() {
        let figures = Figures { transactions: 9, gas_price_count: 4, senders: Some(3), ..Figures::default() };
        let mut step = StepFigures { at: 60_000, figures: Some(figures), complete: true, ..StepFigures::default() };
        let p50 = point(&step, Metric::GasPriceP50, Step::Minute);
        assert!(!p50.complete && p50.value.is_none() && p50.reason.is_some(), "{p50:?}");
        let senders = point(&step, Metric::Senders, Step::Minute);
        assert_eq!((senders.value, senders.complete, senders.reason), (Some(Value::Count(3)), true, None));
        // Nobody paid gas: there is no price, and nothing is missing.
        step.figures = Some(Figures::default());
        let p95 = point(&step, Metric::GasPriceP95, Step::Minute);
        assert_eq!((p95.value, p95.complete, p95.reason), (None, true, None));
    }
}
