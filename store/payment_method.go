package store

import (
	"context"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const paymentMethodColumns = `merchant_id, id, account_id, customer_id, code, instrument, token, masked, sealed, fingerprint,
	expiry, routing, holder, street1, street2, city, state, postal_code, country, phone, email, active, stale, created_at, updated_at,
	details, COALESCE(forget_at, 0)`

func scanPaymentMethod(r sqldb.Row) (*billing.PaymentMethod, error) {
	var m billing.PaymentMethod
	var created, updated, forget int64
	var details string
	err := r.Scan(&m.MerchantID, &m.ID, &m.AccountID, &m.CustomerID, &m.Code, &m.Instrument, &m.Token, &m.Masked, &m.Sealed,
		&m.Fingerprint, &m.Expiry, &m.Routing, &m.Holder, &m.Address.Street1, &m.Address.Street2, &m.Address.City,
		&m.Address.State, &m.Address.PostalCode, &m.Address.Country, &m.Phone, &m.Email, &m.Active, &m.Stale, &created, &updated,
		&details, &forget)
	if err == nil {
		err = kept{details, &m.Details}.read()
	}
	m.CreatedAt, m.UpdatedAt, m.ForgetAt = instant(created), instant(updated), instant(forget)
	return &m, err
}

// PaymentMethod reads a payment method.
func (v *View) PaymentMethod(ctx context.Context, id billing.PaymentMethodID) (*billing.PaymentMethod, error) {
	if m := v.known.method(id); m != nil {
		return m, nil
	}
	m, err := sqldb.One(ctx, v.tx, scanPaymentMethod,
		`SELECT `+paymentMethodColumns+` FROM payment_method WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return m, notFound(err, "payment method")
}

// PaymentMethodsByID reads several payment methods.
func (v *View) PaymentMethodsByID(ctx context.Context, ids []billing.PaymentMethodID) (map[billing.PaymentMethodID]*billing.PaymentMethod, error) {
	ask := v.askPaymentMethods(ids)
	list, err := sqldb.Query(ctx, v.tx, scanPaymentMethod, ask.Query, ask.Args...)
	found := make(map[billing.PaymentMethodID]*billing.PaymentMethod, len(list))
	for _, m := range list {
		found[m.ID] = m
	}
	return found, err
}

func (v *View) askPaymentMethods(ids []billing.PaymentMethodID) sqldb.Ask {
	return sqldb.Ask{Query: `SELECT ` + paymentMethodColumns + ` FROM payment_method
		WHERE merchant_id = $1 AND id ` + v.tx.In(2), Args: []any{v.merchant, sqldb.List(ints(ids))}}
}

// PaymentMethodByToken finds a payment method by the token that stands for it.
func (v *View) PaymentMethodByToken(ctx context.Context, token string) (*billing.PaymentMethod, error) {
	m, err := sqldb.One(ctx, v.tx, scanPaymentMethod,
		`SELECT `+paymentMethodColumns+` FROM payment_method WHERE merchant_id = $1 AND token = $2`, v.merchant, token)
	return m, notFound(err, "token")
}

// PaymentMethods lists a customer's payment methods by id.
func (v *View) PaymentMethods(ctx context.Context, c billing.CustomerID, p Page) ([]*billing.PaymentMethod, error) {
	q := newSelect(v, "payment_method", paymentMethodColumns)
	q.equal("customer_id", c)
	return sqldb.Query(ctx, v.tx, scanPaymentMethod, q.paged(p), q.args...)
}

// BillingInfo reads the payment method that a customer's bills are paid with, where
// it has one and only one: of several the one that was given last.
func (v *View) BillingInfo(ctx context.Context, c billing.CustomerID) (*billing.PaymentMethod, error) {
	m, err := sqldb.One(ctx, v.tx, scanPaymentMethod, `SELECT `+paymentMethodColumns+` FROM payment_method
		WHERE merchant_id = $1 AND customer_id = $2 AND active AND instrument <> '' ORDER BY id DESC LIMIT 1`, v.merchant, c)
	return m, notFound(err, "billing information")
}

// VaultedMethods reads those of a customer's payment methods of which a number is
// kept, by id.
func (v *View) VaultedMethods(ctx context.Context, c billing.CustomerID) ([]*billing.PaymentMethod, error) {
	return sqldb.Query(ctx, v.tx, scanPaymentMethod, `SELECT `+paymentMethodColumns+` FROM payment_method
		WHERE merchant_id = $1 AND customer_id = $2 AND instrument <> '' ORDER BY id`, v.merchant, c)
}

// Forgettable lists payment methods that are perhaps to be forgotten by an instant,
// in the order in which they fall due. It reads nothing else of them.
func (v *View) Forgettable(ctx context.Context, at time.Time, limit int) ([]Waiting, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (w Waiting, err error) {
		var at int64
		err = r.Scan(&w.ID, &w.Customer, &at)
		w.At = instant(at)
		return w, err
	}, `SELECT id, customer_id, forget_at FROM payment_method WHERE merchant_id = $1 AND forget_at <= $2 ORDER BY forget_at, id LIMIT $3`,
		v.merchant, at.UnixMicro(), int64(limit))
}

// LastPaid is when customers last had a transaction that took money from them, or
// tried to; those who never had one are left out.
func (v *View) LastPaid(ctx context.Context, ids []billing.CustomerID) (map[billing.CustomerID]time.Time, error) {
	last := make(map[billing.CustomerID]time.Time, len(ids))
	if len(ids) == 0 {
		return last, nil
	}
	_, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (id billing.CustomerID, err error) {
		var at int64
		err = r.Scan(&id, &at)
		last[id] = instant(at)
		return id, err
	}, `SELECT customer_id, MAX(created_at) FROM activity
		WHERE merchant_id = $1 AND customer_id `+v.tx.In(2)+` AND kind IN ('payment', 'claim') GROUP BY customer_id`, v.merchant, sqldb.List(ints(ids)))
	return last, err
}

// UnderWay tells which payment methods are being charged, or perhaps are.
func (v *View) UnderWay(ctx context.Context) (map[billing.PaymentMethodID]bool, error) {
	list, err := sqldb.Query(ctx, v.tx, sqldb.Scalar[billing.PaymentMethodID], `SELECT payment_method_id FROM attempt
		WHERE merchant_id = $1 AND lease_until IS NOT NULL AND payment_method_id IS NOT NULL`, v.merchant)
	busy := make(map[billing.PaymentMethodID]bool, len(list))
	for _, id := range list {
		busy[id] = true
	}
	return busy, err
}

// SetForgetAt says when a payment method is next looked at.
func (t *Tx) SetForgetAt(ctx context.Context, id billing.PaymentMethodID, at time.Time) error {
	_, err := t.tx.Exec(ctx, `UPDATE payment_method SET forget_at = $3 WHERE merchant_id = $1 AND id = $2`, t.merchant, id, micros(at))
	return err
}

// Repoint has all of a customer's subscriptions be paid with one payment method.
func (t *Tx) Repoint(ctx context.Context, c billing.CustomerID, m billing.PaymentMethodID) error {
	_, err := t.tx.Exec(ctx, `UPDATE subscription SET payment_method_id = $3
		WHERE merchant_id = $1 AND customer_id = $2 AND payment_method_id <> $3`, t.merchant, c, m)
	return err
}

// InsertPaymentMethods writes new payment methods; their ids are given.
func (t *Tx) InsertPaymentMethods(ctx context.Context, list ...*billing.PaymentMethod) error {
	rows := make([][]any, len(list))
	for i, m := range list {
		rows[i] = []any{int64(m.MerchantID), int64(m.ID), int64(m.AccountID), int64(m.CustomerID), m.Code, string(m.Instrument), m.Token,
			m.Masked, m.Sealed, m.Fingerprint, m.Expiry, m.Routing, m.Holder, m.Address.Street1, m.Address.Street2, m.Address.City,
			m.Address.State, m.Address.PostalCode, m.Address.Country, m.Phone, m.Email, m.Active, m.Stale, micros(m.CreatedAt),
			micros(m.UpdatedAt), toJSON(m.Details), micros(m.ForgetAt)}
	}
	return t.tx.InsertMany(ctx, "payment_method", []string{"merchant_id", "id", "account_id", "customer_id", "code", "instrument",
		"token", "masked", "sealed", "fingerprint", "expiry", "routing", "holder", "street1", "street2", "city", "state",
		"postal_code", "country", "phone", "email", "active", "stale", "created_at", "updated_at",
		"details", "forget_at"}, rows)
}

// UpdatePaymentMethod writes what may change of a payment method. The number
// changes only when the bank gives notice of a new one.
func (t *Tx) UpdatePaymentMethod(ctx context.Context, m *billing.PaymentMethod) error {
	_, err := t.tx.Exec(ctx, `UPDATE payment_method SET masked = $3, sealed = $4, fingerprint = $5, expiry = $6, routing = $7,
			holder = $8, street1 = $9, street2 = $10, city = $11, state = $12, postal_code = $13, country = $14, phone = $15,
			email = $16, active = $17, stale = $18, updated_at = $19, details = $20, forget_at = $21, instrument = $22, token = $23, code = $24
		WHERE merchant_id = $1 AND id = $2`,
		t.merchant, m.ID, m.Masked, m.Sealed, m.Fingerprint, m.Expiry, m.Routing, m.Holder, m.Address.Street1, m.Address.Street2,
		m.Address.City, m.Address.State, m.Address.PostalCode, m.Address.Country, m.Phone, m.Email, m.Active, m.Stale,
		micros(m.UpdatedAt), toJSON(m.Details), micros(m.ForgetAt), m.Instrument, m.Token, m.Code)
	return err
}
