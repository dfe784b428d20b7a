//! Every route and method by everybody, in both modes in which somebody is somebody.

use std::{fmt::Write as _, time::Duration};

use api::{
    Config,
    permissions::{Needs, Row, TABLE},
};
use control::Mode;
use runtime::config::{Auth, AuthMode, Rate};

use super::{
    super::Keyed,
    NOTHING, ask,
    callers::{GROUPS, Somebody, everybody},
    path, promise, verdict,
};

/// The rows, those last that end the session which they are asked with.
fn rows() -> Vec<&'static Row> {
    let ends = |row: &Row| row.route.ends_with("/auth/logout");
    TABLE.iter().filter(|row| !ends(row)).chain(TABLE.iter().filter(|row| ends(row))).collect()
}

/// What the table says of somebody.
fn expected(row: &Row, somebody: &Somebody) -> &'static str {
    match (row.needs, &somebody.may) {
        (Needs::Nothing, _) => "in",
        (_, None) => "401",
        (needs, Some(may)) if needs.is_met(may.is, |resource, action| may.scopes.allows(resource, action)) => "in",
        _ => "403",
    }
}

/// What stood against the table, and how much was asked.
struct Asked {
    report: String,
    wrong: Vec<String>,
}

async fn all(mode: Mode) -> Asked {
    // So many that none is refused for being one too many.
    let rate_limit = Rate { requests: 1_000_000, per: Duration::from_secs(60) };
    let (word, auth_mode) = match mode {
        Mode::Accounts => ("accounts", AuthMode::Accounts),
        _ => ("keys", AuthMode::Keys),
    };
    let auth = Auth { mode: auth_mode, ..Auth::default() };
    let keyed = Keyed::start_in(mode, &["ethereum"], |config| Config { auth, rate_limit, ..config }).await;
    keyed.second_tenant().await;
    let callers = everybody(&keyed, mode).await;

    let (mut asked, mut let_in, mut wrong) = (0, 0, Vec::new());
    let mut report = format!("## `[auth] mode = \"{word}\"`\n\n| route | needs |");
    for group in GROUPS {
        let of = callers.iter().filter(|c| c.group == group).count();
        let _ = write!(report, " {group} ({of}) |");
    }
    let _ = writeln!(report, "\n|{}", "---|".repeat(GROUPS.len() + 2));
    for row in rows() {
        let mut counts = GROUPS.map(|_| (0, 0));
        for somebody in &callers {
            let answer = ask(&keyed, row, &path(row.route, NOTHING, NOTHING), &somebody.proof, "{}").await;
            let (said, expected) = (verdict(&answer), expected(row, somebody));
            let (method, route, name) = (row.method, row.route, &somebody.name);
            if said != expected {
                wrong.push(format!("{word}: {method} {route} by {name}: {} ({said}, not {expected})", answer.status));
            }
            if answer.status >= 500 && answer.status != 503 {
                wrong.push(format!("{word}: {method} {route} by {name}: {}: {}", answer.status, answer.text()));
            }
            let role = somebody.may.and_then(|may| Some((may.is.role?, may.is.platform)));
            if let Some((role, platform)) = role
                && promise::lets_in(role, platform, row) != (said == "in")
            {
                wrong.push(format!("{word}: {method} {route} by {name}: {said}, which is not what is promised"));
            }
            let group = GROUPS.iter().position(|group| *group == somebody.group).expect("a group");
            counts[group].0 += u32::from(said == "in");
            counts[group].1 += 1;
            let_in += usize::from(said == "in");
            asked += 1;
        }
        let _ = write!(report, "| {} {} | {} |", row.method, row.route, row.needs.word());
        for (let_in, of) in counts {
            let _ = match (let_in, of) {
                (_, 0) => write!(report, " |"),
                (0, _) => write!(report, " – |"),
                (all, of) if all == of => write!(report, " in |"),
                (some, of) => write!(report, " {some} of {of} |"),
            };
        }
        report.push('\n');
    }
    let (routes, people) = (TABLE.len(), callers.len());
    let _ = writeln!(
        report,
        "\n{routes} rows × {people} callers = {asked} requests, {let_in} let in, {} against the table",
        wrong.len()
    );
    let names: Vec<&str> = callers.iter().map(|c| c.name.as_str()).collect();
    let _ = writeln!(report, "\nCallers: {}.\n", names.join("; "));
    keyed.api.stop().await;
    Asked { report, wrong }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_let_in_exactly_where_the_table_says() {
    let keys = all(Mode::Keys).await;
    let accounts = all(Mode::Accounts).await;
    let report = format!("# Who is let in where\n\n{}{}", keys.report, accounts.report);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("permissions.md");
    std::fs::write(&file, &report).expect("the report");
    eprintln!("{report}(in {})", file.display());
    let wrong: Vec<String> = keys.wrong.into_iter().chain(accounts.wrong).collect();
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the promise says does not follow from the table, and what it says is not nothing.
#[test]
fn the_promise_tells_roles_apart() {
    use control::Role::{Admin, Editor, Owner, Viewer};
    let number = |role, platform| TABLE.iter().filter(|row| promise::lets_in(role, platform, row)).count();
    let all = [number(Viewer, false), number(Editor, false), number(Admin, false), number(Owner, false)];
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
    assert!(number(Owner, false) < number(Owner, true), "{all:?}");
}
