//! Who is here, and whose rows that opens.
//!
//! Guarantee: nobody outside of this crate can make a [`Tenant`] or an [`Authenticated`] (private fields, no constructor, no `Default`,
//! no `Deserialize`; lib.rs proves it), and inside only `keys::door`, `open`, `acks::token`
//! and `people` do.

use std::net::IpAddr;

use schemas::{Network, TimeMs};

use crate::{
    id::Id,
    roles::Role,
    scopes::{Allowed, Resource, Scopes},
};

/// Networks that somebody may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    /// All, those of later too.
    All,
    /// These.
    Only(Vec<Network>),
}

impl Networks {
    /// Whether this one.
    pub fn contains(&self, network: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.iter().any(|n| n.as_str() == network),
        }
    }

    /// What both reach.
    #[must_use]
    pub(crate) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, both) | (both, Self::All) => both.clone(),
            (Self::Only(a), Self::Only(_)) => {
                Self::Only(a.iter().filter(|n| other.contains(n.as_str())).cloned().collect())
            }
        }
    }

    /// Whether all that this reaches `maker` reaches too.
    pub(crate) fn within(&self, maker: &Self) -> bool {
        match (self, maker) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(list), _) => list.iter().all(|n| maker.contains(n.as_str())),
        }
    }

    /// As it is stored and shown: an empty list is all.
    pub fn listed(&self) -> Vec<&str> {
        match self {
            Self::All => Vec::new(),
            Self::Only(list) => list.iter().map(Network::as_str).collect(),
        }
    }
}

/// The way to one tenant's rows, of these networks. Holding one is the proof of having been let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub(crate) id: Id,
    pub(crate) reach: Networks,
    /// What of it is narrowed by a key: what the organisation defined for a network that it is not entitled to any more stays its own.
    pub(crate) own: Networks,
}

impl Tenant {
    /// All of a tenant.
    pub(crate) fn whole(id: Id) -> Self {
        Self { id, reach: Networks::All, own: Networks::All }
    }

    /// Whose rows.
    pub fn id(&self) -> &Id {
        &self.id
    }
    /// Of which networks; what is of another is not there.
    pub fn reach(&self) -> &Networks {
        &self.reach
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An API key.
    Key {
        /// Its id.
        id: Id,
        /// Its name.
        name: String,
    },
    /// A person who signed in.
    User {
        /// His id.
        id: Id,
        /// His e-mail.
        name: String,
    },
    /// Whoever holds the control store's own credentials: the command line.
    Operator {
        /// The system's user who ran the command.
        name: String,
    },
    /// Anybody at all, where `[auth]` is `none`.
    Anyone,
    /// Whoever follows a link of a message.
    Link,
    /// Headwater itself.
    System,
}

impl Actor {
    /// As the audit has it: `user`, `key`, `operator`, `link`, `system`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Key { .. } => "key",
            Self::Operator { .. } => "operator",
            Self::User { .. } | Self::Anyone => "user",
            Self::Link => "link",
            Self::System => "system",
        }
    }
    /// A key's or a person's id; a word for others.
    pub fn id(&self) -> &str {
        match self {
            Self::Key { id, .. } | Self::User { id, .. } => id.as_str(),
            Self::Operator { .. } => "operator",
            Self::Anyone => "anyone",
            Self::Link => "link",
            Self::System => "system",
        }
    }
    /// For people.
    pub fn name(&self) -> &str {
        match self {
            Self::Key { name, .. } | Self::User { name, .. } | Self::Operator { name } => name,
            Self::Anyone => "anyone",
            Self::Link => "a message's link",
            Self::System => "headwater",
        }
    }
}

/// Somebody who was let in: whose rows, and what may be done.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub(crate) tenant: Tenant,
    pub(crate) actor: Actor,
    pub(crate) scopes: Scopes,
    pub(crate) role: Option<Role>,
    pub(crate) platform: bool,
    pub(crate) expires_at: Option<TimeMs>,
    /// The session that a person came with: what he changes is asked of its row.
    pub(crate) session: Option<Id>,
}

impl Authenticated {
    /// The way to the tenant's rows.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }
    /// Who it is.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
    /// The key's id, where it came with one.
    pub fn key(&self) -> Option<&Id> {
        match &self.actor {
            Actor::Key { id, .. } => Some(id),
            _ => None,
        }
    }
    /// The person's id, where a person signed in; a key that a person made is none.
    pub fn user(&self) -> Option<&Id> {
        match &self.actor {
            Actor::User { id, .. } => Some(id),
            _ => None,
        }
    }
    /// What a person is in this organisation; who holds the store's own credentials, and everybody where `[auth]` is `none`, is owner. A
    /// key has no role: what wants one, no key may.
    pub fn role(&self) -> Option<Role> {
        self.role
    }
    /// Whether this is an operator of the whole platform: what is of no single organisation is his.
    pub fn is_platform(&self) -> bool {
        self.platform
    }
    /// Everything that it may do.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }
    /// Whether this may be done. The one question for a table of permissions.
    pub fn allows(&self, resource: Resource, action: Allowed) -> bool {
        self.scopes.allows(resource, action)
    }
    /// When it ends; `None`: by itself never.
    pub fn expires_at(&self) -> Option<TimeMs> {
        self.expires_at
    }
}

/// Somebody who changes something, and from where: what the audit says of a change.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Who.
    pub who: &'a Authenticated,
    /// The address that the request came from, behind trusted proxies the client's; `None` for the command line.
    pub ip: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<&'a str>,
}

/// From where something comes whose doer is not known before it is done: who signs up, who accepts an invitation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// The address that the request came from.
    pub ip: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<&'a str>,
}

impl<'a> Origin<'a> {
    /// Now it is known.
    pub(crate) fn by(self, who: &'a Authenticated) -> Caller<'a> {
        Caller { who, ip: self.ip, request_id: self.request_id }
    }
}

impl<'a> Caller<'a> {
    /// From this machine, without a request.
    pub fn here(who: &'a Authenticated) -> Self {
        Self { who, ip: None, request_id: None }
    }
}
