package processortest

import (
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

// testDeeds holds what a processor lists against what it was asked for: each act
// once, declined ones too, under our references and with our customer, in order
// and from any place on, and nothing of another merchant's.
func (s *suite) testDeeds(t *testing.T) {
	l, ok := s.Driver.(processor.Lister)
	if !ok {
		t.Skip("the driver is no Lister")
	}
	charged := s.charge(s.Card, usd(1999))
	charged.Customer = "4711"
	s.approved(t, s.Driver.Charge, charged)
	s.approved(t, s.Driver.Charge, charged) // asked twice is done once
	refund := s.back(charged, usd(500))
	s.approved(t, s.Driver.Refund, refund)
	decline := s.Decline[0]
	refused := s.charge(decline.Number, usd(decline.Minor))
	s.answered(t, s.Driver.Charge, refused, billing.AttemptDeclined)
	late := s.charge(s.Second, usd(2500))
	late.At = s.At.Add(time.Minute)
	s.approved(t, s.Driver.Charge, late)
	void := s.back(late, late.Amount)
	void.At = late.At
	s.approved(t, s.Driver.Void, void)
	others := charged
	others.Merchant = s.Other
	s.approved(t, s.Driver.Charge, others)

	want := []processor.Deed{
		{Kind: billing.AskCharge, Reference: charged.Reference, Customer: "4711", Amount: charged.Amount, Outcome: billing.Outcome{State: billing.AttemptApproved}},
		{Kind: billing.AskRefund, Reference: refund.Reference, Original: charged.Reference, Amount: refund.Amount, Outcome: billing.Outcome{State: billing.AttemptApproved}},
		{Kind: billing.AskCharge, Reference: refused.Reference, Amount: refused.Amount, Outcome: billing.Outcome{State: billing.AttemptDeclined}},
		{Kind: billing.AskCharge, Reference: late.Reference, Amount: late.Amount, Outcome: billing.Outcome{State: billing.AttemptApproved}},
		{Kind: billing.AskVoid, Reference: void.Reference, Original: late.Reference, Amount: void.Amount, Outcome: billing.Outcome{State: billing.AttemptApproved}},
	}
	list := func(at time.Time, seq int64) []processor.Deed {
		t.Helper()
		page, err := l.Deeds(t.Context(), s.Merchant, at, seq)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	got := list(time.Time{}, 0)
	if len(got) != len(want) {
		t.Fatalf("%d deeds, want %d", len(got), len(want))
	}
	for i, d := range got {
		w := want[i]
		if d.Kind != w.Kind || d.Reference != w.Reference || d.Original != w.Original || d.Amount != w.Amount || d.Outcome.State != w.Outcome.State ||
			d.Customer != "" && d.Customer != w.Customer {
			t.Errorf("deed %d is %+v, want %+v", i, d, w)
		}
		if rest := list(d.At, d.Seq); len(rest) != len(got)-i-1 {
			t.Errorf("after deed %d come %d, want %d", i, len(rest), len(got)-i-1)
		}
	}
	if since := list(s.At.Add(time.Second), 0); len(since) != 2 {
		t.Errorf("%d deeds of later, want 2", len(since))
	}
}
