package billingcircle

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// sheet is a report: its columns, and a row for each thing in it.
type sheet struct {
	columns []string
	rows    [][]string
}

// answer is the line with the number of rows, and the rows as CSV (3.11).
func (s *sheet) answer(noHeader bool) (*answer, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if !noHeader {
		_ = w.Write(s.columns) // a strings.Builder takes everything
	}
	if err := w.WriteAll(s.rows); err != nil {
		return nil, err
	}
	a := success(strconv.Itoa(len(s.rows)))
	a.report = "\n" + b.String()
	return a, nil
}

// desk is what a report is put together with: the things that its rows name, by id.
type desk struct {
	x         *exchange
	v         *store.View
	customers map[billing.CustomerID]*billing.Customer
	schedules map[billing.SubscriptionID]*billing.Subscription
	methods   map[billing.CustomerID]*billing.PaymentMethod
	numbers   map[store.Noun]map[string]int64
}

// grouping is a kind of report (3.11): a key by which is added up, the columns that
// stand before the sums, and what stands in them.
type grouping struct {
	columns []string
	key     func(*desk, billing.Turnover) string
	row     func(*desk, string) []string
}

var groupings = map[string]*grouping{
	"day":     {[]string{"date"}, func(d *desk, t billing.Turnover) string { return d.day(t).String() }, bare},
	"week":    {[]string{"weekstart"}, func(d *desk, t billing.Turnover) string { return monday(d.day(t)).String() }, bare},
	"month":   {[]string{"period"}, func(d *desk, t billing.Turnover) string { return d.day(t).String()[:7] }, bare},
	"quarter": {[]string{"period"}, func(d *desk, t billing.Turnover) string { return quarter(d.day(t)) }, bare},
	"year":    {[]string{"period"}, func(d *desk, t billing.Turnover) string { return d.day(t).String()[:4] }, bare},
	"client":  {[]string{"clientid", "merchantid", "company", "firstname", "lastname"}, (*desk).clientKey, (*desk).clientRow},
	"schedule": {[]string{"scheduleid", "clientid", "merchantid", "title"}, func(d *desk, t billing.Turnover) string {
		return sortable(int64(t.Subscription), d.number(store.ScheduleNumber, int64(t.Subscription)))
	}, (*desk).scheduleRow},
	"state": {[]string{"state"}, func(d *desk, t billing.Turnover) string { return d.customers[t.Customer].Address.State }, bare},
	"country": {[]string{"country"}, func(d *desk, t billing.Turnover) string {
		return d.customers[t.Customer].Address.Country
	}, bare},
	"transaction": {},
}

func bare(_ *desk, key string) []string { return []string{key} }

// sortable is a key in the order of small numbers that leads back to an id.
func sortable(id int64, number string) string { return fmt.Sprintf("%020s/%d", number, id) }

func idOf(key string) int64 {
	_, id, _ := strings.Cut(key, "/")
	n, _ := strconv.ParseInt(id, 10, 64) // sortable wrote it
	return n
}

func (d *desk) clientKey(t billing.Turnover) string {
	return sortable(int64(t.Customer), d.number(store.ClientNumber, int64(t.Customer)))
}

func (d *desk) clientRow(key string) []string {
	c := d.customers[billing.CustomerID(idOf(key))]
	return []string{d.number(store.ClientNumber, int64(c.ID)), c.Code, c.Organization, c.FirstName, c.LastName}
}

func (d *desk) scheduleRow(key string) []string {
	s := d.schedules[billing.SubscriptionID(idOf(key))]
	if s == nil {
		return []string{"", "", "", ""} // what was for no schedule
	}
	return []string{d.number(store.ScheduleNumber, int64(s.ID)), d.number(store.ClientNumber, int64(s.CustomerID)),
		d.customers[s.CustomerID].Code, s.PlanName}
}

// day is the merchant's day on which something was settled.
func (d *desk) day(t billing.Turnover) billing.Date { return d.x.session.Merchant.Today(t.At) }

func monday(d billing.Date) billing.Date {
	weekday := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Weekday()
	return d.AddDays(-(int(weekday) + 6) % 7)
}

func quarter(d billing.Date) string { return fmt.Sprintf("%04d-Q%d", d.Year, (int(d.Month)+2)/3) }

// number is the small number of something, "" of nothing.
func (d *desk) number(n store.Noun, id int64) string {
	if number, ok := d.numbers[n][strconv.FormatInt(id, 10)]; ok {
		return strconv.FormatInt(number, 10)
	}
	return ""
}

// reporting adds up what came in and went back in a stretch of days (3.11).
func reporting(ctx context.Context, x *exchange) (*answer, error) {
	from, _ := billing.ParseDate(x.params.get("r_startdate")) // the rules of the fields have looked at them
	to, _ := billing.ParseDate(x.params.get("r_enddate"))
	if to.Before(from) {
		return nil, refuse(invalid, "r_enddate")
	}
	m := x.session.Merchant
	span := store.Span{From: m.Start(from), To: m.Start(to.AddDays(1)), Currency: m.Currency}
	if m.Clock.Mode == billing.ClockReal { // ids are of the world's time
		span.Oldest = store.OldestAt(span.From.AddDate(0, 0, -2*billing.LongestClearing))
	}
	d := x.desk()
	var list []billing.Turnover
	err := x.session.Books.View(ctx, func(v *store.View) (err error) {
		d.v = v
		if list, err = v.Turnover(ctx, span); err != nil {
			return err
		}
		free, err := d.free(ctx, span)
		if err != nil {
			return err
		}
		list = append(list, free...)
		slices.SortStableFunc(list, func(a, b billing.Turnover) int { return a.At.Compare(b.At) })
		list, err = d.admit(ctx, list, x.params.get("r_chargetype"))
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := d.sheet(ctx, list, x.params.get("r_groupby"))
	if err != nil {
		return nil, err
	}
	return s.answer(x.choices.NoHeaderRow)
}

func (x *exchange) desk() *desk {
	return &desk{x: x, customers: map[billing.CustomerID]*billing.Customer{}, schedules: map[billing.SubscriptionID]*billing.Subscription{},
		methods: map[billing.CustomerID]*billing.PaymentMethod{}, numbers: map[store.Noun]map[string]int64{}}
}

// admit leaves out what a report does not ask for, and what belongs to clients who
// are gone, and reads the clients and schedules of the rest.
func (d *desk) admit(ctx context.Context, list []billing.Turnover, kind string) (kept []billing.Turnover, err error) {
	if err := d.know(ctx, list); err != nil {
		return nil, err
	}
	for _, t := range list {
		switch {
		case d.x.customer != nil && t.Customer != d.x.customer.ID, !d.shown(t):
			continue
		case kind == "gross" && t.Total() < 0, kind == "credits" && t.Total() >= 0:
			continue
		case kind == "credits":
			t.Subtotal, t.Tax = -t.Subtotal, -t.Tax
		}
		kept = append(kept, t)
	}
	return kept, nil
}

// know reads the clients and schedules of a report.
func (d *desk) know(ctx context.Context, list []billing.Turnover) error {
	for part := range slices.Chunk(list, 500) {
		var clients []billing.CustomerID
		var schedules []billing.SubscriptionID
		for _, t := range part {
			if d.customers[t.Customer] == nil {
				clients = append(clients, t.Customer)
			}
			if t.Subscription != 0 && d.schedules[t.Subscription] == nil {
				schedules = append(schedules, t.Subscription)
			}
		}
		customers, err := d.v.CustomersByID(ctx, clients)
		if err != nil {
			return err
		}
		maps.Copy(d.customers, customers)
		subs, err := d.v.SubscriptionsByID(ctx, schedules)
		if err != nil {
			return err
		}
		maps.Copy(d.schedules, subs)
	}
	return nil
}

// shown reports whether a report tells of something: not of a client who is gone, or
// whom the login does not reach, nor of a schedule that was deleted.
func (d *desk) shown(t billing.Turnover) bool {
	c, s := d.customers[t.Customer], d.schedules[t.Subscription]
	return c.Standing != billing.StandingGone && d.x.session.Login.Reaches(c.AccountID) && (s == nil || !erased(s))
}

// sheet adds up and writes the rows of a report. The books are closed by then: who
// gives numbers must keep nobody waiting.
func (d *desk) sheet(ctx context.Context, list []billing.Turnover, by string) (*sheet, error) {
	if err := d.count(ctx, list); err != nil {
		return nil, err
	}
	if by == "transaction" {
		return d.transactions(ctx, list)
	}
	g, s := groupings[by], &sheet{}
	s.columns = append(slices.Clone(g.columns), "count", "subtotal", "tax", "total")
	for _, sum := range billing.GroupTurnover(list, func(t billing.Turnover) string { return g.key(d, t) }) {
		s.rows = append(s.rows, append(g.row(d, sum.Key), strconv.Itoa(sum.Count), d.money(sum.Subtotal), d.money(sum.Tax), d.money(sum.Total())))
	}
	return s, nil
}

func (d *desk) money(minor int64) string { return d.x.session.Merchant.Money(minor).Decimal() }

// count gives numbers to the clients and schedules of a report that have none.
func (d *desk) count(ctx context.Context, list []billing.Turnover) (err error) {
	var clients, schedules []string
	for _, t := range list {
		clients = append(clients, strconv.FormatInt(int64(t.Customer), 10))
		if t.Subscription != 0 {
			schedules = append(schedules, strconv.FormatInt(int64(t.Subscription), 10))
		}
	}
	first := d.x.choices.FirstNumbers
	if d.numbers[store.ClientNumber], err = d.give(ctx, store.ClientNumber, clients, first.Client); err != nil {
		return err
	}
	d.numbers[store.ScheduleNumber], err = d.give(ctx, store.ScheduleNumber, schedules, first.Schedule)
	return err
}

// give tells the numbers of things, and gives one to each that has none.
func (d *desk) give(ctx context.Context, n store.Noun, names []string, first int64) (map[string]int64, error) {
	slices.Sort(names)
	return d.x.Cashier.Count(ctx, d.x.session, n, slices.Compact(names), first)
}

// transactions writes a row for each movement of money (3.11).
func (d *desk) transactions(ctx context.Context, list []billing.Turnover) (*sheet, error) {
	s := &sheet{}
	s.columns = strings.Split("transactionid,invoiceid,date,type,clientid,merchantid,scheduleid,title,chargemethod,subtotal,tax,total", ",")
	first := d.x.choices.FirstNumbers
	var bills, moves []string
	for _, t := range list {
		moves = append(moves, moveName(t.Activity, t.Debt))
		if t.Debt != 0 {
			bills = append(bills, strconv.FormatInt(int64(t.Debt), 10))
		}
	}
	numbers, err := d.x.Cashier.Count(ctx, d.x.session, store.TransactionNumber, compact(moves), first.Transaction)
	if err != nil {
		return nil, err
	}
	if d.numbers[store.BillNumber], err = d.x.Cashier.Count(ctx, d.x.session, store.BillNumber, compact(bills), first.Invoice); err != nil {
		return nil, err
	}
	for _, t := range list {
		kind, title := paid, ""
		if t.Total() < 0 || d.x.params.get("r_chargetype") == "credits" {
			kind = "credit"
		}
		if sub := d.schedules[t.Subscription]; sub != nil {
			title = sub.PlanName
		}
		s.rows = append(s.rows, []string{strconv.FormatInt(numbers[moveName(t.Activity, t.Debt)], 10), d.number(store.BillNumber, int64(t.Debt)),
			d.day(t).String(), kind, d.number(store.ClientNumber, int64(t.Customer)), d.customers[t.Customer].Code,
			d.number(store.ScheduleNumber, int64(t.Subscription)), title, methodOf(t.Instrument), d.money(t.Subtotal), d.money(t.Tax), d.money(t.Total())})
	}
	return s, nil
}

// compact is a list without repetitions, in the order of first appearance.
func compact(list []string) (once []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			once = append(once, s)
		}
	}
	return once
}

// moveName names, for its number, the part of a movement of money that was for a
// bill.
func moveName(a, bill billing.ActivityID) string {
	return strconv.FormatInt(int64(a), 10) + "/" + strconv.FormatInt(int64(bill), 10)
}

// methodOf is the way of paying that an instrument belongs to.
func methodOf(i billing.Instrument) string {
	switch {
	case i.IsCard():
		return byCard
	case i.IsBank():
		return byBank
	}
	return byHand
}
