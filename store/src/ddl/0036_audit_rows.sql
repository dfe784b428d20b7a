-- How whole each bucket of 1,024 heights is, counted once it lies deeper than any reorg and again when something in it changed
-- (rule 18). The newest version of a bucket counts.
CREATE TABLE IF NOT EXISTS audit_rows
(
    network      LowCardinality(String) COMMENT 'Slug of the network',
    from_height  UInt64 COMMENT 'First height of the bucket: a multiple of 1,024' CODEC(Delta, ZSTD(1)),
    version      UInt64 COMMENT 'Microseconds since 1970 by the store''s clock, from before the count was read; always above the former' CODEC(Delta, ZSTD(1)),
    stale        UInt8 DEFAULT 0 COMMENT '1: something in the bucket changed since; it is to be counted again',
    runs         Array(Tuple(UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt8)) COMMENT 'Consecutive heights that are all complete, or all not, lowest first: first and last height, blocks, transactions expected and stored, logs expected and stored, whether complete. Empty when the bucket holds no block' CODEC(ZSTD(1)),
    first_parent String COMMENT 'Parent hash of the bucket''s lowest block; empty without one' CODEC(ZSTD(1)),
    last_hash    String COMMENT 'Hash of the bucket''s highest block; empty without one' CODEC(ZSTD(1)),
    audited_at   DateTime64(3, 'UTC') COMMENT 'When it was counted, or marked'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (network, from_height)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
