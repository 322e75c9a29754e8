// Package sandbox is a bank to try things out with, and the driver that speaks
// its wire.
//
// The bank behaves as real processors do, without money. It answers by the
// amount and the number, from tables that are data (see README.md); it settles
// and returns claims, charges back, sends notices; it does each act once,
// however often it is asked under one reference; and it keeps a journal of its
// own, in a database of its own, so that one's own books can be compared with
// something that was written by somebody else. On request it fails in all the
// ways in which lines and processors fail.
//
// The bank has no clock: each request tells the merchant's time, so a merchant
// whose clock is moved forward sees its claims settle at once.
//
// A Bank is an http.Handler. Embedded makes it reachable in the same process;
// any HTTP server makes it a bank apart. Several processes may share its
// database.
package sandbox

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

//go:embed migration/*.sql
var migrations embed.FS

// migrationTable keeps the version of the bank's schema.
const migrationTable = "bank_version"

// Options of a Bank.
type Options struct {
	// Silent, if set, is told of each request that the bank has fallen silent
	// on, until its client gives up: it lets a test give up at the right time
	// instead of waiting. kind is as in Fault.On.
	Silent func(kind, reference string)
}

// Bank is the sandbox bank. Its methods are safe for concurrent use, and by
// several processes on one database.
type Bank struct {
	db      *sqldb.DB
	tables  Tables
	silent  func(kind, reference string)
	numbers numbers

	mu     sync.Mutex
	parsed map[string]treatment // by merchant, as last read
	tries  map[try]int          // for the faults that draw lots
	held   map[heldKey]*held    // requests that are late
}

// New opens the bank whose books db holds, and brings them up to date. The
// database must be the bank's own: a file, or a schema on PostgreSQL. The
// caller closes it.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Bank, error) {
	files, err := fs.Sub(migrations, "migration")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := db.Migrate(ctx, files, migrationTable); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	b := &Bank{
		db: db, tables: LoadTables(), silent: o.Silent, numbers: numbers{db: db},
		parsed: map[string]treatment{}, tries: map[try]int{}, held: map[heldKey]*held{},
	}
	if b.silent == nil {
		b.silent = func(string, string) {}
	}
	return b, nil
}

// Terms are how the bank treats a merchant. The zero value is every default.
type Terms struct {
	Amounts    string `json:"amounts,omitempty"`     // table of amounts: current (the default), older, authorize.net or none
	SettleDays int    `json:"settle_days,omitempty"` // days from a claim to its settlement or return, default 3
	LateDays   int    `json:"late_days,omitempty"`   // days from a capture or settlement to its chargeback or late return, and on to a reversal, default 3
}

// defaultDays is the default of SettleDays and LateDays (protocols/unipay.md 6.5).
const defaultDays = 3

// maxDays bounds SettleDays and LateDays.
const maxDays = 365

func (t Terms) withDefaults() Terms {
	if t.Amounts == "" {
		t.Amounts = Current
	}
	if t.SettleDays == 0 {
		t.SettleDays = defaultDays
	}
	if t.LateDays == 0 {
		t.LateDays = defaultDays
	}
	return t
}

func (t Terms) check(tables *Tables) error {
	if _, ok := tables.Amounts[t.Amounts]; !ok && t.Amounts != "" {
		return billing.FieldError(billing.Invalid, "amounts", "must be current, older, authorize.net or none")
	}
	if t.SettleDays < 0 || t.SettleDays > maxDays || t.LateDays < 0 || t.LateDays > maxDays {
		return billing.FieldError(billing.Invalid, "settle_days", "days must be from 0 to %d", maxDays)
	}
	return nil
}

// settles is when a claim of some instant settles or comes back.
func (t Terms) settles(at time.Time) time.Time { return at.Add(time.Duration(t.SettleDays) * day) }

// late is when what becomes of a charge later happens.
func (t Terms) late(at time.Time) time.Time { return at.Add(time.Duration(t.LateDays) * day) }

const day = 24 * time.Hour

// SetTerms sets a merchant's terms, or Everyone's: those of the merchants that
// have none of their own.
func (b *Bank) SetTerms(ctx context.Context, merchant string, terms Terms) error {
	if err := terms.check(&b.tables); err != nil {
		return fmt.Errorf("sandbox: terms: %w", err)
	}
	text, err := json.Marshal(terms)
	if err != nil {
		return fmt.Errorf("sandbox: encode terms: %w", err)
	}
	return b.treat(ctx, merchant, func(t *sqldb.Tx) error {
		_, err := t.Exec(ctx,
			`INSERT INTO treatment (merchant, terms, faults, notices) VALUES ($1, $2, '', 0)
			ON CONFLICT (merchant) DO UPDATE SET terms = $2`, merchant, string(text))
		return err
	})
}

// SetFaults replaces the faults of a merchant, or Everyone's. None ends them.
func (b *Bank) SetFaults(ctx context.Context, merchant string, faults ...Fault) error {
	text, err := encodeFaults(faults)
	if err != nil {
		return err
	}
	return b.treat(ctx, merchant, func(t *sqldb.Tx) error {
		_, err := t.Exec(ctx,
			`INSERT INTO treatment (merchant, terms, faults, notices) VALUES ($1, '', $2, 0)
			ON CONFLICT (merchant) DO UPDATE SET faults = $2`, merchant, text)
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, `DELETE FROM fault_use WHERE merchant = $1`, merchant); err != nil {
			return err
		}
		var rows [][]any
		for i := range faults {
			if faults[i].Count > 0 {
				rows = append(rows, []any{merchant, i, 0})
			}
		}
		return t.InsertMany(ctx, "fault_use", []string{"merchant", "fault", "used"}, rows)
	})
}

// treat changes how a merchant is treated.
func (b *Bank) treat(ctx context.Context, merchant string, change func(*sqldb.Tx) error) error {
	if merchant != Everyone && !plain(merchant) {
		return billing.FieldError(billing.Invalid, "merchant", "must be 1 to %d printable characters, or *", maxReference)
	}
	if err := b.db.Update(ctx, change); err != nil {
		return fmt.Errorf("sandbox: change the treatment of a merchant: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.tries { // lots are drawn anew
		if k.owner == merchant {
			delete(b.tries, k)
		}
	}
	return nil
}

// Terms are a merchant's terms, with the defaults filled in.
func (b *Bank) Terms(ctx context.Context, merchant string) (Terms, error) {
	own, all, err := b.treatment(ctx, merchant)
	if err != nil {
		return Terms{}, err
	}
	return effective(own, all), nil
}

// Faults are the faults set for a merchant, or for Everyone.
func (b *Bank) Faults(ctx context.Context, merchant string) ([]Fault, error) {
	own, all, err := b.treatment(ctx, merchant)
	if merchant == Everyone {
		own = all
	}
	return own.faults, err
}

// effective are the terms that hold: the merchant's, else Everyone's.
func effective(own, all treatment) Terms {
	if own.termsText == "" {
		own = all
	}
	return own.terms.withDefaults()
}

// treatment is one row of the table, parsed.
type treatment struct {
	merchant   string
	termsText  string
	faultsText string
	terms      Terms
	faults     []Fault
}

func scanTreatment(r sqldb.Row) (treatment, error) {
	var t treatment
	err := r.Scan(&t.merchant, &t.termsText, &t.faultsText)
	return t, err
}

// treatment reads how a merchant and how all are treated. It is read for each
// request, because another process may have changed it.
func (b *Bank) treatment(ctx context.Context, merchant string) (own, all treatment, err error) {
	var found []treatment
	err = b.db.View(ctx, func(t *sqldb.Tx) (err error) {
		found, err = sqldb.Query(ctx, t, scanTreatment,
			`SELECT merchant, terms, faults FROM treatment WHERE merchant = $1 OR merchant = '*'`, merchant)
		return err
	})
	if err != nil {
		return own, all, fmt.Errorf("sandbox: read the treatment of a merchant: %w", err)
	}
	return b.sort(merchant, found)
}

// sort tells a merchant's own row from Everyone's.
func (b *Bank) sort(merchant string, found []treatment) (own, all treatment, err error) {
	own.merchant, all.merchant = merchant, Everyone
	for _, f := range found {
		if f, err = b.parse(f); err != nil {
			return own, all, err
		}
		if f.merchant == Everyone {
			all = f
		} else {
			own = f
		}
	}
	return own, all, nil
}

// maxParsed bounds how many merchants' treatments are remembered parsed.
const maxParsed = 1000

// parse reads the JSON of a row, unless it is what it was the last time.
func (b *Bank) parse(f treatment) (treatment, error) {
	if f.termsText == "" && f.faultsText == "" {
		return f, nil
	}
	b.mu.Lock()
	known, ok := b.parsed[f.merchant]
	b.mu.Unlock()
	if ok && known.termsText == f.termsText && known.faultsText == f.faultsText {
		return known, nil
	}
	if f.termsText != "" {
		if err := json.Unmarshal([]byte(f.termsText), &f.terms); err != nil {
			return f, fmt.Errorf("sandbox: decode terms: %w", err)
		}
	}
	faults, err := decodeFaults(f.faultsText)
	if err != nil {
		return f, err
	}
	f.faults = faults
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.parsed) >= maxParsed {
		clear(b.parsed)
	}
	b.parsed[f.merchant] = f
	return f, nil
}

// try names the requests whose lots are counted.
type try struct {
	owner     string // whose fault it is
	fault     int
	merchant  string
	kind      string
	reference string
}

// maxTries bounds what is remembered of drawn lots.
const maxTries = 1 << 16

// fault finds the fault that fires on a request, the zero Fault if none does.
func (b *Bank) fault(ctx context.Context, own, all treatment, kind, reference string) (Fault, error) {
	merchant := own.merchant
	for _, of := range []treatment{own, all} {
		for i := range of.faults {
			f := &of.faults[i]
			if !f.matches(kind, reference) {
				continue
			}
			if f.PerMillion > 0 && !f.chosen(kind, reference, b.nth(try{of.merchant, i, merchant, kind, reference})) {
				continue
			}
			if f.Count > 0 {
				left, err := b.use(ctx, of.merchant, i, f.Count)
				if err != nil {
					return Fault{}, err
				}
				if !left {
					continue
				}
			}
			return *f, nil
		}
	}
	return Fault{}, nil
}

// nth counts the requests of one kind and reference.
func (b *Bank) nth(t try) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tries) >= maxTries {
		clear(b.tries)
	}
	b.tries[t]++
	return b.tries[t]
}

// use takes one of the times that a fault may fire.
func (b *Bank) use(ctx context.Context, merchant string, fault, count int) (left bool, err error) {
	err = b.db.Update(ctx, func(t *sqldb.Tx) error {
		n, err := t.Exec(ctx,
			`UPDATE fault_use SET used = used + 1 WHERE merchant = $1 AND fault = $2 AND used < $3`, merchant, fault, count)
		left = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sandbox: use a fault: %w", err)
	}
	return left, nil
}

// Errors of requests that the bank does not act on.
var (
	errNotFound = errors.New("sandbox: reference not found")
	errConflict = errors.New("sandbox: the reference was used for something else")
)
