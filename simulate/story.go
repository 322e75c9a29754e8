package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Kind is what an act of a story does.
type Kind string

// The kinds of act. Which customer, subscription, amount and so on is in the
// act's numbers, which are taken modulo what there is, so that an act still
// means something when others are taken out of the story.
const (
	actCustomer   Kind = "customer"   // enrol a customer with a payment method and perhaps a subscription
	actMethod     Kind = "method"     // add a payment method
	actSubscribe  Kind = "subscribe"  //
	actCharge     Kind = "charge"     // without a key
	actKeyed      Kind = "keyed"      // charge with a key
	actReplay     Kind = "replay"     // the same charge under the same key
	actTwist      Kind = "twist"      // another charge under a used key
	actCredit     Kind = "credit"     // pay to a card
	actExpiry     Kind = "expiry"     // a card gets a new date
	actSwitch     Kind = "switch"     // a subscription gets another payment method
	actMethodOff  Kind = "method-off" // a payment method is switched off or on
	actOff        Kind = "off"        // a customer is switched off or on
	actFreeze     Kind = "freeze"     //
	actPause      Kind = "pause"      //
	actResume     Kind = "resume"     //
	actCancel     Kind = "cancel"     //
	actReverse    Kind = "reverse"    // of any activity
	actRefund     Kind = "refund"     // of a part of a payment, or all; perhaps its subscription ends with it
	actRecord     Kind = "record"     // an invoice, fee, credit, or money that moved elsewhere
	actByHand     Kind = "by-hand"    // a clerk looks up at the bank what became of an unknown attempt, and settles it
	actTrouble    Kind = "trouble"    // the bank misbehaves
	actCalm       Kind = "calm"       // the bank behaves
	actDown       Kind = "down"       // the line to the bank is down for some requests
	actTwice      Kind = "twice"      // requests arrive twice at the bank
	actCrossed    Kind = "crossed"    // answers of the bank are those to requests before
	actRepeat     Kind = "repeat"     // the bank tells its notices again
	actDeliver    Kind = "deliver"    // late requests arrive
	actDays       Kind = "days"       // a merchant's clock goes forward, and a worker runs
	actMinutes    Kind = "minutes"    // the world's clock goes forward
	actRun        Kind = "run"        // a worker does what is due
	actBillToday  Kind = "bill-today" // a worker bills today at once
	actGoOn       Kind = "go-on"      // whoever stands still goes on
	actKill       Kind = "kill"       // a process dies
	actInstalment Kind = "part"       // pay an invoice by name
	actLook       Kind = "look"       // ask whether a card would pay
	actInfo       Kind = "info"       // give a customer something new to pay with, or change what is known of it
	actClear      Kind = "clear"      // have what a customer pays with forgotten
	actSignUp     Kind = "sign-up"    // subscribe to a plan in pieces, and pay the first of it at once
	actAlter      Kind = "alter"      // change what a subscription is for, now or later
	actHinder     Kind = "hinder"     // pause, freeze or cancel what was signed up for, perhaps while a change is under way
	actTerms      Kind = "terms"      // cancel to the end of what is paid, take that back, or end at once
	actLine       Kind = "line"       // a charge, credit or adjustment
	actUnline     Kind = "unline"     // remove one
	actInvoice    Kind = "invoice"    // invoice what waits
	actPurchase   Kind = "purchase"   // buy something once
	actCoupon     Kind = "coupon"     // redeem a coupon, or take it away
	actSchedule   Kind = "schedule"   // agree on a schedule, and let it go
	actReschedule Kind = "reschedule" // change one, hold it, let it go on
	actSell       Kind = "sell"       // sell a subscription on terms of its own
)

// Act is one step of a story.
type Act struct {
	Kind Kind
	M    int    // which merchant
	A, B int    // which customer, subscription, key ...; meaning by kind
	N    int64  // amount in minor units, days, minutes ...; meaning by kind
	Lot  uint64 // seed of everything that is drawn while it is played
}

// String shows the act for people.
func (a Act) String() string {
	return fmt.Sprintf("%s m%d %d %d n%d lot%d", a.Kind, a.M, a.A, a.B, a.N, a.Lot)
}

// Story is what is played: some merchants, some processes, and acts.
type Story struct {
	Seed      uint64
	Merchants int
	Processes int
	Deaths    int  // per million steps
	Idle      int  // per cent of acts after which workers are left standing where they are
	Cards     bool // cards are looked at, replaced and forgotten too
	Deals     bool // there are sign-ups, changes, lines, coupons, schedules and sales too
	Acts      []Act
}

// String shows the story for people, a line an act.
func (s Story) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d merchants, %d processes, %d deaths per million steps, %d%% idle, %d acts\n",
		s.Seed, s.Merchants, s.Processes, s.Deaths, s.Idle, len(s.Acts))
	for i, a := range s.Acts {
		fmt.Fprintf(&b, "%4d %s\n", i, a)
	}
	return b.String()
}

// lottery makes the random numbers of a seed; salt keeps several uses of one
// seed apart.
func lottery(seed, salt uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, salt)) }

// weights say how often each kind of act comes.
var weights = []struct {
	kind   Kind
	weight int
}{
	{actCustomer, 6}, {actMethod, 4}, {actSubscribe, 8}, {actCharge, 4}, {actKeyed, 8}, {actReplay, 6}, {actTwist, 1},
	{actCredit, 2}, {actExpiry, 3}, {actSwitch, 3}, {actMethodOff, 3}, {actOff, 2}, {actFreeze, 4}, {actPause, 3}, {actResume, 3},
	{actCancel, 3}, {actReverse, 8}, {actRefund, 4}, {actByHand, 4}, {actCrossed, 2}, {actRepeat, 2}, {actRecord, 6}, {actTrouble, 9}, {actCalm, 2}, {actDown, 4}, {actTwice, 3}, {actDeliver, 2},
	{actDays, 26}, {actMinutes, 12}, {actRun, 14}, {actBillToday, 2}, {actGoOn, 3}, {actKill, 2}, {actInstalment, 6},
}

// Tell makes the story of a seed.
func Tell(seed uint64) Story {
	r := lottery(seed, 1)
	s := Story{Seed: seed, Merchants: 1 + r.IntN(3), Processes: 2 + r.IntN(2)}
	s.Deaths = []int{0, 20_000, 100_000, 250_000}[r.IntN(4)]
	s.Idle = []int{0, 10, 40, 80}[r.IntN(4)]
	total := 0
	for _, w := range weights {
		total += w.weight
	}
	for m := range s.Merchants {
		for range 1 + r.IntN(3) {
			s.Acts = append(s.Acts, s.act(actCustomer, r, m))
		}
	}
	for range 10 + r.IntN(50) {
		n := r.IntN(total)
		for _, w := range weights {
			if n -= w.weight; n < 0 {
				s.Acts = append(s.Acts, s.act(w.kind, r, r.IntN(s.Merchants)))
				break
			}
		}
	}
	if seed%cardsEvery == 0 {
		s.addCards()
	}
	if seed%dealsEvery == dealsAt {
		s.addDeals()
	}
	return s
}

// cardsEvery is how many seeds have one story in which cards are replaced. The acts
// are strewn among those that the seed gives without them, by a lot of their own, so
// that all other stories are as they were.
const cardsEvery = 4

func (s *Story) addCards() {
	s.Cards = true
	r := lottery(s.Seed, 4)
	kinds := []Kind{actLook, actInfo, actInfo, actInfo, actClear}
	for range 4 + r.IntN(12) {
		a := s.act(kinds[r.IntN(len(kinds))], r, r.IntN(s.Merchants))
		s.Acts = slices.Insert(s.Acts, s.Merchants+r.IntN(len(s.Acts)-s.Merchants+1), a)
	}
}

// dealsEvery is how many seeds have one story with deals, which are strewn in as well;
// dealsAt is which of them.
const dealsEvery, dealsAt = 3, 2

func (s *Story) addDeals() {
	s.Deals = true
	r := lottery(s.Seed, 5)
	kinds := []Kind{actSignUp, actSignUp, actSignUp, actSignUp, actAlter, actAlter, actAlter, actAlter, actTerms, actTerms, actLine, actLine,
		actLine, actUnline, actInvoice, actInvoice, actPurchase, actCoupon, actCoupon, actSchedule, actSchedule, actReschedule, actReschedule,
		actSell, actSell}
	for n := range 12 + r.IntN(25) {
		a := s.act(kinds[r.IntN(len(kinds))], r, r.IntN(s.Merchants))
		if n < 2*s.Merchants { // somebody must have signed up before there is something to change
			a = s.act(actSignUp, r, n%s.Merchants)
			s.Acts = slices.Insert(s.Acts, s.Merchants+r.IntN(3), a)
			continue
		}
		acts := []Act{a}
		if a.Kind == actAlter && r.IntN(2) == 0 { // somebody comes in between
			acts = []Act{s.act(actTrouble, r, a.M), a, {Kind: []Kind{actHinder, actHinder, actTerms, actAlter}[r.IntN(4)], M: a.M, A: a.A, B: a.B, Lot: r.Uint64()}}
		}
		s.Acts = slices.Insert(s.Acts, s.Merchants+r.IntN(len(s.Acts)-s.Merchants+1), acts...)
	}
}

func (s *Story) act(k Kind, r *rand.Rand, m int) Act {
	a := Act{Kind: k, M: m, A: r.IntN(1000), B: r.IntN(1000), Lot: r.Uint64()}
	switch k {
	case actDays:
		a.N = []int64{1, 1, 1, 2, 3, 7, 14, 31, 31, 90}[r.IntN(10)]
	case actMinutes:
		a.N = []int64{1, 2, 5, 30, 400}[r.IntN(5)]
	case actDown, actTwice, actCrossed, actRepeat:
		a.N = 1 + r.Int64N(5)
	default:
		a.N = amount(r)
	}
	return a
}

// amount draws an amount with a meaning at the sandbox bank.
func amount(r *rand.Rand) int64 {
	switch r.IntN(10) {
	case 0, 1, 2, 3, 4:
		return 500 + r.Int64N(6500) // approved
	case 5:
		return 8000 + r.Int64N(500) // no funds
	case 6:
		return 15000 + r.Int64N(1000) // in part
	case 7:
		return 16000 + r.Int64N(1000) // charged back, returned
	default:
		return 7000 + r.Int64N(11200) // anything
	}
}
