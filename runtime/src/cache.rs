//! The folder outside every work tree for what is fetched once: the store's engine, servers for tests, the demo's data.

use std::path::PathBuf;

/// `$HEADWATER_CACHE`, else `headwater` in `$XDG_CACHE_HOME`, else in `~/.cache`, as in `scripts/`. `None` when none of the three
/// variables is set.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v: &std::ffi::OsString| !v.is_empty()).map(PathBuf::from);
    set("HEADWATER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("headwater")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("headwater")))
}
