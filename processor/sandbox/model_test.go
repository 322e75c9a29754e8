package sandbox_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// TestJournalAddsUp does random things in a random order while time goes on,
// and then holds the journal against the rules that no order may break.
func TestJournalAddsUp(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++ // a merchant for each run
		s := &story{
			T: rt, first: map[string]billing.Outcome{}, now: noon,
			teller: &teller{Driver: x.Driver, bank: x.bank, merchant: fmt.Sprintf("m-%d", runs)},
		}
		for range rapid.IntRange(5, 40).Draw(rt, "acts") {
			s.step(t)
		}
		s.takeNotices(t)
		s.check(t)
	})
}

// story is what a random run has done so far.
type story struct {
	*rapid.T
	*teller
	done    []done
	first   map[string]billing.Outcome // by reference
	notices []billing.Notice
	now     time.Time
}

// done is a request and how it was made.
type done struct {
	kind billing.AttemptKind
	r    processor.Request
}

func (s *story) step(t *testing.T) {
	switch what := rapid.IntRange(0, 9).Draw(s.T, "what"); {
	case what <= 2 || len(s.done) == 0:
		number := rapid.SampledFrom([]string{"4111111111111111", "4000000000000259", "4000000000000267", "4000000000006009", "4000000000002024"}).Draw(s.T, "card")
		kind := rapid.SampledFrom([]billing.AttemptKind{billing.AskCharge, billing.AskCharge, billing.AskAuthorize}).Draw(s.T, "takes")
		s.perform(t, kind, s.card(number, rapid.Int64Range(1, 20_000).Draw(s.T, "amount")))
	case what == 3:
		number := rapid.SampledFrom([]string{"4099999992", "9000000101", "9000000210", "9000000303"}).Draw(s.T, "account")
		s.perform(t, billing.AskCharge, s.claim(number, rapid.Int64Range(1, 20_000).Draw(s.T, "amount")))
	case what <= 5:
		of := rapid.SampledFrom(s.done).Draw(s.T, "original").r
		minor := of.Amount.Minor()
		if rapid.Bool().Draw(s.T, "part") {
			minor = rapid.Int64Range(1, minor+1).Draw(s.T, "amount")
		}
		kind := rapid.SampledFrom([]billing.AttemptKind{billing.AskRefund, billing.AskVoid}).Draw(s.T, "kind")
		s.perform(t, kind, s.back(of, minor, s.now))
	case what == 6:
		again := rapid.SampledFrom(s.done).Draw(s.T, "again")
		s.perform(t, again.kind, again.r)
	case what == 7:
		of := rapid.SampledFrom(s.done).Draw(s.T, "looked up").r
		if _, err := s.Lookup(t.Context(), s.merchant, of.Reference, s.now); err != nil {
			s.Fatal(err)
		}
	case what == 8:
		s.takeNotices(t)
	default:
		s.now = s.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(s.T, "hours")) * time.Hour)
	}
}

func (s *story) perform(t *testing.T, kind billing.AttemptKind, r processor.Request) {
	act := map[billing.AttemptKind]func() (billing.Outcome, error){
		billing.AskCharge:    func() (billing.Outcome, error) { return s.Charge(t.Context(), r) },
		billing.AskAuthorize: func() (billing.Outcome, error) { return s.Authorize(t.Context(), r) },
		billing.AskVoid:      func() (billing.Outcome, error) { return s.Void(t.Context(), r) },
		billing.AskRefund:    func() (billing.Outcome, error) { return s.Refund(t.Context(), r) },
	}
	before, again := s.first[r.Reference]
	if !again {
		r.At = s.now
		s.done = append(s.done, done{kind, r})
	}
	out, err := act[kind]()
	if err != nil {
		s.Fatal(err)
	}
	if !again {
		s.first[r.Reference] = out
		return
	}
	// A claim may have settled or come back meanwhile; nothing else changes.
	if before.State != billing.AttemptPending && out != before {
		s.Fatalf("%s was %+v and is %+v", r.Reference, before, out)
	}
}

func (s *story) takeNotices(t *testing.T) {
	for {
		after := int64(len(s.notices))
		page, err := s.Notices(t.Context(), s.merchant, after, s.now)
		if err != nil {
			s.Fatal(err)
		}
		if len(page) == 0 {
			return
		}
		for i, n := range page {
			if n.Seq != after+int64(i)+1 {
				s.Fatalf("notice %d after %d", n.Seq, after)
			}
		}
		s.notices = append(s.notices, page...)
	}
}

// fate is what the journal says of one charge, in minor units.
type fate struct {
	line                                                 sandbox.Line
	settled, returned, charged, reversed, refunded, lost int64
	voided                                               bool
}

// check holds the journal against the rules.
func (s *story) check(t *testing.T) {
	lines, err := s.bank.Journal(t.Context(), s.merchant)
	if err != nil {
		s.Fatal(err)
	}
	fates, told := s.fates(lines)
	for reference, f := range fates {
		amount := f.line.Amount.Minor()
		if out := f.refunded + f.charged - f.reversed + f.lost; out > amount || out < 0 {
			s.Errorf("%s of %d gave back %d", reference, amount, out)
		}
		if f.voided && (f.refunded != 0 || f.charged != 0 || f.settled != 0 || f.returned != 0) {
			s.Errorf("%s was voided and has a fate: %+v", reference, f)
		}
		if f.line.Kind == sandbox.LineAuthorisation && (f.refunded != 0 || f.charged != 0 || f.settled != 0 || f.returned != 0) {
			s.Errorf("%s took nothing and has a fate: %+v", reference, f)
		}
		if f.settled != 0 && f.returned != 0 || f.settled > amount || f.returned > amount {
			s.Errorf("%s of %d settled with %d and came back with %d", reference, amount, f.settled, f.returned)
		}
		if f.line.Kind == sandbox.LineClaim && f.refunded+f.lost > f.settled {
			s.Errorf("%s settled with %d and gave back %d", reference, f.settled, f.refunded+f.lost)
		}
	}
	if told != len(s.notices) {
		s.Errorf("%d notices, %d lines of which somebody must be told", len(s.notices), told)
	}
	s.checkTotals(t, lines)
}

// fates gathers what the lines say of each charge, and counts those that make
// notices.
func (s *story) fates(lines []sandbox.Line) (fates map[string]*fate, told int) {
	fates = map[string]*fate{}
	requests := map[string]sandbox.Line{}
	for _, l := range lines {
		f := fates[l.Reference]
		minor := l.Amount.Minor()
		switch l.Kind {
		case sandbox.LineCapture, sandbox.LineClaim, sandbox.LineAuthorisation, sandbox.LineRefund, sandbox.LineVoid, sandbox.LineCredit:
			if _, twice := requests[l.Reference]; twice {
				s.Errorf("%s was done twice", l.Reference)
			}
			requests[l.Reference] = l
			if !l.Good() {
				continue
			}
			switch of := requests[l.Original]; {
			case l.Kind == sandbox.LineRefund:
				fates[l.Original].refunded += minor
			case l.Kind == sandbox.LineVoid && of.Kind == sandbox.LineRefund:
				fates[of.Original].refunded -= minor
			case l.Kind == sandbox.LineVoid:
				fates[l.Original].voided = true
			case l.Kind == sandbox.LineCapture || l.Kind == sandbox.LineClaim || l.Kind == sandbox.LineAuthorisation:
				fates[l.Reference] = &fate{line: l}
			}
		case sandbox.LineSettlement:
			f.settled += minor
			if !l.At.Equal(f.line.At.Add(3 * day)) {
				s.Errorf("%s of %s settled at %s", l.Reference, f.line.At, l.At)
			}
		case sandbox.LineReturn:
			if f.settled == 0 {
				f.returned += minor
			} else {
				f.lost += minor
				told++
			}
		case sandbox.LineChange:
			told++
		case sandbox.LineChargeback:
			f.charged += minor
			told++
		case sandbox.LineReversal:
			f.reversed += minor
			told++
		}
	}
	return fates, told
}

func (s *story) checkTotals(t *testing.T, lines []sandbox.Line) {
	totals, err := s.bank.Totals(t.Context(), s.merchant)
	if err != nil {
		s.Fatal(err)
	}
	sums := map[sandbox.LineKind]sandbox.Total{}
	for _, l := range lines {
		sum := sums[l.Kind]
		sum.Kind = l.Kind
		if l.Good() {
			sum.Count++
			sum.Amount = billing.Minor(sum.Amount.Minor()+l.Amount.Minor(), "USD")
		} else {
			sum.Declined++
			sum.Amount = billing.Minor(sum.Amount.Minor(), "USD")
		}
		sums[l.Kind] = sum
	}
	for _, total := range totals {
		if total != sums[total.Kind] {
			s.Errorf("total %+v, the lines make %+v", total, sums[total.Kind])
		}
		delete(sums, total.Kind)
	}
	if len(sums) != 0 {
		s.Errorf("no totals of %v", sums)
	}
}
