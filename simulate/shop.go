package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/unipay"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// shop is one merchant and what the simulator remembers of it.
type shop struct {
	code      string
	id        billing.MerchantID
	mode      billing.Mode
	terms     sandbox.Terms
	customers []*person
	plans     []cashier.Ref
	keys      []*keyed
	billed    map[billing.SubscriptionID]int // how many billings another system had made
	stock     stock
}

// person is a customer.
type person struct {
	ref     cashier.Ref
	methods []cashier.Ref
	subs    []cashier.Ref
}

// keyed is a charge with an idempotency key, as its client remembers it.
type keyed struct {
	customer cashier.Ref
	request  cashier.ChargeRequest
	attempt  billing.AttemptID // what the client was told, 0 if nothing yet

	wire        bool  // it is sent over the wire
	transaction int64 // what the client was told there, 0 if nothing yet
}

// known is the key as the books know it.
func (k *keyed) known() string {
	if k.wire {
		return unipay.Name + ":" + k.request.Key
	}
	return k.request.Key
}

// openShop makes a merchant with settings by lot.
func (w *world) openShop(n int) error {
	r := lottery(w.story.Seed, 100+uint64(n))
	zones := []string{"America/New_York", "UTC", "Pacific/Auckland", "Asia/Kolkata", "Pacific/Honolulu"}
	zone, err := time.LoadLocation(zones[r.IntN(len(zones))])
	if err != nil {
		return err
	}
	fee := func(n int64) int64 { return []int64{0, n}[r.IntN(2)] }
	settings := billing.Settings{
		Balancing:         []billing.Balancing{billing.OldestFirst, billing.InvoiceFirst}[r.IntN(2)],
		RetryDays:         [][]int{nil, {0}, {1}, {3, 7, 14}, {1, 2, 3, 4, 5}, {10, 40}}[r.IntN(6)],
		AllowPastBilling:  r.IntN(2) == 0,
		CloseSalesDays:    []int{0, 0, 0, 2}[r.IntN(4)],
		BillingDay:        []int{0, 0, 1, 28}[r.IntN(4)],
		WriteOffAfterDays: []int{0, 0, 20, 90}[r.IntN(4)],
		Fees: billing.Fees{Enrollment: fee(500), SoftDecline: fee(150), HardDecline: fee(250), Retry: fee(100), Chargeback: fee(1500),
			Freeze: fee(200), FrozenBilling: fee(300), Late: fee(700), LateAfterDays: []int{1, 5, 30}[r.IntN(3)]},
	}
	if w.story.Cards {
		settings.ForgetAfterMonths = 1 + n%3
	}
	if w.story.Deals {
		settings.Velocity = limits(lottery(w.story.Seed, 300+uint64(n)))
	}
	m := &billing.Merchant{Code: fmt.Sprintf("m%d", n), Name: "Merchant", Mode: billing.Test, Zone: zone, Currency: "USD", Settings: settings}
	at := time.Date(2020, time.Month(1+r.IntN(12)), 1+r.IntN(31), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
	switch r.IntN(4) {
	case 0:
		m.Mode, m.Clock.Mode = billing.Live, billing.ClockReal
	case 1:
		m.Clock = billing.Clock{Mode: billing.ClockRunning, At: at, Set: w.wall}
	default:
		m.Clock = billing.Clock{Mode: billing.ClockFrozen, At: at, Set: w.wall}
	}
	c := w.processes[0].cashier
	if err := c.NewMerchant(w.ctx, m); err != nil {
		return err
	}
	account := &billing.Account{Code: "2001", Name: "Main", CreatedAt: m.CreatedAt}
	if err := w.books.Update(w.ctx, m.ID, func(tx *store.Tx) error { return tx.InsertAccount(w.ctx, account) }); err != nil {
		return err
	}
	if err := w.admit(m); err != nil {
		return err
	}
	terms := sandbox.Terms{SettleDays: 1 + r.IntN(5), LateDays: 1 + r.IntN(9)}
	if err := w.bank.SetTerms(w.ctx, m.Code, terms); err != nil {
		return err
	}
	s := &shop{code: m.Code, id: m.ID, mode: m.Mode, terms: terms, billed: map[billing.SubscriptionID]int{}}
	for i, cycle := range []billing.Cycle{billing.Weekly, billing.Monthly, billing.Quarterly, billing.HalfYearly, billing.Yearly, billing.Monthly, billing.Monthly} {
		p := &billing.Plan{Code: fmt.Sprintf("p%d", i), Name: string(cycle), Cycle: cycle, Amount: billing.Minor(amount(r), "USD"),
			Tax: billing.Minor([]int64{0, 0, 33}[r.IntN(3)], "USD"), Active: true}
		if err := c.CreatePlan(w.ctx, c.System(m), account.Code, p); err != nil {
			return err
		}
		s.plans = append(s.plans, cashier.Ref{ID: int64(p.ID)})
	}
	if w.story.Deals {
		if err := (dealer{w}).stockUp(n, s, m); err != nil {
			return err
		}
	}
	w.shops = append(w.shops, s)
	w.log("merchant %s: %s %s in %s at %s, %+v, terms %+v", m.Code, m.Mode, m.Clock.Mode, zone, m.CreatedAt.Format(time.DateTime), settings, terms)
	return nil
}

// session is someone who acts for the merchant through a process.
func (w *world) session(ctx context.Context, p *process, s *shop) (*cashier.Session, error) {
	m, err := w.books.MerchantByCode(ctx, s.code)
	if err != nil {
		return nil, err
	}
	return p.cashier.System(m), nil
}

// pick takes one of a list by number; ok is false if there is none.
func pick[T any](list []T, n int) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[n%len(list)], true
}
