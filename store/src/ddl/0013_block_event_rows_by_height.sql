-- Block events by height and by time. Parts that are there already get the indexes when they are merged.
ALTER TABLE block_event_rows
    ADD INDEX IF NOT EXISTS by_height height TYPE minmax GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_time block_time TYPE minmax GRANULARITY 1
