//! Programs for tests that a script of this repository fetches.

use std::path::PathBuf;

/// Where a program is. `None`, said loudly, where it was not fetched; `script`: what in `scripts/` fetches it.
///
/// # Panics
/// In CI when it is not there.
#[allow(clippy::print_stderr)]
pub(crate) fn fetched(path: Option<PathBuf>, program: &str, script: &str) -> Option<PathBuf> {
    if path.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing; scripts/{script} fetches it");
        eprintln!("SKIPPED: {program} is missing; get it with scripts/{script}");
    }
    path
}
