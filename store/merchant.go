package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const merchantColumns = `id, code, name, mode, zone, currency, clock_mode, clock_at, clock_set, settings, keys,
	COALESCE(notices_at, 0), notices_cursor, created_at`

func scanMerchant(r sqldb.Row) (*billing.Merchant, error) {
	var m billing.Merchant
	var zone, settings string
	var at, set, notices, created int64
	err := r.Scan(&m.ID, &m.Code, &m.Name, &m.Mode, &zone, &m.Currency, &m.Clock.Mode, &at, &set, &settings, &m.Keys,
		&notices, &m.NoticesCursor, &created)
	if err != nil {
		return nil, err
	}
	m.Zone, err = zones.load(zone)
	if err != nil {
		return nil, fmt.Errorf("store: zone of merchant %d: %w", m.ID, err)
	}
	if err := json.Unmarshal([]byte(settings), &m.Settings); err != nil {
		return nil, fmt.Errorf("store: settings of merchant %d: %w", m.ID, err)
	}
	m.Settings = m.Settings.WithDefaults()
	m.Clock.At, m.Clock.Set = instant(at), instant(set)
	m.NoticesAt, m.CreatedAt = instant(notices), instant(created)
	return &m, nil
}

// zones are the time zones that were read; to read one takes longer than to read
// the merchant.
var zones zoneCache

type zoneCache struct{ known sync.Map } // *time.Location by name

func (z *zoneCache) load(name string) (*time.Location, error) {
	if zone, ok := z.known.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		z.known.Store(name, zone)
	}
	return zone, err
}

// Merchants lists all merchants of the installation by id.
func (s *Store) Merchants(ctx context.Context) (list []*billing.Merchant, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list, err = sqldb.Query(ctx, tx, scanMerchant, `SELECT `+merchantColumns+` FROM merchant ORDER BY id`)
		return err
	})
	return list, err
}

// MerchantByCode finds a merchant by its short name.
func (s *Store) MerchantByCode(ctx context.Context, code string) (m *billing.Merchant, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		m, err = sqldb.One(ctx, tx, scanMerchant, `SELECT `+merchantColumns+` FROM merchant WHERE code = $1`, code)
		return notFound(err, "merchant")
	})
	return m, err
}

// CreateMerchant inserts a merchant and gives it its id.
func (s *Store) CreateMerchant(ctx context.Context, m *billing.Merchant) error {
	settings, err := json.Marshal(m.Settings)
	if err != nil {
		return fmt.Errorf("store: settings: %w", err)
	}
	m.ID = billing.MerchantID(s.ids.next())
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO merchant (id, code, name, mode, zone, currency, clock_mode, clock_at, clock_set,
				settings, keys, notices_at, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			m.ID, m.Code, m.Name, m.Mode, m.Zone.String(), m.Currency, m.Clock.Mode,
			sinceEpoch(m.Clock.At), sinceEpoch(m.Clock.Set), string(settings), m.Keys, micros(m.NoticesAt), sinceEpoch(m.CreatedAt))
		if sqldb.IsUnique(err) {
			return billing.FieldError(billing.Duplicate, "code", "a merchant of this code exists")
		}
		return err
	})
}

// Merchant reads the transaction's merchant.
func (v *View) Merchant(ctx context.Context) (*billing.Merchant, error) {
	m, err := sqldb.One(ctx, v.tx, scanMerchant, `SELECT `+merchantColumns+` FROM merchant WHERE id = $1`, v.merchant)
	return m, notFound(err, "merchant")
}

// UpdateMerchant writes what may change of a merchant: name, settings and clock.
func (t *Tx) UpdateMerchant(ctx context.Context, m *billing.Merchant) error {
	settings, err := json.Marshal(m.Settings)
	if err != nil {
		return fmt.Errorf("store: settings: %w", err)
	}
	_, err = t.tx.Exec(ctx, `UPDATE merchant SET name = $2, settings = $3, clock_mode = $4, clock_at = $5, clock_set = $6
		WHERE id = $1`, t.merchant, m.Name, string(settings), m.Clock.Mode, sinceEpoch(m.Clock.At), sinceEpoch(m.Clock.Set))
	return err
}

// UpdateNotices notes up to which notice of the processor the books have been
// brought, and when it is asked again. It refuses, by changing no row, a cursor
// that another worker has moved.
func (t *Tx) UpdateNotices(ctx context.Context, from, to int64, next time.Time) (moved bool, err error) {
	n, err := t.tx.Exec(ctx, `UPDATE merchant SET notices_cursor = $3, notices_at = $4 WHERE id = $1 AND notices_cursor = $2`,
		t.merchant, from, to, micros(next))
	return n == 1, err
}

// Latest is the latest instant at which the merchant's books were written by
// its own clock, zero if they are empty.
func (v *View) Latest(ctx context.Context) (time.Time, error) {
	var us int64
	err := v.tx.QueryRow(ctx, `SELECT COALESCE(MAX(t), 0) FROM (
			SELECT MAX(created_at) AS t FROM customer WHERE merchant_id = $1
			UNION ALL SELECT MAX(created_at) FROM subscription WHERE merchant_id = $1
			UNION ALL SELECT MAX(created_at) FROM activity WHERE merchant_id = $1
			UNION ALL SELECT MAX(created_at) FROM attempt WHERE merchant_id = $1) AS latest`, v.merchant).Scan(&us)
	return instant(us), err
}

func sinceEpoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

const accountColumns = `merchant_id, id, code, name, created_at`

func scanAccount(r sqldb.Row) (*billing.Account, error) {
	var a billing.Account
	var created int64
	err := r.Scan(&a.MerchantID, &a.ID, &a.Code, &a.Name, &created)
	a.CreatedAt = instant(created)
	return &a, err
}

// Accounts lists the merchant's accounts by id.
func (v *View) Accounts(ctx context.Context) ([]*billing.Account, error) {
	return sqldb.Query(ctx, v.tx, scanAccount, `SELECT `+accountColumns+` FROM account WHERE merchant_id = $1 ORDER BY id`, v.merchant)
}

// AccountCode is the code of an account of the merchant's. A code never changes,
// so it is read once and remembered.
func (r *Reader) AccountCode(ctx context.Context, id billing.AccountID) (code string, err error) {
	key := accountKey{r.merchant, id}
	if code, ok := r.store.codes.of(key); ok {
		return code, nil
	}
	err = r.View(ctx, func(v *View) error {
		return notFound(v.tx.QueryRow(ctx, `SELECT code FROM account WHERE merchant_id = $1 AND id = $2`, v.merchant, id).Scan(&code), "account")
	})
	if err == nil {
		r.store.codes.keep(key, code)
	}
	return code, err
}

type accountKey struct {
	merchant billing.MerchantID
	account  billing.AccountID
}

// accountCodes remembers the codes of accounts.
type accountCodes struct {
	mu    sync.Mutex
	known map[accountKey]string
}

// mostCodes bounds what is remembered; beyond it all is forgotten and read again.
const mostCodes = 1 << 16

func (a *accountCodes) of(k accountKey) (code string, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	code, known = a.known[k]
	return code, known
}

func (a *accountCodes) keep(k accountKey, code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || len(a.known) >= mostCodes {
		a.known = make(map[accountKey]string)
	}
	a.known[k] = code
}

// AccountByCode finds an account by its code.
func (v *View) AccountByCode(ctx context.Context, code string) (*billing.Account, error) {
	a, err := sqldb.One(ctx, v.tx, scanAccount,
		`SELECT `+accountColumns+` FROM account WHERE merchant_id = $1 AND code = $2`, v.merchant, code)
	return a, notFound(err, "account")
}

// InsertAccount writes a new account and gives it its id.
func (t *Tx) InsertAccount(ctx context.Context, a *billing.Account) error {
	a.MerchantID, a.ID = t.merchant, billing.AccountID(t.NewID())
	_, err := t.tx.Exec(ctx, `INSERT INTO account (`+accountColumns+`) VALUES ($1, $2, $3, $4, $5)`,
		a.MerchantID, a.ID, a.Code, a.Name, micros(a.CreatedAt))
	if sqldb.IsUnique(err) {
		return billing.FieldError(billing.Duplicate, "code", "an account of this code exists")
	}
	return err
}

// RenameAccount writes an account's name.
func (t *Tx) RenameAccount(ctx context.Context, a *billing.Account) error {
	_, err := t.tx.Exec(ctx, `UPDATE account SET name = $3 WHERE merchant_id = $1 AND id = $2`, t.merchant, a.ID, a.Name)
	return err
}
