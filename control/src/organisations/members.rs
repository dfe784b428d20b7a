//! Members of an organisation, and those who were invited and have not come yet.

use schemas::{Quota, TimeMs};
use serde_json::json;

use super::may_give;
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Row, Tx, Value},
    error::Error,
    expected::Expected,
    id::Id,
    invitations::{self, Invitation},
    open::Control,
    pages::{Cursor, Page, Paging},
    quotas,
    roles::Role,
    sql::Sql,
    tenant::{Caller, Tenant},
};

/// Whether somebody is there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// A member.
    Member,
    /// Was invited.
    Invited,
}

impl MemberState {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Invited => "invited",
        }
    }
}

/// Somebody in an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The person's id, or the invitation's.
    pub id: Id,
    /// The e-mail address.
    pub email: String,
    /// How the person wants to be called; empty of who was invited.
    pub name: String,
    /// What the person is, or will be.
    pub role: Role,
    /// Whether the person is there yet.
    pub state: MemberState,
    /// Since when.
    pub created_at: TimeMs,
    /// Until when the invitation is good.
    pub expires_at: Option<TimeMs>,
    /// For `If-Match`.
    pub version: i64,
}

impl From<Invitation> for Member {
    fn from(of: Invitation) -> Self {
        Self {
            id: of.id,
            email: of.email,
            name: String::new(),
            role: of.role,
            state: MemberState::Invited,
            created_at: of.created_at,
            expires_at: Some(of.expires_at),
            version: of.version,
        }
    }
}

macro_rules! member {
    ($rest:literal) => {
        concat!(
            "SELECT m.user_id, u.email, u.name, m.role, m.created_at, m.version \
             FROM tenant_users m JOIN users u ON u.user_id = m.user_id AND m.tenant_id = $1 WHERE m.tenant_id = $1 ",
            $rest
        )
    };
}

pub(crate) const LIST: Sql = Sql::of_tenant(member!("AND m.user_id > $2 ORDER BY m.user_id LIMIT $3"));
pub(super) const GET: Sql = Sql::of_tenant(member!("AND m.user_id = $2"));
/// The member that makes them as many as there may be, if there is one.
pub(super) const LAST: Sql =
    Sql::of_tenant("SELECT user_id FROM tenant_users WHERE tenant_id = $1 ORDER BY user_id LIMIT 1 OFFSET $2");
pub(super) const OWNERS: Sql =
    Sql::of_tenant("SELECT user_id FROM tenant_users WHERE tenant_id = $1 AND role = 'owner' ORDER BY user_id LIMIT 2");
pub(super) const CHANGE: Sql =
    Sql::of_tenant("UPDATE tenant_users SET role = $3, version = version + 1 WHERE tenant_id = $1 AND user_id = $2");
pub(super) const REMOVE: Sql = Sql::of_tenant("DELETE FROM tenant_users WHERE tenant_id = $1 AND user_id = $2");

/// Cursors: what comes after this member, or after this invitation.
const MEMBERS: char = 'm';
const INVITED: char = 'i';

impl Control {
    /// Members by the age of their accounts, then the open invitations by age.
    ///
    /// # Errors
    /// The store is away.
    pub async fn members(&self, tenant: &Tenant, paging: &Paging) -> Result<Page<Member>, Error> {
        let limit = paging.limit();
        let after = paging.after.as_ref().map_or("", Cursor::as_str);
        let mut tx = self.db.read(tenant).await?;
        let page = page(&mut tx, after, limit).await;
        tx.end(page).await
    }

    /// Gives a member another role. What he may by it, and what the keys that he made may, holds within 5 s.
    ///
    /// # Errors
    /// Not there, or not this organisation's; changed since ([`Error::Stale`]); more than the caller may give; owners are changed by owners
    /// ([`Error::OwnersOnly`]); it is the last owner ([`Error::LastOwner`]); or as of every change.
    pub async fn change_member(
        &self,
        by: Caller<'_>,
        id: &Id,
        expected: &Expected,
        role: Role,
    ) -> Result<Member, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let before = get(change.tx(), id).await?.ok_or(Error::NotFound)?;
            expected.check(before.version)?;
            if before.role == role {
                return Ok(before);
            }
            may_give(&mut change, role).await?;
            if before.role == Role::Owner {
                may_give(&mut change, Role::Owner).await?;
            }
            change_in(&mut change, &before, role).await
        };
        let done = done.await;
        change.end(done).await
    }

    /// Removes a member, or takes an invitation back. Anybody may leave by himself.
    ///
    /// # Errors
    /// Not there, or not this organisation's; the caller may not ([`Error::OwnersOnly`], [`Error::MoreThanMaker`]); it is the last owner
    /// ([`Error::LastOwner`]); or as of every change.
    pub async fn remove_member(&self, by: Caller<'_>, id: &Id) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = remove_in(&mut change, id).await;
        change.end(done).await
    }

    /// Makes another member owner, and the caller, an owner, admin.
    ///
    /// # Errors
    /// There is no such member, it is the caller, the caller is no owner ([`Error::OwnersOnly`]), or as of every change.
    pub async fn transfer(&self, by: Caller<'_>, to: &Id) -> Result<Member, Error> {
        let user = by.who.user().filter(|_| by.who.role() == Some(Role::Owner)).ok_or(Error::OwnersOnly)?;
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            let heir = get(change.tx(), to).await?.filter(|heir| heir.id != *user).ok_or(Error::NotFound)?;
            // He may have lost it since he was let in.
            let mine = get(change.tx(), user).await?.filter(|mine| mine.role == Role::Owner);
            let mine = mine.ok_or(Error::OwnersOnly)?;
            let heir = match heir.role {
                Role::Owner => heir,
                _ => change_in(&mut change, &heir, Role::Owner).await?,
            };
            change_in(&mut change, &mine, Role::Admin).await?;
            Ok(heir)
        };
        let done = done.await;
        change.end(done).await
    }
}

async fn page(tx: &mut Tx, after: &str, limit: usize) -> Result<Page<Member>, Error> {
    let mut items: Vec<Member> = Vec::new();
    let most = limit as i64 + 1;
    if !after.starts_with(INVITED) {
        let after = after.trim_start_matches(MEMBERS);
        let rows = tx.rows(LIST, &[Value::from(after), most.into()]).await?;
        items = rows.iter().map(read).collect::<Result<_, _>>()?;
    }
    if items.len() <= limit {
        let after = after.strip_prefix(INVITED).unwrap_or_default();
        let invited = invitations::list(tx, after, most - items.len() as i64).await?;
        items.extend(invited.into_iter().map(Member::from));
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = |member: &Member| {
        let kind = if member.state == MemberState::Member { MEMBERS } else { INVITED };
        Cursor(format!("{kind}{}", member.id))
    };
    let next = more.then(|| items.last().map(cursor)).flatten();
    Ok(Page { items, next })
}

async fn get(tx: &mut Tx, id: &Id) -> Result<Option<Member>, Error> {
    tx.row(GET, &[Value::from(id)]).await?.as_ref().map(read).transpose()
}

async fn change_in(change: &mut Change<'_>, before: &Member, role: Role) -> Result<Member, Error> {
    if before.role == Role::Owner {
        not_the_last(change, before).await?;
    }
    if role < before.role {
        invitations::delete_of(change, &before.id).await?;
    }
    change.write(CHANGE, &[Value::from(&before.id), role.as_str().into()]).await?;
    let (was, is) = (json!({"role": before.role}), json!({"role": role}));
    change.audit(Action::MemberChange, &subject(before), Some(was), Some(is), Outcome::Done).await?;
    get(change.tx(), &before.id).await?.ok_or(Error::NotFound)
}

async fn remove_in(change: &mut Change<'_>, id: &Id) -> Result<(), Error> {
    let who = change.by().who;
    let oneself = who.user() == Some(id);
    if !oneself && !who.allows(crate::scopes::Resource::Members, crate::scopes::Allowed::Write) {
        return Err(Error::MoreThanMaker("members:write is not among your scopes".to_owned()));
    }
    let Some(member) = get(change.tx(), id).await? else {
        let before = invitations::get(change.tx(), id).await?.ok_or(Error::NotFound)?;
        may_give(change, before.role).await?;
        invitations::delete(change, id).await?;
        let subject = Subject { kind: "invitation", id: id.to_string(), name: Some(before.email) };
        let was = json!({"role": before.role, "expires_at": before.expires_at});
        return change.audit(Action::InvitationDelete, &subject, Some(was), None, Outcome::Done).await;
    };
    if !oneself {
        may_give(change, member.role).await?;
    }
    if member.role == Role::Owner {
        not_the_last(change, &member).await?;
    }
    invitations::delete_of(change, id).await?;
    change.write(REMOVE, &[Value::from(id)]).await?;
    quotas::give(change, Quota::Members, 1).await?;
    let was = json!({"email": member.email, "role": member.role});
    change.audit(Action::MemberRemove, &subject(&member), Some(was), None, Outcome::Done).await
}

/// The head of the audit is held: nobody else takes an owner away meanwhile.
async fn not_the_last(change: &mut Change<'_>, owner: &Member) -> Result<(), Error> {
    let rows = change.tx().rows(OWNERS, &[]).await?;
    let mut others = false;
    for row in &rows {
        others |= row.parsed::<Id>("user_id")? != owner.id;
    }
    if others { Ok(()) } else { Err(Error::LastOwner) }
}

fn subject(member: &Member) -> Subject {
    Subject { kind: "member", id: member.id.to_string(), name: Some(member.email.clone()) }
}

fn read(row: &Row) -> Result<Member, Error> {
    Ok(Member {
        id: row.parsed("user_id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        role: row.parsed("role")?,
        state: MemberState::Member,
        created_at: TimeMs(row.int("created_at")?),
        expires_at: None,
        version: row.int("version")?,
    })
}
