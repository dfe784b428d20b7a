//! Statements spoilt at random: words left out, doubled, moved, written otherwise; bytes that do not belong there.

use crate::names::Names;

/// Blanks of every kind, comments, and what some readers take for blanks.
const BETWEEN: &[&str] = &[
    " ", "\n", "\t", "\r\n", "\x0b", "\x0c", "/**/", "/* x */", "/* /* */", "-- x\n", "--\r", "# x\n", "#!x\n",
    "\u{a0}", "\u{200b}", "\u{3000}", "\u{2028}", "\u{feff}", "\0", ";", "//\n", "\\", "$$", "$x$ $x$",
];

/// A statement with none to three mistakes, mostly none.
pub fn mutated(rng: &mut fastrand::Rng, names: &Names, sql: &[u8]) -> Vec<u8> {
    if rng.u8(..100) < 70 {
        return sql.to_vec();
    }
    let mut tokens = cut(sql);
    for _ in 0..rng.usize(1..4) {
        if tokens.len() < 3 {
            break;
        }
        let at = rng.usize(..tokens.len());
        match rng.u8(..13) {
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, tokens[at].clone()),
            2 => {
                let other = rng.usize(..tokens.len());
                tokens.swap(at, other);
            }
            3 | 4 => tokens.insert(at, BETWEEN[rng.usize(..BETWEEN.len())].as_bytes().to_vec()),
            5 => tokens[at] = quoted(rng, &tokens[at]),
            6 => tokens[at] = [b"$h$", &tokens[at][..], b"$h$"].concat(),
            7 => tokens[at].push(rng.u8(..)),
            8 => tokens[at].iter_mut().for_each(|byte| {
                if rng.bool() && byte.is_ascii_alphabetic() {
                    *byte ^= 0x20;
                }
            }),
            9 => tokens.insert(at, names.keywords[rng.usize(..names.keywords.len())].as_bytes().to_vec()),
            10 => tokens.truncate(at),
            11 => {
                let end = (at + rng.usize(1..8)).min(tokens.len());
                let piece = tokens[at..end].to_vec();
                let to = rng.usize(..tokens.len());
                tokens.splice(to..to, piece);
            }
            _ => {
                let inside = rng.usize(..=tokens[at].len());
                tokens[at].insert(inside, rng.u8(..));
            }
        }
    }
    tokens.concat()
}

fn quoted(rng: &mut fastrand::Rng, token: &[u8]) -> Vec<u8> {
    let quote: &[u8] = [&b"`"[..], b"\"", b"'"][rng.usize(..3)];
    [quote, token, quote].concat()
}

/// Words, blanks, quoted texts and single signs, each one token.
fn cut(sql: &[u8]) -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let first = sql[at];
        let length = match first {
            b'\'' | b'"' | b'`' => {
                sql[at + 1..].iter().position(|byte| *byte == first).map_or(sql.len() - at, |end| end + 2)
            }
            _ if wordy(first) => sql[at..].iter().take_while(|byte| wordy(**byte)).count(),
            _ if first.is_ascii_whitespace() => sql[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count(),
            _ => 1,
        };
        tokens.push(sql[at..at + length].to_vec());
        at += length;
    }
    tokens
}

fn wordy(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
