//! The store's secret, changed: what was sealed is sealed anew at once or not at all, what was hashed goes on to work.

use std::time::Duration;

use control::{
    Authenticated, Bounds, Caller, Control, Denied, Error, Mode, Networks, NewKey, Rotated, Rotation, Scopes, Sealer,
    SignIn, Trust, Verified, rotate_secret,
};
use runtime::config::{Control as Settings, ControlPlace, Secret};
use schemas::records::DefinitionKind;
use serde_json::json;

use crate::{
    common::{Store, both},
    definitions::channel,
};

const PASSWORD: &str = "the horse stands in the rain";
const HOME: &str = "00000000000000000000000000";
const USER: &str = "01J0000000000000000000P001";
const LIFE: Duration = Duration::from_secs(3_600);

/// The settings with this secret, and the one before it.
fn with(store: &Store, secret: &Secret, former: Option<&Secret>) -> Settings {
    Settings { secret: Some(secret.clone()), former_secret: former.cloned(), ..store.settings.clone() }
}

/// The secret that the store was made with.
fn first(store: &Store) -> Secret {
    store.settings.secret.clone().unwrap_or_else(|| {
        let text = std::fs::read_to_string(store.folder().join("control/secret")).expect("the file");
        Secret::new(text.trim())
    })
}

async fn open(settings: &Settings) -> Result<Control, Error> {
    Control::open(settings, Mode::Accounts, Trust::default()).await
}

/// What somebody has who was there before.
struct Before {
    key: Secret,
    cookie: Secret,
    csrf: Option<String>,
    refresh: Secret,
    key_cookie: String,
    link: String,
    channels: Vec<(String, String)>,
}

async fn before(store: &Store, settings: &Settings) -> Before {
    let control = open(settings).await.expect("opens");
    let operator = store.operator().await;
    let second = store.second_tenant(&operator).await;
    let hash = control.hash_password(&Secret::new(PASSWORD), &[]).await.expect("a hash");
    // A second factor, sealed as it is sealed; what is in it does not matter here.
    let totp =
        Sealer::of(settings).expect("a sealer").seal_for(&["totp", USER], &json!({"secret": "00"})).expect("sealed");
    for sql in [
        format!(
            "INSERT INTO users (user_id, email, name, password, totp, created_at, updated_at, version) \
             VALUES ('{USER}', 'p1@example.org', 'P', '{hash}', '{totp}', 1, 1, 1)"
        ),
        format!(
            "INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) VALUES ('{HOME}', '{USER}', 'owner', 1, 1)"
        ),
    ] {
        store.raw.run(&sql).await;
    }
    let new = || NewKey { name: "k".to_owned(), scopes: Scopes::ALL, networks: Networks::All, expires_in: None };
    let home = operator.at_home();
    let key = control.create_key(Caller::here(&home), new()).await.expect("a key").text;
    let begun = control.begin_person_session(&USER.parse().expect("an id"), None, LIFE).await.expect("a session");
    control.access_token(&begun.who, &begun.session, LIFE / 6).await.expect("a token: there is a signing key");
    let (_, session) = control.begin_session(key.expose(), LIFE).await.expect("a session of the key");
    let link = control.ack_tokens().sign(HOME, "01J0000000000000000000000A", "m", schemas::TimeMs::now());
    let mut channels = Vec::new();
    let make = async |who: &Authenticated| {
        let (kind, bounds) = (DefinitionKind::Channel, Bounds::default());
        let made = control.create_definition(Caller::here(who), kind, &channel("hook"), None, &bounds).await;
        (who.tenant().id().to_string(), made.expect("made").made.id.to_string())
    };
    for who in [&home, &second] {
        channels.push(make(who).await);
    }
    let cookie = begun.cookie.clone();
    Before {
        key,
        cookie,
        csrf: begun.session.csrf.clone(),
        refresh: begun.refresh_token.clone(),
        key_cookie: session.cookie,
        link,
        channels,
    }
}

/// All that is sealed in the database.
async fn sealed(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT sealed FROM tenant_definitions WHERE sealed IS NOT NULL ORDER BY tenant_id, id",
        "SELECT totp FROM users WHERE totp IS NOT NULL",
        "SELECT sealed FROM signing_keys",
        "SELECT value FROM control_meta WHERE name <> 'operator key' ORDER BY name",
    ] {
        all.extend(store.raw.texts(sql).await);
    }
    all
}

/// Whether all channels open with this secret alone.
async fn opens(store: &Store, secret: &Secret, channels: &[(String, String)]) -> bool {
    let sealer = Sealer::of(&with(store, secret, None)).expect("a sealer");
    let mut good = true;
    for (tenant, id) in channels {
        let text = store.raw.texts(&format!("SELECT sealed FROM tenant_definitions WHERE id = '{id}'")).await;
        good &= sealer.open(tenant, DefinitionKind::Channel, id, &text[0]).is_ok();
    }
    good
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_sealed_is_sealed_anew_and_everything_hashed_goes_on() {
    both(async |store| {
        let (one, two, three) = (first(&store), Secret::new("2".repeat(40)), Secret::new("3".repeat(40)));
        let had = before(&store, &with(&store, &one, None)).await;
        let revisions = "SELECT CAST(revision AS TEXT) FROM outbox WHERE kind = 'channel' ORDER BY tenant_id";
        assert_eq!(store.raw.texts(revisions).await, ["1", "1"]);

        // Before the command: whoever knows both reads, and writes with the new one.
        let together = with(&store, &two, Some(&one));
        let control = open(&together).await.expect("opens with both");
        control.authenticate(had.key.expose()).await.expect("the key works");
        let (_, session) = control.resume_person(had.cookie.expose()).await.expect("the session goes on");
        assert_eq!(session.csrf, had.csrf, "and so does its page");
        control.resume_session(&had.key_cookie).await.expect("the key's session goes on");
        control.ack_tokens().verify(&had.link, schemas::TimeMs::now()).expect("links are good");
        control.close().await;

        let was = sealed(&store).await;
        let rotated = rotate_secret(&together, "test", Rotation::Begin).await.expect("rotated");
        assert_eq!(rotated, Rotated { things: 2, people: 1, signing_keys: 1, marked: true });
        let is = sealed(&store).await;
        assert_eq!(is.len(), was.len() + 1, "the first secret is kept, sealed");
        assert!(was.iter().all(|text| !is.contains(text)), "nothing is as it was");
        assert!(!is.iter().any(|text| text.contains(one.expose())));
        assert!(opens(&store, &two, &had.channels).await && !opens(&store, &one, &had.channels).await);
        assert_eq!(store.raw.texts(revisions).await, ["2", "2"], "the stages are told");
        let again = rotate_secret(&together, "test", Rotation::Finish).await.expect("nothing is left");
        assert_eq!(again, Rotated::default());

        // The new one alone: what was hashed is good, what was given out is over.
        let alone = with(&store, &two, None);
        let control = open(&alone).await.expect("opens");
        control.authenticate(had.key.expose()).await.expect("the key works");
        assert_eq!(control.resume_person(had.cookie.expose()).await.expect_err("over"), Denied::Unknown);
        assert!(control.resume_session(&had.key_cookie).await.is_err());
        assert_eq!(control.refresh_person(had.refresh.expose()).await.err(), Some(Denied::Unknown));
        assert!(control.ack_tokens().verify(&had.link, schemas::TimeMs::now()).is_err());
        // The password is right, so that a code is asked for; a wrong one is not.
        let sign_in = async |password: &str| {
            let with = SignIn { email: "p1@example.org", password: &Secret::new(password), code: None, ip: None };
            control.sign_in(with).await.expect_err("refused").to_string()
        };
        assert_ne!(sign_in(PASSWORD).await, sign_in("the goat stands in the rain").await);
        // A key and a person of now live under the new secret as well.
        let begun = control.begin_person_session(&USER.parse().expect("an id"), None, LIFE).await.expect("a session");
        let token = control.access_token(&begun.who, &begun.session, LIFE / 6).await.expect("the key signs still");
        control.resume_token(token.text.expose()).await.expect("good");
        control.close().await;
        // The one before alone opens nothing any more.
        let e = open(&with(&store, &one, None)).await.err().expect("refused");
        assert!(matches!(&e, Error::Settings(words) if words.contains("was changed")), "{e}");

        // Every chain of the audit fits, and says what was done.
        let operator = control::Operator::open(&alone, "test").await.expect("opens");
        for tenant in operator.tenants().await.expect("tenants") {
            let who = operator.within(&tenant);
            let verified = operator.control().verify_audit(who.tenant()).await.expect("read");
            assert!(matches!(verified, Verified::Fits { .. }), "{verified:?}");
        }
        let actions = store.raw.texts("SELECT action FROM audit_logs WHERE action = 'secret.rotate'").await;
        assert_eq!(actions.len(), 1);

        // And once more: the first secret is carried along.
        let rotated = rotate_secret(&with(&store, &three, Some(&two)), "test", Rotation::Begin).await.expect("rotated");
        assert_eq!(rotated, Rotated { things: 2, people: 1, signing_keys: 1, marked: true });
        let control = open(&with(&store, &three, None)).await.expect("opens");
        control.authenticate(had.key.expose()).await.expect("the key works");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_or_nothing_and_what_was_left_is_done_later() {
    both(async |store| {
        let (one, two) = (first(&store), Secret::new("2".repeat(40)));
        let had = before(&store, &with(&store, &one, None)).await;
        let was = sealed(&store).await;
        let together = with(&store, &two, Some(&one));

        // Neither without the former one, nor with a wrong one.
        let strange = Secret::new("9".repeat(40));
        for settings in [with(&store, &two, None), with(&store, &two, Some(&strange)), with(&store, &one, None)] {
            let e = rotate_secret(&settings, "test", Rotation::Begin).await.expect_err("refused");
            assert!(matches!(e, Error::Settings(_)), "{e}");
        }
        // The last of the channels opens with neither: it is named, and the others are as they were.
        let (_, last) = had.channels.last().expect("two");
        let good =
            store.raw.texts(&format!("SELECT sealed FROM tenant_definitions WHERE id = '{last}'")).await.remove(0);
        store.raw.run(&format!("UPDATE tenant_definitions SET sealed = 'AQ==' WHERE id = '{last}'")).await;
        let e = rotate_secret(&together, "test", Rotation::Begin).await.expect_err("refused");
        assert!(matches!(&e, Error::Corrupt(words) if words.contains(last)), "{e}");
        store.raw.run(&format!("UPDATE tenant_definitions SET sealed = '{good}' WHERE id = '{last}'")).await;
        assert_eq!(sealed(&store).await, was, "nothing was changed");

        rotate_secret(&together, "test", Rotation::Begin).await.expect("rotated");
        // A process that knew only the former secret went on for a while.
        let (tenant, id) = had.channels.first().expect("two");
        let old = Sealer::of(&with(&store, &one, None)).expect("a sealer");
        let late =
            old.seal(tenant, DefinitionKind::Channel, id, &json!({"url": "https://1.1.1.1/late"})).expect("sealed");
        store.raw.run(&format!("UPDATE tenant_definitions SET sealed = '{late}' WHERE id = '{id}'")).await;
        let rest = rotate_secret(&together, "test", Rotation::Finish).await.expect("finished");
        assert_eq!(rest, Rotated { things: 1, ..Rotated::default() });
        assert!(opens(&store, &two, &had.channels).await);
        store
    })
    .await;
}

/// The secret that is a file beside SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_changed_and_the_former_one_is_there_until_the_end() {
    let store = Store::sqlite().await;
    let settings = store.settings.clone();
    assert!(matches!(settings.place, ControlPlace::Sqlite(_)) && settings.secret.is_none());
    let had = before(&store, &settings).await;
    let (file, former) = (store.folder().join("control/secret"), store.folder().join("control/former-secret"));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a secret");
    let first = read(&file);

    // Interrupted after the former one was put down.
    std::fs::copy(&file, &former).expect("copied");
    rotate_secret(&settings, "test", Rotation::Begin).await.expect("rotated");
    let second = read(&file);
    assert!(second != first && read(&former) == first);
    // Begun again, it is the same rotation.
    assert_eq!(rotate_secret(&settings, "test", Rotation::Begin).await.expect("again"), Rotated::default());
    assert_eq!((read(&file), read(&former)), (second.clone(), first));
    let control = open(&settings).await.expect("opens");
    control.authenticate(had.key.expose()).await.expect("the key works");
    control.resume_person(had.cookie.expose()).await.expect("the session goes on");
    control.close().await;

    rotate_secret(&settings, "test", Rotation::Finish).await.expect("finished");
    assert!(!former.exists() && read(&file) == second);
    let control = open(&settings).await.expect("opens");
    control.authenticate(had.key.expose()).await.expect("the key works");
    assert!(control.resume_person(had.cookie.expose()).await.is_err());
    assert!(opens(&store, &Secret::new(second.trim()), &had.channels).await);
    control.close().await;
    store.end().await;
}
