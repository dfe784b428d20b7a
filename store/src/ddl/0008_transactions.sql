-- Canonical transactions of every chain family, each once (rule 17).
CREATE OR REPLACE VIEW transactions AS
SELECT
    network, CAST('evm', 'LowCardinality(String)') AS family, height AS block_number, block_hash, block_time AS block_timestamp,
    transaction_index, hash, from_address, to_address, value, status, fee, failure_cause, method, sequence,
    failure_reason, receipt_gas_used AS gas_used, receipt_effective_gas_price AS gas_price, log_count, contracts
FROM evm_transaction_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
