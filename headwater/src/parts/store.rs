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
        analyst_password: config.store.analyst_password.clone(),
        analyst_without_landlock: config.store.analyst_without_landlock,
        ..engine::Config::new(&config.data_dir)
    }
}

/// The store, as the stages reach it: always over HTTP. Opens nothing.
pub fn connect_store(config: &Config) -> Result<(Store, StoreConfig), Failure> {
    let s = &config.store;
    let (url, password) = match &s.url {
        Some(url) => (url.clone(), s.password.as_ref().map_or("", |p| p.expose()).to_owned()),
        None => {
            let engine = engine_config(config);
            let made = engine::Credentials::load_or_create(&config.data_dir, engine.password, engine.analyst_password)?;
            (format!("http://{}", s.listen).parse()?, made.stages.expose().to_owned())
        }
    };
    let store = StoreConfig::new(url, &s.database, &s.user, password);
    Ok((Store::connect(store.clone())?, store))
}
