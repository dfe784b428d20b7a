//! Where the engine's library is.

use super::Error;
use std::path::{Path, PathBuf};

/// The version of the npm package `@chdb/lib-linux-x64-gnu` that this release is tested with; `scripts/fetch-chdb` pins the
/// same one, with its checksum.
pub const LIBRARY_VERSION: &str = "26.7.3-stable.1";

const FILE: &str = "libchdb.so";

/// The engine's library: the configured file, else the one that `HEADWATER_CHDB_LIB` names, else `libchdb.so` beside the
/// executable (or in `../lib` of it), else the one that `scripts/fetch-chdb` put into the cache.
///
/// # Errors
/// [`Error::LibraryMissing`] with every place looked at. A file named explicitly and absent is an error by itself: it is
/// never replaced silently by another.
pub fn locate(configured: Option<&Path>) -> Result<PathBuf, Error> {
    let explicit = configured
        .map(Path::to_path_buf)
        .or_else(|| std::env::var_os("HEADWATER_CHDB_LIB").filter(|v| !v.is_empty()).map(PathBuf::from));
    let candidates = match explicit {
        Some(path) => vec![path],
        None => usual_places(std::env::current_exe().ok().as_deref(), runtime::cache::folder().as_deref()),
    };
    candidates
        .iter()
        .find(|path| path.is_file())
        .and_then(|path| path.canonicalize().ok())
        .ok_or(Error::LibraryMissing { looked_at: candidates })
}

fn usual_places(executable: Option<&Path>, cache: Option<&Path>) -> Vec<PathBuf> {
    let beside = executable.and_then(Path::parent);
    let lib = beside.and_then(Path::parent).map(|prefix| prefix.join("lib").join(FILE));
    let cached = cache.map(|root| root.join("chdb").join(LIBRARY_VERSION).join(FILE));
    beside.map(|dir| dir.join(FILE)).into_iter().chain(lib).chain(cached).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_named_and_absent_is_an_error_that_says_what_to_run() {
        let error = locate(Some(Path::new("/nowhere/libchdb.so"))).expect_err("no such file");
        let text = error.to_string();
        assert!(text.contains("/nowhere/libchdb.so") && text.contains("make fetch"), "{text}");
    }

    #[test]
    fn the_executables_own_library_comes_before_the_cache() {
        let places = usual_places(Some(Path::new("/opt/hw/bin/headwater")), Some(Path::new("/cache")));
        let expected = ["/opt/hw/bin/libchdb.so", "/opt/hw/lib/libchdb.so", "/cache/chdb/26.7.3-stable.1/libchdb.so"]
            .map(PathBuf::from);
        assert_eq!(places, expected);
    }
}
