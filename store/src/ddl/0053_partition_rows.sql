-- Heights of one partition of each network's rows: about a week of blocks, chosen when the network is first written, never changed. The
-- earliest row of a network counts.
CREATE TABLE IF NOT EXISTS partition_rows
(
    network LowCardinality(String) COMMENT 'Slug of the network',
    at      DateTime64(6, 'UTC') COMMENT 'When it was chosen, by the store''s clock',
    span    UInt32 COMMENT 'Heights of one partition: a multiple of 1,024, so that no count of completeness lies in two'
)
ENGINE = ReplacingMergeTree
ORDER BY (network, at, span)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
