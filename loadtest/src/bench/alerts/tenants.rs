//! Monitors of several tenants, made in the control store beside the process that is measured.
//!
//! No caller makes tenants yet: the operator adds them.

use super::receiver::Receiver;
use crate::bench::NETWORK;
use crate::failure::Failure;
use crate::monitors;
use control::{Authenticated, Bounds, Caller, Id, Operator};
use schemas::records::DefinitionKind;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How long it may take until the stages can know of all of it.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(200);
/// Messages of a channel in an hour: as many as may be, so that none is summed up.
const PER_HOUR: u32 = 10_000;

/// Who has monitors.
pub(super) struct Tenants {
    operator: Operator,
    all: Vec<(Authenticated, Id)>,
}

impl Tenants {
    /// So many tenants, each with a channel of its own at the receiver, and so many monitors of all of them that find nothing.
    pub(super) async fn define(
        settings: &runtime::config::Control,
        bounds: &Bounds,
        receiver: &Receiver,
        (tenants, monitors): (usize, usize),
    ) -> Result<Self, Failure> {
        let operator = Operator::open(settings, "loadtest").await?;
        for n in 2..=tenants {
            let (id, name) = (format!("{n:026}").parse::<Id>()?, format!("bench-{n}"));
            operator.add_tenant(&id, &name, &name).await?;
        }
        let mut all = Vec::new();
        for (n, tenant) in operator.tenants().await?.iter().enumerate() {
            let who = operator.within(tenant);
            let channel = json!({
                "name": "receiver", "type": "webhook", "config": {"url": receiver.url(n)}, "per_hour": PER_HOUR
            });
            let made = operator
                .control()
                .create_definition(Caller::here(&who), DefinitionKind::Channel, &channel, None, bounds)
                .await?;
            all.push((who, made.made.id));
        }
        let tenants = Self { operator, all };
        let mut last = Vec::new();
        for n in 0..monitors {
            let (who, _) = tenants.all.get(n % tenants.all.len().max(1)).ok_or("there is no tenant")?;
            let id = tenants.monitor(who, &elsewhere(n), bounds).await?;
            if n + tenants.all.len() >= monitors {
                last.push((who.clone(), id));
            }
        }
        tenants.known(&last).await?;
        Ok(tenants)
    }

    /// A monitor of each tenant that finds every failed transaction, an alert for each.
    pub(super) async fn watch_failures(&self, bounds: &Bounds) -> Result<(), Failure> {
        let mut made = Vec::new();
        for (who, channel) in &self.all {
            let monitor = json!({
                "name": "Failures", "network": NETWORK, "group_by": ["transaction"], "channels": [channel.as_str()],
                "match_conditions": {"transactions": [{"status": "Failure"}]}
            });
            made.push((who.clone(), self.monitor(who, &monitor, bounds).await?));
        }
        self.known(&made).await
    }

    async fn monitor(&self, who: &Authenticated, monitor: &Value, bounds: &Bounds) -> Result<Id, Failure> {
        let control = self.operator.control();
        let made = control.create_definition(Caller::here(who), DefinitionKind::Monitor, monitor, None, bounds).await?;
        Ok(made.made.id)
    }

    /// Waits until these monitors are in the topic that the stages read.
    async fn known(&self, monitors: &[(Authenticated, Id)]) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        for (who, id) in monitors {
            while !self.operator.control().is_published(who.tenant(), DefinitionKind::Monitor, id).await? {
                if Instant::now() > until {
                    return Err(format!("monitor {id} was not told to the stages in {PATIENCE:?}").into());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Lets go of the control store.
    pub(super) async fn close(self) {
        self.operator.control().close().await;
    }
}

/// A monitor that finds nothing, another for each.
fn elsewhere(n: usize) -> Value {
    let (address, conditions) = (monitors::elsewhere(n), monitors::conditions(n));
    json!({"name": format!("m{n:05}"), "network": NETWORK, "addresses": [{"address": address}], "match_conditions": conditions})
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::Paging;
    use runtime::config::{Control as Settings, ControlPlace};
    use runtime::targets::Targets;

    #[tokio::test]
    async fn every_tenant_has_its_share_and_each_monitor_is_one_that_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            place: ControlPlace::Sqlite(folder.path().join("control.db")),
            secret: None,
            former_secret: None,
        };
        let receiver = Receiver::start().await.expect("listens");
        let targets = Targets::new(&[receiver.address().to_string()], &[]).expect("an address");
        let bounds = Bounds { targets, ..Bounds::default() };
        // Nobody publishes here: what is waited for is left out.
        let tenants = Tenants::define(&settings, &bounds, &receiver, (3, 0)).await.expect("made");
        assert_eq!(tenants.count(), 3);
        for n in 0..9 {
            let (who, _) = &tenants.all[n % 3];
            tenants.monitor(who, &elsewhere(n), &bounds).await.expect("a monitor");
        }
        for (who, _) in &tenants.all {
            let control = tenants.operator.control();
            let monitors = control.definitions(who.tenant(), DefinitionKind::Monitor, &Paging::default()).await;
            assert_eq!(monitors.expect("a list").items.len(), 3);
        }
    }
}
