CREATE OR REPLACE VIEW {tenants}.alert_deliveries
(
    tenant          LowCardinality(String) COMMENT 'Whose',
    id              String COMMENT 'The message; of a webhook its webhook-id',
    alert_id        Nullable(String) COMMENT 'The alert; null of a test and of a summary',
    channel_id      String COMMENT 'The channel',
    channel_type    LowCardinality(String) COMMENT 'webhook, slack, discord, email, script …',
    type            LowCardinality(String) COMMENT 'alert.firing … channel.test',
    state           LowCardinality(String) COMMENT 'queued, sent, failed or replaced, after it',
    at              DateTime64(3, 'UTC') COMMENT 'When, UTC',
    attempt         UInt32 COMMENT 'Number of the attempt, from 1; 0 before the first',
    status          Nullable(UInt16) COMMENT 'The other''s status; null where there was none',
    latency_ms      Nullable(UInt64) COMMENT 'How long the attempt took, milliseconds',
    error           Nullable(String) COMMENT 'Why it failed; null where it did not',
    next_attempt_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it is tried again; null: not by itself'
)
SQL SECURITY INVOKER
AS SELECT
    d.tenant AS tenant, d.delivery_id AS id, nullIf(d.alert_id, '') AS alert_id, d.channel_id AS channel_id, d.channel_type AS channel_type,
    d.kind AS type, d.state AS state, d.at AS at, d.attempt AS attempt, d.status AS status, d.latency_ms AS latency_ms,
    nullIf(d.error, '') AS error, d.next_attempt_at AS next_attempt_at
FROM {tenants}.alert_delivery_rows AS d FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is an attempt to send a message, or an end of it; for operators only'
