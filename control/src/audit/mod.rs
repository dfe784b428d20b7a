//! The audit: every change, in the transaction of the change.
//!
//! Guarantee: there is no change without its entry ([`Change::end`] refuses one), and no entry without its change. Entries of a tenant
//! are numbered from 1 without a gap, their times never go back, and each carries the keyed hash of all that it says and of the entry
//! before it; so whoever changes, removes, adds or swaps one, and has not the secret, is found by [`Control::verify_audit`]. Who removes
//! the newest entries and sets the head back to an older one is found by comparing with a head that was printed before.

/// All columns of an entry but its tenant's, as they are read.
macro_rules! columns {
    () => {
        "entry, at, id, actor_kind, actor_id, actor_name, acting_as, ip, request_id, action, resource_kind, resource_id, resource_name, \
         before, after, outcome, previous, hash"
    };
}

mod change;
mod list;
mod verify;

use schemas::{TimeMs, records::DefinitionKind};
use serde_json::Value;

pub(crate) use change::{Change, HEAD};
pub use list::Filter;
pub(crate) use list::{behind, reaches};
pub use verify::{Misfit, Verified};

use crate::{db::Row, error::Error, id::Id, open::Control, sql::Sql, tenant::Caller};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A contract was added.
    ContractCreate,
    /// A contract was changed.
    ContractChange,
    /// A contract was removed.
    ContractDelete,
    /// A key was made.
    KeyCreate,
    /// A key was changed.
    KeyChange,
    /// A key got another secret.
    KeyRotate,
    /// A key was revoked.
    KeyRevoke,
    /// A rule, monitor, channel or silence was made.
    Make(DefinitionKind),
    /// One was changed.
    Edit(DefinitionKind),
    /// One was removed.
    Remove(DefinitionKind),
    /// A test was sent to a channel.
    ChannelTest,
    /// What was sent to a channel is sent again.
    ChannelReplay,
    /// Nothing is sent to a channel any more, since its receiver said so.
    ChannelDisable,
    /// A message is sent again.
    DeliveryReplay,
    /// An alert was acknowledged.
    AlertAcknowledge,
    /// Somebody made an account.
    PersonSignUp,
    /// Somebody was made an operator of the platform, or is none any more.
    PersonOperator,
    /// An organisation was founded.
    OrganisationCreate,
    /// An organisation was changed.
    OrganisationChange,
    /// Other networks are reached.
    OrganisationEntitle,
    /// Nobody of an organisation is let in any more.
    OrganisationSuspend,
    /// They are let in again.
    OrganisationResume,
    /// Somebody was invited.
    InvitationCreate,
    /// An invitation was taken back.
    InvitationDelete,
    /// Somebody came by an invitation.
    MemberJoin,
    /// A member has another role.
    MemberChange,
    /// A member was removed, or left.
    MemberRemove,
    /// A person chose another password.
    PasswordChange,
    /// A person chose another password by the link of a letter.
    PasswordReset,
    /// A person ended all sessions of his.
    SessionsEnd,
    /// A person set a second factor.
    FactorSet,
    /// A person lifted it.
    FactorLift,
    /// A person signs in by a provider too.
    IdentityLink,
    /// A person signs in by a provider no more.
    IdentityUnlink,
    /// A plan of the configuration file is another one.
    PlanChange,
    /// A tenant got another plan.
    OrganisationPlan,
    /// All of an organisation was asked for, as a document.
    OrganisationExport,
    /// What another organisation had defined was made here.
    OrganisationImport,
    /// An organisation is to be deleted.
    OrganisationDelete,
    /// All that it had is gone: the last entry of its chain.
    OrganisationGone,
    /// The store's secret was changed.
    SecretRotate,
}

impl Action {
    /// As the audit has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContractCreate => "contract.create",
            Self::ContractChange => "contract.change",
            Self::ContractDelete => "contract.delete",
            Self::KeyCreate => "key.create",
            Self::KeyChange => "key.change",
            Self::KeyRotate => "key.rotate",
            Self::KeyRevoke => "key.revoke",
            Self::Make(DefinitionKind::Rule) => "rule.create",
            Self::Make(DefinitionKind::Monitor) => "monitor.create",
            Self::Make(DefinitionKind::Channel) => "channel.create",
            Self::Make(DefinitionKind::Silence) => "silence.create",
            Self::Edit(DefinitionKind::Rule) => "rule.change",
            Self::Edit(DefinitionKind::Monitor) => "monitor.change",
            Self::Edit(DefinitionKind::Channel) => "channel.change",
            Self::Edit(DefinitionKind::Silence) => "silence.change",
            Self::Remove(DefinitionKind::Rule) => "rule.delete",
            Self::Remove(DefinitionKind::Monitor) => "monitor.delete",
            Self::Remove(DefinitionKind::Channel) => "channel.delete",
            Self::Remove(DefinitionKind::Silence) => "silence.delete",
            Self::ChannelTest => "channel.test",
            Self::ChannelReplay => "channel.replay",
            Self::ChannelDisable => "channel.disable",
            Self::DeliveryReplay => "delivery.replay",
            Self::AlertAcknowledge => "alert.acknowledge",
            Self::PersonSignUp => "user.sign_up",
            Self::PersonOperator => "user.operator",
            Self::OrganisationCreate => "organisation.create",
            Self::OrganisationChange => "organisation.change",
            Self::OrganisationEntitle => "organisation.entitle",
            Self::OrganisationSuspend => "organisation.suspend",
            Self::OrganisationResume => "organisation.resume",
            Self::InvitationCreate => "invitation.create",
            Self::InvitationDelete => "invitation.delete",
            Self::MemberJoin => "member.join",
            Self::MemberChange => "member.change",
            Self::MemberRemove => "member.remove",
            Self::PasswordChange => "user.password",
            Self::PasswordReset => "user.reset",
            Self::SessionsEnd => "user.sessions",
            Self::FactorSet => "user.factor_set",
            Self::FactorLift => "user.factor_lift",
            Self::IdentityLink => "user.identity",
            Self::IdentityUnlink => "user.identity_unlink",
            Self::PlanChange => "plan.change",
            Self::OrganisationPlan => "organisation.plan",
            Self::OrganisationExport => "organisation.export",
            Self::OrganisationImport => "organisation.import",
            Self::OrganisationDelete => "organisation.delete",
            Self::OrganisationGone => "organisation.gone",
            Self::SecretRotate => "secret.rotate",
        }
    }
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `contract`, `key`, `rule`, `monitor`, `channel`, `silence`, `alert`, `delivery`, `organisation`, `export`, `member`, `invitation`,
    /// `user`.
    pub kind: &'static str,
    /// Its id; empty where it has none yet.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// Who asked may not.
    Denied,
    /// It was tried, and refused or impossible.
    Failed,
}

impl Outcome {
    /// As the audit has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// An entry, as it is read.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Entry {
    /// Its number in the tenant's chain.
    pub entry: i64,
    /// Its id.
    pub id: Id,
    /// When.
    pub at: TimeMs,
    /// Who: `user`, `key`, `operator`, `link`, `system`.
    pub actor_kind: String,
    /// A key's or a person's id; a word for others.
    pub actor_id: String,
    /// For people, as it was then.
    pub actor_name: String,
    /// The scopes that it had; a person's role.
    pub acting_as: String,
    /// From where.
    pub ip: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// What was done: `contract.create`.
    pub action: String,
    /// To what kind of thing.
    pub resource_kind: String,
    /// Its id.
    pub resource_id: String,
    /// Its name then.
    pub resource_name: Option<String>,
    /// As it was; secrets as `{"set":true}`.
    pub before: Option<Value>,
    /// As it is since.
    pub after: Option<Value>,
    /// `done`, `denied`, `failed`.
    pub outcome: String,
    /// The hash of the entry before; empty in the first.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

/// Columns, in the order in which they are hashed; `hash` itself is none of them.
const TEXTS: [&str; 15] = [
    "id",
    "actor_kind",
    "actor_id",
    "actor_name",
    "acting_as",
    "ip",
    "request_id",
    "action",
    "resource_kind",
    "resource_id",
    "resource_name",
    "before",
    "after",
    "outcome",
    "previous",
];

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("audit: head", change::HEAD),
    ("audit: append", change::APPEND),
    ("audit: new head", change::NEW_HEAD),
    ("audit: list", list::LIST),
    ("audit: list by actor", list::BY_ACTOR),
    ("audit: list by action", list::BY_ACTION),
    ("audit: list by resource", list::BY_RESOURCE),
    ("audit: list by kind", list::BY_KIND),
    ("audit: first at", list::FIRST_AT),
    ("audit: last at", list::LAST_AT),
    ("audit: verify", verify::NEXT),
    ("audit: verify head", verify::HEAD),
];

fn read(row: &Row) -> Result<Entry, Error> {
    let json = |column: &str| match row.opt_text(column)? {
        None => Ok(None),
        Some(text) => {
            serde_json::from_str(&text).map(Some).map_err(|e| Error::Corrupt(format!("column {column}: {e}")))
        }
    };
    Ok(Entry {
        entry: row.int("entry")?,
        id: row.parsed("id")?,
        at: TimeMs(row.int("at")?),
        actor_kind: row.text("actor_kind")?,
        actor_id: row.text("actor_id")?,
        actor_name: row.text("actor_name")?,
        acting_as: row.text("acting_as")?,
        ip: row.opt_text("ip")?,
        request_id: row.opt_text("request_id")?,
        action: row.text("action")?,
        resource_kind: row.text("resource_kind")?,
        resource_id: row.text("resource_id")?,
        resource_name: row.opt_text("resource_name")?,
        before: json("before")?,
        after: json("after")?,
        outcome: row.text("outcome")?,
        previous: row.text("previous")?,
        hash: row.text("hash")?,
    })
}

impl Control {
    /// Writes down what was not done: somebody who may not, or something that was refused.
    ///
    /// # Errors
    /// As of every change.
    pub async fn note(&self, by: Caller<'_>, action: Action, subject: &Subject, outcome: Outcome) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change.audit(action, subject, None, None, outcome).await;
        change.end(done).await
    }
}
