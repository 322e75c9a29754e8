package processortest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

func (s *suite) testClaim(t *testing.T) {
	if s.Account == (Number{}) {
		t.Skip("the processor debits no bank accounts")
	}
	settles, returns := s.charge(s.Account, usd(1999)), s.charge(s.Returned, usd(2999))
	var outs []billing.Outcome
	for _, r := range []processor.Request{settles, returns} {
		out := s.answered(t, s.Driver.Charge, r, billing.AttemptPending)
		if !out.SettlesAt.After(s.At) {
			t.Errorf("a claim of %s settles at %s", s.At, out.SettlesAt)
		}
		same(t, "asked again", out, s.answered(t, s.Driver.Charge, r, billing.AttemptPending))
		same(t, "look-up before", out, s.lookup(t, r.Reference, s.At.Add(s.Settles-time.Second)))
		outs = append(outs, out)
	}
	s.answered(t, s.Driver.Refund, s.back(settles, usd(500)), billing.AttemptDeclined) // it is not money yet
	after := s.At.Add(s.Settles)
	for range 2 { // the second time it is told, not done
		out := s.lookup(t, settles.Reference, after)
		s.sound(t, settles, out)
		if out.State != billing.AttemptApproved || out.ProcessorID != outs[0].ProcessorID {
			t.Errorf("a claim that settled is %s", out.State)
		}
		out = s.lookup(t, returns.Reference, after)
		s.sound(t, returns, out)
		if out.State != billing.AttemptDeclined || string(out.Response) != s.Return {
			t.Errorf("a claim that came back is %s %s, want %s", out.State, out.Response, s.Return)
		}
	}
	refund := s.back(settles, usd(500))
	refund.At = after
	s.approved(t, s.Driver.Refund, refund)
	again := s.back(returns, usd(500))
	again.At = after
	s.answered(t, s.Driver.Refund, again, billing.AttemptDeclined)

	voided := s.charge(s.Account, usd(1500))
	s.answered(t, s.Driver.Charge, voided, billing.AttemptPending)
	void := s.back(voided, voided.Amount)
	s.approved(t, s.Driver.Void, void)
	if out := s.lookup(t, voided.Reference, after); out.State != billing.AttemptDeclined {
		t.Errorf("a claim that was voided is %s after the day on which it would have settled", out.State)
	}
	s.books(t, moved(billing.AskCharge, settles), moved(billing.AskRefund, refund), moved(billing.AskVoid, void))
}

func (s *suite) testNotices(t *testing.T) {
	n, ok := s.Driver.(processor.Noticer)
	if !ok {
		if s.Chargeback != (Number{}) {
			t.Error("the harness knows a card that is charged back, the driver is no Noticer")
		}
		t.Skip("the driver is no Noticer")
	}
	if s.Chargeback == (Number{}) {
		t.Fatal("the driver is a Noticer, the harness knows no card that is charged back")
	}
	list := func(after int64, at time.Time) []billing.Notice {
		t.Helper()
		notices, err := n.Notices(t.Context(), s.Merchant, after, at)
		if err != nil {
			t.Fatal(err)
		}
		return notices
	}
	if got := list(0, s.At); len(got) != 0 {
		t.Fatalf("%d notices before anything happened", len(got))
	}
	want := s.eventful(t)
	if got := list(0, s.At.Add(time.Minute)); len(got) != 0 {
		t.Errorf("%d notices before their time", len(got))
	}
	at := s.At.Add(s.Settles + 2*s.Late)
	got := list(0, at)
	if diff := cmp.Diff(want, got, sameMoney, cmpopts.IgnoreFields(billing.Notice{}, "Seq", "Response", "Number", "Routing", "At"),
		cmpopts.SortSlices(func(a, b billing.Notice) bool { return a.Reference < b.Reference })); diff != "" {
		t.Fatalf("notices (-want +got):\n%s", diff)
	}
	var last int64
	for i, notice := range got {
		if notice.Seq <= last {
			t.Errorf("notice %d has number %d after %d", i, notice.Seq, last)
		}
		last = notice.Seq
		if notice.Kind == billing.NoticeChange && (notice.Response == "" || notice.Number.IsZero() && notice.Routing == "") {
			t.Errorf("a notification of change tells nothing: %+v", notice)
		}
		// From any place on, the rest comes: each once, in order.
		if rest := list(notice.Seq, at); len(rest) != len(got)-i-1 {
			t.Errorf("after notice %d come %d, want %d", notice.Seq, len(rest), len(got)-i-1)
		}
	}
	if diff := cmp.Diff(got, list(0, at), sameMoney, cmp.AllowUnexported(billing.Secret{})); diff != "" {
		t.Errorf("asked again (-first +second):\n%s", diff)
	}
	if other, err := n.Notices(t.Context(), s.Other, 0, at); err != nil || len(other) != 0 {
		t.Errorf("another merchant's notices: %v, error %v", other, err)
	}
}

// eventful makes charges of which something will be told later, and returns
// what.
func (s *suite) eventful(t *testing.T) []billing.Notice {
	t.Helper()
	var want []billing.Notice
	for range 3 {
		r := s.charge(s.Chargeback, usd(1999))
		s.approved(t, s.Driver.Charge, r)
		want = append(want, billing.Notice{Kind: billing.NoticeChargeback, Reference: r.Reference, Amount: r.Amount})
	}
	s.approved(t, s.Driver.Charge, s.charge(s.Card, usd(1999))) // of which nothing is told
	if s.LateReturn != (Number{}) {
		r := s.charge(s.LateReturn, usd(2999))
		s.answered(t, s.Driver.Charge, r, billing.AttemptPending)
		want = append(want, billing.Notice{Kind: billing.NoticeReturn, Reference: r.Reference, Amount: r.Amount})
	}
	if s.Change != (Number{}) {
		r := s.charge(s.Change, usd(3999))
		s.answered(t, s.Driver.Charge, r, billing.AttemptPending)
		want = append(want, billing.Notice{Kind: billing.NoticeChange, Reference: r.Reference, Amount: billing.Minor(0, "USD")})
	}
	return want
}
