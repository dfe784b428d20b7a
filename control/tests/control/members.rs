//! Members of organisations: their roles and what goes with them, the keys that they made, networks, and operators of the platform.

use std::{sync::Arc, time::Duration};

use control::{
    Authenticated, Caller, Denied, Error, Expected, Filter, Id, Joining, Networks, NewKey, Origin, Paging, Role, Scopes,
};

use crate::{
    common::{both, key, new_key, postgres, until},
    people::{LIFE, close, fits, founder, member, new, open, who},
};

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
        let by_his_key = control.invite(Caller::here(&by_key), "other@example.org", Role::Editor).await;
        let by_his_key = by_his_key.expect("invited");

        // Another role: his keys, and those that they made, may what that role may; his open invitations are gone.
        control.change_member(by, &admin.person.id, &any, Role::Viewer).await.expect("changed");
        until("the key is a viewer's", async || {
            control.authenticate(made.text.expose()).await.expect("let in").scopes() == Role::Viewer.scopes()
        })
        .await;
        let scopes = control.authenticate(below.text.expose()).await.expect("let in").scopes();
        assert_eq!(scopes.texts(), ["contracts:read"]);
        for (invited, email) in [(&pending, "friend@example.org"), (&by_his_key, "other@example.org")] {
            let into = Joining::Invitation(invited.token.expose().to_owned());
            let e = control.sign_up(Origin::default(), new(email), into).await.unwrap_err();
            assert!(matches!(e, Error::NoInvitation), "{email}: {e}");
        }
        // What is remembered of him, and of his key, gives nothing any more.
        for who in [&as_admin, &by_key] {
            let by = Caller::here(who);
            let invited = control.invite(by, "late@example.org", Role::Viewer).await.map(drop);
            let changed = control.change_member(by, &admin.person.id, &any, Role::Admin).await.map(drop);
            for e in [invited, changed] {
                assert!(matches!(e, Err(Error::MoreThanMaker(_))), "{e:?}");
            }
        }

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
            let set = format!("SELECT set_config('{setting}', '{value}', true)");
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
