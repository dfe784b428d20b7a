//! Letters, by a real mail server; what their links do; and the second factor.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use api::Config;
use control::{Caller, Mode, Role};
use ring::hmac;
use runtime::config::{Auth, AuthMail, AuthMode, MailSecurity, SignUp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{
    Accounts, JSON, Keyed, LoggedIn,
    accounts::{HOME, PASSWORD},
};
use crate::http::{self, Answer};

const NEW: &str = "the goat stands in the sun";

/// A mail server that keeps what it is sent.
#[derive(Clone, Default)]
struct Post {
    letters: Arc<Mutex<Vec<String>>>,
}

impl Post {
    async fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (post, port) = (Self::default(), listener.local_addr().expect("an address").port());
        let ours = post.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(ours.clone().serve(stream));
            }
        });
        (post, port)
    }

    /// RFC 5321, as far as one letter goes.
    async fn serve(self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 post\r\n").await?;
        let mut letter = String::new();
        while let Some(line) = lines.next_line().await? {
            let answer = match line.split(' ').next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await?;
                    while let Some(line) = lines.next_line().await?
                        && line != "."
                    {
                        letter.push_str(&line);
                        letter.push('\n');
                    }
                    self.letters.lock().expect("unpoisoned").push(std::mem::take(&mut letter));
                    "250 taken"
                }
                "RCPT" => {
                    letter.push_str(&line);
                    letter.push('\n');
                    "250 fine"
                }
                "QUIT" => "221 bye",
                _ => "250 fine",
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.letters.lock().expect("unpoisoned").len()
    }

    /// The letter of this number, once it is there.
    async fn letter(&self, number: usize) -> String {
        let begun = Instant::now();
        while self.count() <= number {
            assert!(begun.elapsed() < Duration::from_secs(30), "no letter came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.letters.lock().expect("unpoisoned")[number].clone()
    }
}

/// What a letter's link has behind `#what=`.
fn token(letter: &str, what: &str) -> String {
    token_at(letter, "login", what)
}

/// The same of a link to this page.
fn token_at(letter: &str, page: &str, what: &str) -> String {
    // Long lines come quoted-printable (RFC 2045, 6.7).
    let letter = letter.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let link = letter.lines().find(|line| line.contains(&format!("#{what}="))).unwrap_or_else(|| panic!("{letter}"));
    assert!(link.starts_with(&format!("https://hw.example/{page}#")), "{link}");
    link.split_once('=').expect("a token").1.trim().to_owned()
}

async fn accounts(port: u16) -> Accounts {
    let mail = AuthMail {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailSecurity::None,
        login: None,
        from: "hw@hw.example".to_owned(),
    };
    let allow_targets = vec!["127.0.0.1".to_owned()];
    let (mode, sign_up) = (AuthMode::Accounts, SignUp::Open);
    let auth = Auth { mode, sign_up, mail: Some(mail), allow_targets, ..Auth::default() };
    let public_url = Some("https://hw.example".parse().expect("a URL"));
    let trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    let set = |config: Config| Config { auth, public_url, trusted_proxies, ..config };
    let keyed = Keyed::start_in(Mode::Accounts, &[], set).await;
    keyed.second_tenant().await;
    Accounts { keyed }
}

/// Each from an address of its own.
async fn send(accounts: &Accounts, method: &str, target: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let at = format!("203.0.{}.{}", fastrand::u8(..), fastrand::u8(..));
    let ours = [JSON, ("X-Forwarded-For", at.as_str())];
    let headers: Vec<(&str, &str)> = ours.iter().chain(headers).copied().collect();
    let target = format!("/api/v1/auth/{target}");
    http::exchange(accounts.keyed.api.at, method, &target, &headers, body.to_string().as_bytes()).await
}

async fn post(accounts: &Accounts, target: &str, body: &Value) -> Answer {
    send(accounts, "POST", target, &[], body).await
}

async fn log_in(accounts: &Accounts, password: &str, code: Option<&str>) -> Answer {
    let mut body = json!({"email": "p1@example.org", "password": password});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    post(accounts, "login", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_by_a_letter_once_and_nobody_else_hears_of_it() {
    let (mail, port) = Post::start().await;
    let accounts = accounts(port).await;
    accounts.person(1, Role::Owner, HOME).await;
    assert_eq!(accounts.keyed.api.get("/api/v1/auth/ways").await.json()["reset"], true);
    let before = accounts.log_in(1).await;
    // One answer for everybody, whatever a request says of its host.
    let mut answers = Vec::new();
    for email in ["nobody@example.org", "P1@example.org", "no address at all"] {
        let headers = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")];
        let answer = send(&accounts, "POST", "reset", &headers, &json!({ "email": email })).await;
        answers.push((answer.status, answer.text()));
    }
    assert_eq!(answers, vec![(202, String::new()); 3]);
    let letter = mail.letter(0).await;
    assert!(
        letter.contains("RCPT TO:<p1@example.org>") && letter.contains("Auto-Submitted: auto-generated"),
        "{letter}"
    );
    assert!(!letter.contains("evil"), "{letter}");
    let token = token(&letter, "reset");
    for (what, body) in [
        ("another token", json!({"token": "x".repeat(32), "password": NEW})),
        ("a changed one", json!({"token": format!("{token}x"), "password": NEW})),
        ("none", json!({"token": "", "password": NEW})),
        ("a password that will not do", json!({"token": token, "password": "short"})),
        ("a field too many", json!({"token": token, "password": NEW, "email": "p2@example.org"})),
    ] {
        assert_eq!(post(&accounts, "reset/confirm", &body).await.status, 422, "{what}");
    }
    let body = json!({"token": token, "password": NEW});
    assert_eq!(post(&accounts, "reset/confirm", &body).await.status, 204);
    let again = post(&accounts, "reset/confirm", &body).await;
    assert_eq!((again.status, &again.json()["errors"][0]["path"]), (422, &json!("token")), "once");
    assert_eq!(log_in(&accounts, PASSWORD, None).await.status, 401, "the former password");
    assert_eq!(accounts.me(&[("Cookie", &before.cookie)]).await.status, 401, "every session has ended");
    let answer = log_in(&accounts, NEW, None).await;
    let owner = LoggedIn::of(&answer);
    let audit = accounts.keyed.api.get_with("/api/v1/audit", &[("Cookie", &owner.cookie)]).await;
    assert!(audit.text().contains("user.reset"), "{}", audit.text());
    assert_eq!(mail.count(), 1, "nobody else was sent one");
    // Of one account there are three letters an hour.
    for _ in 0..5 {
        assert_eq!(post(&accounts, "reset", &json!({"email": "p1@example.org"})).await.status, 202);
    }
    mail.letter(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(mail.count(), 3);
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_shown_to_be_ones_own_by_a_letter() {
    let (mail, port) = Post::start().await;
    let accounts = accounts(port).await;
    let id = accounts.person(1, Role::Viewer, HOME).await;
    let session = accounts.log_in(1).await;
    let headers = [("Cookie", session.cookie.as_str()), ("X-Headwater-Csrf", session.csrf.as_str())];
    let verified = async || accounts.me(&headers[..1]).await.json()["user"]["verified"].clone();
    assert_eq!(verified().await, false);
    assert_eq!(send(&accounts, "POST", "verify/send", &[], &json!({})).await.status, 401);
    assert_eq!(send(&accounts, "POST", "verify/send", &headers, &json!({})).await.status, 202);
    let token = token(&mail.letter(0).await, "verify");
    let mut changed = token.clone();
    changed.replace_range(25..26, if &token[25..26] == "A" { "B" } else { "A" });
    for wrong in [changed, format!("{token}0"), token.replace('.', ""), "..".to_owned(), String::new()] {
        let answer = send(&accounts, "POST", "verify", &headers, &json!({ "token": wrong })).await;
        assert_eq!(answer.status, 422, "{wrong}");
    }
    let proof = json!({ "token": token });
    let verify = async |headers: &[(&str, &str)]| send(&accounts, "POST", "verify", headers, &proof).await.status;
    // It wants its person: by a click nobody proves the address of an account that another made.
    accounts.person(2, Role::Viewer, HOME).await;
    let other = accounts.log_in(2).await;
    let theirs = [("Cookie", other.cookie.as_str()), ("X-Headwater-Csrf", other.csrf.as_str())];
    assert_eq!((verify(&[]).await, verify(&theirs).await, verify(&headers[..1]).await), (401, 422, 403));
    // It is of the address that it was sent to.
    accounts.keyed.sql(&format!("UPDATE users SET email = 'q@example.org' WHERE user_id = '{id}'")).await;
    assert_eq!(verify(&headers).await, 422);
    accounts.keyed.sql(&format!("UPDATE users SET email = 'p1@example.org' WHERE user_id = '{id}'")).await;
    assert_eq!(verify(&headers).await, 204);
    assert_eq!(verified().await, true);
    // Three letters of a kind an hour go to an address, whoever wishes them.
    for _ in 0..5 {
        assert_eq!(send(&accounts, "POST", "verify/send", &headers, &json!({})).await.status, 202);
    }
    mail.letter(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(mail.count(), 3);
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_tells_nobody_but_the_address_itself_whether_it_has_an_account() {
    let (mail, port) = Post::start().await;
    let accounts = accounts(port).await;
    accounts.person(1, Role::Owner, HOME).await;
    let body = |email: &str| json!({"email": email, "password": PASSWORD, "organisation": "O"});
    let mut answers = Vec::new();
    for (n, email) in ["New@Example.org", "P1@example.org"].iter().enumerate() {
        let answer = post(&accounts, "sign-up", &body(email)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let names = ["set-cookie", "content-length", "content-type", "cache-control"];
        let headers = names.map(|name| answer.header(name).map(str::to_owned));
        answers.push((answer.status, answer.text(), headers));
        mail.letter(n).await;
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((answers[0].0, answers[0].1.as_str(), &answers[0].2[0]), (202, "", &None));
    // Mistakes are told, of both alike.
    for email in ["new@example.org", "p1@example.org"] {
        let (mut short, mut nameless) = (body(email), body(email));
        (short["password"], nameless["organisation"]) = (json!("short"), json!(" "));
        assert_eq!(post(&accounts, "sign-up", &short).await.status, 422);
        assert_eq!(post(&accounts, "sign-up", &nameless).await.status, 422);
    }
    let (first, second) = (mail.letter(0).await, mail.letter(1).await);
    assert!(first.contains("RCPT TO:<new@example.org>"), "{first}");
    assert!(second.contains("RCPT TO:<p1@example.org>") && second.contains("tried to sign up"), "{second}");
    assert!(!second.contains('#'), "{second}");
    let token = token_at(&first, "sign-up", "confirm");
    let confirm =
        async |password: &str| post(&accounts, "sign-up/confirm", &json!({"token": token, "password": password})).await;
    // There is no account before the link, nor by the link alone.
    let login = json!({"email": "new@example.org", "password": PASSWORD});
    assert_eq!(post(&accounts, "login", &login).await.status, 401);
    let wrong = confirm(NEW).await;
    assert_eq!((wrong.status, &wrong.json()["errors"][0]["path"]), (422, &json!("password")));
    let session = LoggedIn::of(&confirm(PASSWORD).await);
    let me = accounts.me(&[("Cookie", &session.cookie)]).await.json();
    assert_eq!((&me["user"]["email"], &me["role"]), (&json!("new@example.org"), &json!("owner")));
    assert_eq!(me["user"]["verified"], true);
    let again = confirm(PASSWORD).await;
    assert_eq!((again.status, &again.json()["errors"][0]["path"]), (422, &json!("token")), "once");
    // Whoever was invited has an account by a letter, too: who invites an address learns nothing of it.
    let who = accounts.keyed.operator.at_home();
    let control = accounts.keyed.operator.control();
    for email in ["guest@example.org", "new@example.org"] {
        let invited = control.invite(Caller::here(&who), email, Role::Viewer).await.expect("invited");
        let body = json!({"email": email, "password": PASSWORD, "invitation": invited.token.expose()});
        assert_eq!(post(&accounts, "sign-up", &body).await.status, 202, "{email}");
    }
    accounts.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_there_are_no_letters() {
    let accounts = Accounts::start(&[]).await;
    assert_eq!(accounts.post("/api/v1/auth/reset", &[], &json!({"email": "p1@example.org"})).await.status, 404);
    accounts.stop().await;
}

/// The code of a secret in base 32, so many steps from now (RFC 6238).
fn code(secret: &str, steps: i64) -> String {
    let mut bits = (0u64, 0u32);
    let mut bytes = Vec::new();
    for c in secret.bytes() {
        let value = if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
        bits = (bits.0 << 5 | u64::from(value), bits.1 + 5);
        if bits.1 >= 8 {
            bits.1 -= 8;
            bytes.push((bits.0 >> bits.1) as u8);
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let step = now as i64 / 30 + steps;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes), &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let four: [u8; 4] = tag.as_ref()[at..at + 4].try_into().expect("four");
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_wanted_once_it_has_worked_and_each_code_is_good_once() {
    let (_, port) = Post::start().await;
    let accounts = accounts(port).await;
    accounts.person(1, Role::Owner, HOME).await;
    accounts.person(2, Role::Owner, HOME).await;
    let (session, other) = (accounts.log_in(1).await, accounts.log_in(2).await);
    let headers = [("Cookie", session.cookie.as_str()), ("X-Headwater-Csrf", session.csrf.as_str())];
    let theirs = [("Cookie", other.cookie.as_str()), ("X-Headwater-Csrf", other.csrf.as_str())];
    let wrong = send(&accounts, "POST", "totp", &headers, &json!({"password": "wrong wrong wrong"})).await;
    assert_eq!((wrong.status, &wrong.json()["errors"][0]["path"]), (422, &json!("password")));
    let begun = send(&accounts, "POST", "totp", &headers, &json!({ "password": PASSWORD })).await;
    assert_eq!((begun.status, begun.header("cache-control")), (200, Some("no-store")), "{}", begun.text());
    let begun = begun.json();
    let text = |name: &str| begun[name].as_str().expect(name).to_owned();
    let (secret, enrolment) = (text("secret"), text("enrolment"));
    assert!(text("uri").contains(&secret) && !enrolment.contains(&secret));
    assert_eq!(log_in(&accounts, PASSWORD, None).await.status, 200, "nothing is set yet");
    // Neither with a wrong code, nor by somebody else.
    let set = async |headers: &[(&str, &str)], code: &str| {
        send(&accounts, "POST", "totp/confirm", headers, &json!({"enrolment": enrolment, "code": code})).await
    };
    assert_eq!(set(&headers, "000000x").await.status, 422);
    assert_eq!(set(&theirs, &code(&secret, 0)).await.status, 422);
    let first = code(&secret, 0);
    let done = set(&headers, &first).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let recovery: Vec<String> = serde_json::from_value(done.json()["recovery_codes"].clone()).expect("codes");
    assert_eq!(recovery.len(), 10);
    assert_eq!(accounts.me(&headers[..1]).await.json()["user"]["totp"], true);
    // The password alone is not enough, and says so to who knows it alone.
    let wanted = log_in(&accounts, PASSWORD, None).await;
    assert_eq!((wanted.status, &wanted.json()["type"]), (401, &json!("/problems/code-required")));
    assert_ne!(log_in(&accounts, "wrong wrong wrong", None).await.json()["type"], "/problems/code-required");
    assert_eq!(log_in(&accounts, PASSWORD, Some(&first)).await.status, 401, "it was used to set it");
    let next = code(&secret, 1);
    assert_eq!(log_in(&accounts, PASSWORD, Some(&next)).await.status, 200);
    assert_eq!(log_in(&accounts, PASSWORD, Some(&next)).await.status, 401, "once");
    assert_eq!(log_in(&accounts, PASSWORD, Some(&recovery[0])).await.status, 200);
    accounts.keyed.sql("DELETE FROM sign_in_attempts").await;
    assert_eq!(log_in(&accounts, PASSWORD, Some(&recovery[0])).await.status, 401, "once");
    // Who has a session and no code does not lift it.
    let lift = async |code: &str| send(&accounts, "DELETE", "totp", &headers, &json!({ "code": code })).await.status;
    assert_eq!(lift("000000x").await, 422);
    accounts.keyed.sql("DELETE FROM sign_in_attempts").await;
    assert_eq!(lift(&recovery[1]).await, 204);
    assert_eq!(lift(&recovery[2]).await, 404, "there is none");
    assert_eq!(log_in(&accounts, PASSWORD, None).await.status, 200);
    accounts.stop().await;
}
