package cashier_test

import (
	"context"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/store"
)

// client enrols a client who is active and paid with a card, or by hand if the
// number is "".
func client(t testing.TB, s *cashiertest.Shop, code, number string) cashier.Ref {
	t.Helper()
	c := &billing.Customer{Code: code, FirstName: "John", LastName: "Doe", Active: true, Standing: billing.StandingActive}
	var m *cashier.MethodRequest
	if number != "" {
		m = &cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(number), Expiry: "0430"}
	}
	ok(t, s.Cashier.EnrollClient(context.Background(), s.Session(), s.Account.Code, c, m))
	return cashier.Ref{ID: int64(c.ID)}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// terms are those of 29.00 a month from a day on, with changes.
func terms(t testing.TB, start string, change ...func(*billing.ScheduleTerms)) billing.ScheduleTerms {
	t.Helper()
	d, err := billing.ParseDate(start)
	ok(t, err)
	r := billing.ScheduleTerms{Kind: billing.Recurring, Title: "Service", Cycle: billing.Monthly, Amount: 2900, Start: d}
	for _, f := range change {
		f(&r)
	}
	return r
}

// schedule makes one that is let go on.
func schedule(t testing.TB, s *cashiertest.Shop, customer cashier.Ref, r billing.ScheduleTerms) cashier.Ref {
	t.Helper()
	sub, err := s.Cashier.AddSchedule(context.Background(), s.Session(), customer, r, nil)
	ok(t, err)
	ref := cashier.Ref{ID: int64(sub.ID)}
	_, err = s.Cashier.ReleaseSchedule(context.Background(), s.Session(), customer, ref)
	ok(t, err)
	return ref
}

// billed lists the bills of a customer: date, amount and what is open of it.
func billed(s *cashiertest.Shop, customer cashier.Ref) string {
	var list []string
	for _, a := range s.Activities(customer) {
		if a.Kind == billing.Invoice {
			text := a.Due.String()[5:] + " " + a.Amount.Decimal()
			if a.Open.Sign() > 0 {
				text += " open"
			}
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// walk moves the clock to a day in one jump, or day by day.
func walk(t testing.TB, s *cashiertest.Shop, until string, daily bool) {
	t.Helper()
	end, err := billing.ParseDate(until)
	ok(t, err)
	if daily {
		for d := s.Session().Today().AddDays(1); d.Before(end); d = d.AddDays(1) {
			s.MoveTo(d.String())
		}
	}
	s.MoveTo(until)
}

// TestScheduleYear: a year of each rhythm, in one jump and day by day, bills on the
// same days and the same amounts.
func TestScheduleYear(t *testing.T) {
	for _, daily := range []bool{false, true} {
		t.Run(map[bool]string{false: "jump", true: "daily"}[daily], func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				kinds := []struct {
					name   string
					start  string
					change func(*billing.ScheduleTerms)
					want   string
				}{
					{"semimonthly", "2020-01-20", func(r *billing.ScheduleTerms) { r.Cycle, r.Count = billing.Semimonthly, 5 },
						"01-20 29.00, 02-06 29.00, 02-20 29.00, 03-06 29.00, 03-20 29.00"},
					{"monthly", "2020-09-01", func(r *billing.ScheduleTerms) { r.Count = 3 }, "09-01 29.00, 10-01 29.00, 11-01 29.00"},
					{"quarterly", "2020-02-28", func(r *billing.ScheduleTerms) { r.Cycle = billing.Quarterly }, "02-28 29.00, 05-28 29.00, 08-28 29.00, 11-28 29.00"},
					{"installments", "2020-03-01", func(r *billing.ScheduleTerms) { r.Kind, r.Count, r.Amount = billing.InInstallments, 3, 10000 },
						"03-01 33.34, 04-01 33.33, 05-01 33.33"},
					{"once", "2020-01-31", func(r *billing.ScheduleTerms) { r.Kind, r.Amount = billing.Once, 1000 }, "01-31 10.00"},
					{"weekly", "2020-12-10", func(r *billing.ScheduleTerms) { r.Cycle = billing.Weekly }, "12-10 29.00, 12-17 29.00, 12-24 29.00, 12-31 29.00"},
				}
				clients := map[string]cashier.Ref{}
				subs := map[string]cashier.Ref{}
				for _, k := range kinds {
					clients[k.name] = client(t, s, k.name, "4111111111111111")
					subs[k.name] = schedule(t, s, clients[k.name], terms(t, k.start, k.change))
				}
				walk(t, s, "2021-01-01", daily)
				for _, k := range kinds {
					if got := billed(s, clients[k.name]); got != k.want {
						t.Errorf("%s: %s, want %s", k.name, got, k.want)
					}
				}
				for _, name := range []string{"semimonthly", "monthly", "installments", "once"} {
					if sub := s.Subscription(subs[name]); sub.Status != billing.Expired || !sub.NextAt.IsZero() {
						t.Errorf("%s is %s", name, sub.Status)
					}
				}
				s.Balanced()
			})
		})
	}
}

// TestScheduleConfirmedLate: what fell due before a schedule was confirmed is
// billed once, with the next day's run, and it goes on from there; day by day as in
// one jump.
func TestScheduleConfirmedLate(t *testing.T) {
	for _, daily := range []bool{false, true} {
		t.Run(map[bool]string{false: "jump", true: "daily"}[daily], func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				c := client(t, s, "ann", "4111111111111111")
				sub, err := s.Cashier.AddSchedule(ctx, s.Session(), c, terms(t, "2020-01-10"), nil)
				ok(t, err)
				ref := cashier.Ref{ID: int64(sub.ID)}
				walk(t, s, "2020-03-20", daily)
				if got := billed(s, c); got != "" {
					t.Fatalf("not confirmed, and billed: %s", got)
				}
				for range 2 { // twice is once
					_, err = s.Cashier.ReleaseSchedule(ctx, s.Session(), c, ref)
					ok(t, err)
				}
				s.MoveTo("2020-03-20")
				if got := billed(s, c); got != "" {
					t.Errorf("billed before the next run: %s", got)
				}
				walk(t, s, "2020-05-20", daily)
				if got := billed(s, c); got != "03-10 29.00, 04-10 29.00, 05-10 29.00" {
					t.Errorf("billed: %s", got)
				}
				if a := s.Activities(c)[0]; a.CreatedAt != s.Merchant.Start(billing.Date{Year: 2020, Month: 3, Day: 21}) {
					t.Errorf("the late bill was made at %s", a.CreatedAt)
				}
				yes := true
				_, err = s.Cashier.ModifySchedule(ctx, s.Session(), c, ref, cashier.ScheduleChange{Held: &yes})
				ok(t, err)
				walk(t, s, "2020-07-15", daily)
				_, err = s.Cashier.ReleaseSchedule(ctx, s.Session(), c, ref)
				ok(t, err)
				walk(t, s, "2020-08-15", daily)
				if got := billed(s, c); got != "03-10 29.00, 04-10 29.00, 05-10 29.00, 08-10 29.00" {
					t.Errorf("billed after it was held: %s", got)
				}
			})
		})
	}
}

// TestClientStanding: only an active client's schedules are billed, and one that
// comes back goes on without what was missed; what the merchant held stays held.
func TestClientStanding(t *testing.T) {
	for _, daily := range []bool{false, true} {
		t.Run(map[bool]string{false: "jump", true: "daily"}[daily], func(t *testing.T) {
			cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
				ctx := context.Background()
				c := client(t, s, "ann", "4111111111111111")
				sub := schedule(t, s, c, terms(t, "2020-01-10"))
				held, err := s.Cashier.AddSchedule(ctx, s.Session(), c, terms(t, "2020-01-11"), nil)
				ok(t, err)
				stand := func(active bool) {
					_, err := s.Cashier.ModifyClient(ctx, s.Session(), c, cashier.ClientChange{Customer: func(c *billing.Customer) error {
						c.Active = active
						return nil
					}})
					ok(t, err)
				}
				walk(t, s, "2020-01-15", daily)
				stand(false)
				owner := &billing.Customer{}
				if s.Subscription(sub).Held(owner) || !s.Subscription(cashier.Ref{ID: int64(held.ID)}).Held(owner) {
					t.Error("what the merchant would have is not known any more")
				}
				walk(t, s, "2020-03-15", daily)
				stand(true)
				walk(t, s, "2020-05-15", daily)
				if got := billed(s, c); got != "01-10 29.00, 04-10 29.00, 05-10 29.00" {
					t.Errorf("billed: %s", got)
				}
				s.Balanced()
			})
		})
	}
}

// TestModifySchedule: the terms change from the next bill on.
func TestModifySchedule(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := client(t, s, "ann", "4111111111111111")
		ref := schedule(t, s, c, terms(t, "2020-01-10"))
		modify := func(f func(*billing.ScheduleTerms)) {
			t.Helper()
			_, err := s.Cashier.ModifySchedule(ctx, s.Session(), c, ref, cashier.ScheduleChange{Terms: f})
			ok(t, err)
		}
		s.MoveTo("2020-01-15")
		modify(func(r *billing.ScheduleTerms) { r.Amount = 3500 })
		s.MoveTo("2020-02-15")
		modify(func(r *billing.ScheduleTerms) { r.Cycle = billing.Weekly })
		s.MoveTo("2020-03-20") // 03-10 is paid for a month, then weekly
		modify(func(r *billing.ScheduleTerms) { r.Start = billing.Date{Year: 2020, Month: 4, Day: 1} })
		s.MoveTo("2020-04-10")
		modify(func(r *billing.ScheduleTerms) { r.Kind, r.Count, r.Amount = billing.InInstallments, 2, 10001 })
		s.MoveTo("2020-06-01")
		if got := billed(s, c); got != "01-10 29.00, 02-10 35.00, 03-10 35.00, 03-17 35.00, 04-01 35.00, 04-08 35.00, 04-15 50.01, 04-22 50.00" {
			t.Errorf("billed: %s", got)
		}
	})
}

// TestCloseSchedule: what is closed is billed no more, not even what is due and
// waits for the next run, and it stays closed.
func TestCloseSchedule(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := client(t, s, "ann", "4111111111111111")
		late, err := s.Cashier.AddSchedule(ctx, s.Session(), c, terms(t, "2020-01-10"), nil)
		ok(t, err)
		s.MoveTo("2020-02-20")
		refs := []cashier.Ref{{ID: int64(late.ID)}, schedule(t, s, c, terms(t, "2020-02-20")), schedule(t, s, c, terms(t, "2020-03-01"))}
		_, err = s.Cashier.ReleaseSchedule(ctx, s.Session(), c, refs[0]) // billed tomorrow, for 10 February
		ok(t, err)
		for _, ref := range refs {
			sub, err := s.Cashier.ModifySchedule(ctx, s.Session(), c, ref, cashier.ScheduleChange{Close: true,
				Terms: func(r *billing.ScheduleTerms) { r.Title = "Closed" }})
			ok(t, err)
			if got := s.Subscription(ref); sub.Status != billing.Cancelled || got.Status != billing.Cancelled || got.PlanName != "Closed" || !got.NextAt.IsZero() {
				t.Errorf("%s %q, next %s", got.Status, got.PlanName, got.NextAt)
			}
			if _, err := s.Cashier.ReleaseSchedule(ctx, s.Session(), c, ref); billing.KindOf(err) != billing.State {
				t.Errorf("it goes on: %v", err)
			}
		}
		s.MoveTo("2020-06-01")
		if got := billed(s, c); got != "" {
			t.Errorf("billed: %s", got)
		}
	})
}

// TestPaidByHand: the bills of a client without card or account wait until the
// merchant writes down that they were paid, and a client can change how it pays.
func TestPaidByHand(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := client(t, s, "ann", "")
		schedule(t, s, c, terms(t, "2020-01-10"))
		s.MoveTo("2020-02-15")
		if got := billed(s, c); got != "01-10 29.00 open, 02-10 29.00 open" {
			t.Errorf("billed: %s", got)
		}
		_, err := s.Cashier.Record(ctx, s.Session(), c, cashier.RecordRequest{Kind: billing.Payment, Instrument: billing.Check, Amount: 2900})
		ok(t, err)
		if got := billed(s, c); got != "01-10 29.00, 02-10 29.00 open" {
			t.Errorf("after a check: %s", got)
		}
		_, err = s.Cashier.ModifyClient(ctx, s.Session(), c, cashier.ClientChange{Method: &cashier.MethodRequest{Instrument: billing.VisaCredit,
			Number: billing.NewSecret("4111111111111111"), Expiry: "0430"}})
		ok(t, err)
		s.MoveTo("2020-03-15")
		if got := billed(s, c); got != "01-10 29.00, 02-10 29.00, 03-10 29.00" {
			t.Errorf("with a card: %s", got)
		}
		_, err = s.Cashier.ModifyClient(ctx, s.Session(), c, cashier.ClientChange{Manual: true})
		ok(t, err)
		s.MoveTo("2020-04-15")
		schedule(t, s, c, terms(t, "2020-06-10")) // needs no place of its own
		if got := billed(s, c); got != "01-10 29.00, 02-10 29.00, 03-10 29.00, 04-10 29.00 open" {
			t.Errorf("by hand again: %s", got)
		}
		ok(t, s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
			list, err := v.PaymentMethods(ctx, billing.CustomerID(c.ID), store.Page{Limit: 10})
			if len(list) != 3 {
				t.Errorf("%d payment methods", len(list))
			}
			for _, m := range list {
				if m.Vaulted() || m.Masked != "" {
					t.Errorf("the card is still kept: %s", m.Masked)
				}
			}
			return err
		}))
		s.Balanced()
	})
}

// TestRehearsal: everything is looked at, and nothing stays.
func TestRehearsal(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := client(t, s, "ann", "4111111111111111")
		r := s.Session()
		r.Rehearsal = true
		sub, err := s.Cashier.AddSchedule(ctx, r, c, terms(t, "2020-01-10"), nil)
		if err != nil || sub.ID == 0 {
			t.Fatalf("%v, %v", sub, err)
		}
		numbers, err := s.Cashier.Count(ctx, r, store.ClientNumber, []string{"1"}, 1234)
		if err != nil || numbers["1"] != 1234 {
			t.Errorf("%v, %v", numbers, err)
		}
		err = s.Cashier.EnrollClient(ctx, r, s.Account.Code, &billing.Customer{Code: "ann"}, nil)
		if billing.KindOf(err) != billing.Duplicate {
			t.Errorf("a code that is taken: %v", err)
		}
		if _, err := s.Cashier.Charge(ctx, r, c, cashier.ChargeRequest{Amount: 100, Instrument: billing.VisaCredit,
			Number: billing.NewSecret("4111111111111111"), Expiry: "0430"}); billing.KindOf(err) != billing.State {
			t.Errorf("a charge: %v", err)
		}
		if _, err := s.Cashier.Verify(ctx, r, c, cashier.VerifyRequest{Amount: 10, Instrument: billing.VisaCredit,
			Number: billing.NewSecret("4111111111111111"), Expiry: "0430"}); billing.KindOf(err) != billing.State {
			t.Errorf("a look at a card: %v", err)
		}
		if n := len(s.Journal()); n != 0 {
			t.Errorf("the bank has %d lines", n)
		}
		if numbers, err = s.Cashier.Count(ctx, s.Session(), store.ClientNumber, []string{"2", "1"}, 1234); err != nil || numbers["2"] != 1234 || numbers["1"] != 1235 {
			t.Errorf("%v, %v", numbers, err)
		}
		if again, err := s.Cashier.Count(ctx, s.Session(), store.ClientNumber, []string{"1", "3"}, 1); err != nil || again["1"] != 1235 || again["3"] != 1236 {
			t.Errorf("%v, %v", again, err)
		}
	})
}
