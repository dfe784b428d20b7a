//! The time in an id: ULIDs (<https://github.com/ulid/spec>) as text sort by it, so that a range of times is a range of ids.

use schemas::TimeMs;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of an id, and those of them that are its time: 48 bits of milliseconds since 1970.
const CHARACTERS: (usize, usize) = (26, 10);

/// The time in an id; `None`: it is none.
pub(crate) fn time(id: &str) -> Option<TimeMs> {
    let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte);
    if id.len() != CHARACTERS.0 || !id.bytes().all(|byte| digit(byte).is_some()) {
        return None;
    }
    let time = id
        .bytes()
        .take(CHARACTERS.1)
        .try_fold(0_i64, |time, byte| i64::try_from(digit(byte)?).ok().map(|digit| time << 5 | digit))?;
    (time < 1 << 48).then_some(TimeMs(time))
}

/// A text that is not above the ids of a time and later ones, and above all earlier ones.
pub(crate) fn floor(time: TimeMs) -> String {
    let time = time.0.clamp(0, (1 << 48) - 1);
    let digit = |place: usize| {
        let digit = usize::try_from(time >> (5 * place) & 31).unwrap_or_default();
        char::from(ALPHABET.get(digit).copied().unwrap_or(b'0'))
    };
    (0..CHARACTERS.1).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_specification_and_ids_lie_above_the_floor_of_theirs() {
        let id = "01ARYZ6S41TSV4RRFFQ69G5FAV";
        let at = TimeMs(1_469_918_176_385);
        assert_eq!(time(id), Some(at));
        assert_eq!(floor(at), "01ARYZ6S41");
        assert!(*floor(at) <= *id && *id < *floor(TimeMs(at.0 + 1)));
        assert_eq!((floor(TimeMs(-5)), floor(TimeMs(i64::MAX))), ("0".repeat(10), "7ZZZZZZZZZ".to_owned()));
        for wrong in ["", "x", &id.to_lowercase(), "81ARYZ6S41TSV4RRFFQ69G5FAV", "01ARYZ6S41TSV4RRFFQ69G5FAVV"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
