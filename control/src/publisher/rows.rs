//! What is to be published, as it is in the store now.
//!
//! Guarantee: a row and its revision are of one moment (one statement), and a change and its revision are committed together; so what
//! is published under a revision is the thing as that revision left it, or as a later one did whose own turn is still to come. A key is
//! unpublished until its present revision is marked: a transaction that commits late (PostgreSQL) is found when it does, since nothing
//! here goes by an order of commits. What is being changed just now is not waited for.
//!
//! Of a tenant that is suspended, or is being deleted, nothing is there for the stages: whoever suspends it raises the revisions of all
//! that is its ([`crate::life::told`]), and each is told as gone; resumed, each is told as it is. Addresses stay watched meanwhile, since
//! figures belong to nobody; but those of one that is being imported are not watched before it is whole. Rules and monitors of a tenant that is
//! entitled to some networks only are told without the others, and as paused where none is left.

use std::collections::HashMap;

use schemas::{
    Network, Quota,
    records::{
        Contract, ControlConfig, ControlTenant, Definition, DefinitionKind, ORGANISATION_PER_HOUR, OperatorContract,
        TenantThing, WatchedAddress,
    },
};

use crate::{
    db::{Db, Dialect, Row, Tx, Value},
    definitions,
    error::Error,
    organisations, quotas,
    sql::SystemSql,
    tenant::Networks,
};

/// Rows that are read at a time. An ABI may take 256 KiB.
const PAGE: i64 = 64;

// What is a suspended tenant's is told as gone, and so is what is nobody's any more: evaluation and delivery stop with that, and the rows stay.
const TENANTS: SystemSql = SystemSql(
    "SELECT o.tenant_id, o.id, o.revision, c.network, c.address, c.name, c.labels, c.abi FROM outbox o \
     LEFT JOIN tenants t ON t.tenant_id = o.tenant_id AND t.suspended_at IS NULL \
     LEFT JOIN tenant_contracts c ON c.tenant_id = t.tenant_id AND c.id = o.id \
     WHERE o.kind = 'contract' AND o.published < o.revision AND (o.tenant_id, o.id) > ($1, $2) \
     ORDER BY o.tenant_id, o.id LIMIT $3",
);
const DEFINITIONS: SystemSql = SystemSql(
    "SELECT o.tenant_id, o.id, o.revision, d.name, d.version, d.definition, d.sealed, d.disabled FROM outbox o \
     LEFT JOIN tenants t ON t.tenant_id = o.tenant_id AND t.suspended_at IS NULL \
     LEFT JOIN tenant_definitions d ON d.tenant_id = t.tenant_id AND d.kind = o.kind AND d.id = o.id \
     WHERE o.kind = $4 AND o.published < o.revision AND (o.tenant_id, o.id) > ($1, $2) \
     ORDER BY o.tenant_id, o.id LIMIT $3",
);
// The file's; and while everybody is the tenant `default` (`$4` is 1), that one's too.
const CONTRACTS: SystemSql = SystemSql(
    "SELECT o.network, o.address, o.revision, COALESCE(c.id, t.id) AS id, COALESCE(c.name, t.name) AS name, \
     COALESCE(c.labels, t.labels) AS labels, CASE WHEN c.id IS NULL THEN t.abi ELSE c.abi END AS abi FROM config_outbox o \
     LEFT JOIN operator_contracts c ON c.network = o.network AND c.address = o.address \
     LEFT JOIN tenant_contracts t ON t.tenant_id = '00000000000000000000000000' AND t.network = o.network \
     AND t.address = o.address AND CAST($4 AS BIGINT) = 1 \
     WHERE o.kind = 'contract' AND o.published < o.revision AND (o.network, o.address) > ($1, $2) \
     ORDER BY o.network, o.address LIMIT $3",
);
const WATCHED: SystemSql = SystemSql(
    "SELECT o.network, o.address, o.revision, CAST(CASE \
     WHEN EXISTS (SELECT 1 FROM operator_contracts c WHERE c.network = o.network AND c.address = o.address) THEN 1 \
     WHEN EXISTS (SELECT 1 FROM tenant_contracts t WHERE t.network = o.network AND t.address = o.address AND NOT EXISTS \
     (SELECT 1 FROM tenants i WHERE i.tenant_id = t.tenant_id AND i.importing_at IS NOT NULL)) THEN 1 \
     ELSE 0 END AS BIGINT) AS there FROM config_outbox o \
     WHERE o.kind = 'watched' AND o.published < o.revision AND (o.network, o.address) > ($1, $2) \
     ORDER BY o.network, o.address LIMIT $3",
);
const MARK: SystemSql =
    SystemSql("UPDATE outbox SET published = $3 WHERE tenant_id = $1 AND kind = $4 AND id = $2 AND published < $3");
const MARK_CONFIG: SystemSql = SystemSql(
    "UPDATE config_outbox SET published = $4 WHERE kind = $1 AND network = $2 AND address = $3 AND published < $4",
);
// A row that somebody changes just now is published again by what he does; waiting for him would keep everybody's changes.
const MARK_POSTGRES: SystemSql = SystemSql(
    "UPDATE outbox SET published = $3 WHERE tenant_id = $1 AND kind = $4 AND id IN (SELECT id FROM outbox \
     WHERE tenant_id = $1 AND kind = $4 AND id = $2 AND published < $3 FOR UPDATE SKIP LOCKED)",
);
const MARK_CONFIG_POSTGRES: SystemSql = SystemSql(
    "UPDATE config_outbox SET published = $4 WHERE kind = $1 AND network = $2 AND address IN (SELECT address FROM config_outbox \
     WHERE kind = $1 AND network = $2 AND address = $3 AND published < $4 FOR UPDATE SKIP LOCKED)",
);

pub(crate) const STATEMENTS: &[(&str, SystemSql)] = &[
    ("publisher: tenants'", TENANTS),
    ("publisher: definitions", DEFINITIONS),
    ("publisher: operator's contracts", CONTRACTS),
    ("publisher: watched addresses", WATCHED),
    ("publisher: mark", MARK),
    ("publisher: mark what is everybody's", MARK_CONFIG),
];

/// Kinds of things, in the order in which they are published: an address is watched before somebody's row says why, and a channel is there
/// before what names it.
pub(super) const KINDS: [Kind; 7] = [
    Kind::Watched,
    Kind::Contract,
    Kind::OfTenant,
    Kind::Defined(DefinitionKind::Channel),
    Kind::Defined(DefinitionKind::Silence),
    Kind::Defined(DefinitionKind::Rule),
    Kind::Defined(DefinitionKind::Monitor),
];

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// `watched` of `control.config`.
    Watched,
    /// `contract` of `control.config`.
    Contract,
    /// `contract` of `control.tenants`.
    OfTenant,
    /// Another kind of `control.tenants`.
    Defined(DefinitionKind),
}

/// Which thing: network and address, or tenant and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Place(pub String, pub String);

/// The present row of a thing.
pub(super) enum Present {
    Config(ControlConfig),
    Tenant(ControlTenant),
    /// It is gone.
    Nothing,
}

/// A thing that is to be published.
pub(super) struct Unpublished {
    pub kind: Kind,
    pub place: Place,
    pub revision: u64,
    pub present: Present,
}

/// A transaction that sees what the publisher may see.
pub(super) async fn begin(db: &Db, write: bool) -> Result<Tx, Error> {
    let mut tx = db.system(write).await?;
    tx.set("headwater.publisher", "on").await?;
    Ok(tx)
}

/// The next page of what is unpublished of a kind, behind a place, and whether there may be more.
///
/// `public`: whether what is added through the API is everybody's, as where `[auth]` is `none`.
pub(super) async fn unpublished(
    db: &Db,
    kind: Kind,
    after: &Place,
    public: bool,
) -> Result<(Vec<Unpublished>, bool), Error> {
    let sql = match kind {
        Kind::Watched => WATCHED,
        Kind::Contract => CONTRACTS,
        Kind::OfTenant => TENANTS,
        Kind::Defined(_) => DEFINITIONS,
    };
    let mut tx = begin(db, false).await?;
    let mut values = vec![Value::from(&after.0), Value::from(&after.1), PAGE.into()];
    values.extend(kind.more(public));
    let rows = async {
        let rows = tx.system(sql, &values).await?;
        let bounds = bounds(&mut tx, kind, &rows).await?;
        let entitled = entitled(&mut tx, kind, &rows).await?;
        Ok((rows, bounds, entitled))
    };
    let rows = rows.await;
    let (rows, bounds, entitled) = tx.end(rows).await?;
    let more = rows.len() as i64 == PAGE;
    let mut things = rows.iter().map(|row| read(kind, row)).collect::<Result<Vec<_>, _>>()?;
    for thing in &mut things {
        if let Some(per_hour) = bounds.get(&thing.place.0) {
            bound(&mut thing.present, *per_hour)?;
        }
        if let Some(networks) = entitled.get(&thing.place.0) {
            narrowed(kind, &mut thing.present, networks)?;
        }
    }
    Ok((things, more))
}

/// Messages in an hour over all channels, by tenants whose channels these rows are and whose plan bounds them. A plan that is changed after
/// this raises the channels' revisions.
async fn bounds(tx: &mut Tx, kind: Kind, rows: &[Row]) -> Result<HashMap<String, i64>, Error> {
    let mut bounds = HashMap::new();
    let mut last = String::new();
    for row in rows.iter().filter(|_| kind == Kind::Defined(DefinitionKind::Channel)) {
        let tenant = row.text("tenant_id")?;
        // They come by tenant.
        if tenant != last {
            tx.enter(&tenant.parse()?).await?;
            let most = quotas::maximum(tx, Quota::DeliveriesPerHour).await?;
            bounds.extend(most.map(|most| (tenant.clone(), most)));
            last = tenant;
        }
    }
    Ok(bounds)
}

/// Networks of tenants whose rules or monitors these rows are and who are not entitled to all. Read after the rows: who is entitled to others
/// after this raises the revisions ([`crate::life::told`]).
async fn entitled(tx: &mut Tx, kind: Kind, rows: &[Row]) -> Result<HashMap<String, Networks>, Error> {
    let mut entitled = HashMap::new();
    let mut last = String::new();
    let looks = matches!(kind, Kind::Defined(DefinitionKind::Rule | DefinitionKind::Monitor));
    for row in rows.iter().filter(|_| looks) {
        let tenant = row.text("tenant_id")?;
        // They come by tenant.
        if tenant != last {
            tx.enter(&tenant.parse()?).await?;
            let networks = organisations::entitled(tx).await?;
            if networks != Networks::All {
                entitled.insert(tenant.clone(), networks);
            }
            last = tenant;
        }
    }
    Ok(entitled)
}

/// Leaves out of a rule or monitor what its tenant is not entitled to.
fn narrowed(kind: Kind, present: &mut Present, entitled: &Networks) -> Result<(), Error> {
    let Kind::Defined(kind) = kind else { return Ok(()) };
    let Present::Tenant(ControlTenant { thing: TenantThing::Rule(of) | TenantThing::Monitor(of), .. }) = present else {
        return Ok(());
    };
    let mut what: serde_json::Value = serde_json::from_str(&of.definition)
        .map_err(|e| Error::Corrupt(format!("a {}'s definition: {e}", kind.as_str())))?;
    if definitions::narrow(kind, &mut what, entitled) {
        of.definition = what.to_string();
    }
    Ok(())
}

/// Says it in the record of a channel.
fn bound(present: &mut Present, per_hour: i64) -> Result<(), Error> {
    let Present::Tenant(ControlTenant { thing: TenantThing::Channel(channel), .. }) = present else { return Ok(()) };
    let mut what: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&channel.definition)
        .map_err(|e| Error::Corrupt(format!("a channel's definition: {e}")))?;
    what.insert(ORGANISATION_PER_HOUR.to_owned(), per_hour.max(0).into());
    channel.definition = serde_json::Value::from(what).to_string();
    Ok(())
}

/// Marks what is in the log.
pub(super) async fn mark<'a>(db: &Db, published: impl Iterator<Item = &'a Unpublished>) -> Result<(), Error> {
    let mut tx = begin(db, true).await?;
    let (of_tenant, of_config) = match tx.dialect() {
        Dialect::Sqlite => (MARK, MARK_CONFIG),
        Dialect::Postgres => (MARK_POSTGRES, MARK_CONFIG_POSTGRES),
    };
    let done = async {
        for Unpublished { kind, place: Place(first, second), revision, .. } in published {
            let revision = Value::from(i64::try_from(*revision).unwrap_or(i64::MAX));
            match kind {
                Kind::OfTenant | Kind::Defined(_) => {
                    tx.system(of_tenant, &[first.into(), second.into(), revision, kind.word().into()]).await?
                }
                kind => tx.system(of_config, &[kind.word().into(), first.into(), second.into(), revision]).await?,
            };
        }
        Ok(())
    };
    let done = done.await;
    tx.end(done).await
}

impl Kind {
    /// As the store and the keys have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Watched => WatchedAddress::KIND,
            Self::Contract | Self::OfTenant => OperatorContract::KIND,
            Self::Defined(kind) => kind.as_str(),
        }
    }

    /// What the statement that reads it wants to know beside the place: whether what is added through the API is everybody's, or the kind.
    pub fn more(self, public: bool) -> Option<Value> {
        match self {
            Self::Watched | Self::OfTenant => None,
            Self::Contract => Some(i64::from(public).into()),
            Self::Defined(kind) => Some(kind.as_str().into()),
        }
    }

    /// Its key in its topic.
    pub fn key(self, Place(first, second): &Place) -> String {
        match self {
            Self::OfTenant | Self::Defined(_) => ControlTenant::key_of(first, self.word(), second),
            Self::Watched | Self::Contract => ControlConfig::key_of(self.word(), first, second),
        }
    }
}

fn read(kind: Kind, row: &Row) -> Result<Unpublished, Error> {
    let revision = u64::try_from(row.int("revision")?).map_err(|_| Error::Corrupt("a revision below 0".to_owned()))?;
    let (place, present) = match kind {
        Kind::Watched => {
            let network: Network = row.parsed("network")?;
            let place = Place(network.to_string(), row.text("address")?);
            let address = place.1.clone();
            let watched =
                || Present::Config(ControlConfig::Watched(WatchedAddress { network, address, revision, since: None }));
            let present = if row.int("there")? == 1 { watched() } else { Present::Nothing };
            (place, present)
        }
        Kind::Contract => {
            let there = row.opt_text("id")?.is_some();
            let contract = if there { Some(contract(row)?) } else { None };
            let present = contract.map(|contract| ControlConfig::Contract(OperatorContract { revision, contract }));
            (Place(row.text("network")?, row.text("address")?), present.map_or(Present::Nothing, Present::Config))
        }
        Kind::OfTenant => {
            let (tenant, id) = (row.text("tenant_id")?, row.text("id")?);
            let there = row.opt_text("address")?.is_some();
            let thing = if there { Some(TenantThing::Contract(contract(row)?)) } else { None };
            let record = |thing| ControlTenant { tenant: tenant.clone(), id: id.clone(), revision, thing };
            let present = thing.map(record).map_or(Present::Nothing, Present::Tenant);
            (Place(tenant, id), present)
        }
        Kind::Defined(kind) => {
            let (tenant, id) = (row.text("tenant_id")?, row.text("id")?);
            let there = row.opt_text("definition")?.is_some();
            let thing = if there { Some(TenantThing::of(kind, definition(row)?)) } else { None };
            let record = |thing| ControlTenant { tenant: tenant.clone(), id: id.clone(), revision, thing };
            let present = thing.map(record).map_or(Present::Nothing, Present::Tenant);
            (Place(tenant, id), present)
        }
    };
    Ok(Unpublished { kind, place, revision, present })
}

fn definition(row: &Row) -> Result<Definition, Error> {
    Ok(Definition {
        name: row.text("name")?,
        version: u64::try_from(row.int("version")?).map_err(|_| Error::Corrupt("a version below 0".to_owned()))?,
        definition: row.text("definition")?,
        sealed: row.opt_text("sealed")?,
        disabled: row.opt_text("disabled")?,
    })
}

fn contract(row: &Row) -> Result<Contract, Error> {
    Ok(Contract {
        network: row.parsed("network")?,
        address: row.text("address")?,
        name: row.text("name")?,
        labels: row.json("labels")?,
        abi: row.opt_text("abi")?,
    })
}
