//! Contracts that are added, changed and removed.

use schemas::{Network, Quota, abi::Abi};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::{
    BY_ADDRESS, Contract, Created, Source, columns, get,
    input::{Checked, CheckedPatch},
    operator, own_to_change, read, with_abi,
};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Row, Value},
    definitions,
    error::Error,
    expected::Expected,
    id::Id,
    idempotency::{self, IdempotencyKey},
    outbox::{self, Everybodys},
    quotas,
    sql::Sql,
    tenant::Actor,
};

pub(super) const INSERT: Sql = Sql::of_tenant(concat!(
    "INSERT INTO tenant_contracts (tenant_id, id, network, address, name, labels, abi, created_at, updated_at, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 1) ON CONFLICT (tenant_id, network, address) DO NOTHING RETURNING ",
    columns!(),
    with_abi!()
));
pub(super) const PATCH: Sql = Sql::of_tenant(concat!(
    "UPDATE tenant_contracts SET name = $3, labels = $4, abi = $5, updated_at = $6, version = version + 1 \
     WHERE tenant_id = $1 AND id = $2 RETURNING ",
    columns!(),
    with_abi!()
));
pub(super) const DELETE: Sql = Sql::of_tenant("DELETE FROM tenant_contracts WHERE tenant_id = $1 AND id = $2");

const KIND: &str = "contract";

pub(crate) async fn create(
    change: &mut Change<'_>,
    new: &Checked,
    key: Option<&IdempotencyKey>,
) -> Result<Created<Contract>, Error> {
    let tenant = change.by().who.tenant();
    let (action, request) = (Action::ContractCreate.as_str(), new.canonical());
    if let Some(key) = key
        && let Some(id) = idempotency::find(change.tx(), key, action, request.as_bytes()).await?
    {
        let made = get(change.tx(), tenant, &id).await.map_err(|e| match e {
            Error::NotFound => Error::MadeAndGone,
            e => e,
        })?;
        return Ok(Created { made, again: true });
    }
    if !tenant.reach.contains(new.network.as_str()) {
        return Err(Error::MoreThanMaker(format!("{} is not among your networks", new.network)));
    }
    if let Some(id) = operator::at(change.tx(), new.network.as_str(), &new.address).await? {
        return Err(Error::Taken { id });
    }
    quotas::take(change, Quota::Contracts, 1).await?;
    let now = change.at();
    let id = Id::new(now)?;
    let values = [
        Value::from(&id),
        new.network.as_str().into(),
        new.address.as_str().into(),
        new.name.as_str().into(),
        json!(new.labels).to_string().into(),
        new.abi.as_ref().map(|abi| abi.text().to_owned()).into(),
        now.0.into(),
    ];
    let rows = change.write(INSERT, &values).await?;
    let Some(row) = rows.first() else {
        let other = change.tx().row(BY_ADDRESS, &[new.network.as_str().into(), new.address.as_str().into()]).await?;
        let other: Option<Id> = other.map(|row: Row| row.parsed("id")).transpose()?;
        return Err(other.map_or(Error::NotFound, |id| Error::Taken { id }));
    };
    let made = read(row, Source::Tenant)?;
    change.audit(Action::ContractCreate, &subject(&made), None, Some(seen(&made)), Outcome::Done).await?;
    outbox::changed(change.tx(), KIND, &made.id).await?;
    public(change, &made).await?;
    outbox::everybodys(change.tx(), Everybodys::Watched, made.network.as_str(), &made.address).await?;
    if let Some(key) = key {
        idempotency::remember(change.tx(), key, action, request.as_bytes(), &made.id).await?;
    }
    Ok(Created { made, again: false })
}

/// The contract at an address, where it is one of the tenant's, or everybody's.
pub(crate) async fn at(change: &mut Change<'_>, network: &Network, address: &str) -> Result<Option<Id>, Error> {
    if let Some(id) = operator::at(change.tx(), network.as_str(), address).await? {
        return Ok(Some(id));
    }
    let row = change.tx().row(BY_ADDRESS, &[Value::from(network.as_str()), address.into()]).await?;
    row.map(|row| row.parsed("id")).transpose()
}

/// The contract at an address is one of the tenant's, or everybody's, from now on, and so is watched. It is called by its address where it
/// was not there.
pub(crate) async fn there(change: &mut Change<'_>, network: &Network, address: &str) -> Result<(), Error> {
    if at(change, network, address).await?.is_some() {
        return Ok(());
    }
    let new = Checked {
        network: network.clone(),
        address: address.to_owned(),
        name: address.to_owned(),
        labels: Vec::new(),
        abi: None,
    };
    create(change, &new, None).await.map(drop)
}

pub(super) async fn patch(
    change: &mut Change<'_>,
    id: &Id,
    expected: &Expected,
    patch: CheckedPatch,
) -> Result<Contract, Error> {
    let tenant = change.by().who.tenant();
    let before = own_to_change(change.tx(), tenant, id).await?;
    expected.check(before.version)?;
    let abi = match patch.abi {
        None => before.abi.as_ref().map(|abi| abi.get().to_owned()),
        Some(abi) => abi.as_ref().map(|abi: &Abi| abi.text().to_owned()),
    };
    let values = [
        Value::from(id),
        patch.name.unwrap_or_else(|| before.name.clone()).into(),
        json!(patch.labels.as_ref().unwrap_or(&before.labels)).to_string().into(),
        abi.into(),
        change.at().0.into(),
    ];
    let after = read(change.write(PATCH, &values).await?.first().ok_or(Error::NotFound)?, Source::Tenant)?;
    let (was, is) = (Some(seen(&before)), Some(seen(&after)));
    change.audit(Action::ContractChange, &subject(&after), was, is, Outcome::Done).await?;
    outbox::changed(change.tx(), KIND, id).await?;
    public(change, &after).await?;
    Ok(after)
}

pub(super) async fn delete(change: &mut Change<'_>, id: &Id, expected: &Expected) -> Result<(), Error> {
    let tenant = change.by().who.tenant();
    let before = own_to_change(change.tx(), tenant, id).await?;
    expected.check(before.version)?;
    let by = definitions::wanting(change.tx(), &before.network, &before.address).await?;
    if !by.is_empty() {
        return Err(Error::InUse { what: KIND, by });
    }
    change.write(DELETE, &[id.into()]).await?;
    quotas::give(change, Quota::Contracts, 1).await?;
    change.audit(Action::ContractDelete, &subject(&before), Some(seen(&before)), None, Outcome::Done).await?;
    outbox::changed(change.tx(), KIND, id).await?;
    public(change, &before).await?;
    outbox::everybodys(change.tx(), Everybodys::Watched, before.network.as_str(), &before.address).await
}

/// Where everybody is let in, what is added is everybody's, and told to all stages as the file's contracts are (rule 14).
async fn public(change: &mut Change<'_>, contract: &Contract) -> Result<(), Error> {
    if *change.by().who.actor() == Actor::Anyone {
        outbox::everybodys(change.tx(), Everybodys::Contract, contract.network.as_str(), &contract.address).await?;
    }
    Ok(())
}

pub(super) fn subject(contract: &Contract) -> Subject {
    Subject { kind: KIND, id: contract.id.to_string(), name: Some(contract.name.clone()) }
}

/// As the audit shows a contract: an ABI by its hash and size.
pub(super) fn seen(contract: &Contract) -> Json {
    let abi = contract
        .abi
        .as_ref()
        .map(|abi| json!({"sha256": const_hex::encode(Sha256::digest(abi.get())), "bytes": abi.get().len()}));
    json!({
        "network": contract.network,
        "address": contract.address,
        "name": contract.name,
        "labels": contract.labels,
        "abi": abi,
        "source": contract.source,
    })
}
