-- One row per output of a Bitcoin transaction of an applied block. Bytes and amounts: as in bitcoin_transaction_rows.
CREATE TABLE IF NOT EXISTS bitcoin_output_rows
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    height            UInt64 COMMENT 'Block height' CODEC(Delta, ZSTD(1)),
    transaction_index UInt32 COMMENT 'Position of the transaction in the block' CODEC(Delta, ZSTD(1)),
    output_index      UInt32 COMMENT 'Position in the transaction, from 0' CODEC(Delta, ZSTD(1)),
    version           UInt64 COMMENT 'sequence × 256 + revision, deletion rows + 255 (rule 16)' CODEC(Delta, ZSTD(1)),
    is_deleted        UInt8 DEFAULT 0 COMMENT '1: the block was reverted',
    sequence          UInt64 ALIAS intDiv(version, 256) COMMENT 'Sequence of the event that applied the block',
    block_hash        FixedString(32) COMMENT 'Block hash' CODEC(ZSTD(1)),
    block_time        DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp' CODEC(Delta, ZSTD(1)),
    transaction_hash  FixedString(32) COMMENT 'Transaction id' CODEC(ZSTD(1)),
    is_coinbase       UInt8 COMMENT 'Whether a coinbase made it',
    value             UInt64 COMMENT 'Satoshi' CODEC(ZSTD(1)),
    kind              LowCardinality(String) COMMENT 'Core''s word for its script',
    addresses         Array(String) COMMENT 'Its addresses: one, none, or several for a bare multisig' CODEC(ZSTD(1)),
    script            String COMMENT 'Its script' CODEC(ZSTD(1)),
    span              UInt32 COMMENT 'Heights of one partition of this network (partition_rows); 0 is refused' CODEC(ZSTD(1)),
    INDEX by_transaction lower(hex(transaction_hash)) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_address addresses TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time block_time TYPE minmax GRANULARITY 1,
    INDEX by_sequence intDiv(version, 256) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (network, intDiv(height, span))
ORDER BY (network, height, transaction_index, output_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, merge_selector_base = 30, max_parts_to_merge_at_once = 64, min_bytes_for_wide_part = 33554432, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1
