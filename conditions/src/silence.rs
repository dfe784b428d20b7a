//! A silence: which alerts are told to nobody for a while. It takes nothing away: alerts live their life meanwhile, and what still holds at
//! its end is told then.

use schemas::{
    Mistake, TimeMs,
    limits::{alerts as limits, conditions::NAME_CHARACTERS},
    records::Severity,
};
use serde_json::{Value, json};

use crate::{
    fields::{Fields, ended},
    party::Party,
    routing::SEVERITIES,
};

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// What it is called; unique among the tenant's silences.
    pub name: String,
    /// What it is for: all that is given must fit, and nothing given fits everything.
    pub matches: SilenceMatch,
    /// When it begins; `None`: at once. The control store writes the time in, which this knows no clock for.
    pub starts_at: Option<TimeMs>,
    /// When it ends.
    pub ends_at: TimeMs,
    /// Why.
    pub reason: Option<String>,
}

/// What a silence is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SilenceMatch {
    /// Id or name of a rule.
    pub rule: Option<String>,
    /// Id or name of a monitor.
    pub monitor: Option<String>,
    /// Id or name of a channel: the others are told.
    pub channel: Option<String>,
    /// Slug of a network.
    pub network: Option<String>,
    /// A contract's address, lower case.
    pub contract: Option<String>,
    /// Alerts that are just so severe.
    pub severity: Option<Severity>,
}

/// An alert on its way to a channel, as a silence sees it.
#[derive(Debug, Clone, Copy)]
pub struct Silenced<'a> {
    /// Id and name of its rule.
    pub rule: Option<(&'a str, &'a str)>,
    /// Id and name of its monitor.
    pub monitor: Option<(&'a str, &'a str)>,
    /// Id and name of the channel; `None`: of the alert as such, so that a silence of a channel does not fit.
    pub channel: Option<(&'a str, &'a str)>,
    /// Slug of its network.
    pub network: &'a str,
    /// Its contract, lower case.
    pub contract: Option<&'a str>,
    /// How bad it is.
    pub severity: Severity,
}

impl Silence {
    /// Reads a definition.
    ///
    /// # Errors
    /// Every mistake, with its path.
    pub fn parse(definition: &Value) -> Result<Self, Vec<Mistake>> {
        let mut fields = Fields::of(definition);
        let name = fields.name();
        let matches = match fields.object("match") {
            None => SilenceMatch::default(),
            Some(mut of) => {
                let text = |of: &mut Fields<'_>, key| of.text(key, NAME_CHARACTERS);
                let matches = SilenceMatch {
                    rule: text(&mut of, "rule"),
                    monitor: text(&mut of, "monitor"),
                    channel: text(&mut of, "channel"),
                    network: text(&mut of, "network"),
                    contract: text(&mut of, "contract").map(|text| address(&text)),
                    severity: of.word("severity", &SEVERITIES),
                };
                fields.tell_all(of.end());
                matches
            }
        };
        if matches.rule.is_some() && matches.monitor.is_some() {
            fields.mistake("match", "names a rule and a monitor, which no alert is of", "leave one of the two out");
        }
        let starts_at = time(&mut fields, "starts_at");
        let ends_at = match fields.wanted("ends_at", TIME) {
            Some(_) => time(&mut fields, "ends_at"),
            None => None,
        };
        if let (Some(starts), Some(ends)) = (starts_at, ends_at)
            && ends <= starts
        {
            fields.mistake("ends_at", "is not after `starts_at`", "write a later time");
        }
        let reason = fields.text("reason", limits::REASON_CHARACTERS);
        ended(fields, ends_at.map(|ends_at| Self { name, matches, starts_at, ends_at, reason }))
    }

    /// The definition with everything written out.
    pub fn definition(&self) -> Value {
        let SilenceMatch { rule, monitor, channel, network, contract, severity } = &self.matches;
        json!({
            "name": self.name,
            "match": {
                "rule": rule,
                "monitor": monitor,
                "channel": channel,
                "network": network,
                "contract": contract,
                "severity": severity.map(Severity::as_str),
            },
            "starts_at": self.starts_at.map(TimeMs::rfc3339),
            "ends_at": self.ends_at.rfc3339(),
            "reason": self.reason,
        })
    }

    /// Whether it is in force at a time: from `starts_at` up to, not with, `ends_at`.
    pub fn is_in_force(&self, now: TimeMs) -> bool {
        self.starts_at.is_none_or(|starts| starts <= now) && now < self.ends_at
    }

    /// When this will next change by itself: when it begins, or when it ends; `None` when it is over.
    pub fn changes_at(&self, now: TimeMs) -> Option<TimeMs> {
        let times = [self.starts_at, Some(self.ends_at)];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Whether an alert on its way is what it is for, whatever the time.
    pub fn fits(&self, alert: &Silenced<'_>) -> bool {
        let one_of = |wanted: &Option<String>, names: Option<(&str, &str)>| match (wanted, names) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some((id, name))) => wanted == id || wanted == name,
        };
        let of = &self.matches;
        one_of(&of.rule, alert.rule)
            && one_of(&of.monitor, alert.monitor)
            && one_of(&of.channel, alert.channel)
            && of.network.as_deref().is_none_or(|network| network == alert.network)
            && of.contract.as_deref().is_none_or(|contract| Some(contract) == alert.contract)
            && of.severity.is_none_or(|severity| severity == alert.severity)
    }
}

const TIME: &str = "write a time in RFC 3339: \"2026-01-31T18:00:00Z\"";

fn time(fields: &mut Fields<'_>, key: &'static str) -> Option<TimeMs> {
    let text = fields.text(key, 64)?;
    let time = TimeMs::parse_rfc3339(&text);
    if time.is_none() {
        fields.mistake(key, format!("is `{text}`"), TIME);
    }
    time
}

/// An address as alerts have it; what is none stays, in lower case.
fn address(text: &str) -> String {
    Party::read(text).map_or_else(|| text.to_ascii_lowercase(), |party| party.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(definition: Value) -> Silence {
        Silence::parse(&definition).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
    }

    #[test]
    fn a_definition_is_read_and_written_out() {
        let short = json!({"name": "upgrade", "ends_at": "2026-01-31T18:00:00Z"});
        let all = silence(short).definition();
        assert_eq!(all["match"]["severity"], Value::Null);
        assert_eq!(all["ends_at"], "2026-01-31T18:00:00.000Z");
        assert_eq!(silence(all.clone()).definition(), all);
        let full = json!({"name": "upgrade", "match": {"rule": "r", "contract": "0xAB", "severity": "critical"},
            "starts_at": "2026-01-31T17:00:00+01:00", "ends_at": "2026-01-31T18:00:00Z", "reason": "we know"});
        let full = silence(full);
        assert_eq!(full.matches.contract.as_deref(), Some("0xab"));
        assert_eq!(silence(full.definition()), full);
    }

    #[test]
    fn mistakes_are_told_with_their_path() {
        let paths = |definition| {
            let mistakes = Silence::parse(&definition).unwrap_err();
            mistakes.into_iter().map(|m| m.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(json!({"name": "a"})), ["ends_at"]);
        assert_eq!(paths(json!({"ends_at": "tomorrow"})), ["name", "ends_at"]);
        let at = "2026-01-31T18:00:00Z";
        assert_eq!(paths(json!({"name": "a", "starts_at": at, "ends_at": at})), ["ends_at"]);
        assert_eq!(paths(json!({"name": "a", "ends_at": at, "match": {"rules": "x"}})), ["match.rules"]);
        assert_eq!(paths(json!({"name": "a", "ends_at": at, "match": {"rule": "x", "monitor": "y"}})), ["match"]);
        assert_eq!(paths(json!({"name": "a", "ends_at": at, "end": 1})), ["end"]);
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let alert = Silenced {
            rule: Some(("R1", "failures")),
            monitor: None,
            channel: None,
            network: "eth",
            contract: Some("0xab"),
            severity: Severity::Warning,
        };
        let to_ops = Silenced { channel: Some(("C1", "ops")), ..alert };
        let of = |matches: Value| {
            let it = silence(json!({"name": "a", "ends_at": "2026-01-31T18:00:00Z", "match": matches}));
            (it.fits(&alert), it.fits(&to_ops))
        };
        assert_eq!(of(json!({})), (true, true));
        assert_eq!(of(json!({"rule": "R1"})), (true, true));
        assert_eq!(
            of(json!({"rule": "failures", "network": "eth", "contract": "0xAB", "severity": "warning"})),
            (true, true)
        );
        assert_eq!(of(json!({"rule": "failures", "network": "base"})), (false, false));
        assert_eq!(of(json!({"monitor": "failures"})), (false, false));
        assert_eq!(of(json!({"channel": "ops"})), (false, true));
        assert_eq!(of(json!({"severity": "critical"})), (false, false));
    }

    #[test]
    fn it_begins_and_ends() {
        let mut it = silence(json!({"name": "a", "ends_at": "1970-01-01T00:00:02Z"}));
        assert!(it.is_in_force(TimeMs(0)) && !it.is_in_force(TimeMs(2_000)));
        it.starts_at = Some(TimeMs(1_000));
        assert!(!it.is_in_force(TimeMs(999)) && it.is_in_force(TimeMs(1_000)));
        let changes = [0, 1_000, 1_999, 2_000].map(|now| it.changes_at(TimeMs(now)).map(|at| at.0));
        assert_eq!(changes, [Some(1_000), Some(2_000), Some(2_000), None]);
    }
}
