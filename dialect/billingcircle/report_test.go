package billingcircle_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// TestReportVector is vector 35: a charge of 29.00 and a credit of 9.00.
func TestReportVector(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		d.Merchant = d.company("early", `{}`)
		_, err := d.Cashier.SetClock(ctx, d.Merchant.ID, billing.ClockFrozen, time.Date(2009, 8, 27, 17, 0, 0, 0, time.UTC))
		check(t, err)
		ask := func(method string, fields ...string) string {
			t.Helper()
			return strings.Replace(d.askOf("early", method, fields...), "\r", "", -1)
		}
		ask("createclient", append([]string{"c_merchantid=x", "c_ccnumber=" + good}, john...)...)
		ask("confirmclient", "c_merchantid=x")
		ask("createschedule", "c_merchantid=x", "s_startdate=2009-09-10", "s_recurringtype=single", "s_title=Service", "s_amount=29.00")
		ask("confirmschedule", "c_merchantid=x", "s_scheduleid=5001")
		d.MoveTo("2009-09-12")
		d.giveBack("x", 900)
		want := "1,1,Success,2\ndate,count,subtotal,tax,total\n2009-09-10,1,29.00,0.00,29.00\n2009-09-12,1,-9.00,0.00,-9.00\n"
		if got := ask("reporting", "r_startdate=2009-09-01", "r_enddate=2009-09-30", "r_chargetype=net", "r_groupby=day"); got != want {
			t.Errorf("net by day:\n%s", got)
		}
		d.clean()
	})
}

// giveBack refunds a part of the last payment of a client.
func (d *desk) giveBack(key string, amount int64) {
	d.t.Helper()
	ctx := context.Background()
	s := d.Session()
	var pay billing.ActivityID
	check(d.t, s.Books.View(ctx, func(v *store.View) error {
		c, err := s.Customer(ctx, v, cashier.Ref{Code: key})
		check(d.t, err)
		list, err := v.Activities(ctx, c.ID, store.ActivityFilter{Page: store.Page{Limit: 1000}})
		for _, a := range list {
			if (a.Kind == billing.Claim || a.Kind == billing.Payment) && a.State == billing.Posted {
				pay = a.ID
			}
		}
		return err
	}))
	_, err := d.Cashier.Refund(ctx, s, pay, cashier.RefundRequest{Amount: amount})
	check(d.t, err)
}

// TestReports: every kind of report, and that what they add up to is what the
// ledgers hold.
func TestReports(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ann := d.client("ann", good, "c_company=Ann, Inc.")
		bob := d.client("bob", good)
		d.want("1,1,Success,"+bob, "modifyclient", "c_clientid="+bob, "c_state=NY")
		hand := d.client("hand", "", "c_chargemethod=manual")
		bank := d.client("bank", "", "c_chargemethod=echeck", "c_bankname=First", "c_bankacctname=John_Doe", "c_bankabacode=021000021",
			"c_bankacctnum=4099999992", "c_bankaccttype=CHECKING")
		d.scheduled(ann, "s_startdate=2009-09-01", "s_recurringtype=subscription", "s_interval=monthly", "s_amount=29.00", "s_taxrate=8.25")
		d.scheduled(ann, "s_startdate=2009-09-01", "s_recurringtype=subscription", "s_interval=weekly", "s_amount=1.00")
		d.scheduled(bob, "s_startdate=2009-09-30", "s_recurringtype=single", "s_amount=5.00")
		d.scheduled(hand, "s_startdate=2009-09-15", "s_recurringtype=single", "s_amount=7.00")
		d.scheduled(bank, "s_startdate=2009-09-29", "s_recurringtype=single", "s_amount=11.00")
		free := d.scheduled(bob, "s_startdate=2009-09-02", "s_recurringtype=single", "s_amount=3.00")
		d.want("1,1,Success,"+free, "createadjustment", "c_clientid="+bob, "s_scheduleid="+free, "s_adjustment=-3.00", "s_adjustmentnote=gift")
		d.MoveTo("2009-09-16")
		_, err := d.Cashier.Record(context.Background(), d.Session(), cashier.Ref{Code: "hand"},
			cashier.RecordRequest{Kind: billing.Payment, Instrument: billing.Check, Amount: 700})
		check(t, err)
		d.MoveTo("2009-10-01")
		d.giveBack("bob", 500)
		d.MoveTo("2009-10-03")
		report := func(kind, by string, more ...string) string {
			t.Helper()
			got := d.ask("reporting", append([]string{"r_startdate=2009-09-01", "r_enddate=2009-10-31", "r_chargetype=" + kind, "r_groupby=" + by}, more...)...)
			line, rows, _ := strings.Cut(got, "\n")
			if n := strings.Count(rows, "\n") - 1; line != "1,1,Success,"+strconv.Itoa(n) {
				t.Errorf("%d rows after %s", n, line)
			}
			return rows
		}
		for _, tt := range []struct{ kind, by, want string }{
			{"net", "month", "period,count,subtotal,tax,total\n2009-09,9,46.00,2.39,48.39\n2009-10,3,35.00,2.39,37.39\n"},
			{"gross", "quarter", "period,count,subtotal,tax,total\n2009-Q3,9,46.00,2.39,48.39\n2009-Q4,2,40.00,2.39,42.39\n"},
			{"credits", "year", "period,count,subtotal,tax,total\n2009,1,5.00,0.00,5.00\n"},
			{"net", "week", "weekstart,count,subtotal,tax,total\n2009-08-31,3,30.00,2.39,32.39\n2009-09-07,1,1.00,0.00,1.00\n2009-09-14,2,8.00,0.00,8.00\n" +
				"2009-09-21,1,1.00,0.00,1.00\n2009-09-28,5,41.00,2.39,43.39\n"},
			{"net", "client", "clientid,merchantid,company,firstname,lastname,count,subtotal,tax,total\n1234,ann,\"Ann, Inc.\",John,Doe,7,63.00,4.78,67.78\n" +
				"1235,bob,,John,Doe,3,0.00,0.00,0.00\n1236,hand,,John,Doe,1,7.00,0.00,7.00\n1237,bank,,John,Doe,1,11.00,0.00,11.00\n"},
			{"net", "schedule", "scheduleid,clientid,merchantid,title,count,subtotal,tax,total\n5001,1234,ann,Service,2,58.00,4.78,62.78\n5002,1234,ann,Service,5,5.00,0.00,5.00\n" +
				"5003,1235,bob,Service,2,0.00,0.00,0.00\n5004,1236,hand,Service,1,7.00,0.00,7.00\n5005,1237,bank,Service,1,11.00,0.00,11.00\n5006,1235,bob,Service,1,0.00,0.00,0.00\n"},
			{"gross", "state", "state,count,subtotal,tax,total\nCA,9,81.00,4.78,85.78\nNY,2,5.00,0.00,5.00\n"},
			{"net", "country", "country,count,subtotal,tax,total\nUS,12,81.00,4.78,85.78\n"},
			{"credits", "transaction", "transactionid,invoiceid,date,type,clientid,merchantid,scheduleid,title,chargemethod,subtotal,tax,total\n" +
				"9001,7001,2009-10-01,credit,1235,bob,5003,Service,cc,5.00,0.00,5.00\n"},
		} {
			if got := report(tt.kind, tt.by); got != tt.want {
				t.Errorf("%s by %s:\n%s\nwant\n%s", tt.kind, tt.by, got, tt.want)
			}
		}
		if got := report("net", "month", "c_merchantid=hand"); got != "period,count,subtotal,tax,total\n2009-09,1,7.00,0.00,7.00\n" {
			t.Errorf("of one client:\n%s", got)
		}
		rows := strings.Split(strings.TrimSpace(report("net", "transaction")), "\n")
		if len(rows) != 13 || rows[1] != "9002,7002,2009-09-01,success,1234,ann,5001,Service,cc,29.00,2.39,31.39" {
			t.Errorf("transactions:\n%s", strings.Join(rows, "\n"))
		}
		cash := d.Balance("cash:sandbox") + d.Balance("cash:check")
		if cash != 8578-0 {
			t.Errorf("the ledgers hold %d, the report says 85.78", cash)
		}
		d.want("2,1007,A required field is invalid: r_enddate,r_enddate", "reporting", "r_startdate=2009-09-02", "r_enddate=2009-09-01", "r_chargetype=net", "r_groupby=day")
		d.clean()
	})
}
