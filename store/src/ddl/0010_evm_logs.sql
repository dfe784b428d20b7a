-- Canonical logs, each once, under the names of ethereum-etl (rule 17).
CREATE OR REPLACE VIEW evm_logs AS
SELECT
    network, log_index, transaction_hash, transaction_index, address, data, topics, height AS block_number,
    block_time AS block_timestamp, block_hash, event, arguments, sequence
FROM evm_log_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
