//! An organisation's name, and whether anybody of it is let in.

use schemas::{limits::accounts as limits, names};
use serde_json::json;

use super::across;
use crate::{
    audit::{Action, Change, Outcome},
    db::Value,
    error::{Error, Mistake},
    expected::Expected,
    id::Id,
    open::Control,
    pages::{Cursor, Page, Paging},
    sql::Sql,
    tenant::{Authenticated, Caller, Networks},
    tenants::{self, TenantInfo, columns},
};

pub(super) const RENAME: Sql = Sql::of_tenant(concat!(
    "UPDATE tenants SET name = $2, version = version + 1 WHERE tenant_id = $1 RETURNING ",
    columns!()
));
pub(super) const SUSPEND: Sql = Sql::of_tenant(concat!(
    "UPDATE tenants SET suspended_at = $2, suspended_reason = $3, version = version + 1 WHERE tenant_id = $1 RETURNING ",
    columns!()
));

/// What is to change of an organisation; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct OrganisationPatch {
    /// Its name.
    pub name: Option<String>,
}

impl Control {
    /// Changes the caller's own organisation.
    ///
    /// # Errors
    /// What was written has mistakes; changed since ([`Error::Stale`]); or as of every change.
    pub async fn patch_organisation(
        &self,
        by: Caller<'_>,
        expected: &Expected,
        patch: OrganisationPatch,
    ) -> Result<TenantInfo, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let before = tenants::get(change.tx()).await?;
            expected.check(before.version)?;
            let mut mistakes = Vec::new();
            let name = patch.name.map_or_else(|| before.name.clone(), |name| names::name("name", &name, &mut mistakes));
            if !mistakes.is_empty() {
                return Err(Error::Invalid(mistakes));
            }
            let rows = change.write(RENAME, &[Value::from(name)]).await?;
            let after = tenants::read(rows.first().ok_or(Error::NotFound)?)?;
            let (was, is) = (json!({"name": before.name}), json!({"name": after.name}));
            let subject = tenants::subject(&after);
            change.audit(Action::OrganisationChange, &subject, Some(was), Some(is), Outcome::Done).await?;
            Ok(after)
        };
        let done = done.await;
        change.end(done).await
    }

    /// Shuts an organisation out, or lets it in again: operators of the platform only. Its people and keys are refused within 5 s, and nothing
    /// of it is lost. `reason` is for its people; `None` lets it in again. Said twice, it stays as it is.
    ///
    /// # Errors
    /// There is no such organisation, it is the operator's own, or is being imported or deleted, the caller is no operator, or as of every change.
    pub async fn suspend_organisation(
        &self,
        by: Caller<'_>,
        organisation: &Id,
        reason: Option<&str>,
    ) -> Result<TenantInfo, Error> {
        let who = across(by.who, organisation)?;
        let mut mistakes = Vec::new();
        let reason = reason.map(|reason| self::reason(reason, &mut mistakes));
        if *organisation == Id::DEFAULT_TENANT {
            let cure = "suspend another: the operator's own keys are in this one";
            mistakes.push(Mistake::new("id", "is the operator's own organisation", cure));
        }
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        let mut change = Change::begin(&self.db, &self.pepper, Caller { who: &who, ..by }).await?;
        let done = suspend_in(&mut change, reason).await;
        change.end(done).await
    }

    /// Gives an organisation another plan: operators of the platform only.
    ///
    /// # Errors
    /// There is no such organisation or plan, the caller is no operator, or as of every change.
    pub async fn plan_across(&self, by: Caller<'_>, organisation: &Id, plan: &str) -> Result<(), Error> {
        let who = across(by.who, organisation)?;
        self.set_plan(Caller { who: &who, ..by }, plan).await
    }

    /// One organisation, and the networks that it is entitled to, for an operator of the platform.
    ///
    /// # Errors
    /// There is none of this id, or the caller is no operator.
    pub async fn organisation_across(
        &self,
        who: &Authenticated,
        organisation: &Id,
    ) -> Result<(TenantInfo, Networks), Error> {
        let who = across(who, organisation)?;
        let mut tx = self.db.read(who.tenant()).await?;
        let found = async { Ok((tenants::get(&mut tx).await?, super::entitled(&mut tx).await?)) };
        let found = found.await;
        tx.end(found).await
    }

    /// All organisations, by age, for an operator of the platform; each with the number of its members.
    ///
    /// # Errors
    /// The caller is no operator, or the store is away.
    pub async fn organisations(&self, who: &Authenticated, paging: &Paging) -> Result<Page<(TenantInfo, i64)>, Error> {
        if !who.is_platform() {
            return Err(Error::OperatorsOnly);
        }
        let limit = paging.limit();
        let after = paging.after.as_ref().map_or("", Cursor::as_str);
        let mut items = tenants::page(&self.db, after, limit as i64 + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = more.then(|| items.last().map(|(info, _)| Cursor(info.id.to_string()))).flatten();
        Ok(Page { items, next })
    }
}

fn reason(text: &str, mistakes: &mut Vec<Mistake>) -> String {
    let text = text.trim();
    let characters = text.chars().count();
    if characters > limits::REASON_CHARACTERS || text.chars().any(char::is_control) {
        let cure = format!("write at most {} visible characters", limits::REASON_CHARACTERS);
        mistakes.push(Mistake::new("reason", "is too long, or has control characters", cure));
    }
    text.to_owned()
}

async fn suspend_in(change: &mut Change<'_>, reason: Option<String>) -> Result<TenantInfo, Error> {
    let before = tenants::get(change.tx()).await?;
    if before.deleting_at.is_some() {
        return Err(Error::NotFound);
    }
    if before.importing_at.is_some() {
        let cure = "wait until it is whole, or delete it";
        return Err(Error::Invalid(vec![Mistake::new("id", "is an organisation that is being imported", cure)]));
    }
    if before.suspended_at.is_some() == reason.is_some() {
        return Ok(before);
    }
    let at = reason.is_some().then_some(change.at().0);
    let action = if reason.is_some() { Action::OrganisationSuspend } else { Action::OrganisationResume };
    let rows = change.write(SUSPEND, &[Value::from(at), reason.into()]).await?;
    let after = tenants::read(rows.first().ok_or(Error::NotFound)?)?;
    crate::life::told(change).await?;
    let seen = |info: &TenantInfo| json!({"suspended_at": info.suspended_at, "reason": info.suspended_reason});
    change.audit(action, &tenants::subject(&after), Some(seen(&before)), Some(seen(&after)), Outcome::Done).await?;
    Ok(after)
}
