package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// judge holds the books against the promises, once the world is at rest.
func (w *world) judge() error {
	var text strings.Builder
	for _, s := range w.shops {
		l, err := w.read(s)
		if err != nil {
			return err
		}
		j := &judgement{w: w, ledgers: l}
		if err := j.queues(); err != nil {
			return err
		}
		j.sums()
		j.covers()
		j.outcomes()
		j.held()
		j.bank()
		j.claims()
		j.debts()
		j.dates()
		j.deals()
		j.paper()
		j.velocity()
		j.returned()
		if err := j.audit(); err != nil {
			return err
		}
		w.result.Attempts += len(l.attempts)
		text.WriteString(l.text())
	}
	w.result.Books = text.String()
	return w.judgeKeys()
}

// judgement is the judging of one merchant's books.
type judgement struct {
	w *world
	*ledgers
}

func (j *judgement) fault(rule, format string, args ...any) {
	j.w.fault(rule, "%s: %s", j.shop.code, fmt.Sprintf(format, args...))
}

// queues checks that nothing that is due is left.
func (j *judgement) queues() error {
	work, err := j.w.work(j.shop)
	if err != nil {
		return err
	}
	now := j.merchant.Now(j.w.wall)
	if first := work.First(); !first.IsZero() && !first.After(now) {
		j.fault("left", "it is %s and something is due since %s: %+v", now.Format(time.DateTime), first.Format(time.DateTime), work)
	}
	return nil
}

// sums checks that the entries of each activity sum to zero, that what a
// customer owes by the entries is what the activities say, and that each
// activity with entries is its open part and its allocations.
func (j *judgement) sums() {
	total := map[int64]int64{}
	owed := map[int64]int64{} // by activity
	byCustomer := map[int64]int64{}
	for _, e := range j.entries {
		total[e.activity] += e.amount
		if e.ledger == string(billing.Receivable) {
			owed[e.activity] += e.amount
			byCustomer[e.customer] += e.amount
		}
	}
	held := map[int64]int64{}
	for _, a := range j.allocations {
		if a.ended == 0 {
			held[a.source] += a.amount
			held[a.target] += a.amount
		}
	}
	open := map[int64]int64{}
	for _, a := range j.activities {
		if total[a.id] != 0 {
			j.fault("entries", "those of %s %d sum to %d", a.kind, a.id, total[a.id])
		}
		open[a.customer] += int64(a.kind.Side()) * a.open
		if owed[a.id] == 0 {
			if a.amount != 0 && (a.open != 0 || held[a.id] != 0) {
				j.fault("open", "%s %d (%s) was never posted, yet %d of it is open and %d allocated", a.kind, a.id, a.state, a.open, held[a.id])
			}
			continue
		}
		if want := int64(a.kind.Side()) * a.amount; owed[a.id] != want {
			j.fault("entries", "%s %d of %d is posted as %d receivable", a.kind, a.id, a.amount, owed[a.id])
		}
		if a.open+held[a.id] != a.amount {
			j.fault("open", "%s %d (%s) of %d has %d open and %d allocated", a.kind, a.id, a.state, a.amount, a.open, held[a.id])
		}
	}
	for c, n := range open {
		if byCustomer[c] != n {
			j.fault("receivable", "customer %d owes %d by the activities and %d by the entries", c, n, byCustomer[c])
		}
	}
}

// covers checks that no customer has a debt and a credit open at once, which
// should cover each other.
func (j *judgement) covers() {
	var debit, credit = map[int64]*item{}, map[int64]*item{}
	for _, a := range j.activities {
		switch {
		case a.open == 0:
		case a.kind.Side() == billing.Debit:
			debit[a.customer] = a
		default:
			credit[a.customer] = a
		}
	}
	for _, a := range j.activities { // for the order
		if d, c := debit[a.customer], credit[a.customer]; d == a && c != nil {
			j.fault("balance", "customer %d owes %d of %s %d and has %d of %s %d", a.customer, d.open, d.kind, d.id, c.open, c.kind, c.id)
		}
	}
}

// outcomes checks that the fate of each attempt is known.
func (j *judgement) outcomes() {
	for _, a := range j.attempts {
		switch {
		case a.lease != 0:
			j.fault("attempt", "%s %d (%s) is still in somebody's hands", a.kind, a.id, a.state)
		case a.state == billing.AttemptPending && a.check == 0:
			j.fault("attempt", "%s %d is pending and nobody will ask about it", a.kind, a.id)
		case a.state == billing.Sending, a.state == billing.AttemptUnknown:
			j.fault("attempt", "%s %d is %s for ever", a.kind, a.id, a.state)
		}
		if a.kind == billing.AskAuthorize || a.kind == billing.AskVoid && a.activity == 0 {
			continue // a look at a card is in nobody's account
		}
		if x := j.activity[a.activity]; x == nil && a.state != billing.AttemptDeclined {
			j.fault("attempt", "%s %d is %s and has no activity", a.kind, a.id, a.state)
		}
	}
	for _, a := range j.activities {
		if a.claimedBy != 0 {
			j.fault("attempt", "%s %d is claimed by %d for ever", a.kind, a.id, a.claimedBy)
		}
		if a.state == billing.Unknown {
			j.fault("attempt", "%s %d is unknown for ever", a.kind, a.id)
		}
	}
}

// held checks that nothing that was authorised is held, unless the bank has refused
// to let go of it for as long as it is asked.
func (j *judgement) held() {
	refused, let := map[int64]int{}, map[int64]int{}
	for _, a := range j.attempts {
		if a.kind != billing.AskVoid || a.activity != 0 {
			continue
		}
		if a.state == billing.AttemptApproved {
			let[a.parent]++
		} else {
			refused[a.parent]++
		}
	}
	for _, a := range j.attempts {
		switch {
		case a.kind != billing.AskAuthorize:
		case a.state != billing.AttemptApproved && let[a.id]+refused[a.id] != 0:
			j.fault("held", "%s %d is %s, and was let go of", a.kind, a.id, a.state)
		case a.state == billing.AttemptApproved && let[a.id] != 1 && refused[a.id] < mostVoids:
			j.fault("held", "%s %d was let go of %d times, and refused to be %d times", a.kind, a.id, let[a.id], refused[a.id])
		}
	}
}

// mostVoids is how often the cashier asks for the void of an authorisation.
const mostVoids = 8

// purse is where the money of one attempt lies.
type purse struct{ cash, transit int64 }

// bank compares the journal of the bank with our books, attempt by attempt and
// to the cent.
func (j *judgement) bank() {
	theirs := j.theirs()
	ours := map[string]purse{}
	for _, e := range j.entries {
		a := j.activity[e.activity]
		t := j.attempt[a.attempt]
		if t == nil {
			if strings.HasSuffix(e.ledger, ":"+sandbox.Name) {
				j.fault("bank", "%s %d moves money at the bank without an attempt", a.kind, a.id)
			}
			continue
		}
		p := ours[t.reference]
		switch e.ledger {
		case "cash:" + sandbox.Name:
			p.cash += e.amount
		case "transit:" + sandbox.Name:
			p.transit += e.amount
		}
		ours[t.reference] = p
	}
	for _, a := range j.attempts {
		if ours[a.reference] != theirs[a.reference] {
			j.fault("bank", "%s %d of %d, %s (%s %s): the bank has %+v, our books %+v", a.kind, a.id, a.amount, a.state, a.response, a.message,
				theirs[a.reference], ours[a.reference])
		}
		delete(theirs, a.reference)
	}
	for r, p := range theirs {
		j.fault("bank", "the bank knows %s with %+v, which is no attempt of ours", r, p)
	}
}

// theirs sums the bank's journal by reference.
func (j *judgement) theirs() map[string]purse {
	sum := map[string]purse{}
	settled := map[string]bool{}
	card := map[string]bool{}
	alone := map[string]bool{} // authorised, and nothing taken
	for i := range j.journal {
		l := &j.journal[i]
		if !l.Good() {
			continue
		}
		p, n := sum[l.Reference], l.Amount.Minor()
		switch l.Kind {
		case sandbox.LineCapture:
			card[l.Reference] = true
			p.cash += n
			j.w.result.Captured++
		case sandbox.LineClaim:
			p.transit += n
			j.w.result.Captured++
		case sandbox.LineSettlement:
			settled[l.Reference] = true
			p.transit -= n
			p.cash += n
		case sandbox.LineReturn:
			if settled[l.Reference] {
				p.cash -= n
			} else {
				p.transit -= n
			}
		case sandbox.LineVoid:
			if alone[l.Original] {
				break
			}
			if card[l.Original] {
				p.cash -= n
			} else {
				p.transit -= n
			}
		case sandbox.LineRefund, sandbox.LineCredit, sandbox.LineChargeback:
			p.cash -= n
		case sandbox.LineReversal:
			p.cash += n
		case sandbox.LineAuthorisation:
			alone[l.Reference] = true
		case sandbox.LineChange:
		}
		sum[l.Reference] = p
	}
	return sum
}

// targets are the debts that an attempt was made for.
func (a *attempt) targets() []billing.ActivityID {
	var d billing.Details
	if a.details != "" {
		_ = json.Unmarshal([]byte(a.details), &d) // the store has read it before
	}
	return d.Targets
}

// claims checks that each claim that was taken covered, when it was taken, debts
// of just its amount: so none was taken for a debt that was paid already.
func (j *judgement) claims() {
	for _, a := range j.attempts {
		x := j.activity[a.activity]
		if !a.claim || x == nil || a.kind != billing.AskCharge {
			continue
		}
		targets := a.targets()
		var sum int64
		for _, m := range j.allocations {
			if i := slices.Index(targets, billing.ActivityID(m.target)); m.source == x.id && i >= 0 {
				targets = slices.Delete(targets, i, i+1) // later ones come of what was taken back and given again
				sum += m.amount
			}
		}
		posted := slices.ContainsFunc(j.entries, func(e entry) bool { return e.activity == x.id })
		if posted && sum != x.amount {
			j.fault("twice", "claim %d took %d and covered %d of the debts that it was for", x.id, x.amount, sum)
		}
	}
}

// debts checks that each open debt that a billing date brought is claimed again
// some day, or rests for a reason.
func (j *judgement) debts() {
	methods := map[int64]int64{}
	for _, s := range j.subs {
		methods[s.id] = s.method
	}
	now := j.merchant.Now(j.w.wall).UnixMicro()
	for _, d := range j.activities {
		if d.period < 0 || d.open == 0 || d.collectAt > now || !d.kind.IsDebt() {
			continue
		}
		if d.collectAt != 0 {
			j.fault("forgotten", "%s %d of %s is to be claimed since %s", d.kind, d.id, d.due, time.UnixMicro(d.collectAt).UTC())
			continue
		}
		if j.inactive[d.customer] || j.inactive[methods[d.subscription]] || j.exhausted(d) || j.freed(d) {
			continue
		}
		j.fault("forgotten", "%s %d of %s with %d open is never claimed again: %+v", d.kind, d.id, d.due, d.open, *d)
	}
}

// exhausted says whether a debt has been declined for good.
func (j *judgement) exhausted(d *item) bool {
	days := j.merchant.Settings.RetryDays
	if d.tries > int64(len(days)) || d.tries > 0 && days[d.tries-1] == 0 {
		return true
	}
	hard := false
	for _, a := range j.attempts {
		if a.claim && slices.Contains(a.targets(), billing.ActivityID(d.id)) && a.state == billing.AttemptDeclined {
			hard = a.response.Severity() == billing.Hard
		}
	}
	return hard && d.tries > 0
}

// freed says whether somebody took back what had paid a debt: the merchant by
// hand, or the customer's bank.
func (j *judgement) freed(d *item) bool {
	for _, m := range j.allocations {
		if m.target != d.id || m.ended == 0 {
			continue
		}
		source := j.activity[m.source]
		if by := j.activity[source.adjustedBy]; by != nil && by.kind != billing.Decline {
			return true
		}
	}
	return false
}

// judgeKeys sends every key once more: it must stand for what it stood for, and
// nothing may move.
func (w *world) judgeKeys() error {
	for _, s := range w.shops {
		l, err := w.read(s)
		if err != nil {
			return err
		}
		session, err := w.session(w.ctx, w.processes[0], s)
		if err != nil {
			return err
		}
		for _, k := range s.keys {
			attempt, used := l.keys[k.known()]
			if !used {
				if k.attempt != 0 || k.transaction != 0 {
					w.fault("key", "%s: %s stood for attempt %d and is not known", s.code, k.request.Key, k.attempt)
				}
				continue
			}
			if k.wire {
				if err := (caller{w, w.processes[0], s}).judgeKey(w.ctx, k, l.attempt[attempt]); err != nil {
					return err
				}
				continue
			}
			receipt, err := w.processes[0].cashier.Charge(w.ctx, session, k.customer, k.request)
			switch {
			case err != nil:
				w.fault("key", "%s: %s stands for attempt %d, replayed: %v", s.code, k.request.Key, attempt, err)
			case !receipt.Replayed || int64(receipt.Attempt.ID) != attempt || receipt.Activity.ID != receipt.Attempt.ActivityID:
				w.fault("key", "%s: %s stands for attempt %d, replayed it is %d", s.code, k.request.Key, attempt, receipt.Attempt.ID)
			case k.attempt != 0 && int64(k.attempt) != attempt:
				w.fault("key", "%s: %s was told as attempt %d, and is %d", s.code, k.request.Key, k.attempt, attempt)
			}
		}
	}
	return nil
}
