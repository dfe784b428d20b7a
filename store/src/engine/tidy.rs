//! What lies in the engine's folder and is not the engine's: moved aside before a start, so that the start succeeds.
//!
//! Guarantee: nothing is deleted, everything that is moved is named in the log and lies in `<data dir>/store/aside` under its
//! own path; nothing of the store's own tables is ever moved. A file without a statement where the engine expects one keeps it
//! from starting for ever, whoever put it there. When a start failed all the same, whatever the engine then named is moved too.

use super::{Error, tenants};
use std::ffi::OsStr;
use std::fs::{DirEntry, FileType};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// By this variable the supervisor tells the next start what the engine said when the last one failed.
pub(super) const FAILED: &str = "HEADWATER_STORE_FAILED";

/// The folders that the engine makes in its own.
const FOLDERS: &[&str] = &[
    "access",
    "coordination",
    "cores",
    "data",
    "dictionaries_lib",
    "disks",
    "flags",
    "format_schemas",
    "metadata",
    "metadata_dropped",
    "named_collections",
    "preprocessed_configs",
    "store",
    "tmp",
    "user_defined",
    "user_files",
    "user_scripts",
    "workload",
];

/// And the files.
const FILES: &[&str] = &["status", "uuid"];

/// Moves aside what is not the engine's. `database` is the store's, beside which that of tenants lies; `own` says of a table's name whether it is one of ours,
/// `failure` is what the engine said when the last start failed. Answers what was moved.
pub(super) fn tidy(
    root: &Path,
    database: &str,
    own: impl Fn(&str) -> bool,
    failure: Option<&str>,
) -> Result<Vec<PathBuf>, Error> {
    let engine = root.join("engine");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut mover =
        Mover { engine: engine.clone(), aside: root.join("aside").join(now.to_string()), moved: Vec::new() };
    for (path, _, name) in entries(&engine)? {
        if !(FOLDERS.contains(&name.as_str()) && path.is_dir() || FILES.contains(&name.as_str())) {
            mover.aside(&path, "it is none of the engine's")?;
        }
    }
    for folder in ["store", "data"] {
        for (path, kind, _) in entries(&engine.join(folder))? {
            if kind.is_file() {
                mover.aside(&path, "the engine has only folders there")?;
            }
        }
    }
    let metadata = engine.join("metadata");
    let both = [database.to_owned(), tenants::database(database)];
    let is_ours = |name: &OsStr| both.iter().any(|database| OsStr::new(database) == name);
    for (path, kind, name) in entries(&metadata)? {
        match name.strip_suffix(".sql") {
            Some(stem) if kind.is_file() => {
                if let Some(why) = wrong(&path, stem, failure).filter(|_| !is_ours(OsStr::new(stem))) {
                    mover.aside(&path, why)?;
                }
            }
            // A database's folder, or a link to it.
            None if path.is_dir() => {
                for (path, kind, name) in entries(&path)? {
                    let stem = name.strip_suffix(".sql").unwrap_or(&name);
                    let ours = database_of(&metadata, &path).is_some_and(is_ours) && own(stem);
                    let why =
                        if name.ends_with(".sql") { wrong(&path, stem, failure) } else { Some("it is no table's") };
                    if let Some(why) = why.filter(|_| kind.is_file() && !ours) {
                        mover.aside(&path, why)?;
                    }
                }
            }
            _ => mover.aside(&path, "it is neither a database's statement nor its folder")?,
        }
    }
    Ok(mover.moved)
}

/// The database whose folder a table's file lies in.
fn database_of<'p>(metadata: &Path, path: &'p Path) -> Option<&'p OsStr> {
    path.strip_prefix(metadata).ok()?.iter().next()
}

/// Why a file is not what the engine wrote, if so.
fn wrong(path: &Path, stem: &str, failure: Option<&str>) -> Option<&'static str> {
    let text = std::fs::read(path).unwrap_or_default();
    if !text.trim_ascii_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"ATTACH")) {
        return Some("it holds no statement of the engine's");
    }
    // As the engine names things: quoted, behind what they are, or by their file.
    let forms = ["`§`", "'§'", "\"§\"", "/§.sql", "database §", "table §", "Database §", "Table §"]
        .map(|form| form.replace('§', stem));
    let named = |said: &str| {
        forms.iter().any(|form| {
            said.match_indices(form.as_str()).any(|(at, _)| {
                let next = said[at + form.len()..].chars().next();
                !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        })
    };
    failure.is_some_and(named).then_some("the engine named it when the last start failed")
}

/// A folder's entries with their kinds and names, in order of names; none when there is no such folder.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, FileType, String)>, Error> {
    let during = || Error::io(format!("looking through {}", folder.display()));
    let read = match std::fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(during()(error)),
    };
    let entry = |entry: std::io::Result<DirEntry>| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?, entry.file_name().to_string_lossy().into_owned()))
    };
    let mut all = read.map(entry).collect::<std::io::Result<Vec<_>>>().map_err(during())?;
    all.sort_by(|a, b| a.2.cmp(&b.2));
    Ok(all)
}

struct Mover {
    engine: PathBuf,
    aside: PathBuf,
    moved: Vec<PathBuf>,
}

impl Mover {
    fn aside(&mut self, path: &Path, why: &str) -> Result<(), Error> {
        let to = self.aside.join(path.strip_prefix(&self.engine).unwrap_or(path));
        let during = || format!("moving {} to {}", path.display(), to.display());
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io(during()))?;
        }
        std::fs::rename(path, &to).map_err(Error::io(during()))?;
        tracing::warn!(file = %path.display(), to = %to.display(), why, "moved aside, so that the store can start");
        self.moved.push(path.to_path_buf());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temp dir");
        for (file, text) in files {
            let path = dir.path().join("engine").join(file);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            std::fs::write(path, text).expect("file");
        }
        dir
    }

    fn moved(dir: &Path, failure: Option<&str>) -> Vec<String> {
        let engine = dir.join("engine");
        let moved = tidy(dir, "headwater", |table| table == "block_rows", failure).expect("tidy");
        moved.iter().map(|path| path.strip_prefix(&engine).expect("inside").display().to_string()).collect()
    }

    #[test]
    fn junk_goes_aside_and_what_is_the_engines_stays() {
        let dir = folder(&[
            ("metadata/headwater.sql", "ATTACH DATABASE headwater ENGINE = Atomic"),
            ("metadata/headwater/block_rows.sql", "ATTACH TABLE _ UUID 'x' (a UInt8)"),
            ("metadata/headwater/mine.sql", "ATTACH TABLE _ (a UInt8)"),
            ("metadata/headwater/junk.sql", ""),
            ("metadata/evil.sql", ""),
            ("metadata/other.sql", "SELECT 1"),
            ("metadata/note.txt", "x"),
            ("store/abc/part", "x"),
            ("store/junk", "x"),
            ("data/junk", "x"),
            ("junk", "x"),
            ("uuid", "x"),
            ("flags", "a file where a folder belongs"),
        ]);
        let expected = [
            "flags",
            "junk",
            "store/junk",
            "data/junk",
            "metadata/evil.sql",
            "metadata/headwater/junk.sql",
            "metadata/note.txt",
            "metadata/other.sql",
        ];
        assert_eq!(moved(dir.path(), None), expected);
        let aside =
            std::fs::read_dir(dir.path().join("aside")).expect("aside").next().expect("one").expect("entry").path();
        assert!(aside.join("metadata/evil.sql").exists());
        assert_eq!(moved(dir.path(), None), [""; 0], "nothing more");
        let said = "Code: 57. DB::Exception: Cannot attach table `headwater`.`mine` from metadata file";
        assert_eq!(moved(dir.path(), Some(said)), ["metadata/headwater/mine.sql"]);
    }

    #[test]
    fn our_own_tables_are_never_moved() {
        let dir = folder(&[("metadata/headwater.sql", ""), ("metadata/headwater/block_rows.sql", "")]);
        assert_eq!(moved(dir.path(), Some("headwater block_rows")), [""; 0]);
    }
}
