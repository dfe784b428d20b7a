//! Contracts by what others know of them: by their addresses, by a function's name, and by a part of their own.
//!
//! Guarantee: one answer is about at most [`limits::LOOK_UP_ADDRESSES`] addresses, of a network that is reached; the tenant's own contract
//! comes before the operator's of the same address.

use schemas::{Network, limits::control as limits};

use super::{Contract, Source, columns, of_rows, operator, without_abi};
use crate::{
    db::{Tx, Value},
    error::Error,
    open::Control,
    sql::Sql,
    tenant::Tenant,
};

/// Addresses of one statement.
const AT_ONCE: usize = 16;
const AT: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    without_abi!(),
    " FROM tenant_contracts WHERE tenant_id = $1 AND network = $2 \
     AND address IN ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
));
/// ABIs with a function, event or error of this name, oldest contract first. `LIKE` may find more: `_` is any character to it.
const NAMING: Sql =
    Sql::of_tenant("SELECT abi FROM tenant_contracts WHERE tenant_id = $1 AND abi LIKE $2 ORDER BY id LIMIT $3");

/// Contracts whose name has this text in it, in lower case, oldest first.
const CALLED: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    without_abi!(),
    " FROM tenant_contracts WHERE tenant_id = $1 AND LOWER(name) LIKE $2 ESCAPE '!' ORDER BY id LIMIT $3"
));

pub(super) const STATEMENTS: [(&str, Sql); 3] =
    [("contracts: at addresses", AT), ("contracts: naming", NAMING), ("contracts: called", CALLED)];

impl Control {
    /// The contracts at these addresses, lower case, without their ABIs. Of more than [`limits::LOOK_UP_ADDRESSES`] the first are looked up.
    ///
    /// # Errors
    /// The store is away.
    pub async fn contracts_at(
        &self,
        tenant: &Tenant,
        network: &Network,
        addresses: &[&str],
    ) -> Result<Vec<Contract>, Error> {
        if addresses.is_empty() || !tenant.reach.contains(network.as_str()) {
            return Ok(Vec::new());
        }
        let mut tx = self.db.read(tenant).await?;
        let found = at(&mut tx, network, &addresses[..addresses.len().min(limits::LOOK_UP_ADDRESSES)]).await;
        tx.end(found).await
    }

    /// The tenant's own contracts with this text in their name, however it is written, without their ABIs; at most so many, of networks
    /// that are reached.
    ///
    /// # Errors
    /// The store is away.
    pub async fn contracts_called(&self, tenant: &Tenant, part: &str, most: u32) -> Result<Vec<Contract>, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = called(&mut tx, part, most).await;
        let found = tx.end(found).await?;
        Ok(found.into_iter().filter(|contract| tenant.reach.contains(contract.network.as_str())).collect())
    }

    /// ABIs of the tenant's own contracts that may name a function, event or error so; at most so many.
    ///
    /// # Errors
    /// The store is away.
    pub async fn abis_naming(&self, tenant: &Tenant, name: &str, most: u32) -> Result<Vec<String>, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = naming(&mut tx, name, most).await;
        tx.end(found).await
    }
}

async fn at(tx: &mut Tx, network: &Network, addresses: &[&str]) -> Result<Vec<Contract>, Error> {
    let mut all: Vec<Contract> = Vec::new();
    for part in addresses.chunks(AT_ONCE) {
        // What is missing to a whole part is no address of anything.
        let padded = part.iter().copied().chain(std::iter::repeat("")).take(AT_ONCE);
        let values: Vec<Value> = std::iter::once(network.as_str()).chain(padded).map(Value::from).collect();
        all.extend(of_rows(tx.rows(AT, &values).await?)?);
        for contract in operator::among(tx, &values).await? {
            if all.iter().all(|own| own.address != contract.address) {
                all.push(contract);
            }
        }
    }
    Ok(all)
}

async fn called(tx: &mut Tx, part: &str, most: u32) -> Result<Vec<Contract>, Error> {
    let mut pattern = "%".to_owned();
    for character in part.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    of_rows(tx.rows(CALLED, &[pattern.into(), i64::from(most).into()]).await?)
}

async fn naming(tx: &mut Tx, name: &str, most: u32) -> Result<Vec<String>, Error> {
    let pattern = Value::from(format!("%\"name\":\"{name}\"%"));
    let rows = tx.rows(NAMING, &[pattern, i64::from(most).into()]).await?;
    let abis = rows.iter().map(|row| row.opt_text("abi")).collect::<Result<Vec<_>, _>>()?;
    Ok(abis.into_iter().flatten().collect())
}

/// Whose a contract is, in words for readers.
impl Source {
    /// `yours`, or `operator`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Tenant => "yours",
        }
    }
}
