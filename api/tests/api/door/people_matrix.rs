//! Every route and method, by people of every role: made from the table of permissions, and let in exactly where that says so.

use std::{fmt::Write as _, time::Duration};

use api::{
    Config,
    permissions::{Is, Needs, TABLE},
};
use control::{Id, Mode, Role};
use runtime::config::{Auth, AuthMode, Rate};

use super::{
    Accounts, Keyed,
    accounts::{HOME, SECOND},
    matrix::{NOTHING, ask, verdict},
};

/// Somebody who asks: each request by a session of its own, since some of them end it.
struct Caller {
    name: &'static str,
    user: Id,
    /// What becomes of the session before it is used.
    spoilt: Option<&'static str>,
    is: Is,
}

impl Accounts {
    /// An access token of a session that was just begun.
    async fn token(&self, user: &Id) -> String {
        let control = self.keyed.operator.control();
        let life = Duration::from_secs(600);
        let begun = control.begin_person_session(user, None, life).await.expect("a session");
        control.access_token(&begun.who, &begun.session, life).await.expect("a token").text.expose().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_let_in_exactly_where_the_table_says() {
    let rate_limit = Rate { requests: 1_000_000, per: Duration::from_secs(60) };
    let auth = Auth { mode: AuthMode::Accounts, ..Auth::default() };
    let keyed = Keyed::start_in(Mode::Accounts, &["ethereum"], |config| Config { auth, rate_limit, ..config }).await;
    keyed.second_tenant().await;
    let accounts = Accounts { keyed };
    let mut callers = Vec::new();
    for (number, role) in (1..).zip(Role::ALL) {
        let user = accounts.person(number, role, HOME).await.parse().expect("an id");
        let is = Is { role: Some(role), platform: false };
        callers.push(Caller { name: role.as_str(), user, spoilt: None, is });
    }
    let user: Id = accounts.person(10, Role::Viewer, SECOND).await.parse().expect("an id");
    accounts.keyed.sql(&format!("UPDATE users SET platform = 1 WHERE user_id = '{user}'")).await;
    let is = Is { role: Some(Role::Viewer), platform: true };
    callers.push(Caller { name: "a viewer who runs the platform", user, spoilt: None, is });
    for (number, (name, spoilt)) in (20..).zip([
        ("logged out", "UPDATE sessions SET revoked_at = 1 WHERE user_id = 'USER'"),
        ("over", "UPDATE sessions SET ends_at = 1 WHERE user_id = 'USER'"),
        ("another password", "UPDATE sessions SET generation = -1 WHERE user_id = 'USER'"),
        ("not signed by us", ""),
    ]) {
        let user = accounts.person(number, Role::Owner, HOME).await.parse().expect("an id");
        callers.push(Caller { name, user, spoilt: Some(spoilt), is: Is::default() });
    }
    let (mut asked, mut wrong) = (0, Vec::new());
    let mut report = "| route | needs | in | 401 | 403 |\n|---|---|---|---|---|\n".to_owned();
    for row in TABLE {
        let mut counts = [0, 0, 0];
        for caller in &callers {
            let mut token = accounts.token(&caller.user).await;
            match caller.spoilt {
                Some("") => token = token.chars().rev().collect::<String>(),
                Some(sql) => accounts.keyed.sql(&sql.replace("USER", caller.user.as_str())).await,
                None => {}
            }
            let answer = ask(&accounts.keyed, row, NOTHING, Some(&token)).await;
            let scopes = caller.is.role.map(Role::scopes).unwrap_or_default();
            let expected = match row.needs {
                Needs::Nothing => "in",
                _ if caller.spoilt.is_some() => "401",
                needs if needs.is_met(caller.is, |resource, action| scopes.allows(resource, action)) => "in",
                _ => "403",
            };
            let said = verdict(&answer);
            if said != expected {
                let (method, route, name) = (row.method, row.route, caller.name);
                wrong.push(format!("{method} {route} by {name}: {} ({said}, not {expected})", answer.status));
            }
            counts[["in", "401", "403"].iter().position(|v| *v == said).expect("one of them")] += 1;
            asked += 1;
        }
        let [let_in, unknown, refused] = counts;
        let needs = row.needs.word();
        let _ = writeln!(report, "| {} {} | {needs} | {let_in} | {unknown} | {refused} |", row.method, row.route);
    }
    let _ = writeln!(
        report,
        "\n{} rows × {} people = {asked} requests, {} against the table",
        TABLE.len(),
        callers.len(),
        wrong.len()
    );
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("permissions-people.md");
    std::fs::write(&file, &report).expect("the report");
    eprintln!("{report}(in {})", file.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    accounts.stop().await;
}
