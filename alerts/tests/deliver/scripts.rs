//! Programs as receivers.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use runtime::scripts::Scripts;
use schemas::records::DeliveryState;
use serde_json::{Value, json};

use crate::support::{Bench, message};

fn program(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_reads_the_message_and_no_shell_does() {
    let mut bench = Bench::new().await;
    bench.settings.schedule = alerts::deliver::schedule::Schedule::of(Vec::new());
    let (dir, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
    bench.settings.scripts = Scripts::of(true, dir.path());
    let out = open.path().join("out");
    let good = program(
        dir.path(),
        "good",
        "#!/bin/sh\nif [ -n \"$HOME$CARGO_MANIFEST_DIR\" ]; then exit 9; fi\n{ id -u; echo \"$1\"; echo \"$HEADWATER_MESSAGE_TYPE\"; cat; } > \"$2\"\n",
    );
    let slow = program(dir.path(), "slow", "#!/bin/sh\nsleep 60 & sleep 60\n");
    let loud = program(dir.path(), "loud", "#!/bin/sh\nhead -c 10000000 /dev/zero | tr '\\0' x\necho no >&2\nexit 3\n");
    let channel = |path: &str, arguments: Value| json!({"name": "s", "type": "script", "config": {"path": path, "arguments": arguments, "timeout_ms": 700}});
    bench.channels.put("good", channel(&good, json!(["$(touch /tmp/no); `id`", out.display().to_string()])));
    bench.channels.put("slow", channel(&slow, json!([])));
    bench.channels.put("loud", channel(&loud, json!([])));
    bench.channels.put("none", channel("none", json!([])));
    // Nobody's but the operator's: neither a shell, nor what a link or a way up leads to.
    bench.channels.put("shell", channel("/bin/sh", json!(["-c", format!("id > {}/shell", open.path().display())])));
    std::os::unix::fs::symlink("/bin/sh", dir.path().join("link")).unwrap();
    bench.channels.put("link", channel("link", json!(["-c", format!("id > {}/link", open.path().display())])));
    let all: Vec<_> =
        ["good", "slow", "loud", "none", "shell", "link"].map(|id| message(id, "A", "alert.firing", 1)).into();
    let running = bench.start();
    bench.write(&all).await;
    let deliveries = bench.ended(6).await;
    running.stop().await;
    let of = |id: &str| deliveries.iter().find(|d| d.channel_id == id).unwrap();
    assert_eq!((of("good").state, of("good").status), (DeliveryState::Sent, Some(0)), "{:?}", of("good"));
    let said = fs::read_to_string(&out).unwrap();
    let mut lines = said.lines();
    let uid = lines.next().unwrap();
    assert_ne!(uid, "0", "never as root");
    assert_eq!((lines.next(), lines.next()), (Some("$(touch /tmp/no); `id`"), Some("alert.firing")));
    let body: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(body["data"]["alert"]["id"], "A");
    assert!(of("slow").error.as_ref().unwrap().contains("700 ms"), "{:?}", of("slow"));
    assert_eq!(of("loud").status, Some(3));
    assert!(of("loud").error.as_ref().unwrap().contains("no"));
    for (id, words) in [("none", "is not there"), ("shell", "lies outside"), ("link", "leads out")] {
        let error = of(id).error.as_ref().unwrap();
        assert!(of(id).state == DeliveryState::Failed && of(id).attempt == 1 && error.contains(words), "{id}: {error}");
        assert!(!open.path().join(id).exists(), "{id}");
    }

    // Where the operator has not allowed it, nothing runs.
    fs::remove_file(&out).unwrap();
    bench.settings.scripts = Scripts::default();
    let running = bench.start();
    bench.write(&[message("good", "B", "alert.firing", 1)]).await;
    let deliveries = bench.ended(7).await;
    running.stop().await;
    assert!(deliveries.last().unwrap().error.as_ref().unwrap().contains("[alerts] scripts"));
    assert!(!out.exists());
}
