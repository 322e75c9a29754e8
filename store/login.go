package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const loginColumns = `merchant_id, id, name, role, accounts, allow_raw, allowed_ips, password_hash, disabled, failures,
	COALESCE(locked_until, 0), created_at`

func scanLogin(r sqldb.Row) (*billing.Login, error) {
	var l billing.Login
	var accounts, ips string
	var locked, created int64
	err := r.Scan(&l.MerchantID, &l.ID, &l.Name, &l.Role, &accounts, &l.AllowRawData, &ips, &l.PasswordHash, &l.Disabled,
		&l.Failures, &locked, &created)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(accounts), &l.Accounts); err != nil {
		return nil, fmt.Errorf("store: accounts of login %d: %w", l.ID, err)
	}
	if err := json.Unmarshal([]byte(ips), &l.AllowedIPs); err != nil {
		return nil, fmt.Errorf("store: addresses of login %d: %w", l.ID, err)
	}
	l.LockedUntil, l.CreatedAt = instant(locked), instant(created)
	return &l, nil
}

// Identity is what the directory knows of a name: whose it is.
type Identity struct {
	Merchant billing.MerchantID
	Object   int64 // id of the login, account or whatever the kind of name means
}

// Lookup finds a name in the directory of the installation, where each kind of
// name is unique.
func (s *Store) Lookup(ctx context.Context, kind, name string) (id Identity, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, `SELECT merchant_id, object_id FROM directory WHERE kind = $1 AND name = $2`, kind, name).
			Scan(&id.Merchant, &id.Object)
		return notFound(err, kind)
	})
	return id, err
}

// Enter takes a name in the directory for an object of the merchant's.
func (t *Tx) Enter(ctx context.Context, kind, name string, object int64) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO directory (kind, name, merchant_id, object_id) VALUES ($1, $2, $3, $4)`,
		kind, name, t.merchant, object)
	if sqldb.IsUnique(err) {
		return billing.FieldError(billing.Duplicate, "name", "this name is taken in the installation")
	}
	return err
}

// Leave gives up the names of a kind that an object of the merchant's has.
func (t *Tx) Leave(ctx context.Context, kind string, object int64) error {
	_, err := t.tx.Exec(ctx, `DELETE FROM directory WHERE merchant_id = $1 AND kind = $2 AND object_id = $3`, t.merchant, kind, object)
	return err
}

// Login reads a login.
func (v *View) Login(ctx context.Context, id billing.LoginID) (*billing.Login, error) {
	l, err := sqldb.One(ctx, v.tx, scanLogin,
		`SELECT `+loginColumns+` FROM login WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return l, notFound(err, "login")
}

// Logins lists the merchant's logins by id.
func (v *View) Logins(ctx context.Context) ([]*billing.Login, error) {
	return sqldb.Query(ctx, v.tx, scanLogin, `SELECT `+loginColumns+` FROM login WHERE merchant_id = $1 ORDER BY id`, v.merchant)
}

// InsertLogin writes a new login and gives it its id.
func (t *Tx) InsertLogin(ctx context.Context, l *billing.Login) error {
	accounts, ips, err := loginLists(l)
	if err != nil {
		return err
	}
	l.MerchantID, l.ID = t.merchant, billing.LoginID(t.NewID())
	_, err = t.tx.Exec(ctx, `INSERT INTO login (merchant_id, id, name, role, accounts, allow_raw, allowed_ips, password_hash,
			disabled, failures, locked_until, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		l.MerchantID, l.ID, l.Name, l.Role, accounts, l.AllowRawData, ips, l.PasswordHash, l.Disabled, int64(l.Failures),
		micros(l.LockedUntil), micros(l.CreatedAt))
	return err
}

// UpdateLogin writes what an operator may change of a login.
func (t *Tx) UpdateLogin(ctx context.Context, l *billing.Login) error {
	accounts, ips, err := loginLists(l)
	if err != nil {
		return err
	}
	_, err = t.tx.Exec(ctx, `UPDATE login SET role = $3, accounts = $4, allow_raw = $5, allowed_ips = $6, password_hash = $7,
			disabled = $8, failures = $9, locked_until = $10
		WHERE merchant_id = $1 AND id = $2`,
		t.merchant, l.ID, l.Role, accounts, l.AllowRawData, ips, l.PasswordHash, l.Disabled, int64(l.Failures), micros(l.LockedUntil))
	return err
}

// CountFailure adds one failed proof to a login, locks it until an instant once
// there are limit of them, and returns how many there are.
func (t *Tx) CountFailure(ctx context.Context, id billing.LoginID, limit int, until time.Time) (int, error) {
	var n int64
	err := t.tx.QueryRow(ctx, `UPDATE login SET failures = failures + 1,
			locked_until = CASE WHEN failures + 1 >= $3 THEN $4 ELSE locked_until END
		WHERE merchant_id = $1 AND id = $2 RETURNING failures`, t.merchant, id, int64(limit), until.UnixMicro()).Scan(&n)
	return int(n), notFound(err, "login")
}

// ForgetFailures clears the failed proofs of a login.
func (t *Tx) ForgetFailures(ctx context.Context, id billing.LoginID) error {
	_, err := t.tx.Exec(ctx, `UPDATE login SET failures = 0, locked_until = NULL
		WHERE merchant_id = $1 AND id = $2 AND (failures > 0 OR locked_until IS NOT NULL)`, t.merchant, id)
	return err
}

// LockedOut is until when an address may not try a login of the merchant's by
// the world's time, zero if it may, and whether it has failed before.
func (v *View) LockedOut(ctx context.Context, address string) (at time.Time, failed bool, err error) {
	var until int64
	err = v.tx.QueryRow(ctx, `SELECT COALESCE(locked_until, 0) FROM login_failure WHERE merchant_id = $1 AND address = $2`,
		v.merchant, address).Scan(&until)
	if errors.Is(err, sqldb.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return instant(until), err == nil, err
}

// FailFrom notes a failed login from an address: the third within a span of time
// locks the address out for as long.
func (t *Tx) FailFrom(ctx context.Context, address string, at time.Time, span time.Duration) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO login_failure (merchant_id, address, last_at) VALUES ($1, $2, $3)
		ON CONFLICT (merchant_id, address) DO UPDATE SET before_at = login_failure.last_at, last_at = $3,
			locked_until = CASE WHEN login_failure.before_at > $4 THEN $5 ELSE login_failure.locked_until END`,
		t.merchant, address, at.UnixMicro(), at.Add(-span).UnixMicro(), at.Add(span).UnixMicro())
	return err
}

// LockedAddress is an address from which a merchant's logins may not be tried.
type LockedAddress struct {
	Address string
	Last    time.Time // when it failed last
	Until   time.Time // until when it is locked out
}

// LockedAddresses lists the addresses that are locked out at an instant of the
// world's time, those that wait longest first.
func (v *View) LockedAddresses(ctx context.Context, at time.Time, limit int) ([]LockedAddress, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (a LockedAddress, err error) {
		var last, until int64
		err = r.Scan(&a.Address, &last, &until)
		a.Last, a.Until = instant(last), instant(until)
		return a, err
	}, `SELECT address, last_at, locked_until FROM login_failure WHERE merchant_id = $1 AND locked_until > $2
		ORDER BY locked_until DESC, address LIMIT $3`, v.merchant, at.UnixMicro(), limit)
}

// ForgiveAddress forgets the failed logins from an address, or from all if it is
// "", and returns how many addresses that was.
func (t *Tx) ForgiveAddress(ctx context.Context, address string) (int64, error) {
	if address == "" {
		return t.tx.Exec(ctx, `DELETE FROM login_failure WHERE merchant_id = $1`, t.merchant)
	}
	return t.tx.Exec(ctx, `DELETE FROM login_failure WHERE merchant_id = $1 AND address = $2`, t.merchant, address)
}

func loginLists(l *billing.Login) (accounts, ips string, err error) {
	a, err := json.Marshal(l.Accounts)
	if err != nil {
		return "", "", fmt.Errorf("store: accounts of a login: %w", err)
	}
	i, err := json.Marshal(l.AllowedIPs)
	if err != nil {
		return "", "", fmt.Errorf("store: addresses of a login: %w", err)
	}
	return string(a), string(i), nil
}
