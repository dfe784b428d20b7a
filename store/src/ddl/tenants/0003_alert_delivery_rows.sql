-- What became of every message, attempt by attempt, for 90 days. The partition is the month of its id, which is part of its key.
CREATE TABLE IF NOT EXISTS alert_delivery_rows
(
    tenant          LowCardinality(String) COMMENT 'Whose',
    delivery_id     String COMMENT 'A ULID; of a webhook its webhook-id',
    made_at         DateTime64(3, 'UTC') COMMENT 'Time in its id' CODEC(Delta, ZSTD(1)),
    at              DateTime64(3, 'UTC') COMMENT 'When this is said' CODEC(Delta, ZSTD(1)),
    attempt         UInt32 COMMENT 'Number of the attempt, from 1; 0 before the first' CODEC(ZSTD(1)),
    state           LowCardinality(String) COMMENT 'queued, sent, failed or replaced',
    place           UInt64 COMMENT 'Offset in alerts.deliveries' CODEC(Delta, ZSTD(1)),
    alert_id        String COMMENT 'The alert; empty without one' CODEC(ZSTD(1)),
    channel_id      String COMMENT 'The channel' CODEC(ZSTD(1)),
    channel_type    LowCardinality(String) COMMENT 'webhook, slack, discord, email, script …',
    kind            LowCardinality(String) COMMENT 'alert.firing … channel.test',
    status          Nullable(UInt16) COMMENT 'The other''s status; null where there was none' CODEC(ZSTD(1)),
    latency_ms      Nullable(UInt64) COMMENT 'How long the attempt took' CODEC(ZSTD(1)),
    error           String COMMENT 'Why it failed; empty where it did not' CODEC(ZSTD(1)),
    next_attempt_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it is tried again; null: not by itself' CODEC(ZSTD(1)),
    thread          String COMMENT 'The other''s id of the message' CODEC(ZSTD(1)),
    INDEX of_alert alert_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toStartOfMonth(made_at)
ORDER BY (tenant, delivery_id, at, attempt, state)
TTL toDateTime(made_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
