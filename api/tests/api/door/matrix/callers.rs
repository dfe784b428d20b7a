//! Everybody that there can be at the door, with what each may.

use std::time::Duration;

use api::permissions::Is;
use control::{Authenticated, Begun, Caller, Control, Fresh, Id, Mode, Networks, NewKey, Resource, Role, Scopes};

use super::super::{
    Keyed,
    accounts::{HOME, SECOND},
};

/// How long sessions and tokens of a test are good.
const LIFE: Duration = Duration::from_secs(3_000);
/// An organisation that is suspended once its callers are there.
const SUSPENDED: &str = "01J00000000000000000000003";
/// One that is being deleted.
const LEAVING: &str = "01J00000000000000000000004";

/// What somebody comes with.
pub enum Proof {
    Nothing,
    Bearer(String),
    Cookie { value: String, csrf: String },
}

impl Proof {
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Bearer(text) => vec![("Authorization", format!("Bearer {text}"))],
            Self::Cookie { value, csrf } => {
                vec![("Cookie", format!("hw_session={value}")), ("X-Headwater-Csrf", csrf.clone())]
            }
        }
    }

    pub fn key(key: &Fresh) -> Self {
        Self::Bearer(key.text.expose().to_owned())
    }

    pub fn cookie(begun: &Begun) -> Self {
        let csrf = begun.session.csrf.clone().expect("a cookie has a proof");
        Self::Cookie { value: begun.cookie.expose().to_owned(), csrf }
    }
}

/// What somebody may who is let in.
#[derive(Clone, Copy)]
pub struct May {
    pub scopes: Scopes,
    pub is: Is,
}

/// Somebody at the door.
pub struct Somebody {
    pub name: String,
    /// Whom the report counts it among.
    pub group: &'static str,
    pub proof: Proof,
    /// `None`: nobody that is let in.
    pub may: Option<May>,
}

/// The groups, as the report's columns have them.
pub const GROUPS: [&str; 7] = ["shut out", "keys", "viewer", "editor", "admin", "owner", "platform"];

/// People, made without passwords, for nobody logs in here.
pub struct People<'k> {
    pub keyed: &'k Keyed,
}

impl People<'_> {
    fn control(&self) -> &Control {
        self.keyed.operator.control()
    }

    /// A person with a role.
    pub async fn person(&self, number: u32, role: Role, organisation: &str) -> Id {
        let id = format!("01J0000000000000000000P{number:03}");
        let user = format!(
            "INSERT INTO users (user_id, email, name, created_at, updated_at, version) \
             VALUES ('{id}', 'p{number}@example.org', 'P', 1, 1, 1)"
        );
        self.keyed.sql(&user).await;
        let member = format!(
            "INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) \
             VALUES ('{organisation}', '{id}', '{role}', 1, 1)"
        );
        self.keyed.sql(&member).await;
        id.parse().expect("an id")
    }

    pub async fn begin(&self, user: &Id) -> Begun {
        self.control().begin_person_session(user, None, LIFE).await.expect("a session")
    }

    pub async fn token(&self, user: &Id) -> Proof {
        let begun = self.begin(user).await;
        let token = self.control().access_token(&begun.who, &begun.session, LIFE).await.expect("a token");
        Proof::Bearer(token.text.expose().to_owned())
    }

    /// A key, by whoever this is.
    pub async fn key(&self, by: &Authenticated, scopes: Scopes) -> Fresh {
        let new = NewKey { name: "theirs".to_owned(), scopes, networks: Networks::All, expires_in: None };
        self.control().create_key(Caller::here(by), new).await.expect("a key")
    }
}

/// Everybody. In mode `keys` people are strangers, whatever they come with.
pub async fn everybody(keyed: &Keyed, mode: Mode) -> Vec<Somebody> {
    let mut all = strangers(keyed).await;
    all.extend(keys(keyed).await);
    let mut people = people(keyed).await;
    people.extend(lost(keyed).await);
    for somebody in &mut people {
        // Keys that people made are keys there too; what was begun by a login is nothing.
        let by_key = matches!(&somebody.proof, Proof::Bearer(text) if text.starts_with("hw_"));
        if mode == Mode::Keys && !by_key {
            (somebody.group, somebody.may) = (GROUPS[0], None);
        }
    }
    all.extend(people);
    all
}

fn nobody(name: &str, proof: Proof) -> Somebody {
    Somebody { name: name.to_owned(), group: GROUPS[0], proof, may: None }
}

/// Who comes with nothing, or with a key that is not good (any more).
async fn strangers(keyed: &Keyed) -> Vec<Somebody> {
    let (expired, revoked) = (keyed.key(&["*:*"]).await, keyed.key(&["*:*"]).await);
    keyed.sql(&format!("UPDATE api_keys SET expires_at = 1 WHERE id = '{}'", expired.key.id)).await;
    keyed.revoke(&revoked).await;
    let text = keyed.key(&["*:*"]).await.text.expose().to_owned();
    let wrong = format!("{}{}", &text[..33], if text.ends_with('a') { 'b' } else { 'a' });
    vec![
        nobody("nothing", Proof::Nothing),
        nobody("malformed", Proof::Bearer("hw_x".to_owned())),
        nobody("unknown", Proof::Bearer(format!("hw_{}_{}", "a".repeat(8), "b".repeat(22)))),
        nobody("wrong", Proof::Bearer(wrong)),
        nobody("expired key", Proof::key(&expired)),
        nobody("revoked key", Proof::key(&revoked)),
    ]
}

/// A key of each scope. Those of the operator in `default` are the platform's where they may everything.
async fn keys(keyed: &Keyed) -> Vec<Somebody> {
    let mut all = Vec::new();
    let each = Resource::ALL.into_iter().flat_map(|r| ["read", "write"].map(|a| format!("{}:{a}", r.as_str())));
    for scope in each.chain(["*:read".to_owned(), "*:*".to_owned()]) {
        let proof = Proof::key(&keyed.key(&[&scope]).await);
        let is = Is { role: None, platform: scope == "*:*" };
        let may = Some(May { scopes: Scopes::read(&[&scope]).expect("a scope"), is });
        let group = if is.platform { "platform" } else { "keys" };
        all.push(Somebody { name: format!("a key with {scope}"), group, proof, may });
    }
    all
}

/// People of each role, by token and by cookie; operators of the platform; and keys that people made.
async fn people(keyed: &Keyed) -> Vec<Somebody> {
    let people = People { keyed };
    let mut all = Vec::new();
    for (number, role) in (1..).zip(Role::ALL) {
        let user = people.person(number, role, HOME).await;
        let may = Some(May { scopes: role.scopes(), is: Is { role: Some(role), platform: false } });
        for (with, proof) in
            [("token", people.token(&user).await), ("cookie", Proof::cookie(&people.begin(&user).await))]
        {
            all.push(Somebody { name: format!("{role}, by {with}"), group: role.as_str(), proof, may });
        }
    }
    // An operator of the platform is one by his row, and no more than a viewer in the organisation that he is in.
    let operator = people.person(10, Role::Viewer, SECOND).await;
    keyed.sql(&format!("UPDATE users SET platform = 1 WHERE user_id = '{operator}'")).await;
    let proof = people.token(&operator).await;
    let is = Is { role: Some(Role::Viewer), platform: true };
    let may = Some(May { scopes: Role::Viewer.scopes(), is });
    all.push(Somebody { name: "operator of the platform".to_owned(), group: "platform", proof, may });
    // A key is no person: not an owner's, and not an owner's in `default`, where operators are.
    for (number, organisation) in [(11, HOME), (12, SECOND)] {
        let owner = people.person(number, Role::Owner, organisation).await;
        let key = people.key(&people.begin(&owner).await.who, Scopes::ALL).await;
        let may = Some(May { scopes: Scopes::ALL, is: Is::default() });
        all.push(Somebody { name: format!("key of an owner ({number})"), group: "keys", proof: Proof::key(&key), may });
    }
    // One whose maker may less now may as little.
    let lowered = people.person(13, Role::Owner, SECOND).await;
    let key = people.key(&people.begin(&lowered).await.who, Scopes::ALL).await;
    keyed.sql(&format!("UPDATE tenant_users SET role = 'viewer' WHERE user_id = '{lowered}'")).await;
    let may = Some(May { scopes: Role::Viewer.scopes(), is: Is::default() });
    let name = "key of an owner who is viewer now".to_owned();
    all.push(Somebody { name, group: "keys", proof: Proof::key(&key), may });
    all
}

/// People and organisations that were let in before, and are not any more.
async fn lost(keyed: &Keyed) -> Vec<Somebody> {
    let people = People { keyed };
    let mut all = Vec::new();
    for (number, (name, sql)) in (20..).zip([
        ("session over", "UPDATE sessions SET ends_at = 1 WHERE user_id = 'USER'"),
        ("logged out", "UPDATE sessions SET revoked_at = 1 WHERE user_id = 'USER'"),
        ("another password", "UPDATE users SET generation = generation + 1 WHERE user_id = 'USER'"),
        ("disabled", "UPDATE users SET disabled_at = 1 WHERE user_id = 'USER'"),
        ("removed member", "DELETE FROM tenant_users WHERE user_id = 'USER'"),
    ]) {
        let user = people.person(number, Role::Owner, SECOND).await;
        let begun = people.begin(&user).await;
        let key = people.key(&begun.who, Scopes::ALL).await;
        all.push(nobody(&format!("{name}, by token"), people.token(&user).await));
        all.push(nobody(&format!("{name}, by cookie"), Proof::cookie(&begun)));
        keyed.sql(&sql.replace("USER", user.as_str())).await;
        // With who made it a key ends; a session is only one of his.
        if ["disabled", "removed member"].contains(&name) {
            all.push(nobody(&format!("key of somebody {name}"), Proof::key(&key)));
        }
    }
    for (number, id, slug, sql) in [
        (30, SUSPENDED, "suspended", "UPDATE tenants SET suspended_at = 1 WHERE tenant_id = 'ID'"),
        (31, LEAVING, "leaving", "UPDATE tenants SET suspended_at = 1, deleting_at = 1 WHERE tenant_id = 'ID'"),
    ] {
        keyed.operator.add_tenant(&id.parse().expect("an id"), slug, slug).await.expect("added");
        let user = people.person(number, Role::Owner, id).await;
        let begun = people.begin(&user).await;
        let of_operator = {
            let tenants = keyed.operator.tenants().await.expect("tenants");
            keyed.operator.within(tenants.iter().find(|t| t.slug == slug).expect("it is there"))
        };
        all.push(nobody(&format!("owner of one {slug}, by token"), people.token(&user).await));
        let of_owner = people.key(&begun.who, Scopes::ALL).await;
        all.push(nobody(&format!("owner of one {slug}, by cookie"), Proof::cookie(&begun)));
        all.push(nobody(&format!("owner's key of one {slug}"), Proof::key(&of_owner)));
        all.push(nobody(&format!("operator's key of one {slug}"), {
            Proof::key(&people.key(&of_operator, Scopes::ALL).await)
        }));
        keyed.sql(&sql.replace("ID", id)).await;
    }
    // What is nearly right is nothing.
    let user = people.person(40, Role::Owner, SECOND).await;
    let begun = people.begin(&user).await;
    let (cookie, refresh) = (begun.cookie.expose().to_owned(), begun.refresh_token.expose().to_owned());
    let last = if cookie.ends_with('0') { '1' } else { '0' };
    let changed = format!("{}{last}", &cookie[..cookie.len() - 1]);
    all.push(nobody("a cookie that was changed", Proof::Cookie { value: changed, csrf: String::new() }));
    all.push(nobody("a cookie as a token", Proof::Bearer(cookie)));
    all.push(nobody("a refresh token as a token", Proof::Bearer(refresh)));
    all
}
