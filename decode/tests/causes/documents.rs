//! docs/causes.md says what is there.

use decode::causes::Cause;

#[test]
fn every_class_stands_in_the_document() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/causes.md")).expect("docs/causes.md");
    for cause in Cause::ALL {
        let row = format!("| `{}` | {} |", cause.word(), cause.about());
        assert!(text.contains(&row), "write: {row}");
    }
    // The rows that it shows are such as are read.
    let shown =
        text.split("```toml\n").filter_map(|part| part.split("```").next()).find(|toml| toml.contains("[[wrapper]]"));
    let table = decode::causes::Table::parse(shown.expect("an example of a table"));
    assert!(table.is_ok(), "{table:?}");
}
