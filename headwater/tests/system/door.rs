//! The door of the binary: shut beyond loopback unless it is told whom to let in, and opened by the key that the first start prints.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::common::{Headwater, binary};

#[test]
fn where_everybody_is_let_in_no_start_listens_beyond_loopback() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("hw.toml");
    for (text, key) in [
        ("[api]\nlisten = \"0.0.0.0:0\"\n", "api.listen"),
        ("[admin]\nlisten = \"[::]:0\"\n", "admin.listen"),
        ("[auth]\nmode = \"none\"\n[api]\nlisten = \"10.1.2.3:0\"\n", "api.listen"),
    ] {
        std::fs::write(&file, format!("[data]\ndir = \"data\"\n{text}")).expect("write");
        for command in ["check", "up"] {
            let output = Command::new(binary()).arg(command).arg("--config").arg(&file).output().expect("runs");
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{command} {text}: {told}");
            assert!(told.contains(key) && told.contains("mode = \"keys\""), "{told}");
        }
        assert!(!dir.path().join("data").exists(), "nothing was begun");
    }
    // What the command line says is under the same rule.
    std::fs::write(&file, "[data]\ndir = \"data\"\n[log]\nkafka = \"127.0.0.1:1\"\n[store]\nurl = \"http://127.0.0.1:1\"\npassword = \"p\"\n")
        .expect("write");
    let output =
        Command::new(binary()).args(["api", "--listen", "0.0.0.0:0", "--config"]).arg(&file).output().expect("runs");
    assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_key_of_the_first_start_opens_the_door_until_it_is_revoked() {
    let mut headwater = Headwater::new(&[]);
    let text = std::fs::read_to_string(&headwater.config).expect("read");
    std::fs::write(&headwater.config, text + "[auth]\nmode = \"keys\"\n").expect("write");
    headwater.start();
    let printed = |said: &str| -> Vec<String> {
        said.lines().filter_map(|line| line.strip_prefix("operator key: ").map(str::to_owned)).collect()
    };
    let key = headwater.until("the first key", async |h| printed(&h.said()).pop()).await;
    let client = reqwest::Client::new();
    let url = format!("{}/api/v1/keys", headwater.api);
    let ask = async |key: Option<&str>| {
        let request = client.get(&url).timeout(Duration::from_secs(20));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.ok().map(|answer| answer.status().as_u16())
    };
    headwater.until("the API", async |_| ask(None).await).await;
    assert_eq!((ask(None).await, ask(Some("hw_x")).await, ask(Some(&key)).await), (Some(401), Some(401), Some(200)));
    // Killed while requests are counted: no more than those of the last 5 s are lost, and none counts twice.
    let (mut answered, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(ask(Some(&key)).await, Some(200));
        answered.push(Instant::now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    headwater.kill();
    let sure = answered.iter().filter(|at| at.elapsed() > Duration::from_secs(5)).count();
    // Said once: not by the next start, nor in a file of ours.
    headwater.start();
    let mut asked = 1;
    while ask(Some(&key)).await != Some(200) {
        asked += 1;
        assert!(begun.elapsed() < Duration::from_secs(120), "the API:\n{}", headwater.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let usage =
        client.get(format!("{}/api/v1/usage", headwater.api)).bearer_auth(&key).send().await.expect("an answer");
    let usage: serde_json::Value = serde_json::from_str(&usage.text().await.expect("text")).expect("JSON");
    let mut quotas = usage["quotas"].as_array().expect("quotas").iter();
    let used = quotas.find(|quota| quota["name"] == "requests_per_day").and_then(|quota| quota["used"].as_u64());
    let used = used.expect("a number") as usize;
    // Those of before and after, this one included; at midnight (UTC) it would begin anew.
    assert!(
        sure > 0 && (sure..=answered.len() + asked + 3).contains(&used),
        "{sure} of {} sure: {used}",
        answered.len()
    );
    assert_eq!(printed(&headwater.said()), vec![key.clone()]);
    let list = Command::new(binary()).args(["keys", "list", "--config"]).arg(&headwater.config).output().expect("runs");
    let list = String::from_utf8(list.stdout).expect("text");
    let id = list.lines().nth(1).and_then(|line| line.split('\t').next()).expect("its id").to_owned();
    let revoke = Command::new(binary()).args(["keys", "revoke", &id, "--config"]).arg(&headwater.config).output();
    assert_eq!(revoke.expect("runs").status.code(), Some(0));
    let revoked = Instant::now();
    while ask(Some(&key)).await == Some(200) {
        assert!(revoked.elapsed() < Duration::from_secs(5), "it goes on to work");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(headwater.stop(), Some(0));
}
