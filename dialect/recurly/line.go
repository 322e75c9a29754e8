package recurly

import (
	"context"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// item is one of the two nouns that are lines: charges and credits (8). A credit
// is posted positive and shown negative.
type item struct {
	name  string // of the element
	noun  string // in a message
	kinds []billing.LineKind
	give  func(*cashier.Cashier, context.Context, *cashier.Session, cashier.Ref, cashier.LineRequest) (*billing.Line, error)
}

func charges() item {
	return item{"charge", "Charge", []billing.LineKind{billing.LinePlan, billing.LineAddOn, billing.LineSetup, billing.LineCharge,
		billing.LineAdjustment, billing.LineProration}, (*cashier.Cashier).AddCharge}
}

func credits() item {
	return item{"credit", "Credit", []billing.LineKind{billing.LineCredit}, (*cashier.Cashier).GiveCredit}
}

func listCharges(ctx context.Context, x *exchange) (answer, error) {
	return charges().list(ctx, x)
}
func listCredits(ctx context.Context, x *exchange) (answer, error) {
	return credits().list(ctx, x)
}
func showCharge(ctx context.Context, x *exchange) (answer, error) { return charges().show(ctx, x) }
func showCredit(ctx context.Context, x *exchange) (answer, error) { return credits().show(ctx, x) }
func createCharge(ctx context.Context, x *exchange) (answer, error) {
	return charges().create(ctx, x)
}
func createCredit(ctx context.Context, x *exchange) (answer, error) {
	return credits().create(ctx, x)
}
func deleteCharge(ctx context.Context, x *exchange) (answer, error) {
	return charges().remove(ctx, x)
}
func deleteCredit(ctx context.Context, x *exchange) (answer, error) {
	return credits().remove(ctx, x)
}

// longestDescription is the longest description of a line, in characters.
const longestDescription = 255

// readLine reads what is asked for: an amount, or a quantity of pieces at a price
// each (8).
func readLine(x *exchange, e *element, credit bool, wrong *mistakes) cashier.LineRequest {
	c := x.merchant().Currency
	r := cashier.LineRequest{Description: e.textOf("description"), From: x.session.Now}
	amount, given, ok := readCents(e, "amount", c)
	unit, pieces, ok2 := readCents(e, "unit_amount", c)
	quantity, counted, ok3 := readQuantity(e)
	if !ok3 {
		wrong.add("quantity", noNumber)
		return r
	}
	r.Quantity = 1
	if counted {
		r.Quantity = quantity
	}
	if credit {
		amount, unit = abs(amount), abs(unit)
	}
	switch {
	case !ok || !ok2, !given && !pieces, given && amount <= 0, !given && unit <= 0:
		wrong.add("amount_in_cents", noNumber)
	case !given && unit > billing.MaxAmount/int64(r.Quantity):
		wrong.add("amount_in_cents", invalid)
	case !given:
		r.Unit = &unit
	default:
		r.Amount = amount
	}
	if utf8.RuneCountInString(r.Description) > longestDescription {
		wrong.add("description", tooLong)
	}
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{"start_date", &r.From}, {"end_date", &r.To}} {
		if text := e.textOf(f.name); text != "" {
			if *f.to, ok = readMoment(text); !ok {
				wrong.add(f.name, invalid)
			}
		}
	}
	checkCurrency(e, x.merchant(), wrong)
	return r
}

func abs(n int64) int64 { return max(n, -n) }

// create is POST of a charge or credit.
func (n item) create(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	var wrong mistakes
	r := readLine(x, x.body, n.name == "credit", &wrong)
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	line, err := n.give(x.Cashier, ctx, x.session, cashier.Ref{ID: int64(c.ID)}, r)
	if err != nil {
		return answer{}, err
	}
	d := newDocument()
	d.line(n.name, c, line)
	return answer{http.StatusCreated, d}, nil
}

// line writes the document of 8.
func (d *document) line(name string, c *billing.Customer, l *billing.Line) {
	d.within(name, "", func() {
		d.text("id", shown(lineKind, int64(l.ID)))
		d.text("account_code", accountCode(c))
		d.integer("amount_in_cents", l.Amount.Minor())
		d.integer("quantity", int64(max(l.Quantity, 1)))
		d.datetime("start_date", orTime(l.From, l.CreatedAt))
		d.datetime("end_date", l.To)
		d.text("description", l.Description)
		d.datetime("created_at", l.CreatedAt)
	})
}

func orTime(at, other time.Time) time.Time {
	if at.IsZero() {
		return other
	}
	return at
}

// find finds the line that the path names, of the account that it names.
func (n item) find(ctx context.Context, x *exchange) (c *billing.Customer, l *billing.Line, err error) {
	if c, err = x.account(ctx); err != nil {
		return nil, nil, err
	}
	id, ok := readID(lineKind, x.call.id)
	if !ok {
		return nil, nil, notFound(n.noun)
	}
	err = x.session.Books.View(ctx, func(v *store.View) error {
		l, err = v.Line(ctx, billing.LineID(id))
		if billing.KindOf(err) == billing.NotFound || err == nil && (l.CustomerID != c.ID || !n.has(l.Kind)) {
			err = notFound(n.noun)
		}
		return err
	})
	return c, l, err
}

func (n item) has(k billing.LineKind) bool {
	for _, one := range n.kinds {
		if one == k {
			return true
		}
	}
	return false
}

// show is GET of a charge or credit.
func (n item) show(ctx context.Context, x *exchange) (answer, error) {
	c, l, err := n.find(ctx, x)
	if err != nil {
		return answer{}, err
	}
	d := newDocument()
	d.line(n.name, c, l)
	return answer{doc: d}, nil
}

// remove is DELETE of a charge or credit that is not invoiced.
func (n item) remove(ctx context.Context, x *exchange) (answer, error) {
	c, l, err := n.find(ctx, x)
	if err == nil {
		err = x.Cashier.RemoveLine(ctx, x.session, cashier.Ref{ID: int64(c.ID)}, l.ID)
	}
	return answer{}, err
}

// mostLines bounds a list of charges or credits: it has no pages (2.3).
const mostLines = 5000

// list is GET of charges or credits, the newest first.
func (n item) list(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	d, show := newDocument(), x.parameter("show")
	err = x.session.Books.View(ctx, func(v *store.View) error {
		filter := store.LineFilter{Kinds: n.kinds, Limit: mostLines}
		if n.name == "charge" { // a credit is in the books at once, and waits there
			filter.Waiting, filter.Invoiced = show == "pending", show == "invoiced"
		}
		list, err := v.Lines(ctx, c.ID, filter)
		if err != nil {
			return err
		}
		if n.name == "credit" && (show == "pending" || show == "invoiced") {
			if list, err = used(ctx, v, list, show == "invoiced"); err != nil {
				return err
			}
		}
		d.within(n.name+"s", asArray, func() {
			for _, l := range list {
				d.line(n.name, c, l)
			}
		})
		return nil
	})
	return answer{doc: d}, err
}

// used narrows credits to those of which something has been used, or nothing.
func used(ctx context.Context, v *store.View, list []*billing.Line, some bool) ([]*billing.Line, error) {
	var ids []billing.ActivityID
	for _, l := range list {
		if l.ActivityID != 0 {
			ids = append(ids, l.ActivityID)
		}
	}
	credits, err := v.ActivitiesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	touched := make(map[billing.ActivityID]bool)
	for _, a := range credits {
		touched[a.ID] = a.Open != a.Amount
	}
	var kept []*billing.Line
	for _, l := range list {
		if touched[l.ActivityID] == some {
			kept = append(kept, l)
		}
	}
	return kept, nil
}
