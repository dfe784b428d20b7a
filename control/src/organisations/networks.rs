//! The networks that an organisation is entitled to: rows of `tenant_networks`. Where there are none, all of the operator's.

use schemas::{Network, limits::control as limits};
use serde_json::json;

use super::across;
use crate::{
    audit::{Action, Change, Outcome},
    db::{Tx, Value},
    error::{Error, Mistake},
    id::Id,
    open::Control,
    sql::Sql,
    tenant::{Caller, Networks},
    tenants,
};

pub(super) const LIST: Sql =
    Sql::of_tenant("SELECT network FROM tenant_networks WHERE tenant_id = $1 ORDER BY network LIMIT $2");
pub(super) const CLEAR: Sql = Sql::of_tenant("DELETE FROM tenant_networks WHERE tenant_id = $1");
pub(super) const ADD: Sql = Sql::of_tenant(
    "INSERT INTO tenant_networks (tenant_id, network, created_at, version) VALUES ($1, $2, $3, 1) \
     ON CONFLICT (tenant_id, network) DO NOTHING",
);

impl Control {
    /// Says what an organisation is entitled to: operators of the platform only. It holds for everybody of it within 5 s, and for its rules
    /// and monitors, which stand still where it is not.
    ///
    /// # Errors
    /// There is no such organisation, too many or no networks are named, the caller is no operator, or as of every change.
    pub async fn entitle(&self, by: Caller<'_>, organisation: &Id, networks: &Networks) -> Result<(), Error> {
        let listed = networks.listed();
        if *networks != Networks::All && !(1..=limits::KEY_NETWORKS).contains(&listed.len()) {
            let cure = format!("write 1 to {}, or none at all for every network", limits::KEY_NETWORKS);
            return Err(Error::Invalid(vec![Mistake::new("networks", format!("has {} entries", listed.len()), cure)]));
        }
        let who = across(by.who, organisation)?;
        let mut change = Change::begin(&self.db, &self.pepper, Caller { who: &who, ..by }).await?;
        let done = async {
            let before = entitled(change.tx()).await?;
            change.write(CLEAR, &[]).await?;
            for network in &listed {
                change.write(ADD, &[Value::from(*network), change.at().0.into()]).await?;
            }
            crate::life::told(&mut change).await?;
            let info = tenants::get(change.tx()).await?;
            let (was, is) = (json!({"networks": before.listed()}), json!({"networks": listed}));
            let subject = tenants::subject(&info);
            change.audit(Action::OrganisationEntitle, &subject, Some(was), Some(is), Outcome::Done).await
        };
        let done = done.await;
        change.end(done).await
    }
}

/// What the organisation of this transaction is entitled to.
pub(crate) async fn entitled(tx: &mut Tx) -> Result<Networks, Error> {
    let rows = tx.rows(LIST, &[Value::from(limits::KEY_NETWORKS as i64)]).await?;
    let listed: Vec<Network> = rows.iter().map(|row| row.parsed("network")).collect::<Result<_, _>>()?;
    Ok(if listed.is_empty() { Networks::All } else { Networks::Only(listed) })
}
