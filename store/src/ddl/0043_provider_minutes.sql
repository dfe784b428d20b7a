-- All calls of chain nodes, summed up by minute and method, for 90 days, each once.
CREATE OR REPLACE VIEW provider_minutes
(
    network        LowCardinality(String) COMMENT 'Slug of the network',
    endpoint       LowCardinality(String) COMMENT 'Name of the endpoint',
    at             DateTime64(3, 'UTC') COMMENT 'Beginning of the minute, or of its observer within it, UTC',
    method         LowCardinality(String) COMMENT 'The method',
    calls          UInt64 COMMENT 'Calls that ended in it',
    failures       UInt64 COMMENT 'Calls of these with another outcome than ok',
    latency_p50_ms Nullable(UInt64) COMMENT 'Median latency of successful calls, milliseconds; null without one',
    latency_p95_ms Nullable(UInt64) COMMENT '95th percentile of the same, milliseconds',
    bytes          UInt64 COMMENT 'Bytes of the answers'' bodies',
    observer       LowCardinality(String) COMMENT 'Who called: stage and instance'
)
AS SELECT network, endpoint, at, method, calls, failures, latency_p50_ms, latency_p95_ms, bytes, observer
FROM provider_minute_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a minute of calls of one method to one endpoint; of the last 90 days'
