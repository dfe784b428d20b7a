-- Whether every transaction and log that the headers count has its row, as ranges of consecutive heights (rule 18).
-- Expected from the headers, stored from the rows of the same event; a range ends at a missing height and where complete changes.
-- While rows of a former layout are being copied, those still to come are one range more per network, with nothing stored.
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
    complete              UInt8 COMMENT 'Whether every transaction and log that the headers count has its row',
    from_height           UInt64 COMMENT 'Same as from_number, as REST calls it',
    to_height             UInt64 COMMENT 'Same as to_number, as REST calls it'
)
AS SELECT * FROM
(
    SELECT
        network, min(height) AS from_number, max(height) AS to_number, count() AS blocks,
        sum(expected) AS transactions_expected, sum(stored) AS transactions_stored,
        sum(logs_expected) AS logs_expected, sum(logs_stored) AS logs_stored, complete,
        min(height) AS from_height, max(height) AS to_height
    FROM
    (
        SELECT
            network, height, expected, stored, logs_expected, logs_stored,
            expected = stored AND logs_expected = logs_stored AS complete,
            height - row_number() OVER (PARTITION BY network, complete ORDER BY height) AS island
        FROM
        (
            SELECT
                network, height,
                sumIf(n, part = 'expected') AS expected, sumIf(n, part = 'stored') AS stored,
                sumIf(n, part = 'logs expected') AS logs_expected, sumIf(n, part = 'logs stored') AS logs_stored
            FROM
            (
                SELECT network, height, sequence, 'expected' AS part, toUInt64(transaction_count) AS n FROM block_rows FINAL
                UNION ALL
                SELECT network, height, sequence, 'logs expected' AS part, toUInt64(log_count) AS n FROM block_rows FINAL
                UNION ALL
                SELECT network, height, sequence, 'stored' AS part, count() AS n FROM evm_transaction_rows FINAL
                GROUP BY network, height, sequence
                UNION ALL
                SELECT network, height, sequence, 'logs stored' AS part, count() AS n FROM evm_log_rows FINAL
                GROUP BY network, height, sequence
            )
            GROUP BY network, height, sequence
            HAVING countIf(part = 'expected') > 0
        )
    )
    GROUP BY network, complete, island
    UNION ALL
    SELECT
        u.network AS network, u.lowest_height AS from_number, assumeNotNull(u.to_height) AS to_number, u.blocks_left AS blocks,
        u.transactions_left AS transactions_expected, toUInt64(0) AS transactions_stored, u.logs_left AS logs_expected,
        toUInt64(0) AS logs_stored, toUInt8(0) AS complete, u.lowest_height AS from_height,
        assumeNotNull(u.to_height) AS to_height
    FROM upgrade_rows AS u FINAL
    WHERE u.blocks_left > 0 AND isNotNull(u.to_height)
)
ORDER BY network, from_number
COMMENT 'A row is a range of consecutive heights, all whole or all not'
