//! The store: the embedded engine's settings, and the way to it.

use runtime::config::Config;
use store::{Store, StoreConfig, engine};

use crate::exit::Failure;

/// What the store's process is told.
pub fn engine_config(config: &Config) -> engine::Config {
    engine::Config {
        listen: config.store.listen,
        hosts: config.store.hosts.clone(),
        database: config.store.database.clone(),
        user: config.store.user.clone(),
        password: config.store.password.clone(),
        api_user: config.store.api_user.clone(),
        api_password: config.store.api_password.clone(),
        analyst_password: config.store.analyst_password.clone(),
        // Over Kafka no log of ours is on this disk.
        reserve: if config.log.kafka.is_none() { config.log.min_free_bytes } else { 0 },
        analyst_without_landlock: config.store.analyst_without_landlock,
        analyst_contracts: config.analysts_see_contracts(),
        ..engine::Config::new(&config.data_dir)
    }
}

/// Who asks the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The sink, and commands that write.
    Sink,
    /// The API, which only reads and has a share of its own.
    Api,
}

/// The store, as the stages reach it: always over HTTP, each with connections of its own. Opens nothing.
pub fn connect_store(config: &Config, asker: Asker) -> Result<(Store, StoreConfig), Failure> {
    let s = &config.store;
    let (url, user, password) = match (&s.url, asker) {
        (Some(url), Asker::Api) if s.api_password.is_some() => (url.clone(), &s.api_user, s.api_password.clone()),
        (Some(url), _) => (url.clone(), &s.user, s.password.clone()),
        (None, _) => {
            let engine = engine_config(config);
            let configured = engine::Configured {
                stages: engine.password,
                api: engine.api_password,
                analyst: engine.analyst_password,
            };
            let made = engine::Credentials::load_or_create(&config.data_dir, configured)?;
            let (user, password) = match asker {
                Asker::Sink => (&s.user, made.stages),
                Asker::Api => (&s.api_user, made.api),
            };
            (format!("http://{}", s.listen).parse()?, user, Some(password))
        }
    };
    let password = password.as_ref().map_or("", |p| p.expose());
    let store = StoreConfig::new(url, &s.database, user, password);
    Ok((Store::connect(store.clone())?, store))
}
