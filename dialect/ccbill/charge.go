package ccbill

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// offer is what a charge asks for, as far as it can be read without the books.
type offer struct {
	account, subaccount string
	initial, recurring  string // prices, not yet in a currency
	currency            string // "" is the original's
	terms               billing.Terms
	pricePoint          string // of the target subaccount, which has the terms; "" where the request has them
}

// charge is chargeByPreviousTransactionId (3), in the order of section 10.
func charge(ctx context.Context, x *exchange) (answer, error) {
	o, err := readOffer(x.params, "newClient")
	if err != nil {
		return nil, err
	}
	from, err := x.find(ctx)
	if err != nil {
		return nil, err
	}
	return x.sell(ctx, o, from, 0)
}

// sell charges what is offered to the card of an earlier transaction, from check
// 8 of section 10 on. The subscription that it replaces, if it is not 0, ends with
// the approval.
func (x *exchange) sell(ctx context.Context, o *offer, from *original, replaces billing.SubscriptionID) (answer, error) {
	if o.terms.Currency == "" && o.pricePoint == "" {
		o.terms.Currency = "USD"
		if from.sub != nil {
			o.terms.Currency = from.sub.Amount.Currency()
		}
		if err := o.price(); err != nil {
			return nil, err
		}
	}
	seller, limits, err := x.seller(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.pricePoint != "" {
		var known bool
		if o.terms, known = limits.pricePoint(o.pricePoint); !known {
			return nil, badArguments
		}
	}
	instrument := from.method.Instrument
	switch {
	case from.refused:
		return x.denied(seller.Merchant, instrument, previousDeclined), nil
	case limits.Inactive:
		return x.denied(seller.Merchant, instrument, merchantInactive), nil
	case limits.RefuseBankAccount && instrument.IsBank():
		return x.denied(seller.Merchant, instrument, cardNotAccepted), nil
	}
	if err := limits.allow(o.terms); err != nil {
		return nil, err
	}
	if x.params.get("threedsAmount") != "" && !x.params.amountIs(o.terms) {
		return nil, badArguments
	}
	sold, err := x.Cashier.Sell(ctx, seller, cashier.SaleRequest{
		Account: o.subaccount, Payer: x.caller.Merchant, Method: from.method.ID, Terms: o.terms, Previous: from.number,
		Number: func() string { return numberAt(seller.Now, paymentKind(seller.Merchant, instrument)) },
		Extra:  x.params.extras(), Replaces: replaces,
	})
	var refused *billing.Error
	switch {
	case billing.KindOf(err) == billing.InProgress:
		return x.denied(seller.Merchant, instrument, stillProcessed), nil
	case errors.As(err, &refused) && refused.Kind == billing.State && refused.Field == "replaces":
		return results(failed), nil // it is over
	case err != nil:
		return nil, err
	}
	return x.sold(sold)
}

// sold is the answer to a charge that was made, or declined.
func (x *exchange) sold(s *cashier.Sold) (answer, error) {
	if s.Attempt != nil {
		switch s.Attempt.State {
		case billing.AttemptDeclined:
			return x.refusal(s.Number, declineOf(s.Attempt.Response)), nil
		case billing.AttemptUnknown, billing.Sending:
			x.outcome = "unknown"
			return results(internal), nil // neither approved nor denied would be true
		case billing.AttemptApproved, billing.AttemptPending:
		}
	}
	x.outcome = "approved"
	return answer{{"approved", "1"}, {"subscriptionId", Printed(s.Number)}}, nil
}

// denied is the answer to a charge that is not sent to the processor.
func (x *exchange) denied(m *billing.Merchant, i billing.Instrument, d decline) answer {
	return x.refusal(numberAt(m.Now(x.Cashier.Now()), paymentKind(m, i)), d)
}

func (x *exchange) refusal(number string, d decline) answer {
	x.outcome = "denied " + strconv.Itoa(int(d))
	return answer{{"approved", "0"}, {"denialId", Printed(number)}, {"declineCode", strconv.Itoa(int(d))}, {"declineText", declineTexts[d]}}
}

// readOffer reads the arguments of a charge in the order of section 10, 2 to 6.
// All that can be wrong with them gives -5. The names of the target begin with
// target.
func readOffer(p params, target string) (*offer, error) {
	o := &offer{account: p.get(target + "Accnum"), subaccount: p.get(target + "Subacc"),
		initial: p.get("initialPrice"), recurring: p.get("recurringPrice"), currency: p.get("currencyCode")}
	if !digits(o.account, 6, 6) || !digits(o.subaccount, 4, 4) || o.initial == "" {
		return nil, badArguments
	}
	if o.recurring == "" {
		o.recurring = "0"
	}
	if p.get("initialPeriod") == "" {
		return nil, badArguments
	}
	for _, n := range []struct {
		name string
		most int
		into *int
	}{{"initialPeriod", billing.MaxDays, &o.terms.InitialDays}, {"recurringPeriod", billing.MaxDays, &o.terms.RecurringDays},
		{"rebills", untilCancelled, &o.terms.Rebills}} {
		text := p.get(n.name)
		if text == "" {
			continue
		}
		value, err := strconv.Atoi(text)
		if !digits(text, 1, 3) || err != nil || value > n.most {
			return nil, badArguments
		}
		*n.into = value
	}
	if o.terms.Rebills == untilCancelled {
		o.terms.Rebills = billing.Endless
	}
	if o.currency != "" {
		code, ok := currencyOf(o.currency)
		if !ok {
			return nil, badArguments
		}
		o.terms.Currency = code
	}
	for _, flag := range []string{"lifeTimeSubscription", "sharedAuthentication"} {
		switch p.get(flag) {
		case "", "0", "1":
		default:
			return nil, badArguments
		}
	}
	o.terms.Lifetime = p.get("lifeTimeSubscription") == "1"
	for _, id := range []string{"overrideAffiliate", "overrideParticipation"} {
		if text := p.get(id); text != "" && !digits(text, 1, 20) {
			return nil, badArguments
		}
	}
	if err := o.price(); err != nil {
		return nil, err
	}
	return o, p.check3DS()
}

// untilCancelled is the number of rebills that means that there is no end.
const untilCancelled = 99

// price reads the prices in the currency, or in dollars to see whether they are
// prices at all where it is still to be found, and checks the terms.
func (o *offer) price() error {
	terms := o.terms
	if terms.Currency == "" {
		terms.Currency = "USD"
	}
	var ok bool
	if terms.Initial, ok = readPrice(o.initial, terms.Currency); !ok {
		return badArguments
	}
	if terms.Recurring, ok = readPrice(o.recurring, terms.Currency); !ok {
		return badArguments
	}
	if terms.Rebills == 0 { // what a single billing says of rebills means nothing
		terms.Recurring, terms.RecurringDays = 0, 0
	}
	if terms.Check() != nil {
		return badArguments
	}
	if o.terms.Currency != "" {
		o.terms = terms
	}
	return nil
}

// readPrice reads a price in minor units: digits, and no more decimals behind a
// point than the currency has; no sign, exponent, comma or blank (3.2).
func readPrice(text string, c billing.Currency) (int64, bool) {
	whole, decimals, pointed := strings.Cut(text, ".")
	if !digits(whole, 1, 12) || pointed && !digits(decimals, 0, 2) {
		return 0, false
	}
	if decimals = strings.TrimRight(decimals, "0"); decimals != "" {
		whole += "." + decimals
	}
	m, err := billing.ParseDecimal(whole, c)
	if err != nil || m.Minor() > billing.MaxAmount {
		return 0, false
	}
	return m.Minor(), true
}

// seller opens the session in which the target account sells, and finds what may
// be sold there (10.8).
func (x *exchange) seller(ctx context.Context, o *offer) (*cashier.Session, subaccount, error) {
	c := x.caller
	if o.account == c.Merchant.Code {
		if c.account(o.subaccount) == nil {
			return nil, subaccount{}, badArguments
		}
		return c.wide(), c.choices.Subaccounts[o.subaccount], nil
	}
	if !slices.Contains(c.choices.OtherAccounts, o.account) {
		return nil, subaccount{}, notPermitted
	}
	other, err := x.Cashier.Store.MerchantByCode(ctx, o.account)
	if billing.KindOf(err) == billing.NotFound || err == nil && other.Mode != c.Merchant.Mode {
		return nil, subaccount{}, notPermitted
	}
	if err != nil {
		return nil, subaccount{}, err
	}
	session := x.Cashier.System(other)
	session.Login.Name = c.Login.Name
	choices, err := readSettings(other.Settings.Dialects[Name])
	if err != nil {
		return nil, subaccount{}, err
	}
	err = session.Books.View(ctx, func(v *store.View) error {
		if _, err := v.AccountByCode(ctx, o.subaccount); err != nil {
			return badArguments
		}
		return nil
	})
	return session, choices.Subaccounts[o.subaccount], err
}

// allow refuses terms beyond the limits of the subaccount with -7 (10.9).
func (a subaccount) allow(t billing.Terms) error {
	most := a.MaxPrice
	if most == 0 {
		most = defaultMaxPrice
	}
	if t.Initial > most || t.Recurring > most || t.Initial > 0 && t.Initial < a.MinPrice || t.Recurring > 0 && t.Recurring < a.MinPrice {
		return internal
	}
	if len(a.Currencies) > 0 && !slices.Contains(a.Currencies, string(t.Currency)) {
		return internal // it cannot be converted
	}
	if a.MaxInitialPeriod > 0 && t.InitialDays > a.MaxInitialPeriod {
		return internal
	}
	if t.Rebills != 0 && len(a.RecurringPeriods) > 0 && !slices.Contains(a.RecurringPeriods, t.RecurringDays) {
		return internal
	}
	return nil
}
