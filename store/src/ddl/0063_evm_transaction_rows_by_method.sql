-- Transactions by the selector of the called function, on the views' own expression. Parts that are there already get the index when
-- they are merged.
ALTER TABLE evm_transaction_rows ADD INDEX IF NOT EXISTS by_method if(bitTest(present, 2), concat('0x', lower(hex(method))), NULL) TYPE bloom_filter(0.01) GRANULARITY 1
