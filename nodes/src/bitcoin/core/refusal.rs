//! What a refusal of Bitcoin Core means. Pure.
//!
//! Sources: Core's `rpc/protocol.h` (numbers), `rpc/blockchain.cpp`, `rest.cpp` and `httprpc.cpp` (words), versions 25 to 31. The words are
//! looked for in the text, since they have changed from version to version.

use std::time::Duration;

use super::wire::RpcError;
use crate::error::{Missing, NodeErrorKind};

/// How long a node that starts is left alone.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long one is whose queue is full.
const BUSY: Duration = Duration::from_secs(1);

const PRUNED: &[&str] = &["pruned", "prune height", "undo data", "undo not available"];
const NOT_YET: &[&str] = &["not found", "out of range", "not fully downloaded", "not available", "no such block"];
const TOO_MANY: &[&str] = &["rate limit", "too many requests", "quota", "exceeded"];

fn says(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// An error object of RPC.
pub(super) fn of_rpc(error: RpcError) -> NodeErrorKind {
    let RpcError { code, message } = error;
    let text = message.to_ascii_lowercase();
    match code {
        -28 => NodeErrorKind::Server(503, Some(WARM_UP), format!("it starts: {message}")),
        -32601 => NodeErrorKind::Missing(Missing::Method, message),
        // Not connected to anybody, and in its initial download.
        -9 | -10 => NodeErrorKind::Stale(message),
        _ if says(&text, PRUNED) => NodeErrorKind::Missing(Missing::Pruned, message),
        -1 | -5 | -8 if says(&text, NOT_YET) => NodeErrorKind::Empty,
        -32005 | -429 | 429 => NodeErrorKind::Throttled(None, message),
        _ if says(&text, TOO_MANY) => NodeErrorKind::Throttled(None, message),
        _ => NodeErrorKind::Rpc(code, message),
    }
}

/// A status other than 200 whose body is no answer of RPC.
pub(super) fn of_status(status: u16, asked: Option<Duration>, said: String) -> NodeErrorKind {
    match status {
        429 => NodeErrorKind::Throttled(asked, said),
        503 => NodeErrorKind::Server(status, asked.or(Some(BUSY)), said),
        500.. => NodeErrorKind::Server(status, asked, said),
        _ => NodeErrorKind::Refused(status, said),
    }
}

/// What REST answered with a status other than 200. `None`: it is not offered there at all (an empty 404 of a server that knows no such
/// path, or somebody between who lets nothing through).
pub(super) fn of_rest(status: u16, asked: Option<Duration>, said: String) -> Option<NodeErrorKind> {
    let text = said.to_ascii_lowercase();
    match status {
        404 if says(&text, PRUNED) => Some(NodeErrorKind::Missing(Missing::Pruned, said)),
        // The block's own hash stands before it: a page that says `Not Found` is none of Core's.
        404 if says(&text, NOT_YET) && text.bytes().take(64).filter(u8::is_ascii_hexdigit).count() == 64 => {
            Some(NodeErrorKind::Empty)
        }
        429 | 500.. if status != 501 => Some(of_status(status, asked, said)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_its_own_thing() {
        let of = |code, message: &str| of_rpc(RpcError { code, message: message.into() });
        // As recorded (rosetta-bitcoin), and as Knots 29.4 answered here.
        assert!(matches!(of(-28, "rpc in warmup"), NodeErrorKind::Server(503, Some(_), _)));
        assert_eq!(of(-5, "Block not found"), NodeErrorKind::Empty);
        assert_eq!(of(-8, "Block height out of range"), NodeErrorKind::Empty);
        assert_eq!(of(-1, "Block not available (not fully downloaded)"), NodeErrorKind::Empty);
        for pruned in [
            "Block not available (pruned data)",
            "Undo data expected but can't be read.",
            "Can't read undo data from disk",
        ] {
            assert!(matches!(of(-1, pruned), NodeErrorKind::Missing(Missing::Pruned, _)), "{pruned}");
        }
        assert!(matches!(of(-32601, "Method not found"), NodeErrorKind::Missing(Missing::Method, _)));
        assert!(matches!(of(-10, "Bitcoin Core is in initial sync"), NodeErrorKind::Stale(_)));
        assert!(matches!(of(-32603, "boom"), NodeErrorKind::Rpc(-32603, _)));
    }

    #[test]
    fn rest_that_is_not_offered_is_no_block_that_is_not_there() {
        let hash = "00000000000000000000000000000000000000000000000000000000000000ff";
        let of = |status, said: String| of_rest(status, None, said);
        assert_eq!(of(404, format!("{hash} not found\r\n")), Some(NodeErrorKind::Empty));
        let pruned = Some(NodeErrorKind::Missing(Missing::Pruned, format!("{hash} not available (pruned data)")));
        assert_eq!(of(404, format!("{hash} not available (pruned data)")), pruned);
        assert!(matches!(of(404, format!("{hash} undo not available")), Some(NodeErrorKind::Missing(..))));
        assert_eq!(of(404, String::new()), None);
        assert_eq!(of(404, "<html>404 Not Found</html>".into()), None);
        assert_eq!((of(401, String::new()), of(405, String::new()), of(501, String::new())), (None, None, None));
        assert!(matches!(
            of(503, "Service temporarily unavailable".into()),
            Some(NodeErrorKind::Server(503, Some(_), _))
        ));
    }
}
