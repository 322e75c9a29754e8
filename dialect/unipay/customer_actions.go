package unipay

import (
	"context"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// set takes over a field that is given.
func set[T any](to *T, o Opt[T]) {
	if o.Given {
		*to = o.Value
	}
}

// accountCode is how the core knows a merchant account.
func accountCode(id int64) string { return strconv.FormatInt(id, 10) }

func createCustomer(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadCustomer(x.fields, Create)
	if err != nil {
		return Answer{}, err
	}
	c := &billing.Customer{Code: f.Code.Value, Active: true}
	f.apply(c)
	if err := x.Cashier.Enroll(ctx, x.session, accountCode(f.AccountID.Value), c); err != nil {
		return Answer{}, err
	}
	return x.tellCustomer(ctx, c)
}

// apply changes a customer in the fields that are given.
func (f CustomerFields) apply(c *billing.Customer) {
	set(&c.FirstName, f.FirstName)
	set(&c.LastName, f.LastName)
	set(&c.Organization, f.OrganizationName)
	set(&c.Email, f.Email)
	set(&c.Phone, f.Phone)
	set(&c.Active, f.IsActive)
	set(&c.Address.Street1, f.Street1)
	set(&c.Address.Street2, f.Street2)
	set(&c.Address.City, f.City)
	set(&c.Address.State, f.State)
	set(&c.Address.PostalCode, f.ZipCode)
	set(&c.Address.Country, f.CountryCode)
}

func loadCustomer(ctx context.Context, x *exchange) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		c, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
		if err != nil {
			return err
		}
		list, err := x.customers(ctx, v, []*billing.Customer{c})
		if err == nil {
			answer = One(list[0])
		}
		return err
	})
	return answer, err
}

func modifyCustomer(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadCustomer(x.fields, Modify)
	if err != nil {
		return Answer{}, err
	}
	c, err := x.Cashier.ModifyCustomer(ctx, x.session, cashier.Ref(x.call.Customer), f.apply)
	if err != nil {
		return Answer{}, err
	}
	return x.tellCustomer(ctx, c)
}

// tellCustomer answers with a customer that has just been written.
func (x *exchange) tellCustomer(ctx context.Context, c *billing.Customer) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		list, err := x.customers(ctx, v, []*billing.Customer{c})
		if err == nil {
			answer = One(list[0])
		}
		return err
	})
	return answer, err
}

// customers writes customers, with their balances where the merchant wants it.
func (x *exchange) customers(ctx context.Context, v *store.View, list []*billing.Customer) ([]Customer, error) {
	s, err := newScribe(ctx, v, x.session.Merchant)
	if err != nil {
		return nil, err
	}
	balances := make(map[billing.CustomerID]int64)
	if x.choices.ShowBalance {
		if balances, err = owed(ctx, v, list); err != nil {
			return nil, err
		}
	}
	written := make([]Customer, len(list))
	for i, c := range list {
		written[i] = s.customer(c)
		if x.choices.ShowBalance {
			written[i].Balance = Some(balances[c.ID])
		}
	}
	return written, nil
}

// owed is what each customer owes, in minor units: open debts less unallocated
// credits (6.1).
func owed(ctx context.Context, v *store.View, list []*billing.Customer) (map[billing.CustomerID]int64, error) {
	ids := make([]billing.CustomerID, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	open, err := v.OpenActivities(ctx, ids)
	balances := make(map[billing.CustomerID]int64, len(list))
	for _, a := range open {
		balances[a.CustomerID] += int64(a.Kind.Side()) * a.Open.Minor()
	}
	return balances, err
}

func findCustomers(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadCustomerFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	filter := store.CustomerFilter{
		FirstName: f.FirstName.Value, LastName: f.LastName.Value, Organization: f.OrganizationName.Value, Email: f.Email.Value,
		Phone: f.Phone.Value, Street: f.Street.Value, City: f.City.Value, State: f.State.Value, PostalCode: f.ZipCode.Value,
		Country: f.CountryCode.Value,
	}
	var found []Customer
	err = x.session.Books.View(ctx, func(v *store.View) error {
		if filter.Accounts, err = x.reached(ctx, v, f.AccountID); err != nil {
			return err
		}
		found, err = search[*billing.Customer, Customer]{
			page: f.Page, equal: f.Equal,
			list: func(p store.Page) ([]*billing.Customer, error) {
				filter.Page = p
				return v.Customers(ctx, filter)
			},
			id: func(c *billing.Customer) int64 { return int64(c.ID) },
			named: func(r cashier.Ref) (int64, error) {
				c, err := x.session.Customer(ctx, v, r)
				if err != nil {
					return 0, err
				}
				return int64(c.ID), nil
			},
			write: func(list []*billing.Customer) ([]Customer, error) { return x.customers(ctx, v, list) },
		}.run(ctx)
		return err
	})
	return Many(found), err
}

// reached are the accounts in which a find looks: the one that is named, or all
// that the login reaches; none means all of the merchant's.
func (x *exchange) reached(ctx context.Context, v *store.View, named Opt[int64]) ([]billing.AccountID, error) {
	if !named.Given {
		return x.session.Login.Accounts, nil
	}
	a, err := x.session.Account(ctx, v, accountCode(named.Value))
	if err != nil {
		return nil, err
	}
	return []billing.AccountID{a.ID}, nil
}
