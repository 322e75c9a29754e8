package simulate

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// settleByHand has an honest clerk settle one of the attempts whose outcome is
// unknown by what stands in the bank's journal. What does not stand there, or is
// of another amount, or may still be returned, he leaves alone.
func (w *world) settleByHand(ctx context.Context, p *process, shop *shop, n int) error {
	m, err := w.books.MerchantByCode(ctx, shop.code)
	if err != nil {
		return err
	}
	var list []*billing.Attempt
	err = w.books.View(ctx, shop.id, func(v *store.View) error {
		list, err = v.UnknownAttempts(ctx, false, 100)
		return err
	})
	one, ok := pick(list, n)
	if err != nil || !ok {
		return err
	}
	lines, err := w.bank.Journal(ctx, shop.code)
	if err != nil {
		return err
	}
	for i := range lines {
		l := &lines[i]
		switch l.Kind {
		case sandbox.LineCapture, sandbox.LineAuthorisation, sandbox.LineVoid, sandbox.LineRefund, sandbox.LineCredit:
		default:
			continue
		}
		if l.Reference == one.Reference && l.Amount == one.Amount {
			v := cashier.Verdict{Approved: l.Good(), Code: l.Response, Who: "clerk", Reason: "it stands in the bank's journal"}
			_, err := p.cashier.SettleByHand(ctx, m, one.ID, v)
			return err
		}
	}
	return nil
}
