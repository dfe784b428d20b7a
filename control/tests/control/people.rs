//! People, their organisations and invitations, and what keys may that people made.

use std::{sync::Arc, time::Duration};

use control::{
    Authenticated, Caller, Control, Denied, Error, Expected, Filter, Id, IdempotencyKey, Joining, MemberState, Mode,
    Networks, NewKey, NewPerson, Operator, Origin, Paging, Role, Scopes, SignedUp, Trust, Verified,
};
use schemas::limits::accounts as limits;

use crate::common::{Store, both, key, new_key, postgres, until};

const LIFE: Duration = Duration::from_secs(3_600);

/// What is remembered is asked for anew at once.
async fn open(store: &Store) -> Control {
    let trust = Trust { fresh: Duration::from_millis(1), ..Trust::default() };
    store.open_with(Mode::Accounts, trust).await
}

fn new(email: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), name: String::new(), password: None, verified: false, identity: None }
}

async fn founder(control: &Control, email: &str, organisation: &str) -> SignedUp {
    control.sign_up(Origin::default(), new(email), Joining::Found(organisation.to_owned())).await.expect("signed up")
}

/// The person, as the door lets it in.
async fn who(control: &Control, person: &Id, organisation: &Id) -> Arc<Authenticated> {
    control.begin_person_session(person, Some(organisation), LIFE).await.expect("let in").who
}

/// Another member of this role, by an invitation.
async fn member(control: &Control, owner: &Authenticated, email: &str, role: Role) -> SignedUp {
    let invited = control.invite(Caller::here(owner), email, role).await.expect("invited");
    let into = Joining::Invitation(invited.token.expose().to_owned());
    control.sign_up(Origin::default(), new(email), into).await.expect("joined")
}

async fn fits(control: &Control, who: &Authenticated) {
    let verified = control.verify_audit(who.tenant()).await.expect("verified");
    assert!(matches!(verified, Verified::Fits { .. }), "{verified:?}");
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
            control.accept_invitation(Origin::default(), &person.person.id, token).await
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
            tokio::spawn(async move { control.accept_invitation(Origin::default(), &id, &token).await.is_ok() })
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
async fn the_last_owner_stays_and_owners_are_changed_by_owners() {
    both(async |store| {
        let control = open(&store).await;
        let ada = founder(&control, "ada@example.org", "first").await;
        let (org, any) = (ada.organisation, Expected::Any);
        let owner = who(&control, &ada.person.id, &org).await;
        let admin = member(&control, &owner, "admin@example.org", Role::Admin).await;
        let viewer = member(&control, &owner, "viewer@example.org", Role::Viewer).await;
        let (as_owner, as_admin) = (Caller::here(&owner), who(&control, &admin.person.id, &org).await);
        let as_admin = Caller::here(&as_admin);
        let owns = |e: Error| assert!(matches!(e, Error::OwnersOnly), "{e}");

        // An admin does not touch owners, nor makes one; nor does a key, whatever it may.
        owns(control.change_member(as_admin, &ada.person.id, &any, Role::Viewer).await.unwrap_err());
        owns(control.change_member(as_admin, &admin.person.id, &any, Role::Owner).await.unwrap_err());
        owns(control.remove_member(as_admin, &ada.person.id).await.unwrap_err());
        owns(control.invite(as_admin, "x@example.org", Role::Owner).await.unwrap_err());
        owns(control.transfer(as_admin, &admin.person.id).await.unwrap_err());
        let made = key(&control, &owner, new_key("all", &["*:*"])).await;
        let by_key = control.authenticate(made.text.expose()).await.expect("let in");
        assert!(by_key.role().is_none() && !by_key.is_platform());
        owns(control.invite(Caller::here(&by_key), "x@example.org", Role::Owner).await.unwrap_err());
        owns(control.change_member(Caller::here(&by_key), &ada.person.id, &any, Role::Admin).await.unwrap_err());
        // Nobody gives more than he has.
        let made = key(&control, &owner, new_key("members", &["members:write", "members:read"])).await;
        let little = control.authenticate(made.text.expose()).await.expect("let in");
        let e = control.invite(Caller::here(&little), "x@example.org", Role::Viewer).await.unwrap_err();
        assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
        let networks = Networks::Only(vec!["a".parse().expect("a slug")]);
        let made = key(&control, &owner, NewKey { networks, ..new_key("narrow", &["*:*"]) }).await;
        let narrow = control.authenticate(made.text.expose()).await.expect("let in");
        let e = control.invite(Caller::here(&narrow), "x@example.org", Role::Viewer).await.unwrap_err();
        assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");

        // The last owner.
        for e in [
            control.change_member(as_owner, &ada.person.id, &any, Role::Admin).await.unwrap_err(),
            control.remove_member(as_owner, &ada.person.id).await.unwrap_err(),
        ] {
            assert!(matches!(e, Error::LastOwner), "{e}");
        }
        let e = control.change_member(as_owner, &viewer.person.id, &Expected::version(7), Role::Editor).await;
        assert!(matches!(e.unwrap_err(), Error::Stale { version: 1 }));
        let editor = control.change_member(as_owner, &viewer.person.id, &Expected::version(1), Role::Editor).await;
        assert_eq!(editor.map(|m| (m.role, m.version)).expect("changed"), (Role::Editor, 2));

        // Handed on: afterwards the former owner is admin, and the new one may remove him.
        let heir = control.transfer(as_owner, &admin.person.id).await.expect("handed on");
        assert_eq!((heir.id, heir.role), (admin.person.id, Role::Owner));
        owns(control.transfer(as_owner, &viewer.person.id).await.unwrap_err());
        let heir = who(&control, &admin.person.id, &org).await;
        control.remove_member(Caller::here(&heir), &ada.person.id).await.expect("removed");
        assert!(control.organisations_of(&ada.person.id).await.expect("a list").is_empty());
        // Anybody leaves by himself, and nobody removes another without the scope.
        let leaver = who(&control, &viewer.person.id, &org).await;
        let e = control.remove_member(Caller::here(&leaver), &admin.person.id).await.unwrap_err();
        assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
        control.remove_member(Caller::here(&leaver), &viewer.person.id).await.expect("left");
        // What another organisation has is not there.
        let bob = founder(&control, "bob@example.org", "bob").await;
        let bob = who(&control, &bob.person.id, &bob.organisation).await;
        for e in [
            control.remove_member(Caller::here(&bob), &admin.person.id).await.unwrap_err(),
            control.change_member(Caller::here(&bob), &admin.person.id, &any, Role::Viewer).await.unwrap_err(),
        ] {
            assert!(matches!(e, Error::NotFound), "{e}");
        }
        fits(&control, &heir).await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_who_leave_at_once_do_not_both() {
    both(async |store| {
        let control = Arc::new(open(&store).await);
        let ada = founder(&control, "ada@example.org", "first").await;
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let second = member(&control, &owner, "second@example.org", Role::Owner).await;
        let other = who(&control, &second.person.id, &ada.organisation).await;
        let leave = |who: Arc<Authenticated>| {
            let control = control.clone();
            async move {
                let id = *who.user().expect("a person");
                control.remove_member(Caller::here(&who), &id).await
            }
        };
        let (a, b) = tokio::join!(leave(owner), leave(other));
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        assert!(matches!(a.err().or(b.err()), Some(Error::LastOwner)));
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_never_does_more_than_the_person_who_made_it_may_now() {
    both(async |store| {
        let control = open(&store).await;
        let ada = founder(&control, "ada@example.org", "first").await;
        let (org, any) = (ada.organisation, Expected::Any);
        let owner = who(&control, &ada.person.id, &org).await;
        let admin = member(&control, &owner, "admin@example.org", Role::Admin).await;
        let as_admin = who(&control, &admin.person.id, &org).await;
        let made = key(&control, &as_admin, new_key("all", &["*:*"])).await;
        let by_key = control.authenticate(made.text.expose()).await.expect("let in");
        assert_eq!(by_key.scopes(), Scopes::ALL);
        let below = key(&control, &by_key, new_key("below", &["contracts:write", "contracts:read"])).await;
        let by = Caller::here(&owner);
        let pending = control.invite(Caller::here(&as_admin), "friend@example.org", Role::Editor).await;
        let pending = pending.expect("invited");

        // Another role: his keys, and those that they made, may what that role may; his open invitations are gone.
        control.change_member(by, &admin.person.id, &any, Role::Viewer).await.expect("changed");
        until("the key is a viewer's", async || {
            control.authenticate(made.text.expose()).await.expect("let in").scopes() == Role::Viewer.scopes()
        })
        .await;
        let scopes = control.authenticate(below.text.expose()).await.expect("let in").scopes();
        assert_eq!(scopes.texts(), ["contracts:read"]);
        let into = Joining::Invitation(pending.token.expose().to_owned());
        let e = control.sign_up(Origin::default(), new("friend@example.org"), into).await.unwrap_err();
        assert!(matches!(e, Error::NoInvitation), "{e}");

        // Removed, or not let in at all: nothing.
        let ended = async || {
            until("the keys end", async || {
                control.authenticate(made.text.expose()).await.err() == Some(Denied::Revoked)
                    && control.authenticate(below.text.expose()).await.err() == Some(Denied::Revoked)
            })
            .await
        };
        store.raw.run(&format!("UPDATE users SET disabled_at = 1 WHERE user_id = '{}'", admin.person.id)).await;
        assert!(ended().await < Duration::from_secs(5));
        store.raw.run("UPDATE users SET disabled_at = NULL").await;
        until("again", async || control.authenticate(made.text.expose()).await.is_ok()).await;
        control.remove_member(by, &admin.person.id).await.expect("removed");
        assert!(ended().await < Duration::from_secs(5));
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entitlement_narrows_everybody_of_the_organisation() {
    both(async |store| {
        let (control, operator) = (open(&store).await, store.operator().await);
        let (home, ada) = (operator.at_home(), founder(&control, "ada@example.org", "first").await);
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let only = |list: &[&str]| Networks::Only(list.iter().map(|n| n.parse().expect("a slug")).collect());
        let wide = key(&control, &owner, new_key("wide", &["*:*"])).await;
        let made = NewKey { networks: only(&["a", "b"]), ..new_key("narrow", &["*:*"]) };
        let narrow = key(&control, &owner, made).await;
        let reach = async |text: &str| control.authenticate(text).await.expect("let in").tenant().reach().clone();
        assert_eq!(reach(wide.text.expose()).await, Networks::All);
        let by = Caller::here(&home);
        control.entitle(by, &ada.organisation, &only(&["b", "c"])).await.expect("entitled");
        until("it holds", async || reach(wide.text.expose()).await == only(&["b", "c"])).await;
        until("it holds", async || reach(narrow.text.expose()).await == only(&["b"])).await;
        assert_eq!(*who(&control, &ada.person.id, &ada.organisation).await.tenant().reach(), only(&["b", "c"]));
        // Nobody of the organisation says so himself.
        let e = control.entitle(Caller::here(&owner), &ada.organisation, &Networks::All).await.unwrap_err();
        assert!(matches!(e, Error::OperatorsOnly), "{e}");
        let e = control.entitle(by, &ada.organisation, &Networks::Only(Vec::new())).await.unwrap_err();
        assert!(matches!(e, Error::Invalid(_)), "{e}");
        control.entitle(by, &ada.organisation, &Networks::All).await.expect("entitled");
        until("it holds", async || reach(wide.text.expose()).await == Networks::All).await;
        close(control, operator).await;
        store
    })
    .await;
}

async fn close(control: Control, operator: Operator) {
    control.close().await;
    operator.control().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_of_the_platform_shut_organisations_out_and_see_nothing_in_them() {
    both(async |store| {
        let (control, operator) = (open(&store).await, store.operator().await);
        let ada = founder(&control, "ada@example.org", "first").await;
        let root = founder(&control, "root@example.org", "root").await;
        let as_root = async || who(&control, &root.person.id, &root.organisation).await;
        let before = as_root().await;
        let suspend = async |who: &Authenticated, id: &Id, reason: Option<&str>| {
            control.suspend_organisation(Caller::here(who), id, reason).await
        };
        let refused = |e: Error| assert!(matches!(e, Error::OperatorsOnly), "{e}");
        refused(suspend(&before, &ada.organisation, Some("no")).await.unwrap_err());
        refused(control.organisations(&before, &Paging::default()).await.unwrap_err());
        refused(control.plan_across(Caller::here(&before), &ada.organisation, "default").await.unwrap_err());
        let e = operator.set_platform("nobody@example.org", true).await.unwrap_err();
        assert!(matches!(e, Error::NotFound), "{e}");
        operator.set_platform("Root@example.org", true).await.expect("an operator");
        assert_eq!(operator.operators().await.expect("a list").len(), 1);
        let now = as_root().await;
        assert!(now.is_platform() && now.tenant().id() == &root.organisation);
        let all = control.organisations(&now, &Paging { limit: Some(2), ..Paging::default() }).await.expect("a page");
        assert!(all.items.len() == 2 && all.next.is_some());
        let rest = control.organisations(&now, &Paging { after: all.next, limit: None }).await.expect("a page");
        let mut members: Vec<_> = all.items.into_iter().chain(rest.items).map(|(i, n)| (i.name, n)).collect();
        members.sort();
        assert_eq!(members, [("default".to_owned(), 0), ("first".to_owned(), 1), ("root".to_owned(), 1)]);

        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        let made = key(&control, &owner, new_key("k", &["*:read"])).await;
        control.authenticate(made.text.expose()).await.expect("let in");
        let info = suspend(&now, &ada.organisation, Some("unpaid")).await.expect("suspended");
        assert_eq!((info.state(), info.suspended_reason.as_deref()), ("suspended", Some("unpaid")));
        let took = until("nobody is let in", async || {
            control.authenticate(made.text.expose()).await.err() == Some(Denied::Suspended)
        })
        .await;
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(control.begin_person_session(&ada.person.id, Some(&ada.organisation), LIFE).await.is_err());
        // Said again it stays; the operator's own is none of those.
        assert_eq!(suspend(&now, &ada.organisation, Some("x")).await.expect("as it is").version, info.version);
        let e = suspend(&now, &Id::DEFAULT_TENANT, Some("x")).await.unwrap_err();
        assert!(matches!(e, Error::Invalid(_)), "{e}");
        let e = suspend(&now, &"01J0000000000000000000000A".parse().expect("an id"), Some("x")).await.unwrap_err();
        assert!(matches!(e, Error::NotFound), "{e}");
        suspend(&now, &ada.organisation, None).await.expect("resumed");
        until("let in again", async || control.authenticate(made.text.expose()).await.is_ok()).await;
        let audit = control.audit(owner.tenant(), &Filter::default(), &Paging::default()).await.expect("a page").items;
        assert_eq!(
            (audit[0].action.as_str(), audit[1].action.as_str()),
            ("organisation.resume", "organisation.suspend")
        );
        fits(&control, &owner).await;

        operator.set_platform("root@example.org", false).await.expect("none any more");
        assert!(!as_root().await.is_platform());
        close(control, operator).await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_becomes_an_operator_by_the_key_of_one() {
    both(async |store| {
        let (control, operator) = (open(&store).await, store.operator().await);
        let home = operator.at_home();
        let theirs = key(&control, &home, new_key("operator's", &["*:*"])).await;
        assert!(control.authenticate(theirs.text.expose()).await.expect("let in").is_platform());
        let invited = control.invite(Caller::here(&home), "owner@example.org", Role::Owner).await.expect("invited");
        let into = Joining::Invitation(invited.token.expose().to_owned());
        let owner = control.sign_up(Origin::default(), new("owner@example.org"), into).await.expect("joined");
        // An owner even of that organisation is no operator of the platform, nor is a key of his.
        let owner = who(&control, &owner.person.id, &Id::DEFAULT_TENANT).await;
        assert_eq!((owner.role(), owner.is_platform()), (Some(Role::Owner), false));
        let his = key(&control, &owner, new_key("his", &["*:*"])).await;
        assert!(!control.authenticate(his.text.expose()).await.expect("let in").is_platform());
        let by = Caller::here(&owner);
        let e = control.rotate_key(by, &theirs.key.id, Duration::ZERO).await.unwrap_err();
        assert!(matches!(e, Error::MoreThanMaker(_)), "{e}");
        control.rotate_key(by, &his.key.id, Duration::ZERO).await.expect("his own");
        control.rotate_key(Caller::here(&home), &theirs.key.id, Duration::ZERO).await.expect("the operator");
        // Less than everything is no operator's.
        let less = key(&control, &home, new_key("less", &["*:read"])).await;
        assert!(!control.authenticate(less.text.expose()).await.expect("let in").is_platform());
        close(control, operator).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_shows_a_person_his_own_memberships_and_an_invitation_its_own_row() {
    postgres(async |store| {
        let control = open(&store).await;
        let (ada, bob) =
            (founder(&control, "ada@example.org", "ada").await, founder(&control, "bob@example.org", "bob").await);
        let owner = who(&control, &ada.person.id, &ada.organisation).await;
        for email in ["x@example.org", "y@example.org"] {
            control.invite(Caller::here(&owner), email, Role::Viewer).await.expect("invited");
        }
        let hash = store.raw.texts("SELECT hash FROM invitations WHERE email = 'x@example.org'").await;
        let runtime::config::ControlPlace::Postgres { url, .. } = &store.settings.place else { panic!("PostgreSQL") };
        let pool = sqlx::PgPool::connect(url.expose()).await.expect("the role");
        let counted = async |setting: &str, value: &str, table: &str| -> i64 {
            let mut tx = pool.begin().await.expect("a transaction");
            let set = format!("SET LOCAL {setting} = '{value}'");
            sqlx::raw_sql(&set).execute(&mut *tx).await.expect("set");
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let count = sqlx::query_scalar(&sql).fetch_one(&mut *tx).await.expect("counted");
            // What is seen so is not changed so.
            let sql = match table {
                "tenants" => "UPDATE tenants SET name = 'x'".to_owned(),
                table => format!("DELETE FROM {table}"),
            };
            let done = sqlx::raw_sql(&sql).execute(&mut *tx).await.expect("nothing of it");
            assert_eq!(done.rows_affected(), 0, "{table} by {setting}");
            count
        };
        for (setting, value, table, count) in [
            ("headwater.user", ada.person.id.as_str(), "tenant_users", 1),
            ("headwater.user", bob.person.id.as_str(), "tenants", 1),
            ("headwater.user", "nobody", "tenants", 0),
            ("headwater.invitation", hash[0].as_str(), "invitations", 1),
            ("headwater.invitation", "", "invitations", 0),
            ("headwater.user", ada.person.id.as_str(), "invitations", 0),
            ("headwater.operator", "on", "invitations", 0),
            ("headwater.operator", "on", "tenant_networks", 0),
        ] {
            assert_eq!(counted(setting, value, table).await, count, "{table} by {setting}");
        }
        pool.close().await;
        control.close().await;
        store
    })
    .await;
}
