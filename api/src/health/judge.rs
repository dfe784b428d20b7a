//! The judgement.

mod network;

use std::{collections::BTreeSet, time::Duration};

use schemas::{
    Network, TimeMs,
    records::{
        StageStatus,
        stage_status::{EVERY, SILENT_AFTER, stage, state},
    },
};
use tokio::time::Instant;

use super::{HealthProblem, Heard, InstanceHealth, Now, StageHealth};
use crate::watch::Snapshot;
use network::Kind;
pub use network::network_stage;

/// How long after its start a process waits for the first word of a stage.
pub const GRACE: Duration = Duration::from_secs(60);
const SILENT: &str = "silent";
/// What is no stage, but has its warnings in `/health`.
const STORE: &str = "store";
/// States in which nothing is wrong.
const WELL: [&str; 4] = [state::RUNNING, state::STARTING, "syncing", "live"];

/// What is judged.
pub struct Case<'a> {
    /// What was heard.
    pub heard: &'a Snapshot,
    /// The present.
    pub now: Now,
    /// When this process began to listen.
    pub listening: Instant,
    /// Why the log does not take this process's own status, if so.
    pub unheard: Option<String>,
    /// Networks of this process's configuration.
    pub configured: &'a [Network],
}

/// How all is.
#[derive(Debug)]
pub struct Judged {
    /// Each stage.
    pub stages: Vec<StageHealth>,
    /// What is wrong, the gravest first.
    pub problems: Vec<HealthProblem>,
    /// What is to be known before it is wrong: nothing is degraded for it.
    pub warnings: Vec<HealthProblem>,
    /// Networks that are to be followed, by someone's configuration.
    pub followed: BTreeSet<String>,
    /// The first of the problems for which blocks of every network wait.
    halt: Option<HealthProblem>,
}

impl Judged {
    /// The problem of a network to be shown first: what the stage says whose word is told of it, another of its own, or one for which
    /// its blocks wait.
    pub fn problem_of(&self, network: &str, stage: Option<&str>) -> Option<&HealthProblem> {
        let own = self.problems.iter().filter(|p| p.network.as_deref() == Some(network));
        let general = || self.halt.as_ref().filter(|_| self.followed.contains(network));
        // Of equal ones the first.
        own.min_by_key(|p| stage != Some(p.stage.as_str())).or_else(general)
    }
}

/// Judges all stages, and the networks that are to be followed.
pub fn judge(case: &Case<'_>) -> Judged {
    let followed = case.followed();
    let mut problems = Vec::new();
    // Who hears nothing at all, himself included, is deaf, and cannot tell who is silent.
    let deaf = case.deaf();
    problems.extend(deaf.clone());
    let mut halt = deaf.clone();
    let mut stages: Vec<StageHealth> = Vec::new();
    for name in case.names() {
        let judged = case.stage(&name);
        let is_passed = stage::CHAIN.contains(&name.as_str());
        // Without aggregate and alerts blocks flow, and figures come from rows: they are missed only where they were there.
        let is_judged = is_passed || [stage::AGGREGATE, stage::ALERTS].contains(&name.as_str());
        if is_judged && deaf.is_none() {
            let whole = match judged.state == SILENT {
                true => Some(case.silent(&name, None, judged.since.clone(), &judged)),
                false => case.stalled(&name, &judged),
            };
            if is_passed && halt.is_none() {
                halt.clone_from(&whole);
            }
            problems.extend(whole);
            problems.extend(case.partly(&name));
        }
        stages.push(judged);
    }
    let heard = case.heard.said.values().filter_map(|h| h.status.network.as_ref()).map(Network::to_string);
    for slug in followed.iter().cloned().chain(heard).collect::<BTreeSet<String>>() {
        let Ok(network) = slug.parse::<Network>() else { continue };
        let wanted = followed.contains(&slug);
        for name in stage::CHAIN {
            let whole = stages.iter().find(|s| s.stage == name);
            let stage_is_silent = whole.is_some_and(|s| s.state == SILENT);
            // It has no network in its hands yet, and its process says why.
            let stage_upgrades = case.upgrades(name).is_some();
            let told = case.network(name, &network, whole).into_iter().filter(|found| match found.kind {
                Kind::Silence => wanted && !stage_is_silent && !stage_upgrades && deaf.is_none(),
                Kind::Unconfigured => wanted,
                Kind::Word => true,
            });
            problems.extend(told.map(|found| found.problem));
        }
        problems.extend(case.differing(&network));
    }
    Judged { stages, problems, warnings: case.warnings(), followed, halt }
}

impl Case<'_> {
    fn is_young(&self) -> bool {
        self.now.at.saturating_duration_since(self.listening) < GRACE
    }

    /// What a stage said of a network.
    pub fn heard_of(&self, name: &str, network: &Network) -> Option<&Heard> {
        self.heard.said.get(&StageStatus::key_of(name, "", Some(network)))
    }

    /// What processes said of themselves.
    fn processes<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Heard> {
        self.heard.said.values().filter(move |h| h.status.stage == name && h.status.network.is_none())
    }

    fn living<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Heard> {
        self.processes(name).filter(|h| !h.is_silent(self.now.at))
    }

    /// A process of a stage that brings the store into its layout, while none does the stage's work.
    fn upgrades<'s>(&'s self, name: &'s str) -> Option<&'s Heard> {
        let works = self.living(name).any(|h| is_working(&h.status.state));
        self.living(name).find(|h| h.status.state == state::UPGRADING && !works)
    }

    /// The stages of the chain, the API, and whatever else has processes. One that stops in an orderly way takes its own record away, and
    /// leaves those of its networks: a stage of which nothing else is there is run no more.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = stage::CHAIN.iter().chain([&stage::API]).map(|s| (*s).to_owned()).collect();
        for heard in self.heard.said.values().filter(|h| h.status.network.is_none()) {
            if !names.contains(&heard.status.stage) {
                names.push(heard.status.stage.clone());
            }
        }
        names
    }

    /// Networks that this process or one that lives has in its configuration.
    fn followed(&self) -> BTreeSet<String> {
        let mut followed: BTreeSet<String> = self.configured.iter().map(Network::to_string).collect();
        for name in stage::CHAIN {
            followed.extend(self.living(name).flat_map(|h| h.status.networks.iter().map(|n| n.slug.clone())));
        }
        followed
    }

    /// Whether a network was taken out of the configuration of everybody who says what is in it: of each stage its processes that
    /// live, or, where none does, those that are remembered.
    pub fn given_up(&self, network: &Network) -> bool {
        let names = |h: &Heard| h.status.networks.iter().any(|n| n.slug == network.as_str());
        // The sink's configuration names none.
        let tell = [stage::INGEST, stage::ENRICH].map(|name| {
            let mut living = self.living(name).peekable();
            let told = living.peek().is_some() || self.processes(name).next().is_some();
            let named = match living.peek() {
                Some(_) => living.any(names),
                None => self.processes(name).any(names),
            };
            (told, named)
        });
        tell[0].0 && tell.iter().all(|(_, named)| !named) && !self.configured.contains(network)
    }

    fn deaf(&self) -> Option<HealthProblem> {
        let patience = EVERY * SILENT_AFTER;
        let since = self.heard.last.unwrap_or(self.listening).max(self.listening);
        if self.now.at.saturating_duration_since(since) <= patience {
            return None;
        }
        let why = self.unheard.clone().map_or(String::new(), |why| format!(": {why}"));
        Some(HealthProblem {
            stage: "log".to_owned(),
            network: None,
            since: Some(self.now.wall_of(since).rfc3339()),
            problem: format!(
                "the log has not let this process hear anything since then{why}; what is shown is from before"
            ),
            cure:
                "See that the log's brokers answer (embedded: that there is room on its disk), and this process's log"
                    .to_owned(),
        })
    }

    fn stage(&self, name: &str) -> StageHealth {
        let instance = |h: &Heard| {
            let silent = h.is_silent(self.now.at);
            let heard_at = self.now.wall_of(h.at);
            InstanceHealth {
                instance: h.status.instance.clone(),
                state: if silent { SILENT.to_owned() } else { h.status.state.clone() },
                since: if silent { heard_at } else { h.status.since }.rfc3339(),
                heard_at: heard_at.rfc3339(),
                detail: h.status.detail.clone(),
            }
        };
        let instances: Vec<InstanceHealth> = self.processes(name).map(instance).collect();
        let living: Vec<&Heard> = self.living(name).collect();
        let last = self.heard.said.values().filter(|h| h.status.stage == name).map(|h| h.at).max();
        let (state, since) = if let Some(h) = living.iter().find(|h| WELL.contains(&h.status.state.as_str())) {
            (h.status.state.clone(), Some(h.status.since))
        } else if let Some(h) = living.first() {
            (h.status.state.clone(), Some(h.status.since))
        } else if last.is_some_and(|at| self.now.at.saturating_duration_since(at) <= EVERY * SILENT_AFTER) {
            // It has just stopped in an orderly way, as before a restart.
            (state::STARTING.to_owned(), None)
        } else if last.is_none() && (self.is_young() || self.is_former(name)) {
            (state::STARTING.to_owned(), None)
        } else {
            (SILENT.to_owned(), Some(self.now.wall_of(last.unwrap_or(self.listening))))
        };
        StageHealth { stage: name.to_owned(), state, since: since.map(TimeMs::rfc3339), instances }
    }

    /// Whether a stage may be of a former version, which does not speak of itself: then its silence says nothing.
    pub fn is_former(&self, name: &str) -> bool {
        stage::CHAIN.contains(&name)
            && !self.heard.watchers.is_empty()
            && self.processes(stage::INGEST).next().is_none()
    }

    /// What processes say though nothing keeps them from their work: of the store, by the sink that looks after it; of changes that wait
    /// to be told to the stages, by the API that publishes them.
    fn warnings(&self) -> Vec<HealthProblem> {
        let mut told: Vec<HealthProblem> = Vec::new();
        for (stage, of, page) in [(stage::SINK, STORE, "docs/keeping.md"), (stage::API, stage::API, "docs/control.md")]
        {
            for heard in self.living(stage).filter(|h| h.status.state == state::RUNNING) {
                let Some(words) = &heard.status.detail else { continue };
                // Several processes look after one store, and wait for one database.
                if told.iter().all(|other| other.problem != *words) {
                    told.push(HealthProblem {
                        stage: of.to_owned(),
                        network: None,
                        since: None,
                        problem: words.clone(),
                        cure: format!("See {page}"),
                    });
                }
            }
        }
        told
    }

    /// All processes of a stage that live wait for something.
    fn stalled(&self, name: &str, judged: &StageHealth) -> Option<HealthProblem> {
        let stalled = judged.state != SILENT && !is_working(&judged.state);
        let first = self.living(name).next().filter(|_| stalled)?;
        let words = first.status.detail.clone().unwrap_or_else(|| format!("it is in the state {}", judged.state));
        let cure = if judged.state == state::UPGRADING {
            "Wait: it goes on by itself when that is done, and may be stopped and started meanwhile".to_owned()
        } else {
            format!("See the log of {}", first.status.instance)
        };
        Some(HealthProblem {
            stage: name.to_owned(),
            network: None,
            since: judged.since.clone(),
            problem: format!("{name} is {}: {words}", judged.state),
            cure,
        })
    }

    /// What processes of a stage that live do not get done beside what blocks wait for.
    fn partly(&self, name: &str) -> Vec<HealthProblem> {
        let mut told: Vec<HealthProblem> = Vec::new();
        for heard in self.living(name).filter(|h| h.status.state == state::PARTLY) {
            let problem = heard.status.detail.clone().unwrap_or_else(|| format!("{name} does not do all of its work"));
            if told.iter().all(|other| other.problem != problem) {
                told.push(HealthProblem {
                    stage: name.to_owned(),
                    network: None,
                    since: Some(heard.status.since.rfc3339()),
                    problem,
                    cure: format!("See the log of {}", heard.status.instance),
                });
            }
        }
        told
    }

    fn silent(
        &self,
        name: &str,
        network: Option<&Network>,
        since: Option<String>,
        whole: &StageHealth,
    ) -> HealthProblem {
        let never = self.heard.said.values().all(|h| h.status.stage != name);
        let what = match (never, network) {
            (true, _) => format!("{name} has never been heard of"),
            (false, None) => format!("{name} is silent: none of its processes says anything"),
            (false, Some(network)) => format!("{name} says nothing of {network} any more"),
        };
        // A process that lives and says what keeps it knows best.
        let stuck = self.living(name).find_map(|h| {
            h.status.detail.as_ref().map(|detail| (h, detail)).filter(|(h, _)| !WELL.contains(&h.status.state.as_str()))
        });
        let cure = match (stuck, network) {
            (Some((h, detail)), _) => format!("{} of {name}: {detail}", h.status.instance),
            (None, Some(network)) if whole.state != SILENT => {
                format!(
                    "No process of {name} has the partition of {network}: see the logs of {name}, and that its group has members"
                )
            }
            _ => {
                let last: Vec<&str> = whole.instances.iter().map(|i| i.instance.as_str()).take(8).collect();
                let last = if last.is_empty() { String::new() } else { format!(" (last heard: {})", last.join(", ")) };
                format!("Start `headwater {name}` again{last}, or `headwater up`; its log says why it ended")
            }
        };
        HealthProblem { stage: name.to_owned(), network: network.map(Network::to_string), since, problem: what, cure }
    }
}

/// Whether a process in this state passes blocks on.
fn is_working(word: &str) -> bool {
    WELL.contains(&word) || word == state::PARTLY
}
