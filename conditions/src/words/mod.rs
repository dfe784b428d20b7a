//! What a message says to people, before a channel writes it in its own form.
//!
//! Guarantee: pure. What comes from a chain or from a name is a [`Piece::Value`], which each channel escapes; what the product says itself, or a
//! template of the tenant's own, is a [`Piece::Plain`].

mod amounts;
mod cut;
mod figures;
mod template;

pub use cut::{cut, length};
use schemas::{TimeMs, records::Severity};
use serde_json::Value;
pub use template::{Template, missing, render};

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words of ours, or of the tenant's template.
    Plain(String),
    /// Anybody's words: to be escaped.
    Value(String),
}

/// A text of pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub Vec<Piece>);

impl Text {
    /// Words of ours.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Plain(text.into())])
    }
    /// Somebody's words.
    pub fn value(text: impl Into<String>) -> Self {
        Self(vec![Piece::Value(text.into())])
    }
    /// The same with more behind it.
    pub fn and(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }
    /// As it is written, each value by `escape`, each of our own words by `plain`.
    pub fn written(&self, plain: impl Fn(&str) -> String, escape: impl Fn(&str) -> String) -> String {
        let of = |piece: &Piece| match piece {
            Piece::Plain(text) => plain(text),
            Piece::Value(text) => escape(text),
        };
        self.0.iter().map(of).collect()
    }
    /// As it is, where nothing is markup.
    pub fn bare(&self) -> String {
        self.written(str::to_owned, str::to_owned)
    }
}

/// What is the matter, for colours and for services that know three actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Something is wrong.
    Firing,
    /// Somebody has taken it on.
    Taken,
    /// It is over.
    Over,
    /// Nothing is wrong: tests, summaries.
    Note,
}

/// A message in words.
#[derive(Debug, Clone)]
pub struct Words {
    /// One line.
    pub title: Text,
    /// Names and values, in order.
    pub facts: Vec<(&'static str, Text)>,
    /// The tenant's own words, instead of the facts.
    pub body: Option<Text>,
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter.
    pub mood: Mood,
    /// Names of links, and where they lead.
    pub links: Vec<(&'static str, String)>,
    /// When it came about.
    pub at: TimeMs,
}

/// What a message of this kind says: `body` is `data.alert`, or what stands in its place.
pub fn words(kind: &str, body: &Value, at: TimeMs, template: Option<&Template>) -> Words {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let severity = text("/severity").parse().unwrap_or(Severity::Info);
    let (word, mood) = match kind {
        "alert.firing" => ("Firing", Mood::Firing),
        "alert.amended" => ("Updated", Mood::Firing),
        "alert.repeated" => ("Still firing", Mood::Firing),
        "alert.included_again" => ("Back in the chain", Mood::Firing),
        "alert.acknowledged" => ("Acknowledged", Mood::Taken),
        "alert.resolved" => ("Resolved", Mood::Over),
        "alert.retracted" => ("Taken back by the chain", Mood::Over),
        "channel.test" => ("Test message", Mood::Note),
        "channel.summary" => ("Summary", Mood::Note),
        "alerts.settled" => ("Settled", Mood::Note),
        _ => ("Message", Mood::Note),
    };
    // What is amended after its end stays over.
    let mood = match (mood, text("/state")) {
        (Mood::Firing, "resolved" | "retracted") => Mood::Over,
        (Mood::Firing, "acknowledged") => Mood::Taken,
        (mood, _) => mood,
    };
    let mut words =
        Words { title: Text::plain(word), facts: Vec::new(), body: None, severity, mood, links: Vec::new(), at };
    if kind.starts_with("alert.") {
        let name = text("/source/name");
        let name = if name.is_empty() { text("/source/id") } else { name };
        words.title = Text::plain(format!("{word}: ")).and(Piece::Value(name.to_owned()));
        words.facts = figures::of_alert(kind, body);
        for (label, path) in [("View dashboard", "/links/dashboard"), ("Acknowledge", "/links/acknowledge")] {
            let link = text(path);
            if !link.is_empty() {
                words.links.push((label, link.to_owned()));
            }
        }
        if let Some(template) = template {
            if let Some(title) = &template.title {
                words.title = Text::plain(format!("{word}: "));
                words.title.0.extend(render(title, body).0);
            }
            words.body = template.body.as_ref().map(|text| render(text, body));
        }
    } else {
        words.facts = figures::of_note(kind, body);
        let link = text("/links/dashboard");
        if !link.is_empty() {
            words.links.push(("View dashboard", link.to_owned()));
        }
    }
    words
}
