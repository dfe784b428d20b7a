//! Texts from chain and from nodes, made fit for people.

/// Whether it moves, hides or turns round what stands beside it.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// Without control characters and what else disturbs a line, which are spaces then, of which several are one; at most `most` bytes,
/// the last three of which are `…` where something is cut off.
pub(super) fn cleaned(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut space = true;
    // More than this cannot come of it; the rest is not looked at.
    for c in text.chars().take(4 * most) {
        let c = if disturbs(c) { ' ' } else { c };
        if c == ' ' && space {
            continue;
        }
        space = c == ' ';
        if out.len() + c.len_utf8() > most {
            cut(&mut out, most.saturating_sub('…'.len_utf8()));
            out.push('…');
            return out;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Cuts between characters.
pub(super) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_disturbs_a_line() {
        assert_eq!(cleaned("  a\u{0}\u{0}b\n\u{202e}c  ", 99), "a b c");
        assert_eq!(cleaned("Too little received\0\0\0", 99), "Too little received");
        assert_eq!(cleaned("", 9), "");
        for most in [3, 4, 5, 6, 7, 8] {
            let it = cleaned("ééééé", most);
            assert!(it.len() <= most && it.ends_with('…'), "{most}: {it}");
        }
        assert_eq!(cleaned("ééééé", 10), "ééééé");
        assert!(cleaned(&"\0".repeat(1 << 20), 8).is_empty());
    }
}
