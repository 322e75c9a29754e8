package processortest

import (
	"errors"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

// authorizer is the driver as one, or the test is skipped.
func (s *suite) authorizer(t *testing.T) processor.Authorizer {
	t.Helper()
	a, ok := s.Driver.(processor.Authorizer)
	if !ok {
		t.Skip("the driver is no Authorizer")
	}
	return a
}

// testAuthorize sees that an authorisation takes nothing, is done once, is told
// from a charge, and can be let go of, once.
func (s *suite) testAuthorize(t *testing.T) {
	a := s.authorizer(t)
	r := s.charge(s.Card, usd(600))
	first := s.approved(t, a.Authorize, r)
	if first.ApprovalCode == "" {
		t.Error("a card was approved without an approval code")
	}
	same(t, "asked again", first, s.approved(t, a.Authorize, r))
	same(t, "look-up", first, s.lookup(t, r.Reference, s.At))
	if out, err := s.Driver.Charge(t.Context(), r); !errors.Is(err, processor.ErrConflict) {
		t.Errorf("a charge under the reference of an authorisation: %s, error %v, want ErrConflict", out.State, err)
	}
	charged := s.charge(s.Card, usd(600))
	s.approved(t, s.Driver.Charge, charged)
	if out, err := a.Authorize(t.Context(), charged); !errors.Is(err, processor.ErrConflict) {
		t.Errorf("an authorisation under the reference of a charge: %s, error %v, want ErrConflict", out.State, err)
	}
	s.answered(t, s.Driver.Refund, s.back(r, usd(600)), billing.AttemptDeclined) // nothing was taken
	s.answered(t, s.Driver.Void, s.back(r, usd(599)), billing.AttemptDeclined)   // the whole or nothing
	void := s.back(r, usd(600))
	let := s.approved(t, s.Driver.Void, void)
	same(t, "the same void again", let, s.approved(t, s.Driver.Void, void))
	s.answered(t, s.Driver.Void, s.back(r, usd(600)), billing.AttemptDeclined)
	same(t, "look-up after the void", first, s.lookup(t, r.Reference, s.At))
	for _, d := range s.Harness.Decline {
		if !d.Number.Instrument.IsCard() {
			continue
		}
		no := s.charge(d.Number, usd(d.Minor))
		out := s.answered(t, a.Authorize, no, billing.AttemptDeclined)
		if out.Response != d.Response {
			t.Errorf("declined with %s, want %s", out.Response, d.Response)
		}
		same(t, "a decline asked again", out, s.answered(t, a.Authorize, no, billing.AttemptDeclined))
		if _, err := s.Driver.Charge(t.Context(), no); !errors.Is(err, processor.ErrConflict) {
			t.Errorf("a charge under the reference of a declined authorisation: error %v, want ErrConflict", err)
		}
		s.answered(t, s.Driver.Void, s.back(no, no.Amount), billing.AttemptDeclined)
	}
	s.books(t, moved(billing.AskAuthorize, r), moved(billing.AskCharge, charged), moved(billing.AskVoid, void))
	l, ok := s.Driver.(processor.Lister)
	if !ok {
		return
	}
	deeds, err := l.Deeds(t.Context(), s.Merchant, s.At.AddDate(0, 0, -1), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deeds {
		want := billing.AskAuthorize
		switch {
		case d.Reference == charged.Reference:
			want = billing.AskCharge
		case d.Original != "":
			continue
		}
		if d.Kind != want {
			t.Errorf("deed %s is a %s, want %s", d.Reference, d.Kind, want)
		}
	}
}

// testAuthorizeTrouble sees that an authorisation whose answer was lost is found,
// and let go of, under its reference.
func (s *suite) testAuthorizeTrouble(t *testing.T) {
	a := s.authorizer(t)
	var want []Movement
	for _, trouble := range troubles {
		r := s.charge(s.Card, usd(600))
		s.disturbed(t, trouble, a.Authorize, r)
		if !trouble.acted() {
			if out, err := s.Driver.Lookup(t.Context(), s.Merchant, r.Reference, s.At); !errors.Is(err, processor.ErrNotFound) {
				t.Errorf("%s: the look-up says %s, error %v, want ErrNotFound", trouble, out.State, err)
			}
			continue
		}
		if out := s.lookup(t, r.Reference, s.At); out.State != billing.AttemptApproved {
			t.Errorf("%s: the look-up says %s", trouble, out.State)
		}
		void := s.back(r, r.Amount)
		s.disturbed(t, trouble, s.Driver.Void, void)
		s.approved(t, s.Driver.Void, void)
		want = append(want, moved(billing.AskAuthorize, r), moved(billing.AskVoid, void))
	}
	s.books(t, want...)
}
