package sandbox

import (
	"context"
	"errors"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// entry is a request's own line with what the bank knows of its fate.
type entry struct {
	Line
	merchant  string
	declined  bool
	message   string
	asked     int64 // minor units
	alone     bool  // an authorisation that no capture was to follow
	card      string
	pending   bool
	returned  billing.ResponseCode
	voided    bool
	givenBack int64 // minor units
	settlesAt time.Time
	dueAt     time.Time // zero if due is ""
	due       string
	customer  string
}

const entryColumns = lineColumns + `, merchant, declined, message, asked, card, pending, returned, voided, given_back,
	settles_at, due_at, due, customer, alone`

func scanEntry(r sqldb.Row) (*entry, error) {
	var e entry
	var at, amount, settlesAt, dueAt int64
	var currency billing.Currency
	err := r.Scan(&e.Seq, &at, &e.Kind, &e.Reference, &e.Original, &e.Response, &amount, &currency, &e.Instrument, &e.Masked,
		&e.merchant, &e.declined, &e.message, &e.asked, &e.card, &e.pending, &e.returned, &e.voided, &e.givenBack,
		sqldb.Null(&settlesAt), sqldb.Null(&dueAt), &e.due, &e.customer, &e.alone)
	e.At, e.settlesAt, e.dueAt = time.UnixMicro(at).UTC(), instant(settlesAt), instant(dueAt)
	e.Amount = billing.Minor(amount, currency)
	return &e, err
}

// insert writes the entry unless its reference is taken.
func (e *entry) insert(ctx context.Context, t *sqldb.Tx) (inserted bool, err error) {
	n, err := t.Exec(ctx,
		`INSERT INTO journal (step, seq, at, kind, reference, original, response, amount, currency, instrument, masked,
			merchant, declined, message, asked, card, pending, returned, voided, given_back, settles_at, due_at, due, customer, alone)
		VALUES ('', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, '', $17, 0, $18, $19, $20, $21, $22)
		ON CONFLICT (merchant, reference, step) DO NOTHING`,
		e.Seq, e.At.UnixMicro(), e.Kind, e.Reference, e.Original, e.Response, e.Amount.Minor(), e.Amount.Currency(),
		e.Instrument, e.Masked, e.merchant, e.declined, e.message, e.asked, e.card, e.pending, e.voided,
		micro(e.settlesAt), micro(e.dueAt), e.due, e.customer, e.alone)
	return n == 1, err
}

// update writes what changes in the life of an entry.
func (e *entry) update(ctx context.Context, t *sqldb.Tx) error {
	_, err := t.Exec(ctx,
		`UPDATE journal SET pending = $3, returned = $4, voided = $5, given_back = $6, due_at = $7, due = $8
		WHERE merchant = $1 AND reference = $2 AND step = ''`,
		e.merchant, e.Reference, e.pending, e.returned, e.voided, e.givenBack, micro(e.dueAt), e.due)
	return err
}

// byReference finds an entry, nil if there is none. lock is "" or the
// transaction's ForUpdate.
func byReference(ctx context.Context, t *sqldb.Tx, merchant, reference, lock string) (*entry, error) {
	return found(sqldb.One(ctx, t, scanEntry,
		`SELECT `+entryColumns+` FROM journal WHERE merchant = $1 AND reference = $2 AND step = ''`+lock, merchant, reference))
}

// bySeq finds an entry by the number in the bank's own id and locks it.
func bySeq(ctx context.Context, t *sqldb.Tx, merchant string, seq int64) (*entry, error) {
	return found(sqldb.One(ctx, t, scanEntry,
		`SELECT `+entryColumns+` FROM journal WHERE merchant = $1 AND seq = $2 AND step = ''`+t.ForUpdate(), merchant, seq))
}

// found turns the error for no row into no entry.
func found(e *entry, err error) (*entry, error) {
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	return e, err
}

// answer is what the bank says of the entry now.
func (e *entry) answer() answerBody {
	a := answerBody{
		ID: formatID(e.Seq), Reference: e.Reference, State: billing.AttemptApproved, Response: e.Response, Message: e.message,
	}
	switch {
	case e.declined:
		a.State = billing.AttemptDeclined
		return a
	case e.returned != "":
		a.State, a.Response, a.Message = billing.AttemptDeclined, e.returned, e.returned.Text()
		return a
	case e.pending:
		a.State, a.SettlesAt = billing.AttemptPending, e.settlesAt
	}
	a.Amount, a.Currency = e.Amount.Minor(), e.Amount.Currency()
	if e.Kind == LineCapture || e.Kind == LineAuthorisation || e.Kind == LineCredit && e.Instrument.IsCard() {
		a.ApprovalCode = approvalCode(e.Seq)
	}
	return a
}

// approvalCode makes six digits that look like an issuer's. 7919 has no common
// divisor with a million, so a million lines have a million codes.
func approvalCode(seq int64) string {
	code := []byte("000000")
	n := seq % 1_000_000 * 7919 % 1_000_000
	for i := len(code) - 1; i >= 0; i-- {
		code[i] += byte(n % 10)
		n /= 10
	}
	return string(code)
}

// matches reports whether a request that bears the entry's reference is the one
// that made it. Of the number no more is known than its mask.
func (e *entry) matches(o *order, original *entry) bool {
	switch o.kind {
	case billing.AskCharge:
		if e.alone || e.Kind != LineCapture && e.Kind != LineAuthorisation && e.Kind != LineClaim {
			return false
		}
	case billing.AskAuthorize:
		if !e.alone {
			return false
		}
	case billing.AskCredit:
		if e.Kind != LineCredit {
			return false
		}
	case billing.AskVoid, billing.AskRefund:
		of := o.original
		if original != nil {
			of = original.Reference
		}
		if e.Kind != lineOf[o.kind] || e.Original != of {
			return false
		}
		return e.asked == o.amount.Minor() && e.Amount.Currency() == o.amount.Currency()
	}
	return e.asked == o.amount.Minor() && e.Amount.Currency() == o.amount.Currency() &&
		e.Instrument == o.instrument && e.Masked == o.masked
}

// lineOf is the kind of line that takes something back.
var lineOf = map[billing.AttemptKind]LineKind{billing.AskVoid: LineVoid, billing.AskRefund: LineRefund, billing.AskCredit: LineCredit}

// micro is an instant as the database keeps it, NULL if it is zero.
func micro(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// instant is the reverse of micro.
func instant(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}
