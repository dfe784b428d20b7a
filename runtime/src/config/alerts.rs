//! `[alerts]`: where messages may go, and what alerts may cost.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::source::{Collector, Section};
use crate::targets::{Allowed, PORTS};

/// `[alerts]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// Private targets that messages may go to all the same, as they are written: host, address or range, with one port or without.
    pub allow_targets: Vec<String>,
    /// Ports of public targets.
    pub ports: Vec<u16>,
    /// Whether channels may run scripts on this machine.
    pub scripts: bool,
    /// The directory that they are in. Absolute, or relative to the process's folder.
    pub scripts_dir: PathBuf,
    /// Monitors without address, topic or selector that work, of one tenant, at most.
    pub max_unindexed: usize,
    /// Steps that the conditions of one tenant may cost a block.
    pub max_steps: u64,
    /// Rows that one back-test may read.
    pub max_backtest_rows: u64,
    /// What is called again and again while alerts work; `None`: a metric alone says so. Its path may be a secret.
    pub heartbeat_url: Option<Url>,
    /// How long retractions wait for a reorg to end, at most.
    pub settle: Duration,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            allow_targets: Vec::new(),
            ports: PORTS.to_vec(),
            scripts: false,
            scripts_dir: Path::new("data").join(SCRIPTS),
            max_unindexed: 100,
            max_steps: 10_000_000,
            max_backtest_rows: 50_000_000,
            heartbeat_url: None,
            settle: Duration::from_secs(10),
        }
    }
}

/// The smallest `max_steps`: five evaluations of the longest kind.
const STEPS_LEAST: u64 = 100_000;
/// Targets and ports that one file may list.
const LISTED: usize = 1_000;
/// Below the data directory: where programs are where nothing is said.
pub(super) const SCRIPTS: &str = "scripts";
/// Bounds of `settle`.
const SETTLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));

/// Reads the section. `folder` is what relative paths are relative to.
pub(super) fn read(mut s: Section, data_dir: &Path, folder: &Path, c: &mut Collector) -> Alerts {
    let default = Alerts::default();
    let listed = s.list("allow_targets", LISTED, "[\"127.0.0.1:9000\"]", c);
    let mut allow_targets = Vec::with_capacity(listed.len());
    for p in listed {
        let target = p.value.trim().to_owned();
        if let Err(problem) = target.parse::<Allowed>() {
            c.mistake(p.at, &s.key("allow_targets"), problem, Allowed::CURE);
        }
        allow_targets.push(target);
    }
    let ports = match s.has("ports") {
        false => default.ports,
        true => read_ports(&mut s, c),
    };
    let scripts = s.boolean("scripts", c).unwrap_or(default.scripts);
    let scripts_dir = s.string("scripts_dir", c).map_or_else(
        || data_dir.join(SCRIPTS),
        |p| {
            if p.value.trim().is_empty() {
                let cure = "write the folder that holds the programs which channels may run, such as \"/etc/headwater/scripts\"";
                c.mistake(p.at, &s.key("scripts_dir"), "is empty", cure);
            }
            folder.join(&p.value)
        },
    );
    let max_unindexed =
        s.number("max_unindexed", c).map_or(default.max_unindexed, |p| usize::try_from(p.value).unwrap_or(usize::MAX));
    let max_steps = s.number("max_steps", c).map_or(default.max_steps, |p| {
        if p.value < STEPS_LEAST {
            let problem = format!("is {}, which one condition over a few transactions may take", p.value);
            let cure = format!("write {STEPS_LEAST} or more, or leave it out for {}", default.max_steps);
            c.mistake(p.at, &s.key("max_steps"), problem, cure);
        }
        p.value
    });
    let max_backtest_rows = s.number("max_backtest_rows", c).map_or(default.max_backtest_rows, |p| {
        if p.value == 0 {
            let cure = format!("write how many rows a back-test may read, such as {}", default.max_backtest_rows);
            c.mistake(p.at, &s.key("max_backtest_rows"), "is 0, so that no back-test could read anything", cure);
        }
        p.value
    });
    const URL: &str = "write the URL that your watch waits for, such as \"https://hc-ping.example/UUID\"";
    let heartbeat_url = s.string("heartbeat_url", c).and_then(|p| {
        let url: Option<Url> = p.value.parse().ok();
        let good = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        if good.is_none() {
            c.mistake(p.at, &s.key("heartbeat_url"), "is no http or https URL", URL);
        }
        good
    });
    let settle = s.duration("settle", "10s", SETTLE, c).unwrap_or(default.settle);
    s.finish(c);
    Alerts {
        allow_targets,
        ports,
        scripts,
        scripts_dir,
        max_unindexed,
        max_steps,
        max_backtest_rows,
        heartbeat_url,
        settle,
    }
}

fn read_ports(s: &mut Section, c: &mut Collector) -> Vec<u16> {
    let key = s.key("ports");
    let mut ports = Vec::new();
    for p in s.numbers("ports", LISTED, "[443, 8443]", c) {
        match u16::try_from(p.value) {
            Ok(port) if port > 0 => ports.push(port),
            _ => c.mistake(p.at, &key, format!("{} is no port", p.value), "write ports from 1 to 65535"),
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mistake, parse};

    fn alerts(text: &str) -> Result<Alerts, Vec<Mistake>> {
        parse(&format!("[alerts]\n{text}"), Path::new(""), &|_| None).map(|config| config.alerts)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(alerts("").expect("good"), Alerts::default());
        let text = "allow_targets = [\"127.0.0.1:9000\", \"10.1.2.0/16\"]\nports = [443]\nscripts = true\nscripts_dir = \"run\"\nmax_unindexed = 0\nmax_steps = 200000\nmax_backtest_rows = 7\n\
                    heartbeat_url = \"https://hc.example/x\"\nsettle = \"2s\"\n";
        let alerts = alerts(text).expect("good");
        assert_eq!(alerts.allow_targets, ["127.0.0.1:9000", "10.1.2.0/16"]);
        assert_eq!((alerts.ports, alerts.scripts, alerts.max_unindexed), (vec![443], true, 0));
        assert_eq!(alerts.scripts_dir, Path::new("run"));
        assert_eq!((alerts.max_steps, alerts.max_backtest_rows, alerts.settle), (200_000, 7, Duration::from_secs(2)));
        assert_eq!(alerts.heartbeat_url.as_ref().and_then(Url::host_str), Some("hc.example"));
    }

    #[test]
    fn each_mistake_has_its_key() {
        for (text, key, words) in [
            ("allow_targets = [\"10.0.0.0/33\"]", "alerts.allow_targets", "no target"),
            ("scripts_dir = \" \"", "alerts.scripts_dir", "is empty"),
            ("ports = [0]", "alerts.ports", "no port"),
            ("ports = [70000]", "alerts.ports", "no port"),
            ("max_steps = 99999", "alerts.max_steps", "is 99999"),
            ("max_backtest_rows = 0", "alerts.max_backtest_rows", "is 0"),
            ("heartbeat_url = \"ftp://x\"", "alerts.heartbeat_url", "no http"),
            ("settle = \"1d\"", "alerts.settle", "is 1d"),
            ("setle = \"1s\"", "alerts.setle", "is not known"),
        ] {
            let mistakes = alerts(text).expect_err(text);
            let found = mistakes.iter().any(|m| m.key == key && m.problem.contains(words));
            assert!(found && mistakes.len() == 1, "{text}: {mistakes:?}");
        }
    }
}
