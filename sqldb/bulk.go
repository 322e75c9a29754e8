package sqldb

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// InsertMany inserts rows, each with its values in the order of cols. Nothing is inserted if one cannot be. NULL is
// nil. On PostgreSQL it is one statement with an array for each column whose values differ, which is several times as
// fast as a row at a time; on SQLite a prepared statement that is run for each row, which is as fast as anything there.
//
// table and cols are constants of the program, and not quoted.
func (t *Tx) InsertMany(ctx context.Context, table string, cols []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	p, err := t.plan(ctx, planKey{table: table, sets: strings.Join(cols, ",")}, nil, cols)
	if err != nil {
		return err
	}
	_, err = t.runBulk(ctx, p, rows)
	return err
}

// UpdateMany changes the row that each of rows names: a row has the values of the key columns, which find it, and then
// the values to set. It returns how many rows were changed; a key that is not found changes nothing, nor does NULL as
// a key. No key may appear twice in rows: PostgreSQL would take either.
//
// PostgreSQL locks the rows in an order of its own. Transactions that may change the same rows should lock them
// first, in the order of their keys ([Tx.ForUpdate]), or be ready for repetitions after deadlocks.
func (t *Tx) UpdateMany(ctx context.Context, table string, keys, sets []string, rows [][]any) (int64, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	p, err := t.plan(ctx, planKey{table: table, keys: strings.Join(keys, ","), sets: strings.Join(sets, ",")}, keys, sets)
	if err != nil {
		return 0, err
	}
	return t.runBulk(ctx, p, rows)
}

// planKey identifies a bulk statement; keys is empty for an INSERT.
type planKey struct{ table, keys, sets string }

// bulkPlan is a bulk statement and what it needs.
type bulkPlan struct {
	table      string
	keys, sets []string
	cols       []string // keys and sets
	q          string   // SQLite's statement
	kinds      []string // PostgreSQL: the type of each column

	mu    sync.Mutex
	texts map[string]string // PostgreSQL's statements, by which columns have one value in all rows
}

// maxTexts bounds the statements of one plan. In practice there are a few: which columns are the same in all rows
// depends on what the program does, and hardly on the data.
const maxTexts = 64

// text is PostgreSQL's statement for rows in which the columns marked with a byte other than 0 have a single value.
func (p *bulkPlan) text(single []byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.texts[string(single)]
	if !ok {
		if p.texts == nil || len(p.texts) >= maxTexts {
			p.texts = map[string]string{}
		}
		q = pgBulk(p, single)
		p.texts[string(single)] = q
	}
	return q
}

// bulkPlans remembers plans. A migration may change a column's type, so it forgets them.
type bulkPlans struct {
	mu    sync.Mutex
	plans map[planKey]*bulkPlan
}

// maxPlans bounds what is remembered. A program has a few dozen; more means that it makes up its column lists.
const maxPlans = 512

func (b *bulkPlans) find(k planKey) *bulkPlan {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.plans[k]
}

func (b *bulkPlans) keep(k planKey, p *bulkPlan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.plans == nil || len(b.plans) >= maxPlans {
		b.plans = map[planKey]*bulkPlan{}
	}
	b.plans[k] = p
}

func (b *bulkPlans) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.plans = nil
}

// plan finds or makes the statement for a batch.
func (t *Tx) plan(ctx context.Context, k planKey, keys, sets []string) (*bulkPlan, error) {
	if p := t.db.bulk.find(k); p != nil {
		return p, nil
	}
	cols := append(append([]string{}, keys...), sets...)
	p := &bulkPlan{table: k.table, keys: keys, sets: sets, cols: cols}
	if t.engine == SQLite {
		p.q = liteBulk(k.table, keys, sets)
	} else {
		kinds, err := t.columnTypes(ctx, k.table, cols)
		if err != nil {
			return nil, err
		}
		p.kinds = kinds
	}
	t.db.bulk.keep(k, p)
	return p, nil
}

func liteBulk(table string, keys, sets []string) string {
	var b strings.Builder
	if len(keys) == 0 {
		b.WriteString("INSERT INTO " + table + " (" + strings.Join(sets, ", ") + ") VALUES (")
		for i := range sets {
			b.WriteString(separator(i, ", ") + "$" + strconv.Itoa(i+1))
		}
		b.WriteString(")")
		return b.String()
	}
	b.WriteString("UPDATE " + table + " SET ")
	for i, col := range sets {
		b.WriteString(separator(i, ", ") + col + " = $" + strconv.Itoa(len(keys)+i+1))
	}
	b.WriteString(" WHERE ")
	for i, col := range keys {
		b.WriteString(separator(i, " AND ") + col + " = $" + strconv.Itoa(i+1))
	}
	return b.String()
}

// pgBulk writes PostgreSQL's statement. A column with a single value has a parameter for it, each other one a parameter
// with an array; arrays in a SELECT list are read in step, and faster than by FROM unnest(…), which stores them first.
func pgBulk(p *bulkPlan, single []byte) string {
	var columns, arrays strings.Builder
	values := make([]string, len(p.cols)) // how the statement says a column's value
	for i, kind := range p.kinds {
		param, name := "$"+strconv.Itoa(i+1)+"::"+kind, "c"+strconv.Itoa(i+1)
		values[i] = "v." + name
		if single[i] != 0 {
			values[i] = param
			columns.WriteString(separator(i, ", ") + param)
			continue
		}
		columns.WriteString(separator(i, ", ") + "unnest(" + param + "[])")
		arrays.WriteString(separator(arrays.Len(), ", ") + "unnest(" + param + "[]) AS " + name)
	}
	var b strings.Builder
	if len(p.keys) == 0 {
		return "INSERT INTO " + p.table + " (" + strings.Join(p.sets, ", ") + ") SELECT " + columns.String()
	}
	b.WriteString("UPDATE " + p.table + " AS t SET ")
	for i, col := range p.sets {
		b.WriteString(separator(i, ", ") + col + " = " + values[len(p.keys)+i])
	}
	if arrays.Len() > 0 {
		b.WriteString(" FROM (SELECT " + arrays.String() + ") AS v")
	}
	b.WriteString(" WHERE ")
	for i, col := range p.keys {
		b.WriteString(separator(i, " AND ") + "t." + col + " = " + values[i])
	}
	return b.String()
}

func separator(i int, s string) string {
	if i == 0 {
		return ""
	}
	return s
}

// columnTypes asks PostgreSQL's catalogue for the types of cols. Types of the same kind that an array parameter may
// have are enough: a value is cast to the column's own type when it is stored.
func (t *Tx) columnTypes(ctx context.Context, table string, cols []string) ([]string, error) {
	const q = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute" +
		" WHERE attrelid = CAST(CAST($1 AS text) AS regclass) AND attnum > 0 AND NOT attisdropped"
	types := map[string]string{}
	_, err := Query(ctx, t, func(r Row) (struct{}, error) {
		var name, kind string
		err := r.Scan(&name, &kind)
		types[name] = kind
		return struct{}{}, err
	}, q, table)
	if err != nil {
		return nil, err
	}
	kinds := make([]string, len(cols))
	for i, col := range cols {
		switch kind := types[col]; kind {
		case "bigint", "integer", "smallint", "boolean", "text", "bytea":
			kinds[i] = kind
		case "character varying", "character":
			kinds[i] = "text"
		case "":
			return nil, t.fail(table, fmt.Errorf("no column %s", col))
		default:
			return nil, t.fail(table, fmt.Errorf("column %s has type %s, which batches do not know", col, kind))
		}
	}
	return kinds, nil
}

// runBulk runs the statement for rows and returns the number of rows inserted or changed.
func (t *Tx) runBulk(ctx context.Context, p *bulkPlan, rows [][]any) (int64, error) {
	for i, row := range rows {
		if len(row) != len(p.cols) {
			return 0, t.fail(p.q, fmt.Errorf("row %d has %d values for %d columns", i, len(row), len(p.cols)))
		}
	}
	if t.engine == SQLite {
		var changed int64
		for i, row := range rows {
			n, err := t.Exec(ctx, p.q, row...)
			if err != nil {
				return 0, fmt.Errorf("%w (row %d of the batch)", err, i)
			}
			changed += n
		}
		return changed, nil
	}
	args, single := make([]any, len(p.cols)), make([]byte, len(p.cols))
	arrays := 0
	for c, kind := range p.kinds {
		last := c == len(p.kinds)-1
		switch {
		case len(rows) == 1, len(rows) >= foldFrom && !(last && arrays == 0) && uniform(rows, c):
			single[c] = 1
		default:
			arrays++ // at least one, that says how many rows there are
		}
		value, err := column(kind, rows, c, single[c] != 0)
		if err != nil {
			return 0, t.fail(p.table, fmt.Errorf("column %s: %w", p.cols[c], err))
		}
		args[c] = value
	}
	q := p.text(single)
	if t.err != nil {
		return 0, t.err
	}
	if t.busy {
		return 0, t.fail(q, errTxBusy)
	}
	t.cost += len(rows)
	if t.db.saw != nil {
		t.db.saw(q)
	}
	if t.gathered(q, args) {
		return 0, nil
	}
	n, err := t.run.exec(ctx, q, args)
	if err != nil {
		return 0, t.fail(q, err)
	}
	return n, nil
}

// foldFrom is how many rows a batch must have for its columns to be looked through for single values. In a small one
// they are single by chance, and each chance would be another statement to prepare.
const foldFrom = 32

// uniform says whether a column has the same value in all rows.
func uniform(rows [][]any, c int) bool {
	first := rows[0][c]
	switch first.(type) {
	case nil, int64, string, bool:
	default:
		return false // perhaps not comparable
	}
	for _, row := range rows[1:] {
		if row[c] != first {
			return false
		}
	}
	return true
}

// column is column c of rows as an array that pgx knows, with pointers for elements if some are NULL; or if it is to be
// single, the value of the first row.
func column(kind string, rows [][]any, c int, single bool) (any, error) {
	switch kind {
	case "bigint", "integer", "smallint":
		return array[int64](rows, c, single)
	case "boolean":
		return array[bool](rows, c, single)
	case "text":
		return array[string](rows, c, single)
	default:
		return array[[]byte](rows, c, single)
	}
}

func array[T any](rows [][]any, c int, single bool) (any, error) {
	if single {
		rows = rows[:1]
	}
	values := make([]T, len(rows))
	nulls := 0
	for i, row := range rows {
		v, err := plain(row[c])
		if err != nil {
			return nil, fmt.Errorf("the value of row %d %w", i, err)
		}
		if v == nil {
			nulls++
			continue
		}
		of, ok := v.(T)
		if !ok {
			return nil, fmt.Errorf("the value of row %d has type %T", i, row[c])
		}
		values[i] = of
	}
	switch {
	case single && nulls == 1:
		return nil, nil
	case single:
		return values[0], nil
	case nulls == 0:
		return values, nil
	}
	pointers := make([]*T, len(rows))
	for i, row := range rows {
		if v, _ := plain(row[c]); v != nil {
			pointers[i] = &values[i]
		}
	}
	return pointers, nil
}
