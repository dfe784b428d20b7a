//! `control.tenants`: `kind` says what stands there.
//!
//! Guarantee: contracts are written as version 1 of the schema says it, so that processes of before read them while a deployment is
//! upgraded; kinds that came with version 2 are written as version 2.

use super::{
    Column, Columns, Datum, Group, Malformed, Row, columns, concat, control_config::CONTRACT, parsed, required,
};
use crate::{
    primitives::ParseError,
    records::{Contract, ControlTenant, Definition, DefinitionKind, TenantThing},
};

/// The columns of version 1.
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

/// Those that came with version 2.
#[derive(Default)]
struct DefinedRow {
    version: Option<u64>,
    definition: Option<String>,
    sealed: Option<String>,
    disabled: Option<String>,
}
columns! { DefinedRow, DefinedRow {
    null version: u64,
    null definition: String,
    null sealed: String,
    null disabled: String,
} }

impl Row for ControlTenant {
    fn columns() -> Vec<Column> {
        concat([TenantRow::specs(), DefinedRow::specs()])
    }

    fn put(&self, out: &mut Vec<u8>) {
        let mut row = TenantRow {
            tenant: self.tenant.clone(),
            kind: self.thing.kind().to_owned(),
            id: self.id.clone(),
            revision: self.revision,
            ..TenantRow::default()
        };
        match &self.thing {
            TenantThing::Contract(c) => {
                row.network = Some(c.network.as_str().to_owned());
                row.address = Some(c.address.clone());
                row.name = Some(c.name.clone());
                row.labels = Some(c.labels.clone());
                row.abi = c.abi.clone();
                TenantRow::put(&row, out);
            }
            TenantThing::Rule(d) | TenantThing::Monitor(d) | TenantThing::Channel(d) | TenantThing::Silence(d) => {
                row.name = Some(d.name.clone());
                TenantRow::put(&row, out);
                let more = DefinedRow {
                    version: Some(d.version),
                    definition: Some(d.definition.clone()),
                    sealed: d.sealed.clone(),
                    disabled: d.disabled.clone(),
                };
                DefinedRow::put(&more, out);
            }
        }
    }

    fn get(datum: &mut Datum<'_, '_>) -> Result<Self, Malformed> {
        let (mut row, mut more) = (TenantRow::default(), Group::<DefinedRow>::new());
        datum.walk(|column, input, step| match column.checked_sub(TenantRow::COUNT) {
            None => row.read(column, input, step).map(drop),
            Some(column) => more.read(column, input, step),
        })?;
        let more = more.finish()?.unwrap_or_default();
        let thing = match DefinitionKind::of_word(&row.kind) {
            Some(kind) => {
                let definition = Definition {
                    name: required("name", row.name)?,
                    version: required("version", more.version)?,
                    definition: required("definition", more.definition)?,
                    sealed: more.sealed,
                    disabled: more.disabled,
                };
                TenantThing::of(kind, definition)
            }
            None if row.kind == CONTRACT => TenantThing::Contract(Contract {
                network: parsed("network", &required("network", row.network)?)?,
                address: required("address", row.address)?,
                name: required("name", row.name)?,
                labels: row.labels.unwrap_or_default(),
                abi: row.abi,
            }),
            None => {
                let expected = "contract, rule, monitor, channel or silence";
                let problem = ParseError::new(&row.kind, "word of control.tenants", expected).into();
                return Err(Malformed { field: "kind".to_owned(), problem });
            }
        };
        Ok(Self { tenant: row.tenant, id: row.id, revision: row.revision, thing })
    }
}
