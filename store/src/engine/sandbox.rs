//! The second wall behind the analyst's guard: what the kernel lets this process do.
//!
//! Guarantee, on a kernel with Landlock: no thread started after [`enter`] opens a file outside of the engine's own folder,
//! the engine's configuration, the library, the system's libraries and time zones, and a few figures of `/proc` and `/sys`;
//! in particular neither `/proc/self/environ` nor the passwords' file. On x86-64 and aarch64, with seccomp: it makes only the
//! system calls on a list, so that it starts no process or program, traces nothing, signals only itself, makes no socket but
//! local pairs and connects nowhere. What the kernel lacks is logged; without Landlock there is no analysts' user unless the
//! configuration says so.

use super::config::Walls;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::path::Path;

/// What the engine reads of the system.
const READABLE: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/proc/self/cgroup",
    "/proc/self/limits",
    "/proc/self/maps",
    "/proc/self/mountinfo",
    "/proc/self/stat",
    "/proc/self/statm",
    "/proc/self/status",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
];

/// Closes everything but what the engine needs, for this thread and all that it starts. The listener must be bound already.
///
/// Answers whether the kernel limits which files are opened.
pub(super) fn enter(engine: &Path, config: &Path, library: &Path, walls: Walls) -> bool {
    if walls.seccomp {
        // Landlock is entered afterwards: its calls are allowed.
        match calls() {
            Ok(()) => tracing::info!("system calls are limited by seccomp"),
            Err(error) => tracing::warn!(error, "system calls could not be limited"),
        }
    }
    if !walls.landlock {
        return false;
    }
    let status = files(engine, config, library);
    let shut = matches!(status, Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced));
    match status {
        Ok(RulesetStatus::FullyEnforced) => tracing::info!("file access is limited by Landlock"),
        Ok(RulesetStatus::PartiallyEnforced) => {
            tracing::info!("file access is limited by Landlock, as far as this kernel can")
        }
        Ok(RulesetStatus::NotEnforced) => {
            tracing::warn!(
                "this kernel has no Landlock: the engine could read what this user can, should its grants fail"
            );
        }
        Err(error) => tracing::warn!(%error, "file access could not be limited"),
    }
    shut
}

fn files(engine: &Path, config: &Path, library: &Path) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V5;
    let all = AccessFs::from_all(abi);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?.create()?;
    rules = allow(
        rules,
        engine,
        all & !AccessFs::Execute & !AccessFs::MakeSock & !AccessFs::MakeChar & !AccessFs::MakeBlock,
    )?;
    rules = allow(rules, config, read)?;
    rules = allow(rules, library, AccessFs::ReadFile | AccessFs::Execute)?;
    for path in READABLE {
        rules = allow(rules, Path::new(path), AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute)?;
    }
    rules = allow(rules, Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
    Ok(rules.restrict_self()?.ruleset)
}

/// A rule for a path that exists; others say nothing.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(fd) if path.is_dir() => rules.add_rule(PathBeneath::new(fd, access)),
        Ok(fd) => rules.add_rule(PathBeneath::new(fd, access & AccessFs::from_file(ABI::V5))),
        Err(_) => Ok(rules),
    }
}

/// System calls that the process makes. Everything else fails with ENOSYS, on which the C library falls back to older ones where
/// it has them. Threads come by `clone`, whose flags can be looked at (`clone3` hides them): no process is ever made. Sockets
/// are accepted and never opened, connected or bound.
const ALLOWED: &[i64] = &[
    // files and folders, which Landlock looks at
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_lseek,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_copy_file_range,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_umask,
    libc::SYS_utimensat,
    libc::SYS_io_setup,
    libc::SYS_io_submit,
    libc::SYS_io_getevents,
    libc::SYS_io_destroy,
    // memory
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_mincore,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_get_mempolicy,
    // threads, time, signals of one's own
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_get_priority_max,
    libc::SYS_getcpu,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_delete,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    // what it is told of itself
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_capget,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    // waiting, and the connections of its clients
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_pipe2,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_socketpair,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendfile,
    // the walls themselves
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
];

/// Older forms of the same, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OLDER: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_readlink,
    libc::SYS_chmod,
    libc::SYS_getdents,
    libc::SYS_pipe,
    libc::SYS_dup2,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OLDER: &[i64] = &[];

/// `prctl`'s operations: names of threads and of memory, the parent's death, the walls.
const PRCTL: [u64; 6] = [
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_SET_PDEATHSIG as u64,
    libc::PR_SET_NO_NEW_PRIVS as u64,
    libc::PR_GET_NO_NEW_PRIVS as u64,
    libc::PR_SET_VMA as u64,
];

fn calls() -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let when = |argument: u8, operator: SeccompCmpOp, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(|e| text(&e))
    };
    let own = u64::from(std::process::id());
    let thread = libc::CLONE_THREAD as u64;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_OLDER).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_kill, vec![when(0, SeccompCmpOp::Eq, own)?]);
    rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, own)?]);
    rules.insert(libc::SYS_prlimit64, vec![when(0, SeccompCmpOp::Eq, 0)?, when(0, SeccompCmpOp::Eq, own)?]);
    let operations = PRCTL.iter().map(|operation| when(0, SeccompCmpOp::Eq, *operation));
    rules.insert(libc::SYS_prctl, operations.collect::<Result<_, _>>()?);
    let arch = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| text(&e))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow, arch)
        .map_err(|e| text(&e))?;
    let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| text(&e))?;
    seccompiler::apply_filter(&program).map_err(|e| text(&e))
}
