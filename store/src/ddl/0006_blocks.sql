-- Canonical blocks, each once (rule 17).
CREATE OR REPLACE VIEW blocks AS
SELECT
    network, family, height AS number, hash, parent_hash, block_time AS timestamp, transaction_count, failed_count, gas_limit,
    gas_used, sequence, observed_at, stored_at,
    origin, log_count, unknown_count, unreadable_count, token_transfer_count, created_count, receipt_gas_used, fee_total,
    fee_unknown_count, gas_price_sum, gas_price_count, gas_price_min, gas_price_max, value_total, base_fee_per_gas, miner,
    difficulty, total_difficulty, size, nonce, extra_data, sha3_uncles, state_root, transactions_root, receipts_root,
    withdrawals_root, withdrawal_count, blob_gas_used, excess_blob_gas, l1_block_number
FROM block_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
