package processortest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

func (s *suite) testName(t *testing.T) {
	if _, err := processor.New(s.Driver, processor.Options{}); err != nil {
		t.Error(err)
	}
}

func (s *suite) testApprove(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	out := s.approved(t, s.Driver.Charge, r)
	if out.ApprovalCode == "" {
		t.Error("a card was approved without an approval code")
	}
	same(t, "look-up", out, s.lookup(t, r.Reference, s.At))
	s.books(t, moved(billing.AskCharge, r))
}

func (s *suite) testDecline(t *testing.T) {
	var soft, hard bool
	for _, d := range s.Harness.Decline {
		r := s.charge(d.Number, usd(d.Minor))
		out := s.answered(t, s.Driver.Charge, r, billing.AttemptDeclined)
		if out.Response != d.Response {
			t.Errorf("declined with %s, want %s", out.Response, d.Response)
		}
		same(t, "look-up", out, s.lookup(t, r.Reference, s.At))
		same(t, "asked again", out, s.answered(t, s.Driver.Charge, r, billing.AttemptDeclined))
		if back := s.back(r, r.Amount); s.answered(t, s.Driver.Refund, back, billing.AttemptDeclined).Response == "" {
			t.Error("a declined charge was refunded")
		}
		soft = soft || d.Response.Severity() == billing.Soft
		hard = hard || d.Response.Severity() == billing.Hard
	}
	if !soft || !hard {
		t.Error("the harness lacks a soft or a hard decline")
	}
	s.books(t)
}

func (s *suite) testCurrencies(t *testing.T) {
	var want []Movement
	for _, amount := range []billing.Money{billing.Minor(1999, "JPY"), billing.Minor(1999, "KWD"), billing.Minor(500, "EUR")} {
		r := s.charge(s.Card, amount)
		s.approved(t, s.Driver.Charge, r)
		want = append(want, moved(billing.AskCharge, r))
		other := s.back(r, billing.Minor(500, "USD"))
		s.answered(t, s.Driver.Refund, other, billing.AttemptDeclined)
	}
	s.books(t, want...)
}

func (s *suite) testSameReference(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	first := s.approved(t, s.Driver.Charge, r)
	r.At = r.At.AddDate(0, 0, 1)
	r.SecurityCode = billing.Secret{} // it is not kept, so it is not there the second time
	same(t, "asked again", first, s.approved(t, s.Driver.Charge, r))
	s.books(t, moved(billing.AskCharge, r))
}

func (s *suite) testSameReferenceAtOnce(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	outcomes := make([]billing.Outcome, 8)
	errs := make([]error, len(outcomes))
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() { outcomes[i], errs[i] = s.Driver.Charge(t.Context(), r) })
	}
	all.Wait()
	for i := range outcomes {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		same(t, "asked at once", outcomes[0], outcomes[i])
	}
	s.sound(t, r, outcomes[0])
	s.books(t, moved(billing.AskCharge, r))
}

func (s *suite) testOtherAct(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	first := s.approved(t, s.Driver.Charge, r)
	refund := s.back(r, usd(500))
	s.approved(t, s.Driver.Refund, refund)
	tests := []struct {
		name  string
		act   func(context.Context, processor.Request) (billing.Outcome, error)
		of    processor.Request
		alter func(*processor.Request)
	}{
		{"another amount", s.Driver.Charge, r, func(r *processor.Request) { r.Amount = usd(2000) }},
		{"another currency", s.Driver.Charge, r, func(r *processor.Request) { r.Amount = billing.Minor(1999, "EUR") }},
		{"another number", s.Driver.Charge, r, func(r *processor.Request) {
			n := s.Second
			r.Instrument, r.Number, r.Expiry = n.Instrument, billing.NewSecret(n.Number), n.Expiry
		}},
		{"a refund", s.Driver.Refund, r, func(r *processor.Request) { r.Original = refund.Original }},
		{"another amount of a refund", s.Driver.Refund, refund, func(r *processor.Request) { r.Amount = usd(501) }},
		{"a void", s.Driver.Void, refund, func(*processor.Request) {}},
		{"another original", s.Driver.Refund, refund, func(r *processor.Request) { r.Original = "t-none" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other := tt.of
			tt.alter(&other)
			out, err := tt.act(t.Context(), other)
			if !errors.Is(err, processor.ErrConflict) {
				t.Errorf("%s %s, error %v, want ErrConflict", out.State, out.Response, err)
			}
		})
	}
	same(t, "look-up", first, s.lookup(t, r.Reference, s.At))
	s.books(t, moved(billing.AskCharge, r), moved(billing.AskRefund, refund))
}

func (s *suite) testMerchants(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	s.approved(t, s.Driver.Charge, r)
	if out, err := s.Driver.Lookup(t.Context(), s.Other, r.Reference, s.At); !errors.Is(err, processor.ErrNotFound) {
		t.Errorf("another merchant's look-up: %s, error %v, want ErrNotFound", out.State, err)
	}
	refund := s.back(r, usd(500))
	refund.Merchant = s.Other
	s.answered(t, s.Driver.Refund, refund, billing.AttemptDeclined)
	others := r
	others.Merchant, others.Amount = s.Other, usd(600)
	s.approved(t, s.Driver.Charge, others)
	s.books(t, moved(billing.AskCharge, r))
	if got := s.Books(t, s.Other); len(got) != 1 || got[0] != moved(billing.AskCharge, others) {
		t.Errorf("the other merchant's books: %v", got)
	}
}

func (s *suite) testNotFound(t *testing.T) {
	for _, reference := range []string{s.reference(), "a/b c?d=%2F&é", "with:colon"} {
		if out, err := s.Driver.Lookup(t.Context(), s.Merchant, reference, s.At); !errors.Is(err, processor.ErrNotFound) {
			t.Errorf("look-up of a reference that was never sent: %s, error %v, want ErrNotFound", out.State, err)
		}
		r := s.charge(s.Card, usd(1999))
		r.Reference = reference
		first := s.approved(t, s.Driver.Charge, r)
		same(t, "look-up", first, s.lookup(t, reference, s.At))
	}
	never := s.charge(s.Card, usd(1999))
	for _, act := range []func(context.Context, processor.Request) (billing.Outcome, error){s.Driver.Void, s.Driver.Refund} {
		s.answered(t, act, s.back(never, usd(1999)), billing.AttemptDeclined)
	}
}

func (s *suite) testRefund(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	out := s.approved(t, s.Driver.Charge, r)
	s.answered(t, s.Driver.Refund, s.back(r, usd(2000)), billing.AttemptDeclined) // more than was captured
	part := s.back(r, usd(999))
	first := s.approved(t, s.Driver.Refund, part)
	same(t, "the same refund again", first, s.approved(t, s.Driver.Refund, part))
	same(t, "look-up", first, s.lookup(t, part.Reference, s.At))
	s.answered(t, s.Driver.Refund, s.back(r, usd(1001)), billing.AttemptDeclined) // more than is left
	rest := s.back(r, usd(1000))
	rest.Original, rest.OriginalID = "", out.ProcessorID
	s.approved(t, s.Driver.Refund, rest)
	s.answered(t, s.Driver.Refund, s.back(r, usd(1)), billing.AttemptDeclined) // nothing is left
	s.answered(t, s.Driver.Void, s.back(r, r.Amount), billing.AttemptDeclined) // nor can it be voided
	same(t, "look-up of the charge", out, s.lookup(t, r.Reference, s.At))
	s.books(t, moved(billing.AskCharge, r), moved(billing.AskRefund, part), moved(billing.AskRefund, rest))
}

func (s *suite) testRefundsAtOnce(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	s.approved(t, s.Driver.Charge, r)
	outcomes := make([]billing.Outcome, 6)
	errs := make([]error, len(outcomes))
	var all sync.WaitGroup
	for i := range outcomes {
		refund := s.back(r, usd(800)) // two of them fit
		all.Go(func() { outcomes[i], errs[i] = s.Driver.Refund(t.Context(), refund) })
	}
	all.Wait()
	approved := 0
	for i, out := range outcomes {
		switch {
		case errs[i] != nil:
			t.Fatal(errs[i])
		case out.State == billing.AttemptApproved:
			approved++
		case out.State != billing.AttemptDeclined:
			t.Errorf("a refund is %s", out.State)
		}
	}
	if approved != 2 {
		t.Errorf("%d refunds of 8 were approved on a charge of 19.99, want 2", approved)
	}
	if got := s.Books(t, s.Merchant); len(got) != 3 {
		t.Errorf("the processor's books: %v", got)
	}
}

func (s *suite) testVoid(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	s.approved(t, s.Driver.Charge, r)
	void := s.back(r, usd(1999))
	first := s.approved(t, s.Driver.Void, void)
	same(t, "the same void again", first, s.approved(t, s.Driver.Void, void))
	same(t, "look-up", first, s.lookup(t, void.Reference, s.At))
	s.answered(t, s.Driver.Void, s.back(r, usd(1999)), billing.AttemptDeclined)  // it is voided already
	s.answered(t, s.Driver.Refund, s.back(r, usd(500)), billing.AttemptDeclined) // and has no money
	byID := s.charge(s.Card, usd(2500))
	charged := s.approved(t, s.Driver.Charge, byID)
	voidByID := s.back(byID, byID.Amount)
	voidByID.Original, voidByID.OriginalID = "", charged.ProcessorID
	first = s.approved(t, s.Driver.Void, voidByID)
	same(t, "the same void by id again", first, s.approved(t, s.Driver.Void, voidByID))
	late := s.charge(s.Card, usd(3000))
	s.approved(t, s.Driver.Charge, late)
	settled := s.back(late, late.Amount)
	settled.At = s.At.AddDate(0, 0, 30)
	s.answered(t, s.Driver.Void, settled, billing.AttemptDeclined)
	s.books(t, moved(billing.AskCharge, r), moved(billing.AskVoid, void),
		moved(billing.AskCharge, byID), moved(billing.AskVoid, voidByID), moved(billing.AskCharge, late))
}

func (s *suite) testCredit(t *testing.T) {
	c, ok := s.Driver.(processor.Creditor)
	if !ok {
		t.Skip("the driver is no Creditor")
	}
	r := s.charge(s.Card, usd(1999))
	first := s.approved(t, c.Credit, r)
	same(t, "the same credit again", first, s.approved(t, c.Credit, r))
	same(t, "look-up", first, s.lookup(t, r.Reference, s.At))
	s.books(t, moved(billing.AskCredit, r))
}
