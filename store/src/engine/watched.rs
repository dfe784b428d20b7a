//! What tells which contracts are watched: rows of windows, and columns of blocks.
//!
//! Guarantee (rule 15): where analysts may not know (`[store] analyst_contracts`), they read windows of networks alone, by the engine's policy on
//! the rows of [`WINDOWS`], which its look-ups by key obey too; and nothing by contract of [`BLOCKS`]: the engine grants those columns to the
//! stages and the API alone. Grants are not all of it, since the engine reads parts of a column (`contract_addresses.size0`), and a filter that
//! is added to a table, without asking for them: the judge lets analysts name no table that has them, but the views over it. How large those
//! tables are, part by part, is not shown either. Shown by `tests/engine/contracts.rs`.

/// The table of windows.
pub(super) const WINDOWS: &str = "window_rows";
/// The table of blocks.
pub(super) const BLOCKS: &str = "block_rows";
/// Its columns by watched contract.
pub(super) const COLUMNS: [&str; 6] = [
    "contract_addresses",
    "contract_transactions",
    "contract_failed",
    "contract_unknown",
    "contract_logs",
    "contract_gas_used",
];
/// What analysts do not name then: these tables, former ones that are called after them, and the view over those columns.
pub(super) const UNNAMED: [&str; 3] = [WINDOWS, BLOCKS, "contract_blocks"];

/// Whether a table or view is one of these, or is called after one.
pub(super) fn is_of(unnamed: &[&str], name: &str) -> bool {
    unnamed.iter().any(|unnamed| name.contains(unnamed))
}

/// Whether a table or view is of [`UNNAMED`]: where analysts may not know which contracts are watched, they are told nothing of it either.
pub fn tells_contracts(name: &str) -> bool {
    is_of(&UNNAMED, name)
}

/// Whether a statement is of the stages or the API, as the engine's policies have it.
pub(super) const READ_BY: &str = "hasAny(currentRoles(), ['stages', 'api'])";

/// Which rows of [`WINDOWS`] a statement sees.
pub(super) fn windows() -> String {
    format!("contract = '' OR {READ_BY}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_are_those_that_there_are() {
        assert!(READ_BY.contains(&format!("'{}'", super::super::tenants::ROLE)));
    }

    #[test]
    fn tables_by_contract_and_those_called_after_them_are_told_from_others() {
        let of = ["window_rows", "pruned_window_rows", "block_rows", "contract_blocks"];
        assert!(of.into_iter().all(tells_contracts));
        assert!(!["blocks", "windows", "block_event_rows", "window_position_rows"].into_iter().any(tells_contracts));
    }

    #[test]
    fn every_column_by_contract_is_listed() {
        let sql = include_str!("../ddl/0061_block_rows_contracts.sql");
        let added: Vec<&str> = sql.split("IF NOT EXISTS ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        assert_eq!(added, COLUMNS);
    }
}
