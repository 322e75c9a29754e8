package audit

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// BankKind is what a line of a bank's journal records.
type BankKind string

// The kinds. Those of the first group answer a request and bear its reference;
// the bank writes the others by itself, under the reference of the charge that
// they are about.
const (
	Authorisation BankKind = "authorisation" // of a card: declined, or without a capture
	Capture       BankKind = "capture"       // of a card
	DirectDebit   BankKind = "claim"         // of a bank account, accepted or declined
	VoidLine      BankKind = "void"
	RefundLine    BankKind = "refund"
	CreditLine    BankKind = "credit"

	Settlement         BankKind = "settlement" // a direct debit became money
	Return             BankKind = "return"     // it came back, before that or after
	Change             BankKind = "change"     // a notification of change, which moves nothing
	Chargeback         BankKind = "chargeback"
	ChargebackReversal BankKind = "chargeback-reversal"
)

// BankLine is one line of the journal that a bank keeps of one merchant.
type BankLine struct {
	At        time.Time // by the merchant's clock
	Kind      BankKind
	Reference string        // ours
	Original  string        // of a void or refund: the reference of what it takes back
	Amount    billing.Money // that was moved, positive
	Declined  bool          // nothing was moved
}

// effect is what something does to the money that a processor has for the
// merchant, in minor units: at hand and in clearing.
type effect struct{ cash, transit int64 }

func (e effect) plus(o effect) effect { return effect{e.cash + o.cash, e.transit + o.transit} }

func (e effect) minus(o effect) effect { return effect{e.cash - o.cash, e.transit - o.transit} }

// deed is what the bank's journal says of one reference.
type deed struct {
	kind     BankKind // of the line that answers the request, "" if there is none
	declined bool
	twice    bool // there is more than one
	currency billing.Currency
	mixed    bool     // there are several currencies
	first    effect   // of that line
	later    effect   // of what the bank wrote by itself
	news     []effect // the end of that, which the books need not know yet
	settled  bool
}

// all is what the bank did under the reference.
func (d *deed) all() effect { return d.first.plus(d.later) }

func (d *deed) good() bool { return d != nil && d.kind != "" && !d.declined }

// comparison holds the books of one processor's money against its journal.
type comparison struct {
	*auditor
	processor string
	fresh     time.Time        // from when on notices have perhaps not been asked for
	deeds     map[string]*deed // by reference; those that are explained are taken out
	booked    map[billing.AttemptID]effect
	lag       map[billing.Currency]effect // what the bank has done and the books need not know yet
	bank      map[billing.Currency]effect // all that it has done
	balances  []store.Balance
}

// newsMayWait is how old news of the bank may be, when notices are asked for the
// next time, before it is a fault that the books do not have them. They are asked
// for daily, but the bank may be out of reach for a while.
const newsMayWait = 3 * 24 * time.Hour

// Compare holds what the books say of a processor's money against the journal
// of that processor. The journal is iterated over when the snapshot of the books
// stands (anew if the snapshot has to be), so that a running installation gives
// no false alarm: what the bank did in between is newer than the books, and is
// known as such. Lines must come in the order in which the bank wrote them. An
// error that the journal yields ends the comparison.
//
// Memory: some 200 bytes for each reference in the journal, because the bank's
// order is not ours.
func Compare(ctx context.Context, s *store.Store, m billing.MerchantID, processor string, journal iter.Seq2[BankLine, error]) ([]Fault, error) {
	var c *comparison
	err := s.View(ctx, m, func(v *store.View) error {
		a, err := newAuditor(ctx, v, time.Time{})
		if err != nil {
			return err
		}
		c = &comparison{auditor: a, processor: processor, deeds: make(map[string]*deed), booked: make(map[billing.AttemptID]effect),
			lag: make(map[billing.Currency]effect), bank: make(map[billing.Currency]effect)}
		c.fresh = a.merchant.NoticesAt.Add(-newsMayWait)
		for line, err := range journal {
			if err != nil {
				return fmt.Errorf("the bank's journal: %w", err)
			}
			c.take(line)
		}
		if err := c.book(ctx); err != nil {
			return err
		}
		if err := c.eachAttempt(ctx, c.visit); err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(c.booked)) {
			c.fault(Bank, "attempt %d has entries on %s%s, and is none of that processor's", id, billing.CashAt, processor)
		}
		c.balances, err = v.Balances(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	// A second look at what is left: what was minted after the snapshot is not
	// unknown to the books, but newer.
	err = s.View(ctx, m, func(v *store.View) error { return c.strangers(ctx, v) })
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	c.totals()
	return c.faults, nil
}

// take notes one line of the journal.
func (c *comparison) take(l BankLine) {
	d := c.deeds[l.Reference]
	if d == nil {
		d = &deed{currency: l.Amount.Currency()}
		c.deeds[l.Reference] = d
	}
	d.mixed = d.mixed || d.currency != l.Amount.Currency()
	e := c.effect(d, l)
	switch l.Kind {
	case Settlement, Return, Change, Chargeback, ChargebackReversal:
		d.later = d.later.plus(e)
		if l.Kind == Settlement {
			d.settled = true
		} else if !l.At.Before(c.fresh) {
			d.news = append(d.news, e)
		}
	case Authorisation, Capture, DirectDebit, VoidLine, RefundLine, CreditLine:
		d.twice = d.twice || d.kind != ""
		d.kind, d.declined, d.first = l.Kind, l.Declined, d.first.plus(e)
	}
	c.bank[l.Amount.Currency()] = c.bank[l.Amount.Currency()].plus(e)
}

// effect is what a line does to the merchant's money.
func (c *comparison) effect(d *deed, l BankLine) effect {
	n := l.Amount.Minor()
	if l.Declined {
		return effect{}
	}
	switch l.Kind {
	case Capture, ChargebackReversal:
		return effect{cash: n}
	case DirectDebit:
		return effect{transit: n}
	case Settlement:
		return effect{cash: n, transit: -n}
	case Return:
		if !d.settled {
			return effect{transit: -n}
		}
		return effect{cash: -n}
	case VoidLine:
		switch of := c.deeds[l.Original]; {
		case of != nil && of.kind == Authorisation:
			return effect{} // it had taken nothing
		case of != nil && of.kind == DirectDebit && !of.settled:
			return effect{transit: -n}
		}
		return effect{cash: -n}
	case RefundLine, CreditLine, Chargeback:
		return effect{cash: -n}
	case Authorisation, Change:
	}
	return effect{}
}

// book sums what the entries say of each attempt.
func (c *comparison) book(ctx context.Context) error {
	cash, transit := billing.CashAt+billing.Ledger(c.processor), billing.TransitAt+billing.Ledger(c.processor)
	var last store.LedgerEntry
	for {
		list, err := c.view.EntriesOn(ctx, []billing.Ledger{cash, transit}, last.ActivityID, last.Seq, c.page)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if e.Attempt == 0 {
				c.fault(Bank, "activity %d has %s on %s without an attempt", e.ActivityID, e.Amount, e.Ledger)
				continue
			}
			sum := c.booked[e.Attempt]
			if e.Ledger == cash {
				sum.cash += e.Amount.Minor()
			} else {
				sum.transit += e.Amount.Minor()
			}
			c.booked[e.Attempt] = sum
		}
		last = list[len(list)-1]
	}
}

// visit holds a page of attempts against the journal.
func (c *comparison) visit(list []*billing.Attempt) error {
	for _, t := range list {
		if t.Processor != c.processor {
			continue
		}
		d, booked := c.deeds[t.Reference], c.booked[t.ID]
		delete(c.deeds, t.Reference)
		delete(c.booked, t.ID)
		c.attempt(t, d, booked)
	}
	return nil
}

// answers lists the kinds of line that a kind of attempt can have.
var answers = map[billing.AttemptKind][]BankKind{
	billing.AskCharge: {Authorisation, Capture, DirectDebit}, billing.AskAuthorize: {Authorisation}, billing.AskVoid: {VoidLine}, billing.AskRefund: {RefundLine},
	billing.AskCredit: {CreditLine},
}

func (c *comparison) attempt(t *billing.Attempt, d *deed, booked effect) {
	if d != nil && d.kind != "" {
		switch {
		case d.twice:
			c.fault(Bank, "the bank did what %s asked more than once", named(t))
			return
		case !slices.Contains(answers[t.Kind], d.kind):
			c.fault(Bank, "%s is a %s at the bank", named(t), d.kind)
			return
		case d.mixed || d.currency != t.Amount.Currency():
			c.fault(Bank, "%s of %s is in another currency at the bank", named(t), t.Amount)
			return
		}
	}
	switch t.State {
	case billing.Sending, billing.AttemptUnknown:
		if d != nil {
			c.later(t.Amount.Currency(), d.all())
		}
		if d.good() {
			c.note(Bank, "%s is %s in the books; the bank has done it, %s", named(t), t.State, told(d.first, d.currency))
		}
	case billing.AttemptPending:
		if !d.good() {
			c.fault(Bank, "%s of %s is pending in the books; the bank knows of none", named(t), t.Amount)
			return
		}
		c.later(t.Amount.Currency(), d.later) // the books learn of it when they ask
		c.same(t, booked, d.first)
	case billing.AttemptApproved:
		if !d.good() {
			c.fault(Bank, "%s of %s is approved in the books; the bank knows of none", named(t), t.Amount)
			return
		}
		c.sameBut(t, booked, d)
	case billing.AttemptDeclined:
		if d == nil {
			d = &deed{}
		}
		c.same(t, booked, d.all())
	}
}

// sameBut is same, but that the last of the bank's news may still be unknown to
// the books.
func (c *comparison) sameBut(t *billing.Attempt, booked effect, d *deed) {
	rest := effect{}
	for i := len(d.news) - 1; i >= 0; i-- {
		rest = rest.plus(d.news[i])
		if rest != (effect{}) && booked != d.all() && booked == d.all().minus(rest) {
			c.later(t.Amount.Currency(), rest)
			c.note(Bank, "%s: the bank has news that the books do not show yet, %s", named(t), told(rest, d.currency))
			return
		}
	}
	c.same(t, booked, d.all())
}

// later notes what the books need not know yet.
func (c *comparison) later(cur billing.Currency, e effect) { c.lag[cur] = c.lag[cur].plus(e) }

// same holds what the books say of an attempt against what the bank says.
func (c *comparison) same(t *billing.Attempt, booked, bank effect) {
	if booked != bank {
		cur := t.Amount.Currency()
		c.fault(Bank, "%s is %s: %s in the books, %s at the bank", named(t), t.State, told(booked, cur), told(bank, cur))
	}
}

// told is an effect in words.
func told(e effect, c billing.Currency) string {
	var parts []string
	if e.cash != 0 || e.transit == 0 {
		parts = append(parts, billing.Minor(e.cash, c).String())
	}
	if e.transit != 0 {
		parts = append(parts, billing.Minor(e.transit, c).String()+" in clearing")
	}
	return strings.Join(parts, " and ")
}

// totals holds the balances of the processor's ledgers against the sum of its
// journal.
func (c *comparison) totals() {
	have := make(map[billing.Currency]effect)
	for _, b := range c.balances {
		e, n := have[b.Amount.Currency()], b.Amount.Minor()
		switch b.Ledger {
		case billing.CashAt + billing.Ledger(c.processor):
			e.cash += n
		case billing.TransitAt + billing.Ledger(c.processor):
			e.transit += n
		default:
			continue
		}
		have[b.Amount.Currency()] = e
	}
	currencies := maps.Clone(have)
	maps.Copy(currencies, c.bank)
	for _, cur := range slices.Sorted(maps.Keys(currencies)) {
		if want := c.bank[cur].minus(c.lag[cur]); have[cur] != want {
			c.fault(Bank, "in all: %s in the books, %s at the bank", told(have[cur], cur), told(want, cur))
		}
	}
}

// strangers lists what the bank did under references that are not ours.
func (c *comparison) strangers(ctx context.Context, v *store.View) error {
	for _, reference := range slices.Sorted(maps.Keys(c.deeds)) {
		d := c.deeds[reference]
		if c.counts[Bank] > Most {
			return nil
		}
		t, err := v.AttemptByReference(ctx, reference)
		switch {
		case err == nil && t.Processor == c.processor:
			c.later(d.currency, d.all()) // newer than the snapshot
		case err != nil && billing.KindOf(err) != billing.NotFound:
			return err
		default:
			c.fault(Bank, "the bank has a %s of %s under a reference that is no attempt of ours, %.40q", d.kind, told(d.all(), d.currency), reference)
		}
	}
	return nil
}
