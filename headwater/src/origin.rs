//! Where a process's configuration comes from: its file, and what its command line says instead. Read at the start, and again by a
//! reload.

use std::{net::SocketAddr, path::PathBuf};

use runtime::config::{Config, ConfigError, Mistakes};

/// A file, and what is said instead of some of its keys.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The file, absolute, so that it stays the same whatever becomes of the working directory.
    pub file: PathBuf,
    /// Instead of `[runtime] instance`.
    pub instance: Option<String>,
    /// Instead of `[admin] listen`.
    pub admin_listen: Option<SocketAddr>,
    /// Instead of `[api] listen`.
    pub api_listen: Option<SocketAddr>,
}

impl Origin {
    /// A file alone.
    pub fn of(file: PathBuf) -> Self {
        Self { file, ..Self::default() }
    }

    /// Reads and checks it, with the environment of this process.
    ///
    /// # Errors
    /// The file cannot be read, or has mistakes.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = runtime::config::load(&self.file)?;
        config.instance = self.instance.clone().unwrap_or(config.instance);
        config.admin_listen = self.admin_listen.unwrap_or(config.admin_listen);
        config.api_listen = self.api_listen.unwrap_or(config.api_listen);
        // What the command line says is under the same rule as what the file says.
        match config.auth.open_doors(&config.doors()) {
            list if list.is_empty() => Ok(config),
            list => Err(Mistakes { file: self.file.clone(), list }.into()),
        }
    }
}
