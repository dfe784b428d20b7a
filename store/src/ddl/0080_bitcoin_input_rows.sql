-- One row per input of a Bitcoin transaction of an applied block, the coinbase's too, which spends nothing: the views leave it out, as the
-- public datasets do. What an output is spent by is found by the index over what inputs spend. Bytes, amounts and what is not there: as in
-- bitcoin_transaction_rows.
CREATE TABLE IF NOT EXISTS bitcoin_input_rows
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    height            UInt64 COMMENT 'Block height' CODEC(Delta, ZSTD(1)),
    transaction_index UInt32 COMMENT 'Position of the transaction in the block' CODEC(Delta, ZSTD(1)),
    input_index       UInt32 COMMENT 'Position in the transaction, from 0' CODEC(Delta, ZSTD(1)),
    version           UInt64 COMMENT 'sequence × 256 + revision, deletion rows + 255 (rule 16)' CODEC(Delta, ZSTD(1)),
    is_deleted        UInt8 DEFAULT 0 COMMENT '1: the block was reverted',
    sequence          UInt64 ALIAS intDiv(version, 256) COMMENT 'Sequence of the event that applied the block',
    block_hash        FixedString(32) COMMENT 'Block hash' CODEC(ZSTD(1)),
    block_time        DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp' CODEC(Delta, ZSTD(1)),
    transaction_hash  FixedString(32) COMMENT 'Transaction id' CODEC(ZSTD(1)),
    is_coinbase       UInt8 COMMENT 'Whether it is a coinbase''s: then it spends nothing',
    spent_txid        FixedString(32) COMMENT 'Transaction whose output it spends' CODEC(ZSTD(1)),
    spent_index       UInt32 COMMENT 'Position of that output' CODEC(ZSTD(1)),
    script            String COMMENT 'Its script' CODEC(ZSTD(1)),
    input_sequence    UInt32 COMMENT 'Its sequence number, BIP-68 and BIP-125' CODEC(ZSTD(1)),
    witness           Array(String) COMMENT 'Its witness, item by item' CODEC(ZSTD(1)),
    value             UInt64 COMMENT 'Bit 0. What it spends, satoshi' CODEC(ZSTD(1)),
    kind              LowCardinality(String) COMMENT 'Bit 0. Core''s word for the script of what it spends',
    addresses         Array(String) COMMENT 'Addresses of that script' CODEC(ZSTD(1)),
    spent_script      String COMMENT 'Bit 0. That script' CODEC(ZSTD(1)),
    spent_height      UInt32 COMMENT 'Bit 1. Height of the block that made what it spends' CODEC(ZSTD(1)),
    envelope          String COMMENT 'Bit 2. Media type of an inscription that its witness reveals: anybody''s words' CODEC(ZSTD(1)),
    present           UInt8 COMMENT 'Which of the columns with a bit are not null' CODEC(ZSTD(1)),
    span              UInt32 COMMENT 'Heights of one partition of this network (partition_rows); 0 is refused' CODEC(ZSTD(1)),
    INDEX by_spent lower(hex(spent_txid)) TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_transaction lower(hex(transaction_hash)) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_address addresses TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time block_time TYPE minmax GRANULARITY 1,
    INDEX by_sequence intDiv(version, 256) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (network, intDiv(height, span))
ORDER BY (network, height, transaction_index, input_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, merge_selector_base = 30, max_parts_to_merge_at_once = 64, min_bytes_for_wide_part = 33554432, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1
