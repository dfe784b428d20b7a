//! The analysts' SQL by everybody: the store's door knows one analyst and no role, and the API's door knows no analyst.

use api::{
    Config,
    permissions::{Needs, TABLE},
};
use control::{Allowed, Mode, Resource};
use runtime::config::{Auth, AuthMode, Rate};

use super::{
    super::Keyed,
    NOTHING, ask,
    callers::{Proof, everybody},
    path, verdict,
};
use crate::{engine, http};

/// What the store says to a statement of this user.
async fn sql(user: &str, password: &str, statement: &str) -> http::Answer {
    let headers = [("X-ClickHouse-User", user), ("X-ClickHouse-Key", password)];
    http::exchange(engine::at(), "POST", "/", &headers, statement.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_is_one_at_the_store_and_nobody_at_the_api_whatever_his_role() {
    let rate_limit = Rate { requests: 1_000_000, per: std::time::Duration::from_secs(60) };
    let auth = Auth { mode: AuthMode::Accounts, ..Auth::default() };
    let set = |config| Config { auth, rate_limit, ..config };
    let keyed = Keyed::start_in(Mode::Accounts, &["ethereum"], set).await;
    keyed.second_tenant().await;
    let password = engine::analyst();
    // What says how to come in says the same to everybody whom it answers, and no password.
    let mut told = Vec::new();
    for somebody in everybody(&keyed, Mode::Accounts).await {
        let headers = somebody.proof.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = keyed.api.get_with("/api/v1/sql", &headers).await;
        let chains = somebody.may.is_some_and(|may| may.scopes.allows(Resource::Chains, Allowed::Read));
        assert_eq!(answer.status == 200, chains, "{}: {}", somebody.name, answer.status);
        if chains {
            told.push((somebody.name.clone(), answer.json()));
        }
        // What opens the API opens no SQL, as whoever it is tried.
        if let Proof::Bearer(text) | Proof::Cookie { value: text, .. } = &somebody.proof {
            // A refusal takes its time: as the other users those are tried who may most.
            let all = ["analyst", "api", "headwater", "default"];
            for user in if somebody.group == "platform" { &all[..] } else { &all[..1] } {
                let refused = sql(user, text, "SELECT 1").await;
                assert!([401, 403].contains(&refused.status), "{} as {user}: {}", somebody.name, refused.text());
            }
        }
    }
    assert!(told.len() >= 12, "{}", told.len());
    for (name, json) in &told {
        assert_eq!((&json["views"], &json["user"]), (&told[0].1["views"], &told[0].1["user"]), "{name}");
        let text = json.to_string();
        assert!(!text.contains(&password) && !text.contains("_tenants"), "{name}: {text}");
    }
    // And the password that opens SQL opens no route.
    for row in TABLE.iter().filter(|row| row.needs != Needs::Nothing) {
        let target = path(row.route, NOTHING, NOTHING);
        let bearer = Proof::Bearer(password.clone());
        let cookie = Proof::Cookie { value: password.clone(), csrf: String::new() };
        for proof in [bearer, cookie] {
            let answer = ask(&keyed, row, &target, &proof, "{}").await;
            assert_eq!(verdict(&answer), "401", "{} {}", row.method, row.route);
        }
    }
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_reads_nothing_that_belongs_to_tenants() {
    let keyed = Keyed::start(&["ethereum"]).await;
    let (password, database) = (engine::analyst(), keyed.world.store.config().database.clone());
    let reads = sql("analyst", &password, "SELECT 1").await;
    if reads.status == 403 && reads.text().contains("analyst_without_landlock") {
        assert!(std::env::var_os("CI").is_none(), "this kernel has no Landlock");
        eprintln!("SKIPPED: this kernel has no Landlock, and so there is no analyst");
        keyed.api.stop().await;
        return;
    }
    assert_eq!((reads.status, reads.text().as_str()), (200, "1\n"));
    for table in ["alert_rows", "alert_event_rows", "alert_delivery_rows", "alert_match_rows", "alert_left_out_rows"] {
        // It is there for the stages, so that it is the right that is missing.
        let there = engine::as_stages(&format!("SELECT count() FROM {database}_tenants.{table}")).await;
        assert_eq!(there.status, 200, "{}", there.text());
        for statement in [
            format!("SELECT count() FROM {database}_tenants.{table}"),
            format!("DESCRIBE TABLE {database}_tenants.{table}"),
            format!("SELECT (SELECT count() FROM {database}_tenants.{table})"),
        ] {
            let refused = sql("analyst", &password, &statement).await;
            assert!(refused.status >= 400, "{statement}: {}", refused.text());
        }
    }
    // What the control store has is in no table here at all.
    for table in ["api_keys", "users", "sessions", "tenants", "audit_logs"] {
        assert!(sql("analyst", &password, &format!("SELECT * FROM {table}")).await.status >= 400, "{table}");
    }
    keyed.api.stop().await;
}
