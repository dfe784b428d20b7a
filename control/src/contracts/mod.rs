//! A tenant's contracts: which addresses it calls its own, how it calls them, and what their functions are.
//!
//! Guarantee: an address is once in a network of a tenant; a change names the version that it was made from, and is refused when there
//! is a newer one; a request with an idempotency key is carried out once. Who may reach some networks only finds nothing of the others.
//! The stages hear of it through the outbox, in the same transaction.

mod abi;
mod change;
mod input;

use schemas::{Network, TimeMs};
use serde_json::value::RawValue;

pub use abi::{Abi, Named, What};
pub use input::{ContractPatch, NewContract};

use crate::{
    audit::Change,
    db::{Row, Tx, Value},
    error::Error,
    id::Id,
    idempotency::IdempotencyKey,
    open::Control,
    pages::{Cursor, Page, Paging},
    sql::Sql,
    tenant::{Caller, Networks, Tenant},
};

/// A contract.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Contract {
    /// Its id.
    pub id: Id,
    /// Its network.
    pub network: Network,
    /// Its address, lower case.
    pub address: String,
    /// What the tenant calls it.
    pub name: String,
    /// Words to find it by.
    pub labels: Vec<String>,
    /// Its ABI, as a JSON array; `null` where none is known. Lists have none: see `has_abi`.
    pub abi: Option<Box<RawValue>>,
    /// Whether it has one.
    pub has_abi: bool,
    /// Since when.
    pub created_at: TimeMs,
    /// When it was last changed.
    pub updated_at: TimeMs,
    /// For `ETag` and `If-Match`.
    pub version: i64,
}

/// What a request made, or had made before.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// The thing.
    pub made: T,
    /// The same request came before, and nothing was done now.
    pub again: bool,
}

macro_rules! columns {
    () => {
        "id, network, address, name, labels, created_at, updated_at, version"
    };
}
use columns;

const GET: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    ", abi, CAST(CASE WHEN abi IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_abi FROM tenant_contracts WHERE tenant_id = $1 AND id = $2"
));
const LIST: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    ", NULL AS abi, CAST(CASE WHEN abi IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_abi FROM tenant_contracts \
     WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3"
));
const LIST_OF_NETWORK: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    ", NULL AS abi, CAST(CASE WHEN abi IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_abi FROM tenant_contracts \
     WHERE tenant_id = $1 AND network = $4 AND id > $2 ORDER BY id LIMIT $3"
));
const BY_ADDRESS: Sql =
    Sql::of_tenant("SELECT id FROM tenant_contracts WHERE tenant_id = $1 AND network = $2 AND address = $3");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("contracts: get", GET),
    ("contracts: list", LIST),
    ("contracts: list of a network", LIST_OF_NETWORK),
    ("contracts: by address", BY_ADDRESS),
    ("contracts: the last that may be", change::LAST),
    ("contracts: insert", change::INSERT),
    ("contracts: patch", change::PATCH),
    ("contracts: delete", change::DELETE),
];

impl Control {
    /// Adds a contract.
    ///
    /// # Errors
    /// What was sent has mistakes; the address is there already ([`Error::Taken`], with its id); the idempotency key was used for
    /// something else; there are too many; or the store is away.
    pub async fn create_contract(
        &self,
        by: Caller<'_>,
        new: &NewContract,
        key: Option<&IdempotencyKey>,
    ) -> Result<Created<Contract>, Error> {
        let checked = new.checked()?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change::create(&mut change, &checked, key).await;
        change.end(done).await
    }

    /// One contract, with its ABI.
    ///
    /// # Errors
    /// Not there, or not this tenant's.
    pub async fn contract(&self, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = get(&mut tx, tenant, id).await;
        tx.end(found).await
    }

    /// Contracts by age, without their ABIs; of one network where that is wanted.
    ///
    /// # Errors
    /// The store is away.
    pub async fn contracts(
        &self,
        tenant: &Tenant,
        network: Option<&Network>,
        paging: &Paging,
    ) -> Result<Page<Contract>, Error> {
        let mut tx = self.db.read(tenant).await?;
        let page = page(&mut tx, tenant, network, paging).await;
        tx.end(page).await
    }

    /// Changes a contract whose version is `version`.
    ///
    /// # Errors
    /// Not there, or not this tenant's; changed since ([`Error::Stale`]); what was sent has mistakes; or the store is away.
    pub async fn patch_contract(
        &self,
        by: Caller<'_>,
        id: &Id,
        version: i64,
        patch: &ContractPatch,
    ) -> Result<Contract, Error> {
        let checked = patch.checked()?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change::patch(&mut change, id, version, checked).await;
        change.end(done).await
    }

    /// Removes a contract whose version is `version`; whatever its version is with `None`.
    ///
    /// # Errors
    /// Not there, or not this tenant's; changed since ([`Error::Stale`]); or the store is away.
    pub async fn delete_contract(&self, by: Caller<'_>, id: &Id, version: Option<i64>) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change::delete(&mut change, id, version).await;
        change.end(done).await
    }
}

/// One of the networks that may be reached; of another it is not there.
async fn get(tx: &mut Tx, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
    let row = tx.row(GET, &[id.into()]).await?.ok_or(Error::NotFound)?;
    let contract = read(&row)?;
    if tenant.reach.contains(contract.network.as_str()) { Ok(contract) } else { Err(Error::NotFound) }
}

/// A page. Who reaches some networks only is given each of them after the other, so that nothing is read to be left out.
async fn page(
    tx: &mut Tx,
    tenant: &Tenant,
    network: Option<&Network>,
    paging: &Paging,
) -> Result<Page<Contract>, Error> {
    let limit = paging.limit();
    let after = paging.after.as_ref().map_or("", Cursor::as_str);
    let fetch = limit as i64 + 1;
    let mut found = match (network, &tenant.reach) {
        (None, Networks::All) => of_rows(tx.rows(LIST, &[after.into(), fetch.into()]).await?)?,
        (Some(network), reach) => match reach.contains(network.as_str()) {
            true => of_network(tx, network, after, fetch).await?,
            false => Vec::new(),
        },
        (None, Networks::Only(networks)) => {
            let mut all = Vec::new();
            for network in networks {
                all.extend(of_network(tx, network, after, fetch).await?);
            }
            all.sort_by_key(|c: &Contract| c.id);
            all.dedup_by_key(|c| c.id);
            all
        }
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = more.then(|| found.last().map(|c| Cursor(c.id.to_string()))).flatten();
    Ok(Page { items: found, next })
}

async fn of_network(tx: &mut Tx, network: &Network, after: &str, fetch: i64) -> Result<Vec<Contract>, Error> {
    of_rows(tx.rows(LIST_OF_NETWORK, &[Value::from(after), fetch.into(), network.as_str().into()]).await?)
}

fn of_rows(rows: Vec<Row>) -> Result<Vec<Contract>, Error> {
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Contract, Error> {
    let abi = match row.opt_text("abi")? {
        None => None,
        Some(text) => Some(RawValue::from_string(text).map_err(|e| Error::Corrupt(format!("an ABI: {e}")))?),
    };
    Ok(Contract {
        id: row.parsed("id")?,
        network: row.parsed("network")?,
        address: row.text("address")?,
        name: row.text("name")?,
        labels: row.json("labels")?,
        abi,
        has_abi: row.int("has_abi")? != 0,
        created_at: TimeMs(row.int("created_at")?),
        updated_at: TimeMs(row.int("updated_at")?),
        version: row.int("version")?,
    })
}
