//! Answers of contract sources on disk, so that a restart asks nobody again.
//!
//! Guarantee: bounded in number and bytes, the oldest goes first; what cannot be read is as if it were not there, and a disk that does
//! not take an answer costs a question later and nothing else. A file is there whole or not at all. Answers carry neither key nor URL.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use schemas::{TimeMs, limits::facts as limits};
use serde::{Deserialize, Serialize};

/// A kept answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When it came, in milliseconds since 1970.
    pub at: i64,
    /// Keccak-256 of the deployed code that it was held against, in hex: it is no answer on other code, which an address may get by a
    /// destruction and a new deployment, or on another chain of the same id.
    pub code: String,
    /// The contract's name.
    pub name: Option<String>,
    /// Its ABI: checked, and it fits the code.
    pub abi: Option<String>,
}

impl Kept {
    /// Whether the source had nothing, or nothing that could be used.
    pub fn is_nothing(&self) -> bool {
        self.name.is_none() && self.abi.is_none()
    }

    /// Whether it is still believed of this code: people verify contracts later, and nobody takes back what was verified.
    pub fn holds(&self, code: &str, now: TimeMs) -> bool {
        let fresh = !self.is_nothing() || now.0.saturating_sub(self.at) < limits::NOTHING_KEPT.as_millis() as i64;
        self.code == code && fresh
    }
}

/// The folder.
pub struct Cache {
    folder: PathBuf,
    /// Files by age, as they were when this process began or wrote them.
    files: BTreeMap<(i64, PathBuf), u64>,
    bytes: u64,
    most: (usize, u64),
}

impl Cache {
    /// What is there; the folder is made when something is kept.
    pub fn open(folder: PathBuf) -> Self {
        Self::with_limits(folder, limits::CACHED, limits::CACHED_BYTES)
    }

    fn with_limits(folder: PathBuf, files: usize, bytes: u64) -> Self {
        let mut cache = Self { folder, files: BTreeMap::new(), bytes: 0, most: (files, bytes) };
        let mut folders = vec![cache.folder.clone()];
        // Source, chain, contract.
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(about) = entry.metadata() else { continue };
                if about.is_dir() && folders.len() < 10_000 {
                    folders.push(entry.path());
                } else if about.is_file() {
                    let at = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                    let at = at.map_or(0, |at| at.as_millis() as i64);
                    cache.bytes += about.len();
                    cache.files.insert((at, entry.path()), about.len());
                }
            }
        }
        cache.tidy();
        cache
    }

    fn path(&self, source: &str, chain: u64, of: Address) -> PathBuf {
        self.folder.join(source).join(chain.to_string()).join(format!("{of:#x}.json"))
    }

    /// What a source said of a contract, if it still holds of its code, of which this is the hash.
    pub fn get(&self, source: &str, chain: u64, of: Address, code: &str, now: TimeMs) -> Option<Kept> {
        let text = fs::read(self.path(source, chain, of)).ok()?;
        serde_json::from_slice(&text).ok().filter(|kept: &Kept| kept.holds(code, now))
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&mut self, source: &str, chain: u64, of: Address, kept: &Kept) -> std::io::Result<()> {
        let path = self.path(source, chain, of);
        let text = serde_json::to_vec(kept)?;
        let size = text.len() as u64;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        write_whole(&path, &text)?;
        let former: Vec<_> = self.files.keys().filter(|(_, file)| *file == path).cloned().collect();
        for key in former {
            self.bytes -= self.files.remove(&key).unwrap_or(0);
        }
        self.files.insert((kept.at, path), size);
        self.bytes += size;
        self.tidy();
        Ok(())
    }

    fn tidy(&mut self) {
        while self.files.len() > self.most.0 || self.bytes > self.most.1 {
            let Some(((_, path), size)) = self.files.pop_first() else { return };
            self.bytes -= size;
            let _ = fs::remove_file(path);
        }
    }
}

fn write_whole(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, text)?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0xc0de";

    fn kept(at: i64, abi: Option<&str>) -> Kept {
        Kept { at, code: CODE.into(), name: None, abi: abi.map(str::to_owned) }
    }

    #[test]
    fn answers_outlive_the_process_and_nothing_for_a_while_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("contracts-cache");
        let of = Address::repeat_byte(1);
        let mut cache = Cache::open(folder.clone());
        cache.put("sourcify-a", 1, of, &kept(1_000, Some("[]"))).expect("kept");
        cache.put("etherscan-b", 1, of, &kept(1_000, None)).expect("kept");
        let cache = Cache::open(folder.clone());
        let late = TimeMs(1_000 + limits::NOTHING_KEPT.as_millis() as i64);
        assert_eq!(cache.get("sourcify-a", 1, of, CODE, late), Some(kept(1_000, Some("[]"))));
        assert_eq!(cache.get("etherscan-b", 1, of, CODE, TimeMs(1_001)), Some(kept(1_000, None)));
        assert_eq!(cache.get("etherscan-b", 1, of, CODE, late), None);
        assert_eq!(cache.get("sourcify-a", 2, of, CODE, late), None);
        assert_eq!(cache.get("sourcify-a", 1, of, "0xother", late), None, "it has other code now");
        assert_eq!(cache.get("etherscan-b", 1, of, "0xother", TimeMs(1_001)), None);
        // As a release wrote it that did not know the code.
        fs::write(cache.path("sourcify-a", 1, of), r#"{"at":1000,"name":null,"abi":"[]"}"#).expect("written");
        assert_eq!(cache.get("sourcify-a", 1, of, CODE, late), None);
        fs::write(cache.path("sourcify-a", 1, of), "{").expect("written");
        assert_eq!(cache.get("sourcify-a", 1, of, CODE, late), None, "what cannot be read is not there");
    }

    #[test]
    fn the_oldest_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut cache = Cache::with_limits(dir.path().to_owned(), 3, 1 << 20);
        for n in 1..=5u8 {
            cache.put("s", 1, Address::repeat_byte(n), &kept(i64::from(n), Some("[]"))).expect("kept");
        }
        cache.put("s", 1, Address::repeat_byte(3), &kept(9, Some("[1]"))).expect("kept");
        let there = |cache: &Cache, n| cache.get("s", 1, Address::repeat_byte(n), CODE, TimeMs(0)).is_some();
        assert_eq!((1..=5).filter(|n| there(&cache, *n)).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(cache.files.len(), 3);
        let small = Cache::with_limits(dir.path().to_owned(), 3, 1);
        assert!(small.files.is_empty() && small.bytes == 0);
    }
}
