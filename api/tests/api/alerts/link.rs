//! The link of a message: it asks before it acts, is good once, and shows its own alert.

use schemas::records::AlertEventKind;

use super::{MINE, Stage, event, fired, id, network, start, until};
use crate::{
    door::Keyed,
    http::{Answer, exchange},
};

async fn follow(keyed: &Keyed, method: &str, path: &str, more: &[(&str, &str)]) -> Answer {
    exchange(keyed.api.at, method, path, more, b"").await
}

/// As a browser sends the page's form.
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_asks_before_it_acts_and_is_good_once() {
    let keyed = start().await;
    let (here, stage) = (network("ethereum"), Stage::of(&keyed.world));
    let (mine, over) = (id(9), id(8));
    keyed.world.tell(&here, &fired(MINE, &mine)).await;
    keyed.world.tell(&here, &fired(MINE, &over)).await;
    let key = keyed.key(&["*:*"]).await;
    let key = key.text.expose();
    let link = async |id: &str| {
        let alert = until(&keyed, key, &format!("/api/v1/alerts/{id}"), "an alert", |_| true).await;
        let link = alert["links"]["acknowledge"].as_str().expect("a link").to_owned();
        link[link.find("/ack/").expect("its path")..].to_owned()
    };
    let (path, of_over) = (link(&mine).await, link(&over).await);

    // Scanners of mail follow it, some by HEAD; nothing happens.
    for _ in 0..3 {
        let asked = follow(&keyed, "GET", &path, &[]).await;
        assert_eq!((asked.status, asked.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let page = asked.text();
        assert!(page.contains("<form method=\"post\">") && page.contains("Fails &lt;b&gt;often&lt;/b&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        let policy = asked.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(
            (asked.header("cache-control"), asked.header("referrer-policy")),
            (Some("no-store"), Some("same-origin"))
        );
        assert_eq!(follow(&keyed, "HEAD", &path, &[]).await.status, 200);
    }
    // Nor does a page of another site, or one that hides where it is from.
    for origin in ["https://evil.example", "null"] {
        assert_eq!(follow(&keyed, "POST", &path, &[FORM, ("Origin", origin)]).await.status, 403, "{origin}");
    }
    assert!(stage.commands().await.is_empty());

    let own = format!("http://{}", keyed.api.at);
    let form = [FORM, ("Origin", own.as_str())];
    let (done, ()) = tokio::join!(follow(&keyed, "POST", &path, &form), stage.acknowledges(&keyed.world, 0, 2));
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(done.text().contains("Acknowledged"), "{}", done.text());
    assert_eq!(stage.command(0).await.by, "a message's link");
    for method in ["GET", "POST"] {
        let again = follow(&keyed, method, &path, &[FORM]).await;
        assert_eq!(again.status, 410, "{method}: {}", again.text());
    }
    assert_eq!(stage.commands().await.len(), 1, "once");
    let audit = keyed.ask("GET", "/api/v1/audit?action=alert.acknowledge", key).await.json();
    assert_eq!(
        (audit["items"].as_array().map(Vec::len), audit["items"][0]["actor"]["kind"].as_str()),
        (Some(1), Some("link"))
    );

    // Altered anywhere, cut off, or none at all.
    let token = path.trim_start_matches("/ack/").to_owned();
    let mut wrong = vec![token[..token.len() - 1].to_owned(), format!("{token}A"), "x".to_owned(), "a".repeat(4_000)];
    for at in (0..token.len()).step_by(7) {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        wrong.push(format!("{}{other}{}", &token[..at], &token[at + 1..]));
    }
    for token in &wrong {
        for method in ["GET", "POST"] {
            let refused = follow(&keyed, method, &format!("/ack/{token}"), &[FORM]).await;
            assert_eq!(refused.status, 404, "{method} {token}: {}", refused.text());
        }
    }
    // Of an alert that is over since.
    keyed.world.tell(&here, &event(MINE, &over, 2, AlertEventKind::Resolved, "resolved")).await;
    until(&keyed, key, &format!("/api/v1/alerts/{over}"), "the end", |alert| alert["state"] == "resolved").await;
    for method in ["GET", "POST"] {
        assert_eq!(follow(&keyed, method, &of_over, &[FORM]).await.status, 410, "{method}");
    }
    assert_eq!(stage.commands().await.len(), 1);
    keyed.api.stop().await;
}
