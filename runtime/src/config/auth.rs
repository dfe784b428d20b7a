//! `[auth]`: whom the doors let in, and where they may listen.
//!
//! Guarantee: where everybody is let in, no door listens beyond loopback unless the file says in so many words that it may
//! ([`Auth::open_doors`]); that holds for addresses of the command line too.

use std::net::SocketAddr;

use super::{
    mistakes::Mistake,
    source::{Collector, Section},
};

/// `[auth] mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Everybody is owner of the tenant `default`.
    None,
    /// Who has a key.
    Keys,
}

impl AuthMode {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Keys => "keys",
        }
    }
}

/// `[auth]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auth {
    /// Whom the doors let in.
    pub mode: AuthMode,
    /// Whether other machines may come in where everybody is let in.
    pub allow_remote: bool,
}

impl Default for Auth {
    fn default() -> Self {
        Self { mode: AuthMode::None, allow_remote: false }
    }
}

/// Whether only this machine reaches an address.
pub fn is_near(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl Auth {
    /// Those of the doors (`api`, where it listens) that would let everybody of other machines in without being told to: bad
    /// configuration. `line` and `column` are left at 1: who has the document knows better.
    pub fn open_doors(&self, doors: &[(&str, SocketAddr)]) -> Vec<Mistake> {
        if self.mode != AuthMode::None || self.allow_remote {
            return Vec::new();
        }
        let open = doors.iter().filter(|(_, address)| !is_near(*address));
        open.map(|(section, address)| Mistake {
            line: 1,
            column: 1,
            key: format!("{section}.listen"),
            problem: format!("{address} is reached from other machines, and `[auth] mode` is \"none\": whoever comes may do everything"),
            cure: "listen on 127.0.0.1, or write `mode = \"keys\"` under `[auth]` (or `allow_remote = true`, where something else keeps \
                   strangers out)"
                .to_owned(),
        })
        .collect()
    }

    /// What is no mistake but should be known, of these doors.
    pub fn warnings(&self, doors: &[(&str, SocketAddr)]) -> Vec<String> {
        if self.mode != AuthMode::None || !self.allow_remote {
            return Vec::new();
        }
        let open: Vec<String> =
            doors.iter().filter(|(_, a)| !is_near(*a)).map(|(s, a)| format!("`[{s}]` at {a}")).collect();
        let words = format!(
            "[auth] allow_remote: whoever reaches {} may do everything, without a key; write `mode = \"keys\"` unless something else keeps \
             strangers out",
            open.join(" and ")
        );
        (!open.is_empty()).then_some(words).into_iter().collect()
    }
}

/// Reads the section.
pub(super) fn read(mut s: Section, c: &mut Collector) -> Auth {
    let default = Auth::default();
    let mode = s.string("mode", c).map_or(default.mode, |p| match p.value.as_str() {
        "none" => AuthMode::None,
        "keys" => AuthMode::Keys,
        "accounts" => {
            c.mistake(p.at, &s.key("mode"), "`accounts` is not there yet", "write \"keys\"");
            AuthMode::Keys
        }
        other => {
            let problem = format!("`{}` is not a mode", other.chars().take(40).collect::<String>());
            c.mistake(p.at, &s.key("mode"), problem, "write \"none\" (everybody, on loopback only) or \"keys\"");
            AuthMode::Keys
        }
    });
    let allow_remote = s.boolean("allow_remote", c).unwrap_or(default.allow_remote);
    s.finish(c);
    Auth { mode, allow_remote }
}
