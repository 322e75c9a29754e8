package unipay

import (
	"context"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// createTransaction writes something down that needs no processor. Which types
// that can be is the core's to say (4.6).
func createTransaction(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadTransaction(x.fields)
	if err != nil {
		return Answer{}, err
	}
	if err := x.checkAccount(ctx, f.AccountID); err != nil {
		return Answer{}, err
	}
	kind, _ := kinds.core(f.Type.Value)
	r := cashier.RecordRequest{
		Code: f.Code.Value, Kind: kind, Amount: f.Amount.Value, Tax: f.TaxAmount.Value, Due: day(f.DueDate.Value),
		Note: f.Note.Value, Invoices: refs(f.InvoiceList), InvoiceRaw: invoiceList(f.InvoiceList),
	}
	if movesValue(f.Type.Value) {
		r.Instrument, _ = instruments.core(f.AccountType.Value)
	}
	a, err := x.Cashier.Record(ctx, x.session, cashier.Ref(x.call.Customer), r)
	if err != nil {
		return Answer{}, err
	}
	return x.tellTransaction(ctx, a)
}

// movesValue reports whether a transaction is of the asset side, where it has
// an instrument; on an invoice or fee accountType means nothing and is let go of.
func movesValue(t TransactionType) bool { return strings.HasPrefix(string(t), "A") }

// refs are references as the core has them.
func refs(list []Ref) []cashier.Ref {
	named := make([]cashier.Ref, len(list))
	for i, r := range list {
		named[i] = cashier.Ref(r)
	}
	return named
}

// invoiceList writes references the way invoiceList has them.
func invoiceList(list []Ref) string {
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = "*" + r.Code
		if r.ID != 0 {
			texts[i] = strconv.FormatInt(r.ID, 10)
		}
	}
	return strings.Join(texts, ",")
}

// tellTransaction answers with a transaction that has just been written.
func (x *exchange) tellTransaction(ctx context.Context, a *billing.Activity) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		list, err := x.transactions(ctx, v, []*billing.Activity{a})
		if err == nil {
			answer = One(list[0])
		}
		return err
	})
	return answer, err
}

// transactions writes activities, with the attempts behind them read at once.
func (x *exchange) transactions(ctx context.Context, v *store.View, list []*billing.Activity) ([]Transaction, error) {
	s, err := newScribe(ctx, v, x.session.Merchant)
	if err != nil {
		return nil, err
	}
	var ids []billing.AttemptID
	for _, a := range list {
		if a.AttemptID != 0 {
			ids = append(ids, a.AttemptID)
		}
	}
	behind, err := v.AttemptsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	written := make([]Transaction, len(list))
	for i, a := range list {
		written[i] = s.transaction(a, behind[a.AttemptID])
	}
	return written, nil
}

func loadTransaction(ctx context.Context, x *exchange) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		_, a, err := x.transaction(ctx, v)
		if err != nil {
			return err
		}
		list, err := x.transactions(ctx, v, []*billing.Activity{a})
		if err == nil {
			answer = One(list[0])
		}
		return err
	})
	return answer, err
}

// transaction finds the transaction that the URL names, and its customer.
func (x *exchange) transaction(ctx context.Context, v *store.View) (*billing.Customer, *billing.Activity, error) {
	owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
	if err != nil {
		return nil, nil, err
	}
	a, err := x.session.Activity(ctx, v, owner, cashier.Ref(x.call.Transaction))
	return owner, a, err
}

// reverseTransaction takes a transaction back and answers with the one that does
// so (section 9, 18). While nobody knows whether the processor did, it answers as
// ~process does then: with E09 (see README.md, "When the outcome is not known").
func reverseTransaction(ctx context.Context, x *exchange) (Answer, error) {
	a, err := x.Cashier.Reverse(ctx, x.session, cashier.Ref(x.call.Customer), cashier.Ref(x.call.Transaction), "")
	if err != nil && (billing.KindOf(err) != billing.OutcomeUnknown || a == nil) {
		return Answer{}, err
	}
	return x.tellTransaction(ctx, a)
}

func findTransactions(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadTransactionFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	filter := store.ActivityFilter{}
	filter.CreatedFrom, filter.CreatedTo = days(x.session.Merchant, f.CreateDateFrom, f.CreateDateTo)
	if t, given := f.Equal.Value("type"); given {
		filter.Kind, _ = kinds.core(TransactionType(t)) // of a type that there is not, no answer will match
	}
	var found []Transaction
	err = x.session.Books.View(ctx, func(v *store.View) error {
		owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
		if err != nil {
			return err
		}
		equal, err := x.relatedTo(ctx, v, owner, f)
		if err != nil {
			return err
		}
		found, err = search[*billing.Activity, Transaction]{
			page: f.Page, equal: equal,
			list: func(p store.Page) ([]*billing.Activity, error) {
				filter.Page = p
				return v.Activities(ctx, owner.ID, filter)
			},
			id: func(a *billing.Activity) int64 { return int64(a.ID) },
			named: func(r cashier.Ref) (int64, error) {
				a, err := x.session.Activity(ctx, v, owner, r)
				if err != nil {
					return 0, err
				}
				return int64(a.ID), nil
			},
			write: func(list []*billing.Activity) ([]Transaction, error) { return x.transactions(ctx, v, list) },
		}.run(ctx)
		return err
	})
	return Many(found), err
}

// relatedTo adds to the filters those by the subscription that made a
// transaction and by the transaction that adjusts it, which may be given by code.
func (x *exchange) relatedTo(ctx context.Context, v *store.View, owner *billing.Customer, f TransactionFilter) (Equal, error) {
	equal := f.Equal
	if f.SubscriptionID.Given {
		sub, err := x.session.Subscription(ctx, v, owner, cashier.Ref(f.SubscriptionID.Value))
		if err != nil {
			return nil, err
		}
		equal = append(equal, sameID("subscriptionId", int64(sub.ID)))
	}
	if f.AdjustmentID.Given {
		a, err := x.session.Activity(ctx, v, owner, cashier.Ref(f.AdjustmentID.Value))
		if err != nil {
			return nil, err
		}
		equal = append(equal, sameID("adjustmentId", int64(a.ID)))
	}
	return equal, nil
}

// sameID is a filter by the id that a reference has led to.
func sameID(name string, id int64) equalTo {
	return equalTo{name: name, value: strconv.FormatInt(id, 10), kind: equalNumber}
}

func findAllocations(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadAllocationFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	s := scribe{zone: x.session.Merchant.Zone}
	var found []Allocation
	err = x.session.Books.View(ctx, func(v *store.View) error {
		owner, a, err := x.transaction(ctx, v)
		if err != nil {
			return err
		}
		source, err := x.side(ctx, v, owner, f.SourceID)
		if err != nil {
			return err
		}
		target, err := x.side(ctx, v, owner, f.TargetID)
		if err != nil {
			return err
		}
		found, err = search[*billing.Allocation, Allocation]{
			page: f.Page, equal: f.Equal,
			list: func(p store.Page) ([]*billing.Allocation, error) { return v.Allocations(ctx, a.ID, source, target, p) },
			id:   func(m *billing.Allocation) int64 { return int64(m.ID) },
			write: func(list []*billing.Allocation) ([]Allocation, error) {
				written := make([]Allocation, len(list))
				for i, m := range list {
					written[i] = s.allocation(m)
				}
				return written, nil
			},
		}.run(ctx)
		return err
	})
	return Many(found), err
}

// side is the transaction that a filter of allocations names, 0 if it names none.
func (x *exchange) side(ctx context.Context, v *store.View, owner *billing.Customer, named Opt[Ref]) (billing.ActivityID, error) {
	if !named.Given {
		return 0, nil
	}
	a, err := x.session.Activity(ctx, v, owner, cashier.Ref(named.Value))
	if err != nil {
		return 0, err
	}
	return a.ID, nil
}
