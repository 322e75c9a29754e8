package store

import (
	"context"
	"errors"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Noun names a kind of object that clients may give codes to.
type Noun string

// The nouns with codes.
const (
	CustomerNoun      Noun = "customer"
	PaymentMethodNoun Noun = "payment_method"
	PlanNoun          Noun = "plan"
	SubscriptionNoun  Noun = "subscription"
	ActivityNoun      Noun = "activity"
)

// The nouns of numbers by which the clients of another system know an object,
// unique for the merchant across all of them, but that a sale's number is that
// of its subscription and of its first attempt alike.
const (
	SubscriptionNumber  Noun = "subscription_number"
	PaymentMethodNumber Noun = "payment_method_number" // of a card that was kept without a sale
	AttemptNumber       Noun = "attempt_number"
)

const numberNouns = `noun IN ('subscription_number', 'payment_method_number', 'attempt_number')`

// Numbered finds the objects that a number stands for, none if it is nobody's.
func (v *View) Numbered(ctx context.Context, number string) (map[Noun]int64, error) {
	type object struct {
		noun Noun
		id   int64
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (o object, err error) { err = r.Scan(&o.noun, &o.id); return o, err },
		`SELECT noun, object_id FROM reference WHERE merchant_id = $1 AND `+numberNouns+` AND scope = 0 AND code = $2`, v.merchant, number)
	found := make(map[Noun]int64, len(list))
	for _, o := range list {
		found[o.noun] = o.id
	}
	return found, err
}

// Numbers tells the numbers of objects; those that have none are left out.
func (v *View) Numbers(ctx context.Context, n Noun, objects []int64) (map[int64]string, error) {
	numbers := make(map[int64]string, len(objects))
	if len(objects) == 0 {
		return numbers, nil
	}
	type pair struct {
		id   int64
		code string
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (p pair, err error) { err = r.Scan(&p.id, &p.code); return p, err },
		`SELECT object_id, code FROM reference WHERE merchant_id = $1 AND noun = $2 AND object_id `+v.tx.In(3)+` AND `+numberNouns,
		v.merchant, n, sqldb.List(objects))
	for _, p := range list {
		numbers[p.id] = p.code
	}
	return numbers, err
}

// Resolve finds the object that a code names within a scope: 0 for the
// merchant, else the id of an account or customer.
func (v *View) Resolve(ctx context.Context, n Noun, scope int64, code string) (int64, error) {
	var id int64
	err := v.tx.QueryRow(ctx, `SELECT object_id FROM reference WHERE merchant_id = $1 AND noun = $2 AND scope = $3 AND code = $4`,
		v.merchant, n, scope, code).Scan(&id)
	return id, notFound(err, string(n))
}

// ResolveIn finds the objects that a code names within any of several scopes.
func (v *View) ResolveIn(ctx context.Context, n Noun, scopes []int64, code string) ([]int64, error) {
	return sqldb.Query(ctx, v.tx, func(r sqldb.Row) (id int64, err error) { err = r.Scan(&id); return id, err },
		`SELECT object_id FROM reference WHERE merchant_id = $1 AND noun = $2 AND scope `+v.tx.In(3)+` AND code = $4`,
		v.merchant, n, sqldb.List(scopes), code)
}

// Reserve takes a code for an object, or says that it is taken.
func (t *Tx) Reserve(ctx context.Context, n Noun, scope int64, code string, object int64) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO reference (merchant_id, noun, scope, code, object_id) VALUES ($1, $2, $3, $4, $5)`,
		t.merchant, n, scope, code, object)
	if sqldb.IsUnique(err) {
		return billing.FieldError(billing.Duplicate, "code", "the code is taken")
	}
	return err
}

// ReleaseCodes lets go of the codes of an object, for others to have.
func (t *Tx) ReleaseCodes(ctx context.Context, n Noun, object int64) error {
	_, err := t.tx.Exec(ctx, `DELETE FROM reference WHERE merchant_id = $1 AND noun = $2 AND object_id = $3`, t.merchant, n, object)
	return err
}

// Key is an idempotency key that was used.
type Key struct {
	Scope    string // what it was used for
	Key      string
	Digest   []byte // keyed hash of the input
	ObjectID int64  // what came of it
	At       time.Time
}

// Key finds a used key; ok is false if it has not been used.
func (v *View) Key(ctx context.Context, scope, key string) (k Key, ok bool, err error) {
	var at int64
	err = v.tx.QueryRow(ctx, `SELECT scope, key, digest, object_id, created_at FROM idempotency
		WHERE merchant_id = $1 AND scope = $2 AND key = $3`, v.merchant, scope, key).
		Scan(&k.Scope, &k.Key, &k.Digest, &k.ObjectID, &at)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Key{}, false, nil
	}
	k.At = instant(at)
	return k, err == nil, err
}

// UseKey notes a key in the transaction of what it stands for. taken tells that
// another transaction was first; its outcome is to be read instead.
func (t *Tx) UseKey(ctx context.Context, k Key) (taken bool, err error) {
	n, err := t.tx.Exec(ctx, `INSERT INTO idempotency (merchant_id, scope, key, digest, object_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, scope, key) DO NOTHING`,
		t.merchant, k.Scope, k.Key, k.Digest, k.ObjectID, micros(k.At))
	return n == 0, err
}

// PassKey has a key stand for another object from now on, if it was used before.
func (t *Tx) PassKey(ctx context.Context, k Key) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO idempotency (merchant_id, scope, key, digest, object_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (merchant_id, scope, key) DO UPDATE SET digest = excluded.digest, object_id = excluded.object_id, created_at = excluded.created_at`,
		t.merchant, k.Scope, k.Key, k.Digest, k.ObjectID, micros(k.At))
	return err
}
