package simulate

import (
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// verdict is what a billing date calls for.
type verdict int

const (
	must  verdict = iota // an invoice
	may                  // either: a change came on the very day
	never                // none
)

// dates checks that each billing date up to today of each subscription has its
// invoice, unless it was frozen, paused or cancelled, and that no other has one.
// The schedule is computed here a second time, from the terms of the subscription
// and what clients asked for, not from where the billing run thinks it is.
func (j *judgement) dates() {
	invoices := map[int64]map[int64]*item{}
	for _, a := range j.activities {
		if a.period >= 0 {
			if invoices[a.subscription] == nil {
				invoices[a.subscription] = map[int64]*item{}
			}
			invoices[a.subscription][a.period] = a
		}
	}
	for _, s := range j.subs {
		j.schedule(s, invoices[s.id])
	}
}

func (j *judgement) schedule(s *subscription, invoices map[int64]*item) {
	first, err := billing.ParseDate(s.first)
	j.w.check(err)
	invoicing := first
	if s.invoicing != "" {
		invoicing, err = billing.ParseDate(s.invoicing)
		j.w.check(err)
	}
	issued := int64(j.shop.billed[billing.SubscriptionID(s.id)])
	seen := 0
	for k := int(issued); ; k++ {
		day, due := s.cycle.Date(invoicing, k), s.date(first, k)
		if len(s.anchors) > 0 {
			day = due
		}
		x := invoices[int64(k)]
		if x != nil {
			seen++
		}
		if day.After(j.today) || s.term == billing.Fixed && issued >= s.length {
			if x != nil {
				j.fault("too much", "subscription %d was billed for %s, beyond its term or before its day", s.id, due)
			}
			break
		}
		call, frozen := j.call(s, day, due, k)
		switch {
		case x == nil && call == must && s.amount > 0:
			j.fault("missing", "subscription %d (%s) has no invoice for %s, to be made on %s: %+v %v", s.id, s.status, due, day, *s, j.changes(s))
		case x != nil && call == never && !j.ahead(s, x):
			j.fault("too much", "subscription %d was billed for %s: %+v %v", s.id, due, *s, j.changes(s))
		case x != nil && !frozen && (!s.composed && x.amount != s.price(k) || x.due != due.String()):
			j.fault("invoice", "subscription %d was billed %d on %s for %s: %+v", s.id, x.amount, x.due, due, *s)
		}
		if x != nil && !frozen {
			issued++
		}
	}
	if seen != len(invoices) {
		j.fault("too much", "subscription %d has %d invoices, %d of them for its dates", s.id, len(invoices), seen)
	}
	if s.term == billing.Fixed && issued >= s.length {
		j.term(s)
	}
}

// price is what billing k costs, of a subscription that is one amount.
func (s *subscription) price(k int) int64 {
	if k == 0 && s.initial >= 0 {
		return s.initial
	}
	return s.amount
}

// date is billing date k, counted from the last of the dates before it at which the
// series begins anew.
func (s *subscription) date(first billing.Date, k int) billing.Date {
	period, cycle := 0, s.cycle
	if len(s.anchors) > 0 && s.anchors[0].Period == 0 && s.anchors[0].Cycle != "" {
		cycle = s.anchors[0].Cycle
	}
	for _, a := range s.anchors {
		if a.Period > k {
			break
		}
		if first, period = a.Date, a.Period; a.Cycle != "" {
			cycle = a.Cycle
		} else {
			cycle = s.cycle
		}
	}
	return cycle.Date(first, k-period)
}

// changes are the adjustments of a subscription.
func (j *judgement) changes(s *subscription) []adjustment {
	var list []adjustment
	for _, a := range j.adjustments {
		if a.subscription == s.id {
			list = append(list, a)
		}
	}
	return list
}

// call says what billing date k calls for: its invoice is to be made on a day and
// falls due on another.
func (j *judgement) call(s *subscription, day, due billing.Date, k int) (v verdict, frozen bool) {
	v = must
	worse := func(w verdict) { v = max(v, w) }
	for _, a := range s.standing(j.changes(s)) {
		from, err := billing.ParseDate(a.from)
		j.w.check(err)
		asked := j.merchant.Today(time.UnixMicro(a.created))
		if a.kind == billing.Cancel && a.to != "" { // an end at once took its place, if that came first
			at, err := billing.ParseDate(a.to)
			j.w.check(err)
			if at.Before(from) || !from.After(asked) {
				from, asked = at, at
			}
		}
		atOnce := !from.After(asked)
		if atOnce {
			from = asked
		}
		if a.kind == billing.Freeze {
			first, _ := billing.ParseDate(s.first)
			if n, ok := s.index(first, from); ok && k >= n && k < n+int(a.length) {
				frozen = true
				worse(may) // a fee may be invoiced
			}
			continue
		}
		// A stop skips what is dated on or after it, unless the invoice had gone out
		// before the stop was asked for.
		switch stopped := !due.Before(from) && !resumed(a, due); {
		case a.kind == billing.Pause && a.to == from.String() && atOnce: // begun and ended on one day
		case j.early(s, day, asked) && !from.After(asked.AddDays(1)), day == asked:
			worse(may)
		case day.Before(asked), !stopped:
		case a.kind == billing.Pause && s.composed && !s.piecemeal:
			worse(may) // a schedule that was never billed is billed when it is let go
		default:
			worse(never)
		}
	}
	return v, frozen
}

// index is which billing date a day is.
func (s *subscription) index(first, day billing.Date) (int, bool) {
	for k := range billing.MaxPeriods {
		if on := s.date(first, k); !on.Before(day) {
			return k, on == day
		}
	}
	return 0, false
}

// ahead says whether an invoice was made before a worker, who was late, learnt that the
// subscription had ended at once on a day before: a client had it billed up to date.
func (j *judgement) ahead(s *subscription, invoice *item) bool {
	return slices.ContainsFunc(s.standing(j.changes(s)), func(a adjustment) bool {
		return a.kind == billing.Cancel && a.to != "" && a.id > invoice.id
	})
}

// standing leaves out the cancellations that were taken back, which come before the
// one that counts.
func (s *subscription) standing(list []adjustment) (rest []adjustment) {
	last := -1
	for i, a := range list {
		if a.kind == billing.Cancel && (a.state != string(billing.Done) || s.status == billing.Cancelled || s.status == billing.Gone) {
			last = i
		}
	}
	for i, a := range list {
		if a.kind != billing.Cancel || i == last {
			rest = append(rest, a)
		}
	}
	return rest
}

// early says whether a change came on the day on which the subscription was made:
// what had fallen due by then waits for the next day's run, which takes a stop of
// that day first.
func (j *judgement) early(s *subscription, day, asked billing.Date) bool {
	return j.merchant.Today(time.UnixMicro(s.created)) == asked && !day.After(asked)
}

// resumed says whether a pause has ended by a billing date.
func resumed(a adjustment, due billing.Date) bool {
	end, err := billing.ParseDate(a.to)
	return a.kind == billing.Pause && err == nil && !due.Before(end)
}

// term checks that a fixed term ends when its last invoice is paid, and not
// before.
func (j *judgement) term(s *subscription) {
	pending := map[int64]bool{}
	for _, m := range j.allocations {
		if m.ended == 0 && j.activity[m.source].state == billing.Pending {
			pending[m.target] = true
		}
	}
	waits := false
	for _, a := range j.activities {
		waits = waits || a.subscription == s.id && a.period >= 0 && (a.open > 0 || pending[a.id])
	}
	if !waits && s.access == billing.AnyAccess && s.status != billing.Expired && s.status != billing.Cancelled && s.status != billing.Gone {
		j.fault("term", "subscription %d has issued its last invoice and owes nothing, and is %s", s.id, s.status)
	}
}
