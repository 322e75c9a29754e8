package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// What everybody in a bench pays, in minor units of the currency.
const (
	price    = 1999
	currency = billing.Currency("USD")
	expiry   = "1249"
)

// The calendar of a bench: subscriptions that are due bill monthly, a round a
// month; the others would in another life.
var (
	firstDay = billing.Date{Year: 2030, Month: time.January, Day: 1}
	otherDay = billing.Date{Year: 2090, Month: time.January, Day: 1}
)

// billingDay is the day of round k: from 0, below it for an earlier life.
func billingDay(k int) billing.Date { return firstDay.AddMonths(k) }

// seedling is a customer with a card and a subscription, as far as the bare side
// must know it to write the same rows.
type seedling struct {
	customer, method, subscription int64
	masked, token, payer           string
	since                          int // the round in which it is due for the first time
}

// plantation says what is planted.
type plantation struct {
	subscriptions int // in all
	due           int // of which due, and
	early         int // of these due from the first round on, the others from the next one on
	life          int // rounds before the first in which the early ones are due already
	merchants     int
	keep          bool // whether the seedlings are returned
}

// planted is a shop with its subscriptions.
type planted struct {
	*shop
	due         [][]seedling // by merchant, if they were kept
	each, early int          // how many are due for each merchant, and in the first round
}

// count is how many are due in round k.
func (p *planted) count(k int) int {
	if k < warmUp {
		return p.early * len(p.markets)
	}
	return p.each * len(p.markets)
}

// chunk is how many customers are planted in one transaction.
const chunk = 500

// plant makes merchants with customers, each with a card and a subscription, and
// returns the due ones by merchant. Those that are due lie scattered among the
// others.
func (s *Site) plant(ctx context.Context, p *shop, n plantation) (*planted, error) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	all := &planted{shop: p, due: make([][]seedling, n.merchants), each: n.due / n.merchants, early: max(n.early/n.merchants, 1)}
	for i := range n.merchants {
		m, err := p.openMarket(ctx, fmt.Sprintf("bench-%03d", i+1), zone, s.Now())
		if err != nil {
			return nil, err
		}
		p.markets = append(p.markets, m)
		each := n.subscriptions / n.merchants
		row := nursery{planted: all, market: m, every: n.subscriptions / n.due, life: n.life}
		for planted := 0; planted < each; planted += chunk {
			list, err := row.plant(ctx, planted, min(planted+chunk, each))
			if err != nil {
				return nil, fmt.Errorf("bench: plant: %w", err)
			}
			if n.keep {
				all.due[i] = append(all.due[i], list...)
			}
		}
	}
	s.say("planted %s subscriptions", grouped(int64(n.subscriptions)))
	return all, p.analyze(ctx)
}

// openMarket makes a merchant whose clock stands on the eve of the first day.
func (p *shop) openMarket(ctx context.Context, code string, zone *time.Location, wall time.Time) (market, error) {
	eve := firstDay.AddDays(-1).Start(zone).Add(9 * time.Hour).UTC()
	m := market{
		merchant: &billing.Merchant{
			Code: code, Name: code, Mode: billing.Test, Zone: zone, Currency: currency,
			Clock: billing.Clock{Mode: billing.ClockFrozen, At: eve, Set: wall},
		},
		account: &billing.Account{Code: "2001", Name: code, CreatedAt: eve},
		plan: &billing.Plan{
			Name: "standard_monthly", Cycle: billing.Monthly, Amount: billing.Minor(price, currency),
			Tax: billing.Minor(0, currency), Active: true, CreatedAt: eve, UpdatedAt: eve,
		},
	}
	if err := p.cashier.NewMerchant(ctx, m.merchant); err != nil {
		return m, err
	}
	err := p.store.Update(ctx, m.merchant.ID, func(tx *store.Tx) error {
		if err := tx.InsertAccount(ctx, m.account); err != nil {
			return err
		}
		m.plan.MerchantID, m.plan.AccountID, m.plan.ID = m.merchant.ID, m.account.ID, billing.PlanID(tx.NewID())
		return tx.InsertPlan(ctx, m.plan)
	})
	return m, err
}

// nursery plants for one merchant. Of each group of every subscriptions the
// first is due, until there are as many of these as there should be.
type nursery struct {
	*planted
	market market
	every  int
	life   int
}

// since is the round in which subscription i is due first, if it ever is.
func (n *nursery) since(i int) (round int, due bool) {
	switch k := i / n.every; {
	case i%n.every != 0 || k >= n.each:
		return 0, false
	case k < n.early:
		return -n.life, true
	}
	return warmUp, true
}

// plant plants the customers numbered from up to to, and returns the due ones.
func (n *nursery) plant(ctx context.Context, from, to int) (due []seedling, err error) {
	err = n.store.Update(ctx, n.market.merchant.ID, func(tx *store.Tx) error {
		due = due[:0]
		var customers []*billing.Customer
		var methods []*billing.PaymentMethod
		var subs []*billing.Subscription
		for i := from; i < to; i++ {
			c := n.customer(tx, i)
			m := n.card(tx, c)
			if err := n.cashier.SealNumber(n.market.merchant, m, cardNumber(i)); err != nil {
				return err
			}
			since, isDue := n.since(i)
			first := otherDay
			if isDue {
				first = billingDay(since)
			}
			s := n.subscription(tx, m, first)
			customers, methods, subs = append(customers, c), append(methods, m), append(subs, s)
			if isDue {
				payer, err := json.Marshal(billing.Payer{Holder: m.Holder, Address: m.Address})
				if err != nil {
					return err
				}
				due = append(due, seedling{
					customer: int64(c.ID), method: int64(m.ID), subscription: int64(s.ID),
					masked: m.Masked, token: m.Token, payer: string(payer), since: since,
				})
			}
		}
		if err := tx.InsertCustomers(ctx, customers...); err != nil {
			return err
		}
		if err := tx.InsertPaymentMethods(ctx, methods...); err != nil {
			return err
		}
		return tx.InsertSubscriptions(ctx, subs...)
	})
	return due, err
}

func (n *nursery) customer(tx *store.Tx, i int) *billing.Customer {
	m := n.market
	return &billing.Customer{
		MerchantID: m.merchant.ID, ID: billing.CustomerID(tx.NewID()), AccountID: m.account.ID, FirstName: "Customer",
		LastName: strconv.Itoa(i), Active: true, Address: home, CreatedAt: m.merchant.CreatedAt, UpdatedAt: m.merchant.CreatedAt,
	}
}

// home is where all customers live.
var home = billing.Address{Street1: "12 Main Street", City: "Denver", State: "CO", PostalCode: "80202", Country: "USA"}

func (n *nursery) card(tx *store.Tx, c *billing.Customer) *billing.PaymentMethod {
	return &billing.PaymentMethod{
		MerchantID: c.MerchantID, ID: billing.PaymentMethodID(tx.NewID()), AccountID: c.AccountID, CustomerID: c.ID,
		Instrument: billing.VisaCredit, Expiry: expiry, Holder: c.Name(), Address: c.Address, Active: true,
		CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt,
	}
}

func (n *nursery) subscription(tx *store.Tx, method *billing.PaymentMethod, first billing.Date) *billing.Subscription {
	p := n.market.plan
	s := &billing.Subscription{
		MerchantID: p.MerchantID, ID: billing.SubscriptionID(tx.NewID()), AccountID: p.AccountID, CustomerID: method.CustomerID,
		PlanID: p.ID, PlanName: p.Name, PaymentMethodID: method.ID, Term: billing.Perpetual, Amount: p.Amount, Tax: p.Tax,
		Cycle: p.Cycle, FirstDate: first, Status: billing.Unbilled, CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
	}
	s.Schedule(nil)
	s.NextAt = n.market.merchant.Start(s.NextDate)
	return s
}

// cardNumber makes card number i: one that no bank has issued, with the right
// check digit.
func cardNumber(i int) billing.Secret {
	digits := fmt.Sprintf("40000400%07d", i)
	sum := 0
	for k, c := range digits { // the first digit is doubled, as every other one
		d := int(c - '0')
		if k%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return billing.NewSecret(digits + strconv.Itoa((10-sum%10)%10))
}
