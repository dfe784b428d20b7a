//! Which formats can be sent piece by piece, and what to leave out of the later pieces.
//!
//! The engine hands a streamed result over in chunks, each a whole document of the format. For formats that are a plain
//! sequence of rows the chunks can follow each other as they are; those that begin with names (and types) repeat them, which
//! is cut off here; all others (JSON, Parquet, …) are made in one piece, which is bounded.

use bytes::Bytes;

/// How a format is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Chunks follow each other.
    Rows,
    /// Every chunk begins with lines of text to be sent once.
    TextHeader {
        /// How many.
        lines: usize,
        /// A line break inside double quotes does not end a line.
        quoted: bool,
    },
    /// Every chunk begins with a RowBinary header to be sent once.
    BinaryHeader {
        /// Types follow the names.
        types: bool,
    },
    /// One document.
    Whole,
}

impl Sending {
    /// By the format's name, in any case, as the engine takes them.
    pub fn of(format: &str) -> Self {
        let name = format.to_ascii_lowercase();
        let (base, lines) = match (name.strip_suffix("withnamesandtypes"), name.strip_suffix("withnames")) {
            (Some(base), _) => (base, 2),
            (_, Some(base)) => (base, 1),
            _ => (name.as_str(), 0),
        };
        match (base, lines) {
            ("rowbinary", 1) => Self::BinaryHeader { types: false },
            ("rowbinary", 2) => Self::BinaryHeader { types: true },
            ("native" | "null" | "msgpack" | "rowbinary", 0) => Self::Rows,
            ("jsoneachrow" | "jsonstringseachrow" | "jsonlines" | "ndjson" | "tskv", 0) => Self::Rows,
            ("csv", 0) => Self::Rows,
            ("csv", lines) => Self::TextHeader { lines, quoted: true },
            ("tabseparated" | "tsv" | "tabseparatedraw" | "tsvraw" | "raw", 0) => Self::Rows,
            ("jsoncompacteachrow" | "jsoncompactstringseachrow", 0) => Self::Rows,
            ("tabseparated" | "tsv" | "tabseparatedraw" | "tsvraw" | "raw", lines)
            | ("jsoncompacteachrow" | "jsoncompactstringseachrow", lines) => Self::TextHeader { lines, quoted: false },
            _ => Self::Whole,
        }
    }

    /// Length of the header at the start of a chunk; 0 when there is none, or it is not understood.
    fn header(self, chunk: &[u8]) -> usize {
        match self {
            Self::Rows | Self::Whole => 0,
            Self::TextHeader { lines, quoted } => text_header(chunk, lines, quoted).unwrap_or(0),
            Self::BinaryHeader { types } => binary_header(chunk, types).unwrap_or(0),
        }
    }

    /// What to send of a chunk: the first one whole, later ones without the header that they repeat.
    pub fn cut(self, chunk: Bytes, first_header: &mut Option<Bytes>) -> Bytes {
        match first_header {
            None => {
                *first_header = Some(chunk.slice(..self.header(&chunk)));
                chunk
            }
            Some(header) if chunk.starts_with(header) => chunk.slice(header.len()..),
            Some(_) => chunk,
        }
    }
}

fn text_header(chunk: &[u8], lines: usize, quoted: bool) -> Option<usize> {
    let (mut left, mut inside) = (lines, false);
    for (at, byte) in chunk.iter().enumerate() {
        match byte {
            b'"' if quoted => inside = !inside,
            b'\n' if !inside => {
                left -= 1;
                if left == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn binary_header(chunk: &[u8], types: bool) -> Option<usize> {
    let mut at = 0;
    let columns = varint(chunk, &mut at)?;
    for _ in 0..columns.checked_mul(if types { 2 } else { 1 })? {
        let length = varint(chunk, &mut at)?;
        at = at.checked_add(length).filter(|end| *end <= chunk.len())?;
    }
    Some(at)
}

/// LEB128.
fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0usize;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(format: &str, chunks: &[&[u8]]) -> Vec<u8> {
        let mut header = None;
        chunks.iter().flat_map(|c| Sending::of(format).cut(Bytes::copy_from_slice(c), &mut header)).collect()
    }

    #[test]
    fn repeated_headers_are_sent_once() {
        assert_eq!(joined("CSVWithNames", &[b"\"a\nb\"\n1\n", b"\"a\nb\"\n2\n"]), b"\"a\nb\"\n1\n2\n");
        assert_eq!(joined("TSVWithNamesAndTypes", &[b"a\nUInt8\n1\n", b"a\nUInt8\n2\n"]), b"a\nUInt8\n1\n2\n");
        assert_eq!(
            joined("RowBinaryWithNamesAndTypes", &[b"\x01\x01a\x05UInt8\x07", b"\x01\x01a\x05UInt8\x08"]),
            b"\x01\x01a\x05UInt8\x07\x08"
        );
        assert_eq!(joined("RowBinaryWithNames", &[b"\x01\x01a\x07", b"\x01\x01a\x08"]), b"\x01\x01a\x07\x08");
        assert_eq!(joined("TSV", &[b"a\n", b"a\n"]), b"a\na\n");
    }

    #[test]
    fn formats_that_are_one_document_are_sent_whole() {
        for format in
            ["JSON", "JSONCompact", "Parquet", "PrettyCompact", "XML", "Arrow", "Values", "Vertical", "Unheard"]
        {
            assert_eq!(Sending::of(format), Sending::Whole, "{format}");
        }
        for format in ["Native", "RowBinary", "JSONEachRow", "csv", "TabSeparated"] {
            assert_eq!(Sending::of(format), Sending::Rows, "{format}");
        }
    }

    #[test]
    fn a_header_that_is_not_understood_cuts_nothing() {
        assert_eq!(binary_header(b"\xff\xff\xff", true), None);
        assert_eq!(binary_header(b"\x02\x01a", false), None);
        assert_eq!(text_header(b"a", 1, false), None);
    }
}
