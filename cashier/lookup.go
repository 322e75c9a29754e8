package cashier

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
)

// lookup is the question whose a login is.
type lookup struct {
	kind     string // of name
	name     string
	merchant *billing.Merchant
	login    *billing.Login
	err      error
	alone    bool // to be tried alone
}

// identify finds the login of a name and its merchant, together with those that
// others ask for at this moment. Nothing is remembered: what it finds was read
// after it was asked for.
func (c *Cashier) identify(ctx context.Context, kind, name string) (*billing.Merchant, *billing.Login, error) {
	l := &lookup{kind: kind, name: name, err: errLeft}
	if err := c.lookups.join(ctx, kind, l, c.identifyTogether); err != nil {
		return nil, nil, err
	}
	if l.alone {
		return c.Store.Identify(ctx, kind, name)
	}
	return l.merchant, l.login, l.err
}

func (c *Cashier) identifyTogether(ctx context.Context, list []*lookup) {
	if len(list) == 1 {
		l := list[0]
		l.merchant, l.login, l.err = c.Store.Identify(ctx, l.kind, l.name)
		l.alone = goAlone(l.err, len(list))
		return
	}
	names := make([]string, len(list))
	for i, l := range list {
		names[i] = l.name
	}
	kind := list[0].kind // all have the same
	found, err := c.Store.IdentifyAll(ctx, kind, names)
	for _, l := range list {
		known, ok := found[l.name]
		l.merchant, l.login, l.err, l.alone = known.Merchant, known.Login, err, err != nil
		if err == nil && !ok {
			l.err = billing.Errorf(billing.NotFound, "%s not found", kind)
		}
	}
}
