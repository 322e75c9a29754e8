package recurly

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// words are the texts of the lines of an immediate change, as they stood on the
// live service's invoices (7.4).
var words = cashier.Words{Credit: "Remaining value for subscription", Charge: "Prorating for remainder of subscription term"}

// mostSubscriptions bounds how many subscriptions of one account are looked
// through. There is one at a time.
const mostSubscriptions = 10_000

// liveSubscription finds the account's one subscription that has not ended, nil if
// there is none. An account that another wire gave several shows the newest.
func liveSubscription(ctx context.Context, v *store.View, c billing.CustomerID) (*billing.Subscription, error) {
	list, err := v.Subscriptions(ctx, c, store.SubscriptionFilter{Page: store.Page{Limit: mostSubscriptions}})
	if err != nil {
		return nil, err
	}
	for _, s := range slices.Backward(list) {
		if !s.Ended() {
			return s, nil
		}
	}
	return nil, nil
}

// subscribed finds the account of the path and its subscription. Without one the
// answer is missing.
func (x *exchange) subscribed(ctx context.Context, missing *failure) (c *billing.Customer, s *billing.Subscription, err error) {
	if c, err = x.account(ctx); err != nil {
		return nil, nil, err
	}
	err = x.session.Books.View(ctx, func(v *store.View) error {
		s, err = liveSubscription(ctx, v, c.ID)
		if err == nil && s == nil {
			err = missing
		}
		return err
	})
	return c, s, err
}

var noSubscription = notFound("Subscription")

// subscriptionView is a subscription with what a document says of it beside.
type subscriptionView struct {
	*billing.Subscription
	account        string
	planCode, name string
	canceledAt     time.Time
	expiresAt      time.Time
	from, to       time.Time // the current period
	trialEnds      time.Time
}

// view reads what a document says of a subscription.
func viewSubscription(ctx context.Context, v *store.View, m *billing.Merchant, c *billing.Customer, s *billing.Subscription) (*subscriptionView, error) {
	w := &subscriptionView{Subscription: s, account: accountCode(c), name: s.PlanName}
	if s.Composition != nil {
		w.planCode = s.Composition.PlanCode
		w.trialEnds = s.Composition.TrialEnds
		if t := s.Composition.Trial; w.trialEnds.IsZero() && !t.IsZero() {
			w.trialEnds = m.Start(t)
		}
	}
	if w.planCode == "" || w.name == "" {
		p, err := v.Plan(ctx, s.PlanID)
		if err != nil {
			return nil, err
		}
		w.planCode, w.name = orElse(w.planCode, p.Code), orElse(w.name, p.Name)
	}
	open, err := v.OpenAdjustments(ctx, []billing.SubscriptionID{s.ID})
	if err != nil {
		return nil, err
	}
	for _, a := range open[s.ID] {
		if a.Kind == billing.Cancel {
			w.canceledAt, w.expiresAt = a.CreatedAt, m.Start(a.Effective)
		}
	}
	w.from, w.to = s.PeriodFrom(m), s.PeriodTo(m)
	if s.Ended() {
		w.expiresAt = s.UpdatedAt
		if s.Status == billing.Cancelled {
			w.canceledAt = s.UpdatedAt
		}
		if w.to.After(w.expiresAt) {
			w.to = w.expiresAt
		}
	}
	return w, nil
}

// state is the state in the words of 7.1.
func (w *subscriptionView) state() string {
	switch {
	case w.Ended():
		return "expired"
	case !w.canceledAt.IsZero():
		return "canceled"
	}
	return "active"
}

// composition is what the price is made of; one that is an amount alone is one of
// it.
func (w *subscriptionView) composition() billing.Composition {
	if w.Composition == nil {
		return billing.Composition{PlanCode: w.planCode, Quantity: 1, Unit: w.Amount.Minor()}
	}
	c := *w.Composition
	c.Quantity = max(c.Quantity, 1)
	return c
}

// subscription writes the document of 7.3.
func (d *document) subscription(w *subscriptionView) {
	d.within("subscription", "", func() {
		d.text("id", w.account)
		d.text("account_code", w.account)
		d.subscriptionFields(w)
		c := w.composition()
		if w.Change != nil && !w.Ended() {
			d.pending(w, c)
		}
		d.addOns(c.AddOns)
	})
}

// subscriptionFields writes what notices have of a subscription too, in the order
// of 7.3: the main plan_code and quantity come first, for one client reads any.
func (d *document) subscriptionFields(w *subscriptionView) {
	d.within("plan", "", func() {
		d.text("plan_code", w.planCode)
		d.text("name", w.name)
	})
	c := w.composition()
	d.text("state", w.state())
	d.integer("quantity", int64(c.Quantity))
	d.integer("total_amount_in_cents", w.Amount.Minor())
	d.integer("unit_amount_in_cents", c.Unit)
	d.datetime("activated_at", w.CreatedAt)
	d.datetime("canceled_at", w.canceledAt)
	d.datetime("expires_at", w.expiresAt)
	d.datetime("current_period_started_at", w.from)
	d.datetime("current_period_ends_at", w.to)
	trial := time.Time{}
	if !w.trialEnds.IsZero() {
		trial = w.CreatedAt
	}
	d.datetime("trial_started_at", trial)
	d.datetime("trial_ends_at", w.trialEnds)
}

// pending writes the change that waits for the renewal (7.4).
func (d *document) pending(w *subscriptionView, c billing.Composition) {
	if w.Change.Quantity != nil {
		c.Quantity = *w.Change.Quantity
	}
	d.within("pending_subscription", "", func() {
		d.text("plan_code", orElse(w.Change.PlanCode, w.planCode))
		d.integer("quantity", int64(c.Quantity))
		d.datetime("activates_at", w.to)
	})
}

func (d *document) addOns(list []billing.AddOn) {
	d.within("add_ons", asArray, func() {
		for _, a := range list {
			d.within("add_on", "", func() {
				d.text("add_on_code", a.Code)
				d.integer("quantity", int64(a.Quantity))
				d.integer("unit_amount_in_cents", a.Unit)
			})
		}
	})
}

// tell answers with a subscription.
func (x *exchange) tell(ctx context.Context, status int, c *billing.Customer, s *billing.Subscription) (answer, error) {
	d := newDocument()
	err := x.session.Books.View(ctx, func(v *store.View) error {
		w, err := viewSubscription(ctx, v, x.merchant(), c, s)
		if err == nil {
			d.subscription(w)
		}
		return err
	})
	return answer{status, d}, err
}

// showSubscription is GET .../subscription.
func showSubscription(ctx context.Context, x *exchange) (answer, error) {
	c, s, err := x.subscribed(ctx, noSubscription)
	if err != nil {
		return answer{}, err
	}
	return x.tell(ctx, http.StatusOK, c, s)
}

// readAddOns reads a list of add-ons, nil if none is given; an empty one is no
// add-ons (7.4).
func readAddOns(e *element, currency billing.Currency, wrong *mistakes) []cashier.AddOnChoice {
	list := e.child("add_ons")
	if list == nil || list.null {
		return nil
	}
	choices := []cashier.AddOnChoice{}
	for _, one := range list.list("add_on") {
		choice := cashier.AddOnChoice{Code: one.textOf("add_on_code")}
		quantity, _, ok := readQuantity(one)
		unit, given, ok2 := readCents(one, "unit_amount", currency)
		if choice.Code == "" || !ok || !ok2 || unit < 0 {
			wrong.add("add_ons", invalid)
			continue
		}
		if choice.Quantity = quantity; given {
			choice.Unit = &unit
		}
		choices = append(choices, choice)
	}
	return choices
}

// terms are what a request says of a subscription's plan and price.
type terms struct {
	plan     cashier.Ref
	price    int64 // of the plan
	quantity *int
	unit     *int64
	addOns   *[]cashier.AddOnChoice
}

// readTerms reads them; planRequired is for a new subscription.
func (x *exchange) readTerms(ctx context.Context, planRequired bool, wrong *mistakes) (t terms, err error) {
	e, currency := x.body, x.merchant().Currency
	if code := e.textOf("plan_code"); code != "" {
		p, err := x.plan(ctx, []string{code})
		if err != nil {
			return t, err
		}
		t.plan, t.price = cashier.Ref{ID: int64(p.ID)}, p.Amount.Minor()
	} else if planRequired {
		wrong.add("plan_code", blank)
	}
	if n, given, ok := readQuantity(e); !ok {
		wrong.add("quantity", noNumber)
	} else if given {
		t.quantity = &n
	}
	unit, given, ok := readCents(e, "unit_amount", currency)
	switch {
	case !ok || unit < 0:
		wrong.add("unit_amount_in_cents", noNumber)
	case given:
		t.unit, t.price = &unit, unit
	}
	if list := readAddOns(e, currency, wrong); list != nil {
		t.addOns = &list
	}
	checkCurrency(e, x.merchant(), wrong)
	return t, nil
}

// free reports whether nothing will ever have to be paid, so that no card is
// needed.
func (t *terms) free() bool { return t.price == 0 && (t.addOns == nil || len(*t.addOns) == 0) }

// changeSubscription is PUT .../subscription (7.4).
func changeSubscription(ctx context.Context, x *exchange) (answer, error) {
	c, s, err := x.subscribed(ctx, noSubscription)
	if err != nil {
		return answer{}, err
	}
	var wrong mistakes
	timeframe := x.body.textOf("timeframe")
	switch timeframe {
	case "now", "renewal":
	case "":
		wrong.add("timeframe", blank)
	default:
		wrong.add("timeframe", invalid)
	}
	t, err := x.readTerms(ctx, false, &wrong)
	if err == nil {
		err = wrong.orNil()
	}
	if err != nil {
		return answer{}, err
	}
	r := cashier.ChangeRequest{Now: timeframe == "now", Plan: t.plan, Quantity: t.quantity, Unit: t.unit, AddOns: t.addOns, Words: words}
	changed, err := x.Cashier.Change(ctx, x.session, cashier.Ref{ID: int64(c.ID)}, cashier.Ref{ID: int64(s.ID)}, r)
	if err != nil {
		return answer{}, err
	}
	if err := refusedBy(changed.Attempt); err != nil {
		return answer{}, err
	}
	return x.tell(ctx, http.StatusOK, c, changed.Subscription)
}

// refusedBy is the failure that an attempt makes of what was asked, nil if it was
// approved, will be settled, or was not needed.
func refusedBy(a *billing.Attempt) error {
	if a == nil || a.State == billing.AttemptApproved || a.State == billing.AttemptPending {
		return nil
	}
	return declineOf(a)
}

// endSubscription is DELETE .../subscription: with refund it ends at once (7.6),
// without at the end of the period (7.5).
func endSubscription(ctx context.Context, x *exchange) (answer, error) {
	missing := *noSubscription
	how, terminates := x.query["refund"]
	if !terminates {
		missing.status = x.choices.NoSubscriptionStatus
	}
	c, s, err := x.subscribed(ctx, &missing)
	if err != nil {
		return answer{}, err
	}
	customer, sub := cashier.Ref{ID: int64(c.ID)}, cashier.Ref{ID: int64(s.ID)}
	if !terminates {
		cancelled, err := x.Cashier.CancelAtEnd(ctx, x.session, customer, sub, "")
		if billing.KindOf(err) == billing.State { // it is cancelled already
			cancelled, err = s, nil
		}
		if err != nil {
			return answer{}, err
		}
		return x.tell(ctx, http.StatusOK, c, cancelled)
	}
	takeback, ok := takebacks[how[0]]
	if !ok {
		return answer{}, refuse("refund", invalid)
	}
	ended, _, err := x.Cashier.Terminate(ctx, x.session, customer, sub, takeback, "")
	if err != nil {
		return answer{}, err
	}
	return x.tell(ctx, http.StatusOK, c, ended)
}

// takebacks are the values of refund (7.6).
var takebacks = map[string]cashier.Takeback{"full": cashier.TakeFull, "partial": cashier.TakePartial, "none": cashier.TakeNone}

// reactivateSubscription is POST .../subscription/reactivate (7.7).
func reactivateSubscription(ctx context.Context, x *exchange) (answer, error) {
	c, s, err := x.subscribed(ctx, noSubscription)
	if err != nil {
		return answer{}, err
	}
	again, err := x.Cashier.Reactivate(ctx, x.session, cashier.Ref{ID: int64(c.ID)}, cashier.Ref{ID: int64(s.ID)})
	if billing.KindOf(err) == billing.State {
		err = fail(http.StatusPreconditionFailed, "The subscription is not canceled")
	}
	if err != nil {
		return answer{}, err
	}
	return x.tell(ctx, http.StatusOK, c, again)
}
