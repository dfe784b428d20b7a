-- Logs by time, as blocks and transactions have it. Parts that are there already get the index when they are merged.
ALTER TABLE evm_log_rows ADD INDEX IF NOT EXISTS by_time block_time TYPE minmax GRANULARITY 1
