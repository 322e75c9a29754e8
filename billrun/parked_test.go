package billrun_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/store"
)

// damage changes rows behind the back of the product, as a fault of a disk, a
// careless hand or a bad import does.
func damage(t *testing.T, s *cashiertest.Shop, statements ...string) {
	t.Helper()
	ctx := context.Background()
	db, err := sqldb.Open(ctx, s.Address, sqldb.Options{Volatile: true, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, q := range statements {
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			n, err := tx.Exec(ctx, q)
			if err == nil && n == 0 && strings.HasPrefix(q, "UPDATE") {
				t.Errorf("nothing was changed by %s", q)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func parked(t *testing.T, s *cashiertest.Shop) (list []billing.Parked) {
	t.Helper()
	err := s.Store.View(context.Background(), s.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Parked(context.Background())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// releaseAll releases everything and has it done.
func releaseAll(t *testing.T, s *cashiertest.Shop) {
	t.Helper()
	ctx := context.Background()
	for _, p := range parked(t, s) {
		if err := s.Cashier.Release(ctx, s.Session().Merchant, p, billing.Act{Who: "tester", Reason: "mended"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Runner.Merchant(ctx, s.Merchant.ID); err != nil {
		t.Fatal(err)
	}
}

// listen has the shop's log written down.
func listen(s *cashiertest.Shop) *bytes.Buffer {
	log := new(bytes.Buffer)
	s.Cashier.Log = slog.New(slog.NewTextHandler(log, nil))
	return log
}

func right(t *testing.T, s *cashiertest.Shop) {
	t.Helper()
	faults, err := audit.Books(context.Background(), s.Store, s.Merchant.ID, s.Wall.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		if !f.Note {
			t.Error(f)
		}
	}
	s.Balanced()
}

// poisons are ways in which a subscription cannot be billed, with what mends it.
// $sub, $customer and $method are ids.
var poisons = []struct{ name, harm, mend, reason string }{
	{"overflow", `UPDATE subscription SET amount = 9223372036854775807, tax = 1 WHERE id = $sub`,
		`UPDATE subscription SET amount = 1000, tax = 0 WHERE id = $sub`, "amount"},
	{"cycle", `UPDATE subscription SET cycle = '4111 1111 1111 1111' WHERE id = $sub`,
		`UPDATE subscription SET cycle = 'monthly' WHERE id = $sub`, "cycle"},
	{"term", `UPDATE subscription SET term = 'for ever' WHERE id = $sub`,
		`UPDATE subscription SET term = 'perpetual' WHERE id = $sub`, "term"},
	{"currency", `UPDATE subscription SET currency = 'QQQ' WHERE id = $sub`,
		`UPDATE subscription SET currency = 'USD' WHERE id = $sub`, "currency"},
	{"date", `UPDATE subscription SET first_date = '4111111111111111' WHERE id = $sub`,
		`UPDATE subscription SET first_date = '2020-01-01' WHERE id = $sub`, "not a date"},
	{"open fee of no kind", `UPDATE activity SET kind = '4111111111111111' WHERE customer_id = $customer`,
		`UPDATE activity SET kind = 'service-fee' WHERE customer_id = $customer`, "a rule broke: billing: activity of no kind: …"},
	{"customer's date", `UPDATE activity SET declined_on = 'yesterday' WHERE customer_id = $customer`,
		`UPDATE activity SET declined_on = '' WHERE customer_id = $customer`, "not a date"},
}

// TestPoisonIsParked damages some subscriptions among two hundred healthy ones:
// the healthy are billed on every date as if nothing were, the damaged wait, and
// once mended are billed for every date that they missed, once.
func TestPoisonIsParked(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		log := listen(s)
		plan := s.Plan("p", billing.Monthly, 1000)
		var healthy, sick []cashier.Ref
		bad := make(map[int64]int) // the index of its poison
		fill := func(sub, customer cashier.Ref, q string) string {
			return strings.NewReplacer("$sub", fmt.Sprint(sub.ID), "$customer", fmt.Sprint(customer.ID)).Replace(q)
		}
		var harm, mend []string
		for i := range 200 + len(poisons) {
			customer := s.Customer(fmt.Sprintf("c%d", i))
			sub := s.Subscribe(customer, plan, s.Card(customer, "", visa), "2020-01-01")
			if i%25 != 3 || len(sick) == len(poisons) {
				healthy = append(healthy, customer)
				continue
			}
			p := poisons[len(sick)]
			if strings.Contains(p.harm, "activity") {
				_, err := s.Cashier.Record(context.Background(), s.Session(), customer, cashier.RecordRequest{Kind: billing.ServiceFee, Amount: 500})
				if err != nil {
					t.Fatal(err)
				}
			}
			bad[sub.ID] = len(sick)
			sick = append(sick, customer)
			harm, mend = append(harm, fill(sub, customer, p.harm)), append(mend, fill(sub, customer, p.mend))
		}
		damage(t, s, harm...)
		for month, day := range []string{"2020-01-01", "2020-02-01", "2020-03-01"} {
			s.MoveTo(day)
			for _, c := range healthy {
				if got := dates(s, c); len(got) != month+1 || got[month] != day {
					t.Fatalf("on %s a healthy customer is billed for %v", day, got)
				}
			}
		}
		if n := s.Journal()[sandbox.LineCapture]; n != 3*len(healthy) {
			t.Errorf("%d captures for %d healthy customers", n, len(healthy))
		}
		list := parked(t, s)
		if len(list) != len(poisons) {
			t.Fatalf("parked: %v", list)
		}
		for _, p := range list {
			i, known := bad[p.ID]
			if !known || p.Noun != billing.ParkedSubscription || p.Tries != 1 || p.Customer == "" || !p.Due.Equal(s.Merchant.Start(day(t, "2020-01-01"))) {
				t.Errorf("parked: %+v", p)
				continue
			}
			if !strings.Contains(p.Reason, poisons[i].reason) {
				t.Errorf("%s is parked because %q", poisons[i].name, p.Reason)
			}
		}
		releaseAll(t, s) // nothing is mended: they come back
		if again := parked(t, s); len(again) != len(list) || again[0].Tries != 2 {
			t.Errorf("released without being mended: %v", again)
		}
		damage(t, s, mend...)
		releaseAll(t, s)
		if left := parked(t, s); len(left) > 0 {
			t.Errorf("still parked: %v", left)
		}
		for i, c := range sick {
			if diff := cmp.Diff([]string{"2020-01-01", "2020-02-01", "2020-03-01"}, dates(s, c)); diff != "" {
				t.Errorf("%s, mended, is billed for (-want +got):\n%s", poisons[i].name, diff)
			}
			for _, a := range s.Activities(c) {
				if a.Open.Sign() != 0 {
					t.Errorf("%s, mended, has %s open of %s", poisons[i].name, a.Open.Decimal(), a.Kind)
				}
			}
		}
		cash := int64(3*1000*(len(healthy)+len(sick)) + 2*500)
		wantCash(t, s, cash, 0)
		right(t, s)
		if text := log.String(); strings.Contains(text, "4111") || strings.Count(text, "work is parked") != 2*len(poisons) {
			t.Errorf("the log says:\n%s", text)
		}
	})
}

func day(t *testing.T, text string) billing.Date {
	t.Helper()
	d, err := billing.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestBrokenNumber has a card that the vault cannot open: nothing is sent, no try
// is used up, the debts are parked one by one, and the mended card pays them all.
func TestBrokenNumber(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		log := listen(s)
		customer, other := s.Customer("c1"), s.Customer("c2")
		plan := s.Plan("p", billing.Monthly, 1000)
		card := s.Card(customer, "", visa)
		s.Subscribe(customer, plan, card, "2020-01-01")
		s.Subscribe(other, plan, s.Card(other, "", visa), "2020-01-01")
		sealed := s.Method(card).Sealed
		keep := fmt.Sprintf(`UPDATE payment_method SET sealed = (SELECT sealed FROM payment_method WHERE id <> %d) WHERE id = %[1]d`, card.ID)
		damage(t, s, keep)
		for _, day := range []string{"2020-01-01", "2020-01-20", "2020-02-01"} {
			s.MoveTo(day)
			clear(t, s, 3)
		}
		list := parked(t, s)
		if len(list) != 2 || list[0].Noun != billing.ParkedDebt || list[0].Tries != 2 || !strings.Contains(list[0].Reason, "cannot be opened") {
			t.Fatalf("parked: %+v", list)
		}
		if since := list[0].Since; !since.Equal(s.Merchant.Start(day(t, "2020-01-01"))) {
			t.Errorf("parked since %s", since) // the second claim took the first debt along
		}
		wantCash(t, s, 2000, 0)
		if n := strings.Count(log.String(), "work is parked"); n != 2 {
			t.Errorf("told %d times that work is parked", n)
		}
		err := s.Store.Update(context.Background(), s.Merchant.ID, func(tx *store.Tx) error {
			m, err := tx.PaymentMethod(context.Background(), billing.PaymentMethodID(card.ID))
			if err != nil {
				return err
			}
			m.Sealed = sealed
			return tx.UpdatePaymentMethod(context.Background(), m)
		})
		if err != nil {
			t.Fatal(err)
		}
		releaseAll(t, s)
		wantCash(t, s, 4000, 0)
		if left := parked(t, s); len(left) > 0 {
			t.Errorf("still parked: %v", left)
		}
		right(t, s)
	})
}

// TestNewCardReleases has the customer bring another card for debts that are
// parked because of the first: nobody needs to release them.
func TestNewCardReleases(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer, other := s.Customer("c1"), s.Customer("c2")
		card := s.Card(customer, "", visa)
		s.Card(other, "", visa)
		sub := s.Subscribe(customer, s.Plan("p", billing.Monthly, 1000), card, "2020-01-01")
		damage(t, s, fmt.Sprintf(`UPDATE payment_method SET sealed = (SELECT sealed FROM payment_method WHERE id <> %d) WHERE id = %[1]d`, card.ID))
		s.MoveTo("2020-01-02")
		fresh := s.Card(customer, "card2", visa)
		if _, err := s.Cashier.ModifySubscription(context.Background(), s.Session(), customer, sub, nil, &fresh); err != nil {
			t.Fatal(err)
		}
		if left := parked(t, s); len(left) > 0 {
			t.Errorf("still parked: %v", left)
		}
		s.MoveTo("2020-01-03")
		wantCash(t, s, 1000, 0)
		right(t, s)
	})
}

// TestChangeReleases changes a parked subscription through a verb after it was
// mended: what was missed is billed before the change.
func TestChangeReleases(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		customer := s.Customer("c1")
		sub := s.Subscribe(customer, s.Plan("p", billing.Monthly, 1000), s.Card(customer, "", visa), "2020-01-01")
		damage(t, s, fmt.Sprintf(`UPDATE subscription SET cycle = 'never' WHERE id = %d`, sub.ID))
		s.MoveTo("2020-02-02")
		if _, err := s.Cashier.Cancel(ctx, s.Session(), customer, sub, billing.Date{}, ""); err == nil {
			t.Error("a damaged subscription was changed")
		}
		damage(t, s, fmt.Sprintf(`UPDATE subscription SET cycle = 'monthly' WHERE id = %d`, sub.ID))
		if _, err := s.Cashier.Cancel(ctx, s.Session(), customer, sub, billing.Date{}, ""); err != nil {
			t.Fatal(err)
		}
		if left := parked(t, s); len(left) > 0 {
			t.Errorf("still parked: %v", left)
		}
		s.MoveTo("2020-05-01")
		if got := dates(s, customer); !slices.Equal(got, []string{"2020-01-01", "2020-02-01"}) {
			t.Errorf("billed for %v", got)
		}
		wantCash(t, s, 2000, 0)
		right(t, s)
	})
}

// TestPoisonedDebts damages what the other queues hold: a debt to be claimed
// again, one that grows by age, and an attempt to be asked about.
func TestPoisonedDebts(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		s.Configure(func(x *billing.Settings) { x.Fees.Late, x.Fees.LateAfterDays = 100, 5 })
		plan := s.Plan("p", billing.Yearly, 1000)
		var customers []cashier.Ref
		for i := range 20 {
			c := s.Customer(fmt.Sprintf("c%d", i))
			s.Subscribe(c, plan, s.Card(c, "", "4000000000009995"), "2020-01-01") // no funds
			customers = append(customers, c)
		}
		asked := s.Customer("asked")
		s.Subscribe(asked, plan, s.Card(asked, "", visa), "2020-01-02")
		s.MoveTo("2020-01-01")
		faults(t, s, sandbox.Fault{On: []string{"charge"}, Do: sandbox.CutAfter}, sandbox.Fault{On: []string{sandbox.OnLookup}, Do: sandbox.ErrorAfter})
		s.MoveTo("2020-01-02")
		faults(t, s)
		bad := fmt.Sprintf(`WHERE customer_id = %d AND kind = 'invoice'`, customers[7].ID)
		damage(t, s, `UPDATE activity SET due = 'soon' `+bad, fmt.Sprintf(`UPDATE attempt SET payer = '{"holder":4111111111111111' WHERE customer_id = %d`, asked.ID))
		clear(t, s, 2)
		for _, day := range []string{"2020-01-04", "2020-01-06", "2020-01-08"} {
			s.MoveTo(day)
		}
		nouns := map[billing.ParkedNoun]int{}
		for _, p := range parked(t, s) {
			nouns[p.Noun]++
			if strings.Contains(p.Reason, "4111") {
				t.Errorf("the reason says %q", p.Reason)
			}
		}
		if diff := cmp.Diff(map[billing.ParkedNoun]int{billing.ParkedDebt: 1, billing.ParkedAge: 1, billing.ParkedAttempt: 1}, nouns); diff != "" {
			t.Errorf("parked (-want +got):\n%s", diff)
		}
		for i, c := range customers {
			if i == 7 {
				continue
			}
			if n := len(s.Activities(c)); n != 8 { // an invoice, a late fee, three claims with their declines
				t.Errorf("customer %d has\n%s", i, s.Books(c))
			}
		}
		damage(t, s, `UPDATE activity SET due = '2020-01-01' `+bad, fmt.Sprintf(`UPDATE attempt SET payer = '{}' WHERE customer_id = %d`, asked.ID))
		releaseAll(t, s)
		clear(t, s, 1)
		if left := parked(t, s); len(left) > 0 {
			t.Errorf("still parked: %v", left)
		}
		fees := 0
		for _, a := range s.Activities(customers[7]) {
			if a.Kind == billing.LateFee {
				fees++
			}
		}
		if fees != 1 {
			t.Errorf("%d late fees:\n%s", fees, s.Books(customers[7]))
		}
		wantCash(t, s, 1000, 0)
		right(t, s)
	})
}

// TestAnswerThatCannotBeWritten damages an account while its claim is at the
// bank: the others' answers are written, and the mended one's is looked up.
func TestAnswerThatCannotBeWritten(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		plan := s.Plan("p", billing.Yearly, 1000)
		var customers []cashier.Ref
		for i := range 10 {
			c := s.Customer(fmt.Sprintf("c%d", i))
			s.Subscribe(c, plan, s.Card(c, "", visa), "2020-01-01")
			customers = append(customers, c)
		}
		bad := fmt.Sprintf(`WHERE customer_id = %d AND kind = 'invoice'`, customers[4].ID)
		s.Cashier.Step = func(_ context.Context, name string) {
			if name == "bill: committed" {
				damage(t, s, `UPDATE activity SET due = 'soon' `+bad)
			}
		}
		s.MoveTo("2020-01-01")
		s.Cashier.Step = func(context.Context, string) {}
		wantCash(t, s, 9000, 0)
		list := parked(t, s)
		if len(list) != 1 || list[0].Noun != billing.ParkedAttempt {
			t.Fatalf("parked: %+v", list)
		}
		clear(t, s, 3)
		damage(t, s, `UPDATE activity SET due = '2020-01-01' `+bad)
		releaseAll(t, s)
		wantCash(t, s, 10000, 0)
		if n := s.Journal()[sandbox.LineCapture]; n != 10 {
			t.Errorf("%d captures", n)
		}
		right(t, s)
	})
}

// TestFailureParksNothing has the work end and the database go away: that is
// nobody's data.
func TestFailureParksNothing(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		customer := s.Customer("c1")
		s.Subscribe(customer, s.Plan("p", billing.Monthly, 1000), s.Card(customer, "", visa), "2020-01-01")
		s.SetClock("2020-01-01")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		at := s.Merchant.Start(day(t, "2020-01-01")).Add(9 * time.Hour)
		if _, err := s.Cashier.Bill(ctx, s.Session().Merchant, at, at, day(t, "2020-01-01"), 50); err == nil || store.AboutRow(err) {
			t.Errorf("after the end: %v", err)
		}
		damage(t, s, `ALTER TABLE allocation RENAME TO elsewhere`)
		if _, err := s.Runner.Merchant(context.Background(), s.Merchant.ID); err == nil || store.AboutRow(err) {
			t.Errorf("without a table: %v", err)
		}
		damage(t, s, `ALTER TABLE elsewhere RENAME TO allocation`)
		if list := parked(t, s); len(list) > 0 {
			t.Errorf("parked: %v", list)
		}
		clear(t, s, 2)
		wantCash(t, s, 1000, 0)
		right(t, s)
	})
}

// TestNoticeThatCannotBeTaken damages the account that a chargeback is about: the
// others are billed, and the chargeback is booked when the account is mended.
func TestNoticeThatCannotBeTaken(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		log := listen(s)
		sick, well := s.Customer("sick"), s.Customer("well")
		paid := charge(t, s, sick, byCard(1999, "4000000000000259"))
		s.Subscribe(well, s.Plan("p", billing.Monthly, 1000), s.Card(well, "", visa), "2020-01-10")
		damage(t, s, fmt.Sprintf(`UPDATE activity SET due = 'soon' WHERE id = %d`, paid.Activity.ID))
		s.MoveTo("2020-01-12")
		wantCash(t, s, 1999+1000, 0)
		if !strings.Contains(log.String(), "a notice cannot be taken into the books") {
			t.Errorf("the log says %s", log)
		}
		damage(t, s, fmt.Sprintf(`UPDATE activity SET due = '2019-12-31' WHERE id = %d`, paid.Activity.ID))
		s.MoveTo("2020-01-13")
		wantCash(t, s, 1000, 0)
		right(t, s)
	})
}
