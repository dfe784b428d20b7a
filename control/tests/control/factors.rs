//! Second factors, letters' links and identities, on both databases: what is good once is good once, whoever tries at the same time.

use std::time::Duration;

use control::{Authenticated, Caller, Control, Error, Id, Mode, Origin, Role, SignIn, Trust, Visit};
use ring::hmac;
use runtime::config::Secret;
use schemas::TimeMs;

use crate::{
    common::{Store, both, key, new_key},
    people::fits,
};

const PASSWORD: &str = "the horse stands in the rain";
const NEW: &str = "the goat stands in the sun";
const HOME: &str = "00000000000000000000000000";
const ISSUER: &str = "https://id.example";

async fn open(store: &Store) -> Control {
    store.open_with(Mode::Accounts, Trust::default()).await
}

async fn person(store: &Store, control: &Control, number: u32) -> Authenticated {
    let (id, email) = (format!("01J0000000000000000000P{number:03}"), format!("p{number}@example.org"));
    let hash = control.hash_password(&Secret::new(PASSWORD), &[&email]).await.expect("a hash");
    let user = format!(
        "INSERT INTO users (user_id, email, name, password, created_at, updated_at, version) \
         VALUES ('{id}', '{email}', 'P {number}', '{hash}', 1, 1, 1)"
    );
    let member = format!(
        "INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) VALUES ('{HOME}', '{id}', '{}', 1, 1)",
        Role::Owner
    );
    store.raw.run(&user).await;
    store.raw.run(&member).await;
    let id: Id = id.parse().expect("an id");
    let begun = control.begin_person_session(&id, None, Duration::from_secs(3_600)).await.expect("a session");
    Authenticated::clone(&begun.who)
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
    let step = TimeMs::now().0 / 30_000 + steps;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes), &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let four: [u8; 4] = tag.as_ref()[at..at + 4].try_into().expect("four");
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

async fn sign_in(control: &Control, number: u32, password: &str, code: Option<&str>) -> Result<Id, Error> {
    let (email, password) = (format!("p{number}@example.org"), Secret::new(password));
    control.sign_in(SignIn { email: &email, password: &password, code, ip: None }).await.map(|signed| signed.user)
}

fn is_of(error: &Error, path: &str) -> bool {
    matches!(error, Error::Invalid(mistakes) if mistakes.iter().any(|m| m.path == path))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_try_one_code_at_once_one_comes_in() {
    both(async |store| {
        let control = open(&store).await;
        let (one, two) = (person(&store, &control, 1).await, person(&store, &control, 2).await);
        let (by, other) = (Caller::here(&one), Caller::here(&two));
        let begun = control.begin_second_factor(by, &Secret::new(PASSWORD)).await.expect("begun");
        let (secret, sealed) = (begun.secret.expose().to_owned(), begun.sealed.expose().to_owned());
        let refused = control.set_second_factor(other, &sealed, &code(&secret, 0)).await.expect_err("another's");
        assert!(is_of(&refused, "enrolment"), "{refused}");
        let codes = control.set_second_factor(by, &sealed, &code(&secret, 0)).await.expect("set");
        let refused = control.set_second_factor(by, &sealed, &code(&secret, 1)).await.expect_err("twice");
        assert!(is_of(&refused, "code"), "{refused}");
        let kept = store.raw.texts("SELECT totp FROM users WHERE totp IS NOT NULL").await.remove(0);
        assert!(!kept.contains(&secret) && codes.iter().all(|c| !kept.contains(c.expose())), "it is sealed");
        // The second factor of the one, put into the other's row, opens nothing.
        let id = two.user().expect("a person");
        store.raw.run(&format!("UPDATE users SET totp = '{kept}' WHERE user_id = '{id}'")).await;
        assert!(sign_in(&control, 2, PASSWORD, Some(&code(&secret, 1))).await.is_err());
        assert!(matches!(sign_in(&control, 1, PASSWORD, None).await, Err(Error::CodeWanted)));
        for code in [code(&secret, 1), codes[0].expose().to_owned(), codes[1].expose().replace('-', " ")] {
            store.raw.run("DELETE FROM sign_in_attempts").await;
            let tries = (0..4).map(|_| sign_in(&control, 1, PASSWORD, Some(&code)));
            let done = futures::future::join_all(tries).await;
            let good = done.iter().filter(|d| d.is_ok()).count();
            assert_eq!(good, 1, "{done:?}");
        }
        store.raw.run("DELETE FROM sign_in_attempts").await;
        let refused = control.lift_second_factor(by, codes[0].expose()).await.expect_err("a used one");
        assert!(is_of(&refused, "code"), "{refused}");
        control.lift_second_factor(by, codes[2].expose()).await.expect("lifted");
        assert!(matches!(control.lift_second_factor(by, codes[3].expose()).await, Err(Error::NotFound)));
        sign_in(&control, 1, PASSWORD, None).await.expect("by the password alone");
        let actions = store.raw.texts("SELECT action FROM audit_logs ORDER BY tenant_id, entry").await;
        assert!(actions.ends_with(&["user.factor_set".to_owned(), "user.factor_lift".to_owned()]), "{actions:?}");
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_sets_one_password_once_for_an_hour() {
    both(async |store| {
        let control = open(&store).await;
        let who = person(&store, &control, 1).await;
        let id = who.user().expect("a person");
        assert!(control.begin_reset("nobody@example.org").await.expect("asked").is_none());
        let (first, second) = (
            control.begin_reset(" P1@EXAMPLE.org ").await.expect("asked").expect("a letter"),
            control.begin_reset("p1@example.org").await.expect("asked").expect("a letter"),
        );
        assert_eq!(first.to, "p1@example.org");
        let kept = store.raw.texts("SELECT hash FROM password_resets").await;
        assert!(kept.len() == 2 && kept.iter().all(|hash| !hash.contains(first.token.expose())), "a hash is kept");
        // Linked by whoever made the account, of an address that nobody had proven yet.
        assert!(control.link_identity(Caller::here(&who), "https://id.example", "before").await.expect("linked"));
        let new = Secret::new(NEW);
        let tries = (0..4).map(|_| control.finish_reset(Origin::default(), first.token.expose(), &new));
        let done = futures::future::join_all(tries).await;
        assert_eq!(done.iter().filter(|d| d.is_ok()).count(), 1, "{done:?}");
        assert!(done.iter().filter_map(|d| d.as_ref().err()).all(|e| is_of(e, "token")), "{done:?}");
        // The other link went with it.
        assert!(is_of(
            &control.finish_reset(Origin::default(), second.token.expose(), &new).await.expect_err("void"),
            "token"
        ));
        assert!(matches!(sign_in(&control, 1, PASSWORD, None).await, Err(Error::WrongPassword)));
        sign_in(&control, 1, NEW, None).await.expect("the new one");
        assert_eq!(control.person_of_identity("https://id.example", "before").await.expect("asked"), None);
        // Whoever was let in before changes nothing any more.
        let late = control.link_identity(Caller::here(&who), "https://id.example", "after").await;
        assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
        // From then on it is proven, and what is linked stays.
        let who = control.begin_person_session(id, None, Duration::from_secs(3_600)).await.expect("a session").who;
        assert!(control.link_identity(Caller::here(&who), "https://id.example", "after").await.expect("linked"));
        let raised = store.raw.texts("SELECT CAST(generation AS TEXT) FROM users").await;
        assert_eq!(raised, ["1"], "every session has ended");
        // Three an hour, used or not; what is older is swept away.
        let third = control.begin_reset("p1@example.org").await.expect("asked").expect("a letter");
        assert!(control.begin_reset("p1@example.org").await.expect("asked").is_none());
        store.raw.run("UPDATE password_resets SET expires_at = 1").await;
        assert!(is_of(
            &control.finish_reset(Origin::default(), third.token.expose(), &new).await.expect_err("too old"),
            "token"
        ));
        let again = control.begin_reset("p1@example.org").await.expect("asked").expect("a letter");
        control.finish_reset(Origin::default(), again.token.expose(), &new).await.expect("set");
        assert!(control.person_of_identity("https://id.example", "after").await.expect("asked").is_some());
        store.raw.run("UPDATE password_resets SET expires_at = 1").await;
        let last = control.begin_reset("p1@example.org").await.expect("asked").expect("a letter");
        assert_eq!(store.raw.texts("SELECT hash FROM password_resets").await.len(), 1);
        // Whose account is shut gets none, and sets nothing by one that he has.
        store.raw.run(&format!("UPDATE users SET disabled_at = 1 WHERE user_id = '{id}'")).await;
        assert!(control.begin_reset("p1@example.org").await.expect("asked").is_none());
        assert!(control.finish_reset(Origin::default(), last.token.expose(), &new).await.is_err());
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_whoever_took_an_address_had_set_ends_when_its_owner_comes() {
    both(async |store| {
        let control = open(&store).await;
        let (who, two) = (person(&store, &control, 1).await, person(&store, &control, 2).await);
        let (by, id) = (Caller::here(&who), *who.user().expect("a person"));
        // A link that shows an address is good for the person who is logged in alone.
        let proof = control.begin_verification(&id).await.expect("a letter").token;
        let refused = control.finish_verification(&two, proof.expose()).await.expect_err("another's");
        assert!(is_of(&refused, "token"), "{refused}");
        // All that somebody may leave behind.
        let session = control.begin_person_session(&id, None, Duration::from_secs(3_600)).await.expect("a session");
        let left = key(&control, &who, new_key("left", &["*:*"])).await;
        let by_left = control.authenticate(left.text.expose()).await.expect("let in");
        let below = key(&control, &by_left, new_key("below", &["chains:read"])).await;
        let theirs = key(&control, &two, new_key("another's", &["chains:read"])).await;
        let invited = control.invite(by, "friend@example.org", Role::Owner).await.expect("invited");
        assert!(control.link_identity(by, ISSUER, "left").await.expect("linked"));
        let (begun, later) = (
            control.begin_second_factor(by, &Secret::new(PASSWORD)).await.expect("begun"),
            control.begin_second_factor(by, &Secret::new(PASSWORD)).await.expect("begun"),
        );
        let first = code(begun.secret.expose(), 0);
        control.set_second_factor(by, begun.sealed.expose(), &first).await.expect("set");

        let letter = control.begin_reset("p1@example.org").await.expect("asked").expect("a letter");
        let new = Secret::new(NEW);
        control.finish_reset(Origin::default(), letter.token.expose(), &new).await.expect("set");
        sign_in(&control, 1, NEW, None).await.expect("without a code");
        assert!(control.resume_person(session.cookie.expose()).await.is_err(), "its sessions");
        for (what, text) in [("its key", &left.text), ("what that made", &below.text)] {
            assert!(control.authenticate(text.expose()).await.is_err(), "{what}");
        }
        control.authenticate(theirs.text.expose()).await.expect("another's goes on");
        assert_eq!(control.person_of_identity(ISSUER, "left").await.expect("asked"), None);
        let refused = control.check_invitation("friend@example.org", invited.token.expose()).await;
        assert!(matches!(refused, Err(Error::NoInvitation)), "{refused:?}");
        let late = control.set_second_factor(by, later.sealed.expose(), &code(later.secret.expose(), 0)).await;
        assert!(is_of(&late.expect_err("begun before"), "enrolment"));
        // Nor does he go on for the moment that is remembered of him.
        let late = control.create_key(by, new_key("late", &["*:*"])).await;
        assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
        let late = control.finish_verification(&who, proof.expose()).await;
        assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
        let told = "SELECT after FROM audit_logs WHERE action = 'user.reset' ORDER BY entry";
        let entries = store.raw.texts(told).await;
        assert_eq!(entries, [r#"{"address":"proven","ended":{"keys":1,"second_factor":true}}"#]);

        // From then on it is its owner's: a password that is forgotten ends sessions alone.
        let who = control.begin_person_session(&id, None, Duration::from_secs(3_600)).await.expect("a session").who;
        let by = Caller::here(&who);
        let kept = key(&control, &who, new_key("kept", &["*:*"])).await;
        let begun = control.begin_second_factor(by, &new).await.expect("begun");
        let first = code(begun.secret.expose(), 0);
        control.set_second_factor(by, begun.sealed.expose(), &first).await.expect("set");
        let letter = control.begin_reset("p1@example.org").await.expect("asked").expect("a letter");
        control.finish_reset(Origin::default(), letter.token.expose(), &new).await.expect("set");
        assert!(matches!(sign_in(&control, 1, NEW, None).await, Err(Error::CodeWanted)));
        control.authenticate(kept.text.expose()).await.expect("it goes on");
        assert_eq!(store.raw.texts(told).await.last().map(String::as_str), Some(""));
        fits(&control, &who).await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_taken_away_by_its_person_with_the_password_and_is_never_the_last_way() {
    both(async |store| {
        let control = open(&store).await;
        let (one, two) = (person(&store, &control, 1).await, person(&store, &control, 2).await);
        let (id, life) = (*one.user().expect("a person"), Duration::from_secs(3_600));
        let here = control.begin_person_session(&id, None, life).await.expect("a session");
        let by = Caller::here(&here.who);
        for subject in ["s", "t"] {
            assert!(control.link_identity(by, ISSUER, subject).await.expect("linked"));
        }
        let mine = control.identities_of(&id).await.expect("a list");
        let shown: Vec<_> = mine.iter().map(|i| (i.issuer.as_str(), i.subject.as_str())).collect();
        assert_eq!(shown, [(ISSUER, "s"), (ISSUER, "t")]);
        assert!(control.identities_of(two.user().expect("a person")).await.expect("a list").is_empty());
        let there = control.begin_person_session(&id, None, life).await.expect("a session");
        let unlink = async |by: Caller<'_>, id: &str, password: &str| {
            control.unlink_identity(by, &here.session, id, &Secret::new(password)).await
        };
        assert!(is_of(&unlink(by, &mine[0].id, "wrong wrong wrong").await.expect_err("wrong"), "password"));
        assert!(matches!(unlink(Caller::here(&two), &mine[0].id, PASSWORD).await, Err(Error::NotFound)));
        assert!(matches!(unlink(by, "0", PASSWORD).await, Err(Error::NotFound)));
        unlink(by, &mine[0].id, PASSWORD).await.expect("taken away");
        assert!(matches!(unlink(by, &mine[0].id, PASSWORD).await, Err(Error::NotFound)), "once");
        assert_eq!(control.person_of_identity(ISSUER, "s").await.expect("asked"), None);
        control.resume_person(here.cookie.expose()).await.expect("this session goes on");
        assert!(control.resume_person(there.cookie.expose()).await.is_err(), "the others end");
        store.raw.run(&format!("UPDATE users SET password = NULL WHERE user_id = '{id}'")).await;
        assert!(is_of(&unlink(by, &mine[1].id, PASSWORD).await.expect_err("the last way in"), "password"));
        assert_eq!(control.person_of_identity(ISSUER, "t").await.expect("asked"), Some(id));
        let actions =
            store.raw.texts("SELECT action FROM audit_logs WHERE action LIKE 'user.identity%' ORDER BY entry").await;
        assert_eq!(actions, ["user.identity", "user.identity", "user.identity_unlink"]);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_one_persons_and_a_visit_is_one_providers() {
    both(async |store| {
        let control = open(&store).await;
        let (one, two) = (person(&store, &control, 1).await, person(&store, &control, 2).await);
        let (by, other) = (Caller::here(&one), Caller::here(&two));
        let issuer = "https://id.example";
        assert_eq!(control.person_of_identity(issuer, "s").await.expect("asked"), None);
        assert!(control.link_identity(by, issuer, "s").await.expect("linked"));
        assert!(control.link_identity(by, issuer, "s").await.expect("again"));
        assert!(!control.link_identity(other, issuer, "s").await.expect("asked"), "another's");
        assert_eq!(control.person_of_identity(issuer, "s").await.expect("asked").as_ref(), one.user());
        for (issuer, subject) in [("https://id.example/", "s"), (issuer, "S"), (issuer, "")] {
            assert_eq!(control.person_of_identity(issuer, subject).await.expect("asked"), None);
        }
        for n in 1..schemas::limits::people::IDENTITIES {
            assert!(control.link_identity(by, issuer, &format!("s{n}")).await.expect("linked"));
        }
        assert!(matches!(control.link_identity(by, issuer, "more").await, Err(Error::Full { .. })));
        let visit = Visit {
            provider: "here".to_owned(),
            state: "state".to_owned(),
            nonce: "nonce".to_owned(),
            verifier: "verifier".to_owned(),
            back: "/".to_owned(),
            invitation: None,
            links: None,
            ends: TimeMs::now().0 + 60_000,
        };
        let sealed = control.seal_visit(&visit).expect("sealed").expose().to_owned();
        assert_eq!(control.open_visit("here", &sealed).as_ref(), Some(&visit));
        assert_eq!(control.open_visit("there", &sealed), None);
        assert_eq!(control.open_visit("here", &format!("A{sealed}")), None);
        let over = control.seal_visit(&Visit { ends: TimeMs::now().0 - 1, ..visit }).expect("sealed");
        assert_eq!(control.open_visit("here", over.expose()), None);
        control.close().await;
        store
    })
    .await;
}
