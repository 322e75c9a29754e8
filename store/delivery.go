package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const deliveryColumns = `merchant_id, id, endpoint_id, event_id, COALESCE(customer_id, 0), key, kind, lane, query, content_type, body, state,
	tries, round_from, COALESCE(next_at, 0), COALESCE(lease_until, 0), created_at, COALESCE(ended_at, 0)`

func scanDelivery(r sqldb.Row) (*billing.Delivery, error) {
	var d billing.Delivery
	var tries, from, next, lease, created, ended int64
	err := r.Scan(&d.MerchantID, &d.ID, &d.EndpointID, &d.EventID, &d.CustomerID, &d.Key, &d.Kind, &d.Lane, &d.Query, &d.ContentType,
		&d.Body, &d.State, &tries, &from, &next, &lease, &created, &ended)
	d.Tries, d.RoundFrom = int(tries), int(from)
	d.NextAt, d.LeaseUntil, d.CreatedAt, d.EndedAt = instant(next), instant(lease), instant(created), instant(ended)
	return &d, err
}

// DeliveryKeys tells which of some keys an endpoint has deliveries of.
func (v *View) DeliveryKeys(ctx context.Context, e billing.EndpointID, keys []string) (map[string]bool, error) {
	have := make(map[string]bool)
	list, err := sqldb.Query(ctx, v.tx, sqldb.Scalar[string],
		`SELECT key FROM delivery WHERE merchant_id = $1 AND endpoint_id = $2 AND key `+v.tx.In(3), v.merchant, e, sqldb.List(keys))
	for _, k := range list {
		have[k] = true
	}
	return have, err
}

// LaneBusy reports whether a delivery of a lane has not ended.
func (v *View) LaneBusy(ctx context.Context, e billing.EndpointID, lane int64) (busy bool, err error) {
	err = v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM delivery
		WHERE merchant_id = $1 AND endpoint_id = $2 AND lane = $3 AND ended_at IS NULL)`, v.merchant, e, lane).Scan(&busy)
	return busy, err
}

// InsertDeliveries writes new deliveries and gives them their ids. The endpoints
// must be locked.
func (t *Tx) InsertDeliveries(ctx context.Context, list []*billing.Delivery) error {
	rows := make([][]any, len(list))
	for i, d := range list {
		d.MerchantID, d.ID = t.merchant, billing.DeliveryID(t.NewID())
		rows[i] = []any{int64(d.MerchantID), int64(d.ID), int64(d.EndpointID), int64(d.EventID), orNull(d.CustomerID), d.Key, d.Kind,
			d.Lane, d.Query, d.ContentType, d.Body, string(d.State), int64(d.Tries), int64(d.RoundFrom), micros(d.NextAt),
			micros(d.LeaseUntil), micros(d.CreatedAt), micros(d.EndedAt)}
	}
	return t.tx.InsertMany(ctx, "delivery", []string{"merchant_id", "id", "endpoint_id", "event_id", "customer_id", "key", "kind", "lane",
		"query", "content_type", "body", "state", "tries", "round_from", "next_at", "lease_until", "created_at", "ended_at"}, rows)
}

// DueDeliveries counts, for each endpoint that is not disabled, the deliveries
// that are due and in nobody's hands, up to a limit. Endpoints without any are
// left out.
func (v *View) DueDeliveries(ctx context.Context, wall time.Time, limit int) (map[billing.EndpointID]int, error) {
	type count struct {
		id billing.EndpointID
		n  int64
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (c count, err error) { err = r.Scan(&c.id, &c.n); return c, err },
		`SELECT e.id, (SELECT COUNT(*) FROM (SELECT 1 FROM delivery d WHERE d.merchant_id = e.merchant_id AND d.endpoint_id = e.id
				AND d.next_at <= $2 AND (d.lease_until IS NULL OR d.lease_until <= $2) LIMIT $3) AS due)
			FROM endpoint e WHERE e.merchant_id = $1 AND NOT e.disabled ORDER BY e.id`, v.merchant, wall.UnixMicro(), int64(limit))
	due := make(map[billing.EndpointID]int)
	for _, c := range list {
		if c.n > 0 {
			due[c.id] = int(c.n)
		}
	}
	return due, err
}

// ClaimDelivery takes the delivery of an endpoint that has been due longest, and
// is in nobody's hands, and begins a try of it; nil if there is none.
func (t *Tx) ClaimDelivery(ctx context.Context, e billing.EndpointID, wall, lease time.Time) (*billing.Delivery, error) {
	list, err := sqldb.Query(ctx, t.tx, scanDelivery, `SELECT `+deliveryColumns+` FROM delivery
		WHERE merchant_id = $1 AND endpoint_id = $2 AND next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
		ORDER BY next_at, id LIMIT 1`+t.tx.SkipLocked(), t.merchant, e, wall.UnixMicro())
	if err != nil || len(list) == 0 {
		return nil, err
	}
	list[0].Begin(lease)
	return list[0], t.UpdateDelivery(ctx, list[0])
}

// LockDelivery reads a delivery and keeps other writers of it waiting. Endpoints
// are locked before deliveries.
func (t *Tx) LockDelivery(ctx context.Context, id billing.DeliveryID) (*billing.Delivery, error) {
	d, err := sqldb.One(ctx, t.tx, scanDelivery,
		`SELECT `+deliveryColumns+` FROM delivery WHERE merchant_id = $1 AND id = $2`+t.tx.ForUpdate(), t.merchant, id)
	return d, notFound(err, "delivery")
}

// UpdateDelivery writes how far a delivery has come.
func (t *Tx) UpdateDelivery(ctx context.Context, d *billing.Delivery) error {
	_, err := t.tx.Exec(ctx, `UPDATE delivery SET state = $3, tries = $4, round_from = $5, next_at = $6, lease_until = $7, ended_at = $8
		WHERE merchant_id = $1 AND id = $2`, t.merchant, d.ID, d.State, int64(d.Tries), int64(d.RoundFrom), micros(d.NextAt),
		micros(d.LeaseUntil), micros(d.EndedAt))
	return err
}

// FreeLane lets the next held delivery of a lane go, if none before it has still
// to end. The endpoint must be locked.
func (t *Tx) FreeLane(ctx context.Context, e billing.EndpointID, lane int64, wall time.Time) error {
	_, err := t.tx.Exec(ctx, `UPDATE delivery SET state = 'waiting', next_at = $4 WHERE merchant_id = $1 AND state = 'held' AND id =
			(SELECT MIN(id) FROM delivery WHERE merchant_id = $1 AND endpoint_id = $2 AND lane = $3 AND ended_at IS NULL)`,
		t.merchant, e, lane, wall.UnixMicro())
	return err
}

// InsertTry writes down one try.
func (t *Tx) InsertTry(ctx context.Context, y *billing.Try) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO delivery_try (merchant_id, delivery_id, number, begun_at, took_ms, status, answer, fault)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, t.merchant, y.DeliveryID, int64(y.Number), micros(y.At), y.Took.Milliseconds(),
		int64(y.Status), y.Answer, y.Fault)
	return err
}

// Tries lists the tries of a delivery in order.
func (v *View) Tries(ctx context.Context, id billing.DeliveryID) ([]billing.Try, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (billing.Try, error) {
		var y billing.Try
		var number, begun, took, status int64
		err := r.Scan(&y.DeliveryID, &number, &begun, &took, &status, &y.Answer, &y.Fault)
		y.Number, y.At, y.Took, y.Status = int(number), instant(begun), time.Duration(took)*time.Millisecond, int(status)
		return y, err
	}, `SELECT delivery_id, number, begun_at, took_ms, status, answer, fault FROM delivery_try
		WHERE merchant_id = $1 AND delivery_id = $2 ORDER BY number`, v.merchant, id)
}

// Delivery reads a delivery.
func (v *View) Delivery(ctx context.Context, id billing.DeliveryID) (*billing.Delivery, error) {
	d, err := sqldb.One(ctx, v.tx, scanDelivery, `SELECT `+deliveryColumns+` FROM delivery WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return d, notFound(err, "delivery")
}

// DeliveryFilter narrows a list of deliveries.
type DeliveryFilter struct {
	Endpoint billing.EndpointID
	Customer billing.CustomerID
	State    billing.DeliveryState
	Page     Page
}

// Deliveries lists the merchant's deliveries by id.
func (v *View) Deliveries(ctx context.Context, f DeliveryFilter) ([]*billing.Delivery, error) {
	q := newSelect(v, "delivery", deliveryColumns)
	if f.Endpoint != 0 {
		q.equal("endpoint_id", f.Endpoint)
	}
	if f.Customer != 0 {
		q.equal("customer_id", f.Customer)
	}
	if f.State != "" {
		q.equal("state", f.State)
	}
	return sqldb.Query(ctx, v.tx, scanDelivery, q.paged(f.Page), q.args...)
}

// EraseDeliveries blanks what was told about a customer: bodies, and answers of
// receivers. What was still to be told is given up.
func (t *Tx) EraseDeliveries(ctx context.Context, c billing.CustomerID, wall time.Time) error {
	if _, err := t.LockEndpoints(ctx); err != nil {
		return err
	}
	lanes, err := sqldb.Query(ctx, t.tx, func(r sqldb.Row) (d billing.Delivery, err error) { err = r.Scan(&d.EndpointID, &d.Lane); return d, err },
		`SELECT DISTINCT endpoint_id, lane FROM delivery WHERE merchant_id = $1 AND customer_id = $2 AND ended_at IS NULL AND lane <> 0
		ORDER BY endpoint_id, lane`, t.merchant, c)
	if err != nil {
		return err
	}
	for _, q := range []string{
		`UPDATE delivery_try SET answer = '' WHERE merchant_id = $1 AND answer <> ''
			AND delivery_id IN (SELECT id FROM delivery WHERE merchant_id = $1 AND customer_id = $2)`,
		`UPDATE delivery SET body = NULL, query = '' WHERE merchant_id = $1 AND customer_id = $2`,
	} {
		if _, err := t.tx.Exec(ctx, q, t.merchant, c); err != nil {
			return err
		}
	}
	if _, err := t.tx.Exec(ctx, `UPDATE delivery SET state = 'given-up', next_at = NULL, lease_until = NULL, ended_at = $3
		WHERE merchant_id = $1 AND customer_id = $2 AND ended_at IS NULL`, t.merchant, c, wall.UnixMicro()); err != nil {
		return err
	}
	for _, l := range lanes {
		if err := t.FreeLane(ctx, l.EndpointID, l.Lane, wall); err != nil {
			return err
		}
	}
	return nil
}

// PurgeDeliveries removes deliveries that ended before an instant, up to a limit,
// with their tries, and returns how many.
func (t *Tx) PurgeDeliveries(ctx context.Context, before time.Time, limit int) (int, error) {
	ids, err := sqldb.Query(ctx, t.tx, sqldb.Scalar[int64], `SELECT id FROM delivery WHERE merchant_id = $1 AND ended_at < $2
		ORDER BY ended_at LIMIT $3`+t.tx.SkipLocked(), t.merchant, before.UnixMicro(), int64(limit))
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	for _, q := range []string{`DELETE FROM delivery_try WHERE merchant_id = $1 AND delivery_id `, `DELETE FROM delivery WHERE merchant_id = $1 AND id `} {
		if _, err := t.tx.Exec(ctx, q+t.tx.In(2), t.merchant, sqldb.List(ids)); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// Undelivered counts what is still to be told.
type Undelivered struct {
	Waiting int64     // messages that have not ended
	Oldest  time.Time // when the oldest of them was made, by the world's clock
}

// Undelivered counts what the merchant is still to be told, for operators.
func (v *View) Undelivered(ctx context.Context) (u Undelivered, err error) {
	var oldest int64
	// By endpoint and lane, which says nothing more, has SQLite take the index of
	// those that have not ended, and not all that are kept.
	err = v.tx.QueryRow(ctx, `SELECT COUNT(*), COALESCE(MIN(d.created_at), 0)
		FROM endpoint e JOIN delivery d ON d.merchant_id = e.merchant_id AND d.endpoint_id = e.id
		WHERE e.merchant_id = $1 AND d.lane >= 0 AND d.ended_at IS NULL`, v.merchant).Scan(&u.Waiting, &oldest)
	u.Oldest = instant(oldest)
	return u, err
}
