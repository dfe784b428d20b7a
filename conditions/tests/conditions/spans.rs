//! Durations.

use conditions::span::{read, text};
#[test]
fn are_read_and_written() {
    for (from, seconds, to) in [
        ("90s", 90, "90s"),
        ("60s", 60, "1m"),
        ("5m", 300, "5m"),
        ("24h", 86_400, "24h"),
        ("1d", 86_400, "24h"),
        ("0m", 0, "0s"),
    ] {
        let span = read(from).unwrap();
        assert_eq!((span.as_secs(), text(span).as_str()), (seconds, to), "{from}");
        assert_eq!(read(&text(span)), Some(span));
    }
    for bad in ["", "s", "5", "-5m", "1.5h", "5 m", "5M", "+5m", "99999999999999999999d", "18446744073709551615d"] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
}
