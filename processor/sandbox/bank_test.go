package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

const day = 24 * time.Hour

// teller is a bank with a driver in the same process.
type teller struct {
	*sandbox.Driver
	bank     *sandbox.Bank
	merchant string
	last     int
}

func newTeller(t *testing.T, db *sqldb.DB) *teller {
	t.Helper()
	bank, err := sandbox.New(t.Context(), db, sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, sandbox.Embedded(bank))
	if err != nil {
		t.Fatal(err)
	}
	return &teller{Driver: driver, bank: bank, merchant: "demo"}
}

// card is a charge of a card in dollars under a new reference.
func (x *teller) card(number string, minor int64) processor.Request {
	x.last++
	return processor.Request{
		Merchant: x.merchant, Reference: fmt.Sprintf("c-%d", x.last), Amount: billing.Minor(minor, "USD"),
		Instrument: billing.VisaCredit, Number: billing.NewSecret(number), Expiry: "1229", At: noon,
	}
}

// claim is a claim on a bank account in dollars under a new reference.
func (x *teller) claim(number string, minor int64) processor.Request {
	r := x.card(number, minor)
	r.Instrument, r.Routing, r.Expiry = billing.Checking, "021000021", ""
	return r
}

// back takes something back.
func (x *teller) back(original processor.Request, minor int64, at time.Time) processor.Request {
	x.last++
	return processor.Request{
		Merchant: x.merchant, Reference: fmt.Sprintf("b-%d", x.last), Original: original.Reference,
		Amount: billing.Minor(minor, "USD"), Instrument: original.Instrument, At: at,
	}
}

// want performs an act that must come to a response.
func want(t *testing.T, act func(context.Context, processor.Request) (billing.Outcome, error), r processor.Request, state billing.AttemptState, code billing.ResponseCode) billing.Outcome {
	t.Helper()
	out, err := act(t.Context(), r)
	if err != nil {
		t.Fatalf("%s of %s: %v", r.Reference, r.Amount, err)
	}
	if out.State != state || out.Response != code {
		t.Errorf("%s of %s is %s %s, want %s %s", r.Reference, r.Amount, out.State, out.Response, state, code)
	}
	return out
}

// journal is the demo merchant's journal in short.
func (x *teller) journal(t *testing.T) []string {
	t.Helper()
	lines, err := x.bank.Journal(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, l := range lines {
		short = append(short, fmt.Sprintf("%s %s %s %s %s", l.At.Format("01-02"), l.Kind, l.Reference, l.Response, l.Amount))
	}
	return short
}

// notices are the demo merchant's notices in short.
func (x *teller) notices(t *testing.T, after int64, at time.Time) []string {
	t.Helper()
	notices, err := x.Notices(t.Context(), "demo", after, at)
	if err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, n := range notices {
		short = append(short, fmt.Sprintf("%d %s %s %s %s %s", n.Seq, n.At.Format("01-02"), n.Kind, n.Reference, n.Response, n.Amount))
	}
	return short
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b billing.Money) bool { return a == b })); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestJournalShowsOneCapture(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		want(t, x.Charge, x.card("4111111111111111", 1999), billing.AttemptApproved, "00")
		want(t, x.Charge, x.card("4111111111111111", 8000), billing.AttemptDeclined, "51")
		lines, err := x.bank.Journal(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "journal", []sandbox.Line{
			{Seq: 1, At: noon, Kind: sandbox.LineCapture, Reference: "c-1", Response: "00", Amount: billing.Minor(1999, "USD"),
				Instrument: billing.VisaCredit, Masked: "4***********1111"},
			{Seq: 2, At: noon, Kind: sandbox.LineAuthorisation, Reference: "c-2", Response: "51", Amount: billing.Minor(8000, "USD"),
				Instrument: billing.VisaCredit, Masked: "4***********1111"},
		}, lines)
		text, err := json.Marshal(lines[0])
		if err != nil {
			t.Fatal(err)
		}
		same(t, "JSON", `{"seq":1,"at":"2026-03-01T12:00:00Z","kind":"capture","reference":"c-1","response":"00",`+
			`"amount":1999,"currency":"USD","instrument":"visa-credit","masked":"4***********1111"}`, string(text))
		var read sandbox.Line
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		same(t, "read again", lines[0], read)
		totals, err := x.bank.Totals(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "totals", []sandbox.Total{
			{Kind: sandbox.LineAuthorisation, Amount: billing.Minor(0, "USD"), Declined: 1},
			{Kind: sandbox.LineCapture, Count: 1, Amount: billing.Minor(1999, "USD")},
		}, totals)
	})
}

// TestAmounts holds the tables against protocols/unipay.md 5.4, in the words of
// billing.ResponseCode.
func TestAmounts(t *testing.T) {
	type row struct {
		from, to int64
		card     billing.ResponseCode
		bank     billing.ResponseCode // "" settles
	}
	tables := map[string][]row{
		sandbox.Current: {
			{1, 499, "00", ""}, {500, 6999, "00", ""}, {7000, 7499, "05", "R09"}, {7500, 7999, "80", "R20"}, {8000, 8499, "51", "R01"},
			{8500, 8999, "04", "R16"}, {9000, 9499, "14", "R04"}, {9500, 9999, "42", "R03"}, {10000, 10499, "82", "R01"},
			{10500, 10999, "94", "R01"}, {11000, 11499, "41", "R02"}, {11500, 11999, "54", "R12"}, {12000, 12499, "19", "R06"},
			{12500, 12999, "13", "R01"}, {13000, 13499, "75", "R01"}, {13500, 13999, "06", "R08"}, {14000, 14499, "62", "R01"},
			{14500, 14999, "00", ""}, {15000, 15999, "10", ""}, {16000, 16999, "00", ""}, {17000, 18199, "00", ""}, {18200, 999999, "00", ""},
		},
		sandbox.Older: {
			{1, 99, "05", "R09"}, {100, 100, "00", ""}, {500, 6999, "00", ""}, {7000, 7999, "14", "R04"}, {8000, 8999, "41", "R02"},
			{9000, 9999, "01", "R09"}, {10000, 10999, "04", "R16"}, {11000, 11999, "82", "R01"}, {12000, 12999, "51", "R01"},
			{13000, 13999, "91", "R06"}, {14000, 14999, "96", "R06"}, {15000, 15999, "10", ""}, {18200, 199999, "05", "R09"}, {200000, 999999, "00", ""},
		},
	}
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for table, rows := range tables {
		if err := x.bank.SetTerms(t.Context(), "demo", sandbox.Terms{Amounts: table}); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row.card.Severity() == billing.Hard && row.bank.Severity() != billing.Hard {
				t.Errorf("%s table, %d: hard for cards, not for banks", table, row.from)
			}
			for _, minor := range []int64{row.from, row.to} {
				state := billing.AttemptApproved
				if row.card.Severity() != billing.Good {
					state = billing.AttemptDeclined
				}
				out := want(t, x.Charge, x.card("6011000991001201", minor), state, row.card)
				if state == billing.AttemptApproved {
					approved := minor
					if row.card == billing.PartiallyApproved {
						approved -= 1000
					}
					same(t, "approved", billing.Minor(approved, "USD"), out.Amount)
				}
				r := x.claim("4099999992", minor)
				pending := want(t, x.Charge, r, billing.AttemptPending, "00")
				same(t, "settles", noon.Add(3*day), pending.SettlesAt)
				out, err := x.Lookup(t.Context(), "demo", r.Reference, pending.SettlesAt)
				if err != nil {
					t.Fatal(err)
				}
				state, code := billing.AttemptApproved, billing.Approved
				if row.bank != "" {
					state, code = billing.AttemptDeclined, row.bank
				}
				if out.State != state || out.Response != code {
					t.Errorf("%s table, claim of %d: %s %s, want %s %s", table, minor, out.State, out.Response, state, code)
				}
			}
		}
	}
}

func TestAmountsThatBringNotices(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		for minor := int64(16000); minor < 18200; minor += 200 {
			want(t, x.Charge, x.card("4217651111111119", minor), billing.AttemptApproved, "00")
		}
		same(t, "notices of cards", []string{
			"1 03-04 chargeback c-1  160.00 USD", "2 03-04 chargeback c-2  162.00 USD", "3 03-04 chargeback c-3  164.00 USD",
			"4 03-04 chargeback c-4  166.00 USD", "5 03-04 chargeback c-5  168.00 USD",
		}, x.notices(t, 0, noon.Add(30*day)))
		for minor := int64(16000); minor < 18200; minor += 200 {
			r := x.claim("4099999992", minor+199)
			r.At = noon.Add(30 * day)
			want(t, x.Charge, r, billing.AttemptPending, "00")
		}
		notices, err := x.Notices(t.Context(), "demo", 5, noon.Add(60*day))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range notices {
			got = append(got, fmt.Sprintf("%s %s %s %q %q", n.At.Format("01-02"), n.Kind, n.Response, n.Number.Reveal(), n.Routing))
		}
		same(t, "notices of bank accounts", []string{
			`04-03 change C01 "4099999984" ""`, `04-03 change C02 "" "011000015"`, `04-03 change C03 "4099999984" "011000015"`,
			`04-03 change C04 "" ""`, `04-03 change C05 "" ""`, `04-03 change C06 "4099999984" ""`,
			`04-06 return R10 "" ""`, `04-06 return R10 "" ""`, `04-06 return R10 "" ""`, `04-06 return R10 "" ""`, `04-06 return R10 "" ""`,
		}, got)
	})
}

// TestCards charges each card of the table and compares with what its row says.
func TestCards(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for _, c := range sandbox.LoadTables().Cards {
		t.Run(c.Number, func(t *testing.T) {
			if !c.Instrument.CheckNumber(c.Number) && len(c.Number) > 1 {
				t.Fatal("the check digit is wrong")
			}
			ctx, giveUp := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer giveUp()
			switch c.Trouble {
			case "":
				for i := range 4 {
					state, code := billing.AttemptApproved, billing.Approved
					if c.Response != "" && (c.Good == 0 && c.Bad == 0 || c.Good > 0 && i >= c.Good || i < c.Bad) {
						state, code = billing.AttemptDeclined, c.Response
					}
					// An amount that is declined shows which go by amount.
					minor := int64(1999)
					if c.Response != "" || c.Refunds != "" || c.Later != "" || c.Message != "" {
						minor = 8000
					}
					r := x.card(c.Number, minor)
					out := want(t, x.Charge, r, state, code)
					if c.Message != "" && out.Message != c.Message {
						t.Errorf("message %q, want %q", out.Message, c.Message)
					}
					if c.Refunds != "" {
						want(t, x.Refund, x.back(r, minor, noon), billing.AttemptDeclined, c.Refunds)
					}
				}
			default:
				r := x.card(c.Number, 1999)
				if out, err := x.Charge(ctx, r); err == nil {
					t.Fatalf("%s, yet an outcome came: %s", c.Trouble, out.State)
				}
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for _, a := range sandbox.LoadTables().Accounts {
		t.Run(a.Number, func(t *testing.T) {
			r := x.claim(a.Number, 1999)
			if a.Routing != "" {
				r.Routing = a.Routing
			}
			want(t, x.Charge, r, billing.AttemptPending, "00")
			out, err := x.Lookup(t.Context(), "demo", r.Reference, noon.Add(3*day))
			if err != nil {
				t.Fatal(err)
			}
			state, code := billing.AttemptApproved, billing.Approved
			if a.Later != "" && a.Later[0] == 'R' {
				state, code = billing.AttemptDeclined, billing.ResponseCode(a.Later)
			}
			if out.State != state || out.Response != code || !code.Known() {
				t.Errorf("%s %s, want %s %s", out.State, out.Response, state, code)
			}
		})
	}
	want(t, x.Charge, func() processor.Request { r := x.claim("4099999992", 1999); r.Routing = ""; return r }(), billing.AttemptDeclined, "R13")
}

func TestChargebackAndReversal(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		back, partly, whole, voided := x.card("4000000000000267", 1999), x.card("4000000000000267", 2000),
			x.card("4000000000000259", 2001), x.card("4000000000000259", 2002)
		for _, r := range []processor.Request{back, partly, whole, voided} {
			want(t, x.Charge, r, billing.AttemptApproved, "00")
		}
		want(t, x.Refund, x.back(partly, 500, noon), billing.AttemptApproved, "00")
		want(t, x.Refund, x.back(whole, 2001, noon), billing.AttemptApproved, "00")
		want(t, x.Void, x.back(voided, 2002, noon), billing.AttemptApproved, "00")
		same(t, "notices after 3 days", []string{
			"1 03-04 chargeback c-1  19.99 USD", "2 03-04 chargeback c-2  15.00 USD",
		}, x.notices(t, 0, noon.Add(4*day)))
		// What the cardholder's bank has taken cannot be refunded as well.
		want(t, x.Refund, x.back(back, 1, noon.Add(4*day)), billing.AttemptDeclined, "13")
		same(t, "notices after 6 days", []string{
			"3 03-07 chargeback-reversed c-1  19.99 USD", "4 03-07 chargeback-reversed c-2  15.00 USD",
		}, x.notices(t, 2, noon.Add(30*day)))
		want(t, x.Refund, x.back(partly, 1501, noon.Add(30*day)), billing.AttemptDeclined, "13")
		want(t, x.Refund, x.back(partly, 1500, noon.Add(30*day)), billing.AttemptApproved, "00")
		same(t, "all notices", 4, len(x.notices(t, 0, noon.Add(90*day))))
	})
}

// TestRefundSeesWhatIsDue asks for a refund after the day of the chargeback,
// of which nobody has heard yet.
func TestRefundSeesWhatIsDue(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		r := x.card("4000000000000259", 1999)
		want(t, x.Charge, r, billing.AttemptApproved, "00")
		want(t, x.Refund, x.back(r, 1999, noon.Add(3*day)), billing.AttemptDeclined, "13")
		same(t, "notices", []string{"1 03-04 chargeback c-1  19.99 USD"}, x.notices(t, 0, noon.Add(3*day)))
		same(t, "journal", []string{
			"03-01 capture c-1 00 19.99 USD", "03-04 chargeback c-1  19.99 USD", "03-04 refund b-2 13 19.99 USD",
		}, x.journal(t))
	})
}

func TestVoidOfClaimsAndRefunds(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		claim := x.claim("4099999992", 1999)
		want(t, x.Charge, claim, billing.AttemptPending, "00")
		want(t, x.Void, x.back(claim, 1999, noon.Add(12*time.Hour)), billing.AttemptDeclined, "12") // the next day
		want(t, x.Void, x.back(claim, 1000, noon), billing.AttemptDeclined, "13")                   // not the whole
		want(t, x.Void, x.back(claim, 1999, noon.Add(11*time.Hour)), billing.AttemptApproved, "00")
		out, err := x.Lookup(t.Context(), "demo", claim.Reference, noon.Add(9*day))
		if err != nil || out.State != billing.AttemptDeclined || out.Response != "R06" {
			t.Errorf("a voided claim is %s %s, error %v", out.State, out.Response, err)
		}

		charge := x.card("4111111111111111", 1999)
		want(t, x.Charge, charge, billing.AttemptApproved, "00")
		refund := x.back(charge, 1999, noon.Add(5*day))
		want(t, x.Refund, refund, billing.AttemptApproved, "00")
		want(t, x.Refund, x.back(charge, 1, noon.Add(5*day)), billing.AttemptDeclined, "13")
		want(t, x.Void, x.back(refund, 1999, noon.Add(5*day)), billing.AttemptApproved, "00")
		want(t, x.Refund, x.back(charge, 1999, noon.Add(5*day)), billing.AttemptApproved, "00")
		want(t, x.Void, x.back(refund, 1999, noon.Add(5*day)), billing.AttemptDeclined, "12")
		want(t, x.Void, x.back(charge, 1999, noon), billing.AttemptDeclined, "12")
	})
}

// TestManyDue has more charges due than one transaction takes, of all kinds of
// fate, and two processes that let them happen. Notices come once each, in the
// order of their instants.
func TestManyDue(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		x, y := newTeller(t, open(t, address)), newTeller(t, open(t, address))
		numbers := []string{"9000000101", "9000000210", "9000000301", "4099999992"}
		expected := map[string]int{}
		for i := range 260 {
			r := x.claim(numbers[i%len(numbers)], 1999)
			if i%5 == 0 {
				r = x.card("4000000000000267", 1999)
				expected[r.Reference] = 2
			} else if i%4 == 1 || i%4 == 2 {
				expected[r.Reference] = 1
			}
			r.At = noon.Add(time.Duration(i*7%260) * time.Hour)
			if _, err := x.Charge(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for _, who := range []*teller{x, y} {
			all.Go(func() {
				for d := range 20 {
					if _, err := who.Notices(t.Context(), "demo", 0, noon.Add(time.Duration(d)*day)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		var last billing.Notice
		got := map[string]int{}
		for {
			page, err := x.Notices(t.Context(), "demo", last.Seq, noon.Add(60*day))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range page {
				if n.Seq != last.Seq+1 {
					t.Errorf("notice %d comes after %d", n.Seq, last.Seq)
				}
				got[n.Reference]++
				last = n
			}
			if len(page) == 0 {
				break
			}
		}
		same(t, "notices for each reference", expected, got)
	})
}

func TestNoticesAreInOrderOfTime(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for i := range 230 {
		r := x.card("4000000000000267", 1999)
		r.At = noon.Add(time.Duration(i*7%230) * time.Hour)
		if _, err := x.Charge(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	var last billing.Notice
	count := 0
	for {
		page, err := x.Notices(t.Context(), "demo", last.Seq, noon.Add(60*day))
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, n := range page {
			if n.At.Before(last.At) {
				t.Fatalf("notice %d of %s comes after one of %s", n.Seq, n.At, last.At)
			}
			last = n
			count++
		}
	}
	same(t, "notices", 460, count)
}

// TestTwoProcesses lets two banks on one database take the same requests at the
// same time.
func TestTwoProcesses(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		x, y := newTeller(t, open(t, address)), newTeller(t, open(t, address))
		const count = 40
		var requests []processor.Request
		for range count {
			requests = append(requests, x.card("4111111111111111", 1999))
		}
		var refunds []processor.Request
		for _, r := range requests {
			refunds = append(refunds, x.back(r, 1200, noon), x.back(r, 1300, noon))
		}
		outs := [2]map[string]billing.Outcome{{}, {}}
		var all sync.WaitGroup
		for i, who := range []*teller{x, y} {
			all.Go(func() {
				for _, r := range requests {
					out, err := who.Charge(t.Context(), r)
					if err != nil {
						t.Error(err)
					}
					outs[i][r.Reference] = out
				}
				for _, r := range refunds {
					out, err := who.Refund(t.Context(), r)
					if err != nil {
						t.Error(err)
					}
					outs[i][r.Reference] = out
				}
			})
		}
		all.Wait()
		same(t, "outcomes", outs[0], outs[1])
		lines, err := x.bank.Journal(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		totals, err := x.bank.Totals(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int64]bool{}
		for _, l := range lines {
			if seen[l.Seq] {
				t.Errorf("two lines have the number %d", l.Seq)
			}
			seen[l.Seq] = true
		}
		if len(lines) != 3*count || len(totals) != 2 || totals[0].Count != count || totals[1].Count != count || totals[1].Declined != count {
			t.Errorf("%d lines, totals %+v", len(lines), totals)
		}
	})
}

// TestTwoProcessesSettle lets two banks look up the same claims on the day on
// which they settle.
func TestTwoProcessesSettle(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		x, y := newTeller(t, open(t, address)), newTeller(t, open(t, address))
		var claims []processor.Request
		for range 40 {
			r := x.claim("4099999992", 1999)
			want(t, x.Charge, r, billing.AttemptPending, "00")
			claims = append(claims, r)
		}
		var all sync.WaitGroup
		for _, who := range []*teller{x, y} {
			all.Go(func() {
				for _, r := range claims {
					out, err := who.Lookup(t.Context(), "demo", r.Reference, noon.Add(3*day))
					if err != nil || out.State != billing.AttemptApproved {
						t.Errorf("%s is %s, error %v", r.Reference, out.State, err)
					}
				}
			})
		}
		all.Wait()
		totals, err := x.bank.Totals(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "totals", []sandbox.Total{
			{Kind: sandbox.LineClaim, Count: 40, Amount: billing.Minor(40*1999, "USD")},
			{Kind: sandbox.LineSettlement, Count: 40, Amount: billing.Minor(40*1999, "USD")},
		}, totals)
	})
}

// TestClientGivesUp leaves while the bank is still busy with the request, which
// it then finishes all the same.
func TestClientGivesUp(t *testing.T) {
	db := sqldbtest.Open(t, sqldb.SQLite)
	x := newTeller(t, db)
	arrived := make(chan struct{}, 10)
	line := sandbox.Embedded(x.bank)
	driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Body = &watched{r.Body, arrived}
		return line.RoundTrip(r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(*sqldb.Tx) error { // nobody can write meanwhile
		ctx, giveUp := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := driver.Charge(ctx, x.card("4111111111111111", 1999))
			done <- err
		}()
		<-arrived
		giveUp()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	x.until(t, 1)
}

// until waits until the journal has so many lines.
func (x *teller) until(t *testing.T, lines int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(x.journal(t)) < lines {
		if ctx.Err() != nil {
			t.Fatalf("the journal has no %d lines", lines)
		}
	}
}

// roundTrip is an http.RoundTripper in one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// watched tells when a body is read.
type watched struct {
	io.ReadCloser
	read chan<- struct{}
}

func (w *watched) Read(p []byte) (int, error) {
	select {
	case w.read <- struct{}{}:
	default:
	}
	return w.ReadCloser.Read(p)
}

func TestJournalPages(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for range 7 {
		want(t, x.Charge, x.card("4111111111111111", 1999), billing.AttemptApproved, "00")
	}
	var seqs []int64
	for after := int64(0); ; {
		page, err := x.bank.JournalPage(t.Context(), "demo", after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			seqs = append(seqs, l.Seq)
			after = l.Seq
		}
		if len(page) < 3 {
			break
		}
	}
	same(t, "numbers", []int64{1, 2, 3, 4, 5, 6, 7}, seqs)
	if lines, err := x.bank.Journal(t.Context(), "nobody"); err != nil || len(lines) != 0 {
		t.Errorf("a merchant without acts has %d lines, error %v", len(lines), err)
	}
}

func TestTerms(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		terms := func(merchant string) sandbox.Terms {
			got, err := x.bank.Terms(t.Context(), merchant)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		set := func(merchant string, to sandbox.Terms) {
			if err := x.bank.SetTerms(t.Context(), merchant, to); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "defaults", sandbox.Terms{Amounts: "current", SettleDays: 3, LateDays: 3}, terms("demo"))
		set(sandbox.Everyone, sandbox.Terms{Amounts: sandbox.Older, SettleDays: 1})
		same(t, "everyone's", sandbox.Terms{Amounts: "older", SettleDays: 1, LateDays: 3}, terms("demo"))
		set("demo", sandbox.Terms{LateDays: 9})
		same(t, "own", sandbox.Terms{Amounts: "current", SettleDays: 3, LateDays: 9}, terms("demo"))
		same(t, "another's", sandbox.Terms{Amounts: "older", SettleDays: 1, LateDays: 3}, terms("other"))
		for _, bad := range []sandbox.Terms{{Amounts: "newest"}, {SettleDays: -1}, {LateDays: 366}} {
			if err := x.bank.SetTerms(t.Context(), "demo", bad); billing.KindOf(err) != billing.Invalid {
				t.Errorf("%+v: error %v", bad, err)
			}
		}
		if err := x.bank.SetTerms(t.Context(), "", sandbox.Terms{}); err == nil {
			t.Error("terms for nobody")
		}
	})
}

// TestAccount drives the bank through the account that the product uses.
func TestAccount(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	a, err := processor.New(x.Driver, processor.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if out := a.Do(t.Context(), billing.AskCharge, x.card("4111111111111111", 15500)); out.Response != "10" || out.Amount != billing.Minor(14500, "USD") {
		t.Errorf("partly approved: %+v", out)
	}
	cut := x.card("4000000000006066", 1999)
	if out := a.Do(t.Context(), billing.AskCharge, cut); out.State != billing.AttemptUnknown {
		t.Errorf("cut: %+v", out)
	}
	if out, found, err := a.Lookup(t.Context(), "demo", cut.Reference, noon); !found || err != nil || out.State != billing.AttemptApproved {
		t.Errorf("after the cut: %+v, found %v, error %v", out, found, err)
	}
	if _, found, err := a.Lookup(t.Context(), "demo", "c-none", noon); found || err != nil {
		t.Errorf("not found: %v, error %v", found, err)
	}
	impatient, err := processor.New(x.Driver, processor.Options{Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	silent := x.card("4000000000006041", 1999)
	if out := impatient.Do(t.Context(), billing.AskCharge, silent); out.State != billing.AttemptUnknown {
		t.Errorf("silent: %+v", out)
	}
	refused := x.card("4111111111111111", 1999)
	refused.At = time.Time{}
	if out := a.Do(t.Context(), billing.AskCharge, refused); out.State != billing.AttemptDeclined || out.Response != "96" {
		t.Errorf("refused: %+v", out)
	}
	notices, err := a.Notices(t.Context(), "demo", 0, noon)
	if err != nil || len(notices) != 0 {
		t.Errorf("notices: %v, error %v", notices, err)
	}
}

func TestNewNeedsItsDatabase(t *testing.T) {
	db := sqldbtest.Open(t, sqldb.SQLite)
	if _, err := sandbox.New(t.Context(), db, sandbox.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.New(t.Context(), db, sandbox.Options{}); err != nil {
		t.Errorf("opened a second time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sandbox.New(ctx, sqldbtest.Open(t, sqldb.SQLite), sandbox.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestTablesOfOthers: where the number decides no amount does, and a debit of a bank
// account is declined at once where that gateway does so.
func TestTablesOfOthers(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for _, table := range []string{sandbox.None, sandbox.AuthorizeNet} {
		if err := x.bank.SetTerms(t.Context(), x.merchant, sandbox.Terms{Amounts: table}); err != nil {
			t.Fatal(err)
		}
		for _, minor := range []int64{1, 100, 8000, 15500, 99_999_99} {
			want(t, x.Charge, x.card("4111111111111111", minor), billing.AttemptApproved, billing.Approved)
			want(t, x.Charge, x.card("4000000000000077", minor), billing.AttemptDeclined, "51")
		}
		for _, tt := range []struct {
			minor int64
			good  bool
		}{{100_00, true}, {100_01, table == sandbox.None}} {
			state, code := billing.AttemptPending, billing.Approved
			if !tt.good {
				state, code = billing.AttemptDeclined, "R01"
			}
			want(t, x.Charge, x.claim("4099999992", tt.minor), state, code)
		}
	}
}
