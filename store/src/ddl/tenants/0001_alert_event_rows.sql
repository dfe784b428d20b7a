-- Every transition of every alert, for 400 days. A transition is said once: a replay inserts equal keys again, which collapse.
CREATE TABLE IF NOT EXISTS alert_event_rows
(
    tenant     LowCardinality(String) COMMENT 'Whose',
    alert_id   String COMMENT 'The alert: a ULID',
    revision   UInt64 COMMENT 'Number of the transition of its alert, from 1',
    at         DateTime64(3, 'UTC') COMMENT 'When' CODEC(Delta, ZSTD(1)),
    kind       LowCardinality(String) COMMENT 'pending, fired, amended, acknowledged, repeated, resolved, retracted or included_again',
    by_whom    String COMMENT 'Who did it; empty: nobody, by itself' CODEC(ZSTD(1)),
    note       String COMMENT 'What who did it wrote' CODEC(ZSTD(1)),
    network    LowCardinality(String) COMMENT 'Slug of the network',
    sequence   Nullable(UInt64) COMMENT 'Block event that it rests on' CODEC(ZSTD(1)),
    height     Nullable(UInt64) COMMENT 'Height of its block' CODEC(ZSTD(1)),
    alert      String COMMENT 'The alert after it, JSON' CODEC(ZSTD(3)),
    matches    String COMMENT 'Matches that it added or took back, JSON' CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toStartOfMonth(at)
ORDER BY (tenant, alert_id, revision)
TTL toDateTime(at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
