//! A new invitation.

use runtime::config::Secret;
use schemas::limits::accounts as limits;
use serde_json::json;

use super::{Invitation, read};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::Value,
    error::Error,
    id::Id,
    open::Control,
    organisations, people, random,
    roles::Role,
    secret::Pepper,
    sql::Sql,
    tenant::Caller,
};

/// What a token begins with.
pub(super) const WORD: &str = "hwi_";
/// 22 × 5.95 = 131 bits.
const CHARACTERS: usize = 22;

/// The invitation that makes the organisation's as many as there may be, if there is one.
pub(super) const LAST: Sql =
    Sql::of_tenant("SELECT id FROM invitations WHERE tenant_id = $1 ORDER BY id LIMIT 1 OFFSET $2");
/// The one before to the same address, and those whose time was over long ago.
pub(super) const FORGET: Sql =
    Sql::of_tenant("DELETE FROM invitations WHERE tenant_id = $1 AND (email = $2 OR expires_at < $3)");
pub(super) const INSERT: Sql = Sql::of_tenant(
    "INSERT INTO invitations (tenant_id, id, email, role, hash, created_at, created_by_kind, created_by, expires_at, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1) RETURNING id, email, role, created_at, expires_at, version",
);

/// An invitation with its token, which is never seen again.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The invitation.
    pub invitation: Invitation,
    /// What proves to have it.
    pub token: Secret,
}

/// What is kept of a token.
pub(super) fn hash(pepper: &Pepper, token: &str) -> String {
    const_hex::encode(pepper.of_request(&[b"invitation", token.as_bytes()]))
}

impl Control {
    /// Invites somebody into the caller's organisation; one who was invited before gets another invitation in the place of that one.
    ///
    /// # Errors
    /// The address has mistakes; whoever has it is a member already ([`Error::Taken`]); the role is more than the caller may give
    /// ([`Error::MoreThanMaker`], [`Error::OwnersOnly`]); there are too many; or as of every change.
    pub async fn invite(&self, by: Caller<'_>, email: &str, role: Role) -> Result<Invited, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = invite_in(&mut change, &self.pepper, email, role).await;
        change.end(done).await
    }
}

async fn invite_in(change: &mut Change<'_>, pepper: &Pepper, email: &str, role: Role) -> Result<Invited, Error> {
    let mut mistakes = Vec::new();
    let email = people::email("email", email, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    organisations::may_give(change, role).await?;
    if let Some(person) = people::by_email(change.tx(), &email).await?
        && organisations::role_of(change.tx(), &person.id).await?.is_some()
    {
        return Err(Error::Taken { id: person.id });
    }
    let now = change.at();
    change.write(FORGET, &[Value::from(&email), (now.0 - limits::INVITATION_KEPT.as_millis() as i64).into()]).await?;
    if change.tx().row(LAST, &[Value::from(limits::INVITATIONS - 1)]).await?.is_some() {
        return Err(Error::Full { what: "invitations", most: limits::INVITATIONS as usize });
    }
    let random = random::base62(CHARACTERS).map_err(|e| Error::Settings(format!("no random numbers: {e}")))?;
    let token = Secret::new(format!("{WORD}{random}"));
    let actor = change.by().who.actor();
    let values = [
        Value::from(&Id::new(now)?),
        Value::from(&email),
        role.as_str().into(),
        hash(pepper, token.expose()).into(),
        now.0.into(),
        actor.kind().into(),
        actor.id().into(),
        (now.0 + limits::INVITATION_GOOD.as_millis() as i64).into(),
    ];
    let rows = change.write(INSERT, &values).await?;
    let row = rows.first().ok_or_else(|| Error::Database("an invitation was not written".to_owned()))?;
    let invitation = read(row)?;
    let subject = Subject { kind: "invitation", id: invitation.id.to_string(), name: Some(invitation.email.clone()) };
    let after = json!({
        "email": invitation.email,
        "role": invitation.role,
        "expires_at": invitation.expires_at,
        "secret": {"set": true},
    });
    change.audit(Action::InvitationCreate, &subject, None, Some(after), Outcome::Done).await?;
    Ok(Invited { invitation, token })
}
