//! The self-test of the dead man's switch: a rule that always holds, put to a figure every minute by the loop that puts all others.
//!
//! Guarantee: a match of it is written only by a membership that works, after its rule was evaluated as every rule is; from there it takes the
//! way of every alert, to the end of delivery, which knows the tenant and tells nobody else.

use std::sync::Arc;

use conditions::{Figure, Number, Rule};
use schemas::{Network, TimeMs, records::AlertMatch};
use serde_json::json;
use tokio::time::Instant;

use super::rules::{Look, Told, Watch};
use crate::{
    definitions::Defined,
    deliver::heartbeat::{EVERY, RULE, TENANT},
};

/// See the module.
pub struct SelfTest {
    watch: Option<(Watch, Network)>,
    last: Option<Instant>,
}

impl SelfTest {
    /// That begins at once.
    pub fn new() -> Self {
        Self { watch: watch(), last: None }
    }

    /// What is to be said now, if it is time.
    pub fn look(&mut self, now: TimeMs) -> Option<AlertMatch> {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        let (watch, network) = self.watch.as_ref()?;
        let judged = watch.of.what.judge(&Figure::told(Some(Number::from(1u64))), None);
        if !judged.over {
            tracing::error!("the self-test's rule does not hold: rules are not evaluated as they should be");
            return None;
        }
        self.last = Some(Instant::now());
        let look = Look { network, endpoint: None, block: None, at: now, observed_at: now };
        // Nothing is remembered of it: each is said.
        let evidence = || json!({"metric": "no_block_seconds", "value": 1, "to": now.rfc3339()});
        Told::default().say(watch, look, judged.over, evidence)
    }
}

/// The rule, as a tenant would have written it.
fn watch() -> Option<(Watch, Network)> {
    let definition = json!({
        "name": RULE, "network": TENANT, "metric": "no_block_seconds", "operator": ">=", "threshold": 1, "group_by": ["rule"]
    });
    let rule = Rule::parse(&definition).ok()?;
    let network = rule.networks.first()?.clone();
    let of = Defined {
        id: RULE.to_owned(),
        name: RULE.to_owned(),
        version: 1,
        revision: 1,
        what: Arc::new(rule),
        sealed: None,
        disabled: None,
    };
    Some((Watch { tenant: TENANT.to_owned(), of: Arc::new(of) }, network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_a_minute() {
        let mut test = SelfTest::new();
        let said = test.look(TimeMs(1_000)).expect("at once");
        assert!(said.tenant == TENANT && said.figure.is_some_and(|figure| figure.over), "{:?}", said.source);
        assert!(test.look(TimeMs(2_000)).is_none());
        tokio::time::advance(EVERY).await;
        assert!(test.look(TimeMs(62_000)).is_some());
    }
}
