//! People's sessions: what ends them, and how soon; tokens that come twice; keys that change.

use std::time::{Duration, Instant};

use control::{AccessToken, Begun, Caller, Control, Denied, Error, Id, Mode, Role, SignIn, Trust};
use runtime::config::Secret;

use crate::common::{Store, both, until};

const PASSWORD: &str = "the horse stands in the rain";
const LIFE: Duration = Duration::from_secs(3_600);
const HOME: &str = "00000000000000000000000000";
const SECOND: &str = "01J00000000000000000000002";

async fn open(store: &Store) -> Control {
    store.open_with(Mode::Accounts, Trust::default()).await
}

/// An account, with this role in the tenant `default`.
async fn person(store: &Store, control: &Control, number: u32, role: Role) -> Id {
    let (id, email) = (format!("01J0000000000000000000P{number:03}"), format!("p{number}@example.org"));
    let hash = control.hash_password(&Secret::new(PASSWORD), &[&email]).await.expect("a hash");
    let insert = format!(
        "INSERT INTO users (user_id, email, name, password, created_at, updated_at, version) \
         VALUES ('{id}', '{email}', 'P {number}', '{hash}', 1, 1, 1)"
    );
    store.raw.run(&insert).await;
    joins(store, &id, HOME, role).await;
    id.parse().expect("an id")
}

async fn joins(store: &Store, user: &str, tenant: &str, role: Role) {
    let insert = format!(
        "INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) VALUES ('{tenant}', '{user}', '{role}', 1, 1)"
    );
    store.raw.run(&insert).await;
}

async fn begin(control: &Control, user: &Id) -> Begun {
    control.begin_person_session(user, None, LIFE).await.expect("a session")
}

async fn token(control: &Control, begun: &Begun) -> AccessToken {
    control.access_token(&begun.who, &begun.session, LIFE / 6).await.expect("a token")
}

async fn sign_in(control: &Control, email: &str, password: &str) -> Result<Id, Error> {
    let with = SignIn { email, password: &Secret::new(password), code: None, ip: "203.0.113.9".parse().ok() };
    control.sign_in(with).await.map(|signed_in| signed_in.user)
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_and_token_are_what_the_row_says() {
    both(async |store| {
        let (control, other) = (open(&store).await, open(&store).await);
        let user = person(&store, &control, 1, Role::Editor).await;
        let begun = begin(&control, &user).await;
        let token = token(&control, &begun).await;
        assert_eq!((begun.who.user(), begun.who.role()), (Some(&user), Some(Role::Editor)));
        assert_eq!(begun.who.actor().name(), "p1@example.org");
        // Another process knows both, which it never heard of.
        let (who, by_cookie) = other.resume_person(begun.cookie.expose()).await.expect("good");
        assert_eq!((who.user(), &by_cookie.csrf), (Some(&user), &begun.session.csrf));
        let (who, by_token) = other.resume_token(token.text.expose()).await.expect("good");
        assert_eq!((who.user(), by_token.id, by_token.csrf), (Some(&user), begun.session.id, None));
        assert!(who.expires_at().is_none(), "what a person makes does not end with a session");
        // Neither holds where people have no accounts.
        let keys = store.open_with(Mode::Keys, Trust::default()).await;
        assert_eq!(keys.resume_person(begun.cookie.expose()).await.expect_err("refused"), Denied::Unknown);
        assert!(keys.resume_token(token.text.expose()).await.is_err());
        // Another issuer's tokens are nobody's.
        let elsewhere = open(&store).await.issued_by("https://elsewhere.example");
        assert_eq!(elsewhere.resume_token(token.text.expose()).await.expect_err("refused"), Denied::Unknown);
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_what_it_rests_on_within_five_seconds() {
    both(async |store| {
        let operator = store.operator().await;
        store.second_tenant(&operator).await;
        let control = open(&store).await;
        let ends = [
            "UPDATE tenants SET suspended_at = 1 WHERE tenant_id = '01J00000000000000000000002'",
            "DELETE FROM tenant_users WHERE user_id = 'USER'",
            "UPDATE users SET disabled_at = 1 WHERE user_id = 'USER'",
            "UPDATE users SET generation = generation + 1 WHERE user_id = 'USER'",
            "UPDATE sessions SET revoked_at = 1 WHERE user_id = 'USER'",
            "UPDATE sessions SET ends_at = 1 WHERE user_id = 'USER'",
            "DELETE FROM sessions WHERE user_id = 'USER'",
        ];
        for (number, sql) in ends.iter().enumerate() {
            let user = person(&store, &control, 10 + number as u32, Role::Viewer).await;
            joins(&store, user.as_str(), SECOND, Role::Admin).await;
            let second: Id = SECOND.parse().expect("an id");
            let begun = control.begin_person_session(&user, Some(&second), LIFE).await.expect("a session");
            let token = token(&control, &begun).await;
            control.resume_person(begun.cookie.expose()).await.expect("good");
            store.raw.run(&sql.replace("USER", user.as_str())).await;
            let took = until(sql, async || {
                let by_cookie = control.resume_person(begun.cookie.expose()).await.is_err();
                by_cookie && control.resume_token(token.text.expose()).await.is_err()
            });
            let took = took.await;
            assert!(took < Duration::from_secs(5), "{sql}: {took:?}");
            store.raw.run("UPDATE tenants SET suspended_at = NULL").await;
        }
        // Another role is another standing, and ends nothing.
        let user = person(&store, &control, 30, Role::Owner).await;
        let begun = begin(&control, &user).await;
        store.raw.run(&format!("UPDATE tenant_users SET role = 'viewer' WHERE user_id = '{user}'")).await;
        let began = Instant::now();
        until("the role is another", async || {
            control.resume_person(begun.cookie.expose()).await.expect("good").0.role() == Some(Role::Viewer)
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(5));
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_session() {
    both(async |store| {
        let (control, other) = (open(&store).await, open(&store).await);
        let user = person(&store, &control, 1, Role::Owner).await;
        let first = begin(&control, &user).await;
        let second = control.refresh_person(first.refresh_token.expose()).await.expect("good");
        assert_ne!(first.refresh_token, second.refresh_token);
        // A second tab, a lost answer: the same one again, in whatever process.
        let again = other.refresh_person(first.refresh_token.expose()).await.expect("grace");
        assert_eq!(again.refresh_token, second.refresh_token);
        let third = other.refresh_person(second.refresh_token.expose()).await.expect("good");
        assert_eq!(third.session.id, first.session.id);
        // The first is two behind now: it was stolen, or whoever has the third stole that.
        let reused = control.refresh_person(first.refresh_token.expose()).await;
        assert_eq!(reused.err(), Some(Denied::Revoked));
        assert!(control.resume_person(third.cookie.expose()).await.is_err(), "in this process at once");
        assert!(control.refresh_person(third.refresh_token.expose()).await.is_err());
        until("the other process knows", async || other.resume_person(third.cookie.expose()).await.is_err()).await;
        // After the grace the one before is a second use too.
        let first = begin(&control, &user).await;
        control.refresh_person(first.refresh_token.expose()).await.expect("good");
        store.raw.run("UPDATE sessions SET rotated_at = rotated_at - 10001").await;
        assert_eq!(control.refresh_person(first.refresh_token.expose()).await.err(), Some(Denied::Revoked));
        // What was made up is nobody's, and ends nothing.
        let begun = begin(&control, &user).await;
        let text = begun.refresh_token.expose();
        let forged = text.replace(".1.", ".2.");
        for wrong in [forged.as_str(), "hwr_x", "", begun.cookie.expose()] {
            assert!(control.refresh_person(wrong).await.is_err(), "{wrong}");
        }
        control.refresh_person(text).await.expect("good");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_refresh_at_once_go_on_together() {
    both(async |store| {
        let control = open(&store).await;
        let user = person(&store, &control, 1, Role::Owner).await;
        let begun = begin(&control, &user).await;
        let text = begun.refresh_token.expose();
        let all = futures::future::join_all((0..8).map(|_| control.refresh_person(text))).await;
        let mut tokens: Vec<String> =
            all.into_iter().map(|b| b.expect("good").refresh_token.expose().to_owned()).collect();
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "one that is good now");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_by_account_and_by_address_and_tell_nothing() {
    both(async |store| {
        let control = open(&store).await;
        let user = person(&store, &control, 1, Role::Owner).await;
        assert_eq!(sign_in(&control, " P1@Example.org ", PASSWORD).await.expect("good"), user);
        for email in ["p1@example.org", "nobody@example.org"] {
            // At once, and with the right password among them: five are looked at.
            let guesses = (0..20).map(|_| sign_in(&control, email, "the cow stands in the rain"));
            let all = futures::future::join_all(guesses).await;
            let wrong = all.iter().filter(|r| matches!(r, Err(Error::WrongPassword))).count();
            let wait = all.iter().filter(|r| matches!(r, Err(Error::Wait(_)))).count();
            // One or two more where a second passed meanwhile.
            assert!((5..=7).contains(&wrong) && wrong + wait == 20, "{email}: {all:?}");
            assert!(matches!(sign_in(&control, email, PASSWORD).await, Err(Error::Wait(_))), "{email}");
        }
        // A while later the right one is let in, and the account begins anew.
        store.raw.run("UPDATE sign_in_attempts SET last_at = last_at - 61000").await;
        assert_eq!(sign_in(&control, "p1@example.org", PASSWORD).await.expect("good"), user);
        assert_eq!(sign_in(&control, "p1@example.org", PASSWORD).await.expect("good"), user);
        // From one address many accounts: after twenty failures it waits, whatever the account.
        let mut looked_at = 0;
        for n in 0..40 {
            match sign_in(&control, &format!("a{n}@example.org"), "x").await {
                Err(Error::WrongPassword) => looked_at += 1,
                Err(Error::Wait(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!((3..=12).contains(&looked_at), "{looked_at}: ten of the twenty were used above");
        // No address that was typed is in the database.
        let subjects = store.raw.texts("SELECT subject FROM sign_in_attempts").await;
        assert!(subjects.iter().all(|s| s.len() == 32 && !s.contains('@')), "{subjects:?}");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_sign_are_ours_and_change() {
    both(async |store| {
        let (control, other) = (open(&store).await, open(&store).await);
        let user = person(&store, &control, 1, Role::Owner).await;
        let begun = begin(&control, &user).await;
        let old = token(&control, &begun).await;
        let keys = control.public_keys().await.expect("keys");
        assert_eq!(keys.len(), 1);
        // Who has the database alone puts a key in: it is passed over, and no token of its kind is good.
        store
            .raw
            .run(
                "INSERT INTO signing_keys (kid, sealed, public, created_at, retires_at) \
             SELECT 'evil', sealed, public, created_at + 1, retires_at FROM signing_keys",
            )
            .await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(other.public_keys().await.expect("keys"), keys);
        // A day later another signs, and the old one's tokens are good until they are over.
        store.raw.run("UPDATE signing_keys SET created_at = created_at - 86400001").await;
        let later = open(&store).await;
        let new = token(&later, &begun).await;
        assert_eq!(later.public_keys().await.expect("keys").len(), 2);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        for process in [&control, &other, &later] {
            for token in [&old, &new] {
                process.resume_token(token.text.expose()).await.expect("good");
            }
        }
        // One that has retired verifies no more, where it was not looked at before.
        store
            .raw
            .run("UPDATE signing_keys SET retires_at = 1 WHERE created_at < (SELECT MAX(created_at) FROM signing_keys)")
            .await;
        let fresh = open(&store).await;
        assert_eq!(fresh.resume_token(old.text.expose()).await.expect_err("refused"), Denied::Unknown);
        fresh.resume_token(new.text.expose()).await.expect("good");
        let sealed = store.raw.texts("SELECT sealed FROM signing_keys").await;
        assert!(sealed.iter().all(|s| !s.contains("seed")), "sealed");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_can_be_planted_or_taken_from_another() {
    both(async |store| {
        let control = open(&store).await;
        let user = person(&store, &control, 1, Role::Owner).await;
        let other = person(&store, &control, 2, Role::Owner).await;
        let (mine, theirs) = (begin(&control, &user).await, begin(&control, &other).await);
        let cookie = mine.cookie.expose();
        let swapped = cookie.replace(mine.session.id.as_str(), theirs.session.id.as_str());
        for wrong in [swapped.as_str(), &cookie[..cookie.len() - 1], &cookie.to_uppercase(), "s..", "s.", "", "s.x.y"] {
            assert!(control.resume_person(wrong).await.is_err(), "{wrong}");
        }
        // Each login is another session.
        let again = begin(&control, &user).await;
        assert_ne!((again.session.id, again.cookie.expose()), (mine.session.id, cookie));
        assert_ne!(again.session.csrf, mine.session.csrf);
        // Nobody ends another's.
        let refused = control.end_session_of(&mine.who, &theirs.session.id).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        control.resume_person(theirs.cookie.expose()).await.expect("goes on");
        assert_eq!(control.sessions_of(&user).await.expect("a list").len(), 2);
        control.end_session_of(&mine.who, &mine.session.id).await.expect("ended");
        assert!(control.resume_person(cookie).await.is_err(), "in this process at once");
        // What was ended ends nothing, wherever it is still remembered.
        let late = control.end_session_of(&mine.who, &again.session.id).await;
        assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
        // In an organisation that he is not in he is nobody.
        let into_second =
            async || control.begin_person_session(&user, Some(&SECOND.parse().expect("an id")), LIFE).await;
        assert!(matches!(into_second().await, Err(Error::NotFound)), "it is not there");
        store.second_tenant(&store.operator().await).await;
        assert!(matches!(into_second().await, Err(Error::NotFound)), "he is not in it");
        store.raw.run(&format!("UPDATE tenants SET suspended_at = 1 WHERE tenant_id = '{SECOND}'")).await;
        assert!(matches!(into_second().await, Err(Error::NotFound)), "and it is suspended");
        joins(&store, user.as_str(), SECOND, Role::Viewer).await;
        assert!(matches!(into_second().await, Err(Error::NoOrganisation)), "to a member that is told");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_and_the_end_of_all_leave_this_session_or_none() {
    both(async |store| {
        let control = open(&store).await;
        let user = person(&store, &control, 1, Role::Editor).await;
        let (here, there) = (begin(&control, &user).await, begin(&control, &user).await);
        let new = Secret::new("the goat stands in the sun");
        let by = Caller::here(&here.who);
        let change = async |present: &str, new: &Secret| {
            control.change_password(by, &here.session, &Secret::new(present), new).await
        };
        for (present, new) in
            [("wrong wrong wrong", &new), (PASSWORD, &Secret::new("short")), (PASSWORD, &Secret::new("p1@example.org"))]
        {
            assert!(matches!(change(present, new).await, Err(Error::Invalid(_))), "{present}");
        }
        change(PASSWORD, &new).await.expect("changed");
        // The other begins no third one either, however fresh the memory of it is.
        let home: Id = HOME.parse().expect("an id");
        let refused = control.switch_person_session(&user, &there.session, &home).await;
        assert!(matches!(refused, Err(Error::NotFound)));
        let switched = control.switch_person_session(&user, &here.session, &home).await.expect("this one does");
        assert_eq!(switched.session.ends, here.session.ends, "and lasts no longer by it");
        until("the other session ends", async || control.resume_person(there.cookie.expose()).await.is_err()).await;
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        control.resume_person(here.cookie.expose()).await.expect("this one goes on");
        assert!(matches!(sign_in(&control, "p1@example.org", PASSWORD).await, Err(Error::WrongPassword)));
        sign_in(&control, "p1@example.org", new.expose()).await.expect("good");
        // Who showed the password before it was another begins nothing with it afterwards.
        let with = SignIn { email: "p1@example.org", password: &new, code: None, ip: None };
        let before = control.sign_in(with).await.expect("good");
        let third = Secret::new("the sheep stands in the snow");
        change(new.expose(), &third).await.expect("changed");
        assert!(matches!(control.begin_signed_in(&before, None, LIFE).await, Err(Error::WrongPassword)));
        control.end_all_sessions(by, None).await.expect("ended");
        assert!(control.resume_person(here.cookie.expose()).await.is_err(), "in this process at once");
        assert!(control.sessions_of(&user).await.expect("a list").is_empty());
        let actions = store.raw.texts("SELECT action FROM audit_logs ORDER BY entry").await;
        assert_eq!(actions, ["user.password", "user.password", "user.sessions"]);
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_person_are_bounded() {
    both(async |store| {
        let control = open(&store).await;
        let user = person(&store, &control, 1, Role::Viewer).await;
        let first = begin(&control, &user).await;
        for _ in 0..schemas::limits::accounts::SESSIONS {
            begin(&control, &user).await;
        }
        let all = control.sessions_of(&user).await.expect("a list");
        assert_eq!(all.len() as i64, schemas::limits::accounts::SESSIONS);
        assert!(all.iter().all(|s| s.id != first.session.id), "the oldest went");
        store
    })
    .await;
}
