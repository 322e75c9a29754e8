package ccbill

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/store"
)

// The types of rows of an extract (6.1), in the order in which they go out.
var extractTypes = []string{"NEW", "REBILL", "REFUND", "VOID", "CHARGEBACK", "EXPIRE", "CANCELLATION", "ACTIVEMEMBERS"}

// refusal is what is wrong with an extract that was asked for; it goes out as a
// line that begins with "Error:" (6.2).
type refusal string

func (r refusal) Error() string { return string(r) }

// window is the time that an extract is about, both ends included.
type window struct {
	from, to time.Time
	types    []string
}

func (w window) has(at time.Time) bool { return !at.Before(w.from) && !at.After(w.to) }

func (w window) wants(kind string) bool { return slices.Contains(w.types, kind) }

// serveExtract answers a request to main.cgi (6).
func (x *exchange) serveExtract(w http.ResponseWriter, r *http.Request, note *httpd.Record) {
	text, err := x.extract(r, note)
	var refused refusal
	var code result
	switch {
	case errors.As(err, &refused):
		x.outcome, text = "error", "Error: "+refused.Error()+"\n"
	case errors.As(err, &code):
		x.outcome, text = code.String(), "Error: Authentication failed\n"
		if code == internal && x.caller != nil {
			text = "Error: internal error\n"
		}
	case err != nil:
		x.outcome, text = internal.String(), "Error: internal error\n"
		x.Log.LogAttrs(r.Context(), slog.LevelError, "ccbill: extract not made", slog.String("id", note.ID()), slog.Any("error", err))
	}
	note.SetOutcome(x.outcome)
	send(w, "text/plain; charset=utf-8", text)
}

func (x *exchange) extract(r *http.Request, note *httpd.Record) (string, error) {
	ctx := r.Context()
	if err := x.identify(ctx, r, note); err != nil {
		return "", err
	}
	if !x.choices.permits(x.caller.name, extractAction) {
		return "", notPermitted
	}
	wanted, err := readWindow(x.params)
	if err != nil {
		return "", err
	}
	if err := x.takeTurn(); err != nil {
		return "", err
	}
	x.outcome = "extract"
	if x.params.get("testMode") == "1" {
		return samples(x.caller.Merchant.Code, wanted), nil
	}
	text, err := x.rows(ctx, wanted)
	if err == nil && text == "" {
		text = "1" // nothing to report
	}
	return text, err
}

// longestWindow is the greatest time between the ends of a window (6.1).
const longestWindow = 24 * time.Hour

// readWindow reads what an extract is about.
func readWindow(p params) (w window, err error) {
	for name := range strings.SplitSeq(p.get("transactionTypes"), ",") {
		name = strings.ToUpper(strings.TrimSpace(name))
		if !slices.Contains(extractTypes, name) {
			return w, refusal("Invalid transactionTypes")
		}
		w.types = append(w.types, name)
	}
	start, end := p.get("startTime"), p.get("endTime")
	if start == "" && end == "" && len(w.types) == 1 && w.wants("ACTIVEMEMBERS") {
		return w, nil
	}
	for _, t := range []struct {
		text string
		into *time.Time
		name string
	}{{start, &w.from, "startTime"}, {end, &w.to, "endTime"}} {
		if *t.into, err = time.ParseInLocation(stampForm, t.text, zone); err != nil || len(t.text) != len(stampForm) {
			return w, refusal("Invalid " + t.name)
		}
	}
	w.to = w.to.Add(time.Second - time.Microsecond) // the whole of its last second
	switch {
	case w.to.Before(w.from):
		return w, refusal("endTime lies before startTime")
	case w.to.Sub(w.from) > longestWindow+time.Second:
		return w, refusal("The time between startTime and endTime must not exceed 24 hours")
	}
	return w, nil
}

// takeTurn lets each user have an extract once in a while (2.3).
func (x *exchange) takeTurn() error {
	if x.choices.ExtractMinutes < 0 {
		return nil
	}
	now, id := x.Cashier.Now(), x.caller.Login.ID
	x.mu.Lock()
	defer x.mu.Unlock()
	if last, ok := x.extracts[id]; ok && now.Before(last.Add(time.Duration(x.choices.ExtractMinutes)*time.Minute)) {
		return refusal("The extract was taken less than " + strconv.Itoa(x.choices.ExtractMinutes) + " minutes ago")
	}
	x.extracts[id] = now
	return nil
}

// record is one row: its type, and what comes behind the subscriptionId.
type record struct {
	kind    string
	account string // clientSubacc
	number  string // subscriptionId
	attempt billing.AttemptID
	values  []string // "" of attemptColumn gets the number of attempt
}

// attemptColumn is which value of a REBILL is its transaction id.
const attemptColumn = 1

// page is how many subscriptions are read at a time.
const page = 500

// rows are the rows of a window: subscription by subscription they are sorted by
// type. It reads all subscriptions that have a number.
func (x *exchange) rows(ctx context.Context, w window) (string, error) {
	var list []record
	for last := int64(0); ; {
		var subs []*billing.Subscription
		err := x.caller.Books.View(ctx, func(v *store.View) (err error) {
			if subs, err = v.SubscriptionsAcross(ctx, store.Page{After: last, Limit: page}); err != nil || len(subs) == 0 {
				return err
			}
			more, err := x.recordsOf(ctx, v, subs, w)
			list = append(list, more...)
			return err
		})
		if err != nil {
			return "", err
		}
		if len(subs) == 0 {
			break
		}
		last = int64(subs[len(subs)-1].ID)
	}
	slices.SortStableFunc(list, func(a, b record) int {
		return slices.Index(extractTypes, a.kind) - slices.Index(extractTypes, b.kind)
	})
	var b strings.Builder
	for _, r := range list {
		if r.attempt != 0 {
			number, err := numberOfAttempt(ctx, x.Cashier, x.caller.Merchant, r.attempt)
			if err != nil {
				return "", err
			}
			r.values[attemptColumn] = number
		}
		line(&b, append([]string{r.kind, x.caller.Merchant.Code, r.account, r.number}, r.values...))
	}
	return b.String(), nil
}

// numberOfAttempt is the transaction id of an attempt, which it keeps.
func numberOfAttempt(ctx context.Context, c *cashier.Cashier, m *billing.Merchant, id billing.AttemptID) (string, error) {
	var attempt *billing.Attempt
	err := c.Store.View(ctx, m.ID, func(v *store.View) (err error) {
		attempt, err = v.Attempt(ctx, id)
		return err
	})
	if err != nil {
		return "", err
	}
	form, err := c.NumberAttempt(ctx, m, id, func() string { return numberAt(attempt.CreatedAt, paymentKind(m, attempt.Instrument)) })
	return Printed(form), err
}

// line writes one row.
func line(b *strings.Builder, values []string) {
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(v))
	}
	b.WriteByte('\n')
}

// recordsOf makes the records of a page of subscriptions.
func (x *exchange) recordsOf(ctx context.Context, v *store.View, subs []*billing.Subscription, w window) ([]record, error) {
	ids := make([]int64, len(subs))
	for i, s := range subs {
		ids[i] = int64(s.ID)
	}
	numbers, err := v.Numbers(ctx, store.SubscriptionNumber, ids)
	if err != nil {
		return nil, err
	}
	codes := make(map[billing.AccountID]string)
	for _, a := range x.caller.accounts {
		codes[a.ID] = a.Code
	}
	var list []record
	for _, s := range subs {
		number, ok := numbers[int64(s.ID)]
		if !ok || !x.caller.sees(s.AccountID) {
			continue
		}
		method, err := v.PaymentMethod(ctx, s.PaymentMethodID)
		if err != nil {
			return nil, err
		}
		standing, err := standingOf(ctx, v, s, method.Instrument.IsBank())
		if err != nil {
			return nil, err
		}
		customer, err := v.Customer(ctx, s.CustomerID)
		if err != nil {
			return nil, err
		}
		more, err := standing.records(ctx, v, customer, w, x.caller.Now)
		for _, r := range more {
			r.account, r.number = codes[s.AccountID], Printed(number)
			list = append(list, r)
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// The forms of instants and dates in an extract.
const (
	rowStamp = time.DateTime
	rowDay   = time.DateOnly
)

// records are the rows of one subscription (6.2).
func (s *standing) records(ctx context.Context, v *store.View, c *billing.Customer, w window, now time.Time) ([]record, error) {
	var list []record
	add := func(kind string, values ...string) { list = append(list, record{kind: kind, values: values}) }
	stamp := func(t time.Time) string { return t.In(zone).Format(rowStamp) }
	status, until := s.status(now)
	if w.wants("NEW") && w.has(s.signedUp()) {
		active := "0"
		if status > 0 {
			active = "1"
		}
		street := strings.TrimSpace(c.Address.Street1 + " " + c.Address.Street2)
		add("NEW", append([]string{stamp(s.signedUp()), c.FirstName, c.LastName, "", "", street, c.Address.City, c.Address.State,
			c.Address.PostalCode, c.Address.Country, c.Email, "", active}, s.terms()...)...)
	}
	if cancelled := s.cancelled(); cancelled != nil && w.wants("CANCELLATION") && w.has(cancelled.CreatedAt) {
		add("CANCELLATION", stamp(cancelled.CreatedAt))
	}
	if w.wants("EXPIRE") && status == 0 && w.has(until) {
		day, unpaid := "", "N"
		if cancelled := s.cancelled(); cancelled != nil {
			day = cancelled.CreatedAt.In(zone).Format(rowDay)
		}
		if s.sub.Issued-1 > s.rebilled() {
			unpaid = "Y"
		}
		add("EXPIRE", until.In(zone).Format(rowDay), day, unpaid)
	}
	if w.wants("ACTIVEMEMBERS") && status > 0 {
		next, ends := "", ""
		if n := s.next(); status == 2 && !n.IsZero() {
			next = n.String()
		}
		if status == 1 && !until.IsZero() {
			ends = until.In(zone).Format(rowDay)
		}
		add("ACTIVEMEMBERS", s.signedUp().In(zone).Format(rowDay), "", c.Email, strconv.Itoa(status), next, ends)
	}
	for _, a := range s.ledger {
		if a.SubscriptionID != s.sub.ID || !w.has(a.CreatedAt) {
			continue
		}
		switch {
		case a.Kind == billing.Claim && w.wants("REBILL") && a.State != billing.Declined && a.State != billing.Unknown:
			attempt, err := v.Attempt(ctx, a.AttemptID)
			if err != nil {
				return nil, err
			}
			if attempt.Claim {
				list = append(list, record{kind: "REBILL", attempt: a.AttemptID, values: []string{a.CreatedAt.In(zone).Format(rowDay), "", a.Amount.Decimal()}})
			}
		case a.Kind == billing.Refund && w.wants("REFUND"):
			add("REFUND", stamp(a.CreatedAt), a.Amount.Decimal())
		case a.Kind == billing.Void && w.wants("VOID"):
			add("VOID", stamp(a.CreatedAt), a.Amount.Decimal())
		case a.Kind == billing.Chargeback && w.wants("CHARGEBACK"):
			add("CHARGEBACK", stamp(a.CreatedAt), a.Amount.Decimal())
		}
	}
	return list, nil
}

// terms are the last five columns of NEW: initial amount and period, recurring
// amount and period, rebills.
func (s *standing) terms() []string {
	sub := s.sub
	initial := sub.Amount
	if sub.Initial != nil {
		initial = *sub.Initial
	}
	phase := sub.BillingDate(1).DaysSince(sub.BillingDate(0))
	if !s.recurring() {
		return []string{initial.Decimal(), strconv.Itoa(phase), billing.Minor(0, initial.Currency()).Decimal(), "0", "0"}
	}
	rebills := strconv.Itoa(sub.Length - 1)
	if sub.Term == billing.Perpetual {
		rebills = strconv.Itoa(untilCancelled)
	}
	period := sub.Cycle.Date(sub.FirstDate, 1).DaysSince(sub.FirstDate)
	return []string{initial.Decimal(), strconv.Itoa(phase), sub.Amount.Decimal(), strconv.Itoa(period), rebills}
}

// samples are rows that mean nothing, for who tries a client out (6.3).
func samples(account string, w window) string {
	const number, transaction = "0112142102000000001", "0112142102000000002"
	values := map[string][]string{
		"NEW": {"2012-05-21 10:00:00", "Test", "Consumer", "", "", "1 Test Street", "Tempe", "AZ", "85281", "US", "test@example.com", "", "1",
			"5.00", "30", "29.95", "30", "99"},
		"REBILL":        {"2012-05-21", transaction, "29.95"},
		"REFUND":        {"2012-05-21 10:00:00", "5.00"},
		"VOID":          {"2012-05-21 10:00:00", "5.00"},
		"CHARGEBACK":    {"2012-05-21 10:00:00", "5.00"},
		"EXPIRE":        {"2012-06-20", "2012-05-21", "N"},
		"CANCELLATION":  {"2012-05-21 10:00:00"},
		"ACTIVEMEMBERS": {"2012-05-21", "", "test@example.com", "2", "2012-06-20", ""},
	}
	var b strings.Builder
	for _, kind := range extractTypes {
		if w.wants(kind) {
			line(&b, append([]string{kind, account, "0000", number}, values[kind]...))
		}
	}
	return b.String()
}
