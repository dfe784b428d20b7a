//! A new organisation.

use schemas::{TimeMs, limits::accounts as limits, limits::control, names};
use serde_json::json;

use super::add;
use crate::{
    attempts::Daily,
    audit::{Action, Change, Outcome},
    db::{Tx, Value},
    error::Error,
    id::Id,
    idempotency::{self, IdempotencyKey},
    open::{Control, Operator, system_of},
    people::{self, Person},
    roles::Role,
    secret::Pepper,
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Caller},
    tenants::{self, TenantInfo},
};

/// Its short name is its id: one that people choose would tell who else is here.
pub(super) const NEW: Sql = Sql::of_tenant(
    "INSERT INTO tenants (tenant_id, slug, name, created_at, suspended_at, version) VALUES ($1, $2, $3, $4, NULL, 1) RETURNING tenant_id",
);
pub(super) const NEW_HEAD: Sql =
    Sql::of_tenant("INSERT INTO audit_heads (tenant_id, entries, at, hash) VALUES ($1, 0, 0, '')");
/// The organisation that makes all as many as there may be, if there is one: on PostgreSQL after `headwater.operator` was set.
pub(super) const LAST: SystemSql =
    SystemSql("SELECT tenant_id FROM tenants WHERE tenant_id >= $1 ORDER BY tenant_id LIMIT 1 OFFSET $2");

/// An organisation that was founded.
#[derive(Debug, Clone)]
pub struct Founded {
    /// What it is.
    pub organisation: TenantInfo,
    /// Who founded it, as its owner: the way to its rows.
    pub who: Authenticated,
}

impl Control {
    /// Founds an organisation whose owner is the caller, a person; once for each idempotency key, which is one of the organisation that he works
    /// in.
    ///
    /// # Errors
    /// The name has mistakes; the caller is no person ([`Error::PeopleOnly`]), or owns as many as one may ([`Error::Full`]); as many were founded
    /// from his address as may be in a day ([`Error::TooOften`]); the idempotency key was used for something else; or as of every change.
    pub async fn found_organisation(
        &self,
        by: Caller<'_>,
        name: &str,
        once: Option<&IdempotencyKey>,
    ) -> Result<Founded, Error> {
        let user = *by.who.user().ok_or(Error::PeopleOnly)?;
        let (now, action) = (TimeMs::now(), Action::OrganisationCreate.as_str());
        let mut tx = self.db.system(true).await?;
        let ready = async {
            let person = people::hold(&mut tx, &user).await?;
            let home = *by.who.tenant().id();
            if let Some(once) = once {
                tx.enter(&home).await?;
                if let Some(id) = idempotency::find(&mut tx, once, action, name.as_bytes()).await? {
                    return before(&mut tx, by, id, &person).await.map(Ready::Before);
                }
            }
            let who = begin(&mut tx, &self.pepper, by, &person, (name, now)).await?;
            if let Some(once) = once {
                let id = *who.tenant().id();
                tx.enter(&home).await?;
                idempotency::remember(&mut tx, once, action, name.as_bytes(), &id).await?;
                tx.enter(&id).await?;
            }
            Ok(Ready::New(who))
        };
        let ready = ready.await;
        let who = match ready {
            Ok(Ready::New(who)) => who,
            Ok(Ready::Before(founded)) => return tx.end(Ok(founded)).await,
            Err(e) => return tx.end(Err(e)).await,
        };
        let by = Caller { who: &who, ..by };
        let mut change = Change::within(tx, &self.pepper, by).await?;
        let done = founded(&mut change, Some(&user)).await;
        let organisation = change.end(done).await?;
        Ok(Founded { organisation, who })
    }
}

/// What a founding comes to before it is written.
enum Ready {
    /// It is to be: by its owner.
    New(Authenticated),
    /// The same request founded this before.
    Before(Founded),
}

/// What the same request founded before, whose owner he still is.
async fn before(tx: &mut Tx, by: Caller<'_>, id: Id, person: &Person) -> Result<Founded, Error> {
    tx.enter(&id).await?;
    match super::role_of(tx, &person.id).await? {
        Some(Role::Owner) => Ok(Founded { organisation: tenants::get(tx).await?, who: owner_by(by, id, person) }),
        _ => Err(Error::MadeAndGone),
    }
}

impl Operator {
    /// Founds an organisation, with this person as its owner where one is named; an owner can be invited later.
    ///
    /// # Errors
    /// The name has mistakes, there is no account of this address, or as of every change.
    pub async fn found_organisation(&self, name: &str, owner: Option<&str>) -> Result<TenantInfo, Error> {
        let control = self.control();
        let mut tx = control.db.system(true).await?;
        let begun = begin_by(&mut tx, self, name, owner).await;
        let (owner, who) = match begun {
            Ok(begun) => begun,
            Err(e) => return tx.end(Err(e)).await,
        };
        let mut change = Change::within(tx, &control.pepper, Caller::here(&who)).await?;
        let done = founded(&mut change, owner.as_ref()).await;
        change.end(done).await
    }
}

/// The caller, who is this person, begins to found one at a time, and is its owner from here on. Each change that he makes as such asks the session
/// that he came with.
pub(crate) async fn begin(
    tx: &mut Tx,
    pepper: &Pepper,
    by: Caller<'_>,
    person: &Person,
    (name, now): (&str, TimeMs),
) -> Result<Authenticated, Error> {
    let roles = super::roles_of(tx, &person.id).await?;
    if roles.len() as i64 >= limits::ORGANISATIONS {
        return Err(Error::Full { what: "organisations of one person", most: limits::ORGANISATIONS as usize });
    }
    if roles.iter().filter(|role| **role == Role::Owner).count() as i64 >= limits::FOUNDED {
        return Err(Error::Full { what: "organisations that one person owns", most: limits::FOUNDED as usize });
    }
    Daily::Founding.count(tx, pepper, by.ip, now).await?;
    Ok(owner_by(by, insert(tx, name, now).await?, person))
}

/// An operator does; who is to own it, where somebody is named, and the operator in it.
pub(crate) async fn begin_by(
    tx: &mut Tx,
    operator: &Operator,
    name: &str,
    owner: Option<&str>,
) -> Result<(Option<Id>, Authenticated), Error> {
    let owner = match owner {
        None => None,
        Some(email) => {
            let email = email.trim().to_ascii_lowercase();
            Some(people::by_email(tx, &email).await?.ok_or(Error::NotFound)?.id)
        }
    };
    let id = insert(tx, name, TimeMs::now()).await?;
    Ok((owner, Authenticated { actor: operator.at_home().actor().clone(), ..system_of(id) }))
}

/// The row of a new organisation, with the beginning of its audit. From here on the transaction is of that organisation.
pub(crate) async fn insert(tx: &mut Tx, name: &str, now: TimeMs) -> Result<Id, Error> {
    let mut mistakes = Vec::new();
    let name = names::name("organisation", name, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    tx.set("headwater.operator", "on").await?;
    let values = [Value::from(""), (control::TENANTS as i64 - 1).into()];
    let full = !tx.system(LAST, &values).await?.is_empty();
    tx.set("headwater.operator", "").await?;
    if full {
        return Err(Error::Full { what: "organisations", most: control::TENANTS });
    }
    let id = Id::new(now)?;
    tx.enter(&id).await?;
    tx.rows(NEW, &[Value::from(id.as_str().to_ascii_lowercase()), name.into(), now.0.into()]).await?;
    tx.rows(NEW_HEAD, &[]).await?;
    Ok(id)
}

/// A person as the owner of an organisation that is being founded.
pub(crate) fn owner_of(organisation: Id, person: &Person) -> Authenticated {
    person.acting(organisation, Role::Owner)
}

/// The same of the caller: the session that he came with is asked there too.
fn owner_by(by: Caller<'_>, organisation: Id, person: &Person) -> Authenticated {
    Authenticated { session: by.who.session, ..owner_of(organisation, person) }
}

/// Gives a new organisation its first owner, where there is one, and says that it is founded.
pub(crate) async fn founded(change: &mut Change<'_>, owner: Option<&Id>) -> Result<TenantInfo, Error> {
    if let Some(owner) = owner {
        add(change, owner, Role::Owner).await?;
    }
    let info = tenants::get(change.tx()).await?;
    let after = json!({"name": info.name, "plan": info.plan});
    change.audit(Action::OrganisationCreate, &tenants::subject(&info), None, Some(after), Outcome::Done).await?;
    Ok(info)
}
