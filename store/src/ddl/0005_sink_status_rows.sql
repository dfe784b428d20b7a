-- What the sink says of each network: written when a network is first seen, and when its state changes.
CREATE TABLE IF NOT EXISTS sink_status_rows
(
    network LowCardinality(String) COMMENT 'Slug of the network',
    family  LowCardinality(String) COMMENT 'Chain family',
    state   LowCardinality(String) COMMENT 'running, log_replaced, overtaken or unreadable',
    message String COMMENT 'What is wrong and what to do; empty while running',
    at      DateTime64(3, 'UTC') COMMENT 'When the state was entered'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY network
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
