//! Programs that channels may run: what lies in one directory of the operator's (`[alerts] scripts`, `scripts_dir`).
//!
//! Guarantee: what [`Scripts::find`] gives is the real path of a regular file below that directory which may be executed. Nothing with `..` in it is
//! found, nothing that a link leads out to, and nothing that everybody may write: neither the file, nor the directory, nor a folder between.
//! So a tenant chooses among programs that the operator put there, and brings none: no interpreter of the system is one.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

/// Which programs may be run. By itself: none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scripts {
    /// From `/` on.
    directory: Option<PathBuf>,
}

/// Why a program is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoScript {
    /// Channels may run none here.
    Off(String),
    /// Not this one: what is wrong with it.
    NotAllowed(String),
    /// The directory is not on this machine, so that nothing more than the path's text can be looked at.
    Away(String),
}

impl NoScript {
    /// In words.
    pub fn why(&self) -> &str {
        match self {
            Self::Off(why) | Self::NotAllowed(why) | Self::Away(why) => why,
        }
    }
}

impl Scripts {
    /// What to write in the place of a path that is not allowed.
    pub const CURE: &'static str = "write the name of a program in the operator's directory for them (`scripts_dir` in `[alerts]` of the \
                                    configuration; `scripts` below the data directory where it says nothing)";

    /// Those of a directory, where they are allowed at all.
    pub fn of(allowed: bool, directory: &Path) -> Self {
        let whole = || std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self { directory: allowed.then(whole) }
    }

    /// The program of a path: one from `/` on, or one from the directory on.
    ///
    /// # Errors
    /// It is none that may be run.
    pub fn find(&self, path: &str) -> Result<PathBuf, NoScript> {
        let refused = |why: &str| NoScript::NotAllowed(why.to_owned());
        let Some(directory) = &self.directory else {
            return Err(NoScript::Off("is a program, and channels may run none here (`[alerts] scripts`)".to_owned()));
        };
        let written = Path::new(path);
        if written.components().any(|part| !matches!(part, Component::Normal(_) | Component::RootDir)) {
            return Err(refused("has `.` or `..` in it"));
        }
        const OUT: &str = "lies outside of the directory for programs";
        let real = fs::canonicalize(directory).map_err(|error| error.kind());
        // By its text first: nobody learns what there is elsewhere.
        let below = match (written.is_absolute(), &real) {
            (false, _) => Ok(written),
            (true, Ok(real)) => written.strip_prefix(directory).or_else(|_| written.strip_prefix(real)),
            (true, Err(_)) => written.strip_prefix(directory),
        };
        let below = below.map_err(|_| refused(OUT))?;
        if below.as_os_str().is_empty() {
            return Err(refused("names no file"));
        }
        let real = match real {
            Ok(real) => real,
            Err(ErrorKind::NotFound) => {
                return Err(NoScript::Away(
                    "the directory for programs (`[alerts] scripts_dir`) is not there".to_owned(),
                ));
            }
            Err(kind) => return Err(NoScript::Away(format!("the directory for programs cannot be read: {kind}"))),
        };
        let file =
            fs::canonicalize(real.join(below)).map_err(|error| refused(&format!("is not there: {}", error.kind())))?;
        if !file.starts_with(&real) {
            return Err(refused("is a link that leads out of the directory for programs"));
        }
        for place in file.ancestors().take_while(|place| place.starts_with(&real)) {
            let about = fs::metadata(place).map_err(|error| refused(&format!("is not there: {}", error.kind())))?;
            let mode = about.permissions().mode();
            if mode & 0o002 != 0 {
                return Err(refused(
                    "may be written by everybody, or its folder may: take that right away (`chmod o-w`)",
                ));
            }
            if place == file && (!about.is_file() || mode & 0o111 == 0) {
                return Err(refused("is no file that may be executed"));
            }
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(path: &Path, mode: u32) {
        fs::write(path, "#!/bin/sh\n").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn only_what_the_operator_put_there_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let top = fs::canonicalize(dir.path()).expect("there");
        let home = top.join("scripts");
        fs::create_dir_all(home.join("team")).expect("made");
        for folder in [home.clone(), home.join("team")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("set");
        }
        put(&home.join("page"), 0o755);
        put(&home.join("team/call.sh"), 0o700);
        put(&home.join("data"), 0o644);
        put(&home.join("open"), 0o757);
        put(&top.join("outside"), 0o755);
        put(&top.join("scripts-too"), 0o755);
        symlink("/bin/sh", home.join("shell")).expect("linked");
        symlink("../outside", home.join("out")).expect("linked");
        symlink(&top, home.join("up")).expect("linked");
        symlink("page", home.join("alias")).expect("linked");
        let scripts = Scripts::of(true, &home);
        let whole = |name: &str| home.join(name).display().to_string();

        assert_eq!(scripts.find("page"), Ok(home.join("page")));
        assert_eq!(scripts.find("team/call.sh"), Ok(home.join("team/call.sh")));
        assert_eq!(scripts.find(&whole("page")), Ok(home.join("page")));
        assert_eq!(scripts.find("alias"), Ok(home.join("page")), "a link inside of it");
        for (path, words) in [
            ("/bin/sh".to_owned(), "outside"),
            (top.join("outside").display().to_string(), "outside"),
            (top.join("scripts-too").display().to_string(), "outside"),
            ("../outside".to_owned(), "`..`"),
            ("team/../../outside".to_owned(), "`..`"),
            (whole("../outside"), "`..`"),
            ("shell".to_owned(), "leads out"),
            ("out".to_owned(), "leads out"),
            ("up/outside".to_owned(), "leads out"),
            (whole("shell"), "leads out"),
            (String::new(), "no file"),
            (whole(""), "no file"),
            ("team".to_owned(), "no file that"),
            ("data".to_owned(), "no file that"),
            ("open".to_owned(), "everybody"),
            ("none".to_owned(), "not there"),
            ("page\0".to_owned(), "not there"),
        ] {
            match scripts.find(&path) {
                Err(NoScript::NotAllowed(why)) => assert!(why.contains(words), "{path}: {why}"),
                other => panic!("{path}: {other:?}"),
            }
        }

        // A folder that everybody may write is nobody's.
        fs::set_permissions(home.join("team"), fs::Permissions::from_mode(0o777)).expect("set");
        assert!(matches!(scripts.find("team/call.sh"), Err(NoScript::NotAllowed(why)) if why.contains("everybody")));
        fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).expect("set");
        assert!(matches!(scripts.find("page"), Err(NoScript::NotAllowed(why)) if why.contains("everybody")));

        // Where they are not allowed, or the directory is elsewhere.
        for scripts in [Scripts::default(), Scripts::of(false, &home)] {
            assert!(matches!(scripts.find("page"), Err(NoScript::Off(why)) if why.contains("[alerts] scripts")));
        }
        let elsewhere = Scripts::of(true, Path::new("/no/such/folder"));
        assert!(matches!(elsewhere.find("page"), Err(NoScript::Away(_))));
        assert!(matches!(elsewhere.find("/no/such/folder/page"), Err(NoScript::Away(_))));
        assert!(matches!(elsewhere.find("/bin/sh"), Err(NoScript::NotAllowed(_))));
    }
}
