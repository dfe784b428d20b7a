//! The second wall behind the analyst's guard: what the kernel lets this process do.
//!
//! Guarantee, on a kernel with Landlock: no thread started after [`enter`] opens a file outside of the engine's own folder,
//! the engine's configuration, the library, the system's libraries and time zones, and a few figures of `/proc` and `/sys`;
//! in particular neither `/proc/self/environ` nor the passwords' file. On x86-64 and aarch64, with seccomp: it starts no
//! program, traces nothing, makes no socket but local pairs and connects nowhere. What the kernel lacks is logged, and the
//! store goes on: grants and guard stand without it.

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
pub(super) fn enter(engine: &Path, config: &Path, library: &Path) {
    match files(engine, config, library) {
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
    match calls() {
        Ok(()) => tracing::info!("programs and outgoing connections are closed by seccomp"),
        Err(error) => tracing::warn!(error, "system calls could not be limited"),
    }
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

/// System calls that fail with EPERM. Sockets: pairs stay (`socketpair`), which is what the runtime's signals use.
fn calls() -> Result<(), String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_io_uring_setup,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_open_by_handle_at,
        libc::SYS_userfaultfd,
        libc::SYS_mknodat,
        libc::SYS_pidfd_getfd,
    ]
    .into_iter()
    .map(|call| (call, Vec::new()))
    .collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_fork, libc::SYS_vfork, libc::SYS_mknod].map(|call| (call, Vec::new())));
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let not_local = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|e| text(&e))?;
    rules.insert(libc::SYS_socket, vec![not_local]);
    let arch = std::env::consts::ARCH.try_into().map_err(|e: seccompiler::BackendError| text(&e))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), arch)
        .map_err(|e| text(&e))?;
    let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| text(&e))?;
    seccompiler::apply_filter(&program).map_err(|e| text(&e))
}
