//! SQL clients that no one here wrote, each in the version that people install today, read the store unchanged as the analyst:
//! what Grafana, DBeaver, DataGrip, Metabase, Superset, dbt and data frames are made of. Each program (`go/`, `java/`, `python/`,
//! `dbt/`, `node/`, and curl) checks values against what the stages' user reads of the same rows (`facts.rs`).
//! `scripts/fetch-clients` prepares them; a language that is not installed is passed over by name.

mod curl;
mod facts;

use crate::common::{Headwater, Net, number};
use facts::Facts;
use loadtest::node::evm::{Clock, Config, Dataset, spawn};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// A contract of the recorded blocks.
const TETHER: &str = "0xdac17f958d2ee523a2206206994597c13d831ec7";
/// How long one program may take, and what it reads may take to be there.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program, the folder of what is prepared for it, and how many checks it has at least: one that stops early has failed.
struct Program {
    name: &'static str,
    prepared: &'static str,
    checks: usize,
}

const PROGRAMS: &[Program] = &[
    Program { name: "go/client", prepared: "go", checks: 71 },
    Program { name: "java/JdbcClient.java", prepared: "java", checks: 59 },
    Program { name: "python/connect.py", prepared: "python", checks: 22 },
    Program { name: "python/alchemy.py", prepared: "python", checks: 34 },
    Program { name: "python/frames.py", prepared: "python", checks: 9 },
    Program { name: "node/client.mjs", prepared: "node", checks: 28 },
];

/// Folders of the prepared clients and of their sources, and what they are told.
struct Clients {
    prepared: PathBuf,
    sources: PathBuf,
    facts_file: PathBuf,
    facts: Facts,
}

impl Clients {
    /// Whether a language is there; said loudly when it is not.
    #[allow(clippy::print_stderr)]
    fn has(&self, language: &str) -> bool {
        let there = self.prepared.join(language).join(".complete").exists();
        if !there {
            assert!(std::env::var_os("CI").is_none(), "the client in {language} is not prepared");
            eprintln!("SKIPPED the client in {language}: it is not prepared; see scripts/fetch-clients");
        }
        there
    }

    /// Runs one program; what it found wrong.
    async fn run(&self, program: &Program) -> Result<(), String> {
        if !self.has(program.prepared) {
            return Ok(());
        }
        let at = self.prepared.join(program.prepared);
        let mut command = match program.prepared {
            "go" => Command::new(at.join("client")),
            "java" => {
                let mut java = Command::new("java");
                java.args(["-Xmx256m", "-cp"]);
                java.arg(format!("{0}/*:{0}", at.display())).arg("JdbcClient");
                java
            }
            "node" => {
                let mut node = Command::new("node");
                node.arg(at.join("client.mjs"));
                node
            }
            _ => {
                let mut python = Command::new(at.join("bin/python"));
                python.arg("-B").arg(self.sources.join(program.name));
                python
            }
        };
        let (success, said) = end_of(command.arg(&self.facts_file)).await?;
        let passed: Option<usize> =
            said.lines().rev().find_map(|line| line.strip_suffix(" passed, 0 failed")?.parse().ok());
        match passed {
            Some(passed) if success && passed >= program.checks => Ok(()),
            _ => {
                let wrong: Vec<_> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
                Err(format!("{}, {} checks at least:\n{}", program.name, program.checks, wrong.join("\n")))
            }
        }
    }

    /// `dbt debug`, and a query of its own, with a profile that only reads.
    async fn dbt(&self, scratch: &Path) -> Result<(), String> {
        if !self.has("dbt") {
            return Ok(());
        }
        let project = self.sources.join("dbt");
        for (what, wanted) in [
            (vec!["debug"], "All checks passed!".to_owned()),
            (
                vec!["show", "--inline", "SELECT count() AS transactions FROM headwater.transactions"],
                self.facts.get("transactions").to_owned(),
            ),
        ] {
            let mut dbt = Command::new(self.prepared.join("dbt/bin/dbt"));
            dbt.args(&what).arg("--project-dir").arg(&project).arg("--profiles-dir").arg(&project);
            dbt.env("DBT_TARGET_PATH", scratch).env("DBT_LOG_PATH", scratch);
            dbt.env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false").env("DBT_USE_COLORS", "false").current_dir(scratch);
            dbt.env("CLICKHOUSE_HOST", self.facts.get("host")).env("CLICKHOUSE_PORT", self.facts.get("port"));
            dbt.env("CLICKHOUSE_PASSWORD", self.facts.get("analyst_password"));
            let (success, said) = end_of(&mut dbt).await?;
            if !success || !said.contains(&wanted) {
                return Err(format!("dbt {}:\n{said}", what[0]));
            }
        }
        Ok(())
    }
}

/// Runs a program to its end: whether it succeeded, and all that it said.
async fn end_of(command: &mut Command) -> Result<(bool, String), String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    let output = output.map_err(|_| format!("{command:?} does not end"))?.map_err(|e| format!("{command:?}: {e}"))?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((output.status.success(), said.join("\n")))
}

/// No view is empty then. A minute of an endpoint is written when it is over.
async fn until_endpoints_are_told_of(headwater: &Headwater) {
    let sql = "SELECT least((SELECT count() FROM endpoints), (SELECT count() FROM provider_samples), \
               (SELECT count() FROM provider_minutes)) AS n";
    let end = Instant::now() + PATIENCE;
    loop {
        let rows = headwater.query(sql).await;
        if rows.as_ref().is_ok_and(|r| number(&r[0], "n") > 0) {
            return;
        }
        assert!(Instant::now() < end, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_no_one_here_wrote_read_what_is_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = std::process::Command::new(root.join("scripts/fetch-clients")).output().expect("fetch-clients");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let data = Dataset::from_dir(crate::common::recorded().join("ethereum")).expect("recorded blocks");
    let node = spawn(Config { clock: Clock::Manual, history: 20, ..Config::new(data) }).await.expect("simulator");
    let mut headwater = Headwater::new(&[Net::of("eth", &node)]);
    let text = std::fs::read_to_string(&headwater.config).expect("read");
    let watched = format!("{text}\n[[contract]]\nnetwork = \"eth\"\naddress = \"{TETHER}\"\n");
    std::fs::write(&headwater.config, watched).expect("write");
    headwater.start();
    let head = || node.canonical(node.head()..=node.head()).remove(0).hash.to_string();
    headwater.until_visible("eth", &head()).await;
    node.fork_and_advance(2, 1).expect("fork");
    headwater.until_visible("eth", &head()).await;
    until_endpoints_are_told_of(&headwater).await;
    // Most blocks have something of the watched contract.
    let told = "SELECT count() AS n FROM contract_blocks";
    for _ in 0..60 {
        if number(&headwater.query(told).await.expect("the view")[0], "n") > 0 {
            break;
        }
        node.advance(1).expect("advance");
        headwater.until_visible("eth", &head()).await;
    }

    let facts = Facts::read(&headwater).await;
    let facts_file = headwater.dir.path().join("facts");
    std::fs::write(&facts_file, facts.to_string()).expect("write");
    let clients = Clients {
        prepared: String::from_utf8_lossy(&output.stdout).trim().into(),
        sources: root.join("headwater/tests/system/clients"),
        facts_file,
        facts,
    };
    let scratch = headwater.dir.path().join("dbt");
    std::fs::create_dir(&scratch).expect("a folder");

    let mut wrong = Vec::new();
    for program in PROGRAMS {
        wrong.extend(clients.run(program).await.err());
    }
    wrong.extend(clients.dbt(&scratch).await.err());
    wrong.extend(curl::formats(&clients.facts, headwater.dir.path()).await.err());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(headwater.stop(), Some(0));
}
