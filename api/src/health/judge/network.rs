//! The judgement of one network at one stage.

use runtime::beat::WARN_PERCENT;
use schemas::{
    Network, TimeMs,
    records::stage_status::{stage, state},
};

use super::{
    super::{HealthProblem, NetworkStage, StageHealth, progress::Trouble},
    Case, SILENT, WELL,
};

/// What kind of problem a stage has with a network.
pub(super) enum Kind {
    /// It says nothing of it.
    Silence,
    /// The process that has it does not know it.
    Unconfigured,
    /// It says what is wrong.
    Word,
}

/// A problem of a network.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) problem: HealthProblem,
}

/// Where a network is at a stage.
pub fn network_stage(case: &Case<'_>, name: &str, network: &Network) -> NetworkStage {
    let heard = case.heard_of(name, network);
    let blank = NetworkStage {
        stage: name.to_owned(),
        state: state::STARTING.to_owned(),
        since: None,
        heard_at: None,
        instance: None,
        sequence: None,
        error: None,
    };
    let is_heard = heard.is_some_and(|heard| !heard.is_silent(case.now.at));
    if let Some(process) = case.upgrades(name).filter(|_| !is_heard) {
        return NetworkStage {
            state: state::UPGRADING.to_owned(),
            since: Some(process.status.since.rfc3339()),
            heard_at: Some(case.now.wall_of(process.at).rfc3339()),
            instance: Some(process.status.instance.clone()),
            error: process.status.detail.clone(),
            ..blank
        };
    }
    let Some(heard) = heard else {
        return if case.is_young() { blank } else { NetworkStage { state: SILENT.to_owned(), ..blank } };
    };
    let (silent, s) = (heard.is_silent(case.now.at), &heard.status);
    let heard_at = case.now.wall_of(heard.at);
    NetworkStage {
        state: if silent { SILENT.to_owned() } else { s.state.clone() },
        since: Some(if silent { heard_at } else { s.since }.rfc3339()),
        heard_at: Some(heard_at.rfc3339()),
        instance: Some(s.instance.clone()),
        sequence: s.sequence,
        error: s.detail.clone(),
        ..blank
    }
}

impl Case<'_> {
    /// What is wrong with a network at a stage.
    pub(super) fn network(&self, name: &str, network: &Network, whole: Option<&StageHealth>) -> Vec<Found> {
        let silence =
            |whole, since| Found { kind: Kind::Silence, problem: self.silent(name, Some(network), since, whole) };
        let word = |problem| Found { kind: Kind::Word, problem };
        let problem = |since: TimeMs, problem: String, cure: &str| HealthProblem {
            stage: name.to_owned(),
            network: Some(network.to_string()),
            since: Some(since.rfc3339()),
            problem,
            cure: cure.to_owned(),
        };
        let Some(heard) = self.heard_of(name, network) else {
            let waits = self.is_young() || self.is_former(name) || whole.is_none_or(|w| w.state == state::STARTING);
            let since = Some(self.now.wall_of(self.listening).rfc3339());
            return match whole {
                Some(whole) if !waits => vec![silence(whole, since)],
                _ => self.former(name, network).into_iter().map(word).collect(),
            };
        };
        let s = &heard.status;
        let mut all = Vec::new();
        if heard.is_silent(self.now.at) {
            let since = Some(self.now.wall_of(heard.at).rfc3339());
            return whole.map(|whole| silence(whole, since)).into_iter().collect();
        }
        if !WELL.contains(&s.state.as_str()) {
            let words = s.detail.clone().unwrap_or_else(|| format!("{name} is in the state {}", s.state));
            let kind = if s.state == state::UNCONFIGURED { Kind::Unconfigured } else { Kind::Word };
            all.push(Found { kind, problem: problem(s.since, words, "See the log of the process") });
        } else if let Some(trouble) = self.heard.progress.get(network).and_then(|p| p.trouble(name, self.now.at)) {
            let what = if name == stage::INGEST { "blocks of the node" } else { "events" };
            let (since, words) = match trouble {
                Trouble::Still { at, waiting, since } => (
                    since,
                    format!("{name} stands still at {at}, while {waiting} {what} wait: what is shown grows old"),
                ),
                Trouble::Behind { waiting, more, since } => {
                    (since, format!("{name} falls behind: {waiting} {what} wait, {more} more than a minute ago"))
                }
            };
            all.push(word(problem(self.now.wall_of(since), words, advice(name))));
        }
        if let Some(percent) = s.unread_percent.filter(|percent| *percent > WARN_PERCENT) {
            let words = format!(
                "{name} has not read {percent} % of what the log keeps of partition {}: at 100 retention removes events of {network} \
                 that are still to be read, and stops it",
                s.partition.unwrap_or_default()
            );
            let cure = "Make it faster or give it time: raise `retention.bytes` and `retention.ms` of its topics now (Kafka's own \
                        tools), then see why it is behind";
            all.push(word(problem(s.at, words, cure)));
        }
        all
    }

    /// What stages of a former version said.
    fn former(&self, name: &str, network: &Network) -> Option<HealthProblem> {
        let problem = |at: TimeMs, problem: String| HealthProblem {
            stage: name.to_owned(),
            network: Some(network.to_string()),
            since: Some(at.rfc3339()),
            problem,
            cure: "See what it says, and the log of the process".to_owned(),
        };
        match name {
            stage::INGEST => {
                let w = self.heard.watchers.get(network)?;
                let words =
                    || w.detail.clone().unwrap_or_else(|| format!("ingest is in the state {}", w.state.as_str()));
                (!WELL.contains(&w.state.as_str())).then(|| problem(w.at, words()))
            }
            stage::ENRICH => {
                let e = self.heard.former_halt(network)?;
                let words = || format!("enrich stopped this network: {}", e.state.as_str());
                Some(problem(e.at, e.detail.clone().unwrap_or_else(words)))
            }
            _ => None,
        }
    }

    /// Processes whose configurations do not say the same of a network.
    pub(super) fn differing(&self, network: &Network) -> Option<HealthProblem> {
        let mut said: Vec<(u64, String)> = Vec::new();
        for name in stage::CHAIN {
            for heard in self.living(name) {
                let of = heard.status.networks.iter().find(|n| n.slug == network.as_str());
                said.extend(of.and_then(|n| n.chain_id).map(|id| (id, format!("{name} {}", heard.status.instance))));
            }
        }
        let (first, other) = (said.first()?, said.iter().find(|(id, _)| *id != said[0].0)?);
        Some(HealthProblem {
            stage: other.1.split(' ').next().unwrap_or_default().to_owned(),
            network: Some(network.to_string()),
            since: None,
            problem: format!(
                "configurations differ: {} has chain id {}, {} has {}; fees follow from it, so that records differ by process",
                first.1, first.0, other.1, other.0
            ),
            cure: "Give every process the same [[network]] sections".to_owned(),
        })
    }
}

fn advice(name: &str) -> &'static str {
    match name {
        stage::INGEST => "See its log: the node gives blocks too slowly, or the log takes too long to store them",
        stage::ENRICH => "See its log; start another `headwater enrich`, or give it more processor",
        _ => "See its log: the store takes rows too slowly, or does not answer",
    }
}
