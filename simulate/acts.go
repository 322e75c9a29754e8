package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/store"
)

// verb is something that a client asks for.
type verb func(ctx context.Context, p *process, s *cashier.Session) error

// wish is what a client wants: an act, for whom, and the lot that fills in the
// rest.
type wish struct {
	Act
	shop *shop
	who  *person
	r    *rand.Rand
	wire bool // it is said over the wire, where the wire has words for it
}

// play plays one act: someone begins what it says, and then the lot decides who
// moves, until all is done or, at times, only for a while.
func (w *world) play(a Act) {
	r := lottery(a.Lot, 2)
	shop := w.shops[a.M%len(w.shops)]
	p := w.processes[r.IntN(len(w.processes))]
	if do := w.client(a, shop, r); do != nil {
		w.begin(p, string(a.Kind), func(ctx context.Context) error {
			s, err := w.session(ctx, p, shop)
			if err != nil {
				return err
			}
			return do(ctx, p, s)
		})
	} else {
		w.surroundings(a, shop, p, r)
	}
	if r.IntN(100) < w.story.Idle {
		w.settle(r, r.IntN(6))
		return
	}
	w.settle(r, -1)
}

// surroundings plays what no client does: time, workers, the bank, death.
func (w *world) surroundings(a Act, shop *shop, p *process, r *rand.Rand) {
	switch a.Kind {
	case actTrouble:
		w.trouble(a, shop, r)
	case actCalm:
		w.check(w.bank.SetFaults(w.ctx, shop.code))
	case actDown:
		w.line.down, w.line.acts = int(a.N), a.B%2 == 0
	case actTwice:
		w.line.twice = int(a.N)
	case actCrossed:
		w.line.crossed = int(a.N)
	case actRepeat:
		w.line.repeat = int(a.N)
	case actDeliver:
		_, err := w.bank.Deliver(w.ctx)
		w.check(err)
	case actMinutes:
		w.wall = w.wall.Add(time.Duration(a.N) * time.Minute)
	case actDays:
		w.forward(shop, p, int(a.N))
		for i := range w.processes {
			if i == 0 || r.IntN(2) == 0 {
				w.run(w.processes[i])
			}
		}
	case actRun:
		w.run(p)
	case actBillToday:
		w.begin(p, "bill today", func(ctx context.Context) error {
			m, err := w.books.MerchantByCode(ctx, shop.code)
			if err != nil {
				return err
			}
			_, err = p.runner.AsOf(ctx, shop.id, m.Today(m.Now(w.wall)))
			return err
		})
	case actByHand:
		w.begin(p, "clerk", func(ctx context.Context) error { return w.settleByHand(ctx, p, shop, a.A) })
	case actKill:
		w.kill(p)
	case actGoOn:
		w.settle(r, -1)
	default:
	}
}

// check notes what must not happen to the simulator itself.
func (w *world) check(err error) {
	if err != nil {
		w.fault("simulator", "%v", err)
	}
}

// run has a worker do all that is due.
func (w *world) run(p *process) {
	w.begin(p, "worker", func(ctx context.Context) error {
		_, err := p.runner.Once(ctx)
		return err
	})
}

// forward moves a merchant's clock; a live merchant's only with the world's.
func (w *world) forward(shop *shop, p *process, days int) {
	m, err := w.books.MerchantByCode(w.ctx, shop.code)
	if err != nil {
		w.check(err)
		return
	}
	if m.Mode == billing.Live {
		w.wall = w.wall.Add(time.Duration(days) * 24 * time.Hour)
		return
	}
	w.wall = w.wall.Add(time.Minute)
	at := m.Now(w.wall).Add(time.Duration(days) * 24 * time.Hour)
	if _, err := p.cashier.SetClock(w.ctx, m.ID, m.Clock.Mode, at); err != nil && !refusal(err) {
		w.check(err)
	}
}

// trouble sets what the bank does wrong for a merchant.
func (w *world) trouble(a Act, shop *shop, r *rand.Rand) {
	acts := []string{"charge", "void", "refund", "credit"}
	var faults []sandbox.Fault
	for range 1 + a.A%3 {
		f := sandbox.Fault{Count: 1 + r.IntN(4)}
		switch r.IntN(14) {
		case 0:
			f.Do, f.Response = sandbox.Decline, []billing.ResponseCode{"05", "51", "14", "91"}[r.IntN(4)]
		case 1:
			f.Do = sandbox.TimeoutBefore
		case 2:
			f.Do = sandbox.TimeoutAfter
		case 3:
			f.Do = sandbox.CutBefore
		case 4:
			f.Do = sandbox.CutAfter
		case 5:
			f.Do = sandbox.CutMidway
		case 6:
			f.Do = sandbox.ErrorBefore
		case 7:
			f.Do = sandbox.ErrorAfter
		case 8:
			f.Do = sandbox.MalformedAfter
		case 9, 10:
			f.Do, f.Lookups = sandbox.Late, r.IntN(4)-1
		case 11, 12:
			f.Do = sandbox.InProgress
		case 13:
			f.Do, f.On = sandbox.Unseen, []string{sandbox.OnLookup}
		}
		switch {
		case f.On != nil:
		case f.Do == sandbox.Late || f.Do == sandbox.Decline || r.IntN(3) == 0:
			f.On = acts[:1+r.IntN(4)]
		case r.IntN(3) == 0:
			f.On = []string{sandbox.OnLookup}
		case r.IntN(4) == 0:
			f.On = []string{sandbox.OnNotices}
		}
		if w.story.Cards && slices.Contains(f.On, acts[0]) {
			f.On = append(slices.Clone(f.On), string(billing.AskAuthorize))
		}
		w.log("  trouble %+v", f)
		faults = append(faults, f)
	}
	w.check(w.bank.SetFaults(w.ctx, shop.code, faults...))
}

// client finds what a client does in an act, nil if it is none of a client's.
func (w *world) client(a Act, shop *shop, r *rand.Rand) verb {
	none := func(context.Context, *process, *cashier.Session) error { return nil }
	if a.Kind == actCustomer {
		return w.enrol(wish{Act: a, shop: shop, r: r})
	}
	customer, ok := pick(shop.customers, a.A)
	x := wish{Act: a, shop: shop, who: customer, r: r, wire: a.Lot%3 == 0}
	if do := w.moneyVerb(x); do != nil {
		if !ok {
			return none
		}
		return do
	}
	if do := w.cardVerb(x); do != nil {
		if !ok {
			return none
		}
		return do
	}
	if do := (dealer{w}).verb(x); do != nil {
		if !ok || len(shop.stock.plans) == 0 {
			return none
		}
		return do
	}
	if do := w.termsVerb(x); do != nil {
		if !ok {
			return none
		}
		return do
	}
	return nil
}

// moneyVerb is what clients do with money.
func (w *world) moneyVerb(x wish) verb {
	switch x.Kind {
	case actCharge, actKeyed, actCredit, actInstalment:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			return w.charge(ctx, x, p, s)
		}
	case actReplay, actTwist:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			return w.again(ctx, x, p, s)
		}
	case actReverse:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			list, err := activities(ctx, s, x.who)
			if x.r.IntN(3) > 0 { // what came from the processor is of most interest
				list = slices.DeleteFunc(list, func(y *billing.Activity) bool { return y.AttemptID == 0 || y.AdjustedBy != 0 })
			}
			// A chargeback that a clerk takes back by hand is his word against the bank's.
			if one, ok := pick(list, x.B); ok && one.Kind != billing.Chargeback {
				if x.wire {
					return caller{w, p, x.shop}.order(ctx, x.who, fmt.Sprintf("transactions/%d/~reverse", one.ID), map[string]string{})
				}
				_, err = p.cashier.Reverse(ctx, s, x.who.ref, cashier.Ref{ID: int64(one.ID)}, "")
			}
			return err
		}
	case actRefund:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			list, err := activities(ctx, s, x.who)
			list = slices.DeleteFunc(list, func(y *billing.Activity) bool { return y.Kind != billing.Payment && y.Kind != billing.Claim })
			one, ok := pick(list, x.B)
			if !ok || err != nil {
				return err
			}
			q := cashier.RefundRequest{Ends: x.r.IntN(4) == 0}
			if x.r.IntN(4) > 0 {
				q.Amount = max(one.Amount.Minor()/(1+x.r.Int64N(4)), 1)
			}
			if x.r.IntN(4) == 0 {
				q.By = []billing.AttemptKind{billing.AskVoid, billing.AskRefund}[x.r.IntN(2)]
			}
			_, err = p.cashier.Refund(ctx, s, one.ID, q)
			return err
		}
	case actRecord:
		return func(ctx context.Context, p *process, s *cashier.Session) error {
			kinds := []cashier.RecordRequest{{Kind: billing.Invoice}, {Kind: billing.ServiceFee}, {Kind: billing.Credit}, {Kind: billing.LateFee},
				{Kind: billing.Payment, Instrument: billing.Cash}, {Kind: billing.Payment, Instrument: billing.Allowance},
				{Kind: billing.Refund, Instrument: billing.Check}, {Kind: billing.WriteOff, Instrument: billing.WrittenOff}}
			q := kinds[x.B%len(kinds)]
			q.Amount, q.Tax = x.N, []int64{0, 17}[x.r.IntN(2)]
			if x.r.IntN(3) == 0 {
				q.Due = s.Today().AddDays(x.r.IntN(20) - 5)
			}
			_, err := p.cashier.Record(ctx, s, x.who.ref, q)
			return err
		}
	default:
		return nil
	}
}

// activities lists a customer's account.
func activities(ctx context.Context, s *cashier.Session, who *person) (list []*billing.Activity, err error) {
	err = s.Books.View(ctx, func(v *store.View) error {
		list, err = v.Activities(ctx, billing.CustomerID(who.ref.ID), store.ActivityFilter{Page: store.Page{Limit: 10_000}})
		return err
	})
	return list, err
}

// charge charges a card or account, or pays to one.
func (w *world) charge(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	q := cashier.ChargeRequest{Amount: x.N, Tax: []int64{0, 11}[x.r.IntN(2)], Credit: x.Kind == actCredit}
	method, ok := pick(x.who.methods, x.B)
	switch {
	case ok && x.r.IntN(2) == 0:
		q.Method = method
	default:
		n := number(x.r, true)
		q.Instrument, q.Number, q.Expiry, q.Routing = n.Instrument, n.Number, n.Expiry, n.Routing
	}
	if x.Kind == actInstalment {
		list, err := activities(ctx, s, x.who)
		if err != nil {
			return err
		}
		for _, d := range list {
			if d.Kind.IsDebt() && d.Open.Sign() > 0 && x.r.IntN(2) == 0 {
				q.Invoices = append(q.Invoices, cashier.Ref{ID: int64(d.ID)})
				q.Amount = d.Open.Minor()
			}
		}
	}
	k := &keyed{customer: x.who.ref, request: q, wire: x.wire}
	if x.Kind == actKeyed {
		k.request.Key = fmt.Sprintf("key%d", len(x.shop.keys))
		x.shop.keys = append(x.shop.keys, k)
	}
	if k.wire {
		return caller{w, p, x.shop}.charge(ctx, k)
	}
	receipt, err := p.cashier.Charge(ctx, s, x.who.ref, k.request)
	if err == nil {
		w.told(k, receipt)
	}
	return err
}

// told notes what a client was told of a charge with a key; it must always be
// the same.
func (w *world) told(k *keyed, r *cashier.Receipt) {
	if k.request.Key == "" {
		return
	}
	if k.attempt != 0 && k.attempt != r.Attempt.ID {
		w.fault("key", "%s stood for attempt %d and now for %d", k.request.Key, k.attempt, r.Attempt.ID)
	}
	k.attempt = r.Attempt.ID
}

// again sends a charge with a used key once more, or another one with its key.
func (w *world) again(ctx context.Context, x wish, p *process, s *cashier.Session) error {
	k, ok := pick(x.shop.keys, x.B)
	if !ok {
		return nil
	}
	if x.Kind == actReplay {
		if k.wire {
			return caller{w, p, x.shop}.charge(ctx, k)
		}
		receipt, err := p.cashier.Charge(ctx, s, k.customer, k.request)
		if err == nil {
			w.told(k, receipt)
		}
		return err
	}
	if k.attempt == 0 && k.transaction == 0 {
		return nil
	}
	other := k.request
	other.Amount++
	if k.wire {
		return caller{w, p, x.shop}.twist(ctx, k, other)
	}
	if _, err := p.cashier.Charge(ctx, s, k.customer, other); billing.KindOf(err) != billing.Conflict {
		w.fault("key", "%s was taken for another charge: %v", k.request.Key, err)
	}
	return nil
}

// number draws a card or bank account. Raw is one that comes with a request.
func number(r *rand.Rand, raw bool) cashier.MethodRequest {
	cards := []string{"4111111111111111", "4111111111111111", "4111111111111111", "4111111111111111", "4000000000009995",
		"4000000000000069", "4000000000000259", "4000000000000267", "4000000000006017", "4000000000006009", "4000000000002024",
		"4000000000006033", "4000000000006058", "4000000000006066", "4000000000006074", "4000000000006082", "4000000000006090",
		"4000000000000309"}
	accounts := []string{"4099999992", "4099999992", "4099999992", "9000000101", "9000000102", "9000000207", "9000000210", "9000000303",
		"9000000109"}
	if r.IntN(3) == 0 {
		return cashier.MethodRequest{Instrument: billing.Checking, Number: billing.NewSecret(accounts[r.IntN(len(accounts))]),
			Routing: "021000021", Active: true}
	}
	if raw {
		cards = append(cards, "4000000000006041") // never answers: given up when the number is not kept
	}
	return cashier.MethodRequest{Instrument: billing.VisaCredit, Number: billing.NewSecret(cards[r.IntN(len(cards))]), Expiry: "0430", Active: true}
}
