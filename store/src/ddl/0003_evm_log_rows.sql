-- One row per log of an applied block. The transaction's index stands in the key because some chains number logs per
-- transaction.
CREATE TABLE IF NOT EXISTS evm_log_rows
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    height            UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Block number',
    transaction_index UInt32 CODEC(Delta, ZSTD(1)) COMMENT 'Position of the transaction in the block',
    log_index         UInt32 CODEC(Delta, ZSTD(1)) COMMENT 'Position of the log in the block',
    sequence          UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Sequence of the event that applied the block',
    version           UInt64 CODEC(Delta, ZSTD(1)) COMMENT '2 × sequence, plus 1 on deletion rows',
    is_deleted        UInt8 DEFAULT 0 COMMENT '1: the block was reverted',
    block_hash        String CODEC(ZSTD(1)) COMMENT 'Block hash',
    block_time        DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'The block''s own time stamp',
    transaction_hash  String CODEC(ZSTD(1)) COMMENT 'Transaction hash',
    address           String CODEC(ZSTD(1)) COMMENT 'Emitting contract',
    topics            Array(String) CODEC(ZSTD(1)) COMMENT 'Up to four topics; the first is the event''s signature hash',
    data              String CODEC(ZSTD(1)) COMMENT 'Data that is not indexed',
    event             LowCardinality(Nullable(String)) COMMENT 'Signature of the event, where known',
    arguments         Nullable(String) CODEC(ZSTD(1)) COMMENT 'JSON object of the arguments by name, where known',
    INDEX by_address address TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_topic topics TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_transaction transaction_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_sequence sequence TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY intDiv(height, 1000000)
ORDER BY (network, height, transaction_index, log_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
