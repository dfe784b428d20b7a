//! A tenant's contracts: which addresses it calls its own, how it calls them, and what their functions are.
//!
//! Guarantee: an address is once in a network of a tenant; a change names the version that it was made from, and is refused when there
//! is a newer one; a request with an idempotency key is carried out once. Who may reach some networks only finds nothing of the others.
//! The stages hear of it through the outbox, in the same transaction.

mod change;
mod input;
mod look_up;
mod operator;

use schemas::{Network, TimeMs, limits::control as limits};
use serde_json::value::RawValue;

pub(crate) use change::{at, create, there};
pub(crate) use input::Checked;
pub use input::{ContractPatch, NewContract};
pub use operator::Put;

use crate::{
    audit::Change,
    db::{Row, Tx, Value},
    error::Error,
    expected::Expected,
    id::Id,
    idempotency::IdempotencyKey,
    open::Control,
    pages::{Cursor, Page, Paging},
    sql::{Sql, SystemSql},
    tenant::{Caller, Networks, Tenant},
};

/// Whose a contract is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The operator's, by the configuration file: everybody's to read and nobody's to change here.
    Operator,
    /// The tenant's.
    Tenant,
}

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
    /// Its ABI, as a JSON array; `None` where none is known.
    pub abi: Option<Box<RawValue>>,
    /// Characters of its ABI.
    #[serde(skip)]
    abi_length: usize,
    /// Whose it is.
    pub source: Source,
    /// Since when.
    pub created_at: TimeMs,
    /// When it was last changed.
    pub updated_at: TimeMs,
    /// For `ETag` and `If-Match`.
    pub version: i64,
}

impl Contract {
    /// Whether an ABI is known of it, which not every look-up brings along.
    pub fn has_abi(&self) -> bool {
        self.abi_length > 0
    }
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

/// Texts of statements that give rows with their ABI, and without.
macro_rules! with_abi {
    () => {
        ", abi, CAST(COALESCE(LENGTH(abi), 0) AS BIGINT) AS abi_length"
    };
}
macro_rules! without_abi {
    () => {
        ", NULL AS abi, CAST(COALESCE(LENGTH(abi), 0) AS BIGINT) AS abi_length"
    };
}
use with_abi;
use without_abi;

const GET: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    with_abi!(),
    " FROM tenant_contracts WHERE tenant_id = $1 AND id = $2"
));
const LIST: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    without_abi!(),
    " FROM tenant_contracts \
     WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3"
));
const LIST_OF_NETWORK: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    without_abi!(),
    " FROM tenant_contracts \
     WHERE tenant_id = $1 AND network = $4 AND id > $2 ORDER BY id LIMIT $3"
));
const BY_ADDRESS: Sql =
    Sql::of_tenant("SELECT id FROM tenant_contracts WHERE tenant_id = $1 AND network = $2 AND address = $3");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("contracts: get", GET),
    ("contracts: list", LIST),
    ("contracts: list of a network", LIST_OF_NETWORK),
    ("contracts: by address", BY_ADDRESS),
    look_up::STATEMENTS[0],
    look_up::STATEMENTS[1],
    look_up::STATEMENTS[2],
    ("contracts: insert", change::INSERT),
    ("contracts: patch", change::PATCH),
    ("contracts: delete", change::DELETE),
];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = operator::STATEMENTS;

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

    /// One contract, with its ABI; the operator's too.
    ///
    /// # Errors
    /// Not there, or not this tenant's.
    pub async fn contract(&self, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = get(&mut tx, tenant, id).await;
        tx.end(found).await
    }

    /// Contracts by age, the operator's among them; of one network where that is wanted. Where their ABIs are together longer than
    /// [`limits::PAGE_ABI_BYTES`], the page is shorter than was asked for.
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

    /// Changes a contract that is of the version expected.
    ///
    /// # Errors
    /// Not there, or not this tenant's; the operator's ([`Error::ReadOnly`]); changed since ([`Error::Stale`]); what was sent has mistakes; or the store is away.
    pub async fn patch_contract(
        &self,
        by: Caller<'_>,
        id: &Id,
        expected: &Expected,
        patch: &ContractPatch,
    ) -> Result<Contract, Error> {
        let checked = patch.checked()?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change::patch(&mut change, id, expected, checked).await;
        change.end(done).await
    }

    /// Removes a contract that is of the version expected.
    ///
    /// # Errors
    /// Not there, or not this tenant's; the operator's ([`Error::ReadOnly`]); changed since ([`Error::Stale`]); named by a rule
    /// ([`Error::InUse`]); or the store is away.
    pub async fn delete_contract(&self, by: Caller<'_>, id: &Id, expected: &Expected) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change::delete(&mut change, id, expected).await;
        change.end(done).await
    }
}

/// One of the networks that may be reached; of another it is not there.
async fn get(tx: &mut Tx, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
    match own(tx, tenant, id).await {
        Err(Error::NotFound) => operator::get(tx, tenant, id).await,
        found => found,
    }
}

/// The same of the tenant's own alone.
async fn own(tx: &mut Tx, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
    let row = tx.row(GET, &[id.into()]).await?.ok_or(Error::NotFound)?;
    let contract = read(&row, Source::Tenant)?;
    if tenant.reach.contains(contract.network.as_str()) { Ok(contract) } else { Err(Error::NotFound) }
}

/// The same to be changed: the operator's are there, and stay as they are.
async fn own_to_change(tx: &mut Tx, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
    match own(tx, tenant, id).await {
        Err(Error::NotFound) => Err(operator::get(tx, tenant, id).await.map_or_else(|e| e, |_| Error::ReadOnly)),
        found => found,
    }
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
        (None, Networks::All) => {
            let mut all = of_rows(tx.rows(LIST, &[after.into(), fetch.into()]).await?)?;
            all.extend(operator::list(tx, None, after, fetch).await?);
            all
        }
        (Some(network), reach) => match reach.contains(network.as_str()) {
            true => of_network(tx, network, after, fetch).await?,
            false => Vec::new(),
        },
        (None, Networks::Only(networks)) => {
            let mut all = Vec::new();
            for network in networks {
                all.extend(of_network(tx, network, after, fetch).await?);
            }
            all
        }
    };
    found.sort_by_key(|c: &Contract| c.id);
    found.dedup_by_key(|c| c.id);
    let there = found.len();
    found.truncate(limit);
    let mut length = 0;
    let fits = |c: &Contract| {
        length += c.abi_length;
        length <= limits::PAGE_ABI_BYTES
    };
    // One ABI is never longer than a page's may be together.
    let fit = found.iter().map(fits).take_while(|fits| *fits).count();
    found.truncate(fit.max(1));
    for contract in found.iter_mut().filter(|c| c.abi_length > 0) {
        contract.abi = get(tx, tenant, &contract.id).await?.abi;
    }
    let next = (there > found.len()).then(|| found.last().map(|c| Cursor(c.id.to_string()))).flatten();
    Ok(Page { items: found, next })
}

async fn of_network(tx: &mut Tx, network: &Network, after: &str, fetch: i64) -> Result<Vec<Contract>, Error> {
    let values = [Value::from(after), fetch.into(), network.as_str().into()];
    let mut all = of_rows(tx.rows(LIST_OF_NETWORK, &values).await?)?;
    all.extend(operator::list(tx, Some(network), after, fetch).await?);
    Ok(all)
}

fn of_rows(rows: Vec<Row>) -> Result<Vec<Contract>, Error> {
    rows.iter().map(|row| read(row, Source::Tenant)).collect()
}

fn read(row: &Row, source: Source) -> Result<Contract, Error> {
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
        abi_length: row.int("abi_length")?.max(0) as usize,
        source,
        created_at: TimeMs(row.int("created_at")?),
        updated_at: TimeMs(row.int("updated_at")?),
        version: row.int("version")?,
    })
}
