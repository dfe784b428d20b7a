//! Data directories that a former version wrote (`headwater/tests/data/upgrade`), and the chains that they followed, which go on.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use loadtest::node::evm::{Clock, Config, Dataset, Origin, Simulator, spawn};
use serde_json::Value;

use super::{Headwater, Net, recorded};

/// The chains that `scripts/record-upgrade` had followed.
pub const CHAINS: [&str; 2] = ["optimism", "arbitrum"];

/// A recorded directory: unpacked, with its chains alive.
pub struct Former {
    dir: tempfile::TempDir,
    /// By the names of [`CHAINS`].
    pub nodes: Vec<(&'static str, Simulator)>,
}

/// An answer that the former version gave in SQL before it ended.
pub struct Answer {
    pub sql: String,
    /// Lines of tab-separated values.
    pub lines: Vec<String>,
}

impl Former {
    /// `stopped` or `killed`.
    pub async fn unpack(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/upgrade/{name}.tar.gz"));
        let unpacked = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir.path()).status().expect("tar");
        assert!(unpacked.success(), "{} cannot be unpacked", archive.display());
        let mut nodes = Vec::new();
        for chain in CHAINS {
            let data = Dataset::from_dir(recorded().join(chain)).expect("recorded blocks");
            // As `scripts/record-upgrade` has them.
            let config = Config {
                clock: Clock::Manual,
                history: 3,
                finality_depth: 6,
                origin: Origin::File { path: dir.path().join(format!("{chain}.origin.json")), pause: false },
                ..Config::new(data)
            };
            nodes.push((chain, spawn(config).await.expect("simulator")));
        }
        Self { dir, nodes }
    }

    /// The data directory, while it is nobody's.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn nets(&self) -> Vec<Net> {
        self.nodes.iter().map(|(slug, node)| Net::of(slug, node)).collect()
    }

    /// A configuration of today over the data directory, which moves there.
    pub fn headwater(&self) -> Headwater {
        let headwater = Headwater::new(&self.nets());
        std::fs::rename(self.data(), headwater.data()).expect("one file system");
        headwater
    }

    /// What the former version answered last, before it ended or was killed.
    pub fn answers(&self) -> Vec<Answer> {
        let text = std::fs::read_to_string(self.dir.path().join("expected.json")).expect("expected.json");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let answers = value["answers"].as_array().expect("answers").iter().map(|a| Answer {
            sql: a["sql"].as_str().expect("sql").to_owned(),
            lines: a["tsv"].as_str().expect("tsv").lines().map(str::to_owned).collect(),
        });
        answers.collect()
    }
}
