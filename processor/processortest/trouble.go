package processortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

// testTrouble lets each trouble hit each act, and checks that a look-up tells
// the truth and that asking again under the same reference heals everything.
func (s *suite) testTrouble(t *testing.T) {
	type act struct {
		kind    billing.AttemptKind
		perform func(context.Context, processor.Request) (billing.Outcome, error)
		request func() processor.Request
	}
	var want []Movement
	charged := func() processor.Request {
		r := s.charge(s.Card, usd(1999))
		s.approved(t, s.Driver.Charge, r)
		want = append(want, moved(billing.AskCharge, r))
		return r
	}
	acts := []act{
		{billing.AskCharge, s.Driver.Charge, func() processor.Request { return s.charge(s.Card, usd(1999)) }},
		{billing.AskVoid, s.Driver.Void, func() processor.Request { return s.back(charged(), usd(1999)) }},
		{billing.AskRefund, s.Driver.Refund, func() processor.Request { return s.back(charged(), usd(700)) }},
	}
	if c, ok := s.Driver.(processor.Creditor); ok {
		acts = append(acts, act{billing.AskCredit, c.Credit, func() processor.Request { return s.charge(s.Card, usd(1999)) }})
	}
	for _, a := range acts {
		for _, trouble := range troubles {
			t.Run(fmt.Sprintf("%s/%s", a.kind, trouble), func(t *testing.T) {
				r := a.request()
				err := s.disturbed(t, trouble, a.perform, r)
				if trouble.acted() && (errors.Is(err, processor.ErrNotSent) || errors.Is(err, processor.ErrRefused)) {
					t.Errorf("the act was done, and the driver is sure that it was not: %v", err)
				}
				out, err := s.Driver.Lookup(t.Context(), s.Merchant, r.Reference, s.At)
				switch {
				case trouble.acted() && err != nil:
					t.Errorf("the act was done, and the look-up says %v", err)
				case trouble.acted() && out.State != billing.AttemptApproved:
					t.Errorf("the act was done, and the look-up says %s", out.State)
				case !trouble.acted() && !errors.Is(err, processor.ErrNotFound):
					t.Errorf("nothing was done, and the look-up says %s, error %v", out.State, err)
				}
				again := s.approved(t, a.perform, r)
				if trouble.acted() {
					same(t, "asked again", out, again)
				}
				want = append(want, moved(a.kind, r))
				s.books(t, want...)
			})
		}
	}
}

func (s *suite) testBusy(t *testing.T) {
	r := s.charge(s.Card, usd(1999))
	first := s.approved(t, s.Driver.Charge, r)
	s.Disturb(t, Busy)
	if out := s.lookup(t, r.Reference, s.At); out.State != billing.AttemptUnknown {
		t.Errorf("the processor is still busy, the look-up says %s", out.State)
	}
	same(t, "look-up", first, s.lookup(t, r.Reference, s.At))
}

func (s *suite) testNotSent(t *testing.T) {
	if s.Unreachable == nil {
		t.Skip("no line that could be missing")
	}
	r := s.charge(s.Card, usd(1999))
	out, err := s.Unreachable.Charge(t.Context(), r)
	if !errors.Is(err, processor.ErrNotSent) {
		t.Errorf("nobody was reached: %s, error %v, want ErrNotSent", out.State, err)
	}
	_, err = s.Unreachable.Lookup(t.Context(), s.Merchant, r.Reference, s.At)
	if err == nil || errors.Is(err, processor.ErrNotFound) {
		t.Errorf("a look-up that reached nobody: %v", err)
	}
}

func (s *suite) testHangUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := s.charge(s.Card, usd(1999))
	if out, err := s.Driver.Charge(ctx, r); err == nil {
		t.Errorf("the context had ended, yet an outcome came: %s", out.State)
	}
	// Whether the request left is not known; asking again under the same
	// reference must not do it twice.
	s.approved(t, s.Driver.Charge, r)
	s.books(t, moved(billing.AskCharge, r))
}

// testSecrets takes numbers through everything that can go wrong and looks for
// them in whatever comes back and in whatever the processor has kept.
func (s *suite) testSecrets(t *testing.T) {
	var seen bytes.Buffer
	note := func(r processor.Request, out billing.Outcome, err error) {
		fmt.Fprintf(&seen, "%+v %+v %v\n", r, out, err)
	}
	numbers := []Number{s.Card, s.Second}
	if s.Account != (Number{}) {
		numbers = append(numbers, s.Account)
	}
	for _, n := range numbers {
		for _, trouble := range troubles {
			r := s.charge(n, usd(1999))
			note(r, billing.Outcome{}, s.disturbed(t, trouble, s.Driver.Charge, r))
			out, err := s.Driver.Charge(t.Context(), r)
			note(r, out, err)
			out, err = s.Driver.Lookup(t.Context(), s.Merchant, r.Reference, s.At)
			note(r, out, err)
			r.Amount = usd(2000) // a conflict
			out, err = s.Driver.Charge(t.Context(), r)
			note(r, out, err)
		}
		wrong := s.charge(n, usd(1999))
		wrong.Expiry, wrong.Routing = n.Number, n.Number // a number where none belongs
		out, err := s.Driver.Charge(t.Context(), wrong)
		note(wrong, out, err)
		broken := s.charge(n, billing.Minor(1999, "XXX"))
		out, err = s.Driver.Charge(t.Context(), broken)
		note(broken, out, err)
	}
	// The requests themselves print their expiry and routing, which the wrong
	// ones filled with a number; only what came back counts.
	text := strings.ReplaceAll(seen.String(), "\n", " ")
	for _, n := range numbers {
		text = strings.ReplaceAll(text, "Expiry:"+n.Number+" Routing:"+n.Number, "")
	}
	kept := ""
	if s.Kept != nil {
		kept = string(s.Kept(t))
		if !strings.Contains(kept, "t-1") {
			t.Error("what the processor has kept does not hold the first reference: the search finds nothing")
		}
	}
	for _, n := range numbers {
		for _, secret := range []string{n.Number, SecurityCode} {
			if strings.Contains(text, secret) {
				t.Errorf("a number or security code of the %s came back", n.Instrument)
			}
			if strings.Contains(kept, secret) {
				t.Errorf("a number or security code of the %s was kept", n.Instrument)
			}
		}
	}
}
