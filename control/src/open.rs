//! The control store, opened.

use std::time::Duration;

use runtime::config::{Control as Settings, ControlPlace};
use schemas::{TimeMs, limits::control as limits};

use crate::{
    audit::Change,
    db::{Db, Tx, Value, postgres, sqlite},
    error::{Error, SchemaError},
    id::Id,
    keys::{Fresh, NewKey, Remembered},
    migrations::{self, Step},
    passwords::Passwords,
    roles::Role,
    rotation,
    scopes::Scopes,
    secret::{self, Pepper, Secrets, make_folder},
    sessions,
    sql::SystemSql,
    tenant::{Actor, Authenticated, Caller, Networks, Tenant},
    tenants::TenantInfo,
};

/// Whom the door lets in: `[auth] mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everybody is owner of the tenant `default`.
    None,
    /// Who has a key.
    Keys,
    /// People who sign in, and who has a key.
    Accounts,
}

/// How long what is remembered of keys is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Before the store is asked again.
    pub fresh: Duration,
    /// While the store is away.
    pub while_away: Duration,
}

impl Default for Trust {
    fn default() -> Self {
        Self { fresh: limits::KEY_FRESH, while_away: limits::KEY_WHILE_AWAY }
    }
}

/// The control store. One for a process; what it remembers of keys is shared by all who use it.
pub struct Control {
    pub(crate) db: Db,
    pub(crate) pepper: Pepper,
    pub(crate) remembered: Remembered,
    pub(crate) passwords: Passwords,
    pub(crate) people: sessions::Remembered,
    pub(crate) signing: sessions::Signing,
    mode: Mode,
    issuer: String,
}

/// Who issues our tokens, where nothing else is said.
const ISSUER: &str = "headwater";

const FIRST_KEY: SystemSql = SystemSql(
    "INSERT INTO control_meta (name, value) VALUES ('operator key', $1) ON CONFLICT (name) DO NOTHING RETURNING value",
);

impl Control {
    /// Opens it. SQLite is made and migrated where that is needed; PostgreSQL must have been migrated (`headwater control migrate`).
    ///
    /// # Errors
    /// It is away ([`Error::Away`]), has another shape ([`Error::Schema`]), or cannot be used with these settings ([`Error::Settings`]).
    pub async fn open(settings: &Settings, mode: Mode, trust: Trust) -> Result<Self, Error> {
        let db = match &settings.place {
            ControlPlace::Sqlite(file) => {
                make_folder(file)?;
                let db = sqlite::open(file).await?;
                for step in migrations::apply(&db, false).await? {
                    tracing::info!(number = step.number, name = step.name, "the control store was migrated");
                }
                db
            }
            ControlPlace::Postgres { url, owner_url } => {
                let db = postgres::open(url, limits::CONNECTIONS).await?;
                let role = postgres::role(url)?;
                let owner = owner_url.as_ref().map(postgres::role).transpose()?;
                let mut tx = db.system(false).await?;
                let done = check_postgres(&mut tx, owner.is_some_and(|owner| owner != role)).await;
                tx.end(done).await?;
                db
            }
        };
        Self::over(db, &secret::of_settings(settings)?, mode, trust).await
    }

    /// Opens it as whoever owns its tables: for what no working role may.
    pub(crate) async fn open_as_owner(settings: &Settings) -> Result<Self, Error> {
        let ControlPlace::Postgres { url, owner_url } = &settings.place else {
            return Self::open(settings, Mode::Keys, Trust::default()).await;
        };
        let db = postgres::open(owner_url.as_ref().unwrap_or(url), 1).await?;
        let mut tx = db.system(false).await?;
        let done = check_shape(&mut tx).await;
        tx.end(done).await?;
        Self::over(db, &secret::of_settings(settings)?, Mode::Keys, Trust::default()).await
    }

    async fn over(db: Db, secrets: &Secrets, mode: Mode, trust: Trust) -> Result<Self, Error> {
        let marks = rotation::marks(&db, secrets).await?;
        let pepper = Pepper::of(secrets, &marks.first);
        Ok(Self {
            passwords: Passwords::new(pepper.passwords()),
            people: sessions::Remembered::new(trust),
            signing: sessions::Signing::default(),
            remembered: Remembered::new(trust),
            issuer: ISSUER.to_owned(),
            db,
            pepper,
            mode,
        })
    }

    /// With another issuer of access tokens: how people reach us.
    #[must_use]
    pub fn issued_by(mut self, issuer: &str) -> Self {
        issuer.clone_into(&mut self.issuer);
        self
    }

    /// Who issues our access tokens.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom the door lets in.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether what is added through the API is everybody's: everybody may see and change it anyway (rule 14).
    pub(crate) fn is_public(&self) -> bool {
        self.mode == Mode::None
    }

    /// Whoever comes without a credential: somebody only where the mode is [`Mode::None`].
    pub fn anyone(&self) -> Option<Authenticated> {
        (self.mode == Mode::None).then(|| owner(Id::DEFAULT_TENANT, Actor::Anyone))
    }

    /// The operator's key of a new store, made once and shown once: the first process that asks gets it, everybody else nothing.
    ///
    /// # Errors
    /// As of every change.
    pub async fn first_key(&self) -> Result<Option<Fresh>, Error> {
        let system = system();
        let mut change = Change::begin(&self.db, &self.pepper, Caller::here(&system)).await?;
        let done = async {
            let first = change.system(FIRST_KEY, &[Value::from(TimeMs::now().rfc3339())]).await?;
            if first.is_empty() {
                return Ok(None);
            }
            let new =
                NewKey { name: "operator".to_owned(), scopes: Scopes::ALL, networks: Networks::All, expires_in: None };
            crate::keys::create_in(&mut change, &self.pepper, new, None).await.map(Some)
        };
        let done = done.await;
        change.end(done).await
    }

    /// Lets go of the database.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// Headwater itself, in the tenant that is always there.
pub(crate) fn system() -> Authenticated {
    owner(Id::DEFAULT_TENANT, Actor::System)
}

/// The same in another tenant.
pub(crate) fn system_of(tenant: Id) -> Authenticated {
    owner(tenant, Actor::System)
}

/// Whoever holds the control store's own credentials: the command line on the machine. It may everything, in every tenant.
pub struct Operator {
    control: Control,
    name: String,
}

impl Operator {
    /// Opens the store as [`Control::open`] does; `name` is who runs the command, for the audit.
    ///
    /// # Errors
    /// As of [`Control::open`].
    pub async fn open(settings: &Settings, name: &str) -> Result<Self, Error> {
        let control = Control::open(settings, Mode::Keys, Trust::default()).await?;
        Ok(Self { control, name: name.to_owned() })
    }

    /// The store.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// All tenants, by age.
    ///
    /// # Errors
    /// The store is away.
    pub async fn tenants(&self) -> Result<Vec<TenantInfo>, Error> {
        crate::tenants::all(&self.control.db).await
    }

    /// Adds a tenant, on SQLite: PostgreSQL lets no role of Headwater do that.
    ///
    /// # Errors
    /// There is one of this id or short name, it may not be, or the store is away.
    pub async fn add_tenant(&self, id: &Id, slug: &str, name: &str) -> Result<(), Error> {
        crate::tenants::add(&self.control.db, id, (slug, name), TimeMs::now()).await
    }

    /// Runs statements past every wall, on SQLite: for tests that want what no caller can make. Nothing that ships has it (`scripts/deny`).
    ///
    /// # Errors
    /// As the database has it.
    #[cfg(feature = "testing")]
    pub async fn script(&self, text: &str) -> Result<(), Error> {
        let mut tx = self.control.db.system(true).await?;
        let done = tx.script(text).await;
        tx.end(done).await
    }

    /// The operator in one tenant.
    pub fn within(&self, tenant: &TenantInfo) -> Authenticated {
        owner(tenant.id, Actor::Operator { name: self.name.clone() })
    }

    /// The operator in the tenant `default`.
    pub fn at_home(&self) -> Authenticated {
        owner(Id::DEFAULT_TENANT, Actor::Operator { name: self.name.clone() })
    }
}

pub(crate) fn owner(id: Id, actor: Actor) -> Authenticated {
    Authenticated {
        tenant: Tenant::whole(id),
        actor,
        scopes: Scopes::ALL,
        role: Some(Role::Owner),
        platform: true,
        expires_at: None,
        session: None,
    }
}

/// Applies what is missing to the database of these settings; with `dry` it says only what that would be, and changes nothing.
///
/// # Errors
/// As of [`Control::open`].
pub async fn migrate(settings: &Settings, dry: bool) -> Result<Vec<Step>, Error> {
    match &settings.place {
        ControlPlace::Sqlite(file) => {
            if dry && !file.exists() {
                return Ok(migrations::all(crate::db::Dialect::Sqlite));
            }
            make_folder(file)?;
            let db = sqlite::open(file).await?;
            let steps = migrations::apply(&db, dry).await;
            db.close().await;
            steps
        }
        ControlPlace::Postgres { url, owner_url } => {
            let role = postgres::role(url)?;
            let owner = owner_url.as_ref().unwrap_or(url);
            let alone = postgres::role(owner)? == role;
            let db = postgres::open(owner, 1).await?;
            let steps = migrations::apply(&db, dry).await;
            let steps = match steps {
                Ok(steps) if !dry => grant(&db, &role, alone).await.map(|()| steps),
                other => other,
            };
            db.close().await;
            steps
        }
    }
}

async fn grant(db: &Db, role: &str, alone: bool) -> Result<(), Error> {
    let mut tx = db.system(true).await?;
    // Two that give rights at once fail in PostgreSQL ("tuple concurrently updated").
    let turn = tx.script(migrations::ALONE).await;
    let done = match turn {
        Ok(()) => tx.script(&if alone { postgres::kept_from(role) } else { postgres::grants(role) }).await,
        Err(e) => Err(e),
    };
    let done = done.map_err(|e| match e {
        Error::Database(e) => {
            Error::Settings(format!("`[control] url`: the role `{role}` could not be allowed what it needs: {e}"))
        }
        e => e,
    });
    tx.end(done).await
}

/// `two`: another role is said to own the tables.
async fn check_postgres(tx: &mut Tx, two: bool) -> Result<(), Error> {
    postgres::check_role(tx, two).await?;
    check_shape(tx).await
}

async fn check_shape(tx: &mut Tx) -> Result<(), Error> {
    match migrations::missing(tx).await?.len() {
        0 => Ok(()),
        missing => Err(SchemaError::Behind { missing }.into()),
    }
}
