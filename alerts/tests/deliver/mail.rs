//! Mail, by a real SMTP server.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use schemas::records::{AlertOutbox, DeliveryState};
use serde_json::{Value, json};

use crate::support::{Bench, message, python, script};

struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl Server {
    fn start(python: &str, dir: &std::path::Path, tls: bool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(python);
        command.arg(script("mail.py")).arg(dir.join("certificate")).arg(dir.join("key"));
        command.args([port.to_string().as_str(), "hw", "pass word"]);
        if tls {
            command.arg("tls");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().expect("it says that it is there").unwrap();
        assert!(ready.contains("ready"));
        Self { child, lines, port }
    }
    fn mail(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_by_tls_only_and_belongs_together() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("certificate"), made.cert.pem()).unwrap();
    std::fs::write(dir.path().join("key"), made.signing_key.serialize_pem()).unwrap();
    let mut bench = Bench::new().await;
    bench.settings.targets =
        runtime::targets::Targets::new(&["localhost".to_owned()], &runtime::targets::PORTS).unwrap();
    bench.settings.certificates = vec![made.cert.der().clone()];
    bench.settings.schedule = alerts::deliver::schedule::Schedule::of(Vec::new());
    let (mut starttls, mut tls) = (Server::start(&python, dir.path(), false), Server::start(&python, dir.path(), true));
    let channel = |port: u16, tls: &str, password: &str, to: &str| {
        json!({"name": "m", "type": "email", "config": {"host": "localhost", "port": port, "username": "hw", "password": password,
            "sender": "alerts@hw.example", "recipients": [to], "tls": tls}})
    };
    bench.channels.put("start", channel(starttls.port, "starttls", "pass word", "ops@x.example"));
    bench.channels.put("tls", channel(tls.port, "tls", "pass word", "ops@x.example"));
    bench.channels.put("wrong", channel(starttls.port, "starttls", "another", "ops@x.example"));
    bench.channels.put("nobody", channel(starttls.port, "starttls", "pass word", "refuse@x.example"));
    bench.channels.put("later", channel(starttls.port, "starttls", "pass word", "later@x.example"));
    let mut some = channel(starttls.port, "starttls", "pass word", "ops@x.example");
    some["config"]["recipients"] = json!(["ops@x.example", "refuse@x.example", "night@x.example"]);
    bench.channels.put("some", some);
    let mut none = channel(starttls.port, "starttls", "pass word", "refuse@x.example");
    none["config"]["recipients"] = json!(["refuse@x.example", "refuse@y.example"]);
    bench.channels.put("none", none);
    let waits = [("soon", "ops@x.example", 2), ("busy", "night@x.example", 3), ("away", "later@y.example", 3)];
    for (id, first, _) in waits {
        let mut waits = channel(starttls.port, "starttls", "pass word", first);
        waits["config"]["recipients"] = json!([first, "later@x.example"]);
        bench.channels.put(id, waits);
    }
    let running = bench.start();
    let mut first = message("start", "A", "alert.firing", 1);
    first.body = first.body.replace("Router <fails>", "Router\\r\\nBcc: evil@x.example");
    bench.write(&[first]).await;
    bench.ended(1).await;
    let resolved = message("start", "A", "alert.resolved", 2);
    bench.write(&[resolved.clone(), message("tls", "A", "alert.firing", 1)]).await;
    bench.write(&["wrong", "nobody", "later"].map(|channel| message(channel, "A", "alert.firing", 1))).await;
    bench.ended(6).await;
    bench.write(&["some", "none"].map(|channel| message(channel, "A", "alert.firing", 1))).await;
    bench.ended(8).await;
    let tried = |(id, _, attempts)| AlertOutbox { attempts, ..message(id, "A", "alert.firing", 1) };
    bench.write(&waits.map(tried)).await;
    let deliveries = bench.ended(11).await;
    running.stop().await;

    let one = starttls.mail();
    assert_eq!(
        (&one["from"], &one["to"], &one["tls"]),
        (&json!("alerts@hw.example"), &json!(["ops@x.example"]), &json!(true))
    );
    let headers = &one["headers"];
    assert!(headers["subject"].as_str().unwrap().starts_with("Firing: Router  Bcc: evil"), "{headers}");
    assert!(headers.get("bcc").is_none() && headers["auto-submitted"] == "auto-generated");
    assert_eq!(headers["message-id"], "<A.start@hw.example>");
    let text = one["text"].as_str().unwrap();
    assert!(
        text.contains("12 failed, 88 successful") && text.contains("Acknowledge: https://hw.example/ack/"),
        "{text}"
    );
    let two = starttls.mail();
    assert_eq!(two["headers"]["message-id"], format!("<{}@hw.example>", resolved.id));
    assert_eq!(
        (&two["headers"]["references"], &two["headers"]["in-reply-to"]),
        (&headers["message-id"], &headers["message-id"])
    );
    assert_eq!(tls.mail()["tls"], true);
    // One that is refused keeps it from nobody else, and is named.
    let three = starttls.mail();
    assert_eq!(three["to"], json!(["ops@x.example", "night@x.example"]));
    assert_eq!(three["headers"]["message-id"], "<A.some@hw.example>");
    assert_eq!(starttls.mail()["to"], json!(["night@x.example"]));

    let of = |id: &str| deliveries.iter().find(|d| d.channel_id == id && d.kind != "channel.disabled").unwrap();
    let disabled = |id: &str| deliveries.iter().any(|d| d.channel_id == id && d.kind == "channel.disabled");
    assert_eq!((of("wrong").status, disabled("wrong")), (Some(535), true), "{:?}", of("wrong"));
    assert_eq!((of("nobody").status, disabled("nobody")), (Some(550), false), "{:?}", of("nobody"));
    assert_eq!((of("later").status, of("later").state, disabled("later")), (Some(451), DeliveryState::Failed, false));
    let told = |id: &str| of(id).error.clone().unwrap_or_default();
    assert_eq!((of("some").status, of("some").state), (Some(250), DeliveryState::Sent));
    assert!(told("some").starts_with("the server refuses refuse@x.example: ") && told("some").contains("550"));
    // One that is not taken for now keeps it from the others three times, and is named then.
    for id in ["soon", "away"] {
        assert_eq!((of(id).status, of(id).state, disabled(id)), (Some(451), DeliveryState::Failed, false), "{id}");
    }
    assert_eq!((of("busy").status, of("busy").state), (Some(250), DeliveryState::Sent));
    assert!(told("busy").starts_with("the server refuses later@x.example: ") && told("busy").contains("451"));
    assert!(told("away").contains("later@y.example, later@x.example"), "{:?}", of("away"));
    assert_eq!((of("none").status, of("none").state), (Some(550), DeliveryState::Failed));
    assert!(told("none").contains("refuse@x.example, refuse@y.example"), "{:?}", of("none"));
    assert!(deliveries.iter().all(|d| !format!("{d:?}").contains("pass word")));
}
