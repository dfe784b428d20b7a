//! What people create: contracts, keys, and the audit of it, as REST has them.

mod audit;
mod bodies;
mod contracts;
pub mod definitions;
mod keys;
mod operator;

use api::{Config, ControlStore};
use control::Mode;
use runtime::config::Contract;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::{
    door::settings,
    http::{self, Answer},
    world::{Api, World},
};

pub const CONTRACTS: &str = "/api/v1/contracts";
pub const KEYS: &str = "/api/v1/keys";
pub const AUDIT: &str = "/api/v1/audit";

/// An API where everybody is owner.
pub struct Open {
    pub world: World,
    pub api: Api,
    /// The file's contracts.
    pub file: watch::Sender<Vec<Contract>>,
    _dir: TempDir,
}

impl Open {
    pub async fn start() -> Self {
        Self::over(World::without_sink(&["a", "b"]).await, Vec::new()).await
    }

    pub async fn over(world: World, contracts: Vec<Contract>) -> Self {
        world.store.migrate().await.expect("tables");
        let dir = tempfile::tempdir().expect("temp dir");
        let control = ControlStore::of(settings(&dir), Mode::None);
        control.open().await.expect("opens");
        let file = watch::Sender::new(contracts);
        let api = world.api_with(Config { control, contracts: file.subscribe(), ..world.config() }).await;
        Self { world, api, file, _dir: dir }
    }

    /// A request with a JSON body.
    pub async fn send(&self, method: &str, target: &str, more: &[(&str, &str)], body: &Value) -> Answer {
        self.raw(method, target, more, body.to_string().as_bytes()).await
    }

    pub async fn raw(&self, method: &str, target: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers: Vec<(&str, &str)> = [("Content-Type", "application/json")].iter().chain(more).copied().collect();
        http::exchange(self.api.at, method, target, &headers, body).await
    }

    /// A contract that is there from now on, and its path.
    pub async fn contract(&self, network: &str, n: u64) -> (Value, String) {
        let made = self.send("POST", CONTRACTS, &[], &contract(network, n)).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let path = made.header("location").expect("where it is").to_owned();
        (made.json(), path)
    }
}

/// The `n`th contract of a network, as it is sent.
pub fn contract(network: &str, n: u64) -> Value {
    serde_json::json!({"network": network, "address": format!("0x{n:040x}"), "name": format!("contract {n}")})
}

/// Status and kind of a refusal.
pub fn kind(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned())
}

/// The paths of all mistakes.
pub fn paths(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    let words = |e: &Value, field: &str| e[field].as_str().filter(|t| !t.is_empty()).is_some();
    assert!(errors.iter().all(|e| words(e, "path") && words(e, "problem") && words(e, "cure")), "{errors:?}");
    errors.iter().map(|e| e["path"].as_str().unwrap_or_default().to_owned()).collect()
}
