//! What whoever begins to publish compares first: the topics, as they are, with the store.
//!
//! Guarantee: afterwards everything that the log says otherwise than the store is unpublished, under a revision that is higher than any
//! that the log has of it. So a store that was put back from a backup, or made anew, counts from its next change on and not only when
//! it has caught up with its former self; a log that was made anew gets everything; and what the log has and the store does not know (of a
//! tenant that is not there, too) is removed there. Keys of other kinds (`network`, `request`, those of later versions) are not the store's: they are neither written nor
//! removed, so partitions that ingest has recorded stay as they are.

use std::{cmp::Ordering, collections::HashMap};

use runtime::log::{Log, LogError, Record, fold};
use schemas::{
    Network,
    codec::Codec,
    headers::names,
    records::{ControlConfig, ControlTenant, OperatorContract},
};

use super::{
    error::PublishError,
    records,
    rows::{KINDS, Kind, Place, begin},
    since::Since,
};
use crate::{
    db::{Db, Value},
    error::Error,
    sql::SystemSql,
};

/// Rows that are compared at a time.
const PAGE: i64 = 500;

// Not `o.kind = 'contract'`: SQLite would sort anew what the index has in order.
const ALL: SystemSql = SystemSql(
    "SELECT o.tenant_id AS first, o.id AS second, o.revision, o.published, \
     CAST(CASE WHEN c.id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS there FROM outbox o \
     LEFT JOIN tenants t ON t.tenant_id = o.tenant_id AND t.suspended_at IS NULL \
     LEFT JOIN tenant_contracts c ON c.tenant_id = t.tenant_id AND c.id = o.id \
     WHERE o.kind || '' = 'contract' AND (o.tenant_id, o.kind, o.id) > ($1, 'contract', $2) \
     ORDER BY o.tenant_id, o.kind, o.id LIMIT $3",
);
const ALL_DEFINITIONS: SystemSql = SystemSql(
    "SELECT o.tenant_id AS first, o.id AS second, o.revision, o.published, \
     CAST(CASE WHEN d.id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS there FROM outbox o \
     LEFT JOIN tenants t ON t.tenant_id = o.tenant_id AND t.suspended_at IS NULL \
     LEFT JOIN tenant_definitions d ON d.tenant_id = t.tenant_id AND d.kind = o.kind AND d.id = o.id \
     WHERE o.kind || '' = $4 AND (o.tenant_id, o.kind, o.id) > ($1, $4, $2) \
     ORDER BY o.tenant_id, o.kind, o.id LIMIT $3",
);
const ALL_CONTRACTS: SystemSql = SystemSql(
    "SELECT o.network AS first, o.address AS second, o.revision, o.published, \
     CAST(CASE WHEN COALESCE(c.id, t.id) IS NULL THEN 0 ELSE 1 END AS BIGINT) AS there FROM config_outbox o \
     LEFT JOIN operator_contracts c ON c.network = o.network AND c.address = o.address \
     LEFT JOIN tenant_contracts t ON t.tenant_id = '00000000000000000000000000' AND t.network = o.network \
     AND t.address = o.address AND CAST($4 AS BIGINT) = 1 \
     WHERE o.kind = 'contract' AND (o.network, o.address) > ($1, $2) ORDER BY o.network, o.address LIMIT $3",
);
const ALL_WATCHED: SystemSql = SystemSql(
    "SELECT o.network AS first, o.address AS second, o.revision, o.published, CAST(CASE \
     WHEN EXISTS (SELECT 1 FROM operator_contracts c WHERE c.network = o.network AND c.address = o.address) THEN 1 \
     WHEN EXISTS (SELECT 1 FROM tenant_contracts t WHERE t.network = o.network AND t.address = o.address AND NOT EXISTS \
     (SELECT 1 FROM tenants i WHERE i.tenant_id = t.tenant_id AND i.importing_at IS NOT NULL)) THEN 1 \
     ELSE 0 END AS BIGINT) AS there FROM config_outbox o \
     WHERE o.kind = 'watched' AND (o.network, o.address) > ($1, $2) ORDER BY o.network, o.address LIMIT $3",
);
/// Publishes again, under a revision above the one that the log has.
const RAISE: SystemSql = SystemSql(
    "INSERT INTO outbox (tenant_id, kind, id, revision, published) VALUES ($1, $5, $2, $3, $4) \
     ON CONFLICT (tenant_id, kind, id) DO UPDATE SET published = 0, \
     revision = CASE WHEN outbox.revision < $3 THEN $3 ELSE outbox.revision END",
);
const RAISE_CONFIG: SystemSql = SystemSql(
    "INSERT INTO config_outbox (kind, network, address, revision, published) VALUES ($5, $1, $2, $3, $4) \
     ON CONFLICT (kind, network, address) DO UPDATE SET published = 0, \
     revision = CASE WHEN config_outbox.revision < $3 THEN $3 ELSE config_outbox.revision END",
);

/// What was added while the door let in holders of keys is everybody's too once it lets in everybody.
const EVERYBODYS: SystemSql = SystemSql(
    "INSERT INTO config_outbox (kind, network, address, revision, published) \
     SELECT 'contract', network, address, 1, 0 FROM tenant_contracts WHERE tenant_id = '00000000000000000000000000' \
     ON CONFLICT (kind, network, address) DO NOTHING",
);

pub(crate) const STATEMENTS: &[(&str, SystemSql)] = &[
    ("publisher: all tenants' contracts", ALL),
    ("publisher: all definitions", ALL_DEFINITIONS),
    ("publisher: all operator's contracts", ALL_CONTRACTS),
    ("publisher: all watched addresses", ALL_WATCHED),
    ("publisher: what is everybody's now", EVERYBODYS),
];

/// What the log has under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said {
    revision: u64,
    there: bool,
}

type AllSaid = HashMap<(Kind, Place), Said>;

/// Compares, and marks in the store what is to be published. How many things that were.
/// `public`: as for [`unpublished`](super::rows::unpublished). `since`: filled with what the log says.
pub(super) async fn take_over(
    db: &Db,
    log: &dyn Log,
    codec: &Codec,
    public: bool,
    since: &mut Since,
) -> Result<usize, PublishError> {
    let mut said = AllSaid::default();
    if public {
        let mut tx = begin(db, true).await?;
        let done = tx.system(EVERYBODYS, &[]).await.map(drop);
        tx.end(done).await?;
    }
    for kind in [Kind::Watched, Kind::OfTenant] {
        let each = |record: Record| {
            take(&mut said, since, codec, &record);
            Ok::<(), LogError>(())
        };
        fold(log, records::place(kind), each).await?;
    }
    let mut changed = 0;
    for kind in KINDS {
        let mut after = Place::default();
        loop {
            let (page, steps) = compare(db, kind, &after, &mut said, public).await?;
            raise(db, &steps).await?;
            changed += steps.len();
            match page {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    // What the store does not know: removed where it is there, and never again below the revision that it had. Ids of tenants' things do
    // not come again: of those of a tenant that was deleted nothing is remembered.
    let unknown: Vec<Step> = said
        .into_iter()
        .filter(|((kind, _), said)| said.there || matches!(kind, Kind::Watched | Kind::Contract))
        .map(|((kind, place), said)| {
            let (revision, published) =
                if said.there { (said.revision + 1, 0) } else { (said.revision, said.revision) };
            Step { kind, place, revision, published }
        })
        .collect();
    for steps in unknown.chunks(PAGE as usize) {
        raise(db, steps).await?;
        changed += steps.iter().filter(|step| step.published < step.revision).count();
    }
    Ok(changed)
}

fn take(said: &mut AllSaid, since: &mut Since, codec: &Codec, record: &Record) {
    let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let Some(place) = key.and_then(|key| place_of(record.from.topic, key)) else { return };
    let header = || record.header(names::REVISION).and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
    let inside = || {
        let value = record.value.as_ref()?;
        match place.0 {
            Kind::OfTenant | Kind::Defined(_) => {
                codec.decode::<ControlTenant>(value).ok().map(|record| record.revision)
            }
            _ => match codec.decode::<ControlConfig>(value).ok()? {
                ControlConfig::Watched(watched) => Some(watched.revision),
                ControlConfig::Contract(OperatorContract { revision, .. }) => Some(revision),
                _ => None,
            },
        }
    };
    let revision = header().or_else(inside).unwrap_or(0);
    let known = said.entry(place.clone()).or_default();
    if revision >= known.revision || record.value.is_none() {
        since.take(codec, place.0, &place.1, record);
        *known = Said { revision: revision.max(known.revision), there: record.value.is_some() };
    }
}

/// Which thing of the store a key is about; `None`: none of its.
fn place_of(topic: &str, key: &str) -> Option<(Kind, Place)> {
    let mut parts = key.splitn(3, '/').map(str::to_owned);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    KINDS.into_iter().filter(|kind| records::place(*kind).topic == topic).find_map(|kind| match kind {
        Kind::OfTenant | Kind::Defined(_) => (b == kind.word()).then(|| (kind, Place(a.clone(), c.clone()))),
        _ => (a == kind.word() && b.parse::<Network>().is_ok()).then(|| (kind, Place(b.clone(), c.clone()))),
    })
}

/// A row that is made, or raised to this revision.
struct Step {
    kind: Kind,
    place: Place,
    revision: u64,
    published: u64,
}

/// Compares a page, which is taken out of `said`. Its last row, if there may be more behind it, and what is to be done.
async fn compare(
    db: &Db,
    kind: Kind,
    after: &Place,
    said: &mut AllSaid,
    public: bool,
) -> Result<(Option<Place>, Vec<Step>), Error> {
    let sql = match kind {
        Kind::Watched => ALL_WATCHED,
        Kind::Contract => ALL_CONTRACTS,
        Kind::OfTenant => ALL,
        Kind::Defined(_) => ALL_DEFINITIONS,
    };
    let mut tx = begin(db, false).await?;
    let mut values = vec![Value::from(&after.0), Value::from(&after.1), PAGE.into()];
    values.extend(kind.more(public));
    let rows = tx.system(sql, &values).await;
    let rows = tx.end(rows).await?;
    let mut last = None;
    let mut steps = Vec::new();
    for row in &rows {
        let place = Place(row.text("first")?, row.text("second")?);
        let number = |column| row.int(column).map(|n| u64::try_from(n).unwrap_or(0));
        let (revision, published, there) = (number("revision")?, number("published")?, number("there")? == 1);
        last = Some(place.clone());
        let known = said.remove(&(kind, place.clone())).unwrap_or_default();
        if differs(known, Said { revision, there }, published < revision) {
            steps.push(Step { kind, place, revision: known.revision + 1, published: 0 });
        }
    }
    Ok((last.filter(|_| rows.len() as i64 == PAGE), steps))
}

/// Whether what the log says of a thing has to be put right, beyond what is unpublished anyway.
fn differs(log: Said, store: Said, unpublished: bool) -> bool {
    match log.revision.cmp(&store.revision) {
        // The store is not the one that wrote this.
        Ordering::Greater => true,
        Ordering::Equal => log.there != store.there,
        // A removal may have been compacted away.
        Ordering::Less => !unpublished && (log.there || store.there),
    }
}

async fn raise(db: &Db, steps: &[Step]) -> Result<(), Error> {
    if steps.is_empty() {
        return Ok(());
    }
    let mut tx = begin(db, true).await?;
    let done = async {
        for Step { kind, place: Place(first, second), revision, published } in steps {
            let number = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
            let mut values = vec![Value::from(first), second.into(), number(*revision), number(*published)];
            values.push(kind.word().into());
            match kind {
                Kind::OfTenant | Kind::Defined(_) => tx.system(RAISE, &values).await?,
                Kind::Watched | Kind::Contract => tx.system(RAISE_CONFIG, &values).await?,
            };
        }
        Ok(())
    };
    let done = done.await;
    tx.end(done).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_log_says_otherwise_is_put_right() {
        let said = |revision, there| Said { revision, there };
        for (what, log, store, unpublished, expected) in [
            ("all is well", said(3, true), said(3, true), false, false),
            ("marked too late", said(3, true), said(3, true), true, false),
            ("changed since", said(3, true), said(4, true), true, false),
            ("removed since", said(3, true), said(4, false), true, false),
            ("a removal", said(4, false), said(4, false), false, false),
            ("a removal that was compacted away", said(0, false), said(4, false), false, false),
            ("a log that was made anew", said(0, false), said(4, true), false, true),
            ("a log that was put back", said(3, true), said(4, true), false, true),
            ("a log that was put back before a removal", said(3, true), said(4, false), false, true),
            ("a store that was put back", said(5, true), said(4, true), false, true),
            ("a store that was put back before a removal", said(5, false), said(4, true), false, true),
            ("a store that was put back and changed", said(5, true), said(5, false), true, true),
        ] {
            assert_eq!(differs(log, store, unpublished), expected, "{what}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_not_the_stores() {
        let (config, tenants) = (records::place(Kind::Watched).topic, records::place(Kind::OfTenant).topic);
        let place = |a: &str, b: &str| Place(a.to_owned(), b.to_owned());
        assert_eq!(place_of(config, "watched/n/0xa"), Some((Kind::Watched, place("n", "0xa"))));
        assert_eq!(place_of(config, "contract/n/0xa"), Some((Kind::Contract, place("n", "0xa"))));
        assert_eq!(place_of(tenants, "T/contract/C"), Some((Kind::OfTenant, place("T", "C"))));
        for key in ["network/n", "request/a", "budget/n/a", "watched/n", "watched/No Slug/a", ""] {
            assert_eq!(place_of(config, key), None, "{key}");
        }
        let monitor = Kind::Defined(schemas::records::DefinitionKind::Monitor);
        assert_eq!(place_of(tenants, "T/monitor/M"), Some((monitor, place("T", "M"))));
        for key in ["T/backtest/C", "watched/n/0xa", "T/contract"] {
            assert_eq!(place_of(tenants, key), None, "{key}");
        }
    }
}
