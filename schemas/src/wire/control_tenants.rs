//! `control.tenants`: `kind` says what stands there.

use super::{Column, Columns, Datum, Malformed, Row, columns, concat, control_config::CONTRACT, parsed, required};
use crate::{
    primitives::ParseError,
    records::{Contract, ControlTenant, TenantThing},
};

/// [`ControlTenant`] on the wire.
#[derive(Default)]
struct TenantRow {
    tenant: String,
    kind: String,
    id: String,
    revision: u64,
    network: Option<String>,
    address: Option<String>,
    name: Option<String>,
    labels: Option<Vec<String>>,
    abi: Option<String>,
}
columns! { TenantRow, TenantRow {
    must tenant: String,
    must kind: String,
    must id: String,
    must revision: u64,
    null network: String,
    null address: String,
    null name: String,
    null labels: Vec<String>,
    null abi: String,
} }

impl Row for ControlTenant {
    fn columns() -> Vec<Column> {
        concat([TenantRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let TenantThing::Contract(c) = &self.thing;
        let row = TenantRow {
            tenant: self.tenant.clone(),
            kind: self.thing.kind().to_owned(),
            id: self.id.clone(),
            revision: self.revision,
            network: Some(c.network.as_str().to_owned()),
            address: Some(c.address.clone()),
            name: Some(c.name.clone()),
            labels: Some(c.labels.clone()),
            abi: c.abi.clone(),
        };
        TenantRow::put(&row, out);
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let mut row = TenantRow::default();
        datum.walk(|column, input, step| row.read(column, input, step).map(drop))?;
        if row.kind != CONTRACT {
            let problem = ParseError::new(&row.kind, "word of control.tenants", "contract").into();
            return Err(Malformed { field: "kind".to_owned(), problem });
        }
        let contract = Contract {
            network: parsed("network", &required("network", row.network)?)?,
            address: required("address", row.address)?,
            name: required("name", row.name)?,
            labels: row.labels.unwrap_or_default(),
            abi: row.abi,
        };
        Ok(Self { tenant: row.tenant, id: row.id, revision: row.revision, thing: TenantThing::Contract(contract) })
    }
}
