package arrival

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/vault"
)

// Stage is the scratch database of an import: the records of all files by
// subscription, and the cards, sealed under keys that live in memory alone.
type Stage struct {
	db     *sqldb.DB
	keys   *vault.Keys
	Client string // the clientAccnum of the records
	Refuse func(Refusal)
	counts counts
}

// Refusal is something that is not brought in.
type Refusal struct {
	File   string
	Line   int
	Number string // of the subscription, "" if the line does not tell
	Why    string // without anything that stands in the line
}

// String is the refusal in one line.
func (r Refusal) String() string {
	if r.Number == "" {
		return fmt.Sprintf("%s:%d: %s", r.File, r.Line, r.Why)
	}
	return fmt.Sprintf("%s:%d: subscription %s %s", r.File, r.Line, r.Number, r.Why)
}

type counts struct{ lines, cards int }

// perWrite is how many rows are staged in one transaction.
const perWrite = 500

// NewStage begins a scratch database in an empty folder that is the caller's to
// remove. refuse is told of each line that cannot be read.
func NewStage(ctx context.Context, folder string, v *vault.Vault, refuse func(Refusal)) (*Stage, error) {
	const owner = "import-scratch"
	wrapped, err := v.NewKeys(owner)
	if err != nil {
		return nil, err
	}
	keys, err := v.Keys(owner, wrapped)
	if err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(folder, "import.db"), sqldb.Options{Volatile: true})
	if err != nil {
		return nil, err
	}
	s := &Stage{db: db, keys: keys, Refuse: refuse}
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, q := range []string{
			`CREATE TABLE record (number TEXT NOT NULL, id INTEGER NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL, kind TEXT NOT NULL,
				account TEXT NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (number, id)) STRICT`,
			`CREATE TABLE card (number TEXT NOT NULL PRIMARY KEY, instrument TEXT NOT NULL, sealed BLOB NOT NULL, expiry TEXT NOT NULL,
				routing TEXT NOT NULL) STRICT`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Close closes the scratch database.
func (s *Stage) Close() error { return s.db.Close() }

// Records reads a file of an extract. Lines that are no records are refused, and
// so are those of another client account than the first.
func (s *Stage) Records(ctx context.Context, name string, file io.Reader) error {
	var rows [][]any
	write := func() error {
		err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
			return tx.InsertMany(ctx, "record", []string{"number", "id", "file", "line", "kind", "account", "fields"}, rows)
		})
		rows = rows[:0]
		return err
	}
	err := eachLine(file, maxRecord, func(line int, text []byte) error {
		text = bytes.TrimSpace(text)
		switch {
		case len(text) == 0, string(text) == "1": // nothing to report
			return nil
		case bytes.HasPrefix(text, []byte("Error:")):
			return fmt.Errorf("line %d is an error of the Data Link system, not a record", line)
		}
		r, err := parseRecord(text)
		if err == nil && s.Client == "" {
			s.Client = r.client
		}
		if err == nil && r.client != s.Client {
			err = fmt.Errorf("belongs to another client account than the records before it, %s", s.Client)
		}
		if err != nil {
			s.Refuse(Refusal{File: name, Line: line, Why: err.Error()})
			return nil
		}
		fields, err := json.Marshal(r.fields)
		if err != nil {
			return err
		}
		s.counts.lines++
		rows = append(rows, []any{r.number, int64(s.counts.lines), name, int64(line), r.kind, r.account, string(fields)})
		if len(rows) < perWrite {
			return nil
		}
		return write()
	})
	if err == nil {
		err = write()
	}
	if err != nil {
		return fmt.Errorf("arrival: %s: %w", name, err)
	}
	return nil
}

// Cards reads a sealed card file. Of two cards for one subscription the later
// counts.
func (s *Stage) Cards(ctx context.Context, v *vault.Vault, file io.Reader) error {
	var cards []Card
	write := func() error {
		err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
			for _, c := range cards {
				sealed, err := s.keys.Seal([]byte(c.Number.Reveal()), c.Subscription)
				if err != nil {
					return err
				}
				_, err = tx.Exec(ctx, `INSERT INTO card (number, instrument, sealed, expiry, routing) VALUES ($1, $2, $3, $4, $5)
					ON CONFLICT (number) DO UPDATE SET instrument = excluded.instrument, sealed = excluded.sealed,
						expiry = excluded.expiry, routing = excluded.routing`, c.Subscription, c.Instrument, sealed, c.Expiry, c.Routing)
				if err != nil {
					return err
				}
			}
			return nil
		})
		cards = cards[:0]
		return err
	}
	err := OpenCards(v, file, func(c Card) error {
		cards = append(cards, c)
		s.counts.cards++
		if len(cards) < perWrite {
			return nil
		}
		return write()
	})
	if err == nil {
		err = write()
	}
	return err
}

// Subscriptions counts the subscriptions that the records are about.
func (s *Stage) Subscriptions(ctx context.Context) (n int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT DISTINCT number FROM record) AS numbers`).Scan(&n)
	})
	return n, err
}

// staged is one subscription's records and card.
type staged struct {
	number  string
	records []*record
	card    *Card
}

// page reads the subscriptions after a number, with their records and cards.
func (s *Stage) page(ctx context.Context, after string, limit int) (list []*staged, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = nil
		numbers, err := sqldb.Query(ctx, tx, sqldb.Scalar[string], `SELECT DISTINCT number FROM record WHERE number > $1 ORDER BY number LIMIT $2`,
			after, int64(limit))
		if err != nil || len(numbers) == 0 {
			return err
		}
		byNumber := make(map[string]*staged, len(numbers))
		for _, n := range numbers {
			byNumber[n] = &staged{number: n}
			list = append(list, byNumber[n])
		}
		records, err := sqldb.Query(ctx, tx, scanRecord, `SELECT number, file, line, kind, account, fields FROM record
			WHERE number `+tx.In(1)+` ORDER BY number, id`, sqldb.List(numbers))
		if err != nil {
			return err
		}
		for _, r := range records {
			byNumber[r.number].records = append(byNumber[r.number].records, r)
		}
		cards, err := sqldb.Query(ctx, tx, s.scanCard, `SELECT number, instrument, sealed, expiry, routing FROM card WHERE number `+tx.In(1),
			sqldb.List(numbers))
		for _, c := range cards {
			byNumber[c.Subscription].card = c
		}
		return err
	})
	return list, err
}

func scanRecord(row sqldb.Row) (*record, error) {
	var r record
	var line int64
	var fields string
	if err := row.Scan(&r.number, &r.file, &line, &r.kind, &r.account, &fields); err != nil {
		return nil, err
	}
	r.line = int(line)
	return &r, json.Unmarshal([]byte(fields), &r.fields)
}

func (s *Stage) scanCard(row sqldb.Row) (*Card, error) {
	var c Card
	var sealed []byte
	if err := row.Scan(&c.Subscription, &c.Instrument, &sealed, &c.Expiry, &c.Routing); err != nil {
		return nil, err
	}
	number, err := s.keys.Open(sealed, c.Subscription)
	c.Number = billing.NewSecret(string(number))
	return &c, err
}
