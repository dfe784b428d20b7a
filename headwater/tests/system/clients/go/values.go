package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// values checks that types arrive as they are.
func values(db *sql.DB) {
	ctx := context.Background()
	check("UInt256 and DateTime64", func() error {
		var amount, fee big.Int
		var at time.Time
		err := db.QueryRow("SELECT value, assumeNotNull(fee), block_timestamp FROM transactions WHERE hash = ? LIMIT 1", fact("rich_hash")).
			Scan(&amount, &fee, &at)
		return first(err, same(amount.String(), fact("rich_value")), same(fee.String(), fact("rich_fee")),
			same(fmt.Sprint(at.UnixMilli()), fact("rich_time_ms")))
	})
	check("the largest UInt256", func() error {
		largest := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
		found, err := value[big.Int](ctx, db, "SELECT toUInt256('"+largest.String()+"')")
		return first(err, same(found.String(), largest.String()))
	})
	check("Nullable", func() error {
		none, err := value[*string](ctx, db, "SELECT CAST(NULL AS Nullable(String))")
		some, err2 := value[*string](ctx, db, "SELECT CAST('x' AS Nullable(String))")
		if err := first(err, err2); err != nil {
			return err
		}
		if none != nil || some == nil || *some != "x" {
			return fmt.Errorf("got %v and %v", none, some)
		}
		return nil
	})
	check("Array", func() error {
		topics, err := value[[]string](ctx, db, "SELECT topics FROM evm_logs WHERE transaction_hash = ? AND log_index = ?",
			fact("log_transaction"), number("log_index"))
		return first(err, same(strings.Join(topics, ","), fact("log_topics")))
	})
	counts(db, "bind by position", number("transactions"), "SELECT count() FROM transactions WHERE network = ? AND block_timestamp < ?",
		fact("network"), time.Now().Add(time.Hour))
	counts(db, "bind by name", number("failed"), "SELECT count() FROM transactions WHERE network = {network:String} AND status = {status:String}",
		clickhouse.Named("network", fact("network")), clickhouse.Named("status", "failed"))
	check("500,000 rows", func() error {
		rows, err := db.Query("SELECT number, toString(number) FROM numbers(500000)")
		if err != nil {
			return err
		}
		defer rows.Close()
		var count, sum uint64
		for rows.Next() {
			var n uint64
			var text string
			if err := rows.Scan(&n, &text); err != nil {
				return err
			}
			if text != fmt.Sprint(n) {
				return fmt.Errorf("%d beside %s", n, text)
			}
			count, sum = count+1, sum+n
		}
		return first(rows.Err(), same(count, 500000), same(sum, 499999*500000/2))
	})
	check("an error after the first rows", func() error {
		rows, err := db.Query("SELECT throwIf(number = 900000) FROM numbers(950000) SETTINGS max_threads = 1")
		if err != nil {
			return fmt.Errorf("it comes first: %w", err)
		}
		defer rows.Close()
		count := 0
		for rows.Next() {
			count++
		}
		if count == 0 || count > 900000 {
			return fmt.Errorf("%d rows, then %v", count, rows.Err())
		}
		return same(code(rows.Err()), 395)
	})
	check("an unknown column", func() error {
		_, err := column(db, "SELECT nope FROM blocks")
		return same(code(err), 47)
	})
	check("an insert is refused", func() error {
		_, err := db.Exec("INSERT INTO blocks (number) VALUES (1)")
		if got := code(err); got != 497 && got != 164 {
			return fmt.Errorf("code %d of %v", got, err)
		}
		return nil
	})
}

// settings checks the places where clients put them.
func settings(db *sql.DB) {
	ctx := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 10, "max_threads": 2}))
	check("settings of a statement", func() error {
		found, err := value[string](ctx, db, "SELECT toString(getSetting('max_execution_time')) || ' ' || toString(getSetting('max_threads'))")
		return first(err, same(found, "10 2"))
	})
	check("settings of a connection, with a row limit", func() error {
		limited := clickhouse.OpenDB(options(clickhouse.CompressionNone, clickhouse.Settings{"max_execution_time": 60, "limit": 7}))
		defer limited.Close()
		rows, err := column(limited, "SELECT hash FROM transactions")
		return first(err, same(len(rows), 7))
	})
	check("a bound cannot be raised", func() error {
		raised := clickhouse.Context(context.Background(), clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 100000}))
		found, err := value[uint64](raised, db, "SELECT toUInt64(getSetting('max_execution_time'))")
		if err == nil && (found == 0 || found >= 100000) {
			return fmt.Errorf("it is %d", found)
		}
		return err
	})
}

// cancelling checks that a statement whose context ends ends on the server too.
func cancelling(db *sql.DB) {
	check("cancel by context", func() error {
		stages := options(clickhouse.CompressionNone, nil)
		stages.Auth.Username, stages.Auth.Password = fact("stages_user"), fact("stages_password")
		witness := clickhouse.OpenDB(stages)
		defer witness.Close()
		running := func(want uint64, patience time.Duration) error {
			for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				found, err := value[uint64](context.Background(), witness,
					"SELECT count() FROM system.processes WHERE query LIKE '%ended_by_go%' AND query NOT LIKE '%system.processes%'")
				if err != nil || found == want {
					return err
				}
				if time.Now().After(end) {
					return fmt.Errorf("%d statements run after %v, not %d", found, patience, want)
				}
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		answer := make(chan error, 1)
		go func() {
			_, err := value[uint64](ctx, db,
				"SELECT count() AS ended_by_go FROM numbers(300000) AS a, numbers(300000) AS b WHERE sipHash64(a.number, b.number) = 1")
			answer <- err
		}()
		if err := running(1, 20*time.Second); err != nil {
			return err
		}
		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) {
			return fmt.Errorf("the caller hears %v", err)
		}
		return running(0, 3*time.Second)
	})
}

// native checks clickhouse-go's own interface, beside database/sql.
func native() {
	ctx := context.Background()
	connection, err := clickhouse.Open(options(clickhouse.CompressionLZ4, nil))
	if err != nil {
		check("open", func() error { return err })
		return
	}
	defer connection.Close()
	check("the server's version", func() error {
		version, err := connection.ServerVersion()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(fact("version"), version.Version.String()) || version.Timezone.String() != "UTC" {
			return fmt.Errorf("%v in %v, the stages see %s", version.Version, version.Timezone, fact("version"))
		}
		return nil
	})
	check("select into structures", func() error {
		var rows []struct {
			Status string `ch:"status"`
			Count  uint64 `ch:"n"`
		}
		err := connection.Select(ctx, &rows, "SELECT toString(status) AS status, count() AS n FROM transactions WHERE status = 'failed' GROUP BY status")
		if err != nil || len(rows) != 1 {
			return first(err, fmt.Errorf("%d rows", len(rows)))
		}
		return first(same(rows[0].Status, "failed"), same(rows[0].Count, number("failed")))
	})
	check("a batch is refused", func() error {
		batch, err := connection.PrepareBatch(ctx, "INSERT INTO blocks (number)")
		if err == nil {
			err = first(batch.Append(uint64(1)), batch.Send())
		}
		if got := code(err); got != 497 && got != 164 {
			return fmt.Errorf("code %d of %v", got, err)
		}
		return nil
	})
}
