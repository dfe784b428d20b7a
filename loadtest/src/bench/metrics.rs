//! What a page of metrics in the Prometheus text format says.

use std::collections::BTreeMap;

/// A metric by its labels, such as `stage=sink,purpose=audit`; empty where nothing is told of it.
pub(crate) fn counted(page: &str, name: &str) -> BTreeMap<String, f64> {
    let mut counted: BTreeMap<String, f64> = BTreeMap::new();
    for line in page.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let Some((labels, value)) = rest.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let named = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}'));
        if named.is_none() && !labels.is_empty() {
            continue;
        }
        *counted.entry(named.unwrap_or_default().replace('"', "")).or_default() += value;
    }
    counted
}
