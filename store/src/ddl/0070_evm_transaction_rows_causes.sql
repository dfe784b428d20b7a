-- Causes that a second look finds (rules 14 and 16): folded into the row as revisions, empty until then. What is filtered and grouped by
-- are columns of their own; the rest of the evidence is one JSON object, so that a row without a failure costs next to nothing. The index
-- is on the views' own expression, below its cast; parts that are there already get it when they are merged.
ALTER TABLE evm_transaction_rows
    ADD COLUMN IF NOT EXISTS found_by       LowCardinality(String) COMMENT 'What the final cause was found by; empty until there is one' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS error_selector String COMMENT 'First four bytes that the failing frame gave back, or nothing' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS evidence       String COMMENT 'JSON object of the rest that is known of a failure, or nothing' CODEC(ZSTD(3)),
    ADD INDEX IF NOT EXISTS by_cause nullIf(failure_cause, '') TYPE bloom_filter(0.001) GRANULARITY 1
