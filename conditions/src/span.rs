//! Durations as definitions write them: `"90s"`, `"5m"`, `"1h"`, `"1d"`.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

/// What to write instead of what is none.
pub const CURE: &str = "write a whole number and a unit, `s`, `m`, `h` or `d`: \"90s\", \"5m\", \"1h\"";

/// Reads one: a whole number and a unit.
pub fn read(text: &str) -> Option<Duration> {
    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// The one form in which it is written: in hours, minutes or seconds, the longest of them that it is a whole number of.
pub fn text(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
