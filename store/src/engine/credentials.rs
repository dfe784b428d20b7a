//! The store's two passwords.
//!
//! Guarantee: nobody reaches the store without one. Passwords that the configuration does not give are generated once
//! (256 random bits) and kept in `<data dir>/store/credentials.toml`, readable by the owner only. The engine itself cannot
//! read that file: it lies outside the folder that the sandbox opens to it.

use super::Error;
use runtime::config::Secret;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The analysts' user: read only, with limits that it cannot raise.
pub const ANALYST: &str = "analyst";

/// The file, in the store's directory.
pub(super) const FILE: &str = "credentials.toml";

/// The passwords of both users.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The stages' user, with all rights.
    pub stages: Secret,
    /// The user [`ANALYST`].
    pub analyst: Secret,
}

struct Stored {
    stages_password: String,
    analyst_password: String,
}

impl Credentials {
    /// Reads the generated passwords of a data directory, or makes them, and lets configured ones win. Safe to be called by
    /// parent and child at the same time: the file appears whole, and whoever comes second reads what the first wrote.
    ///
    /// # Errors
    /// When the directory cannot be written, or the file is not what was written there.
    pub fn load_or_create(data_dir: &Path, stages: Option<Secret>, analyst: Option<Secret>) -> Result<Self, Error> {
        if let (Some(stages), Some(analyst)) = (&stages, &analyst) {
            return Ok(Self { stages: stages.clone(), analyst: analyst.clone() });
        }
        let dir = data_dir.join("store");
        let path = dir.join(FILE);
        let stored = match read(&path)? {
            Some(stored) => stored,
            None => {
                std::fs::create_dir_all(&dir).map_err(Error::io(format!("creating {}", dir.display())))?;
                create(&dir, &path)?;
                let reason = "it vanished while it was being written".to_owned();
                read(&path)?.ok_or(Error::Malformed { path, reason })?
            }
        };
        Ok(Self {
            stages: stages.unwrap_or(Secret::new(stored.stages_password)),
            analyst: analyst.unwrap_or(Secret::new(stored.analyst_password)),
        })
    }
}

fn read(path: &PathBuf) -> Result<Option<Stored>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(format!("reading {}", path.display()))(e)),
    };
    let malformed = |reason: &str| Error::Malformed { path: path.clone(), reason: reason.to_owned() };
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .and_then(|(_, value)| value.trim().strip_prefix('"')?.strip_suffix('"'))
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    Ok(Some(Stored {
        stages_password: value("stages_password").ok_or_else(|| malformed("stages_password is missing"))?,
        analyst_password: value("analyst_password").ok_or_else(|| malformed("analyst_password is missing"))?,
    }))
}

/// Writes the file under another name and links it into place, which fails, rather than replaces, when it is there.
fn create(dir: &Path, path: &Path) -> Result<(), Error> {
    let text = format!(
        "# Generated once. Configured passwords ([store] password, analyst_password) win over these.\n\
         stages_password = \"{}\"\nanalyst_password = \"{}\"\n",
        random_password()?,
        random_password()?
    );
    let temporary = dir.join(format!("{FILE}.{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary); // left by a killed process of the same id
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match std::fs::hard_link(&temporary, path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
            _ => std::fs::File::open(dir)?.sync_all(),
        }
    };
    let written = write();
    let _ = std::fs::remove_file(&temporary);
    written.map_err(Error::io(format!("writing {}", path.display())))
}

fn random_password() -> Result<String, Error> {
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut bytes))
        .map_err(Error::io("reading /dev/urandom"))?;
    Ok(const_hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn generated_once_private_and_overridden_by_configuration() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = Credentials::load_or_create(dir.path(), None, None).expect("made");
        let again = Credentials::load_or_create(dir.path(), None, Some(Secret::new("mine"))).expect("read");
        assert_eq!(first.stages, again.stages);
        assert_eq!(again.analyst.expose(), "mine");
        assert_ne!(first.stages, first.analyst);
        assert_eq!(first.stages.expose().len(), 64);
        let mode = std::fs::metadata(dir.path().join("store").join(FILE)).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{first:?}").matches("***").count(), 2, "passwords are masked");
    }

    #[test]
    fn a_damaged_file_is_refused_not_replaced() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::create_dir(dir.path().join("store")).expect("dir");
        std::fs::write(dir.path().join("store").join(FILE), "stages_password = \n").expect("write");
        let error = Credentials::load_or_create(dir.path(), None, None).expect_err("damaged");
        assert!(error.to_string().contains("stages_password is missing"), "{error}");
    }
}
