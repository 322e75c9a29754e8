package unipay

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// createPaymentOption puts a card or bank account into the vault. The security
// code is read and let go of: no payment is made here that it could prove.
func createPaymentOption(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadPaymentOption(x.fields, Create)
	if err != nil {
		return Answer{}, err
	}
	instrument, _ := instruments.core(f.Type.Value.AccountType())
	r := cashier.MethodRequest{
		Code: f.Code.Value, Instrument: instrument, Number: billing.NewSecret(f.AccountNumber.Reveal()), Token: f.Token.Value,
		Holder: f.HolderName.Value, Phone: f.Phone.Value, Email: f.Email.Value, Active: f.IsActive.Or(true),
		Address: billing.Address{Street1: f.Street1.Value, Street2: f.Street2.Value, City: f.City.Value, State: f.State.Value,
			PostalCode: f.ZipCode.Value, Country: f.CountryCode.Value},
	}
	if instrument.IsBank() {
		r.Routing = f.AccountAccessory.Value
	} else {
		r.Expiry = f.AccountAccessory.Value
	}
	m, err := x.Cashier.AddPaymentMethod(ctx, x.session, cashier.Ref(x.call.Customer), r)
	if err != nil {
		return Answer{}, err
	}
	return x.tellPaymentOption(m), nil
}

// tellPaymentOption answers with a payment option. It shows no account, so
// nothing has to be read for it.
func (x *exchange) tellPaymentOption(m *billing.PaymentMethod) Answer {
	return One(scribe{zone: x.session.Merchant.Zone}.paymentOption(m))
}

func loadPaymentOption(ctx context.Context, x *exchange) (answer Answer, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
		if err != nil {
			return err
		}
		m, err := x.session.PaymentMethod(ctx, v, owner, cashier.Ref(x.call.PaymentOption))
		if err == nil {
			answer = x.tellPaymentOption(m)
		}
		return err
	})
	return answer, err
}

// modifyPaymentOption changes what may change: not the number, the type or the
// routing number, which make another payment option (4.2).
func modifyPaymentOption(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadPaymentOption(x.fields, Modify)
	if err != nil {
		return Answer{}, err
	}
	customer, option := cashier.Ref(x.call.Customer), cashier.Ref(x.call.PaymentOption)
	m, err := x.Cashier.ModifyPaymentMethod(ctx, x.session, customer, option, func(m *billing.PaymentMethod) error {
		set(&m.Holder, f.HolderName)
		set(&m.Active, f.IsActive)
		set(&m.Address.Street1, f.Street1)
		set(&m.Address.Street2, f.Street2)
		set(&m.Address.City, f.City)
		set(&m.Address.State, f.State)
		set(&m.Address.PostalCode, f.ZipCode)
		set(&m.Address.Country, f.CountryCode)
		set(&m.Phone, f.Phone)
		set(&m.Email, f.Email)
		if m.Instrument.IsCard() {
			set(&m.Expiry, f.AccountAccessory)
		}
		return nil
	})
	if err != nil {
		return Answer{}, err
	}
	return x.tellPaymentOption(m), nil
}

func findPaymentOptions(ctx context.Context, x *exchange) (Answer, error) {
	f, err := ReadPaymentOptionFilter(x.fields)
	if err != nil {
		return Answer{}, err
	}
	s := scribe{zone: x.session.Merchant.Zone}
	var found []PaymentOption
	err = x.session.Books.View(ctx, func(v *store.View) error {
		owner, err := x.session.Customer(ctx, v, cashier.Ref(x.call.Customer))
		if err != nil {
			return err
		}
		found, err = search[*billing.PaymentMethod, PaymentOption]{
			page: f.Page, equal: f.Equal,
			list: func(p store.Page) ([]*billing.PaymentMethod, error) { return v.PaymentMethods(ctx, owner.ID, p) },
			id:   func(m *billing.PaymentMethod) int64 { return int64(m.ID) },
			named: func(r cashier.Ref) (int64, error) {
				m, err := x.session.PaymentMethod(ctx, v, owner, r)
				if err != nil {
					return 0, err
				}
				return int64(m.ID), nil
			},
			write: func(list []*billing.PaymentMethod) ([]PaymentOption, error) {
				written := make([]PaymentOption, len(list))
				for i, m := range list {
					written[i] = s.paymentOption(m)
				}
				return written, nil
			},
		}.run(ctx)
		return err
	})
	return Many(found), err
}
