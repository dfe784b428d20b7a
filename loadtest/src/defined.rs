//! Tenants and what they define, made in the control store beside the process that is measured.
//!
//! Guarantee: everything goes through the control store's own API, as an operator's does, many things in one transaction; and what was made is
//! in the topic that the stages read when [`Defined::known`] says so.

use crate::failure::Failure;
use control::{Authenticated, Bounds, Caller, Control, EXPORT_FORMAT, Id, ImportReader, Operator};
use schemas::limits::control::IMPORTED_INTO;
use schemas::records::DefinitionKind;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::Instant;

/// How long it may take until the stages can know of all of it.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Something that was defined.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// Whose.
    pub who: Authenticated,
    /// What it is.
    pub kind: DefinitionKind,
    /// Its id.
    pub id: Id,
}

/// A control store, opened as who holds it.
pub(crate) struct Defined {
    operator: Operator,
    bounds: Bounds,
}

impl Defined {
    /// That of these settings.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) async fn open(settings: &runtime::config::Control, bounds: Bounds) -> Result<Self, Failure> {
        Ok(Self { operator: Operator::open(settings, "loadtest").await?, bounds })
    }

    /// The store.
    pub(crate) fn control(&self) -> &Control {
        self.operator.control()
    }

    /// So many tenants, the one that is always there first; those that lack are founded.
    ///
    /// # Errors
    /// The store refuses one.
    pub(crate) async fn tenants(&self, many: usize) -> Result<Vec<Authenticated>, Failure> {
        for n in self.operator.tenants().await?.len()..many {
            self.operator.found_organisation(&format!("Team {n:05}"), None).await?;
        }
        let all = self.operator.tenants().await?;
        Ok(all.iter().take(many).map(|tenant| self.operator.within(tenant)).collect())
    }

    /// Makes one thing of a tenant.
    ///
    /// # Errors
    /// The store refuses it.
    pub(crate) async fn make(&self, who: &Authenticated, kind: DefinitionKind, what: &Value) -> Result<Made, Failure> {
        let made = self.control().create_definition(Caller::here(who), kind, what, None, &self.bounds).await?;
        Ok(Made { who: who.clone(), kind, id: made.made.id })
    }

    /// Makes a tenant's monitors, many in one transaction. The last of them, which is told to the stages last; `None` of none.
    ///
    /// # Errors
    /// The store refuses one.
    pub(crate) async fn monitors(&self, who: &Authenticated, monitors: &[Value]) -> Result<Option<Made>, Failure> {
        let Some((last, before)) = monitors.split_last() else { return Ok(None) };
        for some in before.chunks(IMPORTED_INTO) {
            let brought = ImportReader::new(&self.bounds).read(&document(some)).await?;
            self.control().import(Caller::here(who), brought, &self.bounds).await?;
        }
        self.make(who, DefinitionKind::Monitor, last).await.map(Some)
    }

    /// Waits until the stages can know of all of these.
    ///
    /// # Errors
    /// It takes too long.
    pub(crate) async fn known(&self, made: &[Made]) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        for Made { who, kind, id } in made {
            while !self.control().is_published(who.tenant(), *kind, id).await? {
                if Instant::now() > until {
                    return Err(format!("{} {id} was not told to the stages in {PATIENCE:?}", kind.as_str()).into());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Lets go of the store.
    pub(crate) async fn close(&self) {
        self.control().close().await;
    }
}

/// Monitors as an export has them, which is what is taken in at once.
fn document(monitors: &[Value]) -> String {
    let mut text = json!({"kind": EXPORT_FORMAT.0, "version": EXPORT_FORMAT.1}).to_string();
    for (n, monitor) in monitors.iter().enumerate() {
        let line = json!({"kind": DefinitionKind::Monitor.as_str(), "id": format!("{n:026}"), "definition": monitor});
        // Writing into memory cannot fail.
        let _ = write!(text, "\n{line}");
    }
    text + "\n{\"kind\":\"history\"}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitors;
    use control::Paging;
    use runtime::config::{Control as Settings, ControlPlace};

    #[tokio::test]
    async fn every_tenant_has_its_share_and_each_monitor_is_one_that_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = ControlPlace::Sqlite(folder.path().join("control.db"));
        let settings = Settings { place, secret: None, former_secret: None };
        let defined = Defined::open(&settings, Bounds::default()).await.expect("opens");
        let tenants = defined.tenants(3).await.expect("tenants");
        assert_eq!(tenants.len(), 3);
        for (n, who) in tenants.iter().enumerate() {
            let all: Vec<Value> = (0..9 * n).map(|m| monitors::nowhere("demo", m)).collect();
            let last = defined.monitors(who, &all).await.expect("monitors");
            assert_eq!(last.is_some(), n > 0);
        }
        for (n, who) in tenants.iter().enumerate() {
            let page = defined.control().definitions(who.tenant(), DefinitionKind::Monitor, &Paging::default()).await;
            assert_eq!(page.expect("a list").items.len(), 9 * n);
        }
        assert_eq!(defined.tenants(3).await.expect("the same").len(), 3);
    }
}
