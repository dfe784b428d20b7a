//! The secret beside the database: what makes stored hashes of keys useless to who has the database alone, and what the audit's chain
//! cannot be written anew without.
//!
//! Guarantee: a key is stored as HMAC-SHA-256 (RFC 2104) of its whole text under a key that is derived from the secret. A key has 131
//! random bits, so that no slow hash is needed; and nothing that is in the database alone lets anybody try keys, or make an entry of the
//! audit that fits. The secret is `[control] secret`, or on one machine the file `secret` beside the database, made once, mode 0600. The
//! database remembers a mark of the secret, so that a wrong one is told at the start and not by every key being refused.
//!
//! What is kept as a hash (keys, passwords, the audit's chain, invitations) cannot be hashed anew, and so stays under the *first* secret, which
//! after a rotation ([`crate::rotation`]) is kept in the database, sealed under the present one. What is sealed, and what is given out (cookies,
//! refresh tokens, links), is under the present secret; while `former_secret` is written, the one before is good for reading still.

use std::{io::ErrorKind, os::unix::fs::DirBuilderExt, path::Path};

use hmac::{Hmac, Mac};
use runtime::{
    config::{Control as Settings, ControlPlace, Secret},
    private,
};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::Error;

/// A keyed hash.
pub(crate) type Hash = [u8; 32];

/// The present secret, and the one before it while both are good.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) present: Secret,
    pub(crate) former: Option<Secret>,
}

/// Which of the two something was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Present,
    Former,
}

/// What is made with one secret and lasts no longer than it: what is given out, and what is sealed.
#[derive(Clone)]
struct Passing {
    sessions: Hmac<Sha256>,
    sealing: Hmac<Sha256>,
    acknowledging: Hmac<Sha256>,
}

/// The secret, as the keys that are derived from it.
pub(crate) struct Pepper {
    keys: Hmac<Sha256>,
    audit: Hmac<Sha256>,
    requests: Hmac<Sha256>,
    kept: Hmac<Sha256>,
    passwords: Hash,
    present: Passing,
    former: Option<Passing>,
}

impl Passing {
    fn new(secret: &Secret) -> Self {
        Self {
            sessions: keyed(&derive(secret, "headwater control: sessions, 1")),
            sealing: keyed(&derive(secret, "headwater control: sealing, 1")),
            acknowledging: keyed(&derive(secret, "headwater control: acknowledging, 1")),
        }
    }
}

impl Pepper {
    /// Of a secret that was never changed.
    #[cfg(test)]
    pub(crate) fn new(secret: &Secret) -> Self {
        Self::of(&Secrets { present: secret.clone(), former: None }, secret)
    }

    /// `first` is what hashes that are kept were made with.
    pub(crate) fn of(secrets: &Secrets, first: &Secret) -> Self {
        Self {
            keys: keyed(&derive(first, "headwater control: keys, 1")),
            audit: keyed(&derive(first, "headwater control: audit, 1")),
            requests: keyed(&derive(first, "headwater control: requests, 1")),
            kept: keyed(&derive(first, "headwater control: kept, 1")),
            passwords: derive(first, "headwater control: passwords, 1"),
            present: Passing::new(&secrets.present),
            former: secrets.former.as_ref().map(Passing::new),
        }
    }

    /// The secrets that what comes back may have been made with, the present one first.
    pub(crate) fn good(&self) -> impl Iterator<Item = Which> {
        [Some(Which::Present), self.former.as_ref().map(|_| Which::Former)].into_iter().flatten()
    }

    /// Hash of a key's text.
    pub(crate) fn of_key(&self, text: &str) -> Hash {
        let mut mac = self.keys.clone();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Hash of a session's parts, each with its length: of what is given out and kept nowhere.
    pub(crate) fn of_session<'a>(&self, which: Which, parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
        let passing = match (which, &self.former) {
            (Which::Former, Some(former)) => former,
            _ => &self.present,
        };
        of_parts(&passing.sessions, parts)
    }

    /// Hash of parts, each with its length: of what is kept in the database and compared with what comes.
    pub(crate) fn of_kept<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
        of_parts(&self.kept, parts)
    }

    /// Hash of an entry of the audit: each field with its length, so that no two entries have the same bytes.
    pub(crate) fn of_entry<'a>(&self, fields: impl IntoIterator<Item = Option<&'a [u8]>>) -> Hash {
        let mut mac = self.audit.clone();
        for field in fields {
            match field {
                None => mac.update(&[0]),
                Some(bytes) => {
                    mac.update(&[1]);
                    mac.update(&(bytes.len() as u64).to_be_bytes());
                    mac.update(bytes);
                }
            }
        }
        mac.finalize().into_bytes().into()
    }

    /// Hash of a request that may hold secrets, each part with its length.
    pub(crate) fn of_request(&self, parts: &[&[u8]]) -> Hash {
        of_parts(&self.requests, parts.iter().copied())
    }

    /// What passwords are hashed with, besides their salts.
    pub(crate) fn passwords(&self) -> Hash {
        self.passwords
    }

    /// What keys that seal are derived from, and those that open still.
    pub(crate) fn sealing(&self) -> (Hmac<Sha256>, Option<Hmac<Sha256>>) {
        (self.present.sealing.clone(), self.former.as_ref().map(|former| former.sealing.clone()))
    }

    /// The key of links that acknowledge, and the one that is good still.
    pub(crate) fn acknowledging(&self) -> (Hmac<Sha256>, Option<Hmac<Sha256>>) {
        (self.present.acknowledging.clone(), self.former.as_ref().map(|former| former.acknowledging.clone()))
    }
}

/// What the database keeps to know a secret again.
pub(crate) fn mark(secret: &Secret) -> String {
    const_hex::encode(&derive(secret, "headwater control: mark, 1")[..16])
}

fn derive(secret: &Secret, what: &str) -> Hash {
    let mut mac = keyed(secret.expose().as_bytes());
    mac.update(what.as_bytes());
    mac.finalize().into_bytes().into()
}

/// HMAC takes keys of every length.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// Hash of parts, each with its length, so that no two lists of parts have the same bytes.
fn of_parts<'a>(key: &Hmac<Sha256>, parts: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut mac = key.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether two hashes are equal, in a time that does not depend on where they differ.
pub(crate) fn same(a: &Hash, b: &Hash) -> bool {
    a.ct_eq(b).into()
}

/// The same of two texts, whose length is no secret.
pub fn same_text(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The same of bytes.
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The secrets of these settings; beside SQLite those in the files.
pub(crate) fn of_settings(settings: &Settings) -> Result<Secrets, Error> {
    match (&settings.secret, &settings.place) {
        (Some(secret), _) => Ok(Secrets { present: secret.clone(), former: settings.former_secret.clone() }),
        (None, ControlPlace::Sqlite(file)) => {
            let folder = make_folder(file)?;
            let former = folder.join(FORMER);
            let former = former.exists().then(|| of_file(&former)).transpose()?;
            Ok(Secrets { present: of_file(&folder.join(FILE))?, former })
        }
        (None, ControlPlace::Postgres { .. }) => Err(Error::Settings(
            "`[control] secret` is missing: beside PostgreSQL every process wants the same".to_owned(),
        )),
    }
}

/// The file beside SQLite, and the one with the secret before it, while a rotation is not finished.
pub(crate) const FILE: &str = "secret";
/// See [`FILE`].
pub(crate) const FORMER: &str = "former-secret";

/// The folder of a SQLite file, which only its owner may look into.
pub(crate) fn make_folder(file: &Path) -> Result<&Path, Error> {
    let folder = file.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
    let failed = |e: std::io::Error| Error::Settings(format!("{} cannot be made: {e}", folder.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    Ok(folder)
}

/// The secret in a file, which is made where there is none. Two processes that begin at once agree on one.
pub(crate) fn of_file(path: &Path) -> Result<Secret, Error> {
    let failed = |e: std::io::Error| Error::Settings(format!("the control store's secret {}: {e}", path.display()));
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().len() >= 32 => return Ok(Secret::new(text.trim())),
            Ok(_) => {
                return Err(Error::Settings(format!(
                    "{} is not a secret of the control store: put back the one that was there; without it no key works any more",
                    path.display()
                )));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
        let text = private::random::<32>().map(const_hex::encode).map_err(failed)?;
        private::create(path, &text).map_err(failed)?;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let all: Vec<Secret> = std::thread::scope(|s| {
            let threads: Vec<_> = (0..8).map(|_| s.spawn(|| of_file(&path).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(all.windows(2).all(|w| w[0] == w[1]), "one secret for all");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays");
        std::fs::write(&path, "").unwrap();
        assert!(of_file(&path).is_err());
    }

    #[test]
    fn what_is_derived_differs_by_secret_purpose_and_fields() {
        let (a, b) = (Pepper::new(&Secret::new("a".repeat(32))), Pepper::new(&Secret::new("b".repeat(32))));
        assert_ne!(mark(&Secret::new("a".repeat(32))), mark(&Secret::new("b".repeat(32))));
        assert!(!same(&a.of_key("x"), &b.of_key("x")));
        let entry = |fields: &[Option<&str>]| a.of_entry(fields.iter().map(|f| f.map(str::as_bytes)));
        assert_ne!(entry(&[Some("ab"), Some("c")]), entry(&[Some("a"), Some("bc")]));
        assert_ne!(entry(&[None, Some("")]), entry(&[Some(""), None]));
        assert_ne!(entry(&[Some("x")]), a.of_key("x"));
    }

    #[test]
    fn what_is_kept_stays_under_the_first_secret_and_what_passes_under_the_present() {
        let secret = |c: &str| Secret::new(c.repeat(32));
        let (first, second) = (Pepper::new(&secret("a")), Secrets { present: secret("b"), former: Some(secret("a")) });
        let rotated = Pepper::of(&second, &secret("a"));
        let parts = || [&b"x"[..]];
        assert_eq!(first.of_key("x"), rotated.of_key("x"));
        assert_eq!(first.of_kept(parts()), rotated.of_kept(parts()));
        assert_eq!(first.passwords(), rotated.passwords());
        assert_eq!(first.of_entry([Some(&b"x"[..])]), rotated.of_entry([Some(&b"x"[..])]));
        assert_ne!(first.of_session(Which::Present, parts()), rotated.of_session(Which::Present, parts()));
        assert_eq!(first.of_session(Which::Present, parts()), rotated.of_session(Which::Former, parts()));
        assert_eq!((first.good().count(), rotated.good().count()), (1, 2));
    }
}
