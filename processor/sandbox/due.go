package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// What may still become of a charge is a list of stages with commas between,
// as in "settlement,R10": settlement, chargeback, reversal, or a NACHA code: an R
// code in place of settlement returns the claim, after it returns it late, and a
// C code notifies of a change at settlement.
const stageReversal = "reversal"

// maxStages bounds the stages of one charge.
const maxStages = 3

// lookup finds the entry that bears a reference, brought up to the instant at.
func (b *Bank) lookup(ctx context.Context, merchant, reference string, at time.Time) (*entry, error) {
	var e *entry
	err := b.db.View(ctx, func(t *sqldb.Tx) (err error) {
		e, err = byReference(ctx, t, merchant, reference, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: look up: %w", err)
	}
	if e == nil {
		return nil, errNotFound
	}
	if !e.pending || e.dueAt.After(at) {
		return e, nil
	}
	// The claim's fate has fallen due. What comes after it makes notices and
	// is left to those who ask for them.
	seqs, err := b.numbers.reserve(ctx, 1)
	if err != nil {
		return nil, err
	}
	var s *sequence
	err = b.db.Update(ctx, func(t *sqldb.Tx) (err error) {
		s = &sequence{free: seqs}
		e, err = byReference(ctx, t, merchant, reference, t.ForUpdate())
		if err != nil || !e.pending {
			return err // another process was faster
		}
		terms, err := b.termsIn(ctx, t, merchant)
		if err != nil {
			return err
		}
		return b.stage(ctx, t, e, terms, s)
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: settle: %w", err)
	}
	b.numbers.giveBack(seqs[s.used:])
	return e, nil
}

// termsIn reads the terms inside a transaction.
func (b *Bank) termsIn(ctx context.Context, t *sqldb.Tx, merchant string) (Terms, error) {
	found, err := sqldb.Query(ctx, t, scanTreatment,
		`SELECT merchant, terms, faults FROM treatment WHERE merchant = $1 OR merchant = '*'`, merchant)
	if err != nil {
		return Terms{}, err
	}
	own, all, err := b.sort(merchant, found)
	return effective(own, all), err
}

// dueBatch is how many charges are brought up to date in one transaction.
const dueBatch = 100

// advance lets everything happen that has fallen due for a merchant, in order.
func (b *Bank) advance(ctx context.Context, merchant string, terms Terms, at time.Time) error {
	for {
		var waiting int
		err := b.db.View(ctx, func(t *sqldb.Tx) error {
			return t.QueryRow(ctx,
				`SELECT COUNT(*) FROM (SELECT 1 FROM journal WHERE merchant = $1 AND due_at <= $2 LIMIT $3) AS due`,
				merchant, at.UnixMicro(), dueBatch).Scan(&waiting)
		})
		if err != nil {
			return fmt.Errorf("sandbox: look for what is due: %w", err)
		}
		if waiting == 0 {
			return nil
		}
		seqs, err := b.numbers.reserve(ctx, waiting*maxStages)
		if err != nil {
			return err
		}
		var s *sequence
		err = b.db.Update(ctx, func(t *sqldb.Tx) error {
			s = &sequence{free: seqs}
			due, err := sqldb.Query(ctx, t, scanEntry,
				`SELECT `+entryColumns+` FROM journal WHERE merchant = $1 AND due_at <= $2
				ORDER BY due_at, seq LIMIT $3`+t.ForUpdate(), merchant, at.UnixMicro(), waiting)
			if err != nil {
				return err
			}
			horizon := at
			if len(due) == dueBatch {
				horizon = due[len(due)-1].dueAt // others may come before what lies behind
			}
			return b.inOrder(ctx, t, due, terms, horizon, s)
		})
		if err != nil {
			return fmt.Errorf("sandbox: let happen what is due: %w", err)
		}
		b.numbers.giveBack(seqs[s.used:])
	}
}

// inOrder takes the stages of several charges in the order of their instants,
// up to a horizon.
func (b *Bank) inOrder(ctx context.Context, t *sqldb.Tx, due []*entry, terms Terms, horizon time.Time, s *sequence) error {
	for len(due) > 0 {
		e := due[0]
		if e.due == "" || e.dueAt.After(horizon) {
			due = due[1:]
			continue
		}
		if err := b.stage(ctx, t, e, terms, s); err != nil {
			return err
		}
		slices.SortStableFunc(due, func(x, y *entry) int {
			return cmp.Or(x.dueAt.Compare(y.dueAt), cmp.Compare(x.Seq, y.Seq))
		})
	}
	return nil
}

// catchUp lets everything happen to one charge that has fallen due.
func (b *Bank) catchUp(ctx context.Context, t *sqldb.Tx, e *entry, terms Terms, at time.Time, s *sequence) error {
	for e.due != "" && !e.dueAt.After(at) {
		if err := b.stage(ctx, t, e, terms, s); err != nil {
			return err
		}
	}
	return nil
}

// stage lets the next thing happen to a charge that the transaction has locked.
func (b *Bank) stage(ctx context.Context, t *sqldb.Tx, e *entry, terms Terms, s *sequence) error {
	what, rest, _ := strings.Cut(e.due, ",")
	line := Line{
		At: e.dueAt, Reference: e.Reference, Original: "", Amount: e.Amount, Instrument: e.Instrument, Masked: e.Masked,
	}
	var notice billing.NoticeKind
	switch {
	case what == string(LineSettlement):
		e.pending = false
		line.Kind, line.Response = LineSettlement, billing.Approved
	case what[0] == 'R' && e.pending:
		e.pending, e.returned = false, billing.ResponseCode(what)
		line.Kind, line.Response = LineReturn, e.returned
	case what[0] == 'C':
		line.Kind, line.Response = LineChange, billing.ResponseCode(what)
		line.Amount, notice = billing.Minor(0, e.Amount.Currency()), billing.NoticeChange
	case what == string(LineChargeback), what[0] == 'R':
		line.Kind, notice = LineChargeback, billing.NoticeChargeback
		if what[0] == 'R' {
			line.Kind, line.Response, notice = LineReturn, billing.ResponseCode(what), billing.NoticeReturn
		}
		// What was refunded already is not taken a second time.
		line.Amount = billing.Minor(e.Amount.Minor()-e.givenBack, e.Amount.Currency())
		e.givenBack = e.Amount.Minor()
	case what == stageReversal:
		line.Kind, notice = LineReversal, billing.NoticeChargebackReversed
		taken, err := b.chargedBack(ctx, t, e)
		if err != nil {
			return err
		}
		line.Amount = billing.Minor(taken, e.Amount.Currency())
		e.givenBack -= taken
	default:
		return fmt.Errorf("sandbox: no such fate: %s", what)
	}
	e.due, e.dueAt = rest, e.next(rest, terms)
	if err := e.update(ctx, t); err != nil {
		return err
	}
	if line.Amount.Sign() <= 0 && line.Kind != LineChange {
		return nil // everything was refunded before
	}
	if err := insertStage(ctx, t, e.merchant, &line, s); err != nil || notice == "" {
		return err
	}
	return insertNotice(ctx, t, e.merchant, notice, &line)
}

// next is when the rest of the stages goes on: a change is told at settlement,
// everything else takes its time.
func (e *entry) next(rest string, terms Terms) time.Time {
	switch {
	case rest == "":
		return time.Time{}
	case rest[0] == 'C':
		return e.dueAt
	}
	return terms.late(e.dueAt)
}

// chargedBack is how much of a charge was charged back.
func (b *Bank) chargedBack(ctx context.Context, t *sqldb.Tx, e *entry) (int64, error) {
	amounts, err := sqldb.Query(ctx, t, sqldb.Scalar[int64],
		`SELECT amount FROM journal WHERE merchant = $1 AND reference = $2 AND step = 'chargeback'`, e.merchant, e.Reference)
	if err != nil || len(amounts) == 0 {
		return 0, err
	}
	return amounts[0], nil
}

// insertStage writes a line of the bank's own.
func insertStage(ctx context.Context, t *sqldb.Tx, merchant string, l *Line, s *sequence) error {
	l.Seq = s.next()
	_, err := t.Exec(ctx,
		`INSERT INTO journal (merchant, reference, step, seq, at, kind, original, declined, response, message, asked, amount,
			currency, instrument, masked, card, pending, returned, voided, given_back, due)
		VALUES ($1, $2, $3, $4, $5, $3, '', $6, $7, '', $8, $8, $9, $10, $11, '', $6, '', $6, 0, '')`,
		merchant, l.Reference, l.Kind, l.Seq, l.At.UnixMicro(), false, l.Response, l.Amount.Minor(),
		l.Amount.Currency(), l.Instrument, l.Masked)
	return err
}

// insertNotice gives a merchant its next notice. The row of the merchant's
// treatment numbers them, so that none becomes visible before an earlier one.
func insertNotice(ctx context.Context, t *sqldb.Tx, merchant string, kind billing.NoticeKind, l *Line) error {
	var seq int64
	err := t.QueryRow(ctx,
		`INSERT INTO treatment (merchant, terms, faults, notices) VALUES ($1, '', '', 1)
		ON CONFLICT (merchant) DO UPDATE SET notices = treatment.notices + 1 RETURNING notices`, merchant).Scan(&seq)
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx,
		`INSERT INTO notice (merchant, seq, at, kind, reference, response, amount, currency)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		merchant, seq, l.At.UnixMicro(), kind, l.Reference, l.Response, l.Amount.Minor(), l.Amount.Currency())
	return err
}

// noticePage is how many notices one asking gives at most.
const noticePage = 200

// notices lists a merchant's notices after one, once everything has happened
// that is due at an instant.
func (b *Bank) notices(ctx context.Context, merchant string, after int64, terms Terms, at time.Time) ([]noticeBody, error) {
	if err := b.advance(ctx, merchant, terms, at); err != nil {
		return nil, err
	}
	var list []noticeBody
	err := b.db.View(ctx, func(t *sqldb.Tx) (err error) {
		list, err = sqldb.Query(ctx, t, b.scanNotice,
			`SELECT seq, at, kind, reference, response, amount, currency FROM notice
			WHERE merchant = $1 AND seq > $2 ORDER BY seq LIMIT $3`, merchant, after, noticePage)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: read notices: %w", err)
	}
	return list, nil
}

// scanNotice scans a notice and adds what it tells of a bank account, which is
// test data and kept nowhere else.
func (b *Bank) scanNotice(r sqldb.Row) (noticeBody, error) {
	var n noticeBody
	var at int64
	err := r.Scan(&n.Seq, &at, &n.Kind, &n.Reference, &n.Response, &n.Amount, &n.Currency)
	n.At = time.UnixMicro(at).UTC()
	if n.Kind == billing.NoticeChange {
		changed := b.tables.Changes[n.Response]
		n.Number, n.Routing = changed.Number, changed.Routing
	}
	return n, err
}
