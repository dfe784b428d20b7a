//! People: how they come in, into organisations of their own and of others.

use std::{sync::Arc, time::Duration};

use control::{
    Authenticated, Caller, Control, Error, Filter, Id, IdempotencyKey, Joining, MemberState, Mode, NewPerson, Operator,
    Origin, Paging, Role, SignUpLetter, SignedUp, Trust, Verified,
};
use runtime::config::Secret;
use schemas::limits::accounts as limits;

use crate::common::{Store, both, key, new_key};

pub const LIFE: Duration = Duration::from_secs(3_600);

/// What is remembered is asked for anew at once.
pub async fn open(store: &Store) -> Control {
    let trust = Trust { fresh: Duration::from_millis(1), ..Trust::default() };
    store.open_with(Mode::Accounts, trust).await
}

pub fn new(email: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), name: String::new(), password: None, verified: false, identity: None }
}

pub async fn founder(control: &Control, email: &str, organisation: &str) -> SignedUp {
    control.sign_up(Origin::default(), new(email), Joining::Found(organisation.to_owned())).await.expect("signed up")
}

/// The person, as the door lets it in.
pub async fn who(control: &Control, person: &Id, organisation: &Id) -> Arc<Authenticated> {
    control.begin_person_session(person, Some(organisation), LIFE).await.expect("let in").who
}

/// Another member of this role, by an invitation.
pub async fn member(control: &Control, owner: &Authenticated, email: &str, role: Role) -> SignedUp {
    let invited = control.invite(Caller::here(owner), email, role).await.expect("invited");
    let into = Joining::Invitation(invited.token.expose().to_owned());
    control.sign_up(Origin::default(), new(email), into).await.expect("joined")
}

pub async fn fits(control: &Control, who: &Authenticated) {
    let verified = control.verify_audit(who.tenant()).await.expect("verified");
    assert!(matches!(verified, Verified::Fits { .. }), "{verified:?}");
}

pub async fn close(control: Control, operator: Operator) {
    control.close().await;
    operator.control().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_up_owns_an_organisation_or_leaves_nothing_behind() {
    both(async |store| {
        let control = open(&store).await;
        let ada = founder(&control, " Ada@Example.org ", "Ada & Co").await;
        assert_eq!((ada.person.email.as_str(), ada.person.name.as_str()), ("ada@example.org", "ada"));
        assert_eq!((ada.role, ada.person.platform, ada.person.verified_at), (Role::Owner, false, None));
        let mine = control.organisations_of(&ada.person.id).await.expect("a list");
        assert_eq!(mine.len(), 1);
        assert_eq!((mine[0].organisation.id, mine[0].role), (ada.organisation, Role::Owner));
        assert_eq!((mine[0].organisation.name.as_str(), mine[0].organisation.state()), ("Ada & Co", "active"));
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        assert_eq!((owner.role(), owner.user(), owner.is_platform()), (Some(Role::Owner), Some(&ada.person.id), false));
        let audit = control.audit(owner.tenant(), &Filter::default(), &Paging::default()).await.expect("a page").items;
        let actions: Vec<&str> = audit.iter().rev().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["organisation.create", "user.sign_up"]);
        assert!(audit.iter().all(|e| e.actor_kind == "user" && e.acting_as == "owner"), "{audit:?}");
        fits(&control, &owner).await;

        // The same address, an identity that is known, a name that is none, an invitation that is none: nothing stays of it.
        let identity = Some(("https://issuer".to_owned(), "7".to_owned()));
        let known = NewPerson { identity: identity.clone(), ..new("known@example.org") };
        control.sign_up(Origin::default(), known, Joining::Found("known".to_owned())).await.expect("signed up");
        let counts = async || {
            let mut counts = Vec::new();
            for table in ["users", "tenants", "tenant_users", "audit_heads", "audit_logs"] {
                counts.push(store.raw.texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await);
            }
            counts
        };
        let before = counts().await;
        let found = |name: &str| Joining::Found(name.to_owned());
        for (person, into, taken) in [
            (new("ADA@example.org"), found("x"), true),
            (NewPerson { identity, ..new("other@example.org") }, found("x"), true),
            (new("other@example.org"), found(" "), false),
            (new("no address"), found("x"), false),
            (new("other@example.org"), Joining::Invitation("hwi_nothing".to_owned()), false),
            // Without an invitation nobody hears that there is such an account.
            (new("ada@example.org"), Joining::Invitation("hwi_nothing".to_owned()), false),
        ] {
            let e = control.sign_up(Origin::default(), person, into).await.unwrap_err();
            assert_eq!(matches!(e, Error::EmailTaken), taken, "{e}");
            assert!(matches!(e, Error::EmailTaken | Error::Invalid(_) | Error::NoInvitation), "{e}");
        }
        assert_eq!(counts().await, before);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_good_once_for_its_address_and_its_time() {
    both(async |store| {
        let control = open(&store).await;
        let ada = founder(&control, "ada@example.org", "first").await;
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let by = Caller::here(&owner);
        let (bob, eve) =
            (founder(&control, "bob@example.org", "bob").await, founder(&control, "eve@example.org", "eve").await);
        let accept = async |person: &SignedUp, token: &str| {
            control.accept_coming_in(Origin::default(), &person.person.id, token).await
        };
        let refused = |e: Error| assert!(matches!(e, Error::NoInvitation), "{e}");

        // Answered alike, whether or not there is an account.
        let first = control.invite(by, "Bob@example.org", Role::Editor).await.expect("invited");
        let nobody = control.invite(by, "nobody@example.org", Role::Editor).await.expect("invited");
        assert_eq!(first.token.expose().len(), nobody.token.expose().len());
        let stored = store.raw.texts("SELECT hash FROM invitations").await;
        assert!(stored.iter().all(|hash| !hash.contains(&first.token.expose()[4..])), "only its hash is kept");

        // Not another's, not unknown; invited again, the first is worth nothing.
        refused(accept(&eve, first.token.expose()).await.unwrap_err());
        refused(accept(&bob, "hwi_0000000000000000000000").await.unwrap_err());
        let second = control.invite(by, "bob@example.org", Role::Viewer).await.expect("invited again");
        refused(accept(&bob, first.token.expose()).await.unwrap_err());
        let joined = accept(&bob, second.token.expose()).await.expect("joined");
        assert_eq!((joined.organisation.id, joined.role), (ada.organisation, Role::Viewer));
        refused(accept(&bob, second.token.expose()).await.unwrap_err());
        let e = control.invite(by, "bob@example.org", Role::Viewer).await.unwrap_err();
        assert!(matches!(e, Error::Taken { id } if id == bob.person.id), "{e}");
        assert_eq!(control.organisations_of(&bob.person.id).await.expect("a list").len(), 2);

        // Its time; and taken back.
        let late = control.invite(by, "eve@example.org", Role::Viewer).await.expect("invited");
        store.raw.run("UPDATE invitations SET expires_at = 1 WHERE email = 'eve@example.org'").await;
        refused(accept(&eve, late.token.expose()).await.unwrap_err());
        let back = control.invite(by, "eve@example.org", Role::Viewer).await.expect("invited");
        let list = control.members(owner.tenant(), &Paging::default()).await.expect("a page").items;
        let states: Vec<_> = list.iter().map(|m| (m.email.as_str(), m.state)).collect();
        assert_eq!(states.len(), 4, "{states:?}");
        assert!(states.contains(&("eve@example.org", MemberState::Invited)), "{states:?}");
        control.remove_member(by, &back.invitation.id).await.expect("taken back");
        refused(accept(&eve, back.token.expose()).await.unwrap_err());

        // Suspended, nobody comes in.
        let last = control.invite(by, "eve@example.org", Role::Viewer).await.expect("invited");
        store.raw.run(&format!("UPDATE tenants SET suspended_at = 1 WHERE tenant_id = '{}'", ada.organisation)).await;
        refused(accept(&eve, last.token.expose()).await.unwrap_err());
        store.raw.run("UPDATE tenants SET suspended_at = NULL").await;
        // Nor does who has logged out, for the moment that he is remembered; or founds one.
        let out = control.begin_person_session(&eve.person.id, Some(&eve.organisation), LIFE).await.expect("let in");
        control.end_person_session(&out.session).await.expect("ended");
        let late = control.accept_invitation(Caller::here(&out.who), last.token.expose()).await;
        assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
        let late = control.found_organisation(Caller::here(&out.who), "late", None).await;
        assert!(matches!(late, Err(Error::SessionOver)), "{late:?}");
        assert_eq!(control.organisations_of(&eve.person.id).await.expect("a list").len(), 1);
        let eve = who(&control, &eve.person.id, &eve.organisation).await;
        let joined = control.accept_invitation(Caller::here(&eve), last.token.expose()).await.expect("joined");
        assert_eq!((joined.organisation.id, joined.role), (ada.organisation, Role::Viewer));
        fits(&control, &owner).await;

        // Pages lose nobody.
        let (mut paging, mut seen) = (Paging { limit: Some(1), ..Paging::default() }, Vec::new());
        loop {
            let page = control.members(owner.tenant(), &paging).await.expect("a page");
            seen.extend(page.items.into_iter().map(|m| m.email));
            match page.next {
                None => break,
                next => paging.after = next,
            }
        }
        seen.sort();
        assert_eq!(seen, ["ada@example.org", "bob@example.org", "eve@example.org", "nobody@example.org"]);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_invitation_accepted_many_times_at_once_is_accepted_once() {
    both(async |store| {
        let control = Arc::new(open(&store).await);
        let ada = founder(&control, "ada@example.org", "first").await;
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let bob = founder(&control, "bob@example.org", "bob").await;
        let invited = control.invite(Caller::here(&owner), "bob@example.org", Role::Admin).await.expect("invited");
        let tries = (0..8).map(|_| {
            let (control, token, id) = (control.clone(), invited.token.expose().to_owned(), bob.person.id);
            tokio::spawn(async move { control.accept_coming_in(Origin::default(), &id, &token).await.is_ok() })
        });
        let mut good = 0;
        for one in tries.collect::<Vec<_>>() {
            good += usize::from(one.await.expect("no panic"));
        }
        assert_eq!(good, 1);
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_founds_so_many_organisations_a_day_and_no_more() {
    both(async |store| {
        let control = open(&store).await;
        let (most, day) = limits::FOUNDED_OF_ADDRESS;
        let at = |ip: &str| Origin { ip: Some(ip.parse().expect("an address")), request_id: None };
        let found = |origin, n: i64| {
            control.sign_up(origin, new(&format!("p{n}@example.org")), Joining::Found(format!("no {n}")))
        };
        // What comes to nothing is not counted.
        founder(&control, "known@example.org", "known").await;
        let e = control.sign_up(at("203.0.113.7"), new("known@example.org"), Joining::Found("x".to_owned())).await;
        assert!(matches!(e, Err(Error::EmailTaken)), "{e:?}");
        let all = futures::future::join_all((0..most + 3).map(|n| found(at("203.0.113.7"), n))).await;
        let late: Vec<_> = all.iter().filter_map(|done| done.as_ref().err()).collect();
        assert_eq!(late.len(), 3, "{late:?}");
        assert!(late.iter().all(|e| matches!(e, Error::TooOften { wait, .. } if *wait <= day)), "{late:?}");
        // Nor does who has an account there; elsewhere, and the day after, it goes on.
        let ada = all.iter().flatten().next().expect("one");
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let by = |ip: &str| Caller { ip: at(ip).ip, ..Caller::here(&owner) };
        let e = control.found_organisation(by("203.0.113.7"), "one more", None).await;
        assert!(matches!(e, Err(Error::TooOften { .. })), "{e:?}");
        control.found_organisation(by("203.0.113.8"), "elsewhere", None).await.expect("founded");
        store.raw.run(&format!("UPDATE sign_in_attempts SET last_at = last_at - {}", day.as_millis())).await;
        control.found_organisation(by("203.0.113.7"), "the day after", None).await.expect("founded");
        // An IPv6 customer is his /64.
        for n in 0..most {
            found(at(&format!("2001:db8::{n:x}")), 1_000 + n).await.expect("founded");
        }
        assert!(matches!(found(at("2001:db8::ffff"), 2_000).await, Err(Error::TooOften { .. })));
        found(at("2001:db8:0:1::1"), 2_001).await.expect("founded");
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_by_letter_wants_its_link_and_its_password_and_is_made_once() {
    both(async |store| {
        let control = open(&store).await;
        let password = Secret::new("the horse stands in the rain");
        let hash = control.hash_password(&password, &[]).await.expect("a hash");
        let ada = NewPerson { password: Some(hash), ..new(" Ada@Example.org ") };
        let into = || Joining::Found("Ada & Co".to_owned());
        let letter = control.begin_sign_up_by_letter(ada.clone(), into()).await.expect("asked");
        let SignUpLetter::Link(token) = letter else { panic!("there is no account") };
        assert!(store.raw.texts("SELECT email FROM users").await.is_empty(), "nothing is kept");
        let text = token.expose().to_owned();
        assert!(text.len() < 600 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
        let is_of = |e: &Error, path: &str| matches!(e, Error::Invalid(of) if of.iter().any(|m| m.path == path));
        let finish = async |token: String, password: &Secret| {
            control.finish_sign_up_by_letter(Origin::default(), &token, password).await
        };
        // Whoever reads the letter alone, and whoever knows the password alone.
        let e = finish(text.clone(), &Secret::new("another password")).await.expect_err("another password");
        assert!(is_of(&e, "password"), "{e}");
        let changed = format!("{}{}{}", &text[..20], if &text[20..21] == "A" { "B" } else { "A" }, &text[21..]);
        for wrong in [String::new(), format!("{text}A"), changed, "x".repeat(5_000)] {
            let e = finish(wrong, &password).await.expect_err("no link of ours");
            assert!(is_of(&e, "token"), "{e}");
        }
        let all = futures::future::join_all((0..3).map(|_| finish(text.clone(), &password))).await;
        let made: Vec<_> = all.iter().flatten().collect();
        assert_eq!(made.len(), 1, "{all:?}");
        assert!(all.iter().filter_map(|done| done.as_ref().err()).all(|e| is_of(e, "token")), "{all:?}");
        assert_eq!((made[0].person.email.as_str(), made[0].role), ("ada@example.org", Role::Owner));
        assert!(made[0].person.verified_at.is_some(), "who has the letter has the address");
        let again = control.begin_sign_up_by_letter(ada, into()).await.expect("asked");
        assert!(matches!(again, SignUpLetter::Taken));
        let wrong = NewPerson { name: "a\nb".to_owned(), ..new("x") };
        let e = control.begin_sign_up_by_letter(wrong, Joining::Found(String::new())).await.err().expect("refused");
        assert!(["email", "name", "organisation", "password"].iter().all(|path| is_of(&e, path)), "{e}");
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_founds_so_many_organisations_and_no_more() {
    both(async |store| {
        let (control, operator) = (open(&store).await, store.operator().await);
        let ada = founder(&control, "ada@example.org", "first").await;
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let by = Caller::here(&owner);
        // The same request twice founds one, and another with its key none.
        let once = IdempotencyKey::read("a1").expect("a key");
        let first = control.found_organisation(by, "no 1", Some(&once)).await.expect("founded");
        let again = control.found_organisation(by, "no 1", Some(&once)).await.expect("founded before");
        assert_eq!(first.organisation, again.organisation);
        let e = control.found_organisation(by, "no 2", Some(&once)).await.unwrap_err();
        assert!(matches!(e, Error::Reused), "{e}");
        for n in 2..limits::FOUNDED {
            let founded = control.found_organisation(by, &format!("no {n}"), None).await.expect("founded");
            assert_eq!((founded.who.tenant().id(), founded.who.role()), (&founded.organisation.id, Some(Role::Owner)));
        }
        let e = control.found_organisation(by, "one more", None).await.unwrap_err();
        assert!(matches!(e, Error::Full { .. }), "{e}");
        let made = key(&control, &owner, new_key("k", &["*:*"])).await;
        let by_key = control.authenticate(made.text.expose()).await.expect("let in");
        let e = control.found_organisation(Caller::here(&by_key), "a key's", None).await.unwrap_err();
        assert!(matches!(e, Error::PeopleOnly), "{e}");
        let founded = operator.found_organisation("operator's", Some("ADA@example.org")).await.expect("founded");
        let mine = control.organisations_of(&ada.person.id).await.expect("a list");
        assert!(mine.iter().any(|one| one.organisation.id == founded.id && one.role == Role::Owner));
        let without = operator.found_organisation("nobody's", None).await.expect("founded");
        assert_eq!(operator.tenants().await.expect("a list").last().map(|info| info.id), Some(without.id));
        close(control, operator).await;
        store
    })
    .await;
}
