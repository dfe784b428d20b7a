-- Each alert as its last transition left it. Its partition is the month of its id, which is part of its key.
CREATE TABLE IF NOT EXISTS alert_rows
(
    tenant      LowCardinality(String) COMMENT 'Whose',
    alert_id    String COMMENT 'A ULID',
    revision    UInt64 COMMENT 'Transitions so far: the highest counts',
    made_at     DateTime64(3, 'UTC') COMMENT 'Time in its id' CODEC(Delta, ZSTD(1)),
    updated_at  DateTime64(3, 'UTC') COMMENT 'When the last of them was' CODEC(Delta, ZSTD(1)),
    source_kind LowCardinality(String) COMMENT 'rule or monitor',
    source_id   String COMMENT 'Id of the rule or monitor' CODEC(ZSTD(1)),
    network     LowCardinality(String) COMMENT 'Slug of the network',
    contract    String COMMENT 'Contract; empty without one' CODEC(ZSTD(1)),
    state       LowCardinality(String) COMMENT 'pending, firing, acknowledged, resolved or retracted',
    severity    LowCardinality(String) COMMENT 'critical, warning or info',
    fired_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When it fired; null before' CODEC(ZSTD(1)),
    ended_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended; null before' CODEC(ZSTD(1)),
    alert       String COMMENT 'All of it, JSON' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toStartOfMonth(made_at)
ORDER BY (tenant, alert_id)
TTL toDateTime(made_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
