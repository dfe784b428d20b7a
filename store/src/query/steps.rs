//! Steps of time, each from its window; where there is none, or it is not complete, from rows.
//!
//! Guarantee: a step is said to be complete only where its window is, or where the ledger is full over its rows ([`super::by_rows`]). A contract
//! has no window where nothing touched it: that is nothing, and not unknown, where the network's window is complete, every block was looked
//! through for the contract from its beginning on, and no record of a block had to leave contracts out.

use std::collections::BTreeMap;

use schemas::{
    Network, TimeMs,
    limits::{self, windows::STEPS},
};

use super::{
    Figures, Source, Step,
    by_rows::{Ask, Refusal},
    heads::Heads,
    told::{Range, Told, Window},
};
use crate::{Store, StoreError, StoreErrorKind};

/// What is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub network: &'a Network,
    pub contract: Option<&'a str>,
    /// Windows of the contract that begin at this time or later may be used.
    pub contract_windows: Option<TimeMs>,
    pub step: Step,
    /// Beginning of the first step, and the end of the last, milliseconds since 1970.
    pub times: (i64, i64),
    /// Whether quantiles and senders are wanted.
    pub sketches: bool,
    /// Whether what windows do not tell is computed from rows.
    pub rows: bool,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepFigures {
    /// Where it begins, milliseconds since 1970.
    pub at: i64,
    /// What is known of it.
    pub figures: Option<Figures>,
    /// Whether that is all of it.
    pub complete: bool,
    /// Where it comes from.
    pub source: Source,
    /// What is missing, in words, where it is not complete.
    pub reason: Option<String>,
}

/// The steps that a range of times touches: the beginning of the first and the end of the last.
pub(super) fn steps_of(step: Step, from: TimeMs, to: TimeMs, doing: &'static str) -> Result<(i64, i64), StoreError> {
    let refused = |message: String| Err(StoreError::new(StoreErrorKind::BadRequest, doing, message));
    let (from, to) = (step.start(from.0.max(0)), step.ceil(to.0.clamp(0, limits::BLOCK_TIME_END_MS)));
    if from >= to {
        return refused(format!("the time is empty: `to` must be later than `from`, by a step of {step}"));
    }
    let steps = (to - from) / step.ms();
    if steps > STEPS {
        return refused(format!(
            "{steps} steps of {step} are more than {STEPS}: ask for less time, or for longer steps"
        ));
    }
    Ok((from, to))
}

/// What windows tell of a step of a contract or of the network.
pub(super) enum Word<'w> {
    /// There is a window.
    Window(&'w Window),
    /// Nothing touched the contract, as far as the network's window goes.
    Nothing(&'w Window),
    /// There is none, for this reason.
    None(&'static str),
}

const NO_WINDOW: &str = "no window tells of it";
const UNREADABLE: &str = "a transaction that may have touched the contract could not be read";
const LEFT_OUT: &str = "a block of this time touched more watched contracts than its record has room for";
const NOT_WATCHED: &str = "the contract was not watched yet";

/// Pure: what windows tell of the step that begins at a time.
pub(super) fn word<'w>(told: &'w Told, heads: &Heads, contract: bool, windows: bool, at: i64) -> Word<'w> {
    let network = told.network.get(&at);
    if !contract {
        return network.map_or(Word::None(NO_WINDOW), Word::Window);
    }
    if !windows {
        return Word::None(NO_WINDOW);
    }
    match (told.contract.get(&at), network) {
        (Some(window), _) => Word::Window(window),
        (None, _) if heads.watched_from.is_none_or(|from| from > at) => Word::None(NOT_WATCHED),
        // One that could not be read may have touched it.
        (None, Some(network)) if network.partial.unreadable > 0 => Word::None(UNREADABLE),
        (None, Some(network)) if network.partial.contracts_left_out > 0 => Word::None(LEFT_OUT),
        (None, Some(network)) => Word::Nothing(network),
        (None, None) => Word::None(NO_WINDOW),
    }
}

impl Word<'_> {
    /// The step as windows tell it.
    pub fn step(&self, at: i64) -> StepFigures {
        let (figures, complete, reason) = match self {
            Word::Window(window) => (Some(window.figures()), window.complete, window.reason.clone()),
            Word::Nothing(network) => {
                let none = Figures { logs: Some(0), token_transfers: Some(0), senders: Some(0), ..Figures::default() };
                (Some(none), network.complete, network.reason.clone())
            }
            Word::None(reason) => (None, false, Some((*reason).to_owned())),
        };
        StepFigures { at, figures, complete, source: Source::Windows, reason: reason.filter(|_| !complete) }
    }
}

impl Store {
    /// Every step, the oldest first, and the last event that is in them.
    pub(super) async fn steps(&self, wanted: &Wanted<'_>) -> Result<(Vec<StepFigures>, u64), StoreError> {
        let (from, to) = wanted.times;
        let windows = wanted.contract_windows.is_some() || wanted.contract.is_none();
        let contract = wanted.contract.zip(wanted.contract_windows);
        let range = Range { step: wanted.step, from, to };
        let (mut told, heads) = self.told(wanted.network, contract, &[range], false).await?;
        let told = told.remove(&wanted.step).unwrap_or_default();
        let starts = (0..(to - from) / wanted.step.ms()).map(|i| from + i * wanted.step.ms());
        let mut steps: Vec<StepFigures> =
            starts.map(|at| word(&told, &heads, wanted.contract.is_some(), windows, at).step(at)).collect();
        let of_windows = [&told.network, &told.contract].into_iter().flat_map(BTreeMap::values).map(|w| w.sequence);
        let mut sequence = of_windows.chain(heads.network.map(|(_, sequence)| sequence)).max().unwrap_or(0);
        if wanted.rows {
            let open = heads.network.map(|(at, _)| wanted.step.start(at)).filter(|_| windows);
            sequence = sequence.max(self.fill(wanted, open, &mut steps).await?);
        }
        Ok((steps, sequence))
    }

    /// Computes from rows what windows do not tell, but for the step that is still open there.
    async fn fill(&self, wanted: &Wanted<'_>, open: Option<i64>, steps: &mut [StepFigures]) -> Result<u64, StoreError> {
        let missing = |step: &StepFigures| !step.complete && Some(step.at) != open;
        let index = |at: Option<usize>| at.and_then(|i| u64::try_from(i).ok());
        let (first, last) = (index(steps.iter().position(missing)), index(steps.iter().rposition(missing)));
        let Some(span) = first.zip(last) else { return Ok(0) };
        let ask = Ask {
            network: wanted.network,
            contract: wanted.contract,
            base: wanted.times.0,
            width: wanted.step.ms(),
            steps: span,
            sketches: wanted.sketches,
            open: false,
        };
        let mut computed = self.computed(&ask).await?;
        let mut sequence = 0;
        for (i, step) in steps.iter_mut().enumerate().filter(|(_, step)| missing(step)) {
            match computed.remove(&(i as u64)) {
                Some(Ok(from_rows)) => {
                    sequence = sequence.max(from_rows.sequence);
                    *step = StepFigures {
                        at: step.at,
                        figures: Some(from_rows.figures),
                        complete: true,
                        source: Source::Rows,
                        reason: None,
                    };
                }
                Some(Err(refusal)) => step.reason = Some(reason(step.reason.as_deref(), refusal)),
                None => {}
            }
        }
        Ok(sequence)
    }
}

/// Both reasons: why windows do not tell, and why rows do not.
pub(super) fn reason(of_windows: Option<&str>, refusal: Refusal) -> String {
    match of_windows {
        Some(words) if !words.is_empty() => format!("{words}; {refusal}"),
        _ => refusal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use schemas::records::Partial;

    use super::*;

    fn window(complete: bool) -> Window {
        Window { complete, reason: (!complete).then(|| "a gap".into()), ..Window::default() }
    }

    #[test]
    fn a_contract_without_a_window_was_not_touched_only_while_it_was_watched_and_the_network_was_seen() {
        let told = Told {
            network: [(0, window(true)), (60, window(true)), (120, window(false)), (180, window(true))].into(),
            contract: [(180, window(true))].into(),
        };
        let heads = Heads { network: Some((180, 9)), watched_from: Some(50), ..Heads::default() };
        let step = |at| word(&told, &heads, true, true, at).step(at);
        assert_eq!((step(0).figures, step(0).complete, step(0).reason.as_deref()), (None, false, Some(NOT_WATCHED)));
        assert!(step(60).complete && step(60).figures.is_some_and(|f| f.transactions == 0 && f.senders == Some(0)));
        assert_eq!((step(120).complete, step(120).reason.as_deref()), (false, Some("a gap")));
        assert!(step(180).complete && step(180).reason.is_none());
        let unreadable = Window {
            partial: Partial { blocks: 1, transactions: 1, unreadable: 1, ..Partial::default() },
            ..window(true)
        };
        let told_less = Told { network: [(60, unreadable)].into(), ..Told::default() };
        let step_less = word(&told_less, &heads, true, true, 60).step(60);
        assert_eq!((step_less.figures, step_less.reason.as_deref()), (None, Some(UNREADABLE)));
        let left_out =
            Window { partial: Partial { blocks: 1, contracts_left_out: 1, ..Partial::default() }, ..window(true) };
        let told_less = Told { network: [(60, left_out)].into(), ..Told::default() };
        let step_less = word(&told_less, &heads, true, true, 60).step(60);
        assert_eq!((step_less.figures, step_less.complete, step_less.reason.as_deref()), (None, false, Some(LEFT_OUT)));
        assert!(word(&told_less, &heads, false, true, 60).step(60).complete, "the network lacks nothing");
        assert_eq!((step(240).figures, step(240).reason.as_deref()), (None, Some(NO_WINDOW)));
        // Of who must not know whether it is watched nothing of it is told.
        assert_eq!(word(&told, &heads, true, false, 180).step(180).figures, None);
        // The network's own.
        assert!(word(&told, &heads, false, true, 0).step(0).complete);
        assert_eq!(word(&told, &heads, false, true, 240).step(240).reason.as_deref(), Some(NO_WINDOW));
    }

    #[test]
    fn a_range_touches_whole_steps_and_not_too_many() {
        let of = |step, from, to| steps_of(step, TimeMs(from), TimeMs(to), "t");
        assert_eq!(of(Step::Minute, 61_000, 121_000).expect("steps"), (60_000, 180_000));
        assert_eq!(of(Step::Minute, 60_000, 120_000).expect("steps"), (60_000, 120_000));
        assert!(of(Step::Minute, 60_000, 60_000).is_err_and(|e| e.message.contains("empty")));
        assert!(of(Step::Hour, 5, 4).is_err() || of(Step::Hour, 5, 4).is_ok_and(|(a, b)| a < b));
        let error = of(Step::Minute, 0, 2 * 86_400_000).expect_err("too many");
        assert!(error.message.contains("2880 steps of 1m are more than 2200"), "{error}");
        assert_eq!(error.kind, StoreErrorKind::BadRequest);
    }
}
