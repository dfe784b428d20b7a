//! Rules, monitors, channels and silences as REST shows them.

use control::Defined;
use schemas::records::DefinitionKind;
use serde_json::{Map, Value, json};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type, schema::SchemaType},
};

use super::key::MakerItem;

/// A rule: an alert while a figure is beyond a threshold, or beyond its own past.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` writes it")]
pub struct RuleItem {
    /// Ours.
    id: String,
    /// What it is called; once among the rules.
    name: String,
    /// Whether it says nothing for now.
    paused: bool,
    /// How bad it is.
    #[schema(pattern = "^(critical|warning|info)$")]
    severity: String,
    /// The networks that it is about.
    networks: Vec<String>,
    /// Those of them that the organisation has no more: there it stands still until they are given back.
    stopped: Vec<String>,
    /// The network, where it is one.
    network: Option<String>,
    /// The contract; null: the whole network.
    contract: Option<String>,
    /// The endpoint, by its name; null: each.
    endpoint: Option<String>,
    /// The figure.
    #[schema(example = "failure_rate")]
    metric: String,
    /// How figure and threshold are compared: `>`, `>=`, `<`, `<=`, `==`, `!=`.
    operator: String,
    /// The threshold; rates are 0–1. Null where there is a baseline.
    threshold: Option<f64>,
    /// Instead of a threshold: so many percent beyond the mean over this time.
    #[schema(value_type = Option<Object>)]
    baseline: Option<()>,
    /// The time that a figure is taken over: `1m`, `5m`, `1h`, `24h`.
    window: String,
    /// How long it has to hold.
    #[schema(rename = "for")]
    for_: String,
    /// Transactions in the window below which nothing is said.
    min_count: u64,
    /// What an alert is for each of.
    group_by: Vec<String>,
    /// No second firing of one group within this time.
    cooldown: String,
    /// How often it is said again while it holds; null: never.
    repeat_every: Option<String>,
    /// Ids of channels that are told.
    channels: Vec<String>,
    /// Channels beside them, by severity and time of day.
    #[schema(value_type = Vec<Object>)]
    routes: (),
    /// Who is told when nobody acknowledges.
    #[schema(value_type = Option<Object>)]
    escalate: Option<()>,
    /// Counts edits; the `ETag` is this number in quotes.
    version: i64,
    /// Who made it.
    created_by: MakerItem,
    /// Since when it is here.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A monitor: an alert for transactions, events and calls that fit.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` writes it")]
pub struct MonitorItem {
    /// Ours.
    id: String,
    /// What it is called; once among the monitors.
    name: String,
    /// Whether it says nothing for now.
    paused: bool,
    /// How bad it is.
    #[schema(pattern = "^(critical|warning|info)$")]
    severity: String,
    /// The networks that it looks at.
    networks: Vec<String>,
    /// Those of them that the organisation has no more: there it stands still until they are given back.
    stopped: Vec<String>,
    /// The addresses that it looks at, with their ABIs; none: all.
    #[schema(value_type = Vec<Object>)]
    addresses: (),
    /// What has to fit: `functions`, `events`, `transactions`.
    #[schema(value_type = Object)]
    match_conditions: (),
    /// What an alert is for each of.
    group_by: Vec<String>,
    /// No second firing of one group within this time.
    cooldown: String,
    /// What is waited for: `finalized`, or a number of blocks; null: nothing.
    #[schema(schema_with = wait)]
    wait: (),
    /// Ids of channels that are told.
    channels: Vec<String>,
    /// Channels beside them, by severity and time of day.
    #[schema(value_type = Vec<Object>)]
    routes: (),
    /// Who is told when nobody acknowledges.
    #[schema(value_type = Option<Object>)]
    escalate: Option<()>,
    /// Words of the message: `title`, `body`; null: ours.
    #[schema(value_type = Option<Object>)]
    template: Option<()>,
    /// Counts edits; the `ETag` is this number in quotes.
    version: i64,
    /// Who made it.
    created_by: MakerItem,
    /// Since when it is here.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A channel: where messages go. Its secrets read `{"set":true}`, but for one that was made here, which the answer to the `POST` shows once.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` writes it")]
pub struct ChannelItem {
    /// Ours.
    id: String,
    /// What it is called; once among the channels.
    name: String,
    /// `webhook`, `slack`, `discord`, `email`, `telegram`, `pagerduty`, `alertmanager`, `script`.
    r#type: String,
    /// What the type needs.
    #[schema(value_type = Object)]
    config: (),
    /// Alerts below it are not told here.
    #[schema(pattern = "^(critical|warning|info)$")]
    min_severity: String,
    /// Messages of one hour; what is over it becomes one summary.
    per_hour: u32,
    /// Whether ends are told, too.
    send_resolved: bool,
    /// Whether anything is sent.
    #[schema(pattern = "^(active|disabled)$")]
    state: String,
    /// Why nothing is sent.
    disabled_reason: Option<String>,
    /// Counts edits; the `ETag` is this number in quotes.
    version: i64,
    /// Who made it.
    created_by: MakerItem,
    /// Since when it is here.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A silence: what is told to nobody for a while.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` writes it")]
pub struct SilenceItem {
    /// Ours.
    id: String,
    /// What it is called; once among the silences.
    name: String,
    /// What an alert has to be: all that is given must fit.
    #[schema(value_type = Object)]
    r#match: (),
    /// When it begins.
    #[schema(format = DateTime)]
    starts_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    ends_at: String,
    /// Why.
    reason: Option<String>,
    /// Counts edits; the `ETag` is this number in quotes.
    version: i64,
    /// Who made it.
    created_by: MakerItem,
    /// Since when it is here.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A rule that is to be, or what is to change of one. What is left out has its default, or stays.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` reads it")]
pub struct RuleBody {
    /// What it is called; once among the rules.
    name: Option<String>,
    /// Whether it says nothing for now.
    paused: Option<bool>,
    /// How bad it is.
    #[schema(pattern = "^(critical|warning|info)$")]
    severity: Option<String>,
    /// The networks that it is about.
    networks: Option<Vec<String>>,
    /// One network, instead of a list.
    network: Option<String>,
    /// The contract; null: the whole network.
    contract: Option<String>,
    /// The endpoint, by its name; null: each.
    endpoint: Option<String>,
    /// The figure.
    #[schema(example = "failure_rate")]
    metric: Option<String>,
    /// How figure and threshold are compared: `>`, `>=`, `<`, `<=`, `==`, `!=`.
    operator: Option<String>,
    /// The threshold; rates are 0–1. Null where there is a baseline.
    threshold: Option<f64>,
    /// Instead of a threshold: so many percent beyond the mean over this time.
    #[schema(value_type = Option<Object>)]
    baseline: Option<()>,
    /// The time that a figure is taken over: `1m`, `5m`, `1h`, `24h`.
    window: Option<String>,
    /// How long it has to hold.
    #[schema(rename = "for")]
    for_: Option<String>,
    /// Transactions in the window below which nothing is said.
    min_count: Option<u64>,
    /// What an alert is for each of.
    group_by: Option<Vec<String>>,
    /// No second firing of one group within this time.
    cooldown: Option<String>,
    /// How often it is said again while it holds; null: never.
    repeat_every: Option<String>,
    /// Ids of channels that are told.
    channels: Option<Vec<String>>,
    /// Channels beside them, by severity and time of day.
    #[schema(value_type = Option<Vec<Object>>)]
    routes: Option<()>,
    /// Who is told when nobody acknowledges.
    #[schema(value_type = Option<Object>)]
    escalate: Option<()>,
}

/// A monitor, the same way.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` reads it")]
pub struct MonitorBody {
    /// What it is called; once among the monitors.
    name: Option<String>,
    /// Whether it says nothing for now.
    paused: Option<bool>,
    /// How bad it is.
    #[schema(pattern = "^(critical|warning|info)$")]
    severity: Option<String>,
    /// The networks that it looks at.
    networks: Option<Vec<String>>,
    /// The addresses that it looks at, with their ABIs; none: all.
    #[schema(value_type = Option<Vec<Object>>)]
    addresses: Option<()>,
    /// What has to fit: `functions`, `events`, `transactions`.
    #[schema(value_type = Option<Object>)]
    match_conditions: Option<()>,
    /// What an alert is for each of.
    group_by: Option<Vec<String>>,
    /// No second firing of one group within this time.
    cooldown: Option<String>,
    /// What is waited for: `finalized`, or a number of blocks; null: nothing.
    #[schema(schema_with = wait, required = false)]
    wait: (),
    /// Ids of channels that are told.
    channels: Option<Vec<String>>,
    /// Channels beside them, by severity and time of day.
    #[schema(value_type = Option<Vec<Object>>)]
    routes: Option<()>,
    /// Who is told when nobody acknowledges.
    #[schema(value_type = Option<Object>)]
    escalate: Option<()>,
    /// Words of the message: `title`, `body`; null: ours.
    #[schema(value_type = Option<Object>)]
    template: Option<()>,
}

/// A channel, the same way. Secrets are texts, or `{"set":true}` for those that are set.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` reads it")]
pub struct ChannelBody {
    /// What it is called; once among the channels.
    name: Option<String>,
    /// `webhook`, `slack`, `discord`, `email`, `telegram`, `pagerduty`, `alertmanager`, `script`.
    r#type: Option<String>,
    /// What the type needs.
    #[schema(value_type = Option<Object>)]
    config: Option<()>,
    /// Alerts below it are not told here.
    #[schema(pattern = "^(critical|warning|info)$")]
    min_severity: Option<String>,
    /// Messages of one hour; what is over it becomes one summary.
    per_hour: Option<u32>,
    /// Whether ends are told, too.
    send_resolved: Option<bool>,
    /// Whether anything is sent.
    #[schema(pattern = "^(active|disabled)$")]
    state: Option<String>,
}

/// A silence, the same way.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; `conditions` reads it")]
pub struct SilenceBody {
    /// What it is called; once among the silences.
    name: Option<String>,
    /// What an alert has to be: all that is given must fit.
    #[schema(value_type = Option<Object>)]
    r#match: Option<()>,
    /// When it begins.
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// When it ends.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// `finalized`, a number of blocks, or null.
fn wait() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Integer, Type::Null])).build()
}

/// A thing as it is answered. `secrets` are those that were made just now, by their places in `config`.
pub fn item(thing: Defined, secrets: Option<Value>) -> Value {
    let mut fields = match thing.definition {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    if let (Some(Value::Object(secrets)), Some(Value::Object(config))) = (secrets, fields.get_mut("config")) {
        config.extend(secrets);
    }
    if matches!(thing.kind, DefinitionKind::Rule | DefinitionKind::Monitor) {
        // However it was sent: a list, and of a rule the one that it is about.
        let one = fields.remove("network").unwrap_or_default();
        fields.entry("networks").or_insert_with(|| json!([one]));
        if thing.kind == DefinitionKind::Rule {
            fields.insert("network".to_owned(), one);
        }
        fields.insert("stopped".to_owned(), thing.stopped.into());
    }
    if thing.kind == DefinitionKind::Channel {
        let state = if thing.disabled.is_some() { "disabled" } else { "active" };
        fields.insert("state".to_owned(), state.into());
        fields.insert("disabled_reason".to_owned(), thing.disabled.into());
    }
    let ours = [
        ("id", thing.id.to_string().into()),
        ("version", thing.version.into()),
        ("created_by", json!({"kind": thing.created_by_kind, "id": thing.created_by})),
        ("created_at", thing.created_at.rfc3339().into()),
        ("updated_at", thing.updated_at.rfc3339().into()),
    ];
    fields.extend(ours.map(|(name, value): (&str, Value)| (name.to_owned(), value)));
    Value::Object(fields)
}
