//! Everything that we could think of to get more out of the analyst's user than reading, statement by statement.
//!
//! Each group says which codes may refuse it and why; a refusal by anything else (the engine's grants behind the judge, a
//! name that the engine does not know, a mistake of ours in the statement) fails the test, for it would be an accident.
//! Meanwhile the canaries of `watched.rs` are there; no answer, refusal or not, may hold one.

mod bytes;
mod faults;
mod files;
mod generator;
mod harmless;
mod hidden;
mod nesting;
mod parameters;
mod places;
mod process;
mod servers;
mod settings;
mod slow;
mod writes;

use crate::door::Answer;
use crate::watched::Watched;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// What the judge does not allow: `ACCESS_DENIED`.
pub const DENIED: &[u32] = &[497];
/// What changes something: `ACCESS_DENIED` or `READONLY`.
pub const CHANGES: &[u32] = &[497, 164];
/// What is no statement of the grammar: `SYNTAX_ERROR`, or denied as a kind that is not known.
pub const UNGRAMMATICAL: &[u32] = &[62, 497];
/// What the judge does not know: `UNKNOWN_FUNCTION`, or denied.
pub const UNKNOWN: &[u32] = &[46, 497];
/// A setting that is not the analyst's: `READONLY`, `SETTING_CONSTRAINT_VIOLATION`, `ACCESS_DENIED`.
pub const SETTING: &[u32] = &[164, 452, 497];
/// In a list of codes: it may also pass, for it tells and changes nothing.
pub const PASSES: u32 = 0;

/// The engine's own words for what the judge should have refused before it.
const ENGINES: &[(u32, &str)] = &[(497, "necessary to have"), (164, "in readonly mode"), (46, "In scope")];

/// Statements that are refused for one reason.
pub struct Group {
    pub why: &'static str,
    pub codes: &'static [u32],
    pub statements: &'static [&'static str],
}

/// What became of the attempts of one theme.
#[derive(Default)]
pub struct Report {
    codes: BTreeMap<String, BTreeMap<u32, usize>>,
    wrong: Vec<String>,
}

impl Report {
    /// Counts an answer and notes what is wrong with it.
    pub fn judge(&mut self, watched: &Watched, theme: &str, codes: &[u32], statement: &[u8], answer: &Answer) {
        let code = answer.code();
        *self.codes.entry(theme.to_owned()).or_default().entry(code).or_default() += 1;
        let text = answer.text();
        let mut wrong = |what: String| {
            let statement: String = String::from_utf8_lossy(statement).chars().take(300).collect();
            self.wrong.push(format!(
                "[{theme}] {what}: {statement:?} was answered {} {}",
                answer.status,
                answer.brief()
            ));
        };
        if let Some(canary) = watched.leak(statement, answer) {
            wrong(format!("LEAK of {canary}"));
        }
        if !codes.contains(&code) {
            wrong(format!("code {code} and not one of {codes:?}"));
        } else if ENGINES.iter().any(|(engines, words)| code == *engines && text.contains(words)) {
            // The second wall is there for what the judge lets through by mistake.
            wrong(format!("code {code}, but the engine's and not the judge's"));
        }
    }

    pub fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Prints the counts; fails with everything that was wrong.
    pub fn end(self, watched: &Watched, pid: i32) {
        let mut text = String::new();
        for (theme, codes) in &self.codes {
            let counts: Vec<String> = codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
            let _ = writeln!(text, "{theme}: {} statements, {}", codes.values().sum::<usize>(), counts.join(", "));
        }
        eprint!("{text}");
        let mut wrong = self.wrong;
        wrong.extend(watched.appeared().into_iter().map(|name| format!("{name} has appeared")));
        if watched.store.holder() != Some(pid) {
            wrong.push("the store's process is another one".to_owned());
        }
        let rows = watched.stages.say("SELECT count(), sum(a) FROM t").text();
        if rows != "1000\t499500\n" {
            wrong.push(format!("the rows are not what they were: {rows}"));
        }
        assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// Asks as the analyst, with the places of this store put in.
pub fn attempt(watched: &Watched, report: &mut Report, theme: &str, codes: &[u32], target: &str, sql: &str) {
    let sql = watched.fill(sql);
    match watched.analyst.ask(target, sql.as_bytes(), Duration::from_secs(100)) {
        Ok(answer) => {
            let shown = if target == "/" { sql } else { format!("{target} {sql}") };
            report.judge(watched, theme, codes, shown.as_bytes(), &answer);
        }
        Err(silence) => report.wrong(format!("[{theme}] {silence:?} instead of an answer to {target} {sql:.300}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_on_the_list_is_refused_by_what_should_refuse_it() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    for (theme, groups) in [
        ("files", files::GROUPS),
        ("servers", servers::GROUPS),
        ("process", process::GROUPS),
        ("writes", writes::GROUPS),
        ("settings", settings::GROUPS),
        ("hidden", hidden::GROUPS),
    ] {
        for group in groups {
            for sql in group.statements {
                attempt(&watched, &mut report, &format!("{theme}: {}", group.why), group.codes, "/", sql);
            }
        }
    }
    report.end(&watched, pid);
    watched.stop().await;
}
