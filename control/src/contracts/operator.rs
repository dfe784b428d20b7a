//! The operator's contracts: those of the configuration file.
//!
//! Guarantee: they are in the control store, so that every process shows the same ones whatever file it was started with; the file that
//! was read last, at a start or by a reload, is what counts. They are nobody's and shown to every tenant, and the API changes none of
//! them. What the file changes is in the audit of the first tenant, as done by the system, in the transaction of the change.

use std::collections::BTreeMap;

use runtime::config;
use schemas::{Network, abi::Abi, limits::control as limits};
use serde_json::json;

use super::{Contract, Source, change::seen, change::subject, columns, read};
use crate::{
    audit::{Action, Change, Outcome},
    db::{Row, Tx, Value},
    error::Error,
    id::Id,
    open::{Control, system},
    outbox::{self, Everybodys},
    sql::SystemSql,
    tenant::{Caller, Tenant},
};

/// Without the ABI, but with its length.
macro_rules! listed {
    ($rest:literal) => {
        SystemSql(concat!(
            "SELECT ",
            columns!(),
            ", NULL AS abi, CAST(COALESCE(LENGTH(abi), 0) AS BIGINT) AS abi_length FROM operator_contracts ",
            $rest
        ))
    };
}
/// Whole.
macro_rules! whole {
    ($rest:literal) => {
        SystemSql(concat!(
            "SELECT ",
            columns!(),
            ", abi, CAST(COALESCE(LENGTH(abi), 0) AS BIGINT) AS abi_length FROM operator_contracts ",
            $rest
        ))
    };
}

const GET: SystemSql = whole!("WHERE id = $1");
const LIST: SystemSql = listed!("WHERE id > $1 ORDER BY id LIMIT $2");
const LIST_OF_NETWORK: SystemSql = listed!("WHERE network = $3 AND id > $1 ORDER BY id LIMIT $2");
const BY_ADDRESS: SystemSql = SystemSql("SELECT id FROM operator_contracts WHERE network = $1 AND address = $2");
/// As many as [`super::look_up`] asks for at once.
const AMONG: SystemSql = listed!(
    "WHERE network = $1 AND address IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
);
const ALL: SystemSql = whole!("WHERE id > $1 ORDER BY id LIMIT $2");
const INSERT: SystemSql = SystemSql(
    "INSERT INTO operator_contracts (id, network, address, name, labels, abi, created_at, updated_at, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1)",
);
const CHANGE: SystemSql = SystemSql(
    "UPDATE operator_contracts SET name = $2, labels = $3, abi = $4, updated_at = $5, version = version + 1 WHERE id = $1",
);
const DELETE: SystemSql = SystemSql("DELETE FROM operator_contracts WHERE id = $1");

pub(crate) const STATEMENTS: &[(&str, SystemSql)] = &[
    ("operator's contracts: get", GET),
    ("operator's contracts: list", LIST),
    ("operator's contracts: list of a network", LIST_OF_NETWORK),
    ("operator's contracts: by address", BY_ADDRESS),
    ("operator's contracts: at addresses", AMONG),
    ("operator's contracts: all", ALL),
    ("operator's contracts: insert", INSERT),
    ("operator's contracts: change", CHANGE),
    ("operator's contracts: delete", DELETE),
];

/// How many of a file's contracts were not yet there, were otherwise there, and were there and are in it no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Put {
    /// Added.
    pub added: usize,
    /// Changed.
    pub changed: usize,
    /// Taken out.
    pub removed: usize,
}

impl Control {
    /// Makes the operator's contracts those of this configuration file. One that stays keeps its id.
    ///
    /// # Errors
    /// The store is away; nothing is changed then.
    pub async fn put_operator_contracts(&self, file: &[config::Contract]) -> Result<Put, Error> {
        let mut tx = self.db.system(false).await?;
        let there = all(&mut tx).await;
        // Most starts change nothing, and take no turn among those that do.
        if plan(&tx.end(there).await?, file).is_empty() {
            return Ok(Put::default());
        }
        let system = system();
        let mut change = Change::begin(&self.db, &self.pepper, Caller::here(&system)).await?;
        let done = put(&mut change, file).await;
        change.end(done).await
    }
}

/// What is to be done for one contract.
enum Step<'a> {
    Add(&'a config::Contract),
    Change(&'a Contract, &'a config::Contract),
    Remove(&'a Contract),
}

/// What makes `there` the file's, in the order of networks and addresses, which is the same for everybody.
fn plan<'a>(there: &'a [Contract], file: &'a [config::Contract]) -> Vec<Step<'a>> {
    let mut steps: BTreeMap<(&str, &str), Step> =
        there.iter().map(|c| ((c.network.as_str(), c.address.as_str()), Step::Remove(c))).collect();
    for new in file {
        let key = (new.network.as_str(), new.address.as_str());
        match steps.remove(&key) {
            Some(Step::Remove(old)) if same(old, new) => {}
            Some(Step::Remove(old)) => drop(steps.insert(key, Step::Change(old, new))),
            _ => drop(steps.insert(key, Step::Add(new))),
        }
    }
    steps.into_values().collect()
}

fn same(old: &Contract, new: &config::Contract) -> bool {
    let abi = old.abi.as_ref().map(|abi| abi.get());
    old.name == new.name && old.labels == new.labels && abi == new.abi.as_ref().map(Abi::text)
}

async fn put(change: &mut Change<'_>, file: &[config::Contract]) -> Result<Put, Error> {
    // Read again: this one's turn has come only now.
    let there = all(change.tx()).await?;
    let mut done = Put::default();
    let now = change.at();
    for step in plan(&there, file) {
        let of = |new: &config::Contract| {
            let abi = Value::from(new.abi.as_ref().map(|abi| abi.text().to_owned()));
            [Value::from(new.name.as_str()), json!(new.labels).to_string().into(), abi]
        };
        let (network, address, comes_or_goes) = match &step {
            Step::Add(new) => (new.network.as_str(), new.address.as_str(), true),
            Step::Change(old, _) => (old.network.as_str(), old.address.as_str(), false),
            Step::Remove(old) => (old.network.as_str(), old.address.as_str(), true),
        };
        outbox::everybodys(change.tx(), Everybodys::Contract, network, address).await?;
        if comes_or_goes {
            outbox::everybodys(change.tx(), Everybodys::Watched, network, address).await?;
        }
        let (action, before, id) = match step {
            Step::Add(new) => {
                let id = Id::new(now)?;
                let [name, labels, abi] = of(new);
                let place = [Value::from(&id), new.network.as_str().into(), new.address.as_str().into()];
                let values: Vec<Value> = place.into_iter().chain([name, labels, abi, now.0.into()]).collect();
                change.system(INSERT, &values).await?;
                done.added += 1;
                (Action::ContractCreate, None, id)
            }
            Step::Change(old, new) => {
                let [name, labels, abi] = of(new);
                change.system(CHANGE, &[Value::from(&old.id), name, labels, abi, now.0.into()]).await?;
                done.changed += 1;
                (Action::ContractChange, Some(old), old.id)
            }
            Step::Remove(old) => {
                change.system(DELETE, &[Value::from(&old.id)]).await?;
                done.removed += 1;
                (Action::ContractDelete, Some(old), old.id)
            }
        };
        let after = find(change.tx(), &id).await?;
        let shown = after.as_ref().or(before).map(subject).ok_or(Error::NotFound)?;
        change.audit(action, &shown, before.map(seen), after.as_ref().map(seen), Outcome::Done).await?;
    }
    Ok(done)
}

async fn all(tx: &mut Tx) -> Result<Vec<Contract>, Error> {
    let mut all: Vec<Contract> = Vec::new();
    loop {
        let after = all.last().map_or("", |c| c.id.as_str());
        let rows = tx.system(ALL, &[Value::from(after), (limits::PAGE.0 as i64).into()]).await?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.extend(of_rows(rows)?);
    }
}

async fn find(tx: &mut Tx, id: &Id) -> Result<Option<Contract>, Error> {
    Ok(of_rows(tx.system(GET, &[id.into()]).await?)?.into_iter().next())
}

/// One of the networks that may be reached; of another it is not there.
pub(super) async fn get(tx: &mut Tx, tenant: &Tenant, id: &Id) -> Result<Contract, Error> {
    let found = find(tx, id).await?.filter(|c| tenant.reach.contains(c.network.as_str()));
    found.ok_or(Error::NotFound)
}

/// Those behind `after`, of one network where that is wanted, without their ABIs.
pub(super) async fn list(
    tx: &mut Tx,
    network: Option<&Network>,
    after: &str,
    fetch: i64,
) -> Result<Vec<Contract>, Error> {
    let mut values = vec![Value::from(after), fetch.into()];
    let sql = match network {
        None => LIST,
        Some(network) => {
            values.push(network.as_str().into());
            LIST_OF_NETWORK
        }
    };
    of_rows(tx.system(sql, &values).await?)
}

/// The operator's contract at an address, if there is one.
pub(super) async fn at(tx: &mut Tx, network: &str, address: &str) -> Result<Option<Id>, Error> {
    let rows = tx.system(BY_ADDRESS, &[network.into(), address.into()]).await?;
    rows.first().map(|row| row.parsed("id")).transpose()
}

/// Those of a network and of these addresses, which are the rest of the values, without their ABIs.
pub(super) async fn among(tx: &mut Tx, values: &[Value]) -> Result<Vec<Contract>, Error> {
    of_rows(tx.system(AMONG, values).await?)
}

fn of_rows(rows: Vec<Row>) -> Result<Vec<Contract>, Error> {
    rows.iter().map(|row| read(row, Source::Operator)).collect()
}
