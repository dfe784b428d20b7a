//! Notifications: what a subscription tells. Pure.

use super::status::{ScriptHash, Status};

/// Method of the subscription to heads.
pub(super) const HEADS: &str = "blockchain.headers.subscribe";
/// Method of the subscription to a script.
pub(super) const SCRIPT: &str = "blockchain.scripthash.subscribe";

/// A tip's JSON is no longer than this, bytes: a header has 160 digits.
const TIP_BYTES: usize = 1 << 10;

/// What a server told by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// A new tip, as JSON, and the bytes that it took.
    Tip(String, usize),
    /// A script's status is another now.
    Script(ScriptHash, Option<Status>),
    /// Something happened, but this cannot be read.
    Unreadable,
}

impl Notice {
    /// Reads the parameters of a notification; `None` for what is of another kind.
    pub fn read(method: &str, params: &str, bytes: usize) -> Option<Self> {
        match method {
            // They wait in a queue.
            HEADS if params.len() > TIP_BYTES => Some(Self::Unreadable),
            HEADS => Some(Self::Tip(params.to_owned(), bytes)),
            SCRIPT => {
                let said: Result<(String, Option<String>), _> = serde_json::from_str(params);
                Some(said.ok().and_then(|(script, status)| script_of(&script, status)).unwrap_or(Self::Unreadable))
            }
            _ => None,
        }
    }
}

fn script_of(script: &str, status: Option<String>) -> Option<Notice> {
    let status = match status {
        Some(status) => Some(status.parse().ok()?),
        None => None,
    };
    Some(Notice::Script(script.parse().ok()?, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tip_is_short() {
        let of = |params: &str| Notice::read(HEADS, params, 7);
        assert_eq!(of(r#"[{"height":3}]"#), Some(Notice::Tip(r#"[{"height":3}]"#.into(), 7)));
        assert_eq!(of(&format!("[\"{}\"]", "x".repeat(TIP_BYTES))), Some(Notice::Unreadable));
    }
}
