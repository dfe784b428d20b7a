CREATE OR REPLACE VIEW {tenants}.alert_events
(
    tenant   LowCardinality(String) COMMENT 'Whose',
    alert_id String COMMENT 'The alert',
    revision UInt64 COMMENT 'Number of the transition of its alert, from 1',
    at       DateTime64(3, 'UTC') COMMENT 'When, UTC',
    kind     LowCardinality(String) COMMENT 'pending, fired, amended, acknowledged, repeated, resolved, retracted or included_again',
    `by`     Nullable(String) COMMENT 'Who did it; null: nobody, by itself',
    note     Nullable(String) COMMENT 'What who did it wrote',
    network  LowCardinality(String) COMMENT 'Slug of the network',
    sequence Nullable(UInt64) COMMENT 'Block event that it rests on',
    height   Nullable(UInt64) COMMENT 'Height of its block',
    alert    String COMMENT 'The alert after it, JSON',
    matches  String COMMENT 'Matches that it added or took back, JSON'
)
SQL SECURITY INVOKER
AS SELECT
    e.tenant AS tenant, e.alert_id AS alert_id, e.revision AS revision, e.at AS at, e.kind AS kind, nullIf(e.by_whom, '') AS `by`,
    nullIf(e.note, '') AS note, e.network AS network, e.sequence AS sequence, e.height AS height, e.alert AS alert, e.matches AS matches
FROM {tenants}.alert_event_rows AS e FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a transition of an alert; for operators only'
