package cashier

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// Answer is an attempt and what the processor said of it.
type Answer struct {
	Attempt *billing.Attempt
	Outcome billing.Outcome
	unfit   string // why it was not sent: its data are damaged

	until time.Time        // how long a void that follows is this worker's to send; zero is anybody's at once
	void  *billing.Attempt // that lets go of what was authorised

	activity *billing.Activity // what the attempt has become, once that is written down; nil if it was not looked at
}

// Settle writes down what processors answered: step 4 of a payment, for one
// answer or a batch of one merchant's, all or nothing. An answer may come late
// or twice: what is final stays, and a late one runs through the same rules as a
// timely one. The attempts are brought up to date in place, and the number of
// answers that changed something is returned. An answer that cannot be written
// down because of what the books hold is left to the others' good: its attempt is
// parked, and the processor is asked again when somebody has mended the books.
func (c *Cashier) Settle(ctx context.Context, m *billing.Merchant, at time.Time, answers []Answer) (changed int, err error) {
	changed, err = c.settle(ctx, m, at, answers)
	if store.AboutRow(err) {
		s := &sifting{c: c, m: m, queue: store.LeaseQueue, at: at}
		byID := make(map[int64]Answer, len(answers))
		var list []store.Waiting
		for _, a := range answers {
			byID[int64(a.Attempt.ID)] = a
			list = append(list, store.Waiting{ID: int64(a.Attempt.ID), Customer: a.Attempt.CustomerID, At: a.Attempt.LeaseUntil})
		}
		s.try = func(list []store.Waiting) (Batch, error) {
			some := make([]Answer, len(list))
			for i, w := range list {
				some[i] = byID[w.ID]
			}
			n, err := c.settle(ctx, m, at, some)
			changed += n
			return Batch{Events: n}, err
		}
		changed = 0
		err = s.part(ctx, list, err)
	}
	return changed, err
}

func (c *Cashier) settle(ctx context.Context, m *billing.Merchant, at time.Time, answers []Answer) (changed int, err error) {
	if changed, err = c.writeDown(ctx, m, at, answers, false); err != nil {
		return changed, err
	}
	c.Step(ctx, "settle: committed")
	for _, answer := range answers {
		if answer.unfit != "" && answer.Attempt.Claim && answer.Attempt.State == billing.AttemptDeclined {
			c.tellParked(ctx, m, billing.ParkedDebt, int64(answer.Attempt.Details.Targets[0]), answer.unfit)
		}
	}
	return changed, nil
}

// writeDown writes answers down, in one transaction; in haste it fails where it
// would have to wait for another one.
func (c *Cashier) writeDown(ctx context.Context, m *billing.Merchant, at time.Time, answers []Answer, haste bool) (changed int, err error) {
	asked := make([]*billing.Attempt, len(answers))
	for i, a := range answers {
		asked[i] = a.Attempt
	}
	var attempts map[billing.AttemptID]*billing.Attempt
	var b *book
	err = c.guarded(ctx, m, func(tx *store.Tx) (err error) {
		changed = 0
		if haste {
			tx.Hasten()
		}
		if err := tx.ForeseeSettle(ctx, asked, payers(answers)); err != nil {
			return err
		}
		if attempts, err = tx.LockCurrent(ctx, asked); err != nil {
			return err
		}
		if b, err = openBook(ctx, tx, m, at, payers(answers)); err != nil {
			return err
		}
		b.asked = attempts
		var existing []billing.ActivityID
		for _, a := range attempts {
			existing = append(existing, a.Details.Targets...)
			if a.State != billing.Sending {
				existing = append(existing, a.ActivityID)
			}
		}
		if err := b.load(ctx, existing...); err != nil {
			return err
		}
		for _, answer := range answers {
			a := attempts[answer.Attempt.ID]
			if a == nil || a.Final() && a.SettledBy == "" {
				continue
			}
			if a.Final() {
				b.hear(a, answer.Outcome, c.Now())
				b.answered = append(b.answered, a)
				continue
			}
			outcome := answer.Outcome
			b.until = answer.until
			// The books keep microseconds, a lease in hand may be finer.
			if outcome.NotDone && !outcome.Unseen && (a.State != billing.Sending || a.LeaseUntil.UnixMicro() != answer.Attempt.LeaseUntil.UnixMicro()) {
				outcome.State = billing.AttemptUnknown // another worker took over, and may have sent it
			}
			if answer.unfit != "" && outcome.State == billing.AttemptDeclined && a.Claim {
				b.setAside(a, outcome, answer.unfit)
			} else if err := b.apply(ctx, a, outcome, c.Now()); err != nil {
				return err
			}
			b.answered = append(b.answered, a)
			changed++
		}
		for _, id := range payers(answers) {
			b.balance(id)
		}
		return b.flush(ctx)
	})
	if err != nil {
		return 0, err
	}
	for i, answer := range answers {
		if a := attempts[answer.Attempt.ID]; a != nil {
			if a.Contradiction != answer.Attempt.Contradiction {
				c.Log.ErrorContext(ctx, "the processor contradicts the person who settled an attempt: see perennial audit",
					"merchant", m.Code, "attempt", int64(a.ID), "settled", string(a.State), "processor", a.Contradiction)
			}
			*answer.Attempt = *a
			answers[i].activity = b.known[a.ActivityID]
			if a.Verifies() {
				answers[i].void = b.voidOf(a.ID)
				c.tellHeld(ctx, m, a)
			}
		}
	}
	return changed, nil
}

// payers lists the customers whom answers concern.
func payers(answers []Answer) []billing.CustomerID {
	ids := make([]billing.CustomerID, 0, len(answers))
	for _, a := range answers {
		ids = append(ids, concerned(a.Attempt)...)
	}
	return distinct(ids)
}

// concerned are the customers whose accounts an outcome of an attempt may
// change: who pays, and whose subscription is replaced by what is paid for.
func concerned(a *billing.Attempt) []billing.CustomerID {
	if sale := a.Details.Sale; sale != nil && sale.Replaced != 0 {
		return []billing.CustomerID{a.CustomerID, sale.Replaced}
	}
	return []billing.CustomerID{a.CustomerID}
}

// apply takes an outcome into the books. wall is the world's time, by which an
// unknown outcome is asked about again.
func (b *book) apply(ctx context.Context, a *billing.Attempt, o billing.Outcome, wall time.Time) error {
	if a.Verifies() {
		return b.applyVerification(ctx, a, o, wall)
	}
	if o.NotDone && o.State == billing.AttemptDeclined && a.Claim {
		b.postpone(a, o)
		return nil
	}
	if a.Kind == billing.AskVoid && o.State == billing.AttemptPending {
		o = billing.Outcome{State: billing.AttemptUnknown, ProcessorID: o.ProcessorID, Message: "the processor has not decided on the void yet"}
	}
	was := a.State
	if was == billing.AttemptPending && (o.State == billing.AttemptUnknown || b.takenBack(a)) {
		// Nothing was learnt of a claim that is in clearing, or its void is under
		// way, whose outcome decides: the claim stays in clearing until then.
		a.CheckAt, a.LeaseUntil = b.tomorrow(), time.Time{}
		if b.today().DaysSince(b.merchant.Today(a.CreatedAt)) > billing.LongestClearing {
			b.unsettled(a)
		}
		return nil
	}
	b.learn(a, o, wall)
	switch o.State {
	case billing.AttemptUnknown:
		b.unknown(a)
		return nil
	case billing.AttemptPending:
		a.CheckAt = o.SettlesAt
		if !a.CheckAt.After(b.at) {
			a.CheckAt = b.tomorrow()
		}
		if was == billing.AttemptPending {
			return nil
		}
		if a.Kind == billing.AskCharge {
			return b.approve(ctx, a, o, billing.Pending)
		}
		return b.approveReversal(ctx, a) // money on its way out counts as gone
	case billing.AttemptApproved:
		switch {
		case was == billing.AttemptPending && a.Kind == billing.AskCharge:
			b.settled(a)
			return nil
		case was == billing.AttemptPending:
			return nil
		case a.Kind == billing.AskCharge:
			return b.approve(ctx, a, o, billing.Posted)
		case a.Kind == billing.AskCredit:
			b.payOut(a, billing.Posted, billing.PaymentReversed)
			return nil
		}
		return b.approveReversal(ctx, a)
	case billing.AttemptDeclined:
		if was != billing.AttemptPending {
			if err := b.dismiss(ctx, a); err != nil {
				return err
			}
		}
		return b.decline(ctx, a, was, a.Amount)
	case billing.Sending:
	}
	panic("cashier: an outcome in state " + string(o.State))
}

// learn notes on an attempt what its processor said. One of which nobody knows
// the outcome is asked about again.
func (b *book) learn(a *billing.Attempt, o billing.Outcome, wall time.Time) {
	a.Response, a.Message, a.ApprovalCode = o.Response, o.Message, o.ApprovalCode
	if o.ProcessorID != "" {
		a.ProcessorID = o.ProcessorID
	}
	a.State, a.CheckAt, a.LeaseUntil = o.State, time.Time{}, time.Time{}
	if o.State != billing.AttemptUnknown {
		a.AnsweredAt, a.UnsettledAt = b.at, time.Time{}
		return
	}
	a.Checks++
	if o.Unseen {
		a.Unseen++
	}
	a.LeaseUntil = wall.Add(billing.AskAgain(a.Checks))
	if o.Incredible || a.Checks >= billing.AsksBeforePerson {
		b.unsettled(a)
	}
}

// takenBack reports whether a void or refund of what an attempt paid is under
// way.
func (b *book) takenBack(a *billing.Attempt) bool {
	pay := b.known[a.ActivityID]
	return pay != nil && pay.ClaimedBy != 0
}

// tomorrow is the first instant of the merchant's next day.
func (b *book) tomorrow() time.Time { return b.merchant.Start(b.today().AddDays(1)) }

// postpone releases the debts of a claim that the processor surely did not look
// at: it was out of reach, say. That is no decline, so it counts as no try, and
// the debts are claimed again an hour later.
func (b *book) postpone(a *billing.Attempt, o billing.Outcome) {
	a.State, a.Response, a.Message = billing.AttemptDeclined, o.Response, o.Message
	a.AnsweredAt, a.CheckAt, a.LeaseUntil = b.at, time.Time{}, time.Time{}
	for _, d := range b.claimed(a) {
		d.ClaimedBy = 0
		if d.Period >= 0 {
			d.CollectAt = b.at.Add(postponement)
		}
		b.touch(d)
	}
	if pay := b.known[a.ActivityID]; pay != nil { // it stood there as unknown
		pay.State = billing.Declined
		b.touch(pay)
		b.event(billing.PaymentDeclined, a.CustomerID, int64(pay.ID))
	}
}

// postponement is how long a claim waits for a processor that is out of reach.
const postponement = time.Hour

// activityOf is the activity that an attempt becomes, before its state is known.
func activityOf(a *billing.Attempt, kind billing.ActivityKind, state billing.ActivityState) *billing.Activity {
	due, _ := billing.ParseDate(a.Details.Due) // "" is today, which post fills in
	return &billing.Activity{
		ID: a.ActivityID, AccountID: a.AccountID, CustomerID: a.CustomerID, Code: a.Details.Code, Kind: kind, Instrument: a.Instrument,
		Amount: a.Amount, Tax: a.Tax, State: state, Due: due, SubscriptionID: a.SubscriptionID, Period: -1, AttemptID: a.ID,
		Masked: a.Masked, Note: a.Details.Note, Creator: a.Details.Creator, InvoiceList: a.Details.InvoiceList,
	}
}

// chargeKind is a claim for what the billing run or a clearing house collects,
// a payment for what a card pays in real time, a refund for what is paid out.
func chargeKind(a *billing.Attempt) billing.ActivityKind {
	if a.Kind == billing.AskCredit {
		return billing.Refund
	}
	if a.Claim || a.Instrument.IsBank() {
		return billing.Claim
	}
	return billing.Payment
}

// claimed are the debts that an attempt covers, in the order in which it named
// them, else in the order of their due dates.
func (b *book) claimed(a *billing.Attempt) []*billing.Activity {
	var debts []*billing.Activity
	for _, id := range a.Details.Targets {
		if d := b.known[id]; d != nil && d.ClaimedBy == a.ID {
			debts = append(debts, d)
		}
	}
	return debts
}

// unknown notes that nobody can tell yet what became of a charge, or of a credit
// to the customer. The debts stay claimed, so nothing else is charged for them.
// A void or refund leaves no line: the payment that it is about stands as it was.
func (b *book) unknown(a *billing.Attempt) {
	if (a.Kind == billing.AskCharge || a.Kind == billing.AskCredit) && b.known[a.ActivityID] == nil {
		b.post(activityOf(a, chargeKind(a), billing.Unknown), nil, a.Processor)
		b.event(billing.PaymentUnknown, a.CustomerID, int64(a.ActivityID))
	}
}

// approve posts the payment, or the claim that is accepted and settles later,
// and covers the debts that it was made for. What it sells begins here, and what
// that replaces ends.
func (b *book) approve(ctx context.Context, a *billing.Attempt, o billing.Outcome, state billing.ActivityState) error {
	b.enrolled(a)
	amount := a.Amount
	if !o.Amount.IsZero() {
		amount = o.Amount
	}
	pay := b.known[a.ActivityID]
	if pay == nil {
		pay = activityOf(a, chargeKind(a), state)
		pay.Amount = amount
		pay.Tax = billing.Minor(min(a.Tax.Minor(), amount.Minor()), amount.Currency())
		b.post(pay, nil, a.Processor)
	} else { // it stood there as unknown
		pay.State, pay.Amount, pay.Open = state, amount, amount
		b.entries = append(b.entries, billing.Postings(dated(pay, b.at), nil, a.Processor)...)
		b.touch(pay)
	}
	if sale := a.Details.Sale; sale != nil && sale.Deal != nil {
		of := agreement{owner: b.customers[a.CustomerID], at: a.CreatedAt, note: a.Details.Note, creator: a.Details.Creator}
		if err := b.fulfil(ctx, sale, of, pay); err != nil {
			return err
		}
	} else if sale != nil {
		_, invoice := b.begin(sale, b.customers[a.CustomerID], a.CreatedAt, a.Details.Note)
		b.match(pay, invoice)
		if invoice.Open.Sign() > 0 { // approved in part
			invoice.CollectAt = b.at
		}
		if sale.Replaces != 0 {
			if err := b.endSale(ctx, sale.Replaces, ReplacedNote); err != nil {
				return err
			}
		}
	}
	retried := false
	for _, d := range b.claimed(a) {
		d.ClaimedBy = 0
		b.touch(d)
		b.match(pay, d)
		retried = retried || d.Tries > 0
		if d.Open.Sign() > 0 && a.Claim {
			b.tryAgain(d, o.Response) // the rest of a partial approval
		}
	}
	switch {
	case state == billing.Pending:
		b.event(billing.PaymentPending, a.CustomerID, int64(pay.ID))
	default:
		b.event(billing.PaymentApproved, a.CustomerID, int64(pay.ID))
		if retried && a.Claim {
			b.fee(billing.ServiceFee, b.merchant.Settings.Fees.Retry, b.customers[a.CustomerID], a.SubscriptionID, "retry fee")
		}
	}
	return b.adopt(ctx, a.CustomerID, a.Details.Adopts)
}

// ReplacedNote is the note on the end of a subscription that was replaced by what
// was sold in its stead.
const ReplacedNote = "replaced"

// dated is a copy of an activity that bears the time of what is written about
// it now.
func dated(a *billing.Activity, at time.Time) *billing.Activity {
	now := *a
	now.CreatedAt = at
	return &now
}

// settled turns a pending claim into money.
func (b *book) settled(a *billing.Attempt) {
	claim := b.known[a.ActivityID]
	claim.State = billing.Posted
	b.touch(claim)
	entries := billing.SettlementPostings(dated(claim, b.at), a.Processor)
	for i := range entries {
		entries[i].Seq += laterSeq
	}
	b.entries = append(b.entries, entries...)
	b.event(billing.PaymentApproved, a.CustomerID, int64(claim.ID))
	b.settledNow = append(b.settledNow, claim.ID)
}

// laterSeq is where the entries of an activity's second stage are numbered from.
const laterSeq = 8

// decline writes that nothing was paid: a decline beside the payment that was
// not to be, or the return of a claim that had been accepted. Its debts are
// open again and are claimed later, or never, by the merchant's schedule
// (protocols/unipay.md 4.6, 6.4).
func (b *book) decline(ctx context.Context, a *billing.Attempt, was billing.AttemptState, back billing.Money) error {
	if a.Kind != billing.AskCharge && (was == billing.AttemptPending || was == billing.AttemptApproved) {
		return b.cameBack(ctx, a)
	}
	switch a.Kind {
	case billing.AskVoid, billing.AskRefund:
		return b.releaseReversal(ctx, a)
	case billing.AskCredit:
		b.payOut(a, billing.Declined, billing.PaymentDeclined)
		return nil
	case billing.AskCharge:
	}
	debts := b.claimed(a)
	var reopened []*billing.Activity
	pay := b.known[a.ActivityID]
	no := activityOf(a, billing.Decline, billing.Declined)
	no.ID, no.Code, no.Note, no.InvoiceList, no.Creator = 0, "", a.Response.Text(), "", billing.System
	switch {
	case was == billing.AttemptPending || was == billing.AttemptApproved:
		no.State = billing.Posted
		if back.Sign() > 0 && back.Minor() < no.Amount.Minor() { // a part was refunded before
			no.Amount, no.Tax = back, billing.Minor(0, back.Currency())
		}
		freed, err := b.reverse(ctx, pay, billing.Decline, no, a.Processor)
		if err != nil {
			return err
		}
		for _, d := range freed {
			if d.Kind.IsDebt() && d.ClaimedBy == 0 {
				reopened = append(reopened, d)
			}
		}
	case pay == nil:
		pay = b.post(activityOf(a, chargeKind(a), billing.Declined), nil, a.Processor)
		b.post(no, pay, a.Processor)
	default:
		b.post(no, pay, a.Processor)
	}
	pay.AdjustedBy = no.ID
	if no.Amount == pay.Amount {
		pay.State = billing.Declined
	} // else what was refunded of it before stays paid, and goes on covering
	b.touch(pay)
	again := false
	var givenUp []billing.SubscriptionID
	for _, d := range append(debts, reopened...) {
		d.ClaimedBy = 0
		if a.Claim {
			once := b.tryAgain(d, a.Response)
			again = again || once
			if !once && d.Period > 0 {
				givenUp = append(givenUp, d.SubscriptionID)
			}
		}
		b.touch(d)
	}
	if err := b.lapse(ctx, givenUp); err != nil {
		return err
	}
	if sale := a.Details.Sale; sale != nil && sale.Sells() && len(reopened) > 0 { // what was sold came back unpaid
		if err := b.endSale(ctx, sale.SubscriptionID, "not paid"); err != nil {
			return err
		}
	}
	if !a.Claim { // a customer's own payment came back: the debts go on as if it had not been made
		for _, d := range reopened {
			if d.Period >= 0 && d.Open.Sign() > 0 { // else what was sold has ended, and it is not owed any more
				d.Reopened(b.merchant, b.at)
			}
		}
	}
	if a.Claim {
		fees := b.merchant.Settings.Fees
		amount := fees.HardDecline
		if again {
			amount = fees.SoftDecline
		}
		b.fee(billing.ServiceFee, amount, b.customers[a.CustomerID], a.SubscriptionID, "decline fee")
	}
	b.event(billing.PaymentDeclined, a.CustomerID, int64(pay.ID))
	return b.markStale(ctx, a)
}

// tryAgain schedules the next claim of a debt, if the merchant's schedule has
// one. Only what a billing date brought has a schedule of its own: fees and
// invoices made by hand ride along with it, else each decline fee would begin
// another round of declines.
func (b *book) tryAgain(d *billing.Activity, code billing.ResponseCode) bool {
	return d.Period >= 0 && d.Declined(b.merchant, b.today(), code)
}

// markStale notes on the payment method that the bank wants new data.
func (b *book) markStale(ctx context.Context, a *billing.Attempt) error {
	if !a.Response.Stale() || a.PaymentMethodID == 0 {
		return nil
	}
	m, err := b.tx.PaymentMethod(ctx, a.PaymentMethodID)
	if err != nil || m.Stale || !m.Vaulted() {
		return err
	}
	m.Stale, m.UpdatedAt = true, b.at
	b.event(billing.PaymentMethodChanged, m.CustomerID, int64(m.ID))
	return b.tx.UpdatePaymentMethod(ctx, m)
}

// payOut writes that money was paid to the customer, or that it was not.
func (b *book) payOut(a *billing.Attempt, state billing.ActivityState, event billing.EventKind) {
	paid := b.known[a.ActivityID]
	switch {
	case paid == nil:
		paid = b.post(activityOf(a, billing.Refund, state), nil, a.Processor)
	case state == billing.Posted: // it stood there as unknown
		paid.State, paid.Open = state, paid.Amount
		b.entries = append(b.entries, billing.Postings(dated(paid, b.at), nil, a.Processor)...)
	default:
		paid.State = state
	}
	b.touch(paid)
	b.event(event, a.CustomerID, int64(paid.ID))
}

// approveReversal posts the void or refund of a payment.
func (b *book) approveReversal(ctx context.Context, a *billing.Attempt) (err error) {
	if a.Kind == billing.AskCredit {
		b.payOut(a, billing.Posted, billing.PaymentReversed)
		return nil
	}
	pay, err := b.reversed(ctx, a)
	if err != nil {
		return err
	}
	pay.ClaimedBy = 0
	kind := billing.Void
	if a.Kind == billing.AskRefund {
		kind = billing.Refund
	}
	by := &billing.Activity{ID: a.ActivityID, AttemptID: a.ID, State: billing.Posted, Creator: a.Details.Creator, Note: a.Details.Note}
	if a.Details.Ends != 0 {
		defer func() {
			if err == nil {
				err = b.endSale(ctx, a.Details.Ends, a.Details.Note)
			}
		}()
	}
	if a.Amount != pay.Amount || a.Details.Keeps && kind == billing.Refund {
		b.giveBack(pay, by, a)
		return nil
	}
	freed, err := b.reverse(ctx, pay, kind, by, a.Processor)
	if err != nil {
		return err
	}
	if a.Details.Keeps {
		b.forgive(pay, freed, a)
	}
	if pay.State == billing.Pending {
		pay.State = billing.Posted
		if err := b.closeParent(ctx, a); err != nil {
			return err
		}
	}
	b.event(billing.PaymentReversed, a.CustomerID, int64(pay.ID))
	return nil
}

// closeParent stops asking about a claim that was voided before it settled. An
// answer to that very claim may be at hand in the same batch, and then says
// nothing new.
func (b *book) closeParent(ctx context.Context, a *billing.Attempt) error {
	p := b.asked[a.Parent]
	if p == nil {
		parents, err := b.tx.LockAttempts(ctx, []billing.AttemptID{a.Parent})
		if err != nil {
			return err
		}
		p = parents[a.Parent]
	}
	if p != nil {
		p.State, p.CheckAt, p.LeaseUntil = billing.AttemptApproved, time.Time{}, time.Time{}
		if !slices.Contains(b.answered, p) {
			b.answered = append(b.answered, p)
		}
	}
	return nil
}

// releaseReversal frees a payment whose void or refund was refused.
func (b *book) releaseReversal(ctx context.Context, a *billing.Attempt) error {
	pay, err := b.reversed(ctx, a)
	if err != nil {
		return err
	}
	pay.ClaimedBy = 0
	b.touch(pay)
	return nil
}

// cameBack posts that money which had left for the customer has come back: a
// refund or credit to a bank account that was returned. The merchant has the
// money again and owes it; the payment that was refunded stays taken back, and
// what is given back another way is a credit of its own.
func (b *book) cameBack(ctx context.Context, a *billing.Attempt) error {
	out := b.known[a.ActivityID]
	if out == nil || out.AdjustedBy != 0 {
		return nil
	}
	by := &billing.Activity{AttemptID: a.ID, Note: a.Response.Text()}
	if _, err := b.reverse(ctx, out, billing.RefundReversal, by, a.Processor); err != nil {
		return err
	}
	b.event(billing.PaymentDeclined, a.CustomerID, int64(out.ID))
	return nil
}

// reversed is the payment that a void or refund is about.
func (b *book) reversed(ctx context.Context, a *billing.Attempt) (*billing.Activity, error) {
	if len(a.Details.Targets) != 1 {
		return nil, billing.Errorf(billing.Internal, "attempt %s names no payment to reverse", strconv.FormatInt(int64(a.ID), 10))
	}
	if err := b.load(ctx, a.Details.Targets[0]); err != nil {
		return nil, err
	}
	return b.known[a.Details.Targets[0]], nil
}
