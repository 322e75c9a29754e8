package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/store"
)

// Count tells the small numbers of objects and gives one to each that has none, see
// store.Tx.Count. Nobody waits for this but others who give numbers.
func (c *Cashier) Count(ctx context.Context, s *Session, n store.Noun, names []string, first int64) (numbers map[string]int64, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		numbers, err = v.Counted(ctx, n, names)
		return err
	})
	if err != nil || len(numbers) == len(names) {
		return numbers, err
	}
	err = c.rehearsable(ctx, s, func(tx *store.Tx) error {
		numbers, err = tx.Count(ctx, n, names, first)
		return err
	})
	return numbers, err
}
