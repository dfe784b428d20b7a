//! The store's three passwords.
//!
//! Guarantee: nobody reaches the store without one. Passwords that the configuration does not give are generated once
//! (256 random bits) and kept in `<data dir>/store/credentials.toml`, readable by the owner only. The engine itself cannot
//! read that file: it lies outside the folder that the sandbox opens to it. A file of a version that knew no user for the API gets
//! that password, and keeps the others.

use super::Error;
use runtime::{config::Secret, private};
use std::path::Path;

/// The analysts' user: read only, with limits that it cannot raise.
pub const ANALYST: &str = "analyst";

/// The API's user, unless `[store] api_user` names another: read only, with a share of its own.
pub const API: &str = "api";

/// The file, in the store's directory.
pub(super) const FILE: &str = "credentials.toml";

/// The passwords of all users.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The stages' user, with all rights.
    pub stages: Secret,
    /// The API's user.
    pub api: Secret,
    /// The user [`ANALYST`].
    pub analyst: Secret,
}

/// Passwords that the configuration gives, which win.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// `[store] password`.
    pub stages: Option<Secret>,
    /// `[store] api_password`.
    pub api: Option<Secret>,
    /// `[store] analyst_password`.
    pub analyst: Option<Secret>,
}

struct Stored {
    stages: String,
    /// `None` in a file of a version that had no such user.
    api: Option<String>,
    analyst: String,
}

impl Credentials {
    /// Reads the generated passwords of a data directory, or makes them, and lets configured ones win. Safe to be called by
    /// parent and child at the same time: the file appears whole, and whoever comes second reads what the first wrote.
    ///
    /// # Errors
    /// When the directory cannot be written, or the file is not what was written there.
    pub fn load_or_create(data_dir: &Path, configured: Configured) -> Result<Self, Error> {
        let Configured { stages, api, analyst } = configured;
        if let (Some(stages), Some(api), Some(analyst)) = (&stages, &api, &analyst) {
            return Ok(Self { stages: stages.clone(), api: api.clone(), analyst: analyst.clone() });
        }
        let dir = data_dir.join("store");
        let path = dir.join(FILE);
        if read(&path)?.is_none() {
            std::fs::create_dir_all(&dir).map_err(Error::io(format!("creating {}", dir.display())))?;
            create(&path)?;
        }
        if read(&path)?.is_some_and(|stored| stored.api.is_none()) {
            complete(&path)?;
        }
        let vanished = || Error::Malformed {
            path: path.clone(),
            reason: "it vanished, or lost a password, while it was being written".to_owned(),
        };
        let stored = read(&path)?.ok_or_else(vanished)?;
        Ok(Self {
            stages: stages.unwrap_or(Secret::new(stored.stages)),
            api: api.unwrap_or(Secret::new(stored.api.ok_or_else(vanished)?)),
            analyst: analyst.unwrap_or(Secret::new(stored.analyst)),
        })
    }
}

fn read(path: &Path) -> Result<Option<Stored>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(format!("reading {}", path.display()))(e)),
    };
    let malformed = |reason: &str| Error::Malformed { path: path.to_owned(), reason: reason.to_owned() };
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .and_then(|(_, value)| value.trim().strip_prefix('"')?.strip_suffix('"'))
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    Ok(Some(Stored {
        stages: value("stages_password").ok_or_else(|| malformed("stages_password is missing"))?,
        api: value("api_password"),
        analyst: value("analyst_password").ok_or_else(|| malformed("analyst_password is missing"))?,
    }))
}

/// The file's text.
fn text(stages: &str, api: &str, analyst: &str) -> String {
    format!(
        "# Generated once. Configured passwords ([store] password, api_password, analyst_password) win over these.\n\
         stages_password = \"{stages}\"\napi_password = \"{api}\"\nanalyst_password = \"{analyst}\"\n"
    )
}

/// Writes the file, unless another process has.
fn create(path: &Path) -> Result<(), Error> {
    let text = text(&random_password()?, &random_password()?, &random_password()?);
    private::create(path, &text).map_err(Error::io(format!("writing {}", path.display())))
}

/// Replaces a file that lacks the API's password, unless somebody else did so meanwhile: a lock on what is replaced tells.
fn complete(path: &Path) -> Result<(), Error> {
    let failed = || Error::io(format!("completing {}", path.display()));
    let old = std::fs::File::open(path).map_err(failed())?;
    old.lock().map_err(failed())?;
    match read(path)? {
        Some(Stored { stages, api: None, analyst }) => {
            let text = text(&stages, &random_password()?, &analyst);
            private::put(path, &text, |draft| std::fs::rename(draft, path))
                .map_err(Error::io(format!("writing {}", path.display())))
        }
        _ => Ok(()),
    }
}

fn random_password() -> Result<String, Error> {
    private::random::<32>().map(const_hex::encode).map_err(Error::io("asking for random numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn load(dir: &tempfile::TempDir, configured: Configured) -> Result<Credentials, Error> {
        Credentials::load_or_create(dir.path(), configured)
    }

    #[test]
    fn generated_once_private_and_overridden_by_configuration() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = load(&dir, Configured::default()).expect("made");
        let mine = Configured { analyst: Some(Secret::new("mine")), ..Configured::default() };
        let again = load(&dir, mine).expect("read");
        assert_eq!((&first.stages, &first.api), (&again.stages, &again.api));
        assert_eq!(again.analyst.expose(), "mine");
        assert!(first.stages != first.analyst && first.api != first.analyst && first.api != first.stages);
        assert_eq!((first.stages.expose().len(), first.api.expose().len()), (64, 64));
        let mode = std::fs::metadata(dir.path().join("store").join(FILE)).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{first:?}").matches("***").count(), 3, "passwords are masked");
    }

    #[test]
    fn a_damaged_file_is_refused_not_replaced() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("store")).expect("dir");
        std::fs::write(dir.path().join("store").join(FILE), "stages_password = \n").expect("write");
        let error = load(&dir, Configured::default()).expect_err("damaged");
        assert!(error.to_string().contains("stages_password is missing"), "{error}");
    }

    #[test]
    fn a_file_without_the_apis_password_gets_one_and_all_who_ask_at_once_get_the_same() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("store")).expect("dir");
        let path = dir.path().join("store").join(FILE);
        std::fs::write(&path, "stages_password = \"s\"\nanalyst_password = \"a\"\n").expect("write");
        let asked: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load(&dir, Configured::default()))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic").expect("passwords")).collect()
        });
        for one in &asked {
            assert_eq!((one.stages.expose(), one.analyst.expose()), ("s", "a"));
            assert_eq!(one.api, asked[0].api);
        }
        let mode = std::fs::metadata(&path).expect("file").permissions().mode();
        assert_eq!((asked[0].api.expose().len(), mode & 0o777), (64, 0o600));
    }
}
