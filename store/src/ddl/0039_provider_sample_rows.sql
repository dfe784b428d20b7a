-- What stages saw of chain nodes, call by call, for a day. No reorg touches it: it is partitioned by the time in its key, and whole
-- partitions go. A replay inserts equal keys again, which collapse.
CREATE TABLE IF NOT EXISTS provider_sample_rows
(
    network    LowCardinality(String) COMMENT 'Slug of the network',
    endpoint   LowCardinality(String) COMMENT 'Name of the endpoint',
    at         DateTime64(3, 'UTC') COMMENT 'When the call ended, by the observer''s clock' CODEC(Delta, ZSTD(1)),
    observer   LowCardinality(String) COMMENT 'Who called: stage and instance',
    method     LowCardinality(String) COMMENT 'The method',
    probe      UInt8 COMMENT '1: a probe, and no real work',
    latency_ms UInt64 COMMENT 'From sending to the end of the answer, or to giving up' CODEC(ZSTD(1)),
    outcome    LowCardinality(String) COMMENT 'ok, empty, missing, failing, stale or wrong',
    height     Nullable(UInt64) COMMENT 'Height that the answer told of' CODEC(ZSTD(1)),
    error      String COMMENT 'The failure in words; empty without one' CODEC(ZSTD(1)),
    bytes      UInt64 COMMENT 'Bytes of the answer''s body' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toStartOfHour(at)
ORDER BY (network, endpoint, at, method, observer, probe)
TTL toDateTime(at) + INTERVAL 1 DAY
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
