//! Consumers whose clients no one here wrote (docs/examples: Python, Java, Go) read the topics of a chain with forks over a real
//! Kafka and a real registry, and agree with SQL row by row. `scripts/fetch-consumers` prepares them; a language that is not
//! installed is passed over by name.

use std::{collections::BTreeSet, path::PathBuf, process::Stdio, time::Duration};

use crate::common::{Headwater, Net};
use loadtest::node::evm::{Clock, Config, Dataset, spawn};
use tokio::process::Command;

/// How long a consumer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is prepared, beside the examples themselves.
struct Consumers {
    prepared: PathBuf,
    examples: PathBuf,
    broker: String,
    registry: String,
    prefix: String,
}

impl Consumers {
    /// What a consumer printed, a set of lines; `None`, said loudly, when its language is not there.
    #[allow(clippy::print_stderr)]
    async fn run(&self, what: &str, topic: &str) -> Option<BTreeSet<String>> {
        let language = what.split(' ').next().unwrap_or(what);
        if !self.prepared.join(language).join(".complete").exists() {
            assert!(std::env::var_os("CI").is_none(), "the consumer in {language} is not prepared");
            eprintln!("SKIPPED the consumer in {language}: it is not prepared; see scripts/fetch-consumers");
            return None;
        }
        let at = |path: &str| self.prepared.join(path);
        let mut command = match what {
            "java" => {
                let mut java = Command::new("java");
                java.args(["-Xmx256m", "-cp"]).arg(format!("{0}/*:{0}", at("java").display())).arg("Canonical");
                java
            }
            "go" => Command::new(at("go/canonical")),
            _ => {
                let mut python = Command::new(at("python/bin/python"));
                python.arg(self.examples.join("canonical.py"));
                python
            }
        };
        let output = command
            .args([&self.broker, &self.registry, &format!("{}{topic}", self.prefix)])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {}: {said}", output.status);
        Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

async fn rows(headwater: &Headwater, columns: &[&str], view: &str, separator: &str) -> BTreeSet<String> {
    let line = columns.iter().map(|c| format!("toString({c})")).collect::<Vec<_>>().join(&format!(", '{separator}', "));
    let found = headwater.query(&format!("SELECT concat({line}) AS line FROM {view}")).await.expect("rows");
    found.iter().map(|row| crate::common::text(row, "line").to_owned()).collect()
}

fn same(what: &str, consumer: Option<BTreeSet<String>>, sql: &BTreeSet<String>) {
    let Some(lines) = consumer else { return };
    let (more, fewer): (Vec<_>, Vec<_>) =
        (lines.difference(sql).take(3).collect(), sql.difference(&lines).take(3).collect());
    assert_eq!(
        lines,
        *sql,
        "{what}: {} lines, SQL has {}; only there {more:?}; only in SQL {fewer:?}",
        lines.len(),
        sql.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn consumers_that_no_one_here_wrote_agree_with_sql() {
    let var = |name| std::env::var(name).ok();
    let Some((broker, registry)) = var("HEADWATER_TEST_KAFKA").zip(var("HEADWATER_TEST_REGISTRY")) else {
        assert!(var("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
        eprintln!("SKIPPED: no Kafka; run it with `scripts/services run cargo test …`");
        return;
    };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = std::process::Command::new(root.join("scripts/fetch-consumers")).output().expect("fetch-consumers");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
    let consumers = Consumers {
        prepared: String::from_utf8_lossy(&output.stdout).trim().into(),
        examples: root.join("docs/examples"),
        broker,
        registry,
        prefix: format!("others-{now:x}."),
    };

    let data = Dataset::from_dir(crate::common::recorded().join("optimism")).expect("recorded blocks");
    let node = spawn(Config { clock: Clock::Manual, history: 40, ..Config::new(data) }).await.expect("simulator");
    let mut headwater = Headwater::new(&[Net::of("op", &node)]);
    let text = std::fs::read_to_string(&headwater.config).expect("read").replace(
        "[log]\nmin_free_bytes = 1048576\n",
        &format!(
            "[log]\nkafka = \"{}\"\nschema_registry = \"{}\"\nprefix = \"{}\"\n",
            consumers.broker, consumers.registry, consumers.prefix
        ),
    );
    std::fs::write(&headwater.config, text).expect("write");
    headwater.start();
    for depth in [1, 5, 3] {
        headwater.until_visible("op", &node.canonical(node.head()..=node.head()).remove(0).hash.to_string()).await;
        node.fork_and_advance(depth, 2).expect("fork");
    }
    node.advance(1).expect("advance");
    headwater.until_visible("op", &node.canonical(node.head()..=node.head()).remove(0).hash.to_string()).await;

    let (python, java, go) = tokio::join!(
        consumers.run("python", "enriched.blocks"),
        consumers.run("java", "enriched.transactions"),
        consumers.run("go", "enriched.transactions"),
    );
    let reverts = headwater.query("SELECT count() AS n FROM block_events WHERE op = 'revert'").await.expect("rows");
    assert!(crate::common::number(&reverts[0], "n") >= 9, "{reverts:?}");
    let blocks = rows(&headwater, &["network", "number", "hash", "transaction_count"], "blocks", " ").await;
    assert!(blocks.len() > 40, "{}", blocks.len());
    same("python", python, &blocks);
    let columns = ["network", "block_number", "transaction_index", "hash", "status", "value"];
    let transactions = rows(&headwater, &columns, "transactions", "\\t").await;
    assert!(transactions.len() > 40, "{}", transactions.len());
    same("java", java, &transactions);
    same("go", go, &transactions);
    assert_eq!(headwater.stop(), Some(0));
}
