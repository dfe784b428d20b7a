-- Up to which offset of each partition of alerts.deliveries this store has all records: told now and then, read when a partition is taken over.
CREATE TABLE IF NOT EXISTS alert_delivery_position_rows
(
    partition UInt32 COMMENT 'Partition of the topic',
    instance  LowCardinality(String) COMMENT 'Process that says so',
    at        DateTime64(3, 'UTC') COMMENT 'When',
    offset    UInt64 COMMENT 'All records before it are in their rows'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY partition
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
