//! Rows by what they match.

use std::collections::HashMap;

use super::Row;

/// Rows of one kind.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    rows: Vec<Row>,
    whole: HashMap<String, Vec<usize>>,
    starts: Vec<(String, usize)>,
    like: Vec<(String, usize)>,
    /// Lower-case.
    holds: Vec<(String, usize)>,
}

/// How a row says what it matches.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    pub(super) is: Vec<String>,
    pub(super) starts: Vec<String>,
    pub(super) like: Vec<String>,
    pub(super) holds: Vec<String>,
}

impl Matcher {
    pub(super) fn add(&mut self, patterns: Patterns, row: Row) {
        let at = self.rows.len();
        self.rows.push(row);
        for text in patterns.is {
            self.whole.entry(text).or_default().push(at);
        }
        self.starts.extend(patterns.starts.into_iter().map(|text| (text, at)));
        self.like.extend(patterns.like.into_iter().map(|text| (text, at)));
        self.holds.extend(patterns.holds.into_iter().map(|text| (text.to_lowercase(), at)));
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row that is of just this text.
    pub(super) fn whole(&self, text: &str, function: Option<&str>) -> Option<(&Row, String)> {
        let of = |at: &usize| self.rows.get(*at).filter(|row| fits(row, function));
        Some((self.whole.get(text)?.iter().find_map(of)?, text.to_owned()))
    }

    /// The best row of a text, and the pattern that matched.
    pub(super) fn find(&self, text: &str, function: Option<&str>) -> Option<(&Row, String)> {
        let of = |at: &usize| self.rows.get(*at).filter(|row| fits(row, function));
        self.whole(text, function)
            .or_else(|| {
                self.starts
                    .iter()
                    .filter(|(start, _)| text.starts_with(start.as_str()))
                    .find_map(|(start, at)| Some((of(at)?, format!("{start}*"))))
            })
            .or_else(|| {
                self.like
                    .iter()
                    .filter(|(pattern, _)| is_like(text, pattern))
                    .find_map(|(pattern, at)| Some((of(at)?, pattern.clone())))
            })
            .or_else(|| {
                if self.holds.is_empty() {
                    return None;
                }
                let lower = text.to_lowercase();
                self.holds
                    .iter()
                    .filter(|(word, _)| lower.contains(word.as_str()))
                    .find_map(|(word, at)| Some((of(at)?, format!("*{word}*"))))
            })
    }
}

/// Whether the call was of a function that the row is about.
pub(super) fn fits(row: &Row, function: Option<&str>) -> bool {
    row.within.is_empty() || function.is_some_and(|function| row.within.iter().any(|name| name == function))
}

/// Whether a text is of a pattern, in which `*` stands for anything. In time of both lengths multiplied, at most.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            match rest.find(before) {
                Some(at) => rest = rest.get(at + before.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn stars_stand_for_anything() {
        for (text, pattern, is) in [
            ("V3TooLittleReceived", "*TooLittleReceived", true),
            ("TooLittleReceived", "*TooLittleReceived", true),
            ("TooLittleReceivedX", "*TooLittleReceived", false),
            ("AlreadyMinted", "Already*", true),
            ("NotAlready", "Already*", false),
            ("PRBMath_MulDiv_Overflow", "*MulDiv*", true),
            ("MathOverflowedMulDiv", "*MulDiv*", true),
            ("aXbXc", "a*b*c", true),
            ("aab", "a*ab*b", false),
            ("abab", "ab*ab", true),
            ("ab", "ab*ab", false),
            ("x", "x", true),
            ("xy", "x", false),
            ("", "*", true),
        ] {
            assert_eq!(is_like(text, pattern), is, "{text} {pattern}");
        }
    }
}
