-- Every block event, reverts too, in the network's order. The sink's position and its proof of what it holds: a row here
-- is written after everything else of its event is on disk.
-- Not partitioned: one insert must become one part, so that the sequences that are held have no hole after a crash.
CREATE TABLE IF NOT EXISTS block_event_rows
(
    network          LowCardinality(String) COMMENT 'Slug of the network',
    sequence         UInt64 COMMENT 'The network''s total order, gapless' CODEC(Delta, ZSTD(1)),
    op               LowCardinality(String) COMMENT 'apply or revert',
    origin           LowCardinality(String) COMMENT 'live or backfill',
    height           UInt64 COMMENT 'Block number' CODEC(Delta, ZSTD(1)),
    block_hash       String COMMENT 'Block hash' CODEC(ZSTD(1)),
    block_time       DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp' CODEC(Delta, ZSTD(1)),
    tx_count         UInt32 COMMENT 'Transactions; 0 on reverts',
    log_count        UInt32 COMMENT 'Logs; 0 on reverts',
    reverts_sequence Nullable(UInt64) COMMENT 'On a revert: the sequence of the event that it undoes' CODEC(ZSTD(1)),
    observed_at      DateTime64(3, 'UTC') COMMENT 'When ingest first saw the block' CODEC(Delta, ZSTD(1)),
    stored_at        DateTime64(3, 'UTC') COMMENT 'When the sink wrote the row' CODEC(Delta, ZSTD(1)),
    INDEX by_height height TYPE minmax GRANULARITY 1,
    INDEX by_time block_time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (network, sequence)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
