//! What the clients are told: where the store is, and what the stages' user reads there, to compare with.

use crate::common::Headwater;
use std::collections::BTreeMap;
use std::fmt;

/// Named texts without line breaks. Displayed as lines of `name=value`.
pub struct Facts(BTreeMap<String, String>);

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name}={value}"))
    }
}

/// Names of what is read, and the statement that reads it: one row. Times are whole Unix seconds where a name ends in `_s`.
const READ: &[(&[&str], &str)] = &[
    (&["version"], "SELECT version()"),
    (&["blocks", "head"], "SELECT count(), max(number) FROM blocks"),
    (
        &["transactions", "failed", "value_sum", "value_max", "first_s", "last_s"],
        "SELECT count(), countIf(status = 'failed'), sum(value), max(value), min(toUnixTimestamp(toDateTime(block_timestamp))),
            max(toUnixTimestamp(toDateTime(block_timestamp))) FROM transactions",
    ),
    (
        // The second at which about half of the transactions have come.
        &["middle_s", "until_middle"],
        "WITH (SELECT toUnixTimestamp(toDateTime(quantileExactLow(block_timestamp))) FROM transactions) AS middle
        SELECT middle, countIf(block_timestamp <= toDateTime(middle)) FROM transactions",
    ),
    (
        // The largest amount of a hash that occurs once.
        &["rich_hash", "rich_value", "rich_fee", "rich_time_ms"],
        "SELECT hash, max(value), max(fee), max(toUnixTimestamp64Milli(toDateTime64(block_timestamp, 3)))
        FROM transactions GROUP BY hash HAVING count() = 1 AND max(fee) IS NOT NULL ORDER BY max(value) DESC, hash LIMIT 1",
    ),
    (
        &["log_transaction", "log_index", "log_topics"],
        "SELECT transaction_hash, log_index, arrayStringConcat(any(topics), ',') FROM evm_logs
        GROUP BY transaction_hash, log_index HAVING count() = 1 AND length(any(topics)) > 2 ORDER BY 1, 2 LIMIT 1",
    ),
    (
        &["relations", "views"],
        "SELECT arrayStringConcat(arraySort(groupArray(name)), ','), arrayStringConcat(arraySort(groupArrayIf(name, engine = 'View')), ',')
        FROM system.tables WHERE database = 'headwater'",
    ),
    (&["statuses"], "SELECT arrayStringConcat(arraySort(groupUniqArray(toString(status))), ',') FROM transactions"),
    (
        &["columns"],
        "SELECT arrayStringConcat(arraySort(groupArray(name)), ',') FROM system.columns WHERE database = 'headwater' AND table = 'transactions'",
    ),
];

impl Facts {
    pub async fn read(headwater: &Headwater) -> Self {
        let address = headwater.sql.strip_prefix("http://").expect("http");
        let (host, port) = address.rsplit_once(':').expect("a port");
        let stages = headwater.stages_password(|| headwater.said()).await;
        let analyst = headwater.analyst_password().expect("a password");
        let mut facts: BTreeMap<String, String> = [
            ("host", host),
            ("port", port),
            ("database", "headwater"),
            ("network", "eth"),
            ("analyst_user", "analyst"),
            ("analyst_password", &analyst),
            ("stages_user", "headwater"),
            ("stages_password", &stages),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let http = reqwest::Client::new();
        for (names, statement) in READ {
            let request = http.post(format!("{}/?database=headwater&default_format=TSVRaw", headwater.sql));
            let answer =
                request.basic_auth("headwater", Some(&stages)).body(*statement).send().await.expect("an answer");
            let text = answer.text().await.expect("text");
            let values: Vec<_> = text.trim_end_matches('\n').split('\t').collect();
            assert_eq!(values.len(), names.len(), "{statement}: {text}");
            facts.extend(names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned())));
        }
        let facts = Self(facts);
        // Figures that would hold for empty or small tables prove nothing.
        assert!(facts.number("failed") > 0 && facts.number("failed") < facts.number("transactions"), "{facts}");
        assert!(
            facts.number("until_middle") > 0 && facts.number("until_middle") < facts.number("transactions"),
            "{facts}"
        );
        assert!(facts.number("rich_value") > u128::from(u64::MAX), "{facts}");
        assert!(facts.get("views").contains("transactions"), "{facts}");
        facts
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no fact {name}"))
    }

    fn number(&self, name: &str) -> u128 {
        self.get(name).parse().unwrap_or_else(|_| panic!("{name} is {}", self.get(name)))
    }
}
