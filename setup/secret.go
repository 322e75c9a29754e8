package setup

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
)

// secrets looks at what the merchant and its clients prove messages with.
func (w *work) secrets(ctx context.Context) error {
	for _, s := range w.file.Secrets {
		value := s.Value
		if s.ValueEnv != "" {
			var given bool
			if value, given = w.fromEnv(s.Where, "value_env", s.ValueEnv); !given {
				continue
			}
			if len(value.Reveal()) < shortestKey {
				w.wrong(s.Where, "value_env", "must have at least %d characters", shortestKey)
			}
		}
		name := codes(w.file.Code, s.Name)
		had := billing.Secret{}
		if w.have != nil {
			sealed, err := w.view.MerchantSecret(ctx, s.Name)
			if err != nil {
				return err
			}
			if had, err = w.Cashier.OpenSecret(w.have, s.Name, sealed); err != nil {
				return err
			}
		}
		keep := func(ctx context.Context) error { return w.Cashier.KeepSecret(ctx, w.want, s.Name, value) }
		switch {
		case had.IsZero():
			w.create(s.Where, "secret", name, keep)
		case had.Reveal() != value.Reveal():
			w.modify(s.Where, Change{Noun: "secret", Name: name, Fields: fields{"value"}}, keep)
		default:
			w.modify(s.Where, Change{Noun: "secret", Name: name}, nil)
		}
	}
	return nil
}
