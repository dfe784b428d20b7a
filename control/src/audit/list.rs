//! Entries, newest first.

use schemas::TimeMs;

use super::{Entry, read};
use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    pages::{Cursor, Page, Paging},
    sql::Sql,
    tenant::Tenant,
};

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this actor, by id.
    pub actor: Option<String>,
    /// With this action, such as `contract.create`.
    pub action: Option<String>,
    /// About this thing by its id, or all of a kind (`contract`).
    pub resource: Option<String>,
    /// From this time on.
    pub from: Option<TimeMs>,
    /// Before this time.
    pub to: Option<TimeMs>,
}

/// One text for all lists, with the column whose index they go by.
macro_rules! list {
    ($by:literal) => {
        Sql::of_tenant(concat!(
            "SELECT ",
            columns!(),
            " FROM audit_logs WHERE tenant_id = $1 ",
            $by,
            "AND entry < $3 AND entry >= $4 AND (COALESCE($5, '') = '' OR actor_id = $5) AND (COALESCE($6, '') = '' OR action = $6) \
             ORDER BY entry DESC LIMIT $7"
        ))
    };
}

pub(super) const LIST: Sql = list!("AND COALESCE($2, '') = '' ");
pub(super) const BY_ACTOR: Sql = list!("AND actor_id = $2 ");
pub(super) const BY_ACTION: Sql = list!("AND action = $2 ");
pub(super) const BY_RESOURCE: Sql = list!("AND resource_id = $2 ");
pub(super) const BY_KIND: Sql = list!("AND resource_kind = $2 ");
/// Times never go back from one entry to the next, so that a time is a number.
pub(super) const FIRST_AT: Sql =
    Sql::of_tenant("SELECT entry FROM audit_logs WHERE tenant_id = $1 AND at >= $2 ORDER BY at, entry LIMIT 1");
pub(super) const LAST_AT: Sql = Sql::of_tenant(
    "SELECT entry FROM audit_logs WHERE tenant_id = $1 AND at < $2 ORDER BY at DESC, entry DESC LIMIT 1",
);

impl Control {
    /// A page of the audit, newest first. Who reaches some networks only is not told of what is of another; a page may be short for it.
    ///
    /// # Errors
    /// The store is away; the cursor is of another list.
    pub async fn audit(&self, tenant: &Tenant, filter: &Filter, paging: &Paging) -> Result<Page<Entry>, Error> {
        let mut tx = self.db.read(tenant).await?;
        let page = page(&mut tx, filter, paging).await;
        let mut page = tx.end(page).await?;
        page.items.retain(|entry| reaches(tenant, entry));
        Ok(page)
    }
}

/// Entries behind one, oldest first.
pub(crate) async fn behind(tx: &mut Tx, entry: i64, most: usize) -> Result<Vec<Entry>, Error> {
    let values = [Value::from(entry), i64::try_from(most).unwrap_or(i64::MAX).into()];
    tx.rows(super::verify::NEXT, &values).await?.iter().map(read).collect()
}

/// Whether what an entry is about lies in networks that may be reached, as it was and as it is.
pub(crate) fn reaches(tenant: &Tenant, entry: &Entry) -> bool {
    let of = |side: &Option<serde_json::Value>| side.as_ref()?.get("network")?.as_str().map(str::to_owned);
    [of(&entry.before), of(&entry.after)].into_iter().flatten().all(|network| tenant.reach.contains(&network))
}

async fn page(tx: &mut Tx, filter: &Filter, paging: &Paging) -> Result<Page<Entry>, Error> {
    let nothing = Page { items: Vec::new(), next: None };
    let mut below = match &paging.after {
        None => i64::MAX,
        Some(cursor) => cursor.as_str().parse().map_err(|_| Error::NotFound)?,
    };
    let mut from = 1;
    if let Some(to) = filter.to {
        let Some(row) = tx.row(LAST_AT, &[Value::from(to.0)]).await? else { return Ok(nothing) };
        below = below.min(row.int("entry")?.saturating_add(1));
    }
    if let Some(time) = filter.from {
        let Some(row) = tx.row(FIRST_AT, &[Value::from(time.0)]).await? else { return Ok(nothing) };
        from = row.int("entry")?;
    }
    let (sql, by) = match filter {
        Filter { resource: Some(id), .. } if id.parse::<Id>().is_ok() => (BY_RESOURCE, Some(id.as_str())),
        Filter { actor: Some(actor), .. } if filter.resource.is_none() => (BY_ACTOR, Some(actor.as_str())),
        Filter { resource: Some(kind), .. } => (BY_KIND, Some(kind.as_str())),
        Filter { action: Some(action), .. } => (BY_ACTION, Some(action.as_str())),
        _ => (LIST, None),
    };
    let limit = paging.limit();
    let values = [
        Value::from(by),
        below.into(),
        from.into(),
        filter.actor.as_deref().into(),
        filter.action.as_deref().into(),
        (limit as i64 + 1).into(),
    ];
    let rows = tx.rows(sql, &values).await?;
    let items = rows.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
    let next = (rows.len() > limit).then(|| items.last().map(|e| Cursor(e.entry.to_string()))).flatten();
    Ok(Page { items, next })
}
