//! Whom an alert is told: channels, routes by severity and time of day, and who is told when nobody acts.

use std::time::Duration;

use schemas::{Mistake, limits::conditions as limits, records::Severity};
use serde_json::{Value, json};

use crate::{
    fields::{Fields, ended},
    span,
};

/// Severities by their words.
pub(crate) const SEVERITIES: [(&str, Severity); 3] =
    [("critical", Severity::Critical), ("warning", Severity::Warning), ("info", Severity::Info)];

/// Channels beside the usual ones, for alerts of a severity and at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// At least this severe; `None`: any.
    pub severity: Option<Severity>,
    /// Only in these hours of the day; `None`: always.
    pub hours: Option<Hours>,
    /// Ids or names.
    pub channels: Vec<String>,
}

/// Hours of a day in UTC: `"22:00-06:00"`, from the first minute up to, not with, the last one. The same twice is the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight at which it begins, 0–1439.
    pub from: u16,
    /// Minutes since midnight at which it ends, 0–1439; at or below `from`: on the next day.
    pub to: u16,
}

/// Who else is told when nobody has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalate {
    /// How long after firing.
    pub after: Duration,
    /// Ids or names.
    pub channels: Vec<String>,
}

impl Hours {
    /// Reads `HH:MM-HH:MM`.
    pub fn read(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let minute = |text: &str| -> Option<u16> {
            let (hour, minute) = text.split_once(':')?;
            let number = |text: &str, most: u16| {
                let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse::<u16>().ok()).flatten().filter(|n| *n <= most)
            };
            Some(number(hour, 23)? * 60 + number(minute, 59)?)
        };
        Some(Self { from: minute(from)?, to: minute(to)? })
    }

    /// Whether a minute of the day, 0–1439 since midnight UTC, is in it.
    pub fn has(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }

    /// As it is written.
    pub fn text(self) -> String {
        let Self { from, to } = self;
        format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl Route {
    /// Whether an alert of a severity, at a minute of the day (UTC), goes this way.
    pub fn takes(&self, severity: Severity, minute: u16) -> bool {
        self.severity.is_none_or(|least| severity >= least) && self.hours.is_none_or(|hours| hours.has(minute))
    }

    fn read(value: &Value, path: String) -> Result<Self, Vec<Mistake>> {
        let mut fields = Fields::at(value, path);
        let severity = fields.word("severity", &SEVERITIES);
        let hours = fields.text("hours", 32).and_then(|text| {
            let hours = Hours::read(&text);
            if hours.is_none() {
                fields.mistake("hours", format!("is `{text}`"), "write hours of the day in UTC: \"22:00-06:00\"");
            }
            hours
        });
        let channels = channels(&mut fields);
        if channels.is_empty() && fields.is_good() {
            fields.mistake("channels", "is empty", "name at least one channel");
        }
        ended(fields, Some(Self { severity, hours, channels }))
    }

    fn definition(&self) -> Value {
        json!({"severity": self.severity.map(Severity::as_str), "hours": self.hours.map(Hours::text), "channels": self.channels})
    }
}

/// `channels`.
pub(crate) fn channels(fields: &mut Fields<'_>) -> Vec<String> {
    fields.texts("channels", limits::CHANNELS, limits::NAME_CHARACTERS)
}

/// `routes`.
pub(crate) fn routes(fields: &mut Fields<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    for (at, value) in fields.list("routes", limits::ROUTES).iter().enumerate() {
        let route = Route::read(value, fields.path(&format!("routes.{at}")));
        routes.extend(fields.part(route));
    }
    routes
}

/// `escalate`.
pub(crate) fn escalate(fields: &mut Fields<'_>) -> Option<Escalate> {
    let mut inner = fields.object("escalate")?;
    inner.wanted("after", span::CURE);
    let after = inner.span("after", limits::SHORTEST_REPEAT, limits::LONGEST);
    let channels = channels(&mut inner);
    if channels.is_empty() && inner.is_good() {
        inner.mistake("channels", "is empty", "name at least one channel");
    }
    let made = ended(inner, after.map(|after| Escalate { after, channels }));
    fields.part(made)
}

/// Routes as a definition has them.
pub(crate) fn definition_of_routes(routes: &[Route]) -> Value {
    routes.iter().map(Route::definition).collect()
}

/// The escalation as a definition has it.
pub(crate) fn definition_of_escalate(escalate: Option<&Escalate>) -> Value {
    escalate.map_or(Value::Null, |it| json!({"after": span::text(it.after), "channels": it.channels}))
}
