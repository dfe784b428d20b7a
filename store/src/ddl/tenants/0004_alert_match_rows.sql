-- What monitors matched and what a reorg took back, for 30 days: a row is what one block event says of one match (rule 29). The place of a
-- match lies in its transaction; its block is part of the row, and a match that comes again in another block has a row of that block.
CREATE TABLE IF NOT EXISTS alert_match_rows
(
    tenant           LowCardinality(String) COMMENT 'Whose',
    source_id        String COMMENT 'Id of the monitor' CODEC(ZSTD(1)),
    at               DateTime64(3, 'UTC') COMMENT 'Time of the block' CODEC(Delta, ZSTD(1)),
    network          LowCardinality(String) COMMENT 'Slug of the network',
    transaction_hash FixedString(32) COMMENT 'The transaction' CODEC(ZSTD(1)),
    kind             LowCardinality(String) COMMENT 'event, function or transaction',
    condition        UInt32 COMMENT 'Which of the monitor''s conditions of that kind, from 0' CODEC(ZSTD(1)),
    place            UInt32 COMMENT 'Place of the log in its transaction, from 1; 0: no log' CODEC(ZSTD(1)),
    sequence         UInt64 COMMENT 'Block event that says so' CODEC(Delta, ZSTD(1)),
    op               LowCardinality(String) COMMENT 'match, retract or included_again',
    monitor_version  UInt64 COMMENT 'Version of the monitor then' CODEC(ZSTD(1)),
    height           UInt64 COMMENT 'Height of the block' CODEC(Delta, ZSTD(1)),
    block_hash       FixedString(32) COMMENT 'The block' CODEC(ZSTD(1)),
    signature        String COMMENT 'What was called or emitted; empty of a transaction' CODEC(ZSTD(1)),
    arguments        String COMMENT 'Its arguments, a JSON object' CODEC(ZSTD(3)),
    INDEX of_transaction transaction_hash TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toStartOfDay(at)
ORDER BY (tenant, source_id, at, network, transaction_hash, kind, condition, place, sequence)
TTL toDateTime(at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
