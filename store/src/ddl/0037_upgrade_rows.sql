-- Where the copy of a former layout's rows stands, one row per network, written when a range of heights is copied; empty otherwise.
CREATE TABLE IF NOT EXISTS upgrade_rows
(
    network           LowCardinality(String) COMMENT 'Slug of the network; empty: all networks, once all rows are copied',
    version           UInt64 COMMENT 'Rises with each row of the network',
    instance          String COMMENT 'Process that copies',
    lowest_height     UInt64 COMMENT 'Lowest height that the former layout holds',
    to_height         Nullable(UInt64) COMMENT 'Highest height that may have rows still to be copied; null: none',
    rows              UInt64 COMMENT 'Rows of the former layout, of all tables, when the copy began',
    rows_copied       UInt64 COMMENT 'Rows of them that are copied',
    blocks_left       UInt64 COMMENT 'Blocks that are still to be copied',
    transactions_left UInt64 COMMENT 'Transactions that their headers count',
    logs_left         UInt64 COMMENT 'Logs that their headers count',
    at                DateTime64(3, 'UTC') COMMENT 'When this was so'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY network
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
