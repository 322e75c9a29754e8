package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// line finds the n-th line of a kind, in the order of the journal, among the
// lines that bear the reference of an attempt.
func line(list []audit.BankLine, reference string, kind audit.BankKind) int {
	return slices.IndexFunc(list, func(l audit.BankLine) bool { return l.Reference == reference && l.Kind == kind })
}

// judged lets the bank say something else than the books.
func (w *town) judged(t *testing.T) {
	names := w.names()
	ref := make(map[string]string)
	for id, name := range names {
		ref[name] = id
	}
	change := func(name string, kind audit.BankKind, f func(*audit.BankLine)) func([]audit.BankLine) []audit.BankLine {
		return func(list []audit.BankLine) []audit.BankLine {
			i := line(list, ref[name], kind)
			if i < 0 {
				t.Fatalf("the journal has no %s of %s", kind, name)
			}
			f(&list[i])
			return list
		}
	}
	drop := func(name string, kind audit.BankKind) func([]audit.BankLine) []audit.BankLine {
		return func(list []audit.BankLine) []audit.BankLine {
			i := line(list, ref[name], kind)
			if i < 0 {
				t.Fatalf("the journal has no %s of %s", kind, name)
			}
			return slices.Delete(list, i, i+1)
		}
	}
	more := func(l audit.BankLine) func([]audit.BankLine) []audit.BankLine {
		return func(list []audit.BankLine) []audit.BankLine { return append(list, l) }
	}
	dollars := func(n int64) billing.Money { return billing.Minor(n, "USD") }
	now := w.Session().Now
	for _, c := range []struct {
		name   string
		change func([]audit.BankLine) []audit.BankLine
		want   []string
	}{
		{"nothing", func(list []audit.BankLine) []audit.BankLine { return list }, nil},
		{"no capture", drop("ann/ask-charge#1", audit.Capture), []string{
			"fault: bank: attempt ann/ask-charge#1 (charge) of 26.99 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-26.99 and CLEARING in clearing at the bank"}},
		{"another amount", change("ann/ask-charge#1", audit.Capture, func(l *audit.BankLine) { l.Amount = dollars(2700) }), []string{
			"fault: bank: attempt ann/ask-charge#1 (charge) is approved: 26.99 USD in the books, 27.00 USD at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+0.01 and CLEARING in clearing at the bank"}},
		{"another currency", change("ann/ask-charge#1", audit.Capture, func(l *audit.BankLine) { l.Amount = billing.Minor(2699, "EUR") }), []string{
			"fault: bank: attempt ann/ask-charge#1 (charge) of 26.99 USD is in another currency at the bank",
			"fault: bank: in all: 0.00 EUR in the books, 26.99 EUR at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-26.99 and CLEARING in clearing at the bank"}},
		{"a decline", change("ann/ask-charge#1", audit.Capture, func(l *audit.BankLine) { l.Kind, l.Declined = audit.Authorisation, true }), []string{
			"fault: bank: attempt ann/ask-charge#1 (charge) of 26.99 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-26.99 and CLEARING in clearing at the bank"}},
		{"no decline", change("cat/ask-charge#1", audit.Authorisation, func(l *audit.BankLine) { l.Kind, l.Declined = audit.Capture, false }), []string{
			"fault: bank: attempt cat/ask-charge#1 (charge) is declined: 0.00 USD in the books, 80.00 USD at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+80.00 and CLEARING in clearing at the bank"}},
		{"another kind", change("ann/ask-charge#1", audit.Capture, func(l *audit.BankLine) { l.Kind = audit.CreditLine }), []string{
			"fault: bank: attempt ann/ask-charge#1 (charge) is a credit at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-53.98 and CLEARING in clearing at the bank"}},
		{"twice", more(audit.BankLine{At: now, Kind: audit.Capture, Reference: ref["ann/ask-charge#1"], Amount: dollars(2699)}), []string{
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+26.99 and CLEARING in clearing at the bank",
			"fault: bank: the bank did what attempt ann/ask-charge#1 (charge) asked more than once"}},
		{"a stranger", more(audit.BankLine{At: now, Kind: audit.Capture, Reference: "4711", Amount: dollars(100)}), []string{
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+1.00 and CLEARING in clearing at the bank",
			`fault: bank: the bank has a capture of 1.00 USD under a reference that is no attempt of ours, "4711"`}},
		{"no settlement", drop("bob/ask-charge#1", audit.Settlement), []string{
			"fault: bank: attempt bob/ask-charge#1 (charge) is approved: 26.99 USD in the books, 26.99 USD in clearing at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-26.99 and CLEARING+26.99 in clearing at the bank"}},
		{"a settlement that is still to be asked about", more(audit.BankLine{At: now, Kind: audit.Settlement, Reference: ref["bob/ask-charge#17"], Amount: dollars(1999)}), nil},
		{"no claim", drop("bob/ask-charge#17", audit.DirectDebit), []string{
			"fault: bank: attempt bob/ask-charge#17 (charge) of 19.99 USD is pending in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH and CLEARING-19.99 in clearing at the bank"}},
		{"no return", drop("dan/ask-charge#1", audit.Return), []string{
			"fault: bank: attempt dan/ask-charge#1 (charge) is declined: 0.00 USD in the books, 26.99 USD in clearing at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH and CLEARING+26.99 in clearing at the bank"}},
		{"no late return", drop("eve/ask-charge#1", audit.Return), []string{
			"fault: bank: attempt eve/ask-charge#1 (charge) is declined: 0.00 USD in the books, 26.99 USD at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+26.99 and CLEARING in clearing at the bank"}},
		{"no chargeback", drop("fay/ask-charge#1", audit.Chargeback), []string{
			"fault: bank: attempt fay/ask-charge#1 (charge) is approved: 0.00 USD in the books, 26.99 USD at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+26.99 and CLEARING in clearing at the bank"}},
		{"a chargeback that was overlooked", more(audit.BankLine{At: now.AddDate(0, 0, -5), Kind: audit.Chargeback, Reference: ref["ann/ask-charge#2"], Amount: dollars(1999)}), []string{
			"fault: bank: attempt ann/ask-charge#2 (charge) is approved: 19.99 USD in the books, 0.00 USD at the bank",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-19.99 and CLEARING in clearing at the bank"}},
		{"a chargeback that is news", more(audit.BankLine{At: now, Kind: audit.Chargeback, Reference: ref["ann/ask-charge#2"], Amount: dollars(1999)}), []string{
			"note: bank: attempt ann/ask-charge#2 (charge): the bank has news that the books do not show yet, -19.99 USD"}},
		{"a chargeback of too much", more(audit.BankLine{At: now, Kind: audit.Chargeback, Reference: ref["fay/ask-charge#1"], Amount: dollars(2699)}), []string{
			"note: bank: attempt fay/ask-charge#1 (charge): the bank has news that the books do not show yet, -26.99 USD"}},
		{"no void", drop("joe/ask-void#1", audit.VoidLine), []string{
			"fault: bank: attempt joe/ask-void#1 (void) of 12.00 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+12.00 and CLEARING in clearing at the bank"}},
		{"no void in clearing", drop("bob/ask-void#1", audit.VoidLine), []string{
			"fault: bank: attempt bob/ask-void#1 (void) of 11.11 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH and CLEARING+11.11 in clearing at the bank"}},
		{"no refund", drop("joe/ask-refund#1", audit.RefundLine), []string{
			"fault: bank: attempt joe/ask-refund#1 (refund) of 13.00 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+13.00 and CLEARING in clearing at the bank"}},
		{"no credit", drop("ida/ask-credit#2", audit.CreditLine), []string{
			"fault: bank: attempt ida/ask-credit#2 (credit) of 7.77 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH+7.77 and CLEARING in clearing at the bank"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(w.inFull(c.want), w.inNames(w.compare(c.change), names)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	broken := errors.New("broken")
	_, err := audit.Compare(context.Background(), w.Store, w.Merchant.ID, "sandbox", func(yield func(audit.BankLine, error) bool) {
		yield(audit.BankLine{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("a journal that cannot be read: %v", err)
	}
}

// inFull puts the balances of the town in the place of CASH and CLEARING, with
// what is added to them.
func (w *town) inFull(want []string) (full []string) {
	w.T.Helper()
	for _, text := range want {
		words := strings.Fields(text)
		for i, word := range words {
			for name, ledger := range map[string]billing.Ledger{"CASH": "cash:sandbox", "CLEARING": "transit:sandbox"} {
				if rest, ok := strings.CutPrefix(word, name); ok {
					add, err := billing.ParseDecimal(strings.TrimPrefix(rest+"0"[min(len(rest), 1):], "+"), "USD")
					check(w.T.(*testing.T), err)
					words[i] = billing.Minor(w.Balance(ledger)+add.Minor(), "USD").String()
				}
			}
		}
		full = append(full, strings.Join(words, " "))
	}
	return full
}

// TestWhileWorking audits books that are being written to: what is under way is
// a note, and becomes a fault when nobody comes back for it.
func TestWhileWorking(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		w := &town{Shop: s, customers: make(map[string]cashier.Ref), subs: make(map[string]cashier.Ref)}
		w.subscribe("ann", good, 1999)
		w.subscribe("bob", good, 1999)
		say := func(want ...string) {
			t.Helper()
			faults, err := audit.Books(ctx, s.Store, s.Merchant.ID, s.Wall.Now())
			check(t, err)
			if diff := cmp.Diff(want, w.told(append(faults, w.compare(nil)...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		say()
		s.SetClock("2020-01-01") // and nobody runs
		say()
		s.SetClock("2020-01-03")
		say("note: queues: billings have been due since 2020-01-01T05:00:00Z; the merchant's clock shows 2020-01-03T14:00:00Z",
			"note: queues: notices of the processor have been due since 2020-01-01T05:00:00Z; the merchant's clock shows 2020-01-03T14:00:00Z")
		at := s.Session().Now
		batch, err := s.Cashier.Bill(ctx, s.Merchant, at, at, s.Merchant.Today(at), 1)
		check(t, err)
		behind := "note: queues: billings have been due since 2020-01-01T05:00:00Z; the merchant's clock shows 2020-01-03T14:00:00Z"
		notices := "note: queues: notices of the processor have been due since 2020-01-01T05:00:00Z; the merchant's clock shows 2020-01-03T14:00:00Z"
		say("note: attempts: attempt ann/ask-charge#1 (charge) of 19.99 USD is sending", behind, notices)

		// The bank does it, and its answer is lost.
		check(t, s.Bank.SetFaults(ctx, s.Merchant.Code, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter},
			sandbox.Fault{On: []string{"lookup"}, Do: sandbox.ErrorBefore}))
		answer, err := s.Cashier.Send(ctx, s.Merchant, batch.Orders[0], at)
		check(t, err)
		_, err = s.Cashier.Settle(ctx, s.Merchant, at, []cashier.Answer{answer})
		check(t, err)
		say("note: attempts: attempt ann/ask-charge#1 (charge) of 19.99 USD is unknown",
			"note: bank: attempt ann/ask-charge#1 (charge) is unknown in the books; the bank has done it, 19.99 USD", behind, notices)
		s.Wall.Forward(2 * time.Minute) // nobody comes back for it
		say("fault: attempts: attempt ann/ask-charge#1 (charge) is unknown and was to be asked about by 2026-11-22T12:00:10Z",
			"note: bank: attempt ann/ask-charge#1 (charge) is unknown in the books; the bank has done it, 19.99 USD", behind, notices)
		check(t, s.Bank.SetFaults(ctx, s.Merchant.Code))
		s.MoveTo("2020-01-03")
		say()
	})
}

// TestCompareBesideWork lets the shop go on while the journal is being read:
// what the bank does then is newer than the books that it is held against.
func TestCompareBesideWork(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		w := &town{Shop: s, customers: make(map[string]cashier.Ref), subs: make(map[string]cashier.Ref)}
		w.subscribe("ann", good, 1999)
		w.subscribe("bob", accountGood, 1999)
		s.MoveTo("2020-01-02")
		busy := func(yield func(audit.BankLine, error) bool) {
			s.MoveTo("2020-01-06") // bob's claim settles
			_, err := s.Cashier.Charge(ctx, s.Session(), w.customers["ann"], cashier.ChargeRequest{Amount: 500, Method: cashier.Ref{Code: "ann-card"}})
			check(t, err)
			w.journal(nil)(yield)
		}
		faults, err := audit.Compare(ctx, s.Store, s.Merchant.ID, "sandbox", busy)
		check(t, err)
		if diff := cmp.Diff([]string(nil), w.told(faults)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if s.Journal()[sandbox.LineCapture] != 2 || s.Journal()[sandbox.LineSettlement] != 1 {
			t.Errorf("the shop did not go on: %v", s.Journal())
		}
	})
}

// TestManyFaults lists only so many of a kind.
func TestManyFaults(t *testing.T) {
	w := &town{Shop: cashiertest.Open(t, address(t)), customers: make(map[string]cashier.Ref), subs: make(map[string]cashier.Ref)}
	faults := w.compare(func([]audit.BankLine) (list []audit.BankLine) {
		for i := range 2 * audit.Most {
			list = append(list, audit.BankLine{Kind: audit.Capture, Reference: strings.Repeat("x", i%90) + string(rune('a'+i/90)), Amount: billing.Minor(1, "USD")})
		}
		return list
	})
	if len(faults) != audit.Most+1 || !strings.HasSuffix(faults[audit.Most].String(), "and more, which are not listed") {
		t.Errorf("%d faults, the last %v", len(faults), faults[len(faults)-1])
	}
}
