package cashier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
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

// formScope is what the keys are used for that name, of the forms under a
// signature, the one that is being carried out.
const formScope = "posted-form"

// BeginForm takes the carrying out of a form that is the try-th under its
// signature. It reports false if somebody else has: of two clicks at once one is
// carried out. A form that was begun and never ended, because the process died, is
// not begun again: nobody knows what it came to.
func (c *Cashier) BeginForm(ctx context.Context, m *billing.Merchant, proof string, try int) (ours bool, err error) {
	err = c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		taken, err := tx.UseKey(ctx, store.Key{Scope: formScope, Key: proof + "/" + strconv.Itoa(try), Digest: []byte{}, At: c.Now()})
		ours = !taken
		return err
	})
	return ours, err
}

// Form finds what a posted form came to.
func (c *Cashier) Form(ctx context.Context, s *Session, key string) (f *store.PostedForm, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		f, err = v.PostedForm(ctx, key, c.Now().Add(-formsKept))
		return err
	})
	return f, err
}
