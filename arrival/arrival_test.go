package arrival_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/arrival"
	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/store"
)

// sale is a NEW record: the number's end, when, initial price and days, rebill
// price and days, rebills.
func sale(end, at, initial, days, recurring, every, rebills string) string {
	return quote("NEW", "900000", "2001", "01121421050000"+end, at, "Jane", "Doe", "jane", "s3cret", "1 Main St", "Tempe", "AZ", "85281", "US",
		"jane@example.com", "", "1", initial, days, recurring, every, rebills)
}

func about(kind, end string, fields ...string) string {
	return quote(append([]string{kind, "900000", "2001", "01121421050000" + end}, fields...)...)
}

func quote(fields ...string) string { return `"` + strings.Join(fields, `","`) + "\"\n" }

func cardOf(ends ...string) string {
	var b strings.Builder
	for _, end := range ends {
		fmt.Fprintf(&b, `{"subscriptionId":"01121421050000%s","type":"visa-credit","number":"%s","expiry":"0430"}`+"\n", end, canary)
	}
	return b.String()
}

// bring imports an extract and tells what became of it, refusals first.
func bring(t *testing.T, s *cashiertest.Shop, records, cards string, change ...func(*arrival.Options)) string {
	t.Helper()
	ctx := context.Background()
	var lines []string
	folder := t.TempDir()
	stage, err := arrival.NewStage(ctx, folder, s.Vault, func(r arrival.Refusal) { lines = append(lines, r.String()) })
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Records(ctx, "e.csv", strings.NewReader(records)); err != nil {
		t.Fatal(err)
	}
	if err := stage.Cards(ctx, s.Vault, strings.NewReader(seal(t, s.Vault, cards))); err != nil {
		t.Fatal(err)
	}
	o := arrival.Options{Cashier: s.Cashier, Merchant: s.Session().Merchant}
	for _, f := range change {
		f(&o)
	}
	tally, err := stage.Plant(ctx, o)
	if err != nil {
		lines = append(lines, "error: "+err.Error())
	}
	if err := stage.Close(); err != nil {
		t.Fatal(err)
	}
	lines = append(lines, fmt.Sprintf("%d planted, %d known, %d refused", tally.Planted, tally.Known, tally.Refused))
	all := strings.Join(lines, "\n")
	scratch, err := os.ReadFile(filepath.Join(folder, "import.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{canary, "s3cret"} {
		if strings.Contains(all+string(scratch), secret) {
			t.Errorf("%s is told, or lies in the scratch database", secret)
		}
	}
	return all
}

// planted shows a subscription by its number's end, "" if it is not there.
func planted(t *testing.T, s *cashiertest.Shop, end string) string {
	t.Helper()
	ctx := context.Background()
	var text string
	err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		have, err := v.Numbered(ctx, strings.TrimLeft("01121421050000"+end, "0"))
		if err != nil || len(have) == 0 {
			return err
		}
		sub, err := v.Subscription(ctx, billing.SubscriptionID(have[store.SubscriptionNumber]))
		if err != nil {
			return err
		}
		m, err := v.PaymentMethod(ctx, sub.PaymentMethodID)
		if err != nil {
			return err
		}
		c, err := v.Customer(ctx, sub.CustomerID)
		if err != nil {
			return err
		}
		text = fmt.Sprintf("%s %s %s, billed %d, next %s, signed up %s, %s, %s %s %s", sub.Status, sub.Amount, sub.Term, sub.Issued, sub.NextDate,
			sub.SignedUpAt.Format("2006-01-02T15:04:05Z"), sub.Note, c.Name(), c.Address.City, m.Masked)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestImport brings in one subscription of each kind.
func TestImport(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		records := sale("24001", "2019-12-10 08:30:00", "5.00", "30", "29.95", "30", "99") + // not rebilled yet
			sale("24002", "2019-10-01 08:30:00", "5.00", "30", "29.95", "30", "99") +
			about("REBILL", "24002", "2019-10-31", "0119304105000000001", "29.95") +
			about("REBILL", "24002", "2019-10-31", "0119304105000000001", "29.95") + // again, from another extract
			about("REBILL", "24002", "2019-12-01", "0119335105000000001", "29.95") + // a day late
			sale("24003", "20191201083000", "9.95", "30", "9.95", "30", "3") +
			about("CANCELLATION", "24003", "2019-12-05 10:00:00") +
			sale("24004", "2019-06-01 08:30:00", "9.95", "30", "9.95", "30", "99") +
			about("EXPIRE", "24004", "2019-07-01", "2019-06-20 00:00:00", "N") +
			sale("24005", "2019-12-01 08:30:00", "9.95", "30", "9.95", "30", "99") +
			about("REFUND", "24005", "2019-12-03 08:30:00", "9.95") +
			sale("24006", "2019-12-01 08:30:00", "50", "90", "0.00", "0", "0") + // single
			sale("24007", "2019-12-01 08:30:00", "5.00", "30", "9.95", "30", "99") +
			about("ACTIVEMEMBERS", "24007", "2019-12-30", "jane", "jane@example.com", "2", "2020-02-15", "")
		cards := cardOf("24001", "24002", "24003", "24004", "24005", "24006", "24007")
		if got := bring(t, s, records, cards, func(o *arrival.Options) { o.DryRun = true }); got != "7 planted, 0 known, 0 refused" {
			t.Error(got)
		}
		if got := planted(t, s, "24001"); got != "" {
			t.Errorf("the dry run planted %s", got)
		}
		if got := bring(t, s, records, cards); got != "7 planted, 0 known, 0 refused" {
			t.Error(got)
		}
		var got []string
		for i := range 7 {
			got = append(got, planted(t, s, fmt.Sprintf("2400%d", i+1)))
		}
		want := []string{
			"current 29.95 USD perpetual, billed 1, next 2020-01-09, signed up 2019-12-10T15:30:00Z, from CCBill, Jane Doe Tempe 4***********1111",
			"current 29.95 USD perpetual, billed 3, next 2019-12-31, signed up 2019-10-01T15:30:00Z, from CCBill, Jane Doe Tempe 4***********1111",
			"current 9.95 USD fixed, billed 1, next 2020-01-01, signed up 2019-12-01T15:30:00Z, from CCBill, Jane Doe Tempe 4***********1111",
			"cancelled 9.95 USD perpetual, billed 1, next , signed up 2019-06-01T15:30:00Z, from CCBill, Jane Doe Tempe 4***********1111",
			"cancelled 9.95 USD perpetual, billed 1, next , signed up 2019-12-01T15:30:00Z, from CCBill, 1 refund, Jane Doe Tempe 4***********1111",
			"current 0.00 USD fixed, billed 1, next 2020-03-01, signed up 2019-12-01T15:30:00Z, from CCBill, Jane Doe Tempe 4***********1111",
			"current 9.95 USD perpetual, billed 1, next 2020-02-15, signed up 2019-12-01T15:30:00Z, from CCBill, Jane Doe Tempe 4***********1111",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("planted (-want +got):\n%s", diff)
		}
		if again := bring(t, s, records, cards); again != "0 planted, 7 known, 0 refused" {
			t.Errorf("twice: %s", again)
		}
		// It goes on: two months later the endless ones were billed here, on their
		// own dates, and the others never.
		s.MoveTo("2020-03-02")
		invoices := make(map[string]int)
		for i := range 7 {
			number := fmt.Sprintf("2400%d", i+1)
			for _, a := range s.Activities(customerOf(t, s, number)) {
				if a.Kind == billing.Invoice {
					invoices[number+" "+a.Due.String()]++
				}
			}
		}
		due := map[string]int{"24001 2020-01-09": 1, "24001 2020-02-08": 1, "24002 2019-12-31": 1, "24002 2020-01-30": 1, "24002 2020-02-29": 1,
			"24007 2020-02-15": 1}
		if diff := cmp.Diff(due, invoices); diff != "" {
			t.Errorf("invoices (-want +got):\n%s", diff)
		}
		s.Balanced()
		if again := bring(t, s, records, cards); again != "0 planted, 7 known, 0 refused" {
			t.Errorf("two months later: %s", again)
		}
	})
}

func customerOf(t *testing.T, s *cashiertest.Shop, end string) cashier.Ref {
	t.Helper()
	ctx := context.Background()
	var r cashier.Ref
	session := s.Session()
	err := session.Books.View(ctx, func(v *store.View) error {
		c, err := session.Customer(ctx, v, cashier.Ref{Code: "ccbill-" + strings.TrimLeft("01121421050000"+end, "0")})
		if err == nil {
			r = cashier.Ref{ID: int64(c.ID)}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRefusals tells each thing that cannot be brought in by its line, and brings
// in the rest.
func TestRefusals(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		at := "2019-12-10 08:30:00"
		records := sale("24001", at, "5.00", "30", "29.95", "30", "99") +
			`"SURPRISE","900000","2001","0112142105000024002"` + "\n" +
			"\n1\n" +
			`"NEW","900000` + "\n" +
			`"NEW","900000","2001","0112142105000024005"` + "\n" +
			quote("CANCELLATION", "900001", "2001", "0112142105000024006", at) +
			quote("CANCELLATION", "900000", "2001", "4111111111111111x", at) +
			"\xff\xfe\n" +
			sale("24010", at, "1,000.00", "30", "29.95", "30", "99") +
			sale("24011", at, "5.00", "30", "29.95", "0", "99") +
			sale("24012", at, "5.00", "30", "29.95", "30", "-1") +
			sale("24013", "yesterday", "5.00", "30", "29.95", "30", "99") +
			sale("24014", "2019-06-01 08:30:00", "5.00", "30", "29.95", "30", "99") +
			sale("24015", at, "5.00", "30", "29.95", "30", "99") +
			about("REBILL", "24016", "2019-12-10", "1", "29.95") +
			strings.Replace(sale("24017", at, "5.00", "30", "29.95", "30", "99"), `"2001"`, `"0001"`, 1) +
			sale("24018", at, "5.00", "30", "29.95", "30", "99") + about("CANCELLATION", "24018", at) +
			about("ACTIVEMEMBERS", "24018", "2019-12-30", "jane", "jane@example.com", "2", "2020-02-15", "") +
			sale("24019", "2020-06-01 08:30:00", "5.00", "30", "29.95", "30", "99")
		cards := cardOf("24001", "24010", "24011", "24012", "24013", "24014", "24016", "24017", "24018", "24019")
		got := bring(t, s, records, cards)
		want := `e.csv:2: is of no type that is known: NEW, REBILL, REFUND, VOID, CHARGEBACK, EXPIRE, CANCELLATION, ACTIVEMEMBERS
e.csv:5: is no line of values in quotes with commas between
e.csv:6: has 4 columns; a NEW record has 22
e.csv:7: belongs to another client account than the records before it, 900000
e.csv:8: must have an account of 6 digits, a subaccount of 4 and a subscription number of up to 20 in columns 2 to 4
e.csv:9: is not text in UTF-8
e.csv:10: subscription 112142105000024010 has no amount in column 18
e.csv:11: subscription 112142105000024011 cannot be what was sold: recurring: price and days are required where there are rebills
e.csv:12: subscription 112142105000024012 has no whole number in column 22
e.csv:13: subscription 112142105000024013 has no timestamp in column 5
e.csv:14: subscription 112142105000024014 would have been billed on 2019-07-01: a REBILL, CANCELLATION or EXPIRE record is missing
e.csv:15: subscription 112142105000024015 has no card in the card file
e.csv:16: subscription 112142105000024016 has no NEW record, so nobody knows what was sold
e.csv:17: subscription 112142105000024017 is of subaccount 0001, which the merchant does not have: make it with perennial apply
e.csv:20: subscription 112142105000024018 is said to be billed again, and to have ended: decide which, and take out the other record
e.csv:21: subscription 112142105000024019 cannot be planted: signed_up: must be given and must not lie in the future
1 planted, 0 known, 10 refused`
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("refusals (-want +got):\n%s", diff)
		}
	})
}

// TestStoppedImport is stopped earlier and later, with several subscriptions at
// various verbs, and begun again until it comes through: each is planted once.
func TestStoppedImport(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		var records string
		var ends []string
		for i := range 12 {
			ends = append(ends, fmt.Sprintf("240%02d", i))
			records += sale(ends[i], "2019-12-10 08:30:00", "5.00", "30", "29.95", "30", "99")
		}
		runs := 0
		for left := 1; ; left++ {
			runs++
			ctx, stop := context.WithCancel(context.Background())
			stage, err := arrival.NewStage(ctx, t.TempDir(), s.Vault, func(r arrival.Refusal) { t.Error(r) })
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(stage.Records(ctx, "e.csv", strings.NewReader(records)),
				stage.Cards(ctx, s.Vault, strings.NewReader(seal(t, s.Vault, cardOf(ends...))))); err != nil {
				t.Fatal(err)
			}
			merchant := s.Session().Merchant
			var asked atomic.Int64
			s.Cashier.Now = func() time.Time {
				if asked.Add(1) > int64(left) {
					stop()
				}
				return s.Wall.Now()
			}
			tally, err := stage.Plant(ctx, arrival.Options{Cashier: s.Cashier, Merchant: merchant})
			s.Cashier.Now = s.Wall.Now
			if err := stage.Close(); err != nil {
				t.Fatal(err)
			}
			stop()
			if err == nil {
				if tally.Planted+tally.Known != len(ends) {
					t.Errorf("%+v", tally)
				}
				break
			}
		}
		if runs < 3 {
			t.Errorf("it was stopped %d times only", runs-1)
		}
		var customers []*billing.Customer
		ctx := context.Background()
		err := s.Session().Books.View(ctx, func(v *store.View) (err error) {
			customers, err = v.Customers(ctx, store.CustomerFilter{Page: store.Page{Limit: 100}})
			return err
		})
		if err != nil || len(customers) != len(ends) {
			t.Errorf("%d customers: %v", len(customers), err)
		}
		for _, end := range ends {
			if planted(t, s, end) == "" {
				t.Errorf("%s was forgotten", end)
			}
		}
	})
}
