//! The first question of ClickHouse's Go client, by which it learns whom it speaks to.
//!
//! The engine here makes plain blocks only, those of a server of revision 0, and says so. The answer to this one question is
//! read by the client's own revision, since it knows the server's only afterwards.

/// The question, to the letter.
const QUESTION: &[u8] = b"SELECT displayName(), version(), revision(), timezone()";

/// The answer as a statement, for clients that read formats which need no revision.
pub(super) const STATEMENT: &[u8] =
    b"SELECT 'headwater' AS `displayName()`, version(), toUInt32(0) AS `revision()`, timezone()";

/// Whether a statement is that question.
pub(super) fn is(sql: &[u8]) -> bool {
    sql.trim_ascii().strip_suffix(b";").unwrap_or(sql).trim_ascii() == QUESTION
}

/// The answer as a block of ClickHouse's native protocol since revision 54,454: block info, then one row, each column with a
/// byte that says that its serialization is the usual one.
pub(super) fn block(version: &str) -> Vec<u8> {
    let mut out = vec![1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 4, 1];
    let text = |out: &mut Vec<u8>, text: &str| {
        let bytes = &text.as_bytes()[..text.len().min(127)]; // one byte of length
        out.push(bytes.len() as u8);
        out.extend_from_slice(bytes);
    };
    for (name, kind, value) in [
        ("displayName()", "String", "headwater"),
        ("version()", "String", version),
        ("revision()", "UInt32", ""),
        ("timezone()", "String", "UTC"),
    ] {
        text(&mut out, name);
        text(&mut out, kind);
        out.push(0);
        match kind {
            "UInt32" => out.extend_from_slice(&0u32.to_le_bytes()),
            _ => text(&mut out, value),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_and_nothing_like_it() {
        assert!(is(QUESTION) && is(b" SELECT displayName(), version(), revision(), timezone() ;\n"));
        assert!(!is(b"SELECT displayName()") && !is(b"SELECT displayName(), version(), revision(), timezone(), 1"));
    }

    #[test]
    fn a_block_of_one_row_and_four_columns() {
        let block = block("26.7.2.1");
        assert_eq!(block[..10], [1, 0, 2, 255, 255, 255, 255, 0, 4, 1]);
        assert_eq!(&block[10..24], b"\x0ddisplayName()");
        assert!(block.ends_with(b"\x06String\x00\x03UTC"));
    }
}
