//! The configuration in force: what the process began with, and what it has taken over since.
//!
//! Guarantee: whoever takes a setting by [`Live::setting`] sees the value that is in force now, and wakes when it becomes another one;
//! settings become others in the order in which they were asked for, so that a later stage knows what is coming before the first
//! stage sends it.

use tokio::sync::watch;

use super::{Config, changes};

/// The configuration in force.
pub struct Live {
    config: Config,
    settings: Vec<Put>,
}

/// Puts a setting in force.
type Put = Box<dyn Fn(&Config) + Send + Sync>;

impl Live {
    /// This one, to begin with.
    pub fn new(config: Config) -> Self {
        Self { config, settings: Vec::new() }
    }

    /// As it is now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What `of` makes of the configuration, as that changes. It is to look at nothing that needs a restart (see [`changes`]).
    pub fn setting<T: PartialEq + Send + Sync + 'static>(
        &mut self,
        of: impl Fn(&Config) -> T + Send + Sync + 'static,
    ) -> watch::Receiver<T> {
        let (put, setting) = watch::channel(of(&self.config));
        self.settings.push(Box::new(move |config| {
            let value = of(config);
            put.send_if_modified(|before| {
                let news = *before != value;
                *before = value;
                news
            });
        }));
        setting
    }

    /// Hands the configuration in force to `put`, now and whenever it has become another one: for who keeps its settings in a handle of
    /// its own. As [`Live::setting`], it is to look at nothing that needs a restart.
    pub fn follow(&mut self, put: impl Fn(&Config) + Send + Sync + 'static) {
        put(&self.config);
        self.settings.push(Box::new(put));
    }

    /// What would become of a configuration file that says this: what changes, and the configuration that would be in force.
    pub fn compare(&self, file: &Config) -> (changes::Changes, Config) {
        changes::between(&self.config, file)
    }

    /// From now on this is in force.
    pub fn put(&mut self, config: Config) {
        self.config = config;
        self.settings.iter().for_each(|put| put(&self.config));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_setting_follows_what_is_in_force_and_wakes_only_for_news() {
        let parse = |text: &str| super::super::parse(text, Path::new(""), &|_| None).expect("good");
        let mut live = Live::new(parse("[providers]\nhedge = true"));
        let mut hedge = live.setting(|config| config.providers.hedge);
        let handle = std::sync::Arc::new(std::sync::Mutex::new(None));
        live.follow({
            let handle = handle.clone();
            move |config| *handle.lock().expect("not poisoned") = Some(config.providers.hedge)
        });
        assert_eq!(*handle.lock().expect("not poisoned"), Some(true));
        assert!(*hedge.borrow_and_update());
        live.put(parse("[providers]\nhedge = true\nprobe_every = \"5s\""));
        assert!(!hedge.has_changed().expect("open"));
        live.put(parse("[providers]\nhedge = false"));
        assert!(hedge.has_changed().expect("open") && !*hedge.borrow_and_update());
        assert_eq!(*handle.lock().expect("not poisoned"), Some(false));
        let (changes, in_force) = live.compare(&parse("[api]\nlisten = \"127.0.0.1:1\""));
        assert!(changes.taken.is_empty() && changes.restart.len() == 1 && in_force == *live.config());
    }
}
