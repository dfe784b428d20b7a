-- Events out of the way, so that the store says of none that it holds it before the rows of all of them are copied (the upgrade of the
-- sink copies them last, and drops this table).
RENAME TABLE block_event_rows TO coarse_block_event_rows
