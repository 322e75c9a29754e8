package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// errTaken means that another transaction has just used the reference, so that
// this one must be undone and begun again to see what it was used for.
var errTaken = errors.New("sandbox: the reference was used meanwhile")

// act does what an order asks, once, and returns its entry. An order that was
// done before has no further effect.
func (b *Bank) act(ctx context.Context, o *order, terms Terms) (*entry, error) {
	numbers := 1
	if o.kind == billing.AskVoid || o.kind == billing.AskRefund {
		numbers += maxStages // the original may have to be brought up to date first
	}
	for {
		seqs, err := b.numbers.reserve(ctx, numbers)
		if err != nil {
			return nil, err
		}
		var e *entry
		var used int
		err = b.db.Update(ctx, func(t *sqldb.Tx) (err error) {
			// The closure may be run again, so it starts from all numbers.
			s := &sequence{free: seqs}
			switch o.kind {
			case billing.AskVoid, billing.AskRefund:
				e, err = b.takeBack(ctx, t, o, terms, s)
			default:
				e, err = b.begin(ctx, t, o, terms, s)
			}
			used = s.used
			return err
		})
		if err != nil {
			used = 0
		}
		if !errors.Is(err, sqldb.ErrOutcomeUnknown) {
			b.numbers.giveBack(seqs[used:])
		}
		switch {
		case errors.Is(err, errTaken):
			continue
		case errors.Is(err, errConflict):
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("sandbox: %s: %w", o.kind, err)
		}
		return e, nil
	}
}

// sequence hands out reserved numbers inside a transaction.
type sequence struct {
	free []int64
	used int
}

func (s *sequence) next() int64 {
	n := s.free[s.used]
	s.used++
	return n
}

// begin performs a charge, authorisation or credit.
func (b *Bank) begin(ctx context.Context, t *sqldb.Tx, o *order, terms Terms, s *sequence) (*entry, error) {
	var earlier int64
	if o.card != nil && o.card.counts() {
		err := t.QueryRow(ctx,
			`SELECT COUNT(*) FROM journal WHERE merchant = $1 AND card = $2 AND card <> '' AND step = '' AND kind IN ('capture', 'authorisation')`,
			o.merchant, o.card.Name).Scan(&earlier)
		if err != nil {
			return nil, err
		}
	}
	e := o.entry()
	switch {
	case o.kind == billing.AskCredit:
		e.Kind = LineCredit
		if o.forced != "" || o.bad != "" {
			e.decline(firstCode(o.forced, o.bad))
		}
	case o.instrument.IsCard():
		b.judgeCard(e, o, terms, earlier)
	default:
		b.judgeClaim(e, o, terms)
	}
	e.Seq = s.free[s.used]
	inserted, err := e.insert(ctx, t)
	if err != nil {
		return nil, err
	}
	if inserted {
		s.used++
		return e, nil
	}
	before, err := byReference(ctx, t, o.merchant, o.reference, "")
	if err != nil {
		return nil, err
	}
	if before == nil || !before.matches(o, nil) {
		return nil, errConflict
	}
	return before, nil
}

// entry is the order as an approved line, to be judged.
func (o *order) entry() *entry {
	return &entry{
		Line: Line{
			At: o.at, Reference: o.reference, Original: o.original, Response: billing.Approved,
			Amount: o.amount, Instrument: o.instrument, Masked: o.masked,
		},
		merchant: o.merchant, message: billing.Approved.Text(), asked: o.amount.Minor(), customer: o.customer,
	}
}

// decline makes the entry a declined one.
func (e *entry) decline(code billing.ResponseCode) {
	e.declined, e.Response, e.message = true, code, code.Text()
}

// judgeCard decides on a charge or authorisation of a card.
func (b *Bank) judgeCard(e *entry, o *order, terms Terms, earlier int64) {
	e.Kind, e.alone = LineCapture, o.kind == billing.AskAuthorize
	code, message, later := billing.Approved, "", ""
	switch {
	case o.forced != "" || o.bad != "":
		code = firstCode(o.forced, o.bad)
	case o.card != nil && o.card.byNumber():
		code, later = o.card.answer(earlier), o.card.Later
		if code != billing.Approved || o.card.Response == "" {
			message = o.card.Message
		}
	default:
		row := b.tables.band(terms.Amounts, e.asked)
		later = row.CardLater
		if row.Card != "" {
			code = row.Card
		}
		if row.Less > 0 {
			e.Amount = billing.Minor(e.asked-row.Less, e.Amount.Currency())
		}
	}
	if o.card != nil && (o.card.counts() || o.card.Refunds != "") {
		e.card = o.card.Name
	}
	if code.Severity() != billing.Good {
		e.Kind = LineAuthorisation
		e.decline(code)
		if message != "" {
			e.message = message
		}
		return
	}
	e.Response, e.message = code, code.Text()
	if message != "" {
		e.message = message
	}
	if e.alone {
		e.Kind = LineAuthorisation
		return
	}
	if later != "" {
		e.due, e.dueAt = later, terms.late(e.At)
	}
}

// judgeClaim decides on a debit of a bank account. All but nonsense is accepted
// and decided on the day of its settlement.
func (b *Bank) judgeClaim(e *entry, o *order, terms Terms) {
	e.Kind = LineClaim
	row := b.tables.band(terms.Amounts, e.asked)
	if o.account != nil && o.account.Later != "" {
		row = Band{}
	}
	if code := firstCode(o.forced, o.bad, row.BankNow); code != "" {
		e.decline(code)
		return
	}
	e.pending, e.message = true, "accepted"
	e.settlesAt = terms.settles(e.At)
	e.due, e.dueAt = string(LineSettlement), e.settlesAt
	if o.account != nil && o.account.Later != "" {
		e.due = o.account.Later
	} else if row.Bank != "" {
		e.due = row.Bank
	}
}

// takeBack performs a void or refund.
func (b *Bank) takeBack(ctx context.Context, t *sqldb.Tx, o *order, terms Terms, s *sequence) (*entry, error) {
	// Locking the original makes all that take it back wait for each other.
	var original *entry
	var err error
	if o.original != "" {
		original, err = byReference(ctx, t, o.merchant, o.original, t.ForUpdate())
	} else {
		original, err = bySeq(ctx, t, o.merchant, o.originalID)
	}
	if err != nil {
		return nil, err
	}
	before, err := byReference(ctx, t, o.merchant, o.reference, "")
	if err != nil {
		return nil, err
	}
	if before != nil {
		if !before.matches(o, original) {
			return nil, errConflict
		}
		return before, nil
	}
	e := o.entry()
	e.Kind = lineOf[o.kind]
	code := billing.ResponseCode("25")
	if original != nil {
		if err := b.catchUp(ctx, t, original, terms, o.at, s); err != nil {
			return nil, err
		}
		e.Original, e.Instrument, e.Masked = original.Reference, original.Instrument, original.Masked
		code = original.refusesVoid(o)
		if o.kind == billing.AskRefund {
			code = original.refusesRefund(o, b.refunds(original))
		}
	}
	if code = firstCode(o.forced, code); code != "" {
		e.decline(code)
	}
	e.Seq = s.next()
	inserted, err := e.insert(ctx, t)
	if err != nil {
		return nil, err
	}
	if !inserted {
		return nil, errTaken
	}
	if e.declined {
		return e, nil
	}
	if o.kind == billing.AskRefund {
		original.givenBack += o.amount.Minor()
		return e, original.update(ctx, t)
	}
	return e, original.void(ctx, t)
}

// refunds is the answer that the original's card gives to refunds, "" if it
// does not mind.
func (b *Bank) refunds(original *entry) billing.ResponseCode {
	for i := range b.tables.Cards {
		if c := &b.tables.Cards[i]; original.card != "" && c.Name == original.card {
			return c.Refunds
		}
	}
	return ""
}

// refusesRefund is why the entry cannot be refunded, "" if it can.
func (e *entry) refusesRefund(o *order, card billing.ResponseCode) billing.ResponseCode {
	switch {
	case e.declined, e.voided, e.pending, e.returned != "":
		return "12" // nothing was taken, or not yet
	case e.Kind != LineCapture && e.Kind != LineClaim:
		return "12"
	case o.amount.Currency() != e.Amount.Currency(), o.amount.Minor() > e.Amount.Minor()-e.givenBack:
		return "13"
	}
	return card
}

// voidable is how long a card charge, refund or credit can be voided: then the
// bank settles it.
const voidable = day

// refusesVoid is why the entry cannot be voided, "" if it can. A void takes back
// the whole.
func (e *entry) refusesVoid(o *order) billing.ResponseCode {
	switch {
	case e.declined, e.voided, e.returned != "", e.givenBack > 0:
		return "12"
	case o.amount != e.Amount:
		return "13"
	}
	switch e.Kind {
	case LineAuthorisation: // until it lapses, and letting go of what has lapsed does no harm
		return ""
	case LineCapture, LineRefund, LineCredit:
		if o.at.Before(e.At.Add(voidable)) {
			return ""
		}
	case LineClaim:
		if e.pending && o.at.Truncate(day).Equal(e.At.Truncate(day)) {
			return ""
		}
	}
	return "12" // settled
}

// void takes the entry back: it will have no further fate, and what a voided
// refund paid back can be refunded again.
func (e *entry) void(ctx context.Context, t *sqldb.Tx) error {
	if e.pending {
		e.pending, e.returned = false, "R06" // NACHA: returned at the request of the originating bank
	}
	e.voided, e.due, e.dueAt = true, "", time.Time{}
	if err := e.update(ctx, t); err != nil || e.Kind != LineRefund {
		return err
	}
	_, err := t.Exec(ctx, `UPDATE journal SET given_back = given_back - $3 WHERE merchant = $1 AND reference = $2 AND step = ''`,
		e.merchant, e.Original, e.Amount.Minor())
	return err
}

// firstCode is the first code that says something.
func firstCode(codes ...billing.ResponseCode) billing.ResponseCode {
	for _, c := range codes {
		if c != "" {
			return c
		}
	}
	return ""
}
