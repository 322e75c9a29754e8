package audit

import (
	"context"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// asked is a page of attempts with everything that speaks of them.
type asked struct {
	activities map[billing.ActivityID]*billing.Activity
	covered    map[billing.ActivityID][]*billing.Allocation // ever, by source
}

// attempts reads all that processors were asked for.
func (a *auditor) attempts(ctx context.Context) error {
	return a.eachAttempt(ctx, func(list []*billing.Attempt) error {
		p, err := a.asked(ctx, list)
		if err != nil {
			return err
		}
		for _, t := range list {
			a.checkOutcome(t)
			if err := a.checkContradiction(ctx, t); err != nil {
				return err
			}
			if err := a.checkReplaced(ctx, t); err != nil {
				return err
			}
			a.checkBecomes(p, t)
			a.checkHeld(p, t)
			a.checkCharged(p, t)
		}
		return nil
	})
}

// eachAttempt visits the attempts by id, a page at a time.
func (a *auditor) eachAttempt(ctx context.Context, visit func([]*billing.Attempt) error) error {
	last := int64(0)
	for {
		list, err := a.view.Attempts(ctx, store.Page{After: last, Limit: a.page})
		if err != nil || len(list) == 0 {
			return err
		}
		if err := visit(list); err != nil {
			return err
		}
		last = int64(list[len(list)-1].ID)
	}
}

func (a *auditor) asked(ctx context.Context, list []*billing.Attempt) (*asked, error) {
	var named, claims []billing.ActivityID
	for _, t := range list {
		named = append(named, t.ActivityID)
		switch t.State {
		case billing.Sending, billing.AttemptUnknown:
			named = append(named, t.Details.Targets...)
		case billing.AttemptApproved, billing.AttemptPending:
			if t.Claim {
				claims = append(claims, t.ActivityID)
			}
			if t.Kind == billing.AskRefund {
				named = append(named, t.Details.Targets...)
			}
		case billing.AttemptDeclined:
		}
	}
	found, err := a.view.ActivitiesByID(ctx, named)
	if err != nil {
		return nil, err
	}
	p := &asked{activities: make(map[billing.ActivityID]*billing.Activity, len(found)), covered: make(map[billing.ActivityID][]*billing.Allocation)}
	for _, act := range found {
		p.activities[act.ID] = act
	}
	matches, err := a.view.AllocationsFrom(ctx, claims)
	for _, m := range matches {
		p.covered[m.Source] = append(p.covered[m.Source], m)
	}
	return p, err
}

// checkOutcome sees that an attempt has an outcome, or that somebody will ask
// for it.
func (a *auditor) checkOutcome(t *billing.Attempt) {
	if _, parked := a.parked[parkedKey{billing.ParkedAttempt, int64(t.ID)}]; parked {
		return // noted where all parked work is
	}
	switch t.State {
	case billing.Sending, billing.AttemptUnknown:
		switch {
		case t.LeaseUntil.IsZero():
			a.fault(Attempts, "%s is %s and nobody will ask what became of it", named(t), t.State)
		case a.wall.After(t.LeaseUntil):
			a.fault(Attempts, "%s is %s and was to be asked about by %s", named(t), t.State, t.LeaseUntil.Format(time.RFC3339))
		default:
			a.note(Attempts, "%s of %s is %s", named(t), t.Amount, t.State)
		}
	case billing.AttemptPending:
		if t.CheckAt.IsZero() {
			a.fault(Attempts, "%s is pending and nobody will ask whether it settled", named(t))
		}
	case billing.AttemptApproved, billing.AttemptDeclined:
		if t.SettledBy != "" {
			break // the processor is asked whether it agrees
		}
		if !t.CheckAt.IsZero() || !t.LeaseUntil.IsZero() {
			a.fault(Attempts, "%s is %s and is still to be asked about", named(t), t.State)
		}
	default:
		a.fault(Attempts, "%s is in no state: %q", named(t), t.State)
	}
	if t.State != billing.Sending && t.State != billing.AttemptUnknown && t.AnsweredAt.IsZero() {
		a.fault(Attempts, "%s is %s and has no time of its answer", named(t), t.State)
	}
}

// checkContradiction sees that what a person settled is not what the processor
// says otherwise, unless somebody has seen to it.
func (a *auditor) checkContradiction(ctx context.Context, t *billing.Attempt) error {
	if t.Contradiction == "" {
		return nil
	}
	acts, err := a.view.ActsOn(ctx, "attempt", int64(t.ID))
	list := a.fault
	if slices.ContainsFunc(acts, func(x billing.Act) bool { return x.Act == billing.Resolved }) {
		list = a.note
	}
	list(Attempts, "%s of %s was settled as %s by %s, and the processor says: %s", named(t), t.Amount, t.State, t.SettledBy, t.Contradiction)
	return err
}

// becomes is the activity that an attempt has in its state, "" if none.
func becomes(t *billing.Attempt) (billing.ActivityKind, billing.ActivityState) {
	if t.Verifies() {
		return "", ""
	}
	answered := t.State == billing.AttemptApproved || t.State == billing.AttemptPending
	switch t.Kind {
	case billing.AskCharge:
		kind := billing.Payment
		if t.Claim || t.Instrument.IsBank() {
			kind = billing.Claim
		}
		switch t.State {
		case billing.AttemptApproved:
			return kind, billing.Posted
		case billing.AttemptPending:
			return kind, billing.Pending
		case billing.AttemptDeclined:
			return kind, billing.Declined
		case billing.AttemptUnknown:
			return kind, billing.Unknown
		case billing.Sending:
		}
	case billing.AskCredit:
		switch t.State {
		case billing.AttemptApproved, billing.AttemptPending:
			return billing.Refund, billing.Posted
		case billing.AttemptDeclined:
			return billing.Refund, billing.Declined
		case billing.AttemptUnknown:
			return billing.Refund, billing.Unknown
		case billing.Sending:
		}
	case billing.AskVoid:
		if answered {
			return billing.Void, billing.Posted
		}
	case billing.AskRefund:
		if answered {
			return billing.Refund, billing.Posted
		}
	}
	return "", ""
}

// ofPart reports whether a refund gives back of a payment, and the payment goes on
// paying for what it paid for.
func (p *asked) ofPart(t *billing.Attempt) bool {
	if len(t.Details.Targets) != 1 {
		return false
	}
	pay := p.activities[t.Details.Targets[0]]
	return pay != nil && (t.Amount.Minor() < pay.Amount.Minor() || t.Details.Keeps)
}

// checkBecomes holds an attempt against the activity that it has become.
func (a *auditor) checkBecomes(p *asked, t *billing.Attempt) {
	kind, state := becomes(t)
	act := p.activities[t.ActivityID]
	switch {
	case t.State == billing.AttemptDeclined && act != nil && act.Kind == billing.Refund && act.State == billing.Posted && act.AdjustedBy != 0:
		// Money that had left came back.
	case t.State == billing.AttemptDeclined && act != nil && t.Kind == billing.AskCharge && act.State == billing.Posted && act.AdjustedBy != 0:
		// A part of what came back had been refunded before, and stays paid.
	case kind == "" && act != nil:
		a.fault(Attempts, "%s is %s and has become %s", named(t), t.State, a.name(act))
	case act == nil && t.Claim && t.State == billing.AttemptDeclined:
		// The processor did not look at it: the claim was postponed, which
		// leaves no line in the customer's account.
	case kind != "" && act == nil:
		a.fault(Attempts, "%s is %s and has become nothing", named(t), t.State)
	case act == nil:
	case act.Kind != kind || act.AttemptID != t.ID || act.CustomerID != t.CustomerID:
		a.fault(Attempts, "%s has become %s, which is not of its making", named(t), a.name(act))
	case act.State != state:
		a.fault(Attempts, "%s is %s and %s is %s", named(t), t.State, a.name(act), act.State)
	case act.Amount.Currency() != t.Amount.Currency() || act.Amount.Minor() > t.Amount.Minor() ||
		act.Amount != t.Amount && t.Kind != billing.AskCharge:
		a.fault(Attempts, "%s of %s has become %s of %s", named(t), t.Amount, a.name(act), act.Amount)
	case (kind == billing.Void || kind == billing.Refund && t.Kind == billing.AskRefund && !p.ofPart(t)) &&
		!slices.Equal(t.Details.Targets, []billing.ActivityID{act.Adjusts}):
		a.fault(Attempts, "%s has become %s, which takes back another than was asked", named(t), a.name(act))
	}
}

// checkHeld sees that the debts of a claim under way are held by it, so that no
// other can be made for them.
func (a *auditor) checkHeld(p *asked, t *billing.Attempt) {
	if !t.Claim || t.State != billing.Sending && t.State != billing.AttemptUnknown {
		return
	}
	for _, id := range t.Details.Targets {
		if d := p.activities[id]; d == nil || d.ClaimedBy != t.ID {
			a.fault(Claims, "%s is %s and does not hold debt %d", named(t), t.State, id)
		}
	}
}

// checkCharged sees that an automatic claim paid the debts that it was made for.
// While a claim is under way its debts are held for it, so its money finds them
// as open as they were; if it does not, something else has paid them meanwhile,
// and the customer has paid twice.
func (a *auditor) checkCharged(p *asked, t *billing.Attempt) {
	if !t.Claim || t.State != billing.AttemptApproved && t.State != billing.AttemptPending {
		return
	}
	act := p.activities[t.ActivityID]
	if act == nil {
		return // said already
	}
	var covered int64
	for _, m := range p.covered[act.ID] {
		if slices.Contains(t.Details.Targets, m.Target) {
			covered += m.Amount.Minor()
		}
	}
	if covered < act.Amount.Minor() {
		a.fault(Charged, "%s took %s for debts of which it has paid %s", named(t), act.Amount, billing.Minor(covered, act.Amount.Currency()))
	}
}

// checkReplaced sees that what was sold in another subscription's stead has ended
// it: else both are billed.
func (a *auditor) checkReplaced(ctx context.Context, t *billing.Attempt) error {
	sale := t.Details.Sale
	if sale == nil || sale.Replaces == 0 || t.State != billing.AttemptApproved && t.State != billing.AttemptPending {
		return nil
	}
	old, err := a.view.Subscription(ctx, sale.Replaces)
	switch {
	case billing.KindOf(err) == billing.NotFound:
		a.fault(Attempts, "%s replaces a subscription that there is not", named(t))
		return nil
	case err != nil || old.Ended():
		return err
	}
	open, err := a.view.OpenAdjustments(ctx, []billing.SubscriptionID{old.ID})
	ends := func(j billing.Adjustment) bool { return j.Kind == billing.Cancel && !j.End.IsZero() }
	if err == nil && !slices.ContainsFunc(open[old.ID], ends) { // else older dates are billed first
		a.fault(Attempts, "%s replaces a subscription, which goes on", named(t))
	}
	return err
}
