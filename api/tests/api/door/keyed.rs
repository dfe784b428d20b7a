//! An API whose door wants keys, and an operator who makes them.

use std::time::Duration;

use api::{Config, ControlStore};
use control::{Authenticated, Caller, Fresh, Mode, Networks, NewKey, Operator, Scopes};
use runtime::config::{Control, ControlPlace};
use tempfile::TempDir;

use crate::{
    http::{self, Answer},
    world::{Api, World},
};

pub struct Keyed {
    pub world: World,
    pub api: Api,
    pub operator: Operator,
    pub settings: Control,
    _dir: TempDir,
}

/// The control store of a test.
pub fn settings(dir: &TempDir) -> Control {
    Control { place: ControlPlace::Sqlite(dir.path().join("control.db")), secret: None, former_secret: None }
}

impl Keyed {
    /// With these networks, and nobody who writes rows.
    pub async fn start(networks: &[&str]) -> Self {
        Self::start_with(networks, |config| config).await
    }

    pub async fn start_with(networks: &[&str], set: impl FnOnce(Config) -> Config) -> Self {
        Self::start_in(Mode::Keys, networks, set).await
    }

    pub async fn start_in(mode: Mode, networks: &[&str], set: impl FnOnce(Config) -> Config) -> Self {
        let world = World::without_sink(networks).await;
        world.store.migrate().await.expect("tables");
        world.store.migrate_tenants().await.expect("tables of tenants");
        let dir = tempfile::tempdir().expect("temp dir");
        let settings = settings(&dir);
        let operator = Operator::open(&settings, "test").await.expect("a control store");
        let store = ControlStore::of(settings.clone(), mode);
        store.open().await.expect("opens");
        let remover = Some(world.store.clone());
        let api = world.api_with(set(Config { control: store, remover, ..world.config() })).await;
        Self { world, api, operator, settings, _dir: dir }
    }

    /// A key.
    pub async fn key(&self, scopes: &[&str]) -> Fresh {
        self.key_of(scopes, &[], None).await
    }

    pub async fn key_of(&self, scopes: &[&str], networks: &[&str], expires_in: Option<Duration>) -> Fresh {
        let networks = match networks {
            [] => Networks::All,
            list => Networks::Only(list.iter().map(|n| n.parse().expect("a slug")).collect()),
        };
        let scopes = Scopes::read(scopes).expect("scopes");
        let new = NewKey { name: "test".to_owned(), scopes, networks, expires_in };
        let who = self.operator.at_home();
        self.operator.control().create_key(Caller::here(&who), new).await.expect("a key")
    }

    pub async fn revoke(&self, key: &Fresh) {
        let who = self.operator.at_home();
        self.operator.control().revoke_key(Caller::here(&who), &key.key.id).await.expect("revoked");
    }

    /// Statements in the control store itself, past everything.
    pub async fn sql(&self, text: &str) {
        self.operator.script(text).await.expect("done");
    }

    /// The operator in another tenant, which is made.
    pub async fn second_tenant(&self) -> Authenticated {
        let id = "01J00000000000000000000002".parse().expect("an id");
        self.operator.add_tenant(&id, "second", "second").await.expect("added");
        let tenants = self.operator.tenants().await.expect("tenants");
        self.operator.within(tenants.iter().find(|t| t.slug == "second").expect("it is there"))
    }

    /// A request with a key.
    pub async fn ask(&self, method: &str, target: &str, key: &str) -> Answer {
        let authorization = format!("Bearer {key}");
        http::exchange(self.api.at, method, target, &[("Authorization", &authorization)], b"").await
    }

    /// The same with a body of JSON and more headers.
    pub async fn send(&self, method: &str, target: &str, key: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let authorization = format!("Bearer {key}");
        let ours = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let headers: Vec<(&str, &str)> = ours.iter().chain(more).copied().collect();
        http::exchange(self.api.at, method, target, &headers, body.as_bytes()).await
    }
}
