//! The language by examples: what fits, and what is refused where and with which cure.

use conditions::{
    Expression,
    expression::{Arguments, Fault, Kind, Scope},
};

/// An event with something of every kind.
fn parameters() -> Vec<(String, Kind)> {
    let kind = |name: &str, kind: Kind| (name.to_owned(), kind);
    let book = Kind::Tuple(vec![
        kind("title", Kind::Text),
        kind("pages", Kind::Number),
        kind("tags", Kind::List(Box::new(Kind::Text))),
        kind("meta", Kind::Tuple(vec![kind("owner", Kind::Bytes(Some(20))), kind("1", Kind::Flag)])),
    ]);
    vec![
        kind("from", Kind::Bytes(Some(20))),
        kind("to", Kind::Bytes(Some(20))),
        kind("value", Kind::Number),
        kind("delta", Kind::Number),
        kind("name", Kind::Text),
        kind("data", Kind::Bytes(None)),
        kind("id", Kind::Bytes(Some(4))),
        kind("approved", Kind::Flag),
        kind("amounts", Kind::List(Box::new(Kind::Number))),
        kind("owners", Kind::List(Box::new(Kind::Bytes(Some(20))))),
        kind("book", book.clone()),
        kind("books", Kind::List(Box::new(book))),
        kind("12", Kind::Number),
        kind("other", Kind::Text),
    ]
}

const ALICE: &str = "0xAbCdEfabcdefabcdefabcdefabcdefabcdefab01";

fn arguments() -> String {
    let book = r#"{"title":"The Book Title","pages":"321","tags":["New","used"],
        "meta":{"owner":"0xabcdefabcdefabcdefabcdefabcdefabcdefab01","1":true}}"#;
    format!(
        r#"{{"from":"0xabcdefabcdefabcdefabcdefabcdefabcdefab01","to":"0x0000000000000000000000000000000000000002",
        "value":"115792089237316195423570985008687907853269984665640564039457584007913129639935","delta":"-7",
        "name":"Hello, World ÄÖ","data":"0xdeadbeef00","id":"0xa9059cbb","approved":true,
        "amounts":["1","2","9007199254740993"],"owners":["0xabcdefabcdefabcdefabcdefabcdefabcdefab01"],
        "book":{book},"books":[{book}],"12":"5","other":"wORLD"}}"#
    )
}

fn fits(text: &str) -> Result<bool, Fault> {
    let parameters = parameters();
    let expression =
        Expression::parse(text, Scope::Parameters(&parameters)).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    expression.fits(&Arguments::of(&arguments(), &parameters))
}

#[test]
fn what_fits() {
    for text in [
        // Addresses, quoted or not, in any case.
        "from == 0xabcdefabcdefabcdefabcdefabcdefabcdefab01",
        "from == 0xABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFAB01",
        "from == '0xABCDEFabcdefabcdefabcdefabcdefabcdefab01'",
        "from == \"abcdefabcdefabcdefabcdefabcdefabcdefab01\"",
        "from != to",
        "from starts_with '0xABC' AND from ends_with 'AB01' AND from contains 'efab'",
        "from in [0x0000000000000000000000000000000000000001, 0xabcdefabcdefabcdefabcdefabcdefabcdefab01]",
        "from NOT in [0x0000000000000000000000000000000000000001]",
        "from in owners AND owners contains from",
        "to NOT in owners",
        // Exact integers.
        "value == 115792089237316195423570985008687907853269984665640564039457584007913129639935",
        "value > 115792089237316195423570985008687907853269984665640564039457584007913129639934",
        "value > 1.5 ether AND value > 30 gwei AND value >= 1e18",
        "value == 0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "delta < 0 AND delta == -7 AND -delta == 7 AND delta > '-8'",
        "delta * 2 + 1 == -13",
        "delta / 2 == -3.5 AND delta % 3 == -1",
        "2 + 3 * delta == -19 AND (2 + 3) * delta == -35",
        "1 - delta - 2 == 6 AND 1 - (delta - 2) == 10",
        "10 > delta AND 0.5 > delta",
        "amounts[2] == 9007199254740993",
        "delta in [-8, -7] AND delta NOT in [7]",
        // AND binds tighter than OR.
        "approved == true OR approved == false AND approved == false",
        "delta == 1 OR delta == -7 AND approved",
        "NOT delta == 1 AND NOT (delta == 1 OR approved == false)",
        "NOT NOT approved",
        // Texts, without regard to case.
        "name == 'hello, world äö'",
        "name contains 'WORLD' AND name starts_with 'hello' AND name ends_with 'äÖ'",
        "name contains other",
        "other == world",
        "other in ['x', 'World']",
        // Bytes.
        "data == 0xDEADbeef00 AND data starts_with 0xdead AND data contains 'BEEF' AND data ends_with '00'",
        "id == 0xA9059CBB AND id == 'a9059cbb'",
        // Flags.
        "approved AND approved == TRUE AND approved == 'true' AND approved != false",
        // Lists and tuples.
        "amounts contains 2 AND amounts contains '9007199254740993'",
        "2 in amounts AND 3 NOT in amounts",
        "amounts == '[1, \"2\", \"9007199254740993\"]' AND amounts != '[1]'",
        "owners contains 0xABCDEFabcdefabcdefabcdefabcdefabcdefab01",
        "book contains 'the book title' AND book contains 321 AND book contains 'USED'",
        "books contains 'The Book Title' AND books contains true",
        "book.title == 'THE BOOK TITLE' AND book.tags[1] == 'Used' AND book.0 starts_with 'The' AND book.meta.owner == from",
        "books[0].meta.1 AND books[0].pages + 1 == 322 AND books.0.pages == 321",
        "book.meta.owner in owners",
        // A parameter without a name, by its position.
        "12 == 5 AND 12 >= 4",
        // What is not there makes the comparison false, whatever the operator.
        "NOT amounts[3] == 1 AND NOT amounts[3] != 1 AND NOT amounts[3] NOT in [1]",
        // What stands behind what decides is not looked at.
        "approved OR value * value * value > 1",
        "delta == 1 AND 1 / (delta + 7) > 1 OR approved",
        "delta*delta>1",
        "\n  approved\tAND\n(delta<0)  ",
    ] {
        assert_eq!(fits(text), Ok(true), "{text}");
    }
    for text in
        ["delta > -7", "name == 'hello'", "from == to", "amounts contains 3", "book contains 'Title'", "NOT approved"]
    {
        assert_eq!(fits(text), Ok(false), "{text}");
    }
    assert_eq!(fits(&format!("from == {ALICE}")), Ok(true));
}

#[test]
fn what_has_no_answer_fits_nothing() {
    for text in [
        "value * value * value > 1",
        "1 / (delta + 7) > 0",
        "delta % (delta + 7) == 0",
        "NOT value * value * value > 1",
    ] {
        assert_eq!(fits(text), Err(Fault::Number), "{text}");
    }
}

#[test]
fn steps_are_bounded() {
    // A list of 60,000 that is looked through three times.
    let parameters = vec![("list".to_owned(), Kind::List(Box::new(Kind::Number))), ("text".to_owned(), Kind::Text)];
    let list: Vec<String> = (0..60_000).map(|n| format!("\"{n}\"")).collect();
    let text = "ä".repeat(400_000);
    let arguments = Arguments::of(&format!(r#"{{"list":[{}],"text":"{text}"}}"#, list.join(",")), &parameters);
    let fits = |text: &str| Expression::parse(text, Scope::Parameters(&parameters)).unwrap().fits(&arguments);
    assert_eq!(fits("list contains 5"), Ok(true));
    assert_eq!(fits("list contains 70000"), Err(Fault::Steps));
    assert_eq!(fits("text contains 'x'"), Ok(false));
    assert_eq!(fits("text contains 'x' OR text contains 'y'"), Err(Fault::Steps));
}

/// Text, character, words of the problem, words of the cure.
const WRONG: [(&str, usize, &str, &str); 55] = [
    ("", 0, "is empty", "leave the expression out"),
    ("   ", 0, "is empty", "leave the expression out"),
    ("value", 0, "is a number and no condition", "value > 1000"),
    ("5", 0, "is a value and no condition", "compare a variable"),
    ("value >", 7, "ends where a value should stand", "write a value"),
    ("value > AND to == from", 12, "`to` stands where", "join conditions"),
    ("vlaue > 1", 0, "no variable is called `vlaue`", "write `value`"),
    ("Value > 1", 0, "no variable is called `Value`", "write `value`; large and small letters count"),
    ("value > 1 and approved", 10, "`and` stands where", "write `AND`"),
    ("value > 1 && approved", 10, "`&&` is no operator", "write `AND`"),
    ("value = 1", 6, "`=` is no operator", "write `==`"),
    ("!approved", 0, "`!` is no operator", "write `NOT`"),
    ("value > 1 approved", 10, "`approved` stands where the expression is over", "join conditions by `AND`"),
    ("value > 'abc'", 8, "`abc` is not a number", "write a number"),
    ("value > abc", 8, "`abc` is not a number", "no variable has this name"),
    ("value contains 1", 0, "is a number: `contains`", "write `==`"),
    ("name > 'a'", 0, "is a text: `>` is for numbers", "contains"),
    ("approved > false", 0, "is true or false: `>`", "`==` or `!="),
    ("from == 0x12", 8, "`0x12` is not an address", "40 hex digits"),
    ("id == 0xa9059c", 6, "is not 4 bytes", "8 hex digits"),
    ("data == 0xabc", 8, "is not bytes", "even number"),
    ("from == value", 8, "is a number, and what it is compared with is an address", "one kind"),
    ("from == id", 8, "is 4 bytes, and", "one kind"),
    ("approved == 1", 12, "`1` is not true or false", "`true` or `false`"),
    ("value > 0xzz", 8, "`0xzz` is no hex", "a-f"),
    ("value > 1.2.3", 8, "is no number", "1.5"),
    ("value > 1.", 8, "is no number that can be written", "digits"),
    ("value > 1.5 wei", 8, "no whole number of wei", "at most 0 digits"),
    ("value > 1e99999", 8, "is no number that can be written", "2^511"),
    ("name == 'abc", 8, "the text has no end", "close it"),
    ("(value > 1", 10, "the end stands where `)` should", "close"),
    ("value > 1)", 9, "no `(` is open", "leave the `)` out"),
    ("1 < value < 3", 10, "`<` stands behind a comparison", "join two comparisons"),
    ("amounts[x] == 1", 7, "the brackets hold no position", "a[0]"),
    ("book.titel == 'a'", 4, "a tuple has no such part", "title, pages"),
    ("amounts.first == 1", 7, "a list has no such part", "position"),
    ("value[0] == 1", 5, "a number has no such part", "leave it away"),
    ("book. == 1", 4, "nothing stands behind the point", "a.b"),
    ("amounts == 5", 11, "`5` is not a list", "contains"),
    ("amounts contains 'x'", 17, "`x` is not a number", "write a number"),
    ("amounts starts_with 1", 0, "is a list", "contains"),
    ("value in []", 0, "empty list", "at least one"),
    ("value in [1 2]", 12, "without `,`", "put `,`"),
    ("value in 5", 9, "is no list", "a in [1, 2]"),
    ("value in [1, delta]", 13, "is a variable in a list", "OR"),
    ("from in amounts", 0, "is an address, and the list's elements are a number", "elements"),
    ("value NOT > 5", 10, "`NOT` stands behind a value", "NOT in"),
    ("5 == 5", 0, "compares values that are all written", "name a variable"),
    ("'a' contains 'b'", 0, "all written", "name a variable"),
    ("name + 1 == 2", 0, "is a text, which cannot be reckoned with", "numbers"),
    ("value + 'x' == 2", 8, "`x` is not a number", "write a number"),
    ("value > 1 / 0", 8, "is no number", "no zero"),
    ("(value > 1) + 2 == 3", 1, "is a condition where a value should stand", "compare values"),
    ("ä == 1", 0, "no variable is called `ä`", "known here"),
    ("name == 'ä' AND vlaue > 1", 16, "no variable is called `vlaue`", "write `value`"),
];

#[test]
fn what_is_wrong_is_told_at_its_character_with_a_cure() {
    let parameters = parameters();
    for (text, position, problem, cure) in WRONG {
        let wrong = Expression::parse(text, Scope::Parameters(&parameters)).expect_err(text);
        assert_eq!(wrong.position, position, "{text}: {wrong:?}");
        assert!(wrong.problem.contains(problem), "{text}: {wrong:?}");
        assert!(wrong.cure.contains(cure), "{text}: {wrong:?}");
    }
}

#[test]
fn sizes_are_bounded() {
    let parameters = parameters();
    let wrong = |text: String| Expression::parse(&text, Scope::Parameters(&parameters)).expect_err("too much").problem;
    assert!(wrong("value > 1 ".repeat(500)).contains("characters"));
    assert!(wrong(format!("{}approved{}", "(".repeat(33), ")".repeat(33))).contains("nests deeper"));
    assert!(wrong(format!("{}approved", "NOT ".repeat(33))).contains("nests deeper"));
    assert!(wrong(format!("value > {}1", "- ".repeat(33))).contains("nests deeper"));
    assert!(wrong(format!("12>1{}", " OR 12>1".repeat(171))).contains("parts"));
    assert!(wrong(format!("value in [{}]", "1,".repeat(257))).contains("list is too long"));
    assert!(wrong(format!("value > 1{}", " + 1".repeat(33))).contains("terms"));
    assert!(wrong(format!("book{} == 1", ".a".repeat(17))).contains("too deep"));
    let most = format!("{}approved{}", "(".repeat(32), ")".repeat(32));
    assert!(Expression::parse(&most, Scope::Parameters(&parameters)).is_ok());
}
