//! A tenant's rules, monitors, channels and silences: what they say, and who may change it. One implementation for the four kinds.
//!
//! Guarantee: what is kept was read by `conditions` without a mistake and has every default written out; a name is once in a kind of a
//! tenant; a change names the version that it was made from, and is refused when there is a newer one; a request with an idempotency key is
//! carried out once. Secrets are sealed for their own channel ([`Sealer`]), shown once where they were made here, and read by nobody again.
//! Who may reach some networks only, by a key, finds nothing of what is of others, makes nothing of them, and changes no channel. What an
//! organisation is not entitled to any more it makes nothing of either; what it has of it stands still and is found ([`mod@narrow`]). Whatever a
//! rule or monitor names is there: a channel or contract that is named is not removed. The stages hear of it through the outbox, in the same
//! transaction.

mod change;
mod draft;
mod import;
mod merge;
mod names;
mod narrow;

use schemas::{Network, TimeMs, limits::control as limits, records::DefinitionKind};
use serde_json::Value as Json;

pub use draft::Bounds;
pub(crate) use import::Incoming;
pub(crate) use narrow::narrow;

use crate::{
    audit::Change,
    db::{Row, Tx},
    error::Error,
    expected::Expected,
    id::Id,
    idempotency::IdempotencyKey,
    open::{Control, system_of},
    pages::{Cursor, Page, Paging},
    sealer::Sealer,
    sql::Sql,
    tenant::{Caller, Networks, Tenant},
};
use draft::Draft;

/// A rule, monitor, channel or silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined {
    /// What it is.
    pub kind: DefinitionKind,
    /// Its id.
    pub id: Id,
    /// What it is called.
    pub name: String,
    /// What it says, its name too: an object with all defaults written out, and `{"set":true}` in the place of secrets.
    pub definition: Json,
    /// Of a channel: why nothing is sent to it any more; `None`: it is active.
    pub disabled: Option<String>,
    /// Of a rule or monitor: networks that it names and the organisation is not entitled to any more. There it stands still.
    pub stopped: Vec<String>,
    /// Since when.
    pub created_at: TimeMs,
    /// What kind of actor made it: `key`, `operator`, `user`, `system`.
    pub created_by_kind: String,
    /// A key's id; a word for others.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: TimeMs,
    /// For `ETag` and `If-Match`.
    pub version: i64,
    sealed: Option<String>,
    /// A monitor at work that looks at every transaction.
    unindexed: bool,
}

/// What a request made or changed.
#[derive(Debug, Clone)]
pub struct MadeDefinition {
    /// The thing.
    pub made: Defined,
    /// Secrets that were made here, by their places in `config`: to be shown now and never again.
    pub secrets: Option<Json>,
    /// The same request came before, and nothing was done now.
    pub again: bool,
}

macro_rules! columns {
    () => {
        "kind, id, name, definition, sealed, disabled, unindexed, created_at, created_by_kind, created_by, updated_at, version"
    };
}

const GET: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    " FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 AND id = $3"
));
const LIST: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    " FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 AND id > $3 ORDER BY id LIMIT $4"
));
/// The thing that makes the tenant's as many of a kind as there may be, if there is one.
const LAST: Sql = Sql::of_tenant(
    "SELECT id FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 ORDER BY id LIMIT 1 OFFSET $3",
);
const GET_NAME: Sql =
    Sql::of_tenant("SELECT name FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 AND id = $3");
const BY_NAME: Sql =
    Sql::of_tenant("SELECT id FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 AND name = $3");
const NAMES: Sql =
    Sql::of_tenant("SELECT name FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 ORDER BY name LIMIT $3");
const NAMED_BY: Sql = Sql::of_tenant(
    "SELECT kind, name, definition FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 AND id > '' AND definition LIKE $3 ORDER BY id LIMIT $4",
);
const UNINDEXED: Sql = Sql::of_tenant(
    "SELECT CAST(COUNT(*) AS BIGINT) AS many FROM tenant_definitions \
     WHERE tenant_id = $1 AND kind = 'monitor' AND unindexed = 1 AND id <> $2",
);
const INSERT: Sql = Sql::of_tenant(concat!(
    "INSERT INTO tenant_definitions (tenant_id, kind, id, name, definition, sealed, disabled, unindexed, created_at, updated_at, \
     created_by_kind, created_by, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, 1) RETURNING ",
    columns!()
));
const PATCH: Sql = Sql::of_tenant(concat!(
    "UPDATE tenant_definitions SET name = $4, definition = $5, sealed = $6, disabled = $7, unindexed = $8, updated_at = $9, \
     version = version + 1 WHERE tenant_id = $1 AND kind = $2 AND id = $3 RETURNING ",
    columns!()
));
// As the primary key finds it; of what was never changed there is none.
const UNPUBLISHED: Sql =
    Sql::of_tenant("SELECT id FROM outbox WHERE tenant_id = $1 AND kind = $2 AND id = $3 AND published < revision");
const DELETE: Sql = Sql::of_tenant("DELETE FROM tenant_definitions WHERE tenant_id = $1 AND kind = $2 AND id = $3");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("definitions: get", GET),
    ("definitions: list", LIST),
    ("definitions: the last that may be", LAST),
    ("definitions: name", GET_NAME),
    ("definitions: by name", BY_NAME),
    ("definitions: names", NAMES),
    ("definitions: naming", NAMED_BY),
    ("definitions: without an index", UNINDEXED),
    ("definitions: insert", INSERT),
    ("definitions: patch", PATCH),
    ("definitions: delete", DELETE),
    ("definitions: unpublished", UNPUBLISHED),
];

/// Rows of a list that are read at a time.
const ROWS: i64 = 64;
/// How often a change is made anew from a version that came meanwhile, where any is good.
const ANEW: usize = 3;
/// Rules and monitors, of each kind, that are looked at for a refusal, and that it names.
const NAMED: (i64, usize) = (100, 5);

impl Control {
    /// Makes one of what was sent.
    ///
    /// # Errors
    /// What was sent has mistakes, names what is not there, or a target that is not allowed; its name is taken ([`Error::Taken`], with the
    /// other's id); it is of a network that the caller does not reach; the idempotency key was used for something else; there are too
    /// many; or the store is away.
    pub async fn create_definition(
        &self,
        by: Caller<'_>,
        kind: DefinitionKind,
        body: &Json,
        key: Option<&IdempotencyKey>,
        bounds: &Bounds,
    ) -> Result<MadeDefinition, Error> {
        let mut draft = Draft::new(kind, body, TimeMs::now())?;
        draft.check(bounds).await?;
        // Kept as a keyed hash: there may be a password in it.
        let request = self.pepper.of_request(&[kind.as_str().as_bytes(), body.to_string().as_bytes()]);
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let once = key.map(|key| (key, &request[..]));
        let done = change::create(&mut change, &Sealer::new(&self.pepper), draft, bounds, once).await;
        change.end(done).await
    }

    /// One of them.
    ///
    /// # Errors
    /// Not there, not this tenant's, or of a network that is not reached.
    pub async fn definition(&self, tenant: &Tenant, kind: DefinitionKind, id: &Id) -> Result<Defined, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = get(&mut tx, tenant, kind, id).await;
        tx.end(found).await
    }

    /// Whether the stages can know it as it is: its last change is in the topic that they read.
    ///
    /// # Errors
    /// The store is away.
    pub async fn is_published(&self, tenant: &Tenant, kind: DefinitionKind, id: &Id) -> Result<bool, Error> {
        let mut tx = self.db.read(tenant).await?;
        let found = tx.row(UNPUBLISHED, &[kind.as_str().into(), id.into()]).await.map(|row| row.is_none());
        tx.end(found).await
    }

    /// Those of a kind by age.
    ///
    /// # Errors
    /// The store is away.
    pub async fn definitions(
        &self,
        tenant: &Tenant,
        kind: DefinitionKind,
        paging: &Paging,
    ) -> Result<Page<Defined>, Error> {
        let mut tx = self.db.read(tenant).await?;
        let page = page(&mut tx, tenant, kind, paging).await;
        tx.end(page).await
    }

    /// Changes one that is of the version expected, by a merge patch (RFC 7396).
    ///
    /// # Errors
    /// Not there; changed since ([`Error::Stale`]); and as of [`Control::create_definition`].
    pub async fn patch_definition(
        &self,
        by: Caller<'_>,
        kind: DefinitionKind,
        id: &Id,
        expected: &Expected,
        patch: &Json,
        bounds: &Bounds,
    ) -> Result<MadeDefinition, Error> {
        let (tenant, sealer) = (by.who.tenant(), Sealer::new(&self.pepper));
        let mut left = ANEW;
        loop {
            let before = self.definition(tenant, kind, id).await?;
            expected.check(before.version)?;
            let kept = opened(&sealer, tenant, &before);
            let mut draft = Draft::changed(&before, patch, kept.as_ref(), TimeMs::now())?;
            // Names are resolved outside of the transaction, which others wait for.
            draft.check(bounds).await?;
            let mut change = Change::begin(&self.db, &self.pepper, by).await?;
            let done = change::patch(&mut change, &sealer, &before, draft, bounds).await;
            left -= 1;
            match change.end(done).await {
                Err(Error::Stale { .. }) if *expected == Expected::Any && left > 0 => {}
                done => return done,
            }
        }
    }

    /// Removes one that is of the version expected.
    ///
    /// # Errors
    /// Not there; changed since ([`Error::Stale`]); a channel that rules or monitors name ([`Error::InUse`]); or the store is away.
    pub async fn delete_definition(
        &self,
        by: Caller<'_>,
        kind: DefinitionKind,
        id: &Id,
        expected: &Expected,
    ) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = change::delete(&mut change, kind, id, expected).await;
        change.end(done).await
    }

    /// Says of a channel that nothing is sent to it any more, since its receiver said so at this time. Whether that changed anything: a
    /// channel that was changed after that time, or is disabled already, stays as it is.
    ///
    /// # Errors
    /// Not there; or the store is away.
    pub async fn disable_channel(&self, tenant: &str, id: &str, at: TimeMs, reason: &str) -> Result<bool, Error> {
        let (system, id) = (system_of(tenant.parse()?), id.parse()?);
        let mut change = Change::begin(&self.db, &self.pepper, Caller::here(&system)).await?;
        let done = change::disable(&mut change, &id, at, reason).await;
        change.end(done).await
    }
}

/// Its secrets. Where they cannot be opened (the control store's secret is another one) there are none, and whoever changes it is told to
/// set them again.
fn opened(sealer: &Sealer, tenant: &Tenant, thing: &Defined) -> Option<Json> {
    let sealed = thing.sealed.as_ref()?;
    let opened = sealer.open(tenant.id().as_str(), thing.kind, thing.id.as_str(), sealed);
    opened.inspect_err(|error| tracing::warn!(%error, "secrets are lost")).ok()
}

/// Whether who reaches these networks finds what a definition is of. A channel is everybody's to find; what else names none is of all.
fn reaches(reach: &Networks, kind: DefinitionKind, definition: &Json) -> bool {
    let Networks::Only(_) = reach else { return true };
    if kind == DefinitionKind::Channel {
        return true;
    }
    let named = draft::networks(kind, definition);
    !named.is_empty() && named.into_iter().all(|network| reach.contains(network))
}

async fn get(tx: &mut Tx, tenant: &Tenant, kind: DefinitionKind, id: &Id) -> Result<Defined, Error> {
    let row = tx.row(GET, &[kind.as_str().into(), id.into()]).await?.ok_or(Error::NotFound)?;
    let found = read(tenant, &row)?;
    if reaches(&tenant.own, kind, &found.definition) { Ok(found) } else { Err(Error::NotFound) }
}

/// A page; with long definitions a shorter one. For who reaches some networks only, what is of others is read and left out, a page's worth at a time.
async fn page(tx: &mut Tx, tenant: &Tenant, kind: DefinitionKind, paging: &Paging) -> Result<Page<Defined>, Error> {
    let limit = paging.limit();
    let fetch = (limit as i64 + 1).min(ROWS);
    let mut after = paging.after.as_ref().map_or_else(String::new, |cursor| cursor.as_str().to_owned());
    let (mut items, mut bytes) = (Vec::<Defined>::new(), 0);
    loop {
        let rows = tx.rows(LIST, &[kind.as_str().into(), after.as_str().into(), fetch.into()]).await?;
        let mut more = rows.len() as i64 == fetch;
        for row in &rows {
            let found = read(tenant, row)?;
            if items.len() == limit {
                more = true;
                break;
            }
            let id = found.id.to_string();
            if reaches(&tenant.own, kind, &found.definition) {
                bytes += row.text("definition")?.len();
                if bytes > limits::PAGE_DEFINITION_BYTES && !items.is_empty() {
                    return Ok(Page { items, next: Some(Cursor(after)) });
                }
                items.push(found);
            }
            after = id;
        }
        if items.len() == limit || !more {
            let next = more.then_some(Cursor(after));
            return Ok(Page { items, next });
        }
    }
}

/// Rules and monitors whose definition has a text in it, as `LIKE` finds it, and of which `truly` holds: kind and name, some of them.
async fn named_by(tx: &mut Tx, like: &str, truly: impl Fn(&Json) -> bool) -> Result<Vec<String>, Error> {
    let mut by = Vec::new();
    for kind in [DefinitionKind::Rule, DefinitionKind::Monitor] {
        for row in tx.rows(NAMED_BY, &[kind.as_str().into(), like.into(), NAMED.0.into()]).await? {
            if by.len() < NAMED.1 && truly(&row.json("definition")?) {
                by.push(format!("{} {}", kind.as_str(), row.text("name")?));
            }
        }
    }
    Ok(by)
}

/// Rules that a contract of a network is wanted for.
pub(crate) async fn wanting(tx: &mut Tx, network: &Network, address: &str) -> Result<Vec<String>, Error> {
    let like = format!("%\"contract\":\"{address}\"%");
    named_by(tx, &like, |definition| draft::networks(DefinitionKind::Rule, definition).contains(&network.as_str()))
        .await
}

fn read(tenant: &Tenant, row: &Row) -> Result<Defined, Error> {
    let word = row.text("kind")?;
    let kind = DefinitionKind::of_word(&word).ok_or_else(|| Error::Corrupt(format!("`{word}` in column kind")))?;
    let definition = row.json("definition")?;
    // Who finds it reaches all that it names, but for what the organisation does not.
    let stopped = narrow::stopped(kind, &definition, &tenant.reach);
    Ok(Defined {
        kind,
        id: row.parsed("id")?,
        name: row.text("name")?,
        definition,
        stopped,
        disabled: row.opt_text("disabled")?,
        created_at: TimeMs(row.int("created_at")?),
        created_by_kind: row.text("created_by_kind")?,
        created_by: row.text("created_by")?,
        updated_at: TimeMs(row.int("updated_at")?),
        version: row.int("version")?,
        sealed: row.opt_text("sealed")?,
        unindexed: row.int("unindexed")? != 0,
    })
}
