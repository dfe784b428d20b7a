-- Calls of chain nodes of the last day, at most one a second, method and endpoint, each once.
CREATE OR REPLACE VIEW provider_samples
(
    network    LowCardinality(String) COMMENT 'Slug of the network',
    endpoint   LowCardinality(String) COMMENT 'Name of the endpoint',
    at         DateTime64(3, 'UTC') COMMENT 'When the call ended, by the observer''s clock, UTC',
    method     LowCardinality(String) COMMENT 'The method',
    latency_ms UInt64 COMMENT 'From sending to the end of the answer, or to giving up, milliseconds',
    success    UInt8 COMMENT 'Whether the outcome is ok',
    height     Nullable(UInt64) COMMENT 'Height that the answer told of; null where it told of none',
    error      Nullable(String) COMMENT 'The failure in words, for a lie what was said and what is right; null without one',
    observer   LowCardinality(String) COMMENT 'Who called: stage and instance',
    outcome    LowCardinality(String) COMMENT 'ok, empty (nothing where something must be), missing (it does not have it), failing (no answer that could be read), stale (an old view) or wrong (a lie)',
    probe      UInt8 COMMENT 'Whether it was a probe, and no real work',
    bytes      UInt64 COMMENT 'Bytes of the answer''s body'
)
AS SELECT
    s.network AS network, s.endpoint AS endpoint, s.at AS at, s.method AS method, s.latency_ms AS latency_ms,
    s.outcome = 'ok' AS success, s.height AS height, nullIf(s.error, '') AS error, s.observer AS observer, s.outcome AS outcome,
    s.probe AS probe, s.bytes AS bytes
FROM provider_sample_rows AS s FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a call of a chain node, at most one a second, method and endpoint; of the last day'
