//! Exact numbers.

use alloy_primitives::{U256, aliases::I512};
use conditions::Number;
fn n(text: &str) -> Number {
    Number::read(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn are_read_exactly() {
    for (text, shown) in [
        ("0", "0"),
        ("-0", "0"),
        ("1_000", "1000"),
        ("1.50", "1.5"),
        ("0.05", "0.05"),
        ("1e18", "1000000000000000000"),
        ("1.5e1", "15"),
        ("25e-3", "0.025"),
        ("0xff", "255"),
        ("-12.25", "-12.25"),
        ("9007199254740993", "9007199254740993"),
    ] {
        assert_eq!(n(text).to_string(), shown, "{text}");
    }
    let most = format!("0x{}", "f".repeat(64));
    assert_eq!(n(&most), Number::from(U256::MAX));
    for bad in
        ["", "-", ".5", "5.", "1e", "1e999", "_1", "1_", "0x", "0xg", "1.2.3", "--1", "1e-40", "é", &"9".repeat(160)]
    {
        assert_eq!(Number::read(bad), None, "{bad}");
    }
    assert_eq!(Number::read(&format!("0x{}", "f".repeat(65))), None);
}

#[test]
fn reckon_exactly() {
    assert_eq!(n("5").by(n("2")), Some(n("2.5")));
    assert_eq!(n("1").by(n("3")).and_then(|third| third.times(n("3"))), Some(n("1")));
    assert_eq!(n("0.1").plus(n("0.2")), Some(n("0.3")));
    assert_eq!(n("-7").remainder(n("3")), Some(n("-1")));
    assert_eq!(n("7.5").remainder(n("2")), Some(n("1.5")));
    assert_eq!((n("1").by(n("0")), n("1").remainder(n("0"))), (None, None));
    let most = Number::from(U256::MAX);
    assert!(most.plus(n("1")).unwrap() > most);
    assert_eq!(most.times(most).and_then(|square| square.times(most)), None);
}

#[test]
fn compare_whatever_their_size() {
    // Neighbours so large that cross products have no room.
    let large = I512::MAX;
    let one = I512::ONE;
    let a = Number::fraction(large, large - one).unwrap();
    let b = Number::fraction(large - one, large - one - one).unwrap();
    assert!(a < b, "1 + 1/(n-1) < 1 + 1/(n-2)");
    assert!(b > a);
    assert!(a.negative().unwrap() > b.negative().unwrap());
    assert!(n("-1") < a);
}
