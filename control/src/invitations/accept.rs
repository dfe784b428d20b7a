//! An invitation, accepted.

use schemas::{TimeMs, limits::accounts as limits};
use serde_json::json;

use super::invite::{WORD, hash};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::{Tx, Value},
    error::Error,
    id::Id,
    keys,
    open::Control,
    organisations,
    people::{self, Person},
    roles::Role,
    secret::Pepper,
    sql::{Sql, SystemSql},
    tenant::{Authenticated, Caller, Origin},
    tenants::{self, TenantInfo},
};

/// Who has this token: asked before a tenant is known. On PostgreSQL after `headwater.invitation` was set.
pub(super) const OF_HASH: SystemSql =
    SystemSql("SELECT tenant_id, id, email, role, expires_at, accepted_at FROM invitations WHERE hash = $1");
/// Takes it for who asks; nobody else has it afterwards.
pub(super) const CLAIM: Sql = Sql::of_tenant(
    "UPDATE invitations SET accepted_at = $3, version = version + 1 \
     WHERE tenant_id = $1 AND id = $2 AND email = $4 AND accepted_at IS NULL AND expires_at > $3 \
     RETURNING role, created_by_kind, created_by",
);

/// What a person is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Where.
    pub organisation: TenantInfo,
    /// What.
    pub role: Role,
}

/// An invitation that was found by its token.
pub(crate) struct Found {
    tenant: Id,
    pub(crate) id: Id,
    email: String,
    role: Role,
}

impl Found {
    /// Whether it was written to this address.
    pub(crate) fn is_for(&self, email: &str) -> bool {
        email.trim().eq_ignore_ascii_case(&self.email)
    }

    /// Who accepts it, as the audit of its organisation has it.
    pub(crate) fn who(&self, person: &Person) -> Authenticated {
        person.acting(self.tenant, self.role)
    }
}

impl Control {
    /// Whether an invitation is good for this address: asked before anything is done for who has it.
    ///
    /// # Errors
    /// It is not ([`Error::NoInvitation`]); the store is away.
    pub async fn check_invitation(&self, email: &str, token: &str) -> Result<(), Error> {
        let mut tx = self.db.system(false).await?;
        let found = of_token(&mut tx, &self.pepper, token, TimeMs::now()).await;
        if tx.end(found).await?.is_for(email) { Ok(()) } else { Err(Error::NoInvitation) }
    }

    /// Takes the caller, a person, into the organisation that an invitation leads to.
    ///
    /// # Errors
    /// The caller is no person ([`Error::PeopleOnly`]); the invitation is not known, was used, is over or taken back, or was written to another
    /// address ([`Error::NoInvitation`]); the person is in too many organisations; or as of every change.
    pub async fn accept_invitation(&self, by: Caller<'_>, token: &str) -> Result<Membership, Error> {
        let user = by.who.user().ok_or(Error::PeopleOnly)?;
        let origin = Origin { ip: by.ip, request_id: by.request_id };
        self.accept(origin, user, by.who.session, token).await
    }

    /// The same of a person who is coming in, and has no session yet.
    ///
    /// # Errors
    /// As of [`Control::accept_invitation`].
    pub async fn accept_coming_in(&self, origin: Origin<'_>, user: &Id, token: &str) -> Result<Membership, Error> {
        self.accept(origin, user, None, token).await
    }

    async fn accept(
        &self,
        origin: Origin<'_>,
        user: &Id,
        session: Option<Id>,
        token: &str,
    ) -> Result<Membership, Error> {
        let now = TimeMs::now();
        let mut tx = self.db.system(true).await?;
        let ready = async {
            let person = people::hold(&mut tx, user).await?;
            if person.disabled_at.is_some() {
                return Err(Error::NotFound);
            }
            let found = of_token(&mut tx, &self.pepper, token, now).await?;
            let who = Authenticated { session, ..found.who(&person) };
            Ok((person, found, who))
        };
        let ready = ready.await;
        let (person, found, who) = match ready {
            Ok(ready) => ready,
            Err(e) => return tx.end(Err(e)).await,
        };
        let mut change = Change::within(tx, &self.pepper, origin.by(&who)).await?;
        let done = async {
            let role = join(&mut change, &person, &found.id).await?;
            let organisation = tenants::get(change.tx()).await?;
            Ok(Membership { organisation, role })
        };
        let done = done.await;
        change.end(done).await
    }
}

/// The invitation of a token. From here on the transaction is of its organisation.
pub(crate) async fn of_token(tx: &mut Tx, pepper: &Pepper, token: &str, now: TimeMs) -> Result<Found, Error> {
    if !token.starts_with(WORD) || token.len() > limits::INVITATION_CHARACTERS {
        return Err(Error::NoInvitation);
    }
    let hash = hash(pepper, token);
    tx.set("headwater.invitation", &hash).await?;
    let rows = tx.system(OF_HASH, &[Value::from(&hash)]).await?;
    let row = rows.first().ok_or(Error::NoInvitation)?;
    let over = row.opt_int("accepted_at")?.is_some() || row.int("expires_at")? <= now.0;
    let tenant: Id = row.parsed("tenant_id")?;
    tx.enter(&tenant).await?;
    if over || tenants::suspended(tx).await? {
        return Err(Error::NoInvitation);
    }
    Ok(Found { tenant, id: row.parsed("id")?, email: row.text("email")?, role: row.parsed("role")? })
}

/// Makes a person a member by an invitation, in the transaction of that organisation.
pub(crate) async fn join(change: &mut Change<'_>, person: &Person, invitation: &Id) -> Result<Role, Error> {
    let at = change.at().0;
    let rows = change.write(CLAIM, &[Value::from(invitation), at.into(), Value::from(&person.email)]).await?;
    let row = rows.first().ok_or(Error::NoInvitation)?;
    let role: Role = row.parsed("role")?;
    if !stands(change, role, &row.text("created_by_kind")?, &row.text("created_by")?).await? {
        return Err(Error::NoInvitation);
    }
    if organisations::roles_of(change.tx(), &person.id).await?.len() as i64 >= limits::ORGANISATIONS {
        return Err(Error::Full { what: "organisations of one person", most: limits::ORGANISATIONS as usize });
    }
    organisations::add(change, &person.id, role).await?;
    let subject = Subject { kind: "member", id: person.id.to_string(), name: Some(person.email.clone()) };
    let after = json!({"email": person.email, "role": role, "invitation": invitation});
    change.audit(Action::MemberJoin, &subject, None, Some(after), Outcome::Done).await?;
    Ok(role)
}

/// Whether who wrote an invitation may give that role still. A person's open ones go with what he may; those of a key would stay when it is
/// revoked, or when the person who made it is removed.
async fn stands(change: &mut Change<'_>, role: Role, kind: &str, by: &str) -> Result<bool, Error> {
    let Ok(id) = by.parse::<Id>() else { return Ok(true) };
    let (tenant, now) = (change.by().who.tenant().clone(), change.at());
    let found = match kind {
        "user" => match people::role(change.tx(), &id).await? {
            Some(had) => Some((had.scopes(), had == Role::Owner || people::get(change.tx(), &id).await?.platform)),
            None => None,
        },
        "key" => keys::present(change.tx(), &tenant, &id, now).await?,
        _ => return Ok(true),
    };
    Ok(found.is_some_and(|(scopes, owners)| role.scopes().beyond(scopes).is_empty() && (role < Role::Owner || owners)))
}
