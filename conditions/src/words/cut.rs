//! Texts that have to fit a service's limits.

/// Length as the stricter of the services count: UTF-16 units.
pub fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The text, at most so long; what is left out is told by a number of characters, where there is room for that. It ends between characters,
/// never inside of one, and a block or span of code that it ends in is closed.
pub fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let count = text.chars().count();
    // Room for the words, and for the end of a block of code.
    const ROOM: usize = 32;
    if most <= ROOM {
        return fits(text, most).to_owned();
    }
    let kept = fits(text, most - ROOM);
    let left = count - kept.chars().count();
    let fences = kept.matches("```").count();
    let close = match (fences % 2, kept.replace("```", "").matches('`').count() % 2) {
        (1, _) => "\n```",
        (_, 1) => "`",
        _ => "",
    };
    // An escape that lost what it escapes would escape what comes.
    let kept = kept.strip_suffix('\\').unwrap_or(kept);
    // The same for the beginning of an entity.
    let kept = match kept.rfind('&') {
        Some(place) if kept.len() - place < 8 && kept.get(place..).is_some_and(|end| !end.contains(';')) => {
            kept.get(..place).unwrap_or(kept)
        }
        _ => kept,
    };
    format!("{kept}{close} … {left} more")
}

/// As many of its first characters as fit.
fn fits(text: &str, most: usize) -> &str {
    let mut units = 0;
    for (place, c) in text.char_indices() {
        units += c.len_utf16();
        if units > most {
            return text.get(..place).unwrap_or_default();
        }
    }
    text
}
