package main

import (
	"context"
	"errors"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
)

// found is what books and journal say of one customer's renewals.
type found struct{ invoices, claims, other, captures int }

// judge holds the books and the bank's journal against what was due and what
// clients asked for and heard. It reads by SQL of its own.
func (s *siege) judge(t *testing.T, c *core, crowd map[billing.CustomerID]bool, charges []*charging) *verdictOfSiege {
	t.Helper()
	ctx := context.Background()
	v := &verdictOfSiege{}
	m, err := c.merchant(ctx, demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(ctx, s.books(), sqldb.Options{ReadOnly: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	captured := capturesByReference(t, s.place)
	customers := map[billing.CustomerID]*found{}
	notes := map[string][]*billing.Activity{}
	payers := map[string]billing.CustomerID{} // by the reference of an attempt
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		_, err := sqldb.Query(ctx, tx, func(r sqldb.Row) (n int64, err error) {
			var reference string
			var owner billing.CustomerID
			var state billing.AttemptState
			err = r.Scan(&reference, &owner, &state)
			if payers[reference] = owner; state == billing.Sending || state == billing.AttemptUnknown {
				v.open++
			}
			return n, err
		}, "SELECT reference, customer_id, state FROM attempt WHERE merchant_id = $1", int64(m.ID))
		if err != nil {
			return err
		}
		_, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (n int64, err error) {
			a := &billing.Activity{}
			var open int64
			if err = r.Scan(&a.CustomerID, &a.Kind, &a.State, &open, &a.Note, &a.AttemptID); err != nil {
				return n, err
			}
			if !crowd[a.CustomerID] {
				notes[a.Note] = append(notes[a.Note], a)
				return n, nil
			}
			f := customers[a.CustomerID]
			if f == nil {
				f = &found{}
				customers[a.CustomerID] = f
			}
			switch {
			case a.Kind == billing.Invoice && open == 0:
				f.invoices++
			case a.Kind == billing.Claim && a.State == billing.Posted && open == 0:
				f.claims++
			default:
				f.other++
			}
			return n, nil
		}, "SELECT customer_id, kind, state, open, note, COALESCE(attempt_id, 0) FROM activity WHERE merchant_id = $1", int64(m.ID))
		if err != nil {
			return err
		}
		var sum int64
		if err := tx.QueryRow(ctx, "SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM entry WHERE merchant_id = $1", int64(m.ID)).Scan(&sum); err != nil {
			return err
		}
		if sum != 0 {
			t.Errorf("the entries sum to %d", sum)
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for reference, n := range captured {
		owner, known := payers[reference]
		if !known {
			t.Errorf("the bank captured for %s, which is no attempt of ours", reference)
			v.strange++
		}
		if crowd[owner] && customers[owner] != nil {
			customers[owner].captures += n
		}
	}
	s.judgeRenewals(t, v, crowd, customers)
	for _, one := range charges {
		one.judge(t, v, notes[one.note], captured)
	}
	return v
}

// capturesByReference counts the captures in the bank's journal by reference.
func capturesByReference(t *testing.T, l place) map[string]int {
	t.Helper()
	bank, books, err := openBank(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer books.Close()
	lines, err := bank.Journal(context.Background(), demoMerchant)
	if err != nil {
		t.Fatal(err)
	}
	captured := map[string]int{}
	for i := range lines {
		if lines[i].Kind == sandbox.LineCapture && lines[i].Good() {
			captured[lines[i].Reference]++
		}
	}
	return captured
}

// judgeRenewals: for each billing date one invoice, covered, and one capture.
func (s *siege) judgeRenewals(t *testing.T, v *verdictOfSiege, crowd map[billing.CustomerID]bool, customers map[billing.CustomerID]*found) {
	t.Helper()
	if len(crowd) != s.due {
		t.Errorf("%d customers were planted, not %d", len(crowd), s.due)
	}
	for owner := range crowd {
		f := customers[owner]
		if f == nil {
			f = &found{}
		}
		switch {
		case f.captures > s.rounds || f.invoices > s.rounds || f.claims > s.rounds:
			v.doubled++
		case f.captures < s.rounds || f.invoices < s.rounds || f.claims < s.rounds:
			v.lost++
		case f.other > 0:
			v.strange++
		default:
			v.renewals += s.rounds
			continue
		}
		t.Errorf("customer %d was to be billed %d times: %+v", owner, s.rounds, *f)
	}
}

// judge holds one charge that a client asked for against the books and the
// journal.
func (c *charging) judge(t *testing.T, v *verdictOfSiege, list []*billing.Activity, captured map[string]int) {
	t.Helper()
	taken, good := 0, 0
	for _, a := range list {
		taken += captured[attemptReference(a.AttemptID)]
		if a.Kind == billing.Payment && a.State == billing.Posted {
			good++
		}
	}
	wanted := 0
	switch {
	case c.answer == "":
		wanted = min(taken, 1) // nobody knows, but no more than once
		if c.key == "" {
			v.silent++
		}
	case c.answer == string(billing.Approved):
		wanted = 1
	}
	if c.key != "" && c.vaulted {
		wanted = 1 // the number is kept, so it is sent until it has arrived
	}
	switch {
	case taken > wanted:
		v.doubled++
	case taken < wanted:
		v.lost++
	case good != taken, c.key != "" && (len(list) != 1 || c.answer == ""):
		v.strange++
	case c.key != "":
		v.keyed += taken
		return
	default:
		v.unkeyed += taken
		return
	}
	t.Errorf("%+v: captured %d times, with %d activities of which %d are posted payments", *c, taken, len(list), good)
}
