//! Channels: what is taken, what is refused, and that no secret is in a definition.

use conditions::{Channel, ChannelConfig, ChannelKind, Kept, Reach, Severity};
use schemas::TimeMs;
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// One of each type, with its secrets.
fn all() -> Vec<Value> {
    let of = |kind: &str, config: Value| json!({"name": kind, "type": kind, "config": config});
    vec![
        of("webhook", json!({"url": "https://example.com/in", "secret": SECRET, "headers": {"X-Key": "hush-header"}})),
        of("slack", json!({"url": "https://hooks.slack.com/services/T/B/hush"})),
        of("slack", json!({"token": "xoxb-hush", "channel": "C0123456789"})),
        of("discord", json!({"url": "https://discord.com/api/webhooks/1/hush"})),
        of(
            "email",
            json!({"host": "smtp.example.com", "username": "u", "password": "hush word", "sender": "a@example.com",
            "recipients": ["b@example.com", "c@example.com"], "tls": "tls"}),
        ),
        of(
            "email",
            json!({"host": "smtp.example.com", "port": 25, "sender": "a@example.com", "recipients": ["b@example.com"]}),
        ),
        of("telegram", json!({"token": "1:hush", "chat_id": -1001234567890i64})),
        of("pagerduty", json!({"routing_key": "hushhushhushhushhushhushhushhush"})),
        of("alertmanager", json!({"url": "http://am.example.com:80/"})),
        of("script", json!({"path": "/opt/x", "arguments": ["a", "a", ""], "timeout_ms": 500})),
    ]
}

/// Read with what is kept of the same target.
fn read(definition: &Value, kept: Option<&Value>, now: i64) -> conditions::WithSecrets {
    let kept = kept.map(|secrets| Kept { secrets, of: definition });
    Channel::with_secrets(definition, kept, TimeMs(now), [7; 32]).unwrap_or_else(|e| panic!("{definition}: {e:?}"))
}

#[test]
fn a_definition_has_no_secret_and_means_the_same_when_it_is_read_again() {
    for definition in all() {
        let read_first = read(&definition, None, 0);
        let written = read_first.channel.definition();
        let text = written.to_string();
        assert!(!text.contains("hush") && !text.contains("whsec_"), "{text}");
        assert_eq!(Channel::parse(&written).unwrap(), read_first.channel);
        assert_eq!(Channel::parse(&written).unwrap().definition(), written);
        // Read again beside what is sealed, nothing changes.
        let again = read(&written, Some(&read_first.secrets), 1);
        assert_eq!((&again.channel, &again.secrets), (&read_first.channel, &read_first.secrets));
        assert!(again.made.is_none());
    }
    let webhook = read(&all()[0], None, 0);
    assert_eq!(webhook.secrets, json!({"secret": SECRET, "headers": {"x-key": "hush-header"}}));
    assert_eq!(
        (webhook.channel.min_severity, webhook.channel.per_hour, webhook.channel.send_resolved),
        (Severity::Info, 60, true)
    );
    assert!(matches!(&read(&all()[4], None, 0).channel.config, ChannelConfig::Email { port: 465, .. }));
}

#[test]
fn a_signing_secret_is_made_kept_and_replaced_with_a_day_of_both() {
    let mut definition = json!({"name": "w", "type": "webhook", "config": {"url": "https://example.com/"}});
    let made = read(&definition, None, 0);
    let text = made.made.as_ref().unwrap()["secret"].as_str().unwrap().to_owned();
    assert!(text.starts_with("whsec_") && made.secrets["secret"] == text);
    // Left out or said to be set, it stays.
    assert_eq!(read(&definition, Some(&made.secrets), 1).secrets, made.secrets);
    definition["config"]["secret"] = SECRET.into();
    let replaced = read(&definition, Some(&made.secrets), 1_000);
    assert_eq!(replaced.secrets, json!({"secret": SECRET, "former": text, "former_until": 86_401_000}));
    let kept = read(&replaced.channel.definition(), Some(&replaced.secrets), 2_000);
    assert_eq!(kept.secrets, replaced.secrets);
    let late = read(&replaced.channel.definition(), Some(&replaced.secrets), 86_401_000);
    assert_eq!(late.secrets, json!({"secret": SECRET}));
    definition["config"]["secret"] = OTHER.into();
    assert_eq!(read(&definition, Some(&replaced.secrets), 3_000).secrets["former"], SECRET);
    // Nothing was set before.
    definition["config"]["secret"] = json!({"set": true});
    let mistakes = Channel::with_secrets(&definition, None, TimeMs(0), [7; 32]).err().unwrap();
    assert_eq!(mistakes[0].path, "config.secret");
}

#[test]
fn what_was_kept_for_one_target_is_not_sent_to_another() {
    let definitions = all();
    let (webhook, mail) = (&definitions[0], &definitions[4]);
    let with = |of: &Value, changes: Value| {
        let mut definition = read(of, None, 0).channel.definition();
        for (name, value) in changes.as_object().unwrap() {
            definition["config"][name] = value.clone();
        }
        definition
    };
    let mistakes = |of: &Value, changes: Value| -> Vec<String> {
        let (first, changed) = (read(of, None, 0), with(of, changes));
        let kept = Kept { secrets: &first.secrets, of: &first.channel.definition() };
        let read = Channel::with_secrets(&changed, Some(kept), TimeMs(1), [7; 32]);
        let mut found: Vec<_> = read.err().unwrap_or_default();
        assert!(found.iter().all(|m| m.problem.contains("another target") && !m.cure.is_empty()), "{found:?}");
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.into_iter().map(|m| m.path).collect()
    };
    let nothing = Vec::<String>::new();
    let both = ["config.headers.x-key", "config.secret"];
    // The same server: another path, another recipient.
    assert_eq!(mistakes(webhook, json!({"url": "https://example.com:443/other?x=1"})), nothing);
    assert_eq!(mistakes(mail, json!({"host": "SMTP.example.com", "recipients": ["d@example.com"]})), nothing);
    for url in
        ["https://evil.example/in", "http://example.com/in", "https://example.com:8443/in", "https://a.example.com/in"]
    {
        assert_eq!(mistakes(webhook, json!({"url": url})), both, "{url}");
    }
    for change in [json!({"host": "evil.example"}), json!({"port": 2525})] {
        assert_eq!(mistakes(mail, change.clone()), ["config.password"], "{change}");
    }
    // Written anew, or left out so that one is made, nothing of the former is left: it does not go on signing either.
    let first = read(webhook, None, 0);
    let former = first.channel.definition();
    let kept = Kept { secrets: &first.secrets, of: &former };
    let moved = with(webhook, json!({"url": "https://new.example/", "secret": OTHER, "headers": {"x-key": "new"}}));
    let read_again = Channel::with_secrets(&moved, Some(kept), TimeMs(1), [7; 32]).ok().unwrap();
    assert_eq!(read_again.secrets, json!({"secret": OTHER, "headers": {"x-key": "new"}}));
    let moved = with(webhook, json!({"url": "https://new.example/", "secret": null, "headers": {}}));
    let read_again = Channel::with_secrets(&moved, Some(kept), TimeMs(1), [7; 32]).ok().unwrap();
    assert_eq!(read_again.made, Some(read_again.secrets.clone()));
    // Another type is another target.
    let chat = json!({"name": "chat", "type": "discord", "config": {"url": {"set": true}}});
    let first = read(&definitions[1], None, 0);
    let kept = Kept { secrets: &first.secrets, of: &definitions[1] };
    let refused = Channel::with_secrets(&chat, Some(kept), TimeMs(1), [7; 32]).err().unwrap();
    assert_eq!(refused[0].path, "config.url");
}

#[test]
fn what_is_wrong_is_told_where_it_is() {
    let cases = [
        (json!({"type": "webhook"}), vec!["name", "config"]),
        (json!({"name": "x", "type": "fax", "config": {}}), vec!["type"]),
        (json!({"name": "x", "type": "webhook", "config": {"url": "ftp://x.example/"}}), vec!["config.url"]),
        (json!({"name": "x", "type": "webhook", "config": {"url": "https://u:p@x.example/"}}), vec!["config.url"]),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": "https://x.example/#@127.0.0.1"}}),
            vec!["config.url"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": "https://x.example/", "secret": "whsec_AAAA"}}),
            vec!["config.secret"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": "https://x.example/", "secret": "whsk_AAAA"}}),
            vec!["config.secret"],
        ),
        (
            json!({"name": "x", "type": "webhook", "config": {"url": "https://x.example/",
                "headers": {"Host": "y", "webhook-id": "1", "a b": "c", "x-ok": "bad\r\nvalue", "X-Ok": "x"}}}),
            vec!["config.headers.Host", "config.headers.a b", "config.headers.webhook-id", "config.headers.x-ok"],
        ),
        (json!({"name": "x", "type": "slack", "config": {}}), vec!["config.url"]),
        (
            json!({"name": "x", "type": "slack", "config": {"token": "t", "url": "https://x.example/"}}),
            vec!["config.channel", "config.url"],
        ),
        (
            json!({"name": "x", "type": "discord", "config": {"url": "https://x.example/", "token": "t"}}),
            vec!["config.token"],
        ),
        (
            json!({"name": "x", "type": "email", "config": {"host": "h.example", "sender": "no", "recipients": ["a@b", "x <y@z>"], "tls": "none", "username": "u"}}),
            vec!["config.password", "config.recipients.1", "config.sender", "config.tls"],
        ),
        (
            json!({"name": "x", "type": "script", "config": {"path": "x/../../y", "timeout_ms": 999_999}}),
            vec!["config.path", "config.timeout_ms"],
        ),
        (
            json!({"name": "x", "type": "pagerduty", "config": {"routing_key": "a b"}, "min_severity": "worst", "per_hour": 0, "send_resolved": 1, "colour": "red"}),
            vec!["colour", "config.routing_key", "min_severity", "per_hour", "send_resolved"],
        ),
    ];
    for (definition, mut paths) in cases {
        paths.sort_unstable();
        let mistakes = Channel::parse(&definition).expect_err(&definition.to_string());
        let mut found: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
        found.sort_unstable();
        found.retain(|path| *path != "config.headers.X-Ok");
        assert_eq!(found, paths, "{definition}: {mistakes:?}");
        assert!(mistakes.iter().all(|mistake| !mistake.cure.is_empty() && !mistake.problem.contains("u:p")));
    }
}

#[test]
fn what_a_channel_reaches_is_told_with_its_place() {
    for definition in all() {
        let read = read(&definition, None, 0);
        let reach = read.channel.config.reach(&read.secrets);
        let fits = match read.channel.kind() {
            ChannelKind::Webhook | ChannelKind::Discord | ChannelKind::Alertmanager => {
                matches!(&reach, Reach::Url("config.url", _))
            }
            ChannelKind::Slack => matches!(&reach, Reach::Url("config.url", _) | Reach::Service),
            ChannelKind::Email => matches!(&reach, Reach::Host("config.host", host, _) if host == "smtp.example.com"),
            ChannelKind::Script => reach == Reach::Script("config.path", "/opt/x".to_owned()),
            ChannelKind::Telegram | ChannelKind::Pagerduty => reach == Reach::Service,
        };
        assert!(fits, "{definition}: {reach:?}");
    }
}
