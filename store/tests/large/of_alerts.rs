//! What is asked of alerts, messages and matches: bounds on what is read, however many a tenant has.

use std::time::Instant;

use schemas::{TimeMs, limits};
use store::{
    Store,
    query::{AlertFilter, DeliveryFilter, MatchFilter, Whose},
};

use crate::{
    generate::run,
    harness::Running,
    questions::{Asked, PARTS},
};

/// Rows of a granule of these tables.
const GRANULE: u64 = 1_024;
/// Alerts of each tenant, with five transitions and two attempts to tell of each; matches of a monitor.
const ALERTS: u64 = 200_000;
const MATCHES: u64 = 2_000_000;
/// Monitors, and all of them together, of which something was left out at the time of each alert.
const LEFT_OUT: u64 = 10;
/// Time from one to the next, milliseconds: alerts of two months, matches of three weeks.
const EVERY_MS: (u64, u64) = (26_000, 900);
const TENANTS: [&str; 2] = ["01J00000000000000000000001", "01J00000000000000000000002"];
/// One state of so many alerts is another than that of the rest.
const RARE: u64 = 50_000;

/// The id of the `n`th alert or message at a time: its time in Crockford's base 32, and its number.
const ID: &str = "concat(arrayStringConcat(arrayMap(i -> substring('0123456789ABCDEFGHJKMNPQRSTVWXYZ', \
    toUInt8(bitAnd(bitShiftRight(at, 5 * (9 - i)), 31)) + 1, 1), range(10))), leftPad(toString(n), 16, '0'))";

fn fill(engine: &Running, now: u64) {
    let began = Instant::now();
    let (first, settings) =
        (now - ALERTS * EVERY_MS.0, "&max_block_size=65536&max_insert_block_size=65536&max_threads=1");
    let time = "fromUnixTimestamp64Milli(toInt64(at), 'UTC')";
    for tenant in TENANTS {
        let numbers = |each: u64| {
            format!(
                "WITH intDiv(number, {each}) AS n, number % {each} AS step, toUInt64({first} + n * {}) AS at, {ID} AS id",
                EVERY_MS.0
            )
        };
        let state = format!("if(n % {RARE} = 7, 'firing', 'resolved')");
        for (each, statement) in [
            (
                5,
                format!(
                    "INSERT INTO headwater_tenants.alert_event_rows (tenant, alert_id, revision, at, kind, network, alert) {} \
                     SELECT '{tenant}', id, step + 1, {time} + step, 'amended', 'a', '{{}}'",
                    numbers(5)
                ),
            ),
            (
                1,
                format!(
                    "INSERT INTO headwater_tenants.alert_rows (tenant, alert_id, revision, made_at, updated_at, source_kind, source_id, \
                     network, state, severity, fired_at, ended_at, alert) {} SELECT '{tenant}', id, 5, {time}, {time} + 5, 'rule', \
                     toString(n % 100), 'a', {state}, 'warning', {time}, if(n % {RARE} = 7, NULL, {time} + 5), '{{}}'",
                    numbers(1)
                ),
            ),
            (
                3,
                format!(
                    "INSERT INTO headwater_tenants.alert_delivery_rows (tenant, delivery_id, made_at, at, attempt, state, place, alert_id, \
                     channel_id, channel_type, kind) {} SELECT '{tenant}', id, {time}, {time} + step, step, \
                     if(step = 2, 'sent', 'queued'), number, id, toString(n % 10), 'webhook', 'alert.firing'",
                    numbers(3)
                ),
            ),
            (
                LEFT_OUT,
                format!(
                    "INSERT INTO headwater_tenants.alert_left_out_rows (tenant, source_id, at, network, sequence, place, what, count) {} \
                     SELECT '{tenant}', if(step = 0, '', toString(step)), {time}, 'a', n + 1, number, \
                     if(step = 0, 'not_looked_at', 'left_out'), 3",
                    numbers(LEFT_OUT)
                ),
            ),
        ] {
            run(engine, &format!("{statement} FROM numbers({})", ALERTS * each), settings);
        }
        let first = now - MATCHES * EVERY_MS.1;
        let statement = format!(
            "INSERT INTO headwater_tenants.alert_match_rows (tenant, source_id, at, network, transaction_hash, kind, condition, place, \
             sequence, op, monitor_version, height, block_hash, signature, arguments) WITH number AS n, \
             toUInt64({first} + n * {}) AS at SELECT '{tenant}', 'MONITOR', {time}, 'a', reinterpretAsFixedString(toUInt256(n + 1)), \
             'event', 0, 1, n, if(n % 1000 = 9, 'retract', 'match'), 1, n, reinterpretAsFixedString(toUInt256(n)), 'T()', '{{}}' \
             FROM numbers({MATCHES})",
            EVERY_MS.1
        );
        run(engine, &statement, settings);
    }
    eprintln!("alerts, messages and matches of two tenants in {:.1?}", began.elapsed());
}

pub async fn all(asked: &mut Asked<'_>, stages: &Store, api: &Store) {
    stages.migrate_tenants().await.expect("tables of tenants");
    let now = TimeMs::now();
    fill(asked.engine, u64::try_from(now.0).expect("after 1970"));
    let mine = Whose { tenant: TENANTS[1].to_owned(), networks: None };
    // A page and its story: the day's alerts, and the granules of each one's rows.
    let (granules, page) = (GRANULE * PARTS, 50_u64);
    let of_page = 2 * 86_400_000 / EVERY_MS.0 + (2 * page + 8) * granules;
    let filter = AlertFilter { limit: 50, ..AlertFilter::default() };
    let newest = asked.ask("alerts", "the newest", of_page, api.alerts(&mine, &filter)).await;
    assert!(newest.items.len() == 50 && newest.items[0].events.len() == 5 && newest.next.is_some());
    let older = AlertFilter { before: Some(newest.items[49].id.clone()), ..filter.clone() };
    let next = asked.ask("alerts", "the next page", of_page, api.alerts(&mine, &older)).await;
    assert!(next.items.len() == 50 && next.items[0].id < newest.items[49].id);
    // What few are: from the newest on, in the time of a list.
    let most = 4 * limits::STORE_LIST_ROWS;
    let firing = AlertFilter { states: vec!["firing".to_owned()], ..filter.clone() };
    let found = asked.ask("alerts", "the few that fire", most, api.alerts(&mine, &firing)).await;
    assert_eq!(found.items.len() as u64, ALERTS / RARE);
    let during = AlertFilter {
        during: Some((TimeMs(now.0 - 3_600_000), now)),
        limit: limits::alerts::ANNOTATIONS,
        ..AlertFilter::default()
    };
    asked.ask("alerts", "of an hour", most, api.alerts(&mine, &during)).await;
    let id = &newest.items[7].id;
    let one = asked.ask("alert", "", 4 * granules, api.alert(&mine, id)).await;
    assert_eq!(one.expect("it is there").events.len(), 5);
    let other = Whose { tenant: "01J00000000000000000000003".to_owned(), networks: None };
    assert_eq!(asked.ask("alert", "that is another's", 4 * granules, api.alert(&other, id)).await, None);
    let networks = api.alert_networks(&mine, std::slice::from_ref(id));
    assert_eq!(asked.ask("alert_networks", "", 2 * granules, networks).await.len(), 1);

    let filter = DeliveryFilter { limit: 50, ..DeliveryFilter::default() };
    let newest = asked.ask("deliveries", "the newest", 6 * of_page, api.deliveries(&mine, &filter)).await;
    assert!(newest.items.len() == 50 && newest.items[0].attempts.len() == 2 && newest.items[0].state == "sent");
    let failed = DeliveryFilter { states: vec!["failed".to_owned()], ..filter.clone() };
    let found = asked.ask("deliveries", "that failed", most, api.deliveries(&mine, &failed)).await;
    assert_eq!(found.items, []);
    let of_alert = DeliveryFilter { alert: Some(id.clone()), ..filter.clone() };
    let found = asked.ask("deliveries", "of an alert", most, api.deliveries(&mine, &of_alert)).await;
    assert_eq!(found.items.len(), 1);
    let one = api.delivery(&mine, &newest.items[3].id);
    assert!(asked.ask("delivery", "", 2 * granules, one).await.is_some());

    // A day's messages of a tenant are a range of ids. What each tenant had, which operators of the platform ask, is counted over all that is kept.
    let day = TimeMs(now.0 - 86_400_000);
    let attempts = 3 * 86_400_000 / EVERY_MS.0;
    let mine_of_a_day =
        asked.ask("deliveries_since", "", 2 * attempts + 40 * granules, api.deliveries_since(&mine, day));
    assert!(mine_of_a_day.await.abs_diff(attempts / 3) <= 2);
    let (alerts, messages) = (2 * ALERTS + granules, 2 * 3 * ALERTS + granules);
    let of_each = asked.ask("alerts_by_tenant", "", alerts, api.alerts_by_tenant(day)).await;
    assert!(of_each.len() == 2 && of_each[0].many.abs_diff(attempts / 3) <= 2, "{of_each:?}");
    assert_eq!(asked.ask("deliveries_by_tenant", "", messages, api.deliveries_by_tenant(day)).await.len(), 2);
    // An export goes over a tenant's own, a piece at a time.
    let piece = asked.ask("whole_alerts", "", ALERTS + 8 * granules, api.whole_alerts(&mine, "", 5)).await;
    assert_eq!(piece.len(), 5);
    let most_of_mine = 2 * 3 * ALERTS + 8 * granules;
    let piece = asked.ask("whole_deliveries_of", "", most_of_mine, api.whole_deliveries_of(&mine, "", 5)).await;
    assert_eq!(piece.len(), 5 * 3);

    // Of one monitor and of all together, a range in each day's part of a week.
    let days = 8 * PARTS * 2 * 2 * GRANULE;
    let left_out = asked.ask("left_out", "", days, api.left_out(&mine, "7")).await;
    assert!(left_out.len() == 1 && left_out[0].matches == left_out[0].transactions && left_out[0].matches > 0);

    // The first window is of ten minutes; what is gone is looked for beside it, by its transactions.
    for (about, live, most) in [("live", Some(true), 20 * granules), ("that are gone", Some(false), most)] {
        let filter = MatchFilter { monitor: "MONITOR".to_owned(), live, limit: 50 };
        let mut found = asked.ask("matches", about, most, api.matches(&mine, &filter)).await;
        // Where the machine has other things to do, the time of a list may be over before it is full.
        for _ in 0..10 {
            if found.len() < 50 {
                found = api.matches(&mine, &filter).await.expect("matches");
            }
        }
        assert!(found.len() == 50 && found.iter().all(|row| Some(row.live) == live), "{about}: {}", found.len());
    }
}
