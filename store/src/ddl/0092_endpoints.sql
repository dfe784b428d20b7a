-- The endpoints as `/providers/health` shows them: of each the word of one observer, first of one who is heard, then of one who holds
-- it in quarantine, then of one who uses it, then the newest. Who was not heard for three of its periods knows nothing any more. Who has
-- taken an endpoint out of its configuration says so with an every_ms of 0 and has no word on it any more; an endpoint that nobody has a
-- word on, or that nobody has spoken of for a day, is gone.
CREATE OR REPLACE VIEW endpoints
(
    network         LowCardinality(String) COMMENT 'Slug of the network',
    name            LowCardinality(String) COMMENT 'Name of the endpoint',
    url             String COMMENT 'Address, credentials masked',
    score           Nullable(UInt32) COMMENT '0 to 100; null before the first call, and while nothing is known',
    latency_part    Nullable(Float64) COMMENT 'Latency part of the score, 0 to 1',
    success_part    Nullable(Float64) COMMENT 'Success part of the score, 0 to 1',
    height_part     Nullable(Float64) COMMENT 'Height factor of the score, 0 to 1',
    latency_ms      Nullable(UInt64) COMMENT 'Median latency of successful calls over ten minutes, milliseconds',
    latency_p95_ms  Nullable(UInt64) COMMENT '95th percentile of the same, milliseconds',
    success_rate    Nullable(Float64) COMMENT 'Share of successes over ten minutes, 0 to 1',
    height          Nullable(UInt64) COMMENT 'Its head as last seen',
    lag_blocks      Nullable(UInt64) COMMENT 'Blocks behind the best endpoint of the network',
    state           LowCardinality(String) COMMENT 'ok, slow, behind, throttled, failing, open (not asked until a probe succeeds), quarantined (it lied) or unknown',
    reason          Nullable(String) COMMENT 'Why, in a sentence; for a lie what was said and what is right',
    since           DateTime64(3, 'UTC') COMMENT 'Since when the state holds, UTC',
    in_use          UInt8 COMMENT 'Whether blocks are taken from here',
    last_error      Nullable(String) COMMENT 'The last failure in words; null before the first',
    last_seen_at    Nullable(DateTime64(3, 'UTC')) COMMENT 'When it last answered a call, UTC',
    operator        LowCardinality(String) COMMENT 'Whose it is',
    in_use_since    Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when blocks are taken from here, UTC',
    last_error_at   Nullable(DateTime64(3, 'UTC')) COMMENT 'When the last failure was, UTC',
    calls_per_block Nullable(Float64) COMMENT 'Calls within the last hour by blocks passed on in it',
    bytes_per_block Nullable(Float64) COMMENT 'Bytes of answers likewise',
    calls_per_day   UInt64 COMMENT 'Calls of the day in UTC',
    bytes_per_day   UInt64 COMMENT 'Bytes of their answers',
    per_day         Nullable(UInt64) COMMENT 'Calls that the configuration allows in a day',
    observer        LowCardinality(String) COMMENT 'Whose word this is: stage and instance',
    at              DateTime64(3, 'UTC') COMMENT 'When it was said, UTC',
    protocol        LowCardinality(Nullable(String)) COMMENT 'What is spoken with it: electrum tcp, electrum tls, core rpc or core rest; null where there is nothing to tell apart',
    software        Nullable(String) COMMENT 'What it says that it is, such as ElectrumX 1.16.0; null where it is not asked',
    sockets         Nullable(UInt32) COMMENT 'Connections that are held open to it; null where they are a matter of the HTTP client',
    in_flight       Nullable(UInt32) COMMENT 'Requests that it has not answered yet'
)
AS SELECT
    e.network AS network, e.endpoint AS name, e.url AS url,
    if(e.heard, e.score, NULL) AS score,
    if(e.heard, e.latency_part / 1000000, NULL) AS latency_part,
    if(e.heard, e.success_part / 1000000, NULL) AS success_part,
    if(e.heard, e.height_part / 1000000, NULL) AS height_part,
    if(e.heard, e.latency_ms, NULL) AS latency_ms,
    if(e.heard, e.latency_p95_ms, NULL) AS latency_p95_ms,
    if(e.heard, e.success_rate / 1000000, NULL) AS success_rate,
    e.height AS height,
    if(e.heard, e.lag_blocks, NULL) AS lag_blocks,
    CAST(if(e.heard, e.state, 'unknown'), 'LowCardinality(String)') AS state,
    if(e.heard, nullIf(e.reason, ''), concat('nothing was heard of it from ', e.observer, ' since ', formatDateTime(e.at, '%FT%TZ', 'UTC'))) AS reason,
    if(e.heard, e.since, e.silent_from) AS since,
    e.heard AND e.in_use AS in_use,
    nullIf(e.last_error, '') AS last_error,
    e.last_seen_at AS last_seen_at, e.operator AS operator,
    if(e.heard AND e.in_use, e.in_use_since, NULL) AS in_use_since,
    e.last_error_at AS last_error_at,
    if(e.hour_blocks > 0, e.hour_calls / e.hour_blocks, NULL) AS calls_per_block,
    if(e.hour_blocks > 0, e.hour_bytes / e.hour_blocks, NULL) AS bytes_per_block,
    e.day_calls AS calls_per_day, e.day_bytes AS bytes_per_day, e.per_day AS per_day, e.observer AS observer, e.at AS at,
    CAST(nullIf(e.protocol, ''), 'LowCardinality(Nullable(String))') AS protocol, nullIf(e.software, '') AS software,
    if(e.heard, e.sockets, NULL) AS sockets, if(e.heard, e.in_flight, NULL) AS in_flight
FROM
(
    SELECT *, at + toIntervalMillisecond(least(every_ms, 86400000) * 3) AS silent_from, silent_from >= now64(3, 'UTC') AS heard
    FROM endpoint_rows FINAL
    WHERE at > now64(3, 'UTC') - INTERVAL 1 DAY AND every_ms > 0
    ORDER BY network, endpoint, heard DESC, state = 'quarantined' DESC, in_use DESC, at DESC
    LIMIT 1 BY network, endpoint
) AS e
COMMENT 'A row is an endpoint of a network as it is now'
