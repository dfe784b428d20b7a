-- The last state of each endpoint as each observer holds it. The newest one counts, whatever comes when.
CREATE TABLE IF NOT EXISTS endpoint_rows
(
    network          LowCardinality(String) COMMENT 'Slug of the network',
    endpoint         LowCardinality(String) COMMENT 'Name of the endpoint',
    observer         LowCardinality(String) COMMENT 'Who says so: stage and instance',
    at               DateTime64(3, 'UTC') COMMENT 'When, by the observer''s clock',
    url              String COMMENT 'Address, credentials masked',
    operator         LowCardinality(String) COMMENT 'Whose it is',
    state            LowCardinality(String) COMMENT 'ok, slow, behind, throttled, failing, open, quarantined or unknown',
    reason           String COMMENT 'Why, in a sentence; empty where there is nothing to say',
    since            DateTime64(3, 'UTC') COMMENT 'Since when the state holds',
    every_ms         UInt64 COMMENT 'How often the observer says so; three times that without a word, and nothing is known',
    score            Nullable(UInt32) COMMENT '0 to 100',
    latency_part     Nullable(UInt32) COMMENT 'Latency part of the score, parts per million',
    success_part     Nullable(UInt32) COMMENT 'Success part of the score, parts per million',
    height_part      Nullable(UInt32) COMMENT 'Height factor of the score, parts per million',
    latency_ms       Nullable(UInt64) COMMENT 'Median latency of successful calls over ten minutes',
    latency_p95_ms   Nullable(UInt64) COMMENT '95th percentile of the same',
    success_rate     Nullable(UInt32) COMMENT 'Share of successes over ten minutes, parts per million',
    height           Nullable(UInt64) COMMENT 'Its head as last seen',
    lag_blocks       Nullable(UInt64) COMMENT 'Blocks behind the best endpoint of the network',
    in_use           UInt8 COMMENT '1: the observer takes its blocks from here',
    in_use_since     Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when',
    last_error       String COMMENT 'The last failure in words; empty before the first',
    last_error_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When that was',
    last_seen_at     Nullable(DateTime64(3, 'UTC')) COMMENT 'When it last answered a call',
    priority         UInt32 COMMENT 'Lower is asked first',
    roles            String COMMENT 'What it is used for, words with a space between; empty: all it can do',
    limit_per_1000_s Nullable(UInt64) COMMENT 'Requests per 1,000 seconds that are kept to',
    hour_calls       UInt64 COMMENT 'Calls within the last hour',
    hour_bytes       UInt64 COMMENT 'Bytes of their answers',
    hour_blocks      UInt64 COMMENT 'Blocks passed on within the last hour',
    day_calls        UInt64 COMMENT 'Calls of the day in UTC',
    day_bytes        UInt64 COMMENT 'Bytes of their answers',
    per_day          Nullable(UInt64) COMMENT 'Calls that are allowed in a day',
    lie_at           Nullable(DateTime64(3, 'UTC')) COMMENT 'When the lie was found out for which it is in quarantine',
    lie_found_by     String COMMENT 'Observer that found it out; empty without one',
    lie_said         String COMMENT 'What the endpoint said',
    lie_right        String COMMENT 'What is right, and who says so'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (network, endpoint, observer)
TTL toDateTime(at) + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
