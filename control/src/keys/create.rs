//! A new key.

use schemas::{Quota, TimeMs, limits::control as limits, names};

use super::{Fresh, Key, NewKey, get, networks_json, no_more_than, read, scopes_json, seen, subject, text};
use crate::{
    audit::{Action, Change, Outcome},
    db::{Tx, Value},
    error::{Error, Mistake},
    id::Id,
    people, quotas,
    scopes::Scopes,
    secret::Pepper,
    sql::Sql,
    tenant::{Networks, Tenant},
};

/// The key that makes the tenant's keys as many as there may be, if there is one: revoked ones are kept, and are no part of the quota.
pub(super) const LAST: Sql =
    Sql::of_tenant("SELECT id FROM api_keys WHERE tenant_id = $1 ORDER BY id LIMIT 1 OFFSET $2");
pub(super) const INSERT: Sql = Sql::of_tenant(
    "INSERT INTO api_keys (tenant_id, id, prefix, name, scopes, networks, created_at, created_by_kind, created_by, expires_at, version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1) \
     RETURNING id, prefix, name, scopes, networks, created_at, updated_at, created_by_kind, created_by, expires_at, revoked_at, last_used_at, version",
);
pub(super) const INSERT_SECRET: Sql = Sql::of_tenant(
    "INSERT INTO api_key_secrets (tenant_id, prefix, key_id, hash, valid_until) VALUES ($1, $2, $3, $4, NULL) \
     ON CONFLICT (prefix) DO NOTHING RETURNING key_id",
);

/// Makes a key in the name of whoever makes the change; `until` is a time at which it ends, in the place of a life from now on.
pub(crate) async fn create_in(
    change: &mut Change<'_>,
    pepper: &Pepper,
    new: NewKey,
    until: Option<TimeMs>,
) -> Result<Fresh, Error> {
    let who = change.by().who;
    let mut mistakes = Vec::new();
    let name = names::name("name", &new.name, &mut mistakes);
    check(new.scopes, &new.networks, &mut mistakes);
    if new.expires_in.is_some_and(|d| d < limits::KEY_LIFE.0 || d > limits::KEY_LIFE.1) {
        mistakes.push(Mistake::new("expires", "is out of range", "write a time from 1m to 3650d"));
    }
    let now = change.at();
    check_until(until, now, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    no_more_than(who, new.scopes, &new.networks)?;
    let wanted = until.map(|t| t.0).or(new.expires_in.map(|d| now.0 + d.as_millis() as i64));
    // It ends with its maker at the latest, and says so.
    let expires = match (wanted, who.expires_at()) {
        (Some(wanted), Some(maker)) if wanted > maker.0 => {
            return Err(Error::MoreThanMaker(format!("yours ends at {}", maker.rfc3339())));
        }
        (wanted, maker) => wanted.or(maker.map(|t| t.0)),
    };
    if let Some(maker) = who.key()
        && makers(change.tx(), maker).await?.len() >= limits::KEY_MAKERS
    {
        return Err(Error::MoreThanMaker(format!("{} keys made each other already", limits::KEY_MAKERS)));
    }
    if change.tx().row(LAST, &[Value::from(limits::KEYS as i64 - 1)]).await?.is_some() {
        return Err(Error::Full { what: "keys", most: limits::KEYS });
    }
    quotas::take(change, Quota::Keys, 1).await?;
    let (id, text) = (Id::new(now)?, text::new()?);
    let actor = who.actor();
    let values = [
        Value::from(&id),
        text.prefix.as_str().into(),
        name.into(),
        scopes_json(new.scopes).into(),
        networks_json(&new.networks).into(),
        now.0.into(),
        actor.kind().into(),
        actor.id().into(),
        expires.into(),
    ];
    let rows = change.write(INSERT, &values).await?;
    let key = read(rows.first().ok_or_else(|| Error::Database("a key was not written".to_owned()))?)?;
    insert_secret(change, pepper, &id, &text).await?;
    change.audit(Action::KeyCreate, &subject(&key), None, Some(seen(&key)), Outcome::Done).await?;
    Ok(Fresh { key, text: text.whole })
}

pub(super) async fn insert_secret(
    change: &mut Change<'_>,
    pepper: &Pepper,
    id: &Id,
    text: &text::Text,
) -> Result<(), Error> {
    let hash = const_hex::encode(pepper.of_key(text.whole.expose()));
    let rows = change.write(INSERT_SECRET, &[Value::from(&text.prefix), id.into(), hash.into()]).await?;
    // One in 62^8 for each key that there is.
    if rows.is_empty() { Err(Error::Away("the new key's prefix is taken".to_owned())) } else { Ok(()) }
}

/// A time at which a key ends has to lie ahead as a life from now on has to.
pub(super) fn check_until(until: Option<TimeMs>, now: TimeMs, mistakes: &mut Vec<Mistake>) {
    let (least, most) = (limits::KEY_LIFE.0.as_millis() as i64, limits::KEY_LIFE.1.as_millis() as i64);
    if until.is_some_and(|t| t.0 - now.0 < least || t.0 - now.0 > most) {
        mistakes.push(Mistake::new(
            "expires_at",
            "is out of range",
            "write a time that is 1 minute to 3650 days ahead",
        ));
    }
}

pub(super) fn check(scopes: Scopes, networks: &Networks, mistakes: &mut Vec<Mistake>) {
    if scopes.is_empty() {
        mistakes.push(Mistake::new("scopes", "is empty", "write one at least, such as `contracts:read`"));
    }
    let listed = networks.listed().len();
    if listed == 0 && *networks != Networks::All {
        // It would be kept as an empty list, which is all of them.
        mistakes.push(Mistake::new("networks", "is empty", "write one at least, or leave it out for all"));
    }
    if listed > limits::KEY_NETWORKS {
        let cure = format!("write at most {}, or none for all", limits::KEY_NETWORKS);
        mistakes.push(Mistake::new("networks", format!("has {listed} entries"), cure));
    }
}

/// A key and the keys above it: its maker, that one's, up to the first, which no key made. One that is gone ends the list with an error.
pub(super) async fn makers(tx: &mut Tx, id: &Id) -> Result<Vec<Key>, Error> {
    let mut chain = vec![get(tx, id).await?];
    while let Some(key) = chain.last()
        && key.created_by_kind == "key"
    {
        if chain.len() > limits::KEY_MAKERS {
            return Err(Error::Corrupt(format!("more than {} keys made each other", limits::KEY_MAKERS)));
        }
        let above = key.created_by.parse()?;
        chain.push(get(tx, &above).await?);
    }
    Ok(chain)
}

/// What a key may now, and whether it is an operator's of the platform; `None`: it, or a maker of it, is no good any more. Of the store, and not
/// of what is remembered: for what outlives that.
pub(crate) async fn present(
    tx: &mut Tx,
    tenant: &Tenant,
    id: &Id,
    now: TimeMs,
) -> Result<Option<(Scopes, bool)>, Error> {
    let chain = makers(tx, id).await?;
    let over = |key: &Key| key.revoked_at.is_some() || key.expires_at.is_some_and(|until| until <= now);
    if chain.iter().any(over) {
        return Ok(None);
    }
    let mut scopes = chain.iter().fold(Scopes::ALL, |scopes, key| scopes.and(key.scopes));
    if let Some(person) = chain.last().and_then(Key::person) {
        let Some(role) = people::role(tx, &person).await? else { return Ok(None) };
        scopes = scopes.and(role.scopes());
    }
    Ok(Some((scopes, is_platform(tenant.id(), &chain))))
}

/// Whether a key of these makers is an operator's of the whole platform: it may everything in the tenant that is always there, and nobody
/// else's role is behind it. A person who is an operator has no key of that kind: it would outlive his being one.
pub(super) fn is_platform(tenant: &Id, chain: &[Key]) -> bool {
    let all = |key: &Key| key.scopes == Scopes::ALL && key.networks == Networks::All;
    let first = chain.last().is_some_and(|key| matches!(key.created_by_kind.as_str(), "operator" | "system"));
    *tenant == Id::DEFAULT_TENANT && first && chain.iter().all(all)
}
