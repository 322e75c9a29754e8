package simulate

import (
	"context"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

// cardVerb is what clients do with what customers pay with: a card is looked at, and
// is adopted if it is good, or what was unpaid is paid with it; and it is forgotten.
func (w *world) cardVerb(x wish) verb {
	switch x.Kind {
	case actLook:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			q := cashier.VerifyRequest{Amount: []int64{10, 100, x.N}[x.r.IntN(3)]}
			if m, ok := pick(x.who.methods, x.B); ok && x.r.IntN(2) == 0 {
				q.Method = m
			} else {
				card := number(x.r, true)
				q.Instrument, q.Number, q.Expiry = card.Instrument, card.Number, card.Expiry
			}
			_, err := p.cashier.Verify(ctx, s, x.who.ref, q)
			return err
		}
	case actInfo:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			q := cashier.BillingInfoRequest{MethodRequest: number(x.r, false), Verify: []int64{0, 10}[x.r.IntN(2)]}
			switch x.r.IntN(5) {
			case 0:
				q.KeepCard = true
				q.Change = func(m *billing.PaymentMethod) { m.Holder, m.Expiry = "Jane Smith", []string{m.Expiry, "0533"}[x.B%2] }
			case 1:
				q.Unasked = true
			case 2:
				q.Keeps = func(*billing.Attempt) bool { return true }
			}
			info, err := p.cashier.SetBillingInfo(ctx, s, x.who.ref, q)
			if err == nil && info.Method != nil {
				x.who.methods = append(x.who.methods, cashier.Ref{ID: int64(info.Method.ID)})
			}
			return err
		}
	case actClear:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			return p.cashier.ClearBillingInfo(ctx, s, x.who.ref)
		}
	default:
		return nil
	}
}
