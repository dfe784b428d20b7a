//! E-mail addresses, as accounts and invitations have them. Pure.

use schemas::limits::accounts as limits;

use crate::error::Mistake;

/// The part before the `@` (RFC 5321, section 4.5.3.1.1), and a label of the domain (RFC 1035, section 2.3.4).
const LOCAL: usize = 64;
const LABEL: usize = 63;

/// An address without spaces around it, in lower case; a mistake where it is none. Plain ones only (RFC 5322's dot-atom, in ASCII): no
/// quotes, comments or line breaks, so that it can stand in the header of a message as it is.
pub fn email(path: &str, text: &str, mistakes: &mut Vec<Mistake>) -> String {
    let text = text.trim().to_ascii_lowercase();
    if let Some(problem) = problem(&text) {
        mistakes.push(Mistake::new(path, problem, "write an address such as `ada@example.org`"));
    }
    text
}

fn problem(text: &str) -> Option<String> {
    let length = text.chars().count();
    if length > limits::EMAIL_CHARACTERS {
        return Some(format!("has {length} characters, and an address has {} at most", limits::EMAIL_CHARACTERS));
    }
    let wrong = || Some("is no e-mail address".to_owned());
    let Some((local, domain)) = text.split_once('@') else { return wrong() };
    let atom = |part: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b);
        !part.is_empty() && part.bytes().all(good)
    };
    let label = |part: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let edges = part.starts_with('-') || part.ends_with('-');
        (1..=LABEL).contains(&part.len()) && part.bytes().all(good) && !edges
    };
    let good = local.len() <= LOCAL && local.split('.').all(atom);
    if good && domain.contains('.') && domain.split('.').all(label) { None } else { wrong() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_in_lower_case_and_nothing_else() {
        for (text, read) in [
            (" Ada@Example.ORG ", "ada@example.org"),
            ("a.b+c@x-y.example.org", "a.b+c@x-y.example.org"),
            ("o'hara@example.org", "o'hara@example.org"),
        ] {
            let mut mistakes = Vec::new();
            assert_eq!(email("email", text, &mut mistakes), read);
            assert!(mistakes.is_empty(), "{text}: {mistakes:?}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        let longer = format!("a@{}.org", "b.".repeat(200));
        for wrong in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@localhost",
            "ada@@example.org",
            "a..b@example.org",
            ".a@example.org",
            "ada@example..org",
            "ada@-x.org",
            "ada example@x.org",
            "\"ada\"@example.org",
            "ada@example.org\r\nBcc: x@example.org",
            "ada@example.org, b@example.org",
            "ädå@example.org",
            "<ada@example.org>",
            &long,
            &longer,
        ] {
            let mut mistakes = Vec::new();
            email("email", wrong, &mut mistakes);
            assert_eq!(mistakes.len(), 1, "{wrong}");
        }
    }
}
