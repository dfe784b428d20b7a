//! Rules, monitors, channels and silences that are made, changed and removed.

use schemas::{Network, Quota, limits::control as limits, records::DefinitionKind};
use serde_json::Value as Json;

use super::{
    BY_NAME, DELETE, Defined, INSERT, LAST, MadeDefinition, PATCH, UNINDEXED, draft,
    draft::{Bounds, Draft, seen},
    get, named_by, names, reaches, read,
};
use crate::{
    audit::{Action, Change, Outcome, Subject},
    contracts,
    db::Value,
    error::{Error, Mistake},
    expected::Expected,
    id::Id,
    idempotency::{self, IdempotencyKey},
    outbox, quotas,
    sealer::Sealer,
    tenant::Networks,
};

pub(super) async fn create(
    change: &mut Change<'_>,
    sealer: &Sealer,
    mut draft: Draft,
    bounds: &Bounds,
    once: Option<(&IdempotencyKey, &[u8])>,
) -> Result<MadeDefinition, Error> {
    let tenant = change.by().who.tenant();
    let kind = draft.kind;
    let action = Action::Make(kind);
    if let Some((key, request)) = once
        && let Some(id) = idempotency::find(change.tx(), key, action.as_str(), request).await?
    {
        let made = get(change.tx(), tenant, kind, &id).await.map_err(|e| match e {
            Error::NotFound => Error::MadeAndGone,
            e => e,
        })?;
        return Ok(MadeDefinition { made, secrets: None, again: true });
    }
    match quotas::of_kind(kind) {
        Some(quota) => quotas::take(change, quota, 1).await?,
        None => {
            let most = limits::definitions(kind);
            let last = i64::try_from(most).unwrap_or(i64::MAX) - 1;
            if change.tx().row(LAST, &[kind.as_str().into(), last.into()]).await?.is_some() {
                return Err(Error::Full { what: "silences", most });
            }
        }
    }
    settle(change, &mut draft, None, bounds).await?;
    if draft.unindexed {
        quotas::take(change, Quota::UnindexedMonitors, 1).await?;
    }
    let now = change.at();
    let id = Id::new(now)?;
    let sealed = sealed(sealer, tenant.id().as_str(), &id, &draft)?;
    let actor = change.by().who.actor();
    let values = [
        kind.as_str().into(),
        Value::from(&id),
        draft.name.as_str().into(),
        draft.definition.to_string().into(),
        sealed.into(),
        draft.disabled.clone().into(),
        i64::from(draft.unindexed).into(),
        now.0.into(),
        actor.kind().into(),
        actor.id().into(),
    ];
    let rows = change.write(INSERT, &values).await?;
    let made = read(tenant, rows.first().ok_or(Error::NotFound)?)?;
    change.audit(action, &subject(&made), None, Some(seen(&made)), Outcome::Done).await?;
    outbox::changed(change.tx(), kind.as_str(), &made.id).await?;
    if let Some((key, request)) = once {
        idempotency::remember(change.tx(), key, action.as_str(), request, &made.id).await?;
    }
    Ok(MadeDefinition { made, secrets: draft.made, again: false })
}

/// Changes what is still as `before` has it.
pub(super) async fn patch(
    change: &mut Change<'_>,
    sealer: &Sealer,
    before: &Defined,
    mut draft: Draft,
    bounds: &Bounds,
) -> Result<MadeDefinition, Error> {
    let tenant = change.by().who.tenant();
    let kind = before.kind;
    let now = get(change.tx(), tenant, kind, &before.id).await?;
    if now.version != before.version {
        return Err(Error::Stale { version: now.version });
    }
    may_change(&tenant.own, kind)?;
    settle(change, &mut draft, Some(&now), bounds).await?;
    match (now.unindexed, draft.unindexed) {
        (false, true) => quotas::take(change, Quota::UnindexedMonitors, 1).await?,
        (true, false) => quotas::give(change, Quota::UnindexedMonitors, 1).await?,
        (true, true) | (false, false) => {}
    }
    let sealed = sealed(sealer, tenant.id().as_str(), &before.id, &draft)?;
    let after =
        write(change, before, &draft.name, &draft.definition, sealed, draft.disabled.clone(), draft.unindexed).await?;
    let (was, is) = (Some(seen(&now)), Some(seen(&after)));
    change.audit(Action::Edit(kind), &subject(&after), was, is, Outcome::Done).await?;
    outbox::changed(change.tx(), kind.as_str(), &after.id).await?;
    Ok(MadeDefinition { made: after, secrets: draft.made, again: false })
}

/// Says of a channel that nothing is sent to it any more. Whether it did: what was changed since `at` is left alone.
pub(super) async fn disable(
    change: &mut Change<'_>,
    id: &Id,
    at: schemas::TimeMs,
    reason: &str,
) -> Result<bool, Error> {
    let tenant = change.by().who.tenant();
    let before = get(change.tx(), tenant, DefinitionKind::Channel, id).await?;
    if before.updated_at > at || before.disabled.is_some() {
        return Ok(false);
    }
    let reason: String = reason.chars().take(limits::DISABLED_CHARACTERS).collect();
    let sealed = before.sealed.clone();
    let after = write(change, &before, &before.name, &before.definition, sealed, Some(reason), false).await?;
    let (was, is) = (Some(seen(&before)), Some(seen(&after)));
    change.audit(Action::ChannelDisable, &subject(&after), was, is, Outcome::Done).await?;
    outbox::changed(change.tx(), DefinitionKind::Channel.as_str(), id).await?;
    Ok(true)
}

pub(super) async fn delete(
    change: &mut Change<'_>,
    kind: DefinitionKind,
    id: &Id,
    expected: &Expected,
) -> Result<(), Error> {
    let tenant = change.by().who.tenant();
    let before = get(change.tx(), tenant, kind, id).await?;
    expected.check(before.version)?;
    may_change(&tenant.own, kind)?;
    if kind == DefinitionKind::Channel {
        let by = named_by(change.tx(), &format!("%\"{id}\"%"), |_| true).await?;
        if !by.is_empty() {
            return Err(Error::InUse { what: "channel", by });
        }
    }
    change.write(DELETE, &[kind.as_str().into(), id.into()]).await?;
    if let Some(quota) = quotas::of_kind(kind) {
        quotas::give(change, quota, 1).await?;
    }
    if before.unindexed {
        quotas::give(change, Quota::UnindexedMonitors, 1).await?;
    }
    change.audit(Action::Remove(kind), &subject(&before), Some(seen(&before)), None, Outcome::Done).await?;
    outbox::changed(change.tx(), kind.as_str(), id).await
}

/// Alerts of every network are told by a channel: whoever reaches some networks only may add one, and redirects none.
fn may_change(reach: &Networks, kind: DefinitionKind) -> Result<(), Error> {
    if kind == DefinitionKind::Channel && matches!(reach, Networks::Only(_)) {
        let words =
            "a channel tells alerts of every network, and you reach some: change it with a key that reaches all";
        return Err(Error::MoreThanMaker(words.to_owned()));
    }
    Ok(())
}

async fn write(
    change: &mut Change<'_>,
    before: &Defined,
    name: &str,
    definition: &Json,
    sealed: Option<String>,
    disabled: Option<String>,
    unindexed: bool,
) -> Result<Defined, Error> {
    let values = [
        before.kind.as_str().into(),
        Value::from(&before.id),
        name.into(),
        definition.to_string().into(),
        sealed.into(),
        disabled.into(),
        i64::from(unindexed).into(),
        change.at().0.into(),
    ];
    let rows = change.write(PATCH, &values).await?;
    read(change.by().who.tenant(), rows.first().ok_or(Error::NotFound)?)
}

/// What only the store knows: whether the name is free, whether what is named is there, whether there is room, and whose networks they are.
async fn settle(
    change: &mut Change<'_>,
    draft: &mut Draft,
    before: Option<&Defined>,
    bounds: &Bounds,
) -> Result<(), Error> {
    let tenant = change.by().who.tenant();
    let kind = draft.kind;
    let named = draft::networks(kind, &draft.definition);
    // What stands still may be changed otherwise.
    let former = before.map_or_else(Vec::new, |before| draft::networks(kind, &before.definition));
    let beyond =
        |network: &&&str| !tenant.own.contains(network) || !tenant.reach.contains(network) && !former.contains(network);
    if let Some(network) = named.iter().find(beyond) {
        return Err(Error::MoreThanMaker(format!("{network} is not among your networks")));
    }
    if !reaches(&tenant.own, kind, &draft.definition) {
        return Err(Error::MoreThanMaker("without a network it is of all, and you reach some".to_owned()));
    }
    if before.is_none_or(|before| before.name != draft.name)
        && let Some(row) = change.tx().row(BY_NAME, &[kind.as_str().into(), draft.name.as_str().into()]).await?
    {
        return Err(Error::Taken { id: row.parsed("id")? });
    }
    if draft.unindexed {
        let own = before.map_or("", |before| before.id.as_str());
        let row = change.tx().row(UNINDEXED, &[own.into()]).await?;
        let others = row.map_or(Ok(0), |row| row.int("many"))?;
        if usize::try_from(others).unwrap_or(usize::MAX) >= bounds.max_unindexed {
            let problem = format!(
                "has neither an address nor a signature, so that every transaction is looked at, and you have {others} of these at work already, \
                 which is the most"
            );
            let cure = "name an address, a function or an event, pause another one, or have `max_unindexed` set higher in `[alerts]` of the configuration";
            return Err(Error::Invalid(vec![Mistake::new("match_conditions", problem, cure)]));
        }
    }
    names::resolve(change.tx(), kind, &mut draft.definition).await?;
    if kind == DefinitionKind::Rule {
        watch(change, &draft.definition).await?;
    }
    Ok(())
}

/// A rule's contract becomes one of the tenant's, and so is watched.
async fn watch(change: &mut Change<'_>, definition: &Json) -> Result<(), Error> {
    let Some(address) = definition.get("contract").and_then(Json::as_str) else { return Ok(()) };
    for network in draft::networks(DefinitionKind::Rule, definition) {
        let network: Network = network.parse().map_err(|_| Error::Corrupt(format!("`{network}` is no network")))?;
        contracts::there(change, &network, address).await?;
    }
    Ok(())
}

fn sealed(sealer: &Sealer, tenant: &str, id: &Id, draft: &Draft) -> Result<Option<String>, Error> {
    draft.secrets.as_ref().map(|secrets| sealer.seal(tenant, draft.kind, id.as_str(), secrets)).transpose()
}

fn subject(thing: &Defined) -> Subject {
    Subject { kind: thing.kind.as_str(), id: thing.id.to_string(), name: Some(thing.name.clone()) }
}
