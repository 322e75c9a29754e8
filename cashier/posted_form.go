package cashier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// formsKept is how long what a posted form came to can be asked for.
const formsKept = 24 * time.Hour

// KeepForm keeps what a browser's form that was posted straight here came to, and
// makes the key by which the merchant asks for it.
func (c *Cashier) KeepForm(ctx context.Context, m *billing.Merchant, f *store.PostedForm) error {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	now := c.Now()         // the world's: the browser does not wait for a merchant's clock
	f.Key, f.CreatedAt = hex.EncodeToString(b[:]), now
	return c.Store.Update(ctx, m.ID, func(tx *store.Tx) error { return tx.InsertPostedForm(ctx, f, now.Add(-formsKept)) })
}

// Form finds what a posted form came to.
func (c *Cashier) Form(ctx context.Context, s *Session, key string) (f *store.PostedForm, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		f, err = v.PostedForm(ctx, key, c.Now().Add(-formsKept))
		return err
	})
	return f, err
}
