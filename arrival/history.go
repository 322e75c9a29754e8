package arrival

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
)

// currency is that of all amounts of an extract (protocols/ccbill.md 6.2).
const currency billing.Currency = "USD"

// endless is the number of rebills that means: until cancelled.
const endless = 99

// history is what the records of one subscription say.
type history struct {
	place    // of its first record
	number   string
	account  string
	customer billing.Customer
	request  cashier.PlantRequest
}

// wrong is what is wrong with a subscription, and where.
type wrong struct {
	place
	why string
}

func (w *wrong) Error() string { return w.why }

func wrongAt(r *record, format string, args ...any) error {
	return &wrong{r.place, fmt.Sprintf(format, args...)}
}

// historyOf makes sense of the records of one subscription, which come in the
// order of their files. Records that come twice, as where two extracts overlap,
// count once. today is the date on which it goes on here.
func historyOf(records []*record, today billing.Date) (*history, error) {
	i := slices.IndexFunc(records, func(r *record) bool { return r.kind == recordNew })
	if i < 0 {
		return nil, wrongAt(records[0], "has no NEW record, so nobody knows what was sold")
	}
	sold := records[i]
	h := &history{place: sold.place, number: sold.number, account: sold.account}
	h.customer = billing.Customer{Code: "ccbill-" + sold.number, FirstName: sold.fields[5], LastName: sold.fields[6], Email: sold.fields[14],
		Active: true, Address: billing.Address{Street1: sold.fields[9], City: sold.fields[10], State: sold.fields[11],
			PostalCode: sold.fields[12], Country: sold.fields[13]}}
	h.request.Number = sold.number
	if err := h.sale(sold); err != nil {
		return nil, err
	}
	if err := h.rebills(records); err != nil {
		return nil, err
	}
	if err := h.ending(records); err != nil {
		return nil, err
	}
	past := &h.request.Past
	if past.Cancelled && !past.Ends.IsZero() && past.Ends.Before(past.SignedUp) {
		return nil, wrongAt(sold, "ended before it began")
	}
	if !past.Cancelled && !past.Next.IsZero() && past.Next.Before(today) {
		return nil, wrongAt(sold, "would have been billed on %s: a REBILL, CANCELLATION or EXPIRE record is missing", past.Next)
	}
	return h, nil
}

// sale reads what was sold.
func (h *history) sale(r *record) error {
	at, ok := moment(r.fields[4])
	if !ok {
		return wrongAt(r, "has no timestamp in column 5")
	}
	h.request.SignedUpAt = at
	h.request.Past.SignedUp, _ = day(r.fields[4])
	var amounts [2]int64
	for i, column := range []int{17, 19} {
		m, err := billing.ParseDecimal(orZero(r.fields[column]), currency)
		if err != nil || m.Sign() < 0 {
			return wrongAt(r, "has no amount in column %d", column+1)
		}
		amounts[i] = m.Minor()
	}
	var counts [3]int
	for i, column := range []int{18, 20, 21} {
		n, err := strconv.Atoi(orZero(r.fields[column]))
		if err != nil || n < 0 || n > 9999 {
			return wrongAt(r, "has no whole number in column %d", column+1)
		}
		counts[i] = n
	}
	t := billing.Terms{Currency: currency, Initial: amounts[0], InitialDays: counts[0], Recurring: amounts[1], RecurringDays: counts[1], Rebills: counts[2]}
	if t.Rebills >= endless {
		t.Rebills = billing.Endless
	}
	if t.Rebills == 0 {
		t.Recurring, t.RecurringDays = 0, 0
	}
	h.request.Terms = t
	if err := t.Check(); err != nil {
		return wrongAt(r, "cannot be what was sold: %v", err)
	}
	return nil
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// rebills counts what was billed after the first.
func (h *history) rebills(records []*record) error {
	seen := make(map[string]bool)
	var last billing.Date
	for _, r := range records {
		if r.kind != recordRebill {
			continue
		}
		on, ok := day(r.fields[4])
		if !ok {
			return wrongAt(r, "has no date in column 5")
		}
		id := strings.TrimLeft(r.fields[5], "0")
		if !isNumber(r.fields[5]) {
			return wrongAt(r, "has no transaction number in column 6")
		}
		if !seen[id] && on.After(last) {
			last = on
		}
		seen[id] = true
	}
	h.request.Past.Rebilled = len(seen)
	more := h.request.Terms.Rebills == billing.Endless || len(seen) < h.request.Terms.Rebills
	switch {
	case !more && h.request.Terms.Rebills < len(seen):
		return wrongAt(records[0], "was rebilled %d times, and sold for %d", len(seen), h.request.Terms.Rebills)
	case !more:
	case !last.IsZero():
		h.request.Past.Next = last.AddDays(h.request.Terms.RecurringDays)
	default:
		h.request.Past.Next = h.request.Past.SignedUp.AddDays(h.request.Terms.InitialDays)
	}
	return nil
}

// ending reads whether it was cancelled, and until when it goes on. Money that
// was given back ends a subscription at once (protocols/ccbill.md 4.4). Who has
// cancelled is not billed, whatever else stands there.
func (h *history) ending(records []*record) error {
	past := &h.request.Past
	back := make(map[string]map[string]bool) // by type, then by what tells two records apart
	var active *record
	for _, r := range records {
		switch r.kind {
		case recordCancellation:
			at, ok := moment(r.fields[4])
			if !ok {
				return wrongAt(r, "has no timestamp in column 5")
			}
			h.cancelled(at)
		case recordExpire:
			on, ok := day(r.fields[4])
			if !ok {
				return wrongAt(r, "has no date in column 5")
			}
			past.Cancelled, past.Ends = true, on
			if at, ok := moment(r.fields[5]); ok {
				h.cancelled(at)
			}
		case recordRefund, recordVoid, recordChargeback:
			at, ok := moment(r.fields[4])
			if !ok {
				return wrongAt(r, "has no timestamp in column 5")
			}
			if back[r.kind] == nil {
				back[r.kind] = make(map[string]bool)
			}
			back[r.kind][r.fields[4]+" "+r.fields[5]] = true
			h.cancelled(at)
			if on, _ := day(r.fields[4]); past.Ends.IsZero() || on.Before(past.Ends) {
				past.Ends = on
			}
		case recordActive:
			active = r
		}
	}
	h.request.Note = noteOf(back)
	past.TakenBack = billing.TakenBack{Refunds: len(back[recordRefund]), Voids: len(back[recordVoid]), Chargebacks: len(back[recordChargeback])}
	return h.active(active)
}

func (h *history) cancelled(at time.Time) {
	h.request.Past.Cancelled = true
	if h.request.CancelledAt.IsZero() || at.Before(h.request.CancelledAt) {
		h.request.CancelledAt = at
	}
}

// active takes over what the list of active members says: the dates that count.
func (h *history) active(r *record) error {
	if r == nil {
		return nil
	}
	past := &h.request.Past
	rebill, isRebill := day(r.fields[8])
	expiry, isExpiry := day(r.fields[9])
	switch {
	case r.fields[8] != "" && !isRebill || r.fields[9] != "" && !isExpiry:
		return wrongAt(r, "has no date in column 9 or 10")
	case isRebill && past.Cancelled:
		return wrongAt(r, "is said to be billed again, and to have ended: decide which, and take out the other record")
	case isRebill:
		past.Next = rebill
	case isExpiry && past.Ends.IsZero():
		past.Cancelled, past.Ends = true, expiry
	}
	return nil
}

// noteOf tells what was given back before it came here.
func noteOf(back map[string]map[string]bool) string {
	note := "from CCBill"
	for _, kind := range []string{recordRefund, recordVoid, recordChargeback} {
		if n := len(back[kind]); n > 0 {
			note += fmt.Sprintf(", %d %s", n, strings.ToLower(kind))
		}
	}
	return note
}
