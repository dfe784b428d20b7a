-- Whether every transaction and log that the headers count has its row, as ranges of consecutive heights (rule 18); a height that no
-- block was made for interrupts nothing. Buckets of heights that were counted (audit_rows) are added up; only those that are marked,
-- which are the open end and what changed since, are counted from their rows. So what is read does not grow with the rows.
-- Of the children more may be read than is open (the hint only leads to their granules): they count where an open block is.
-- A block whose header alone was to be had says so itself, and counts no transactions. A network is of one family, so that one of the
-- tables of transactions has its rows.
-- What `keep` removed is one range, `pruned`. While rows of a former layout are being copied, those still to come are one range more
-- per network, with nothing stored.
CREATE OR REPLACE VIEW completeness
(
    network               LowCardinality(String) COMMENT 'Slug of the network',
    from_number           UInt64 COMMENT 'First height of the range',
    to_number             UInt64 COMMENT 'Last height of the range',
    blocks                UInt64 COMMENT 'Blocks held in it',
    transactions_expected UInt64 COMMENT 'Transactions that the headers count',
    transactions_stored   UInt64 COMMENT 'Transactions with a row',
    logs_expected         UInt64 COMMENT 'Logs that the headers count',
    logs_stored           UInt64 COMMENT 'Logs with a row',
    complete              UInt8 COMMENT 'Whether every transaction and log that the headers count has its row; 0 for what was removed',
    coverage              LowCardinality(String) COMMENT 'full: blocks with their transactions; header: blocks of which no body or no transaction was to be had; pruned: removed by [store] keep or max_bytes',
    from_height           UInt64 COMMENT 'Same as from_number, as REST calls it',
    to_height             UInt64 COMMENT 'Same as to_number, as REST calls it'
)
AS SELECT
    network, low AS from_number, high AS to_number, n AS blocks, t_expected AS transactions_expected, t_stored AS transactions_stored,
    l_expected AS logs_expected, l_stored AS logs_stored, toUInt8(state = 1) AS complete,
    CAST(transform(state, [2, 3], ['header', 'pruned'], 'full'), 'LowCardinality(String)') AS coverage,
    low AS from_height, high AS to_height
FROM
(
    SELECT
        network, min(s.low) AS low, max(s.high) AS high, sum(s.n) AS n, sum(s.t_expected) AS t_expected, sum(s.t_stored) AS t_stored,
        sum(s.l_expected) AS l_expected, sum(s.l_stored) AS l_stored, any(s.state) AS state
    FROM
    (
        SELECT *, sum(begins) OVER (PARTITION BY network ORDER BY low) AS island
        FROM
        (
            SELECT
                *, lagInFrame((state, high, hash), 1, (toUInt8(9), toUInt64(0), '')) OVER (PARTITION BY network ORDER BY low) AS before,
                NOT (state = before.1 AND (low = before.2 + 1 OR (parent != '' AND parent = before.3))) AS begins
            FROM
            (
                SELECT
                    network, run.1 AS low, run.2 AS high, run.3 AS n, run.4 AS t_expected, run.5 AS t_stored, run.6 AS l_expected,
                    run.7 AS l_stored, run.8 AS state, if(i = 1, first_parent, '') AS parent, if(i = length(runs), last_hash, '') AS hash
                FROM audit_rows FINAL ARRAY JOIN runs AS run, arrayEnumerate(runs) AS i
                WHERE stale = 0
                UNION ALL
                SELECT
                    b.network, b.height, b.height, toUInt64(1), toUInt64(b.transaction_count) AS e, t.n, toUInt64(b.log_count) AS le, l.n,
                    toUInt8(multiIf(b.coverage = 'header', 2, e = t.n AND le = l.n, 1, t.n = 0 AND l.n = 0, 2, 0)), b.parent_hash, b.hash
                FROM (SELECT network, height, version, transaction_count, log_count, parent_hash, hash, coverage FROM block_rows FINAL
                    WHERE (network, intDiv(height, 1024)) IN (SELECT network, intDiv(from_height, 1024) FROM audit_rows FINAL WHERE stale = 1)) AS b
                LEFT JOIN (SELECT network, height, intDiv(version, 256) AS sequence, count() AS n
                    FROM evm_transaction_rows FINAL
                    WHERE indexHint((network, intDiv(height, 1024)) IN (SELECT network, intDiv(from_height, 1024) FROM audit_rows FINAL WHERE stale = 1)) GROUP BY network, height, sequence
                    UNION ALL SELECT network, height, intDiv(version, 256) AS sequence, count() AS n
                    FROM bitcoin_transaction_rows FINAL
                    WHERE indexHint((network, intDiv(height, 1024)) IN (SELECT network, intDiv(from_height, 1024) FROM audit_rows FINAL WHERE stale = 1)) GROUP BY network, height, sequence) AS t
                    ON t.network = b.network AND t.height = b.height AND t.sequence = intDiv(b.version, 256)
                LEFT JOIN (SELECT network, height, intDiv(version, 256) AS sequence, count() AS n
                    FROM evm_log_rows FINAL
                    WHERE indexHint((network, intDiv(height, 1024)) IN (SELECT network, intDiv(from_height, 1024) FROM audit_rows FINAL WHERE stale = 1)) GROUP BY network, height, sequence) AS l
                    ON l.network = b.network AND l.height = b.height AND l.sequence = intDiv(b.version, 256)
            )
        )
    ) AS s
    LEFT JOIN
    (
        SELECT network, max(floor) AS floor FROM
        (
            SELECT network, pruned_below AS floor FROM pruned_rows
            UNION ALL SELECT network, assumeNotNull(to_height) + 1 FROM upgrade_rows FINAL WHERE blocks_left > 0 AND isNotNull(to_height)
        )
        GROUP BY network
    ) AS f ON s.network = f.network
    WHERE s.high >= f.floor
    GROUP BY network, island
    UNION ALL
    SELECT network, min(from_height), max(pruned_below) - 1, 0, 0, 0, 0, 0, 3 FROM pruned_rows GROUP BY network
    UNION ALL
    SELECT u.network, u.lowest_height, assumeNotNull(u.to_height), u.blocks_left, u.transactions_left, 0, u.logs_left, 0, 0
    FROM upgrade_rows AS u FINAL WHERE u.blocks_left > 0 AND isNotNull(u.to_height)
)
ORDER BY network, from_number
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a range of consecutive heights, all whole or all not, or removed by keep'
