//! A file that the engine is not to see.
//!
//! For every statement each of its threads wants its own scheduler's figures from `/proc/thread-self/schedstat`. The sandbox has no
//! rule that would let threads which are not born yet at their own figures and at nothing else (`/proc/self/task` as a whole
//! holds the environment too), so that each of these tries failed, with an exception and its stack trace: half the CPU of a short
//! statement. Whether the file is there at all, the engine asks once, by the C library's `stat`, under the name that its old binary
//! interface has for it. This program has a function of that name, which the dynamic linker finds first.
//!
//! Guarantee: it says of that one path that it does not exist, and answers for every other what the system says. Where it is not
//! found (a library that calls `stat` by another name), nothing is wrong but the price. Shown by `tests/engine/kept.rs`, by the
//! engine's own count of its exceptions. The programs' build scripts export it.

use std::ffi::{CStr, c_char, c_int};

/// What the engine looks for.
const UNSEEN: &CStr = c"/proc/thread-self/schedstat";

/// `stat` of the C library's old binary interface; stat(2). `_version` names the layout of `struct stat`, of which there is one.
///
/// # Safety
/// As of `stat`: `path` is a NUL-terminated string or null, `into` has room for a `struct stat`.
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xstat(_version: c_int, path: *const c_char, into: *mut libc::stat) -> c_int {
    // SAFETY: as promised by the caller.
    if !path.is_null() && unsafe { CStr::from_ptr(path) } == UNSEEN {
        // SAFETY: the calling thread's own `errno`.
        unsafe { *libc::__errno_location() = libc::ENOENT };
        return -1;
    }
    // Not `stat`: where the C library is old, that is a call of this very function.
    // SAFETY: as promised by the caller.
    unsafe { libc::fstatat(libc::AT_FDCWD, path, into, 0) }
}

/// Whether the dynamic linker finds ours.
pub(super) fn is_exported() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    {
        // SAFETY: a look-up by a NUL-terminated name.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__xstat".as_ptr()) };
        let ours: unsafe extern "C" fn(c_int, *const c_char, *mut libc::stat) -> c_int = __xstat;
        std::ptr::eq(found, ours as *const libc::c_void)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod tests {
    use super::*;
    use std::mem::MaybeUninit;

    fn size_of(path: &CStr) -> Result<i64, i32> {
        let mut stat = MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: a NUL-terminated path, and room for the answer.
        match unsafe { __xstat(1, path.as_ptr(), stat.as_mut_ptr()) } {
            // SAFETY: filled in.
            0 => Ok(unsafe { stat.assume_init() }.st_size),
            _ => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        }
    }

    #[test]
    fn one_file_is_not_there_and_all_others_are_what_they_are() {
        assert_eq!(size_of(UNSEEN), Err(libc::ENOENT));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "seven 7").expect("written");
        let path = std::ffi::CString::new(file.path().as_os_str().as_encoded_bytes()).expect("no zero byte");
        assert_eq!(size_of(&path), Ok(7));
        assert_eq!(size_of(c"/proc/thread-self/stat"), Ok(0));
        assert_eq!(size_of(c"/nowhere/at/all"), Err(libc::ENOENT));
        assert_eq!(size_of(c"/proc/self/stat/x"), Err(libc::ENOTDIR));
    }
}
