//! Series as CSV (RFC 4180): a row for each metric and step.

use crate::items::{Figure, MetricSeriesItem};

/// The columns, in their order.
pub const COLUMNS: [&str; 10] =
    ["network", "contract", "step", "at", "metric", "unit", "value", "complete", "source", "reason"];

/// Series of a network, or of one of its contracts, in these steps, with a header; null is empty.
///
/// # Errors
/// None that is ours: it is written into memory.
pub fn of(
    (network, contract): (&str, Option<&str>),
    step: &str,
    series: &[MetricSeriesItem],
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for one in series {
        for point in &one.points {
            let value = match &point.value {
                None => String::new(),
                Some(Figure::Count(count)) => count.to_string(),
                Some(Figure::Number(number)) => number.to_string(),
                Some(Figure::Amount(amount)) => amount.clone(),
            };
            let complete = if point.complete { "true" } else { "false" };
            let reason = point.reason.as_deref().unwrap_or_default();
            let contract = contract.unwrap_or_default();
            writer.write_record([
                network,
                contract,
                step,
                &point.at,
                &one.metric,
                &one.unit,
                &value,
                complete,
                &point.source,
                reason,
            ])?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::PointItem;

    #[test]
    fn a_row_is_a_metric_of_a_step() {
        let point = |value, reason: Option<&str>| PointItem {
            at: "2026-01-31T12:00:00.000Z".into(),
            value,
            complete: reason.is_none(),
            source: "windows".into(),
            reason: reason.map(str::to_owned),
        };
        let series = [
            MetricSeriesItem {
                metric: "fee_total".into(),
                unit: "amount".into(),
                points: vec![point(Some(Figure::Amount("12".into())), None), point(None, Some("a gap, of 2 blocks"))],
            },
            MetricSeriesItem {
                metric: "failed".into(),
                unit: "count".into(),
                points: vec![point(Some(Figure::Count(3)), None), point(Some(Figure::Number(0.25)), None)],
            },
        ];
        let text = String::from_utf8(of(("a", None), "1m", &series).expect("written")).expect("text");
        let rows: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(rows.len(), 6, "{text}");
        assert_eq!(rows[0], COLUMNS.join(","));
        assert_eq!(rows[1], "a,,1m,2026-01-31T12:00:00.000Z,fee_total,amount,12,true,windows,");
        assert_eq!(rows[2], "a,,1m,2026-01-31T12:00:00.000Z,fee_total,amount,,false,windows,\"a gap, of 2 blocks\"");
        assert_eq!((rows[3].split(',').nth(6), rows[4].split(',').nth(6)), (Some("3"), Some("0.25")));
    }
}
