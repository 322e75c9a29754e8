package cashier

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// BillingInfoRequest asks to pay a customer's bills with a card or account.
type BillingInfoRequest struct {
	MethodRequest
	SecurityCode billing.Secret
	Extra        map[string]string // see billing.Details

	// KeepCard says that no number was given: the one that is kept goes on, and
	// Change says what else is new. If that is the expiry date, the card is looked at
	// as if it were new; else nobody is asked.
	KeepCard bool
	Change   func(*billing.PaymentMethod)

	// Unasked stores without asking anybody.
	Unasked bool

	// Verify is the amount with which a card is looked at, 0 for one unit of the
	// merchant's currency.
	Verify int64

	// Keeps says of a decline that what was declined is stored all the same; nil
	// never does (protocols/recurly-v1.md 6.4).
	Keeps func(*billing.Attempt) bool

	// Enroll is a customer who comes into being with this, of the account of code
	// Account. Nothing is left of one if the card is declined.
	Enroll  *billing.Customer
	Account string
}

// BillingInfo is what became of it.
type BillingInfo struct {
	Customer *billing.Customer
	Method   *billing.PaymentMethod // what the customer's bills are paid with now, nil if nothing
	Attempts []*billing.Attempt     // what the processor was asked, in order
	Refused  *billing.Attempt       // of which, the one that was declined or has no known outcome; nil if all is well
}

// errOwesOtherwise says that what a customer owes has changed while it was looked
// at.
var errOwesOtherwise = errors.New("what the customer owes has changed")

// SetBillingInfo gives a customer something new to pay with (protocols/recurly-v1.md
// 6.4). A card is stored only if it is good: if invoices are unpaid, the whole of
// what is open is charged to it, by currency and to the oldest first; else an amount
// is authorised and let go of. A refusal is no error: it leaves what was stored as it
// was, and is told. So does an outcome that is not known; if a charge then turns out
// to be approved, what paid is stored.
func (c *Cashier) SetBillingInfo(ctx context.Context, s *Session, customer Ref, r BillingInfoRequest) (*BillingInfo, error) {
	if r.KeepCard {
		again, info, err := c.keepCard(ctx, s, customer, &r)
		if err != nil || !again {
			return info, err
		}
	}
	if r.Unasked || r.Instrument.IsBank() && r.Enroll != nil {
		return c.storeInfo(ctx, s, customer, &r)
	}
	for tries := 1; ; tries++ {
		info, err := c.askInfo(ctx, s, customer, &r)
		if !errors.Is(err, errOwesOtherwise) {
			return info, err
		}
		if tries == 3 {
			return nil, billing.Errorf(billing.InProgress, "the customer's account is being changed at this moment")
		}
	}
}

// askInfo charges what is open to a new card or account, or looks at a card.
func (c *Cashier) askInfo(ctx context.Context, s *Session, customer Ref, r *BillingInfoRequest) (*BillingInfo, error) {
	var owed []billing.Money
	if r.Enroll == nil {
		err := s.Books.View(ctx, func(v *store.View) error {
			owner, err := s.Customer(ctx, v, customer)
			if err != nil {
				return err
			}
			open, err := v.OpenActivities(ctx, []billing.CustomerID{owner.ID})
			owed = owing(open, s.Today())
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	info := &BillingInfo{}
	switch {
	case len(owed) > 0:
		var method billing.PaymentMethodID
		for _, sum := range owed {
			receipt, err := c.collectInfo(ctx, s, customer, r, sum, &method)
			if err != nil {
				return nil, err
			}
			if !info.add(receipt.Attempt) {
				break
			}
		}
	case r.Instrument.IsBank():
		return c.storeInfo(ctx, s, customer, r)
	default:
		v, err := c.verifyInfo(ctx, s, customer, r)
		if err != nil {
			return nil, err
		}
		info.add(v.Attempt)
	}
	if no := info.Refused; no != nil && no.State == billing.AttemptDeclined && r.Enroll == nil && r.Keeps != nil && r.Keeps(no) {
		kept, err := c.storeInfo(ctx, s, customer, r)
		if err != nil {
			return nil, err
		}
		info.Customer, info.Method = kept.Customer, kept.Method
		return info, nil
	}
	return info, s.readInfo(ctx, info)
}

// add notes what the processor was asked, and reports whether it said yes.
func (i *BillingInfo) add(a *billing.Attempt) bool {
	i.Attempts = append(i.Attempts, a)
	if a.State == billing.AttemptApproved || a.State == billing.AttemptPending {
		return true
	}
	i.Refused = a
	return false
}

// readInfo reads whose it is and what the bills are paid with now. A customer who
// was to come into being, and did not, is nobody.
func (s *Session) readInfo(ctx context.Context, info *BillingInfo) error {
	return s.Books.View(ctx, func(v *store.View) (err error) {
		owner, err := v.Customer(ctx, info.Attempts[0].CustomerID)
		if err != nil || owner.Standing == billing.StandingGone {
			return err
		}
		info.Customer = owner
		info.Method, err = v.BillingInfo(ctx, owner.ID)
		if billing.KindOf(err) == billing.NotFound {
			info.Method, err = nil, nil
		}
		return err
	})
}

// owing sums the debts that nothing is collecting, by currency. What falls due
// later is not owed yet.
func owing(open []*billing.Activity, today billing.Date) []billing.Money {
	sums := make(map[billing.Currency]int64)
	for _, d := range open {
		if collectable(d) && !d.Due.After(today) {
			sums[d.Open.Currency()] += d.Open.Minor()
		}
	}
	var list []billing.Money
	for c, n := range sums {
		list = append(list, billing.Minor(n, c))
	}
	slices.SortFunc(list, func(a, b billing.Money) int { return cmp.Compare(a.Currency(), b.Currency()) })
	return list
}

// collectInfo charges what is open in one currency. method is the candidate, which
// the first charge makes.
func (c *Cashier) collectInfo(ctx context.Context, s *Session, customer Ref, r *BillingInfoRequest, sum billing.Money, method *billing.PaymentMethodID) (*Receipt, error) {
	request := ChargeRequest{Amount: sum.Minor(), Currency: sum.Currency(), SecurityCode: r.SecurityCode, Extra: r.Extra}
	var made billing.PaymentMethodID
	receipt, err := c.charge(ctx, &intent{s: s, r: &request, payer: func(tx *store.Tx) (*billing.Customer, error) {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return nil, err
		}
		if _, err := tx.LockCustomers(ctx, []billing.CustomerID{owner.ID}); err != nil {
			return nil, err
		}
		open, err := tx.OpenActivities(ctx, []billing.CustomerID{owner.ID})
		if err != nil {
			return nil, err
		}
		if !slices.Contains(owing(open, s.Today()), sum) {
			return nil, errOwesOtherwise
		}
		request.Invoices, request.Tax = nil, 0
		slices.SortStableFunc(open, func(a, b *billing.Activity) int {
			if a.Due != b.Due {
				return cmp.Compare(a.Due.DaysSince(b.Due), 0)
			}
			return cmp.Compare(a.ID, b.ID)
		})
		for _, d := range open {
			if collectable(d) && !d.Due.After(s.Today()) && d.Open.Currency() == sum.Currency() {
				request.Invoices = append(request.Invoices, Ref{ID: int64(d.ID)})
				if d.Open == d.Amount {
					request.Tax += d.Tax.Minor()
				}
			}
		}
		if made = *method; made == 0 {
			m, err := c.candidate(ctx, s, tx, owner, r.MethodRequest)
			if err != nil {
				return nil, err
			}
			made = m.ID
		}
		request.Method, request.Adopts = Ref{ID: int64(made)}, made
		return owner, nil
	}})
	if err == nil {
		*method = made
	}
	return receipt, err
}

// verifyInfo looks at a card that is to be stored.
func (c *Cashier) verifyInfo(ctx context.Context, s *Session, customer Ref, r *BillingInfoRequest) (*Verification, error) {
	request := VerifyRequest{Amount: r.Verify, SecurityCode: r.SecurityCode, Extra: r.Extra, Enrolls: r.Enroll != nil}
	if request.Amount == 0 {
		request.Amount = s.Merchant.Currency.One()
	}
	return c.verify(ctx, s, &request, func(tx *store.Tx) (*billing.Customer, error) {
		owner, err := s.infoOwner(ctx, tx, customer, r)
		if err != nil {
			return nil, err
		}
		if _, err := tx.LockCustomers(ctx, []billing.CustomerID{owner.ID}); err != nil {
			return nil, err
		}
		open, err := tx.OpenActivities(ctx, []billing.CustomerID{owner.ID})
		if err != nil {
			return nil, err
		}
		if len(owing(open, s.Today())) > 0 {
			return nil, errOwesOtherwise
		}
		m, err := c.candidate(ctx, s, tx, owner, r.MethodRequest)
		if err != nil {
			return nil, err
		}
		request.Method, request.Adopts = Ref{ID: int64(m.ID)}, m.ID
		return owner, nil
	})
}

// infoOwner finds whose it is, or makes who comes into being with it.
func (s *Session) infoOwner(ctx context.Context, tx *store.Tx, customer Ref, r *BillingInfoRequest) (*billing.Customer, error) {
	if r.Enroll == nil {
		return s.Customer(ctx, &tx.View, customer)
	}
	owner := *r.Enroll // the transaction may be repeated
	return &owner, s.enroll(ctx, tx, r.Account, &owner)
}

// storeInfo stores without asking anybody.
func (c *Cashier) storeInfo(ctx context.Context, s *Session, customer Ref, r *BillingInfoRequest) (*BillingInfo, error) {
	info := &BillingInfo{}
	err := c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.infoOwner(ctx, tx, customer, r)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		m, err := c.candidate(ctx, s, tx, owner, r.MethodRequest)
		if err != nil {
			return err
		}
		if r.Enroll != nil {
			b.event(billing.CustomerCreated, owner.ID, int64(owner.ID))
		}
		if err := b.adopt(ctx, owner.ID, m.ID); err != nil {
			return err
		}
		info.Customer = owner
		if info.Method, err = tx.PaymentMethod(ctx, m.ID); err != nil {
			return err
		}
		return b.flush(ctx)
	})
	if err != nil {
		return nil, err
	}
	return info, nil
}

// keepCard changes what is known of the card that is stored. again says that its
// expiry date is new, and completes the request for a look at it.
func (c *Cashier) keepCard(ctx context.Context, s *Session, customer Ref, r *BillingInfoRequest) (again bool, info *BillingInfo, err error) {
	keys, err := c.keys(s.Merchant)
	if err != nil {
		return false, nil, err
	}
	err = c.update(ctx, s, func(tx *store.Tx) error {
		again, info = false, &BillingInfo{}
		if info.Customer, err = s.Customer(ctx, &tx.View, customer); err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{info.Customer.ID})
		if err != nil {
			return err
		}
		m, err := tx.BillingInfo(ctx, info.Customer.ID)
		if billing.KindOf(err) == billing.NotFound {
			return billing.FieldError(billing.Missing, "accountNumber", "is required")
		}
		if err != nil {
			return err
		}
		now := *m
		r.Change(&now)
		if again = m.Instrument.IsCard() && now.Expiry != m.Expiry && !r.Unasked; again {
			number, err := keys.Open(m.Sealed, sealedFor(m.ID))
			r.MethodRequest = MethodRequest{Code: "", Instrument: m.Instrument, Number: billing.NewSecret(string(number)), Expiry: now.Expiry,
				Routing: m.Routing, Holder: now.Holder, Address: now.Address, Phone: now.Phone, Email: now.Email, Details: now.Details,
				Pretended: pretended(m.Instrument, billing.NewSecret(string(number)))}
			return err
		}
		m.Expiry, m.Holder, m.Address, m.Phone, m.Email, m.Details = now.Expiry, now.Holder, now.Address, now.Phone, now.Email, now.Details
		if m.Instrument.IsCard() && !billing.CheckExpiry(m.Expiry) {
			return badExpiry()
		}
		m.UpdatedAt, m.ForgetAt = s.Now, s.Merchant.ForgetAt(s.Now)
		info.Method = m
		b.event(billing.PaymentMethodChanged, m.CustomerID, int64(m.ID))
		if err := tx.UpdatePaymentMethod(ctx, m); err != nil {
			return err
		}
		return b.flush(ctx)
	})
	return again, info, err
}

// ClearBillingInfo forgets what a customer's bills are paid with. Subscriptions
// live on; what falls due waits until there is something new to pay it with
// (protocols/recurly-v1.md 6.6).
func (c *Cashier) ClearBillingInfo(ctx context.Context, s *Session, customer Ref) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		owner, err := s.Customer(ctx, &tx.View, customer)
		if err != nil {
			return err
		}
		b, err := openBook(ctx, tx, s.Merchant, s.Now, []billing.CustomerID{owner.ID})
		if err != nil {
			return err
		}
		if _, err := tx.BillingInfo(ctx, owner.ID); err != nil {
			return err
		}
		if err := b.forgetAll(ctx, owner.ID); err != nil {
			return err
		}
		return b.flush(ctx)
	})
}

// forgetAll forgets all that a customer can pay with.
func (b *book) forgetAll(ctx context.Context, c billing.CustomerID) error {
	list, err := b.tx.VaultedMethods(ctx, c)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := b.forget(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
