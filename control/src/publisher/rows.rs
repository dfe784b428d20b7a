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
        let said = said_of(&mut tx, kind, &rows).await?;
        Ok((rows, said))
    };
    let rows = rows.await;
    let (rows, said) = tx.end(rows).await?;
    let more = rows.len() as i64 == PAGE;
    let mut things = rows.iter().map(|row| read(kind, row)).collect::<Result<Vec<_>, _>>()?;
    for thing in &mut things {
        if let Some(said) = said.get(&thing.place.0) {
            said.apply(kind, &mut thing.present)?;
        }
    }
    Ok((things, more))
}

/// What a tenant's plan or entitlement makes of what is told of it.
enum Said {
    /// Messages in an hour over all channels, where the plan bounds them: for channels. A plan that is changed after this was read raises the
    /// channels' revisions.
    PerHour(i64),
    /// The networks that the tenant is entitled to, where these are not all: for rules and monitors. Read after the rows: who is entitled to
    /// others after this raises the revisions ([`crate::life::told`]).
    Only(Networks),
}

/// What is said to these rows, by their tenants.
async fn said_of(tx: &mut Tx, kind: Kind, rows: &[Row]) -> Result<HashMap<String, Said>, Error> {
    let mut all = HashMap::new();
    let Kind::Defined(kind @ (DefinitionKind::Channel | DefinitionKind::Rule | DefinitionKind::Monitor)) = kind else {
        return Ok(all);
    };
    let mut last = String::new();
    for row in rows {
        let tenant = row.text("tenant_id")?;
        // They come by tenant.
        if tenant != last {
            tx.enter(&tenant.parse()?).await?;
            let said = if kind == DefinitionKind::Channel {
                quotas::maximum(tx, Quota::DeliveriesPerHour).await?.map(Said::PerHour)
            } else {
                Some(organisations::entitled(tx).await?).filter(|list| *list != Networks::All).map(Said::Only)
            };
            all.extend(said.map(|said| (tenant.clone(), said)));
            last = tenant;
        }
    }
    Ok(all)
}

impl Said {
    /// Says the bound in the record of a channel, or leaves out of a rule or monitor what its tenant is not entitled to.
    fn apply(&self, kind: Kind, present: &mut Present) -> Result<(), Error> {
        let (Kind::Defined(kind), Present::Tenant(ControlTenant { thing, .. })) = (kind, present) else {
            return Ok(());
        };
        let corrupt = |e: serde_json::Error| Error::Corrupt(format!("a {}'s definition: {e}", kind.as_str()));
        match (self, thing) {
            (Self::PerHour(most), TenantThing::Channel(of)) => {
                let mut what: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&of.definition).map_err(corrupt)?;
                what.insert(ORGANISATION_PER_HOUR.to_owned(), (*most).max(0).into());
                of.definition = serde_json::Value::from(what).to_string();
            }
            (Self::Only(networks), TenantThing::Rule(of) | TenantThing::Monitor(of)) => {
                let mut what: serde_json::Value = serde_json::from_str(&of.definition).map_err(corrupt)?;
                if definitions::narrow(kind, &mut what, networks) {
                    of.definition = what.to_string();
                }
            }
            _ => {}
        }
        Ok(())
    }
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
