-- Before which time windows were removed by `[store] keep_windows` (rule 32): a row is written before the first of them goes, and hides
-- them from the view at once. The latest time counts.
CREATE TABLE IF NOT EXISTS pruned_window_rows
(
    pruned_before DateTime64(3, 'UTC') COMMENT 'No window that begins before it is held any more',
    at            DateTime64(3, 'UTC') COMMENT 'When that was said'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY pruned_before
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
