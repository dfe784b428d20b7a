//! Whether the data folder can be what it is to be, as far as that can be told without making it.

use std::path::Path;

use rustix::fs::{Access, access};

/// What is to be said of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// Nothing.
    Fine,
    /// It cannot be a folder, whoever asks.
    Wrong(String),
    /// Who asks here may not write to it; who runs the stages may be another.
    NotOurs(String),
}

/// Looks at the folder, or where it is not there yet, at what it would be made in. Makes and opens nothing.
pub fn look(dir: &Path) -> Folder {
    let mut there = dir.ancestors().map(|p| if p == Path::new("") { Path::new(".") } else { p });
    let Some(there) = there.find(|p| p.symlink_metadata().is_ok()) else { return Folder::Fine };
    let (dir, at) = (dir.display(), there.display());
    if !there.is_dir() {
        return Folder::Wrong(format!("`[data] dir` is {dir}, and {at} is no folder: write a folder on a disk"));
    }
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Folder::Fine,
        Err(e) => Folder::NotOurs(format!(
            "[data] dir: this user may not write to {at} ({e}); whoever runs the stages has to"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_judged_by_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()), Folder::Fine);
        assert_eq!(look(&dir.path().join("a/b/c")), Folder::Fine, "it can be made");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for wrong in [file.clone(), file.join("data")] {
            assert!(
                matches!(look(&wrong), Folder::Wrong(words) if words.contains(file.to_str().unwrap())),
                "{wrong:?}"
            );
        }
        let closed = dir.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
        let judged = look(&closed.join("data"));
        match rustix::process::geteuid().is_root() {
            true => assert_eq!(judged, Folder::Fine, "root may"),
            false => assert!(matches!(&judged, Folder::NotOurs(w) if w.contains("may not write")), "{judged:?}"),
        }
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
