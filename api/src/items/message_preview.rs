//! What a message would say.

use conditions::words::Words;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A message about an alert, in words, before a channel writes it in its own form.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MessagePreview)]
pub struct MessagePreviewItem {
    /// What it is about: a real `alert`, a real `match` of the monitor of which there is no alert, or an `example`.
    #[schema(pattern = "^(alert|match|example)$")]
    pub of: String,
    /// The alert's id; null of anything else.
    pub alert: Option<String>,
    /// The message's type.
    #[schema(pattern = "^alert[.]firing$")]
    pub r#type: String,
    /// Its one line.
    pub title: String,
    /// What stands below: the template's text, or the facts, a line for each.
    pub text: String,
    /// Names in the template that lead nowhere in what it is about: they stay as they are written.
    pub missing: Vec<String>,
    /// What it is about, as the template's names walk through it.
    #[schema(value_type = Object)]
    pub data: Value,
}

impl MessagePreviewItem {
    /// From words about something.
    pub fn new(
        (of, alert): (&str, Option<String>),
        kind: &str,
        words: &Words,
        missing: Vec<String>,
        data: Value,
    ) -> Self {
        let text = match &words.body {
            Some(body) => body.bare(),
            None => {
                let facts = words.facts.iter().map(|(name, value)| format!("{name}: {}", value.bare()));
                facts.collect::<Vec<_>>().join("\n")
            }
        };
        let title = words.title.bare();
        Self { of: of.to_owned(), alert, r#type: kind.to_owned(), title, text, missing, data }
    }
}
