//! `headwater accept-gap`: lets the readers of a network go on although retention removed events before they were read (rule 12).
//!
//! Guarantee: exactly the sequences are given up that a stage which stands still wants next and the log no longer has whole; what is
//! there is not given up. The request names them, and stays: whoever reads the network later goes on over the same hole.

use std::collections::BTreeMap;

use schemas::{
    Network, TimeMs,
    records::{Asks, EnrichState, Request, Wanted, stage_status::stage},
    topics::{READING_GROUPS, TopicSpec},
};
use serde_json::Value;

use super::{
    Accept, new_id,
    state::{StatusRow, all, checkpoints, requests, statuses},
};
use crate::{exit::Failure, way::Way};

/// Finds what is missing, says it, and asks to go on without.
pub fn accept(args: &Accept) -> Result<(), Failure> {
    args.carry_out(ask)
}

async fn ask(way: &Way, network: &Network) -> Result<Vec<String>, Failure> {
    let statuses = statuses(way, network).await?;
    let mut known = requests(way).await?;
    let (mut said, mut stands) = (Vec::new(), false);
    for reader in READING_GROUPS {
        let (stage, &[headers, children]) = (reader.group, reader.topics) else { continue };
        let Some(status) = statuses.get(stage).filter(|s| s.state == EnrichState::Overtaken.as_str()) else { continue };
        stands = true;
        let Some(last) = status.sequence else {
            return Err(Failure::new(format!(
                "{stage} has not said yet which sequence of network `{network}` it stands before: ask again in some seconds"
            )));
        };
        let wanted = known.behind_gap(network, last + 1).map_or(last + 1, |(next, _)| next);
        let end = end_of(way, network, stage, &statuses).await?;
        let found = oldest_whole(way, network, headers, children, wanted).await?.unwrap_or(end + 1);
        if found <= wanted {
            said.push(format!(
                "{stage} wants sequence {wanted} next, which is in the log or still to come: it goes on within seconds"
            ));
            continue;
        }
        let now = TimeMs::now();
        let request = Request {
            id: new_id(network, now, &known),
            network: network.clone(),
            asks: Asks::AcceptGap { first: wanted, last: found - 1 },
            wanted: Wanted::Run,
            asked_at: now,
        };
        way.put(&request).await?;
        let above = status.height.map(|height| format!(", which come after height {height}")).unwrap_or_default();
        said.push(format!(
            "request {}: sequences {wanted} to {} of network `{network}`{above}, are given up: {} no longer has them. {stage} goes on \
             at {found} within seconds; `headwater backfill --again` brings the heights back once they are final",
            request.id,
            found - 1,
            headers.name,
        ));
        known.0.insert(request.id.clone(), request);
    }
    if !stands {
        return Err(Failure::new(format!(
            "no stage stands before a gap of network `{network}`: there is nothing to accept; `headwater status` tells the states"
        )));
    }
    Ok(said)
}

/// The last sequence that was written to what the stage reads.
async fn end_of(
    way: &Way,
    network: &Network,
    stage: &str,
    statuses: &BTreeMap<String, StatusRow>,
) -> Result<u64, Failure> {
    let end = match stage {
        stage::SINK => statuses.get(stage::ENRICH).and_then(|s| s.sequence),
        _ => checkpoints(way, Some(network)).await?.get(network).map(|c| c.sequence),
    };
    Ok(end.unwrap_or(0))
}

/// The lowest sequence from `wanted` on from which every event is whole in the log; `None`: none is.
async fn oldest_whole(
    way: &Way,
    network: &Network,
    headers: TopicSpec,
    children: TopicSpec,
    wanted: u64,
) -> Result<Option<u64>, Failure> {
    // Retention takes the oldest away: the first child that is left says which events have all of theirs.
    let mut first_child = None;
    way.each_line(children, all(Some(network)), async |line| {
        first_child = Meta::of(line)?;
        Ok(first_child.is_none())
    })
    .await?;
    // An event whose first children are gone is not whole.
    let whole_from = first_child.map(|child| child.sequence + u64::from(child.index.unwrap_or(0) > 0));
    let mut found: Option<u64> = None;
    way.each_line(headers, all(Some(network)), async |line| {
        let Some(header) = Meta::of(line)?.filter(|h| h.op != "finality" && h.sequence >= wanted) else {
            return Ok(true);
        };
        let lacks = header.children() > 0 && whole_from.is_none_or(|from| header.sequence < from);
        found = match lacks {
            true => Some(header.sequence + 1),
            false => found.or(Some(header.sequence)),
        };
        // From here on nothing is lacking.
        Ok(whole_from.is_none_or(|from| header.sequence < from))
    })
    .await?;
    Ok(found)
}

/// What the headers of a chain record say.
#[derive(Debug, PartialEq, Eq)]
struct Meta {
    sequence: u64,
    op: String,
    index: Option<u64>,
    tx_count: Option<u64>,
}

impl Meta {
    fn of(line: &str) -> Result<Option<Self>, Failure> {
        let record: Value = serde_json::from_str(line)?;
        let headers = &record["headers"];
        let number = |name: &str| headers[name].as_str().and_then(|text| text.parse().ok());
        Ok(number("sequence").zip(headers["op"].as_str()).map(|(sequence, op)| Self {
            sequence,
            op: op.to_owned(),
            index: number("index"),
            tx_count: number("tx_count"),
        }))
    }

    /// Child records that belong to a header record.
    fn children(&self) -> u64 {
        if self.op == "revert" { 1 } else { self.tx_count.unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime::log::{
        Log, NewRecord, TopicPartition, Transaction,
        embedded::{EmbeddedConfig, EmbeddedLog},
    };
    use schemas::{codec::Codec, topics};

    use super::*;

    const AT: [TopicSpec; 2] = [topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS];

    fn record(topic: TopicSpec, network: &str, sequence: u64, op: &str, more: (&str, u64)) -> NewRecord {
        let header = |name: &str, value: String| (name.into(), value.into());
        NewRecord {
            to: TopicPartition { topic: topic.name, partition: 0 },
            key: Some(network.to_owned().into()),
            value: Some("x".into()),
            headers: vec![
                header("network", network.into()),
                header("sequence", sequence.to_string()),
                header("op", op.into()),
                header(more.0, more.1.to_string()),
            ],
        }
    }

    /// What is left of headers (sequence, transactions) and children (sequence, index); what is found from sequence 5 on.
    async fn found(headers: &[(u64, u64)], children: &[(u64, u64)]) -> Option<u64> {
        let dir = tempfile::tempdir().expect("a folder");
        let log = EmbeddedLog::open(EmbeddedConfig::new(dir.path())).await.expect("a log");
        log.ensure_topics(&AT, 1).await.expect("topics");
        let mut records =
            vec![record(AT[0], "other", 1, "apply", ("tx_count", 0)), record(AT[1], "other", 1, "apply", ("index", 3))];
        records.extend(headers.iter().map(|(s, n)| record(AT[0], "n", *s, "apply", ("tx_count", *n))));
        records.extend(children.iter().map(|(s, i)| record(AT[1], "n", *s, "apply", ("index", *i))));
        records.push(record(AT[0], "n", 99, "finality", ("tx_count", 0)));
        let mut producer = log.producer("p").await.expect("producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("commit");
        let way = Way::within(log.clone(), Arc::new(Codec::builtin()));
        let found = oldest_whole(&way, &"n".parse().expect("a slug"), AT[0], AT[1], 5).await.expect("read");
        log.close().await.expect("closed");
        found
    }

    #[tokio::test]
    async fn what_is_whole_is_not_given_up_and_what_is_not_is() {
        assert_eq!(found(&[(7, 2), (8, 1)], &[(7, 0), (7, 1), (8, 0)]).await, Some(7));
        assert_eq!(found(&[(7, 2), (8, 1)], &[(7, 1), (8, 0)]).await, Some(8), "the first child is gone");
        assert_eq!(found(&[(7, 2), (8, 1)], &[(4, 0), (5, 0), (6, 0), (7, 0), (7, 1), (8, 0)]).await, Some(7));
        assert_eq!(found(&[(7, 0), (8, 1), (9, 1)], &[(9, 0)]).await, Some(9), "an empty one before a broken one");
        assert_eq!(found(&[(7, 0), (8, 0)], &[]).await, Some(7));
        assert_eq!(found(&[(7, 1), (8, 1)], &[]).await, Some(9), "the next one that comes");
        assert_eq!(found(&[(3, 1), (4, 1), (5, 1)], &[(4, 0), (5, 0)]).await, Some(5));
        assert_eq!(found(&[], &[]).await, None);
    }
}
