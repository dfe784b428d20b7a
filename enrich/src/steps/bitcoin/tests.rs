use bitcoin::Witness;

use super::{envelope::media_type, pool};

/// A witness that spends by a script.
fn revealing(script: &str) -> Witness {
    let mut witness = Witness::new();
    witness.push([1u8; 64]);
    witness.push(const_hex::decode(script).unwrap());
    witness.push([0xc0u8; 33]);
    witness
}

#[test]
fn the_media_type_that_a_witness_reveals() {
    let key = format!("20{}ac", "11".repeat(32));
    let ord = "0063036f7264";
    let plain = "0101 0a 746578742f706c61696e".replace(' ', "");
    for (script, found) in [
        // A field, an empty tag, two pieces of a body.
        (format!("{key}{ord}{plain}00026869026c6c68"), Some("text/plain")),
        // The tag as an operation.
        (format!("{ord}51036169780068"), Some("aix")),
        (format!("{ord}000268ff68"), Some("")),
        (format!("{ord}68"), Some("")),
        // Another field before it; twice: the first counts.
        (format!("{ord}01020411223344{plain}0101020a0a68"), Some("text/plain")),
        // A tag without a value.
        (format!("{ord}{plain}010768"), Some("text/plain")),
        // It does not end; something else stands in it; it is not the protocol; it is never skipped.
        (format!("{ord}{plain}"), None),
        (format!("{ord}{plain}00ac68"), None),
        (format!("{ord}{plain}00056869"), None),
        ("0063036f72650068".to_owned(), None),
        ("5163036f72640068".to_owned(), None),
        // The first that is one.
        (format!("{ord}ac68{ord}{plain}68"), Some("text/plain")),
        (format!("00{ord}{plain}68"), Some("text/plain")),
        (key.clone(), None),
        (String::new(), None),
    ] {
        assert_eq!(media_type(&revealing(&script)).as_deref(), found, "{script}");
    }
    let mut with_annex = revealing(&format!("{ord}{plain}68"));
    with_annex.push([0x50u8, 1, 2]);
    assert_eq!(media_type(&with_annex).as_deref(), Some("text/plain"));
    let mut by_key = Witness::new();
    by_key.push([1u8; 64]);
    assert_eq!(media_type(&by_key), None);
    assert_eq!(media_type(&Witness::new()), None);
    let long = format!("{ord}01014d0002{}68", "61".repeat(512));
    assert_eq!(media_type(&revealing(&long)).map(|text| text.len()), Some(256));
}

#[test]
fn pools_by_their_tags() {
    assert_eq!(pool::of(b"\x03\xa0\x86\x01,/Foundry USA Pool #dropgold/\x01\x02"), Some("Foundry USA"));
    assert_eq!(pool::of("\u{3}七彩神仙鱼".as_bytes()), Some("F2Pool"));
    assert_eq!(pool::of(b"/slush/"), Some("Braiins Pool"));
    assert_eq!(pool::of(b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"), None);
    assert_eq!(pool::of(b""), None);
}
