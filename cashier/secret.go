package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// KeepSecret seals, under a name, what a merchant and its clients prove messages
// to each other with, in place of what was kept under it.
func (c *Cashier) KeepSecret(ctx context.Context, m *billing.Merchant, name string, secret billing.Secret) error {
	keys, err := c.keys(m)
	if err != nil {
		return err
	}
	sealed, err := keys.Seal([]byte(secret.Reveal()), sealedForMerchant(name))
	if err != nil {
		return err
	}
	return c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		return tx.PutMerchantSecret(ctx, name, sealed, c.Now())
	})
}

// MerchantSecret opens what is kept under a name, zero if nothing is.
func (c *Cashier) MerchantSecret(ctx context.Context, m *billing.Merchant, name string) (billing.Secret, error) {
	var sealed []byte
	err := c.Store.View(ctx, m.ID, func(v *store.View) (err error) {
		sealed, err = v.MerchantSecret(ctx, name)
		return err
	})
	if err != nil {
		return billing.Secret{}, err
	}
	return c.OpenSecret(m, name, sealed)
}

// OpenSecret opens what was read of a merchant's secret, zero if there is none.
func (c *Cashier) OpenSecret(m *billing.Merchant, name string, sealed []byte) (billing.Secret, error) {
	if sealed == nil {
		return billing.Secret{}, nil
	}
	keys, err := c.keys(m)
	if err != nil {
		return billing.Secret{}, err
	}
	plain, err := keys.Open(sealed, sealedForMerchant(name))
	return billing.NewSecret(string(plain)), err
}

// sealedForMerchant is the associated data that binds a merchant's secret to what
// it is for; whose it is the keys tell.
func sealedForMerchant(name string) string { return "merchant_secret/" + name }
