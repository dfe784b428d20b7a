//! The queries of `docs/sql.md`, as the page `/sql` offers them: there is one text of each.
//!
//! Guarantee: every fenced block of the document that is marked `sql` is one, under the heading before it. Tests run each as
//! an analyst.

/// A query that works as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What it answers, in a few words.
    pub title: String,
    /// More about it; empty, or text with `` ` `` around names.
    pub about: String,
    /// The statement.
    pub sql: String,
}

const DOCUMENT: &str = include_str!("../../../docs/sql.md");

/// All of them, in the document's order.
#[must_use]
pub fn examples() -> Vec<Example> {
    read(DOCUMENT)
}

fn read(document: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let (mut title, mut about) = (String::new(), Vec::new());
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix('#') {
            let text = heading.trim_start_matches('#').trim();
            // "3. Gas prices": the number is the document's.
            let unnumbered = text.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(". ");
            title = unnumbered.to_owned();
            about.clear();
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            if language == "sql" {
                found.push(Example { title: title.clone(), about: about.join(" "), sql: block.join("\n") });
            }
        } else if !line.trim().is_empty() {
            about.push(line.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_sql_are_found_under_their_headings() {
        let document = "# A\ntext\n```sh\ncurl\n```\n## 12. B `x`\none\ntwo\n\n```sql\nSELECT 1\nFROM t\n```\n### C\n```sql\nSELECT 2\n```\n";
        let example =
            |title: &str, about: &str, sql: &str| Example { title: title.into(), about: about.into(), sql: sql.into() };
        assert_eq!(read(document), [example("B `x`", "one two", "SELECT 1\nFROM t"), example("C", "", "SELECT 2")]);
    }

    #[test]
    fn the_document_has_twelve_each_with_a_title_of_its_own() {
        let all = examples();
        assert_eq!(all.len(), 12);
        for (i, example) in all.iter().enumerate() {
            assert!(!example.title.is_empty() && example.sql.starts_with("SELECT"), "{example:?}");
            assert!(all[..i].iter().all(|e| e.title != example.title), "{}", example.title);
        }
    }
}
