//! What people create while Headwater runs, and who may: tenants, keys, contracts, rules, monitors, channels, silences, and the audit of
//! every change.
//!
//! Guarantee: a tenant's rows are reached only with a [`Tenant`], and only authentication makes one ([`Control::authenticate`],
//! [`Control::anyone`] where `[auth]` is `none`, [`Operator`] for who holds the store's own credentials). Every statement on them binds
//! that tenant: the text of one that does not is refused when this crate is compiled ([`Sql`]), and PostgreSQL has row-level security
//! behind it. What is not there and what is another tenant's are one answer, because they are one statement. A change, its entry in the
//! audit and what the stages are to be told are one transaction. One code path and one SQL text for SQLite and PostgreSQL.
//!
//! There is no other way to a tenant:
//!
//! ```no_run
//! # async fn f(control: control::Control) -> Result<(), control::Error> {
//! let anyone = control.anyone().ok_or(control::Error::NotFound)?;
//! control.contract(anyone.tenant(), &"01J0000000000000000000000A".parse()?).await?;
//! # Ok(()) }
//! ```
//!
//! ```compile_fail,E0451
//! let all = control::Networks::All;
//! let tenant = control::Tenant { id: "01J0000000000000000000000A".parse().expect("an id"), reach: all.clone(), own: all };
//! ```
//!
//! ```compile_fail,E0599
//! let tenant = control::Tenant::new("01J0000000000000000000000A".parse().expect("an id"));
//! ```
//!
//! ```compile_fail,E0277
//! let tenant: control::Tenant = serde_json::from_str(r#"{"id":"01J0000000000000000000000A"}"#).expect("a tenant");
//! ```
//!
//! ```compile_fail,E0308
//! # async fn f(control: control::Control) -> Result<(), control::Error> {
//! control.contract("01J0000000000000000000000A", &"01J0000000000000000000000A".parse()?).await?;
//! # Ok(()) }
//! ```
//!
//! ```compile_fail,E0451
//! # fn f(tenant: control::Tenant) {
//! let (actor, scopes) = (control::Actor::System, control::Scopes::ALL);
//! let owner = control::Authenticated { tenant, actor, scopes, role: None, platform: true, expires_at: None, session: None };
//! # }
//! ```

mod acks;
mod attempts;
mod audit;
mod believed;
mod contracts;
mod db;
mod definitions;
mod error;
mod expected;
mod id;
mod idempotency;
mod identities;
mod invitations;
mod keys;
mod life;
mod migrations;
mod open;
mod organisations;
mod outbox;
mod pages;
mod passwords;
mod people;
pub mod publisher;
mod quotas;
mod random;
mod resets;
mod roles;
mod rotation;
mod scopes;
mod sealer;
mod secret;
mod sessions;
mod sql;
mod tenant;
mod tenants;
mod totp;

pub use acks::{AckToken, AckTokens, NoAckToken};
pub use audit::{Action, Entry, Filter, Misfit, Outcome, Subject, Verified};
pub use contracts::{Contract, ContractPatch, Created, NewContract, Put, Source};
pub use definitions::{Bounds, Defined, MadeDefinition};
pub use error::{Denied, Error, Mistake};
pub use expected::Expected;
pub use id::Id;
pub use idempotency::IdempotencyKey;
pub use identities::{Identity, Visit};
pub use invitations::{Invitation, Invited, Membership};
pub use keys::{Fresh, Key, KeyPatch, Made, NewKey, Session};
pub use life::{
    Emptied, Export, Exporter, FORMAT as EXPORT_FORMAT, ImportReader, Imported, Leaving, Progress, ToImport, Tombstone,
};
pub use migrations::{Migration, Step};
pub use open::{Control, Mode, Operator, Trust, migrate};
pub use organisations::{Founded, Member, MemberState, OrganisationPatch};
pub use pages::{Cursor, Page, Paging};
pub use people::{Joining, NewPerson, Person, SignUpLetter, SignedUp, email};
pub use quotas::{DEFAULT as DEFAULT_PLAN, Maxima, Metered, Standing, Used, UsedByTenant};
pub use resets::Letter;
pub use roles::{Role, WrongRole};
pub use rotation::{Rotated, Rotation, rotate_secret};
pub use scopes::{Allowed, Resource, Scopes, WrongScope};
pub use sealer::Sealer;
pub use secret::same_text;
pub use sessions::{AccessToken, Begun, Belonging, PersonSession, Profile, PublicKey, SessionInfo, SignIn, SignedIn};
pub use sql::{Sql, statements, system_statements};
pub use tenant::{Actor, Authenticated, Caller, Networks, Origin, Tenant};
pub use tenants::TenantInfo;
pub use totp::Enrolment;
