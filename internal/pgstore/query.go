package pgstore

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// row is one of an answer, in PostgreSQL's binary format: a text's bytes, a bigint's eight, nil for NULL.
type row [][]byte

func (r row) text(i int) string { return string(r[i]) }

// number is a bigint; zero for NULL.
func (r row) number(i int) int64 {
	if len(r[i]) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(r[i]))
}

// statement is one command and its parameters: string, int64, []byte for a bytea, nil for NULL.
type statement struct {
	sql  string
	args []any
}

func (s statement) params() (values [][]byte, formats []int16) {
	values, formats = make([][]byte, len(s.args)), make([]int16, len(s.args))
	for i, arg := range s.args {
		switch arg := arg.(type) {
		case string:
			values[i] = []byte(arg)
		case int64:
			values[i] = strconv.AppendInt(nil, arg, 10)
		case []byte:
			values[i], formats[i] = arg, binaryFormat[0]
		}
	}
	return values, formats
}

var binaryFormat = []int16{1}

// query runs one statement in a transaction of its own.
func query(ctx context.Context, c *pgconn.PgConn, sql string, args ...any) ([]row, error) {
	values, formats := statement{sql, args}.params()
	result := c.ExecParams(ctx, sql, values, nil, formats, binaryFormat).Read()
	if result.Err != nil {
		return nil, &failure{result.Err}
	}
	return rowsOf(result), nil
}

// together runs statements in one round trip: in one transaction, unless they begin or end one. It returns the rows of each.
func together(ctx context.Context, c *pgconn.PgConn, statements ...statement) ([][]row, error) {
	var batch pgconn.Batch
	for _, s := range statements {
		values, formats := s.params()
		batch.ExecParams(s.sql, values, nil, formats, binaryFormat)
	}
	results, err := c.ExecBatch(ctx, &batch).ReadAll()
	if err != nil {
		return nil, &failure{err}
	}
	all := make([][]row, len(results))
	for i, result := range results {
		if result.Err != nil {
			return nil, &failure{result.Err}
		}
		all[i] = rowsOf(result)
	}
	return all, nil
}

func rowsOf(result *pgconn.Result) []row {
	rows := make([]row, len(result.Rows))
	for i, r := range result.Rows {
		rows[i] = r
	}
	return rows
}

// The moments that a timestamp is given for. Others are outside what a date can say, and no token's.
var (
	earliest = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro()
)

// micros is a moment in microseconds since 1970.
func micros(t time.Time) int64 {
	switch year := t.UTC().Year(); {
	case year < 1:
		return earliest
	case year > 9999:
		return latest
	}
	return min(max(t.UnixMicro(), earliest), latest)
}
