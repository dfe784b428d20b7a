//! `headwater keys`, `audit` and `control` as operators have them, on a SQLite store of their own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::common::binary;

struct Place {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("hw.toml");
        std::fs::write(&file, format!("[data]\ndir = \"data\"\n{more}")).expect("written");
        Self { dir, file }
    }

    fn run(&self, args: &[&str]) -> Output {
        let file = self.file.to_string_lossy();
        Command::new(binary()).args(args).args(["--config", &file]).env("USER", "olga").output().expect("run headwater")
    }

    fn good(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("data/control/control.db")
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes other bytes of the same length over every place where these stand.
fn flip(file: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(file).expect("the database");
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|w| w == from.as_bytes()) {
        bytes[at + found..][..to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
    }
    assert!(at > 0, "{from} is nowhere");
    std::fs::write(file, bytes).expect("written");
}

#[test]
fn operators_make_list_rotate_and_revoke_keys_and_verify_the_audit() {
    let place = Place::new("");
    let would = place.good(&["control", "migrate", "--dry-run"]);
    assert!(
        would.contains("CREATE TABLE tenants") && !place.dir.path().join("data").exists(),
        "a dry run makes nothing"
    );
    assert_eq!(place.good(&["audit", "verify"]), "default\t0\t-\n");

    let scopes = ["--scope", "contracts:write", "--scope", "*:read", "--network", "a", "--expires", "90d"];
    let key = place.good(&[&["keys", "new", "zebra"][..], &scopes].concat());
    let key = key.trim_end();
    assert!(key.starts_with("hw_") && key.len() == 34, "{key}");
    let list = place.good(&["keys", "list"]);
    let cells: Vec<&str> = list.lines().nth(1).expect("one key").split('\t').collect();
    assert_eq!(cells[1..6], [&key[..11], "zebra", "*:read contracts:write", "a", "operator"]);
    let rotated = place.good(&["keys", "rotate", cells[0], "--overlap", "10m"]);
    assert!(rotated.starts_with("hw_") && rotated.trim_end() != key);
    place.good(&["keys", "revoke", cells[0]]);
    assert!(place.good(&["keys", "list"]).contains("revoked 20"));
    let gone = place.run(&["keys", "revoke", "01J00000000000000000000000"]);
    assert!(gone.status.code() == Some(1) && err(&gone).contains("headwater keys list"), "{}", err(&gone));

    for (args, words) in [
        (&["keys", "new", "x", "--scope", "contract:read"][..], "did you mean `contracts`?"),
        (&["keys", "new", "x"], "--scope"),
        (&["keys", "new", "x", "--scope", "*:*", "--expires", "soon"], "such as 90d"),
        (&["keys", "new", "x", "--scope", "*:*", "--expires", "1s"], "1m to 3650d"),
        (&["keys", "new", "x", "--scope", "*:*", "--network", "A B"], "network slug"),
    ] {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(words), "{args:?}: {}", err(&output));
    }

    let fits = place.good(&["audit", "verify"]);
    assert!(fits.starts_with("default\t3\t") && fits.trim_end().len() == "default\t3\t".len() + 64, "{fits}");
    // No key is in the database, nor in what the commands said of it.
    let bytes = std::fs::read(place.database()).expect("the database");
    assert!(!bytes.windows(22).any(|w| w == &key.as_bytes()[12..]));

    // One bit of one letter of the audit: `zebra` was made, `zebrc` it says now.
    flip(&place.database(), "zebra", "zebrc");
    let wrong = place.run(&["audit", "verify"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(err(&wrong).contains("tenant default: entry 1 (01"), "{}", err(&wrong));
    assert!(wrong.stdout.is_empty(), "nothing is said to fit");
    flip(&place.database(), "zebrc", "zebra");
    assert_eq!(place.good(&["audit", "verify"]), fits);

    // Another secret is told at once.
    std::fs::write(place.dir.path().join("data/control/secret"), "0".repeat(64)).expect("written");
    let wrong = place.run(&["audit", "verify"]);
    assert!(wrong.status.code() == Some(78) && err(&wrong).contains("another secret"), "{}", err(&wrong));
}

#[test]
fn check_says_where_the_control_store_is_and_what_is_wrong_with_it() {
    let place = Place::new("");
    let said = err(&place.run(&["check"]));
    assert!(
        said.contains("tenants, keys and contracts in sqlite:") && said.contains("data/control/control.db"),
        "{said}"
    );
    let place = Place::new("[control]\nurl = \"postgres://w:hunter2@db.example/hw\"\nsceret = \"x\"\n");
    let output = place.run(&["check"]);
    let said = err(&output);
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("hw.toml:5:1") && said.contains("did you mean `secret`?"), "{said}");
    assert!(said.contains("is missing beside PostgreSQL") && !said.contains("hunter2"), "{said}");
    let place = Place::new(&format!(
        "[control]\nurl = \"postgres://w:hunter2@127.0.0.1:1/hw\"\nsecret = \"{}\"\n",
        "x".repeat(32)
    ));
    let output = place.run(&["keys", "list"]);
    assert!(output.status.code() == Some(1) && err(&output).contains("the control store is away"), "{}", err(&output));
    assert!(!err(&output).contains("hunter2"));
    // The same role migrates, where no other is named.
    let output = place.run(&["control", "migrate"]);
    assert!(output.status.code() == Some(1) && err(&output).contains("the control store is away"), "{}", err(&output));
}
