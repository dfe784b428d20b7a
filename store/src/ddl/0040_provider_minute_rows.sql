-- Sums of all calls of a method within a minute, as the observer made them, for 90 days. A minute in which an observer was restarted
-- has two rows: the second begins with the restart.
CREATE TABLE IF NOT EXISTS provider_minute_rows
(
    network        LowCardinality(String) COMMENT 'Slug of the network',
    endpoint       LowCardinality(String) COMMENT 'Name of the endpoint',
    at             DateTime64(3, 'UTC') COMMENT 'Beginning of the minute, or of its observer within it' CODEC(Delta, ZSTD(1)),
    observer       LowCardinality(String) COMMENT 'Who called: stage and instance',
    method         LowCardinality(String) COMMENT 'The method',
    calls          UInt64 COMMENT 'Calls that ended in it' CODEC(ZSTD(1)),
    failures       UInt64 COMMENT 'Calls of these with another outcome than ok' CODEC(ZSTD(1)),
    latency_p50_ms Nullable(UInt64) COMMENT 'Median latency of successful calls; null without one' CODEC(ZSTD(1)),
    latency_p95_ms Nullable(UInt64) COMMENT '95th percentile of the same' CODEC(ZSTD(1)),
    bytes          UInt64 COMMENT 'Bytes of the answers'' bodies' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(at)
ORDER BY (network, endpoint, at, method, observer)
TTL toDateTime(at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
