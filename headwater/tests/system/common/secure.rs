//! A broker that wants TLS and a login, with its authorizer on, and stages and commands that run under users of their own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::{
    cluster::Processes,
    node::evm::{Clock, Config, Dataset, Simulator, spawn},
};
use runtime::log::kafka::{KafkaConfig, KafkaLog};

use super::{
    Headwater, Net,
    acls::{self, Acl},
    binary, number,
};

/// Every user and the mechanism by which the broker knows it.
pub const MECHANISMS: [(&str, &str); 13] = [
    ("ingest", "SCRAM-SHA-512"),
    ("enrich", "SCRAM-SHA-256"),
    ("causes", "SCRAM-SHA-256"),
    ("aggregate", "SCRAM-SHA-512"),
    ("alerts", "SCRAM-SHA-512"),
    ("sink", "PLAIN"),
    ("api", "SCRAM-SHA-512"),
    ("topics-apply", "SCRAM-SHA-512"),
    ("topics-diff", "SCRAM-SHA-512"),
    ("tail", "SCRAM-SHA-256"),
    ("dead-letters", "PLAIN"),
    ("requests", "SCRAM-SHA-512"),
    ("lag", "SCRAM-SHA-512"),
];
pub const STAGES: [&str; 7] = ["ingest", "enrich", "causes", "aggregate", "alerts", "sink", "api"];
pub const PASSWORD: &str = "HEADWATER_KAFKA_PASSWORD";

/// A secure broker of our own.
pub struct Broker {
    pub dir: PathBuf,
    pub env: BTreeMap<String, String>,
}

fn services(args: &[&str]) -> std::process::ExitStatus {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    Command::new(script).args(args).status().expect("scripts/services")
}

impl Broker {
    /// `None`, said loudly, where there are no servers for tests. CI always has them.
    #[allow(clippy::print_stderr)]
    pub fn start(test: &str) -> Option<Self> {
        let Some(services_dir) = std::env::var_os("HEADWATER_TEST_KAFKA").and(std::env::var_os("HEADWATER_SERVICES"))
        else {
            assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
            eprintln!("SKIPPED {test}: no Kafka; run it with `scripts/services run cargo test …`");
            return None;
        };
        // In the folder of the servers, so that it ends with them whatever happens to this process.
        let dir = PathBuf::from(services_dir).join(format!("secure-{}-{test}", std::process::id()));
        let mut broker = Self { dir, env: BTreeMap::new() };
        assert!(services(&["secure", &broker.dir.to_string_lossy()]).success(), "scripts/services secure");
        let env = std::fs::read_to_string(broker.dir.join("env")).expect("env");
        let pairs = env.lines().filter_map(|l| l.strip_prefix("export HEADWATER_SECURE_")?.split_once('='));
        broker.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(broker)
    }

    pub fn admin(&self) -> &str {
        &self.env["ADMIN"]
    }

    /// Lines that the authorizer wrote about our users, `Principal = User:NAME is Allowed operation = OP … on resource = KIND:…`.
    pub fn audit(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join("audit.log")).expect("the audit log");
        text.lines().filter(|l| !l.contains("User:ANONYMOUS")).map(str::to_owned).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        services(&["down", &self.dir.to_string_lossy()]);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A store, and stages and commands under users of their own.
pub struct Cluster {
    pub headwater: Headwater,
    pub broker: Broker,
    pub prefix: String,
    processes: Processes,
    pub lag: String,
}

impl Cluster {
    pub async fn new(broker: Broker, nets: &[Net]) -> Self {
        let headwater = Headwater::new(nets);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
        let lag = format!("127.0.0.1:{}", loadtest::cluster::free_port().expect("a port"));
        let processes = Processes::new(headwater.dir.path());
        let mut cluster = Self { headwater, broker, prefix: format!("secure-{now:x}."), processes, lag };
        let mut store = cluster.command(&["store"]);
        store.arg("--config").arg(&cluster.headwater.config);
        cluster.spawn("store", store);
        let password = cluster.headwater.stages_password(|| cluster.said("store")).await;
        let text = std::fs::read_to_string(&cluster.headwater.config).expect("read");
        let listen = cluster.headwater.sql.trim_start_matches("http://").to_owned();
        for (user, mechanism) in MECHANISMS {
            let properties = format!(
                "\"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = \"{}\"\n\"sasl.mechanism\" = \"{mechanism}\"\n\
                 \"sasl.username\" = \"{user}\"\n\"sasl.password\" = \"${{{PASSWORD}}}\"\n",
                cluster.broker.env["CA"]
            );
            let text = text
                .replace("family = \"evm\"\n", "family = \"evm\"\nevents = true\n")
                .replace(
                    &format!("[store]\nlisten = \"{listen}\"\n"),
                    &format!("[store]\nurl = \"http://{listen}\"\npassword = \"{password}\"\n"),
                )
                .replace(
                    "[log]\nmin_free_bytes = 1048576\n",
                    &format!(
                        "[log]\nkafka = \"{}\"\nprefix = \"{}\"\nreplication = 1\npartitions = 1\ntopics = \"check\"\n[log.properties]\n{properties}",
                        cluster.broker.env["KAFKA"], cluster.prefix
                    ),
                );
            std::fs::write(cluster.config(user), text).expect("write");
        }
        cluster
    }

    pub fn config(&self, user: &str) -> PathBuf {
        self.headwater.dir.path().join(format!("{user}.toml"))
    }

    /// A copy of a user's configuration with one thing changed.
    pub fn changed(&self, user: &str, name: &str, from: &str, to: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.config(user)).expect("read");
        assert!(text.contains(from), "{text}");
        let file = self.headwater.dir.path().join(format!("{user}-{name}.toml"));
        std::fs::write(&file, text.replace(from, to)).expect("write");
        file
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).env(PASSWORD, &self.broker.env["PASSWORD"]).stdin(Stdio::null());
        command
    }

    /// A stage, or a command with its arguments, as a user.
    pub fn as_user(&self, user: &str, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.arg("--config").arg(self.config(user));
        command
    }

    pub fn as_stage(&self, name: &str) -> Command {
        let mut command = self.as_user(name, &[name, "--instance", name]);
        command.args(["--admin-listen", if name == "api" { self.lag.as_str() } else { "127.0.0.1:0" }]);
        command
    }

    /// Starts a stage as its user.
    pub fn stage(&mut self, name: &str) {
        let command = self.as_stage(name);
        self.spawn(name, command);
    }

    pub fn spawn(&mut self, name: &str, mut command: Command) {
        self.processes.spawn(name, &mut command).expect("start headwater");
    }

    /// The process id of a stage.
    pub fn pid(&self, name: &str) -> u32 {
        self.processes.pid(name).expect("runs")
    }

    pub fn kill(&mut self, name: &str) {
        self.processes.kill(name).expect("kill");
    }

    pub fn said(&self, name: &str) -> String {
        self.processes.said(name)
    }

    /// What a role needs, for its user or another.
    pub fn acls(&self, role: &str, user: &str) -> Vec<Acl> {
        let output = self
            .as_user(user, &["topics", "acls", role, "--principal", &format!("User:{user}")])
            .output()
            .expect("run");
        assert!(output.status.success(), "{}", told(&output));
        acls::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// None has ended by itself.
    pub fn all_alive(&mut self) {
        self.processes.all_run().unwrap_or_else(|e| panic!("{e}"));
    }

    pub async fn until_visible(&mut self, node: &Simulator) {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        let sql = format!("SELECT count() AS n FROM blocks WHERE network = 'eth' AND hash = '{}'", head.hash);
        let end = Instant::now() + super::PATIENCE;
        loop {
            let rows = self.headwater.query(&sql).await;
            if rows.as_ref().is_ok_and(|r| number(&r[0], "n") == 1) {
                return;
            }
            self.all_alive();
            let tails = || STAGES.map(|s| format!("--- {s}\n{}", super::tail(&self.said(s)))).join("\n");
            assert!(Instant::now() < end, "{} is not visible, {rows:?}\n{}", head.height, tails());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn until_said(&mut self, name: &str, from: usize, words: &[String]) {
        let end = Instant::now() + super::PATIENCE;
        loop {
            self.all_alive();
            let said = self.said(name).split_off(from);
            if said.lines().any(|line| words.iter().all(|w| line.contains(w.as_str()))) {
                return;
            }
            assert!(Instant::now() < end, "{name} did not say {words:?}:\n{}", super::tail(&said));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The log without TLS and login, where everything is allowed.
    pub async fn super_user(&self) -> Arc<KafkaLog> {
        let config =
            KafkaConfig { prefix: self.prefix.clone(), replication: 1, ..KafkaConfig::new(self.broker.admin()) };
        KafkaLog::connect(config).await.expect("the listener for super users")
    }

    pub fn no_password_was_printed(&self) {
        for stage in STAGES {
            assert!(!self.said(stage).contains(&self.broker.env["PASSWORD"]), "{stage} printed the password");
        }
    }

    /// CPU time that a stage has used, in clock ticks (proc(5), `stat`, utime and stime).
    pub fn ticks(&self, name: &str) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid(name))).expect("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    }
}

pub async fn chain() -> Simulator {
    let data = Dataset::from_dir(super::recorded().join("ethereum")).expect("recorded blocks");
    let config = Config { clock: Clock::Manual, history: 5, finality_depth: 2, safe_depth: 1, ..Config::new(data) };
    spawn(config).await.expect("simulator")
}

pub fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
