//! Organisations and their members as REST shows them.

use control::{Invited, Member, Membership, Networks, Role, TenantInfo};
use schemas::TimeMs;
use serde::Serialize;
use utoipa::ToSchema;

/// An organisation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrganisationItem {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What you are in it: `owner`, `admin`, `editor`, `viewer`; null for a key.
    pub role: Option<&'static str>,
    /// `active`, `importing` (it is not whole yet, and counts as suspended), `suspended`, `deleting`.
    pub state: &'static str,
    /// Why it is suspended.
    pub suspended_reason: Option<String>,
    /// The plan that says what it may use.
    pub plan: String,
    /// Since when it is here.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Counts edits; the `ETag` of the organisation is this number in quotes.
    pub version: i64,
}

impl OrganisationItem {
    /// As somebody in it sees it.
    pub fn of(info: TenantInfo, role: Option<Role>) -> Self {
        Self {
            id: info.id.to_string(),
            role: role.map(Role::as_str),
            state: info.state(),
            name: info.name,
            suspended_reason: info.suspended_reason.filter(|reason| !reason.is_empty()),
            plan: info.plan,
            created_at: info.created_at.rfc3339(),
            version: info.version,
        }
    }
}

impl From<Membership> for OrganisationItem {
    fn from(of: Membership) -> Self {
        Self::of(of.organisation, Some(of.role))
    }
}

/// An organisation, as operators of the platform see it: nothing that is in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlatformOrganisationItem {
    /// The organisation.
    #[serde(flatten)]
    pub item: OrganisationItem,
    /// Its short name: `default` is the operator's own.
    pub slug: String,
    /// Since when nobody of it is let in.
    #[schema(format = DateTime)]
    pub suspended_at: Option<String>,
    /// How many people are in it; null where one organisation was asked for.
    pub members: Option<i64>,
    /// The networks that it is entitled to, empty: all; null in the list.
    pub networks: Option<Vec<String>>,
}

impl PlatformOrganisationItem {
    /// One of a list.
    pub fn listed(info: TenantInfo, members: i64) -> Self {
        let (slug, suspended_at) = (info.slug.clone(), info.suspended_at.map(TimeMs::rfc3339));
        Self { item: OrganisationItem::of(info, None), slug, suspended_at, members: Some(members), networks: None }
    }

    /// One by itself.
    pub fn alone(info: TenantInfo, networks: &Networks) -> Self {
        let networks = networks.listed().into_iter().map(str::to_owned).collect();
        Self { members: None, networks: Some(networks), ..Self::listed(info, 0) }
    }
}

/// Somebody in an organisation, or invited into it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MemberItem {
    /// The person's id; of who has not come yet, the invitation's.
    pub id: String,
    /// The e-mail address.
    pub email: String,
    /// What the person is called; empty of who has not come yet.
    pub name: String,
    /// `owner`, `admin`, `editor`, `viewer`.
    pub role: &'static str,
    /// `member`, `invited`.
    pub state: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Until when the invitation is good.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Counts edits; the `ETag` of the member is this number in quotes.
    pub version: i64,
}

impl From<Member> for MemberItem {
    fn from(of: Member) -> Self {
        Self {
            id: of.id.to_string(),
            email: of.email,
            name: of.name,
            role: of.role.as_str(),
            state: of.state.as_str(),
            created_at: of.created_at.rfc3339(),
            expires_at: of.expires_at.map(TimeMs::rfc3339),
            version: of.version,
        }
    }
}

/// Somebody who was just invited.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InvitedItem {
    /// Who.
    #[serde(flatten)]
    pub item: MemberItem,
    /// The invitation, which is never shown again: who signs up, or accepts it, sends it.
    pub invitation: String,
    /// Whether it was sent to the address, too.
    pub sent: bool,
}

impl InvitedItem {
    /// With whether it was sent.
    pub fn of(invited: Invited, sent: bool) -> Self {
        let invitation = invited.token.expose().to_owned();
        Self { item: Member::from(invited.invitation).into(), invitation, sent }
    }
}
