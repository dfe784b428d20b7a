//! What somebody wants a thing to be, looked at: without the database.
//!
//! Guarantee: what becomes of a body is what `conditions` makes of it, with every default written out and every secret taken out; every
//! mistake is told with its path, and fields that only the server sets are mistakes.

use std::collections::BTreeMap;

use conditions::{Channel, Kept, Monitor, Reach, Rule, Silence, rule::ALTERNATIVES};
use runtime::{
    private,
    scripts::{NoScript, Scripts},
    targets::{Refused, Targets},
};
use schemas::{Family, Network, TimeMs, limits::control as limits, records::DefinitionKind};
use serde_json::{Map, Value, json};

use super::{Defined, merge::merged};
use crate::error::{Error, Mistake};

/// Fields that the server sets.
const OURS: [&str; 7] = ["id", "version", "created_at", "updated_at", "created_by", "disabled_reason", "stopped"];
/// Why a channel is disabled that somebody disabled by hand.
pub(super) const BY_HAND: &str = "disabled by hand";

/// What the operator allows of definitions: `[alerts]`.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Where messages may go to.
    pub targets: Targets,
    /// Programs that channels may run.
    pub scripts: Scripts,
    /// Monitors without address, topic or selector that a tenant may have at work: what is paused is not looked at, and does not count.
    pub max_unindexed: usize,
    /// Of which family each network is, as far as that is known: what a monitor looks for has to be there.
    pub families: BTreeMap<Network, Family>,
}

impl Bounds {
    /// What a configuration says. What is no target is told when the configuration is read.
    pub fn of(alerts: &runtime::config::Alerts) -> Self {
        Self {
            targets: Targets::new(&alerts.allow_targets, &alerts.ports).unwrap_or_default(),
            scripts: Scripts::of(alerts.scripts, &alerts.scripts_dir),
            max_unindexed: alerts.max_unindexed,
            families: BTreeMap::new(),
        }
    }
}

/// Public targets, no programs, and as many monitors of that kind as the configuration has where it says nothing.
impl Default for Bounds {
    fn default() -> Self {
        let max_unindexed = runtime::config::Alerts::default().max_unindexed;
        let (targets, scripts) = (Targets::default(), Scripts::default());
        Self { targets, scripts, max_unindexed, families: BTreeMap::new() }
    }
}

/// What a thing is to be.
pub(super) struct Draft {
    pub(super) kind: DefinitionKind,
    pub(super) name: String,
    /// With all defaults, without secrets.
    pub(super) definition: Value,
    /// What is to be sealed; `None`: it has no secret.
    pub(super) secrets: Option<Value>,
    /// Secrets that were made here, by their places in `config`.
    pub(super) made: Option<Value>,
    /// Of a channel: why nothing is sent to it.
    pub(super) disabled: Option<String>,
    /// A monitor that looks at every transaction, and is not paused.
    pub(super) unindexed: bool,
    /// Where it sends to.
    reach: Option<Reach>,
    /// What was read of a monitor, until [`Self::check`] has looked at it: of an import there are many drafts at once.
    monitor: Option<Box<Monitor>>,
}

impl Draft {
    /// A new one.
    ///
    /// # Errors
    /// The body has mistakes.
    pub(super) fn new(kind: DefinitionKind, body: &Value, now: TimeMs) -> Result<Self, Error> {
        let mut fields = fields(kind, body)?;
        let active = taken_state(kind, &mut fields)?;
        let mut draft = Self::read(kind, &Value::Object(fields), None, now)?;
        draft.disabled = (active == Some(false)).then(|| BY_HAND.to_owned());
        Ok(draft)
    }

    /// One that is there, changed. `kept` are its secrets.
    ///
    /// # Errors
    /// The patch, or what becomes of it, has mistakes.
    pub(super) fn changed(before: &Defined, patch: &Value, kept: Option<&Value>, now: TimeMs) -> Result<Self, Error> {
        let kind = before.kind;
        let mut patch = fields(kind, patch)?;
        let active = taken_state(kind, &mut patch)?;
        let mut base = before.definition.clone();
        if let Value::Object(base) = &mut base {
            // Whoever sets one of two that stand for each other means that the other goes.
            for (one, other) in ALTERNATIVES.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]) {
                if patch.get(one).is_some_and(|value| !value.is_null()) && patch.get(other).is_none_or(Value::is_null) {
                    base.remove(other);
                }
            }
            // Another type of channel wants other things.
            if patch.get("type").is_some_and(|word| Some(word) != base.get("type")) {
                base.remove("config");
            }
        }
        let patch = Value::Object(patch);
        let kept = kept.map(|secrets| Kept { secrets, of: &before.definition });
        let mut draft = Self::read(kind, &merged(base, &patch), kept, now)?;
        // Whoever says where else to send wants it to be tried.
        draft.disabled = match active {
            Some(true) => None,
            Some(false) => Some(before.disabled.clone().unwrap_or_else(|| BY_HAND.to_owned())),
            None if patch.get("config").is_some() => None,
            None => before.disabled.clone(),
        };
        Ok(draft)
    }

    /// A channel of which only that it had secrets is known.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn without_secrets(definition: Value) -> Result<Self, Error> {
        fits(&definition)?;
        let name = definition.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = DefinitionKind::Channel;
        Ok(Self {
            kind,
            name,
            definition,
            secrets: None,
            made: None,
            disabled: None,
            unindexed: false,
            reach: None,
            monitor: None,
        })
    }

    fn read(kind: DefinitionKind, definition: &Value, kept: Option<Kept<'_>>, now: TimeMs) -> Result<Self, Error> {
        let mut monitor = None;
        let plain = |definition: Value| (definition, None, None, false, None);
        let (definition, secrets, made, unindexed, reach) = match kind {
            DefinitionKind::Rule => plain(Rule::parse(definition).map_err(Error::Invalid)?.definition()),
            DefinitionKind::Silence => {
                // It begins now where it does not say when: `conditions` knows no clock.
                let mut definition = definition.clone();
                if let Value::Object(fields) = &mut definition
                    && fields.get("starts_at").is_none_or(Value::is_null)
                {
                    fields.insert("starts_at".to_owned(), now.rfc3339().into());
                }
                plain(Silence::parse(&definition).map_err(Error::Invalid)?.definition())
            }
            DefinitionKind::Monitor => {
                let read = monitor.insert(Box::new(Monitor::parse(definition).map_err(Error::Invalid)?));
                (read.definition(), None, None, read.is_unindexed() && !read.paused, None)
            }
            DefinitionKind::Channel => {
                let random = private::random::<32>().map_err(|e| Error::Settings(format!("no random numbers: {e}")))?;
                let read = Channel::with_secrets(definition, kept, now, random).map_err(Error::Invalid)?;
                let reach = read.channel.config.reach(&read.secrets);
                let secrets = Some(read.secrets).filter(|s| s.as_object().is_some_and(|s| !s.is_empty()));
                (read.channel.definition(), secrets, read.made, false, Some(reach))
            }
        };
        fits(&definition)?;
        let name = definition.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { kind, name, definition, secrets, made, disabled: None, unindexed, reach, monitor })
    }

    /// Refuses what the operator does not allow, or what is not to be had on its networks.
    ///
    /// # Errors
    /// The target is not allowed; a monitor looks for what its networks do not have.
    pub(super) async fn check(&mut self, bounds: &Bounds) -> Result<(), Error> {
        self.check_networks(bounds)?;
        self.check_target(bounds).await
    }

    /// Refuses monitors that look for what their networks do not have.
    fn check_networks(&mut self, bounds: &Bounds) -> Result<(), Error> {
        let Some(monitor) = self.monitor.take() else { return Ok(()) };
        let mistakes = monitor.wrong_in(|network| bounds.families.get(network).copied());
        if mistakes.is_empty() { Ok(()) } else { Err(Error::Invalid(mistakes)) }
    }

    /// Refuses targets that are not allowed. Names are resolved; one that cannot be now is looked at again before anything is sent.
    ///
    /// # Errors
    /// The target is not allowed.
    async fn check_target(&self, bounds: &Bounds) -> Result<(), Error> {
        let (path, found) = match &self.reach {
            None | Some(Reach::Service) => return Ok(()),
            Some(Reach::Url(path, url)) => (path, bounds.targets.url(url).await),
            Some(Reach::Host(path, host, port)) => (path, bounds.targets.host(host, *port).await),
            Some(Reach::Script(path, program)) => {
                let (problem, cure) = match bounds.scripts.find(program) {
                    // What is on another machine is looked at there, before it is run.
                    Ok(_) | Err(NoScript::Away(_)) => return Ok(()),
                    Err(NoScript::NotAllowed(problem)) => (problem, Scripts::CURE),
                    Err(NoScript::Off(problem)) => {
                        (problem, "set `scripts = true` in `[alerts]` of the configuration, or choose another type")
                    }
                };
                return Err(Error::Invalid(vec![Mistake::new(*path, problem, cure)]));
            }
        };
        match found {
            Ok(_) | Err(Refused::Unresolved(_)) => Ok(()),
            Err(Refused::NotAllowed(problem)) => {
                let cure = "write a public target on a port that is allowed; the operator allows others by `allow_targets` and `ports` in \
                            `[alerts]` of the configuration";
                Err(Error::Invalid(vec![Mistake::new(*path, problem, cure)]))
            }
        }
    }
}

fn fits(definition: &Value) -> Result<(), Error> {
    let bytes = definition.to_string().len();
    if bytes <= limits::DEFINITION_BYTES {
        return Ok(());
    }
    let cure = format!("write at most {} bytes: ABIs with only what is named, for instance", limits::DEFINITION_BYTES);
    Err(Error::Invalid(vec![Mistake::new("body", format!("takes {bytes} bytes as JSON"), cure)]))
}

/// The fields of a body that whoever sends it may set.
fn fields(kind: DefinitionKind, body: &Value) -> Result<Map<String, Value>, Error> {
    let Value::Object(fields) = body else {
        let cure = format!("send one object: the fields of a {}", kind.as_str());
        return Err(Error::Invalid(vec![Mistake::new("body", "is no object", cure)]));
    };
    let ours = fields.keys().filter(|name| OURS.contains(&name.as_str()));
    let mistakes: Vec<Mistake> =
        ours.map(|name| Mistake::new(name, "is set by the server alone", "leave it out")).collect();
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    let mut fields = fields.clone();
    // A rule is shown with both, and may come back so.
    if let (Some(one), Some([only])) =
        (fields.get("network"), fields.get("networks").and_then(Value::as_array).map(Vec::as_slice))
        && one == only
    {
        fields.remove("network");
    }
    Ok(fields)
}

/// Takes a channel's `state` out: whether it is to be active.
fn taken_state(kind: DefinitionKind, fields: &mut Map<String, Value>) -> Result<Option<bool>, Error> {
    if kind != DefinitionKind::Channel {
        return Ok(None);
    }
    match fields.remove("state") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) if word == "active" => Ok(Some(true)),
        Some(Value::String(word)) if word == "disabled" => Ok(Some(false)),
        Some(_) => {
            let mistake = Mistake::new("state", "is no state of a channel", "write `active` or `disabled`");
            Err(Error::Invalid(vec![mistake]))
        }
    }
}

/// The networks that a definition names; none: all.
pub(super) fn networks(kind: DefinitionKind, definition: &Value) -> Vec<&str> {
    let within = match kind {
        DefinitionKind::Silence => definition.get("match"),
        _ => Some(definition),
    };
    let Some(within) = within else { return Vec::new() };
    let one = within.get("network").and_then(Value::as_str);
    let many = within.get("networks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many).collect()
}

/// As the audit shows a definition: an ABI by its number of items.
pub(super) fn seen(thing: &Defined) -> Value {
    let mut shown = thing.definition.clone();
    for address in shown.get_mut("addresses").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(abi) = address.get_mut("abi").filter(|abi| !abi.is_null()) {
            let items = abi.as_array().map_or(0, Vec::len);
            *abi = json!({"items": items});
        }
    }
    if let (Some(reason), Value::Object(shown)) = (&thing.disabled, &mut shown) {
        shown.insert("disabled_reason".to_owned(), reason.clone().into());
    }
    shown
}
