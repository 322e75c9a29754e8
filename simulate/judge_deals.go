package simulate

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
)

// papers are what stands on invoices beside their amounts, and what came of deals.
type papers struct {
	bills       map[int64]int64 // number of the bill of an activity
	lines       []line0
	redemptions map[int64]*redemption
	most        map[int64]int64 // redemptions that a coupon may have
	once        map[int64]bool  // coupons for one invoice
	codes       map[int64]bool  // customers whose code is taken
	counted     []counted
}

type line0 struct {
	id, customer, subscription, activity, amount, from int64
	kind                                               billing.LineKind
}

type redemption struct{ id, coupon, customer, used, discounted int64 }

// counted is a charge that velocity controls count.
type counted struct {
	who     string
	attempt int64
	at      int64
}

func (l *ledgers) readPapers(ctx context.Context, tx *sqldb.Tx) error {
	l.papers = papers{bills: map[int64]int64{}, redemptions: map[int64]*redemption{}, most: map[int64]int64{}, once: map[int64]bool{},
		codes: map[int64]bool{}}
	shop := int64(l.shop.id)
	_, err := sqldb.Query(ctx, tx, func(r sqldb.Row) (id int64, err error) {
		var number int64
		err = r.Scan(&id, &number)
		l.bills[id] = number
		return id, err
	}, `SELECT activity_id, COALESCE(number, 0) FROM bill WHERE merchant_id = $1 ORDER BY activity_id`, shop)
	if err != nil {
		return err
	}
	l.lines, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (x line0, err error) {
		err = r.Scan(&x.id, &x.customer, &x.subscription, &x.activity, &x.amount, &x.from, &x.kind)
		return x, err
	}, `SELECT id, customer_id, COALESCE(subscription_id, 0), COALESCE(activity_id, 0), amount, COALESCE(from_at, 0), kind FROM line
		WHERE merchant_id = $1 ORDER BY id`, shop)
	if err != nil {
		return err
	}
	_, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (x *redemption, err error) {
		x = &redemption{}
		err = r.Scan(&x.id, &x.coupon, &x.customer, &x.used, &x.discounted)
		l.redemptions[x.id] = x
		return x, err
	}, `SELECT id, coupon_id, customer_id, used, discounted FROM redemption WHERE merchant_id = $1 ORDER BY id`, shop)
	if err != nil {
		return err
	}
	_, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (id int64, err error) {
		var most int64
		var lasts billing.CouponLasts
		err = r.Scan(&id, &most, &lasts)
		l.most[id], l.once[id] = most, lasts == billing.LastsOnce
		return id, err
	}, `SELECT id, max_redemptions, lasts FROM coupon WHERE merchant_id = $1 ORDER BY id`, shop)
	if err != nil {
		return err
	}
	_, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (id int64, err error) {
		err = r.Scan(&id)
		l.codes[id] = true
		return id, err
	}, `SELECT object_id FROM reference WHERE merchant_id = $1 AND noun = 'customer' ORDER BY object_id`, shop)
	if err != nil {
		return err
	}
	l.counted, err = sqldb.Query(ctx, tx, func(r sqldb.Row) (c counted, err error) {
		var who []byte
		err = r.Scan(&who, &c.attempt, &c.at)
		c.who = string(who)
		return c, err
	}, `SELECT fingerprint, attempt_id, at FROM velocity_charge WHERE merchant_id = $1 ORDER BY at, attempt_id`, shop)
	return err
}

// deals checks what came of sign-ups, changes, purchases and sales: all of it if
// they were paid for, and else nothing.
func (j *judgement) deals() {
	subs := map[int64]*subscription{}
	for _, s := range j.subs {
		subs[s.id] = s
	}
	posted := map[int64]bool{} // at one time or other
	for _, e := range j.entries {
		posted[e.activity] = true
	}
	replaced := map[billing.SubscriptionID]int64{}
	for _, a := range j.attempts {
		if a.kind != billing.AskCharge || a.details == "" {
			continue
		}
		var d billing.Details
		_ = json.Unmarshal([]byte(a.details), &d) // the store has read it before
		paid := posted[a.activity]
		if d.Enrolls && j.codes[a.customer] != paid {
			j.fault("deal", "attempt %d is %s, paid %v, and the code of customer %d taken %v", a.id, a.state, paid, a.customer, j.codes[a.customer])
		}
		if d.Adopts != 0 && !paid && !j.inactive[int64(d.Adopts)] {
			j.fault("deal", "attempt %d is %s and its payment method %d was adopted", a.id, a.state, d.Adopts)
		}
		if d.Sale == nil {
			continue
		}
		if r := d.Sale.Replaces; r != 0 && paid {
			if before := replaced[r]; before != 0 {
				j.fault("twice", "attempts %d and %d have both replaced subscription %d", before, a.id, r)
			}
			if replaced[r] = a.id; !ended(subs[int64(r)]) {
				j.fault("deal", "attempt %d has replaced subscription %d, which is %s", a.id, r, subs[int64(r)].status)
			}
		}
		j.deal(a, d.Sale, subs[int64(d.Sale.SubscriptionID)], paid)
	}
}

func ended(s *subscription) bool {
	return s.status == billing.Cancelled || s.status == billing.Expired || s.status == billing.Gone
}

// deal checks what came of one.
func (j *judgement) deal(a *attempt, sale *billing.Sale, sub *subscription, paid bool) {
	d := sale.Deal
	if (d == nil || d.Begins != nil) && (sub != nil) != paid {
		j.fault("deal", "attempt %d is %s, paid %v, and its subscription %d is there %v", a.id, a.state, paid, sale.SubscriptionID, sub != nil)
	}
	if d == nil {
		return
	}
	invoice := j.activity[int64(d.Invoice)]
	void := d.Changes != nil && sub != nil && ended(sub) // whose subscription was over when the approval came
	if (invoice != nil) != (paid && d.Invoice != 0) && !(void && paid) {
		j.fault("deal", "attempt %d is %s, paid %v, and its invoice %d is there %v", a.id, a.state, paid, d.Invoice, invoice != nil)
	}
	if r := j.redemptions[int64(d.Redemption)]; d.Redeems && (r != nil) != paid && (r == nil || r.used == 0) { // it may have lowered something else
		j.fault("deal", "attempt %d is %s, paid %v, and its coupon redeemed %v", a.id, a.state, paid, !paid)
	}
	if invoice == nil {
		return
	}
	var sum int64
	for _, item := range d.Items {
		sum += item.Amount
	}
	if tax := billing.TaxOf(billing.Minor(sum, d.Currency), d.TaxRate).Minor(); invoice.amount != sum+tax || invoice.kind != billing.Invoice {
		j.fault("deal", "attempt %d was for %d and %d of tax, and its %s %d is of %d", a.id, sum, tax, invoice.kind, invoice.id, invoice.amount)
	}
	if d.Changes == nil {
		return
	}
	for _, item := range d.Changes.Credit {
		given := 0
		for _, l := range j.lines {
			if l.kind == billing.LineCredit && l.subscription == sub.id && l.amount == item.Amount && l.from == item.From.UnixMicro() {
				given++
			}
		}
		if given == 0 {
			j.fault("deal", "attempt %d has changed subscription %d, and %d that was not used is not credited", a.id, sub.id, item.Amount)
		}
	}
}

// paper checks that the lines of each bill and credit come to its amount, that what
// is made of lines has a bill, and that bills are counted without gaps.
func (j *judgement) paper() {
	sum, has := map[int64]int64{}, map[int64]int{}
	off, times := map[int64]int64{}, map[int64]int64{}
	for _, l := range j.lines {
		if l.activity == 0 {
			continue
		}
		sum[l.activity] += l.amount
		has[l.activity]++
		if l.kind == billing.LineDiscount {
			off[l.customer] -= l.amount
			times[l.customer]++
		}
	}
	composed := map[int64]bool{}
	for _, s := range j.subs {
		composed[s.id] = s.composed
	}
	var numbers []int64
	for _, a := range j.activities {
		number, billed := j.bills[a.id]
		if number != 0 {
			numbers = append(numbers, number)
		}
		switch {
		case a.kind == billing.Invoice && composed[a.subscription] && a.period >= 0 && !billed:
			j.fault("bill", "%s %d of %s, of subscription %d, has no bill", a.kind, a.id, a.due, a.subscription)
		case billed && (a.kind != billing.Invoice || sum[a.id] != a.amount-a.tax || has[a.id] == 0):
			j.fault("bill", "%s %d of %d, %d of it tax, has %d lines of %d", a.kind, a.id, a.amount, a.tax, has[a.id], sum[a.id])
		case !billed && has[a.id] > 0 && (a.kind != billing.Credit || -sum[a.id] != a.amount-a.tax):
			j.fault("bill", "%s %d of %d, %d of it tax, has %d lines of %d and no bill", a.kind, a.id, a.amount, a.tax, has[a.id], sum[a.id])
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != numbers[0]+int64(i) {
			j.fault("bill", "the bills' numbers are %v", numbers)
			break
		}
	}
	redeemed := map[int64]int64{}
	for _, r := range j.redemptions {
		redeemed[r.coupon]++
		off[r.customer] -= r.discounted
		times[r.customer] -= r.used
		if j.once[r.coupon] && r.used > 1 {
			j.fault("coupon", "redemption %d of a coupon for one invoice has lowered %d", r.id, r.used)
		}
	}
	for c, n := range off {
		if n != 0 || times[c] != 0 {
			j.fault("coupon", "customer %d: %d discounts of %d more on bills than in the books of coupons", c, times[c], n)
		}
	}
	for c, n := range redeemed {
		if j.most[c] > 0 && n > j.most[c] {
			j.fault("coupon", "coupon %d was redeemed %d times, at most %d were to be", c, n, j.most[c])
		}
	}
}

// velocity checks that nobody has paid more often than the first of the merchant's
// controls allows.
func (j *judgement) velocity() {
	controls := j.merchant.Settings.Velocity
	if !controls.Active() {
		return
	}
	rule := controls.Rules[0]
	for i, c := range j.counted {
		n, from := int64(0), time.UnixMicro(c.at).Add(-rule.Window.Length()).UnixMicro()
		for _, before := range j.counted[:i+1] {
			a := j.attempt[before.attempt]
			if before.who == c.who && before.at > from && !a.claim && (a.state != billing.AttemptDeclined || rule.Attempts) {
				n++
			}
		}
		if j.attempt[c.attempt].claim {
			continue
		}
		if n > rule.Count {
			j.fault("velocity", "attempt %d is the %dth of its consumer within %s, at most %d may be", c.attempt, n, rule.Window, rule.Count)
		}
	}
}

// returned checks that the bank has not given back more than it had taken.
func (j *judgement) returned() {
	left := map[string]int64{}
	for i := range j.journal {
		l := &j.journal[i]
		if !l.Good() {
			continue
		}
		switch l.Kind {
		case sandbox.LineCapture, sandbox.LineClaim, sandbox.LineAuthorisation:
			left[l.Reference] += l.Amount.Minor()
		case sandbox.LineVoid, sandbox.LineRefund:
			if left[l.Original] -= l.Amount.Minor(); left[l.Original] < 0 {
				j.fault("twice", "the bank has given back %d more of %s than it had taken", -left[l.Original], l.Original)
			}
		default:
		}
	}
}

// audit has the proof of the books find no fault, by itself and beside the bank's
// journal.
func (j *judgement) audit() error {
	faults, err := audit.Books(j.w.ctx, j.w.books, j.shop.id, j.w.wall)
	if err != nil {
		return err
	}
	more, err := audit.Compare(j.w.ctx, j.w.books, j.shop.id, sandbox.Name, j.told())
	for _, f := range append(faults, more...) {
		if !f.Note && !(f.Check == audit.Subscription && j.moved(f.Text)) {
			j.fault("audit", "%s: %s", f.Check, f.Text)
		}
	}
	return err
}

// moved says whether a text is about a subscription that has moved here with billings
// of days to come, which only this simulator's clients say.
func (j *judgement) moved(text string) bool {
	for id, n := range j.shop.billed {
		if n > 0 && strings.Contains(text, strconv.FormatInt(int64(id), 10)) {
			return true
		}
	}
	return false
}

// told is the bank's journal as the audit reads it.
func (j *judgement) told() iter.Seq2[audit.BankLine, error] {
	return func(yield func(audit.BankLine, error) bool) {
		for i := range j.journal {
			l := &j.journal[i]
			if !yield(audit.BankLine{At: l.At, Kind: audit.BankKind(l.Kind), Reference: l.Reference, Original: l.Original, Amount: l.Amount,
				Declined: !l.Good()}, nil) {
				return
			}
		}
	}
}
