//! Plans: those of the configuration file, and which one a tenant has.
//!
//! Guarantee: as the operator's contracts, they are in the control store, so that every process goes by the same ones; the file that was read
//! last counts. Each change is in the audit, in the transaction of the change: of plans in that of the first tenant, as done by the system.

use std::collections::BTreeMap;

use runtime::config;
use schemas::{Quota, limits::quotas as limits};
use serde_json::{Value as Json, json};

use super::DEFAULT;
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Tx, Value},
    error::{Error, Mistake},
    open::{Control, system},
    sql::{Sql, SystemSql},
    tenant::Caller,
};

const ALL: SystemSql = SystemSql("SELECT name, document FROM plans ORDER BY name LIMIT $1");
const PUT: SystemSql = SystemSql(
    "INSERT INTO plans (name, document, created_at, updated_at, version) VALUES ($1, $2, $3, $3, 1) \
     ON CONFLICT (name) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at, version = plans.version + 1",
);
const DROP: SystemSql = SystemSql("DELETE FROM plans WHERE name = $1");
pub(super) const SET: Sql =
    Sql::of_tenant("UPDATE tenants SET plan = $2, version = version + 1 WHERE tenant_id = $1 RETURNING plan");

/// What channels' records say of the plan's messages in an hour is to be published again: of one tenant, or of all. The latter reads all that
/// ever changed, and happens when the operator edits that number of a plan.
pub(super) const TELL: Sql =
    Sql::of_tenant("UPDATE outbox SET revision = revision + 1 WHERE tenant_id = $1 AND kind = 'channel'");
const TELL_ALL: SystemSql = SystemSql("UPDATE outbox SET revision = revision + 1 WHERE kind = 'channel'");

impl Control {
    /// Makes the plans those of this configuration file; whether that changed anything.
    ///
    /// # Errors
    /// The store is away; nothing is changed then.
    pub async fn put_plans(&self, file: &[config::Plan]) -> Result<bool, Error> {
        let wanted: BTreeMap<String, Json> = file.iter().map(|plan| (plan.name.clone(), document(plan))).collect();
        let mut tx = self.db.system(false).await?;
        let there = all(&mut tx).await;
        // Most starts change nothing, and take no turn among those that do.
        if tx.end(there).await? == wanted {
            return Ok(false);
        }
        let system = system();
        let mut change = Change::begin(&self.db, &self.pepper, Caller::here(&system)).await?;
        let done = put(&mut change, &wanted).await;
        change.end(done).await.map(|()| true)
    }

    /// The names of all plans, `default` among them.
    ///
    /// # Errors
    /// The store is away.
    pub async fn plans(&self) -> Result<Vec<String>, Error> {
        let mut tx = self.db.system(false).await?;
        let there = all(&mut tx).await;
        let mut names: Vec<String> = tx.end(there).await?.into_keys().collect();
        if !names.iter().any(|name| name == DEFAULT) {
            names.insert(0, DEFAULT.to_owned());
        }
        Ok(names)
    }

    /// Gives the caller's tenant another plan. Who may do that is for the caller to ask: only operators do.
    ///
    /// # Errors
    /// There is no such plan, or as of every change.
    pub async fn set_plan(&self, by: Caller<'_>, plan: &str) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = set(&mut change, plan).await;
        change.end(done).await
    }
}

/// Gives the change's tenant another plan, with its entry in the audit.
pub(crate) async fn set(change: &mut Change<'_>, plan: &str) -> Result<(), Error> {
    let before = change.tx().row(super::PLAN, &[]).await?.ok_or(Error::NotFound)?.text("plan")?;
    if before == plan {
        return Ok(());
    }
    let there = all(change.tx()).await?;
    if plan != DEFAULT && !there.contains_key(plan) {
        let others = there.keys().map(String::as_str).filter(|name| *name != DEFAULT);
        let names: Vec<&str> = std::iter::once(DEFAULT).chain(others).collect();
        let cure = format!("write one of: {}", names.join(", "));
        return Err(Error::Invalid(vec![Mistake::new("plan", "is no plan of the configuration file", cure)]));
    }
    change.write(SET, &[Value::from(plan)]).await?;
    change.tx().rows(TELL, &[]).await?;
    change.tx().tells();
    let id = change.by().who.tenant().id().to_string();
    let subject = Subject { kind: "organisation", id, name: None };
    let (was, is) = (Some(json!({"plan": before})), Some(json!({"plan": plan})));
    change.audit(Action::OrganisationPlan, &subject, was, is, Outcome::Done).await
}

async fn put(change: &mut Change<'_>, wanted: &BTreeMap<String, Json>) -> Result<(), Error> {
    // Read again: this one's turn has come only now.
    let there = all(change.tx()).await?;
    let now = change.at();
    let per_hour = |plans: &BTreeMap<String, Json>| -> Vec<(String, Json)> {
        let of = |(name, document): (&String, &Json)| {
            Some((name.clone(), document.get(Quota::DeliveriesPerHour.as_str())?.clone()))
        };
        plans.iter().filter_map(of).collect()
    };
    if per_hour(&there) != per_hour(wanted) {
        change.tx().set("headwater.publisher", "on").await?;
        change.system(TELL_ALL, &[]).await?;
        change.tx().tells();
    }
    for (name, document) in wanted {
        let before = there.get(name);
        if before == Some(document) {
            continue;
        }
        change.system(PUT, &[Value::from(name), document.to_string().into(), now.0.into()]).await?;
        audit(change, name, before.cloned(), Some(document.clone())).await?;
    }
    for (name, before) in there.into_iter().filter(|(name, _)| !wanted.contains_key(name)) {
        change.system(DROP, &[Value::from(&name)]).await?;
        audit(change, &name, Some(before), None).await?;
    }
    Ok(())
}

async fn audit(change: &mut Change<'_>, name: &str, before: Option<Json>, after: Option<Json>) -> Result<(), Error> {
    let subject = Subject { kind: "plan", id: name.to_owned(), name: Some(name.to_owned()) };
    change.audit(Action::PlanChange, &subject, before, after, Outcome::Done).await
}

/// As it is kept: the names of quotas and their maxima.
fn document(plan: &config::Plan) -> Json {
    plan.maxima
        .iter()
        .map(|(quota, most)| (quota.as_str().to_owned(), json!(most)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

async fn all(tx: &mut Tx) -> Result<BTreeMap<String, Json>, Error> {
    let rows = tx.system(ALL, &[(limits::PLANS as i64).into()]).await?;
    rows.iter().map(|row| Ok((row.text("name")?, row.json("document")?))).collect()
}
