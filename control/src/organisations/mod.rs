//! Organisations: tenants, as people see them.
//!
//! Guarantee: an organisation has an owner from its first moment on, and never loses the last one ([`Error::LastOwner`]). Who is a member, and
//! what, is changed by its admins and owners; who is an owner, by its owners and the operators of the platform alone, and by no key. Nobody
//! gives a role that may more than he may himself.

pub(crate) mod found;
mod life;
mod members;
mod networks;

pub use found::Founded;
pub(crate) use found::{founded, insert, owner_of};
pub use life::OrganisationPatch;
pub(crate) use members::LIST as MEMBERS;
pub use members::{Member, MemberState};

use schemas::Quota;

use crate::{
    audit::Change,
    db::{Tx, Value},
    error::Error,
    id::Id,
    invitations::Membership,
    keys,
    open::Control,
    people, quotas,
    roles::Role,
    scopes::{Allowed, Resource, Scopes},
    sql::{Sql, SystemSql},
    tenant::{Actor, Authenticated, Tenant},
    tenants::{self, TenantInfo},
};

const ROLE: Sql = Sql::of_tenant("SELECT role FROM tenant_users WHERE tenant_id = $1 AND user_id = $2");
const ADD: Sql = Sql::of_tenant(
    "INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) VALUES ($1, $2, $3, $4, 1) \
     RETURNING user_id",
);
/// A person's organisations: on PostgreSQL after `headwater.user` was set.
const MINE: SystemSql = SystemSql(
    "SELECT t.tenant_id, t.slug, t.name, t.created_at, t.suspended_at, t.suspended_reason, t.deleting_at, \
     t.importing_at, t.plan, t.version, m.role \
     FROM tenant_users m JOIN tenants t ON t.tenant_id = m.tenant_id WHERE m.user_id = $1 ORDER BY m.tenant_id LIMIT $2",
);
const ROLES: SystemSql = SystemSql("SELECT role FROM tenant_users WHERE user_id = $1 ORDER BY tenant_id LIMIT $2");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("organisations: role", ROLE),
    ("organisations: add", ADD),
    ("organisations: new", found::NEW),
    ("organisations: new head", found::NEW_HEAD),
    ("organisations: rename", life::RENAME),
    ("organisations: suspend", life::SUSPEND),
    ("organisations: members", members::LIST),
    ("organisations: member", members::GET),
    ("organisations: the last member that may be", members::LAST),
    ("organisations: owners", members::OWNERS),
    ("organisations: change member", members::CHANGE),
    ("organisations: remove member", members::REMOVE),
    ("organisations: networks", networks::LIST),
    ("organisations: no networks", networks::CLEAR),
    ("organisations: network", networks::ADD),
];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[
    ("organisations: of a person", MINE),
    ("organisations: roles of a person", ROLES),
    ("organisations: the last that may be", found::LAST),
];

impl Control {
    /// The organisations of a person, by age, those included that are suspended.
    ///
    /// # Errors
    /// The store is away.
    pub async fn organisations_of(&self, user: &Id) -> Result<Vec<Membership>, Error> {
        let mut tx = self.db.system(false).await?;
        let all = of_person(&mut tx, user).await;
        tx.end(all).await
    }

    /// The caller's own organisation.
    ///
    /// # Errors
    /// It was removed since, or the store is away.
    pub async fn organisation(&self, tenant: &Tenant) -> Result<TenantInfo, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = tenants::get(&mut tx).await;
        tx.end(found).await
    }
}

/// An operator of the platform in another organisation: of it he may see what it is and change that, and nothing that is in it.
pub(crate) fn across(who: &Authenticated, organisation: &Id) -> Result<Authenticated, Error> {
    if !who.is_platform() {
        return Err(Error::OperatorsOnly);
    }
    let list = [
        (Resource::Organisation, Allowed::Read),
        (Resource::Organisation, Allowed::Write),
        (Resource::Usage, Allowed::Read),
    ];
    Ok(Authenticated {
        tenant: Tenant::whole(*organisation),
        actor: who.actor().clone(),
        scopes: Scopes::of(&list),
        role: None,
        platform: true,
        expires_at: who.expires_at(),
        session: who.session,
    })
}

/// What a person is in the organisation of this transaction.
pub(crate) async fn role_of(tx: &mut Tx, user: &Id) -> Result<Option<Role>, Error> {
    tx.row(ROLE, &[Value::from(user)]).await?.map(|row| row.parsed("role")).transpose()
}

/// The organisations of a person, by age.
pub(crate) async fn of_person(tx: &mut Tx, user: &Id) -> Result<Vec<Membership>, Error> {
    tx.set("headwater.user", user.as_str()).await?;
    let rows = tx.system(MINE, &[Value::from(user), schemas::limits::accounts::ORGANISATIONS.into()]).await?;
    rows.iter().map(|row| Ok(Membership { organisation: tenants::read(row)?, role: row.parsed("role")? })).collect()
}

/// What a person is in organisations, of each; as many as one may be in.
pub(crate) async fn roles_of(tx: &mut Tx, user: &Id) -> Result<Vec<Role>, Error> {
    tx.set("headwater.user", user.as_str()).await?;
    let rows = tx.system(ROLES, &[Value::from(user), schemas::limits::accounts::ORGANISATIONS.into()]).await?;
    rows.iter().map(|row| row.parsed("role")).collect()
}

/// Makes somebody a member; one who is already stays what he is.
pub(crate) async fn add(change: &mut Change<'_>, user: &Id, role: Role) -> Result<(), Error> {
    let most = schemas::limits::accounts::MEMBERS;
    if change.tx().row(members::LAST, &[Value::from(most - 1)]).await?.is_some() {
        return Err(Error::Full { what: "members", most: most as usize });
    }
    if role_of(change.tx(), user).await?.is_some() {
        return Ok(());
    }
    quotas::take(change, Quota::Members, 1).await?;
    let values = [Value::from(user), role.as_str().into(), change.at().0.into()];
    change.write(ADD, &values).await.map(drop)
}

/// Refuses to give a role that may more than who gives it. What he may is asked of the store: he may have lost it since he was let in, and what he
/// gives would outlive that.
pub(crate) async fn may_give(change: &mut Change<'_>, role: Role) -> Result<(), Error> {
    let who = change.by().who;
    let (scopes, changes_owners) = present(change).await?;
    if role == Role::Owner && !changes_owners {
        return Err(Error::OwnersOnly);
    }
    if !scopes.allows(Resource::Members, Allowed::Write) {
        return Err(Error::MoreThanMaker("members:write is not among your scopes".to_owned()));
    }
    let beyond = role.scopes().beyond(scopes);
    if !beyond.is_empty() {
        return Err(Error::MoreThanMaker(format!("the role {role} has {}, which you have not", beyond.join(", "))));
    }
    // Members reach what the organisation is entitled to.
    let entitled = networks::entitled(change.tx()).await?;
    if entitled.within(who.tenant().reach()) {
        return Ok(());
    }
    Err(Error::MoreThanMaker(format!("your networks are {}", who.tenant().reach().listed().join(", "))))
}

/// What whoever makes this change may now, and whether that may say who is an owner.
async fn present(change: &mut Change<'_>) -> Result<(Scopes, bool), Error> {
    let (who, now) = (change.by().who, change.at());
    let found = match who.actor() {
        Actor::User { id, .. } => {
            let role = people::role(change.tx(), id).await?;
            role.map(|role| (role.scopes(), role == Role::Owner || who.is_platform()))
        }
        Actor::Key { id, .. } => keys::present(change.tx(), who.tenant(), id, now).await?,
        _ => Some((who.scopes(), who.role() == Some(Role::Owner) || who.is_platform())),
    };
    let gone = || Error::MoreThanMaker("you may nothing in this organisation any more".to_owned());
    let (scopes, changes_owners) = found.ok_or_else(gone)?;
    Ok((scopes.and(who.scopes()), changes_owners))
}

pub(crate) use networks::entitled;
