package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// heldKey names a request that is late.
type heldKey struct{ merchant, reference string }

// held is a request that the client believes lost and that is still on its way.
// It lives in the memory of the process, as it would in that of a router.
type held struct {
	order   *order
	terms   Terms
	lookups int // that find nothing before it arrives, -1 none makes it arrive
}

// hold keeps a request on its way.
func (b *Bank) hold(o *order, terms Terms, lookups int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[heldKey{o.merchant, o.reference}] = &held{o, terms, lookups}
}

// release forgets a request that is on its way, and returns it, nil if there is
// none.
func (b *Bank) release(merchant, reference string) *held {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := heldKey{merchant, reference}
	h := b.held[k]
	delete(b.held, k)
	return h
}

// lookFor is what a look-up does to a request that is on its way: it counts,
// and at last the request arrives.
func (b *Bank) lookFor(ctx context.Context, merchant, reference string) error {
	b.mu.Lock()
	h := b.held[heldKey{merchant, reference}]
	if h == nil {
		b.mu.Unlock()
		return nil
	}
	if h.lookups != 0 {
		if h.lookups > 0 {
			h.lookups--
		}
		b.mu.Unlock()
		return errNotFound
	}
	b.mu.Unlock()
	return b.deliver(ctx, merchant, reference)
}

// deliver lets a request arrive.
func (b *Bank) deliver(ctx context.Context, merchant, reference string) error {
	h := b.release(merchant, reference)
	if h == nil {
		return nil
	}
	if _, err := b.act(ctx, h.order, h.terms); err != nil {
		return fmt.Errorf("sandbox: deliver a late request: %w", err)
	}
	return nil
}

// Deliver lets all requests arrive that were held back by the trouble Late, in
// the order of merchants and references, and tells how many there were.
func (b *Bank) Deliver(ctx context.Context) (int, error) {
	b.mu.Lock()
	keys := make([]heldKey, 0, len(b.held))
	for k := range b.held {
		keys = append(keys, k)
	}
	b.mu.Unlock()
	slices.SortFunc(keys, func(x, y heldKey) int {
		return cmp.Or(cmp.Compare(x.merchant, y.merchant), cmp.Compare(x.reference, y.reference))
	})
	for _, k := range keys {
		if err := b.deliver(ctx, k.merchant, k.reference); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
