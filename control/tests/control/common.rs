//! A store of its own for each test, in each database.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use control::{Authenticated, Caller, Control, Fresh, Mode, Networks, NewContract, NewKey, Operator, Scopes, Trust};
use runtime::config::{Control as Settings, ControlPlace, Secret};
use sqlx::{PgPool, Row, SqlitePool};

/// A condition is waited for so long.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Whoever holds the database itself: no policy, right or trigger is in the way.
pub enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Raw {
    pub async fn run(&self, sql: &str) -> u64 {
        match self {
            Self::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.expect(sql).rows_affected(),
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.expect(sql).rows_affected(),
        }
    }

    /// The first column of each row, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(pool) => {
                let rows = sqlx::query(sql).fetch_all(pool).await.expect(sql);
                rows.iter().map(|r| r.try_get::<Option<String>, _>(0).expect(sql).unwrap_or_default()).collect()
            }
            Self::Postgres(pool) => {
                let rows = sqlx::query(sql).fetch_all(pool).await.expect(sql);
                rows.iter().map(|r| r.try_get::<Option<String>, _>(0).expect(sql).unwrap_or_default()).collect()
            }
        }
    }
}

pub struct Store {
    pub settings: Settings,
    pub raw: Raw,
    /// Of PostgreSQL: the super user's connection to its first database, and this one's name.
    pub server: Option<(PgPool, String)>,
    dir: tempfile::TempDir,
}

impl Store {
    pub fn is_sqlite(&self) -> bool {
        self.server.is_none()
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub async fn open(&self) -> Control {
        self.open_with(Mode::Keys, Trust::default()).await
    }

    pub async fn open_with(&self, mode: Mode, trust: Trust) -> Control {
        Control::open(&self.settings, mode, trust).await.expect("the store opens")
    }

    pub async fn operator(&self) -> Operator {
        Operator::open(&self.settings, "test").await.expect("the store opens")
    }

    /// A second tenant, as an operator would make one.
    pub async fn second_tenant(&self, operator: &Operator) -> Authenticated {
        let id = "01J00000000000000000000002";
        let mut sql = format!(
            "INSERT INTO tenants (tenant_id, slug, name, created_at, version) VALUES ('{id}', 'second', 'second', 1, 1)"
        );
        sql.push_str(&format!("; INSERT INTO audit_heads (tenant_id, entries, at, hash) VALUES ('{id}', 0, 0, '')"));
        self.raw.run(&sql).await;
        let tenants = operator.tenants().await.expect("tenants");
        assert_eq!(tenants.len(), 2);
        operator.within(tenants.iter().find(|t| t.slug == "second").expect("it is there"))
    }

    pub async fn sqlite() -> Self {
        // On a disk: in memory a statement is answered before anybody could be cut off while he waits for it.
        let dir = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let file = dir.path().join("control").join("control.db");
        let settings = Settings { place: ControlPlace::Sqlite(file.clone()), secret: None, former_secret: None };
        Control::open(&settings, Mode::Keys, Trust::default()).await.expect("a new store").close().await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).busy_timeout(DEADLINE);
        let raw = Raw::Sqlite(SqlitePool::connect_with(options).await.expect("the file"));
        Self { settings, raw, server: None, dir }
    }

    async fn postgres(url: &str) -> Self {
        let server = PgPool::connect(url).await.expect("the server");
        let name = format!("t{}", fastrand::u64(..));
        let password = "not-a-secret";
        for sql in [
            format!("CREATE ROLE {name}_owner LOGIN PASSWORD '{password}'"),
            format!("CREATE ROLE {name}_work LOGIN PASSWORD '{password}'"),
            format!("CREATE DATABASE {name} OWNER {name}_owner"),
        ] {
            sqlx::raw_sql(&sql).execute(&server).await.expect(&sql);
        }
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let host = rest.rsplit_once('@').expect("a user").1.rsplit_once('/').expect("a database").0;
        let of = |role: &str| Secret::new(format!("{scheme}://{name}_{role}:{password}@{host}/{name}"));
        let place = ControlPlace::Postgres { url: of("work"), owner_url: Some(of("owner")) };
        let settings = Settings { place, secret: Some(Secret::new("0123456789".repeat(4))), former_secret: None };
        control::migrate(&settings, false).await.expect("migrations");
        let raw = PgPool::connect(&url.replace("/postgres", &format!("/{name}"))).await.expect("the database");
        Self {
            settings,
            raw: Raw::Postgres(raw),
            server: Some((server, name)),
            dir: tempfile::tempdir().expect("a folder"),
        }
    }

    pub async fn end(self) {
        match &self.raw {
            Raw::Sqlite(pool) => pool.close().await,
            Raw::Postgres(pool) => pool.close().await,
        }
        if let Some((server, name)) = &self.server {
            for sql in [
                format!("DROP DATABASE {name} WITH (FORCE)"),
                format!("DROP ROLE {name}_owner"),
                format!("DROP ROLE {name}_work"),
            ] {
                sqlx::raw_sql(&sql).execute(server).await.expect(&sql);
            }
            server.close().await;
        }
    }
}

/// PostgreSQL alone; says so where it is missing.
pub async fn postgres(test: impl AsyncFn(Store) -> Store) {
    let Some(url) = std::env::var("HEADWATER_TEST_POSTGRES").ok() else {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_POSTGRES is not set: run `scripts/postgres run …`");
        eprintln!("SKIPPED on PostgreSQL: HEADWATER_TEST_POSTGRES is not set (run `scripts/postgres run …`)");
        return;
    };
    test(Store::postgres(&url).await).await.end().await;
}

/// The same on SQLite, and on PostgreSQL.
pub async fn both(test: impl AsyncFn(Store) -> Store) {
    test(Store::sqlite().await).await.end().await;
    postgres(test).await;
}

pub fn scopes(list: &[&str]) -> Scopes {
    Scopes::read(list).expect("scopes")
}

pub fn new_key(name: &str, list: &[&str]) -> NewKey {
    NewKey { name: name.to_owned(), scopes: scopes(list), networks: Networks::All, expires_in: None }
}

pub async fn key(control: &Control, who: &Authenticated, new: NewKey) -> Fresh {
    control.create_key(Caller::here(who), new).await.expect("a key")
}

/// Contract number `n` of a network.
pub fn contract(network: &str, n: u64) -> NewContract {
    NewContract {
        network: network.to_owned(),
        address: format!("0x{n:040x}"),
        name: format!("contract {n}"),
        labels: vec!["test".to_owned()],
        abi: None,
    }
}

/// Waits until something holds, and says how long that took.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}
