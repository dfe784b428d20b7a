-- Canonical EVM transactions with their receipts, each once, under the names of ethereum-etl (rule 17).
CREATE OR REPLACE VIEW evm_transactions AS
SELECT
    network, height AS block_number, block_hash, block_time AS block_timestamp, transaction_index, hash, nonce, from_address,
    to_address, value, gas, gas_price, input, transaction_type, max_fee_per_gas, max_priority_fee_per_gas,
    max_fee_per_blob_gas, blob_versioned_hashes, receipt_cumulative_gas_used, receipt_gas_used, receipt_contract_address,
    receipt_root, receipt_status, receipt_effective_gas_price, receipt_l1_fee, receipt_l1_gas_used, receipt_l1_gas_price,
    receipt_l1_fee_scalar, receipt_blob_gas_price, receipt_blob_gas_used,
    status, fee, execution_fee, l1_fee, operator_fee, blob_fee, method, failure_cause, failure_reason, sequence,
    log_count, contracts, chain_id, authorization_count, source_hash, mint, receipt_l1_base_fee_scalar,
    receipt_l1_blob_base_fee, receipt_l1_blob_base_fee_scalar, receipt_operator_fee_scalar, receipt_operator_fee_constant,
    receipt_da_footprint_gas_scalar, receipt_token_ratio, receipt_gas_used_for_l1, receipt_l1_block_number,
    receipt_deposit_nonce, receipt_deposit_receipt_version
FROM evm_transaction_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
