//! Lists that must be equal, and times in order.

use crate::failure::Failure;
use std::time::Duration;

/// # Errors
/// The first difference.
pub(crate) fn same(what: &str, stored: &[String], wanted: &[String]) -> Result<(), Failure> {
    if stored == wanted {
        return Ok(());
    }
    let at = stored.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let [there, expected] = [stored, wanted].map(|list| list.get(at).map_or("nothing", String::as_str));
    Err(format!(
        "{what}: {} rows, {} expected; the first difference: {there:?} where {expected:?} should be",
        stored.len(),
        wanted.len()
    )
    .into())
}

/// What so many of a hundred do not exceed, of durations in order; `None` of none.
pub(crate) fn percentile(sorted: impl ExactSizeIterator<Item = Duration>, percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.take(rank).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let [a, b] = [["1 x".to_owned(), "2 y".to_owned()], ["1 x".to_owned(), "2 z".to_owned()]];
        assert!(same("blocks", &a, &a).is_ok());
        let told = same("blocks", &a, &b).expect_err("they differ").to_string();
        assert!(told.contains("2 y") && told.contains("2 z"), "{told}");
        assert!(same("blocks", &a[..1], &a).expect_err("one lacks").to_string().contains("nothing"));
    }
}
