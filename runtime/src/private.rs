//! What must not be guessed and what only its owner may read: random numbers of the kernel, and files that are made once.
//!
//! Guarantee: a file is there whole, with mode 0600 and on disk, or not at all; [`create`] never replaces one that is there, so that
//! processes which begin at once agree on one. A draft that a killed process left is never read, and goes when one of the same id writes again.

use std::{
    fs::{File, OpenOptions, hard_link, remove_file},
    io::{Error, ErrorKind, Result, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// So many random bytes.
///
/// # Errors
/// What the kernel says.
pub fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    const { assert!(BYTES <= 256, "what the kernel gives whole (getrandom(2))") };
    let mut bytes = [0u8; BYTES];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

/// Makes a file with this text, unless there is one.
///
/// # Errors
/// What the file system says.
pub fn create(path: &Path, text: &str) -> Result<()> {
    put(path, text, |draft| match hard_link(draft, path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    })
}

/// Writes a draft beside the file, which has the text and is on disk, and puts it `into_place`.
///
/// # Errors
/// What the file system says; the draft is removed.
pub fn put(path: &Path, text: &str, into_place: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "not the path of a file"));
    };
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = folder.join(format!("{}.{}-{number}", name.display(), std::process::id()));
    let _ = remove_file(&draft); // left by a killed process of the same id
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        into_place(&draft)?;
        File::open(folder)?.sync_all()
    };
    let written = write();
    let _ = remove_file(&draft);
    written
}
