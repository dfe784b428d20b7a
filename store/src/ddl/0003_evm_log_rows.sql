-- One row per log of an applied block. The transaction's index stands in the key because some chains number logs per
-- transaction.
CREATE TABLE IF NOT EXISTS evm_log_rows
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    height            UInt64 COMMENT 'Block number' CODEC(Delta, ZSTD(1)),
    transaction_index UInt32 COMMENT 'Position of the transaction in the block' CODEC(Delta, ZSTD(1)),
    log_index         UInt32 COMMENT 'Position of the log in the block' CODEC(Delta, ZSTD(1)),
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block' CODEC(Delta, ZSTD(1)),
    version           UInt64 COMMENT '2 × sequence, plus 1 on deletion rows' CODEC(Delta, ZSTD(1)),
    is_deleted        UInt8 DEFAULT 0 COMMENT '1: the block was reverted',
    block_hash        String COMMENT 'Block hash' CODEC(ZSTD(1)),
    block_time        DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp' CODEC(Delta, ZSTD(1)),
    transaction_hash  String COMMENT 'Transaction hash' CODEC(ZSTD(1)),
    address           String COMMENT 'Emitting contract' CODEC(ZSTD(1)),
    topics            Array(String) COMMENT 'Up to four topics; the first is the event''s signature hash' CODEC(ZSTD(1)),
    data              String COMMENT 'Data that is not indexed' CODEC(ZSTD(1)),
    event             LowCardinality(Nullable(String)) COMMENT 'Signature of the event, where known',
    arguments         Nullable(String) COMMENT 'JSON object of the arguments by name, where known' CODEC(ZSTD(1)),
    INDEX by_address address TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_topic topics TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_transaction transaction_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_sequence sequence TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY intDiv(height, 1000000)
ORDER BY (network, height, transaction_index, log_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
