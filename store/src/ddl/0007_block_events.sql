-- Every block event, each once, reverts too: that nothing is missing is a query over sequence (rule 17).
CREATE OR REPLACE VIEW block_events AS
SELECT
    network, sequence, op, origin, height, block_hash, tx_count, log_count, reverts_sequence, observed_at, stored_at, block_time
FROM block_event_rows FINAL
