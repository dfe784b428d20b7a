// clickhouse-go over HTTP, unchanged, as the analyst: what Grafana's ClickHouse data source is made of. FACTS, a file of
// `name=value` lines with addresses, passwords and what the stages' user read, is the argument. Ends with 1 when a check failed.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

var (
	facts          = map[string]string{}
	passed, failed int
)

// check runs one step and says how it went.
func check(name string, step func() error) {
	if err := step(); err != nil {
		failed++
		fmt.Printf("FAIL %s: %.600s\n", name, err)
		return
	}
	passed++
	fmt.Println("ok", name)
}

func same[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// first is the first error that there is.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func fact(name string) string {
	value, known := facts[name]
	if !known {
		panic("no fact " + name)
	}
	return value
}

func number(name string) uint64 {
	value, err := strconv.ParseUint(fact(name), 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

func options(method clickhouse.CompressionMethod, settings clickhouse.Settings) *clickhouse.Options {
	options := &clickhouse.Options{
		Addr:        []string{fact("host") + ":" + fact("port")},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: fact("database"), Username: fact("analyst_user"), Password: fact("analyst_password")},
		Settings:    settings,
		DialTimeout: 10 * time.Second,
		ReadTimeout: time.Minute,
	}
	if method != clickhouse.CompressionNone {
		options.Compression = &clickhouse.Compression{Method: method}
	}
	return options
}

// value is the one value that a statement gives.
func value[T any](ctx context.Context, db *sql.DB, statement string, arguments ...any) (T, error) {
	var found T
	err := db.QueryRowContext(ctx, statement, arguments...).Scan(&found)
	return found, err
}

// column is the first column of every row, as text.
func column(db *sql.DB, statement string, arguments ...any) ([]string, error) {
	rows, err := db.Query(statement, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	found := []string{}
	for rows.Next() {
		row := make([]any, len(names))
		for i := range row {
			row[i] = new(any)
		}
		if err := rows.Scan(row...); err != nil {
			return nil, err
		}
		found = append(found, fmt.Sprint(*row[0].(*any)))
	}
	return found, rows.Err()
}

// counts checks a statement that gives one UInt64.
func counts(db *sql.DB, name string, want uint64, statement string, arguments ...any) {
	check(name, func() error {
		got, err := value[uint64](context.Background(), db, statement, arguments...)
		return first(err, same(got, want))
	})
}

// lists checks the first column of a statement, in any order.
func lists(db *sql.DB, name, want, statement string, arguments ...any) {
	check(name, func() error {
		got, err := column(db, statement, arguments...)
		slices.Sort(got)
		return first(err, same(strings.Join(got, ","), want))
	})
}

// code is the number of the server's refusal.
func code(err error) int32 {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return exception.Code
	}
	return 0
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		facts[name] = value
	}
	for _, method := range []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD,
		clickhouse.CompressionGZIP, clickhouse.CompressionDeflate, clickhouse.CompressionBrotli,
	} {
		db := clickhouse.OpenDB(options(method, nil))
		check(fmt.Sprint("ping, ", method), func() error { return db.PingContext(context.Background()) })
		counts(db, fmt.Sprint("select, ", method), number("transactions"), "SELECT count() FROM transactions")
		check(fmt.Sprint("all columns, ", method), func() error {
			rows, err := column(db, "SELECT * FROM evm_logs LIMIT 300")
			return first(err, same(len(rows), 300))
		})
		db.Close()
	}
	db := clickhouse.OpenDB(options(clickhouse.CompressionLZ4, nil))
	defer db.Close()
	values(db)
	settings(db)
	cancelling(db)
	native()
	grafana(db)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
