//! What people are told. Pure.

use std::time::Duration;

use schemas::limits::STORE_WARNS;

use super::{forecast::Growth, plan::Part};

/// What is to be known of `max_bytes`: that it is near, and what goes then; or that it cannot be kept to.
pub(super) fn warning(
    bytes: u64,
    most: u64,
    (growth, left): (Growth, Option<Duration>),
    next: Option<&Part>,
) -> Option<String> {
    let what = next.map(|part| {
        format!(
            "first rows of {} below height {} (blocks until {}, {})",
            part.network,
            part.end,
            &part.newest.rfc3339()[..10],
            size(part.bytes)
        )
    });
    if bytes > most {
        return Some(format!(
            "the store's tables take {} of `[store] max_bytes` = {}, and nothing more may go: of each network only the newest partition is \
             left. Raise max_bytes, or follow fewer networks",
            size(bytes),
            size(most)
        ));
    }
    let left = left.filter(|left| *left < STORE_WARNS)?;
    let time = match left.as_secs() {
        s @ ..172_800 => format!("{} hours", (s / 3_600).max(1)),
        s => format!("{} days", s / 86_400),
    };
    let what =
        what.unwrap_or_else(|| "but nothing may go then: of each network only the newest partition is left".to_owned());
    Some(format!(
        "the store's tables take {} of `[store] max_bytes` = {} and grow by {} a day: in about {time} the oldest go, {what}. Raise max_bytes, \
         or say by `keep` how long rows are wanted",
        size(bytes),
        size(most),
        size(growth.0 as u64)
    ))
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn days_before_it_bites_it_is_said_what_goes() {
        let part =
            Part { network: "eth".into(), number: 3, end: 200_704, bytes: 5 * GIB, newest: TimeMs(1_700_000_000_000) };
        let told = |bytes: u64, a_day: u64, next: Option<&Part>| {
            let growth = Growth(a_day as f64);
            warning(bytes * GIB, 100 * GIB, (growth, growth.until(bytes * GIB, 100 * GIB)), next)
        };
        assert_eq!(told(60, 5 * GIB, Some(&part)), None, "eight days");
        let words = told(80, 5 * GIB, Some(&part)).expect("four days");
        for piece in [
            "80.0 GiB of `[store] max_bytes` = 100.0 GiB",
            "5.0 GiB a day",
            "in about 4 days",
            "rows of eth below height 200704 (blocks until 2023-11-14, 5.0 GiB)",
        ] {
            assert!(words.contains(piece), "{piece}: {words}");
        }
        let words = told(99, 24 * GIB, None).expect("an hour");
        assert!(words.contains("1 hours") && words.contains("nothing may go"), "{words}");
        let words = told(101, 0, None).expect("too much");
        assert!(words.contains("nothing more may go"), "{words}");
        assert_eq!(told(99, 0, Some(&part)), None, "it does not grow");
    }
}
