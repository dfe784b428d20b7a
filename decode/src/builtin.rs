//! The table of public signatures: `decode/signatures/*.txt`, compiled in as text.
//!
//! Guarantee: no selector and no topic is written down anywhere; all are computed from the lines when the table is first asked. A test
//! reads every line.

use std::sync::LazyLock;

use alloy_json_abi::AbiItem;

use crate::{abi::Abi, lines};

const TEXTS: [&str; 10] = [
    include_str!("../signatures/tokens.txt"),
    include_str!("../signatures/access.txt"),
    include_str!("../signatures/accounts.txt"),
    include_str!("../signatures/exchanges.txt"),
    include_str!("../signatures/lending.txt"),
    include_str!("../signatures/bridges.txt"),
    include_str!("../signatures/markets.txt"),
    include_str!("../signatures/system.txt"),
    include_str!("../signatures/contracts.txt"),
    include_str!("../signatures/errors.txt"),
];

static TABLE: LazyLock<Abi> = LazyLock::new(|| {
    // What cannot be read is found by the test, and passed over here.
    let read = |line: &str| match line.strip_prefix("packed ") {
        Some(rest) => Some((true, lines::item(&format!("function {rest}")).ok()??)),
        None => Some((false, lines::item(line).ok()??)),
    };
    let (packed, items): (Vec<_>, Vec<_>) =
        TEXTS.iter().flat_map(|text| text.lines()).filter_map(read).partition(|(packed, _)| *packed);
    let only = |items: Vec<(bool, AbiItem<'static>)>| -> Vec<_> { items.into_iter().map(|(_, item)| item).collect() };
    Abi::table(&only(items), &only(packed))
});

/// The table. Of each event it also knows the shapes with all parameters indexed and with none, as old contracts emit them.
pub fn builtin() -> &'static Abi {
    &TABLE
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_read_once_and_decodes() {
        let mut seen = HashSet::new();
        let mut count = 0;
        for line in TEXTS.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let as_item = line.replace("packed ", "function ");
            let item = lines::item(&as_item).unwrap_or_else(|e| panic!("{line}: {e}")).expect(line);
            let one = Abi::of([&item].into_iter(), false);
            assert_eq!(one.len(), 1, "cannot be decoded: {line}");
            let key = match &item {
                AbiItem::Function(f) => format!("function {} {}", f.signature(), line.starts_with("packed")),
                AbiItem::Error(e) => format!("error {}", e.signature()),
                AbiItem::Event(e) => {
                    let indexed: Vec<bool> = e.inputs.iter().map(|p| p.indexed).collect();
                    format!("event {} {indexed:?} {}", e.signature(), e.anonymous)
                }
                _ => panic!("{line}"),
            };
            assert!(seen.insert(key), "stands twice: {line}");
            count += 1;
        }
        assert!(builtin().len() > count && count > 900, "{count}");
    }
}
