package main

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// grafana sends what the data source does: its health check and browser of schemas, its macros expanded, its filters.
func grafana(db *sql.DB) {
	from, to, middle := number("first_s"), number("last_s"), number("middle_s")
	all, half := number("transactions"), number("until_middle")
	day := func(seconds uint64) string { return time.Unix(int64(seconds), 0).UTC().Format(time.DateOnly) }

	lists(db, "databases", "headwater", "SELECT name FROM system.databases WHERE name = 'headwater'")
	check("SHOW DATABASES", func() error {
		names, err := column(db, "SHOW DATABASES")
		if err == nil && !strings.Contains(","+strings.Join(names, ",")+",", ",headwater,") {
			err = fmt.Errorf("%v", names)
		}
		return err
	})
	lists(db, "SHOW TABLES", fact("relations"), "SHOW TABLES FROM headwater")
	lists(db, "SHOW TABLES of the default database", "", "SHOW TABLES FROM `default`")
	lists(db, "DESC TABLE", fact("columns"), "DESC TABLE \"headwater\".\"transactions\"")
	lists(db, "system.columns", fact("columns"), "SELECT name, type FROM system.columns WHERE database = 'headwater' AND table = 'transactions'")
	lists(db, "a variable", fact("network"), "SELECT DISTINCT network FROM blocks")
	lists(db, "a filter's values", fact("statuses"), "SELECT DISTINCT toString(status) FROM headwater.transactions LIMIT 1000")
	check("functions for completion", func() error {
		names, err := column(db, "SELECT name FROM system.functions")
		if err == nil && len(names) < 1000 {
			err = fmt.Errorf("%d functions", len(names))
		}
		return err
	})
	lists(db, "version", fact("version"), "SELECT version()")

	counted := func(macro string, want uint64, condition string) {
		counts(db, macro, want, "SELECT count() FROM transactions WHERE "+condition)
	}
	counted("$__timeFilter", all, fmt.Sprintf("block_timestamp >= toDateTime(%d) AND block_timestamp <= toDateTime(%d)", from, to+1))
	counted("$__timeFilter of half", half, fmt.Sprintf("block_timestamp >= toDateTime(%d) AND block_timestamp <= toDateTime(%d)", from, middle))
	counted("$__timeFilter_ms", half, fmt.Sprintf(
		"block_timestamp >= fromUnixTimestamp64Milli(%d) AND block_timestamp <= fromUnixTimestamp64Milli(%d)", from*1000, middle*1000))
	counted("$__dateFilter", all, fmt.Sprintf("block_timestamp >= toDate('%s') AND block_timestamp <= toDate('%s')", day(from), day(to+86400)))
	counted("$__dateTimeFilter", half, fmt.Sprintf(
		"(block_timestamp >= toDate('%s') AND block_timestamp <= toDate('%s')) AND (block_timestamp >= toDateTime(%d) AND block_timestamp <= toDateTime(%d))",
		day(from), day(to+86400), from, middle))
	counted("$__fromTime, $__toTime", half, fmt.Sprintf("block_timestamp BETWEEN toDateTime(%d) AND toDateTime(%d)", from, middle))
	counted("$__fromTime_ms, $__toTime_ms", half, fmt.Sprintf(
		"block_timestamp BETWEEN fromUnixTimestamp64Milli(%d) AND fromUnixTimestamp64Milli(%d)", from*1000, middle*1000))
	counted("$__timeFrom", all, fmt.Sprintf("block_timestamp >= toDateTime(%d)", from))
	counted("$__timeTo", half, fmt.Sprintf("block_timestamp <= toDateTime(%d)", middle))
	counted("$__conditionalAll of all", all, "1=1")
	counted("$__conditionalAll", number("failed"), "status IN ('failed')")

	series := func(macro, interval, fill string, step time.Duration) {
		check(macro, func() error {
			rows, err := db.Query("SELECT " + interval + " AS time, count() AS transactions, countIf(status = 'failed') AS failed FROM transactions " +
				"GROUP BY time ORDER BY time" + fill)
			if err != nil {
				return err
			}
			defer rows.Close()
			var count, failures uint64
			for rows.Next() {
				var at time.Time
				var n, bad uint64
				if err := rows.Scan(&at, &n, &bad); err != nil {
					return err
				}
				if at.UnixMilli()%step.Milliseconds() != 0 {
					return fmt.Errorf("%v is not a multiple of %v", at, step)
				}
				count, failures = count+n, failures+bad
			}
			return first(rows.Err(), same(count, all), same(failures, number("failed")))
		})
	}
	series("$__timeInterval", "toStartOfInterval(toDateTime(block_timestamp), INTERVAL 60 second)", "", time.Minute)
	series("$__timeInterval_ms", "toStartOfInterval(toDateTime64(block_timestamp, 3), INTERVAL 500 millisecond)", "", 500*time.Millisecond)
	series("$__timeGroup", "toStartOfInterval(toDateTime(block_timestamp), INTERVAL 300 second)", "", 5*time.Minute)
	series("$__timeInterval, filled", "toStartOfInterval(toDateTime(block_timestamp), INTERVAL 60 second)", " WITH FILL STEP 60", time.Minute)
	check("$__interval_s", func() error {
		_, err := column(db, "SELECT sum(gas_used) / 15 AS per_second FROM transactions")
		return err
	})

	// Ad-hoc filters stand at the statement's end as a setting.
	counts(db, "an ad-hoc filter", number("failed"),
		"SELECT count() FROM transactions settings additional_table_filters={'headwater.transactions':'status = \\'failed\\''}")
	counts(db, "an ad-hoc filter as the plugin spaces it", number("failed"),
		"SELECT count() FROM headwater.transactions settings additional_table_filters={'headwater.transactions' : ' status = \\'failed\\' '}")
	counts(db, "two ad-hoc filters", 1, fmt.Sprintf(
		"SELECT count() FROM transactions settings additional_table_filters={'headwater.transactions' : ' network = \\'%s\\' AND hash = \\'%s\\' '}",
		fact("network"), fact("rich_hash")))
	counts(db, "an ad-hoc filter on another table", all,
		"SELECT count() FROM transactions settings additional_table_filters={'headwater.blocks' : ' number = 0 '}")
	counts(db, "SETTINGS at the end", 1, "SELECT toUInt64(1) SETTINGS max_execution_time = 30")
	check("SETTINGS at the end take effect", func() error {
		found, err := column(db, "SELECT getSetting('max_threads') SETTINGS max_threads = 1, max_execution_time = 30")
		return first(err, same(strings.Join(found, ","), "1"))
	})
	check("EXPLAIN", func() error {
		lines, err := column(db, "EXPLAIN SELECT count() FROM transactions WHERE status = 'failed'")
		if plan := strings.Join(lines, "\n"); err == nil && !strings.Contains(plan, "ReadFromMergeTree") {
			err = fmt.Errorf("%s", plan)
		}
		return err
	})
	lists(db, "EXPLAIN ESTIMATE", "headwater", "EXPLAIN ESTIMATE SELECT hash FROM transactions")
	check("EXPLAIN indexes", func() error {
		lines, err := column(db, "EXPLAIN indexes = 1 SELECT hash FROM transactions WHERE network = '"+fact("network")+"'")
		if plan := strings.Join(lines, "\n"); err == nil && !strings.Contains(plan, "PrimaryKey") {
			err = fmt.Errorf("%s", plan)
		}
		return err
	})
	check("health: ping and close", func() error {
		other := clickhouse.OpenDB(options(clickhouse.CompressionNone, clickhouse.Settings{"max_execution_time": 60}))
		return first(other.Ping(), other.Close())
	})
}
