//! Programs of the operator's as receivers (`[alerts] scripts`). Which ones there are, [`runtime::scripts`] says, before every attempt.
//!
//! Guarantee: no shell reads anything of a message. The program has an empty environment but for a path and the message's id and type,
//! nothing of ours open, a process group of its own that is killed whole when its time is over, and, where we are root, the user `nobody`. Its
//! output is read up to a limit; what it writes further is read and thrown away, so that it never waits for us.

use std::{path::Path, process::Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use schemas::limits::alerts as limits;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use super::channels::{Call, Verdict};

/// User and group that own nothing.
const NOBODY: u32 = 65_534;
/// Where programs that it calls are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs a program by its real path. Exit status 0 is delivered, another one is a failure that is tried again; the status is told.
pub async fn run(program: &Path, call: &Call) -> (Verdict, Option<u16>) {
    let mut command = Command::new(program);
    command
        .args(&call.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("HEADWATER_MESSAGE_ID", &call.id)
        .env("HEADWATER_MESSAGE_TYPE", &call.kind)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = match command.spawn() {
        Ok(child) => Group(child),
        Err(error) => return (Verdict::retry(format!("it cannot be started: {error}")), None),
    };
    let (stdin, out, err) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
    let feeding = async {
        if let Some(mut stdin) = stdin {
            // One that does not read its input may still be right.
            let _ = stdin.write_all(&call.input).await;
        }
    };
    let all = async { tokio::join!(child.0.wait(), feeding, kept(out), kept(err)) };
    match timeout(call.within, all).await {
        Ok((Ok(status), (), _, _)) if status.success() => (Verdict::Sent { thread: None, hold: None }, Some(0)),
        Ok((Ok(status), (), out, err)) => {
            let said = if err.trim().is_empty() { out } else { err };
            let code = status.code().and_then(|code| u16::try_from(code).ok());
            (Verdict::retry(format!("it ended with {status}: {}", said.trim())), code)
        }
        Ok((Err(error), ..)) => (Verdict::retry(format!("nothing is known of its end: {error}")), None),
        Err(_) => {
            (Verdict::retry(format!("it did not end within {} ms, and was killed", call.within.as_millis())), None)
        }
    }
}

/// A child whose process group ends with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it was waited for; then only what it left behind could still be there, and its number may be somebody else's.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// The beginning of an output, as text; all of it is read.
async fn kept(output: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut output) = output else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), [0u8; 1_024]);
    while let Ok(bytes @ 1..) = output.read(&mut piece).await {
        let room = limits::SCRIPT_OUTPUT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(piece.get(..bytes.min(room)).unwrap_or_default());
    }
    String::from_utf8_lossy(&kept).into_owned()
}
