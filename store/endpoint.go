package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const endpointColumns = `merchant_id, id, account_id, code, dialect, url, login, settings, sealed, disabled, created_at, updated_at`

func scanEndpoint(r sqldb.Row) (*billing.Endpoint, error) {
	var e billing.Endpoint
	var account, created, updated int64
	var settings string
	err := r.Scan(&e.MerchantID, &e.ID, sqldb.Null(&account), &e.Code, &e.Dialect, &e.URL, &e.Login, &settings, &e.Sealed, &e.Disabled,
		&created, &updated)
	e.AccountID, e.CreatedAt, e.UpdatedAt = billing.AccountID(account), instant(created), instant(updated)
	if settings != "" {
		e.Settings = json.RawMessage(settings)
	}
	return &e, err
}

// ToTell lists the merchants that have events waiting to be told, or messages
// that are due at an instant of the world's clock. On books that are spread over
// several machines it lists all that have endpoints; see MerchantsDue.
func (s *Store) ToTell(ctx context.Context, wall time.Time) (ids []billing.MerchantID, err error) {
	spread, err := s.isSpread(ctx)
	if err != nil {
		return nil, err
	}
	if spread {
		return s.Telling(ctx)
	}
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		ids, err = sqldb.Query(ctx, tx, sqldb.Scalar[billing.MerchantID], `SELECT DISTINCT e.merchant_id FROM endpoint e
			WHERE EXISTS (SELECT 1 FROM event v WHERE v.merchant_id = e.merchant_id AND v.waiting)
				OR NOT e.disabled AND EXISTS (SELECT 1 FROM delivery d WHERE d.merchant_id = e.merchant_id AND d.endpoint_id = e.id
					AND d.next_at <= $1 AND (d.lease_until IS NULL OR d.lease_until <= $1))
			ORDER BY e.merchant_id`, wall.UnixMicro())
		return err
	})
	return ids, err
}

// Telling lists the merchants that have endpoints.
func (s *Store) Telling(ctx context.Context) (ids []billing.MerchantID, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		ids, err = sqldb.Query(ctx, tx, sqldb.Scalar[billing.MerchantID], `SELECT DISTINCT merchant_id FROM endpoint ORDER BY merchant_id`)
		return err
	})
	return ids, err
}

// Endpoints lists the merchant's endpoints by id.
func (v *View) Endpoints(ctx context.Context) ([]*billing.Endpoint, error) {
	return sqldb.Query(ctx, v.tx, scanEndpoint, `SELECT `+endpointColumns+` FROM endpoint WHERE merchant_id = $1 ORDER BY id`, v.merchant)
}

// Endpoint reads an endpoint.
func (v *View) Endpoint(ctx context.Context, id billing.EndpointID) (*billing.Endpoint, error) {
	e, err := sqldb.One(ctx, v.tx, scanEndpoint,
		`SELECT `+endpointColumns+` FROM endpoint WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return e, notFound(err, "endpoint")
}

// LockEndpoints reads the merchant's endpoints and keeps others who want to lock
// them waiting: whoever makes deliveries, or ends one of a lane, holds these.
func (t *Tx) LockEndpoints(ctx context.Context) ([]*billing.Endpoint, error) {
	return sqldb.Query(ctx, t.tx, scanEndpoint, `SELECT `+endpointColumns+` FROM endpoint WHERE merchant_id = $1 ORDER BY id`+t.tx.ForUpdate(),
		t.merchant)
}

// LockEndpoint is LockEndpoints for one.
func (t *Tx) LockEndpoint(ctx context.Context, id billing.EndpointID) (*billing.Endpoint, error) {
	e, err := sqldb.One(ctx, t.tx, scanEndpoint,
		`SELECT `+endpointColumns+` FROM endpoint WHERE merchant_id = $1 AND id = $2`+t.tx.ForUpdate(), t.merchant, id)
	return e, notFound(err, "endpoint")
}

// InsertEndpoint writes a new endpoint; its id is given.
func (t *Tx) InsertEndpoint(ctx context.Context, e *billing.Endpoint) error {
	e.MerchantID = t.merchant
	_, err := t.tx.Exec(ctx, `INSERT INTO endpoint (`+endpointColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		e.MerchantID, e.ID, orNull(e.AccountID), e.Code, e.Dialect, e.URL, e.Login, string(e.Settings), e.Sealed, e.Disabled,
		micros(e.CreatedAt), micros(e.UpdatedAt))
	if sqldb.IsUnique(err) {
		return billing.FieldError(billing.Duplicate, "code", "an endpoint of this code exists")
	}
	return err
}

// UpdateEndpoint writes what may change of an endpoint.
func (t *Tx) UpdateEndpoint(ctx context.Context, e *billing.Endpoint) error {
	_, err := t.tx.Exec(ctx, `UPDATE endpoint SET account_id = $3, url = $4, login = $5, settings = $6, sealed = $7, disabled = $8,
			updated_at = $9
		WHERE merchant_id = $1 AND id = $2`, t.merchant, e.ID, orNull(e.AccountID), e.URL, e.Login, string(e.Settings), e.Sealed,
		e.Disabled, micros(e.UpdatedAt))
	return err
}

func (t *Tx) askTold() sqldb.Ask {
	return sqldb.Ask{Query: `SELECT EXISTS (SELECT 1 FROM endpoint WHERE merchant_id = $1 AND NOT disabled)`, Args: []any{t.merchant}}
}

// told reports whether anybody wants to be told of the merchant's events.
func (t *Tx) told(ctx context.Context) (yes bool, err error) {
	if t.listened == nil {
		ask := t.askTold()
		if err := t.tx.QueryRow(ctx, ask.Query, ask.Args...).Scan(&yes); err != nil {
			return false, err
		}
		t.listened = &yes
	}
	return *t.listened, nil
}

// WaitingEvents reads events that wait to be told, in order.
func (v *View) WaitingEvents(ctx context.Context, limit int) ([]billing.Event, error) {
	return sqldb.Query(ctx, v.tx, scanEvent, `SELECT `+eventColumns+` FROM event WHERE merchant_id = $1 AND waiting ORDER BY id LIMIT $2`,
		v.merchant, int64(limit))
}

// ToldEvents notes that the deliveries of events have been made.
func (t *Tx) ToldEvents(ctx context.Context, ids []billing.EventID) error {
	_, err := t.tx.Exec(ctx, `UPDATE event SET waiting = NULL WHERE merchant_id = $1 AND id `+t.tx.In(2), t.merchant, sqldb.List(ints(ids)))
	return err
}
