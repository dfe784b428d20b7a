-- What alerts did not tell or did not look at, for 30 days: of each block the matches for which there was no room, by monitor, and the
-- transactions for which all conditions of a tenant cost too much. A block may say so several times, at places of its own in the topic.
CREATE TABLE IF NOT EXISTS alert_left_out_rows
(
    tenant    LowCardinality(String) COMMENT 'Whose',
    source_id String COMMENT 'Id of the monitor; empty: of all of them' CODEC(ZSTD(1)),
    at        DateTime64(3, 'UTC') COMMENT 'Time of the block' CODEC(Delta, ZSTD(1)),
    network   LowCardinality(String) COMMENT 'Slug of the network',
    sequence  UInt64 COMMENT 'Block event that says so' CODEC(Delta, ZSTD(1)),
    place     UInt64 COMMENT 'Offset in alerts.matches' CODEC(Delta, ZSTD(1)),
    what      LowCardinality(String) COMMENT 'left_out: matches; not_looked_at: transactions',
    count     UInt64 COMMENT 'How many' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toStartOfDay(at)
ORDER BY (tenant, source_id, at, network, sequence, place)
TTL toDateTime(at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
