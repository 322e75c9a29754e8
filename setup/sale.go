package setup

import (
	"context"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// sale is what another system sold to a customer, by the number under which that
// system's clients know it. Without a price it is no sale, and the number is that
// of the card alone.
type sale struct {
	Where          place
	Number         string           `yaml:"number"`
	Code           string           `yaml:"code"`
	PaymentMethod  string           `yaml:"payment_method"`
	Currency       billing.Currency `yaml:"currency"`
	Initial        *int64           `yaml:"initial"`
	InitialDays    *int64           `yaml:"initial_days"`
	Recurring      *int64           `yaml:"recurring"`
	RecurringDays  *int64           `yaml:"recurring_days"`
	Rebills        *int64           `yaml:"rebills"`
	UntilCancelled *bool            `yaml:"until_cancelled"`
	Lifetime       *bool            `yaml:"lifetime"`
	SignedUp       billing.Date     `yaml:"signed_up"`
	Rebilled       *int64           `yaml:"rebilled"`
	Next           billing.Date     `yaml:"next"`
	Cancelled      *bool            `yaml:"cancelled"`
	Ends           billing.Date     `yaml:"ends"`
	Refunds        *int64           `yaml:"refunds"`
	Voids          *int64           `yaml:"voids"`
	Chargebacks    *int64           `yaml:"chargebacks"`
	Returns        *int64           `yaml:"returns"`
	Note           *string          `yaml:"note"`
}

// longestNumber is the greatest number of digits of a sale's number.
const longestNumber = 20

func (s *sale) check(ps *Problems) {
	if required(ps, s.Where, "number", s.Number) && (len(s.Number) > longestNumber || strings.Trim(s.Number, "0123456789") != "" || strings.Trim(s.Number, "0") == "") {
		ps.add(s.Where, "number", "must be 1 to %d digits, in quotes so that its zeros are kept", longestNumber)
	}
	required(ps, s.Where, "payment_method", s.PaymentMethod)
	if s.Code != "" {
		form(ps, s.Where, "code", s.Code, foreignForm)
	}
	for _, n := range []struct {
		key   string
		value *int64
	}{{"initial", s.Initial}, {"initial_days", s.InitialDays}, {"recurring", s.Recurring}, {"recurring_days", s.RecurringDays},
		{"rebills", s.Rebills}, {"rebilled", s.Rebilled},
		{"refunds", s.Refunds}, {"voids", s.Voids}, {"chargebacks", s.Chargebacks}, {"returns", s.Returns}} {
		within(ps, s.Where, n.key, n.value, amounts) // the rules of terms say the rest
	}
	if s.Rebills != nil && *or(s.UntilCancelled, false) {
		ps.add(s.Where, "rebills", "and until_cancelled exclude each other")
	}
}

// request is what the file says, as the verb takes it.
func (s *sale) request(m *billing.Merchant) cashier.PlantRequest {
	number := func(n *int64) int { return int(*or(n, 0)) }
	t := billing.Terms{Currency: s.Currency, Initial: *s.Initial, InitialDays: number(s.InitialDays), Recurring: *or(s.Recurring, 0),
		RecurringDays: number(s.RecurringDays), Rebills: number(s.Rebills), Lifetime: *or(s.Lifetime, false)}
	if t.Currency == "" {
		t.Currency = m.Currency
	}
	if *or(s.UntilCancelled, false) {
		t.Rebills = billing.Endless
	}
	return cashier.PlantRequest{Number: s.Number, Code: s.Code, Terms: t, Note: *or(s.Note, ""), Past: billing.Past{SignedUp: s.SignedUp,
		Rebilled: number(s.Rebilled), Next: s.Next, Cancelled: *or(s.Cancelled, false), Ends: s.Ends,
		TakenBack: billing.TakenBack{Refunds: number(s.Refunds), Voids: number(s.Voids), Chargebacks: number(s.Chargebacks), Returns: number(s.Returns)}}}
}

// saleKeys name what the verb's errors are about in the words of the file.
var saleKeys = map[string]string{"initial": "initial", "initial_days": "initial_days", "recurring": "recurring", "recurring_days": "recurring_days",
	"rebills": "rebills", "lifetime": "lifetime", "signed_up": "signed_up", "rebilled": "rebilled", "next": "next",
	"refunds": "refunds", "voids": "voids", "chargebacks": "chargebacks", "returns": "returns"}

// sale looks at what another system sold to a customer. What has its number here
// is kept as it is: billing has gone on since.
func (w *work) sale(ctx context.Context, p *payer, s *sale) error {
	name := codes(p.name, s.Number)
	noun := store.SubscriptionNumber
	if s.Initial == nil {
		noun = store.PaymentMethodNumber
	}
	if w.view != nil {
		have, err := w.view.Numbered(ctx, strings.TrimLeft(s.Number, "0"))
		if err != nil {
			return err
		}
		if len(have) > 0 {
			owner, err := w.numbered(ctx, noun, have[noun])
			if err != nil {
				return err
			}
			if owner == 0 || owner != p.ID {
				w.wrong(s.Where, "number", "is the number of something else")
				return nil
			}
			w.modify(s.Where, Change{Noun: "sale", Name: name}, nil)
			return nil
		}
	}
	method, err := w.methodFor(ctx, p, &subscription{Where: s.Where, PaymentMethod: s.PaymentMethod})
	if err != nil || method == nil {
		return err
	}
	ref := func() cashier.Ref { return cashier.Ref{ID: int64(method.ID)} }
	if s.Initial == nil {
		w.create(s.Where, "number of a card", name, func(ctx context.Context) error {
			return w.Cashier.NumberMethod(ctx, w.session(), p.ref(), ref(), s.Number)
		})
		return nil
	}
	r := s.request(w.want)
	if _, _, err := w.session().Planting(r); err != nil {
		return w.refusedBy(s.Where, saleKeys, err)
	}
	w.create(s.Where, "sale", name, func(ctx context.Context) error {
		r := r
		r.Method = ref()
		_, err := w.Cashier.Plant(ctx, w.session(), p.ref(), r)
		return err
	})
	return nil
}

// numbered is whose a subscription or payment method with a number is, 0 if the
// number stands for neither.
func (w *work) numbered(ctx context.Context, n store.Noun, id int64) (billing.CustomerID, error) {
	if id == 0 {
		return 0, nil
	}
	if n == store.PaymentMethodNumber {
		m, err := w.view.PaymentMethod(ctx, billing.PaymentMethodID(id))
		if err != nil {
			return 0, err
		}
		return m.CustomerID, nil
	}
	sub, err := w.view.Subscription(ctx, billing.SubscriptionID(id))
	if err != nil {
		return 0, err
	}
	return sub.CustomerID, nil
}
