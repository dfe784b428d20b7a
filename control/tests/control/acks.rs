//! Links that acknowledge an alert.

use control::{Caller, Error};
use schemas::TimeMs;

use crate::common::both;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_all_who_come_with_a_link_one_is_let_through() {
    both(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let (tenant, alert) = (home.tenant().id().to_string(), "01J0000000000000000000000A");
        // As the stage makes it that has the settings only.
        let made = control::AckTokens::of(&store.settings).expect("tokens").sign(&tenant, alert, "m1", TimeMs::now());
        let token = control.ack_tokens().verify(&made, TimeMs::now()).expect("good");
        assert_eq!((token.alert(), token.who().tenant().id().as_str()), (alert, tenant.as_str()));
        let by = Caller::here(token.who());
        for _ in 0..3 {
            assert!(!control.ack_token_used(&token).await.expect("asked"), "looking uses nothing up");
        }
        let uses = (0..8).map(|_| control.use_ack_token(by, &token));
        let used: Vec<bool> =
            futures::future::join_all(uses).await.into_iter().map(|used| used.expect("used")).collect();
        assert_eq!(used.iter().filter(|used| **used).count(), 1, "{used:?}");
        assert!(control.ack_token_used(&token).await.expect("asked"));
        let audit =
            "SELECT action || ' ' || actor_kind || ' ' || outcome || ' ' || resource_id FROM audit_logs ORDER BY entry";
        assert_eq!(
            store.raw.texts(audit).await.pop().expect("an entry"),
            format!("alert.acknowledge link done {alert}")
        );
        // What could not be carried out gives it back.
        control.give_back_ack_token(by, &token).await.expect("given back");
        assert!(control.use_ack_token(by, &token).await.expect("used"));
        // Another message's link is another.
        let other = control.ack_tokens().sign(&tenant, alert, "m2", TimeMs::now());
        let other = control.ack_tokens().verify(&other, TimeMs::now()).expect("good");
        assert!(control.use_ack_token(Caller::here(other.who()), &other).await.expect("used"));

        store.raw.run(&format!("UPDATE tenants SET suspended_at = 1 WHERE tenant_id = '{tenant}'")).await;
        let e = control.use_ack_token(by, &token).await.unwrap_err();
        assert!(matches!(e, Error::NotFound), "{e}");
        store.raw.run(&format!("UPDATE tenants SET suspended_at = NULL WHERE tenant_id = '{tenant}'")).await;
        control.close().await;
        store
    })
    .await;
}
