-- What was removed by `[store] keep` or `max_bytes` (rule 32): a row is written before its partitions go, and hides them from every view
-- at once, until another one says that they are gone. The highest pruned_below of a network counts.
CREATE TABLE IF NOT EXISTS pruned_rows
(
    network      LowCardinality(String) COMMENT 'Slug of the network',
    pruned_below UInt64 COMMENT 'No row of a lower height is held any more',
    first_part   UInt64 COMMENT 'Partitions that this row hides: the first …',
    version      UInt64 COMMENT 'Microseconds since 1970 by the store''s clock',
    end_part     UInt64 COMMENT '… and the first that it does not',
    gone         UInt8 COMMENT '1: their rows are removed, and nothing is hidden any more',
    from_height  UInt64 COMMENT 'Lowest height that was ever held',
    newest_time  DateTime64(3, 'UTC') COMMENT 'Time of the newest block that goes',
    reason       LowCardinality(String) COMMENT 'keep or max_bytes',
    at           DateTime64(3, 'UTC') COMMENT 'When it was said that they go'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (network, pruned_below, first_part)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
