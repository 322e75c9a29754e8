package billingcircle_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/billingcircle"
	"github.com/perennial-billing/perennial/store"
)

const (
	good     = "4111111111111111"
	refused  = "4000000000000002"
	noFunds  = "4000000000006017" // twice, and then good
	goodOnce = "4000000000006009" // and then without funds
)

// bills lists the bills of the only client: day, subtotal, tax and total.
func (d *desk) bills(client string) (list []string) {
	d.t.Helper()
	var id int64
	ctx := context.Background()
	check(d.t, d.Store.View(ctx, d.Merchant.ID, func(v *store.View) error {
		n := int64(0)
		_, err := fmt.Sscan(client, &n)
		check(d.t, err)
		name, err := v.ByCount(ctx, store.ClientNumber, n)
		check(d.t, err)
		_, err = fmt.Sscan(name, &id)
		return err
	}))
	for _, a := range d.Activities(cashier.Ref{ID: id}) {
		if a.Kind == billing.Invoice {
			list = append(list, fmt.Sprintf("%s %s+%s=%s", a.Due, billing.Minor(a.Amount.Minor()-a.Tax.Minor(), "USD").Decimal(), a.Tax.Decimal(), a.Amount.Decimal()))
		}
	}
	return list
}

// walk moves the clock to a day in one jump, or day by day.
func (d *desk) walk(until string, daily bool) {
	d.t.Helper()
	end, err := billing.ParseDate(until)
	check(d.t, err)
	if daily {
		for day := d.Session().Today().AddDays(1); day.Before(end); day = day.AddDays(1) {
			d.MoveTo(day.String())
		}
	}
	d.MoveTo(until)
}

// TestTables: the installments, the tax and the dates of section 9 through the run,
// in one jump and day by day.
func TestTables(t *testing.T) {
	for _, tt := range []struct {
		name, fields string
		want         string
	}{
		{"100.00 in 3", "s_startdate=2009-09-01 s_recurringtype=installments s_interval=monthly s_numofintervals=3 s_amount=100.00",
			"2009-09-01 33.34+0.00=33.34, 2009-10-01 33.33+0.00=33.33, 2009-11-01 33.33+0.00=33.33"},
		{"1000.00 in 7", "s_startdate=2009-09-01 s_recurringtype=installments s_interval=weekly s_numofintervals=7 s_amount=1000.00",
			"2009-09-01 142.90+0.00=142.90, 2009-09-08 142.85+0.00=142.85, 2009-09-15 142.85+0.00=142.85, 2009-09-22 142.85+0.00=142.85, " +
				"2009-09-29 142.85+0.00=142.85, 2009-10-06 142.85+0.00=142.85, 2009-10-13 142.85+0.00=142.85"},
		{"10.00 in 4", "s_startdate=2009-09-01 s_recurringtype=installments s_interval=weekly s_numofintervals=4 s_amount=10",
			"2009-09-01 2.50+0.00=2.50, 2009-09-08 2.50+0.00=2.50, 2009-09-15 2.50+0.00=2.50, 2009-09-22 2.50+0.00=2.50"},
		{"0.05 in 4", "s_startdate=2009-09-01 s_recurringtype=installments s_interval=weekly s_numofintervals=4 s_amount=0.05",
			"2009-09-01 0.02+0.00=0.02, 2009-09-08 0.01+0.00=0.01, 2009-09-15 0.01+0.00=0.01, 2009-09-22 0.01+0.00=0.01"},
		{"tax", "s_startdate=2009-12-28 s_recurringtype=subscription s_interval=monthly s_amount=29.00 s_taxrate=8.250", "2009-12-28 29.00+2.39=31.39"},
		{"tax with more", "s_startdate=2009-12-28 s_recurringtype=subscription s_interval=monthly s_amount=29.00 s_taxrate=8.25 s_adjustment=15.00 s_adjustmentnote=Start",
			"2009-12-28 44.00+3.63=47.63"},
		{"tax with less", "s_startdate=2009-12-28 s_recurringtype=subscription s_interval=monthly s_amount=29.00 s_taxrate=8.25 s_adjustment=-1.99 s_adjustmentnote=Less",
			"2009-12-28 27.01+2.23=29.24"},
		{"monthly", "s_startdate=2009-08-28 s_recurringtype=subscription s_interval=monthly s_numofintervals=3 s_amount=1.00",
			"2009-08-28 1.00+0.00=1.00, 2009-09-28 1.00+0.00=1.00, 2009-10-28 1.00+0.00=1.00"},
		{"weekly", "s_startdate=2009-12-14 s_recurringtype=subscription s_interval=weekly s_amount=1.00",
			"2009-12-14 1.00+0.00=1.00, 2009-12-21 1.00+0.00=1.00, 2009-12-28 1.00+0.00=1.00"},
		{"semimonthly", "s_startdate=2009-09-20 s_recurringtype=subscription s_interval=semimonthly s_numofintervals=4 s_amount=1.00",
			"2009-09-20 1.00+0.00=1.00, 2009-10-06 1.00+0.00=1.00, 2009-10-20 1.00+0.00=1.00, 2009-11-06 1.00+0.00=1.00"},
		{"quarterly", "s_startdate=2009-09-28 s_recurringtype=subscription s_interval=quarterly s_amount=1.00",
			"2009-09-28 1.00+0.00=1.00, 2009-12-28 1.00+0.00=1.00"},
		{"single", "s_startdate=2009-08-31 s_recurringtype=single s_interval=nonsense s_amount=7.00", "2009-08-31 7.00+0.00=7.00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open(t, func(t *testing.T, d *desk) {
				jump := d.client("jump", good)
				id := d.scheduled(jump, strings.Fields(tt.fields)...)
				d.walk("2010-01-01", strings.HasPrefix(tt.name, "tax with"))
				if got := strings.Join(d.bills(jump), ", "); got != tt.want {
					t.Errorf("billed %s\nwant %s", got, tt.want)
				}
				if strings.Contains(tt.fields, "numofintervals") || strings.Contains(tt.fields, "single") {
					if got := d.ask("fetchschedule", "c_clientid="+jump, "s_scheduleid="+id); !strings.Contains(got, "status1=closed") {
						t.Errorf("after the last bill: %s", got)
					}
				}
				d.want("1,1,Success,success", "checkschedulestatus", "c_clientid="+jump, "s_scheduleid="+id)
				d.clean()
			})
		})
	}
}

// TestYear: a year of schedules that run beside each other for one client, in one
// jump and day by day.
func TestYear(t *testing.T) {
	var books []string
	for _, daily := range []bool{false, true} {
		t.Run(map[bool]string{false: "jump", true: "daily"}[daily], func(t *testing.T) {
			open(t, func(t *testing.T, d *desk) {
				c := d.client("year", good)
				for _, fields := range []string{
					"s_startdate=2009-08-31 s_recurringtype=subscription s_interval=weekly s_amount=1.00 s_taxrate=8.25",
					"s_startdate=2009-09-01 s_recurringtype=subscription s_interval=semimonthly s_amount=2.00",
					"s_startdate=2009-09-15 s_recurringtype=subscription s_interval=monthly s_amount=4.00",
					"s_startdate=2009-09-28 s_recurringtype=subscription s_interval=quarterly s_amount=8.00",
					"s_startdate=2009-09-01 s_recurringtype=installments s_interval=monthly s_numofintervals=7 s_amount=1000.00",
				} {
					d.scheduled(c, strings.Fields(fields)...)
				}
				d.walk("2010-08-30", daily)
				got := strings.Join(d.bills(c), "\n")
				if n := strings.Count(got, "\n") + 1; n != 53+24+12+4+7 {
					t.Errorf("%d bills:\n%s", n, got)
				}
				books = append(books, got)
				if n, _ := d.Bank.Journal(context.Background(), "acme"); len(n) == 0 {
					t.Error("the bank was never asked")
				}
				d.clean()
			})
		})
	}
	for _, b := range books {
		if b != books[0] {
			t.Errorf("the bills differ:\n%s\n%s", books[0], b)
		}
	}
}

// TestStanding goes through the states of a client and a schedule.
func TestStanding(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		c := d.client("ann", good)
		s := d.scheduled(c, "s_startdate=2009-08-27", "s_recurringtype=subscription", "s_interval=weekly", "s_amount=10.00")
		pair := []string{"c_clientid=" + c, "s_scheduleid=" + s}
		_, err := d.Runner.Merchant(context.Background(), d.Merchant.ID)
		check(t, err)
		d.want("1,1,Success,new", "checkschedulestatus", pair...)
		d.MoveTo("2009-08-28") // a start date of today bills in the next batch
		d.want("1,1,Success,success", "checkschedulestatus", pair...)
		for _, status := range []string{"fraudulent", "closed"} {
			d.want("1,1,Success,"+c, "modifyclient", "c_clientid="+c, "c_status="+status)
			d.want("1,1,Success,"+status, "checkclientstatus", "c_clientid="+c)
			d.want("2,1007,A required field is invalid: c_clientid,c_clientid", "confirmclient", "c_merchantid=ann")
		}
		if got := d.ask("fetchschedule", "c_clientid="+c); !strings.HasSuffix(got, "status1=active") {
			t.Errorf("the client's state is not the schedule's: %s", got)
		}
		d.MoveTo("2009-09-20")
		d.want("1,1,Success,"+c, "modifyclient", "c_clientid="+c, "c_status=active")
		d.want("1,1,Success,"+c, "confirmclient", "c_clientid="+c)
		d.MoveTo("2009-09-26")
		d.want("1,1,Success,"+s, "modifyschedule", append(pair, "s_status=inactive")...)
		d.MoveTo("2009-10-10")
		d.want("1,1,Success,"+s, "modifyschedule", append(pair, "s_status=active")...)
		d.MoveTo("2009-10-17")
		d.want("1,1,Success,"+s, "modifyschedule", append(pair, "s_startdate=2009-10-20", "s_interval=monthly", "s_numofintervals=6")...)
		d.want("2,1010,Start Date must not be before the current date. Server runs EST. Current Date: 2009-10-17,s_startdate", "modifyschedule",
			append(pair, "s_startdate=2009-10-16")...)
		d.MoveTo("2009-11-21")
		want := "2009-08-27 10.00, 2009-09-24 10.00, 2009-10-15 10.00, 2009-10-20 10.00, 2009-11-20 10.00"
		var got []string
		for _, b := range d.bills(c) {
			got = append(got, b[:16])
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("billed %s, want %s", got, want)
		}
		d.want("1,1,Success,"+s, "modifyschedule", append(pair, "s_status=closed")...)
		d.want("2,1007,A required field is invalid: s_scheduleid,s_scheduleid", "modifyschedule", append(pair, "s_status=active")...)
		d.want("2,1007,A required field is invalid: s_scheduleid,s_scheduleid", "createadjustment", append(pair, "s_adjustment=1.00")...)
		d.want("1,1,Success,"+s, "confirmschedule", pair...)
		d.MoveTo("2010-01-21")
		if n := len(d.bills(c)); n != 5 {
			t.Errorf("%d bills after it was closed", n)
		}
		d.clean()
	})
}

// TestResults: what becomes of bills is told in the words of checkschedulestatus and
// in Collections.
func TestResults(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		monthly := []string{"s_startdate=2009-09-01", "s_recurringtype=subscription", "s_interval=monthly", "s_amount=29.00", "s_taxrate=10"}
		no := d.client("no", refused)
		later := d.client("later", noFunds)
		hand := d.client("hand", "", "c_chargemethod=manual")
		bank := d.client("bank", "", "c_chargemethod=echeck", "c_bankname=First", "c_bankacctname=John_Doe", "c_bankabacode=021000021",
			"c_bankacctnum=4099999992", "c_bankaccttype=BUSINESSCHECKING")
		ids := map[string]string{}
		for _, c := range []string{no, later, hand, bank} {
			ids[c] = d.scheduled(c, monthly...)
		}
		status := func(want map[string]string) {
			t.Helper()
			for c, word := range want {
				d.want("1,1,Success,"+word, "checkschedulestatus", "c_clientid="+c, "s_scheduleid="+ids[c])
			}
		}
		d.MoveTo("2009-09-02")
		status(map[string]string{no: "declined", later: "declined", hand: "outstanding", bank: "outstanding"})
		due := func(kind string, rows ...string) {
			t.Helper()
			want := fmt.Sprintf("1,1,Success,%d\ninvoiceid,transactionid,date,clientid,merchantid,company,firstname,lastname,email,phone,scheduleid,"+
				"title,chargemethod,subtotal,tax,total,status,message\n", len(rows))
			for _, r := range rows {
				want += r + "\n"
			}
			d.want(want, "reportdue", "r_type="+kind)
		}
		due("declined",
			"7001,9001,2009-09-01,1234,no,,John,Doe,john@fake.com,,5001,Service,cc,29.00,2.90,31.90,declined,This transaction has been declined.",
			"7002,9002,2009-09-01,1235,later,,John,Doe,john@fake.com,,5002,Service,cc,29.00,2.90,31.90,declined,This transaction has been declined.")
		due("manual", "7003,,2009-09-01,1236,hand,,John,Doe,john@fake.com,,5003,Service,manual,29.00,2.90,31.90,outstanding,")
		due("outstanding", "7004,9003,2009-09-01,1237,bank,,John,Doe,john@fake.com,,5004,Service,echeck,29.00,2.90,31.90,outstanding,")
		d.MoveTo("2009-09-20")
		status(map[string]string{no: "declined", later: "success", bank: "success"})
		due("outstanding")
		record := cashier.RecordRequest{Kind: billing.Payment, Instrument: billing.Check, Amount: 3190}
		_, err := d.Cashier.Record(context.Background(), d.Session(), cashier.Ref{Code: "hand"}, record)
		check(t, err)
		status(map[string]string{hand: "success"})
		due("manual")
		record = cashier.RecordRequest{Kind: billing.WriteOff, Instrument: billing.WrittenOff, Amount: 3190}
		_, err = d.Cashier.Record(context.Background(), d.Session(), cashier.Ref{Code: "no"}, record)
		check(t, err)
		status(map[string]string{no: "closed"})
		due("declined")
		if got := d.ask("fetchclient", "c_clientid="+bank); !strings.Contains(got, "&chargemethod=echeck&status=active&bankname=First&bankacctname=John_Doe"+
			"&bankabacode=021000021&bankacctnum=9992&bankaccttype=BUSINESSCHECKING&lasttransstatus=success&datecreated=2009-08-27") {
			t.Errorf("fetched: %s", got)
		}
		d.want("2,1007,A required field is invalid: c_chargemethod,c_chargemethod", "verifyclientbilling", "c_clientid="+bank)
		d.want("2,1007,A required field is invalid: c_chargemethod,c_chargemethod", "verifyclientbilling", "c_clientid="+hand)
		d.clean()
	})
}

// TestPayment: what a client pays with is replaced, amended and taken away.
func TestPayment(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		c := d.client("ann", good)
		id := "c_clientid=" + c
		shows := func(want string) {
			t.Helper()
			if got := d.ask("fetchclient", id); !strings.Contains(got, want) {
				t.Errorf("%s\nhas no %s", got, want)
			}
		}
		ok := "1,1,Success," + c
		d.want(ok, "modifyclient", id, "c_ccexpyear=2015")
		shows("ccname=John_Doe&ccnumber=1111&ccexpmonth=09&ccexpyear=2015")
		d.want(ok, "modifyclient", id, "c_ccname=Jane Doe")
		shows("ccname=Jane+Doe&ccnumber=1111&ccexpmonth=09&ccexpyear=2015")
		d.want(ok, "modifyclient", id, "c_ccnumber=5424 0000 0000 0015", "c_ccexpmonth=1")
		shows("ccname=Jane+Doe&ccnumber=0015&ccexpmonth=01&ccexpyear=2015")
		d.want("2,1007,A required field is invalid: c_ccexpyear,c_ccexpyear", "modifyclient", id, "c_ccexpyear=2008")
		d.want("2,1007,A required field is invalid: c_ccexpmonth,c_ccexpmonth", "modifyclient", id, "c_ccexpyear=2009", "c_ccexpmonth=7")
		d.want("2,1007,A required field is invalid: c_ccnumber,c_ccnumber", "modifyclient", id, "c_ccnumber=4111111111111112")
		d.want("2,1006,A required field is missing: c_bankname,c_bankname", "modifyclient", id, "c_chargemethod=echeck")
		shows("chargemethod=cc&status=active&ccname=Jane+Doe&ccnumber=0015&ccexpmonth=01&ccexpyear=2015")
		d.want(ok, "modifyclient", id, "c_chargemethod=manual")
		shows("chargemethod=manual&status=active&datecreated")
		d.want("2,1006,A required field is missing: c_ccname,c_ccname", "modifyclient", id, "c_chargemethod=cc")
		d.want(ok, "modifyclient", id, "c_chargemethod=cc", "c_ccname=Ann", "c_ccnumber="+good, "c_ccexpmonth=12", "c_ccexpyear=2012")
		shows("chargemethod=cc&status=active&ccname=Ann&ccnumber=1111&ccexpmonth=12&ccexpyear=2012")
		d.want(ok, "verifyclientbilling", id, "c_cccvv=123")
		d.clean()
	})
}

// TestFields: texts, limits and the pair.
func TestFields(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		c := d.client("ann", good)
		other := d.client("bob", good)
		ok := "1,1,Success," + c
		d.want(ok, "modifyclient", "c_clientid="+c, "c_company=A, B & C", "c_fax=1", "c_custom20=last", "c_address1=1 Main", "c_postal=1234",
			"c_saddress=2 Side", "c_sstate=ny", "c_scountry=us")
		want := "clientid=1234&merchantid=ann&company=A%2C+B+%26+C&firstname=John&lastname=Doe&address1=1+Main&city=Long_Beach&state=CA&postal=1234&country=US" +
			"&fax=1&email=john%40fake.com&saddress1=2+Side&sstate=NY&scountry=US&chargemethod=cc&status=active&ccname=John_Doe&ccnumber=1111&ccexpmonth=09" +
			"&ccexpyear=2013&datecreated=2009-08-27&custom20=last"
		d.want("1,1,Success,"+want, "fetchclient", "c_merchantid=ann")
		d.want(ok, "modifyclient", "c_clientid="+c, "c_company=", "c_custom20=", "c_firstname=")
		if got := d.ask("fetchclient", "c_clientid="+c); strings.Contains(got, "company") || strings.Contains(got, "custom") || !strings.Contains(got, "firstname=John") {
			t.Errorf("cleared: %s", got)
		}
		d.want(ok, "modifyclient", "c_clientid="+c, "c_merchantid=anna")
		d.want("2,1008,There is already a client record with that merchantid,c_merchantid", "modifyclient", "c_clientid="+c, "c_merchantid=bob")
		d.want("2,1009,No valid fields were found,", "modifyclient", "c_clientid="+c, "c_merchantid=anna")
		d.want("2,1007,A required field is invalid: c_merchantid,c_merchantid", "fetchclient", "c_clientid="+c, "c_merchantid=bob")
		d.want("2,1006,A required field is missing: c_clientid,c_clientid", "fetchclient")
		for field, value := range map[string]string{"c_clientid": "99", "c_merchantid": "nobody"} {
			d.want("2,1007,A required field is invalid: "+field+","+field, "fetchclient", field+"="+value)
		}
		d.want("2,1007,A required field is invalid: c_clientid,c_clientid", "fetchclient", "c_clientid=12x")
		for _, f := range []string{"c_firstname=" + strings.Repeat("x", 31), "c_state=XX", "c_country=XX", "c_email=nobody", "c_phone=" + strings.Repeat("1", 21),
			"c_chargemethod=gold", "c_zip=" + strings.Repeat("1", 21), "c_custom3=" + strings.Repeat("x", 256), "c_ccexpmonth=13", "c_ccexpyear=13", "c_city=a\x00b"} {
			name, _, _ := strings.Cut(f, "=")
			d.want("2,1007,A required field is invalid: "+name+","+name, "modifyclient", "c_clientid="+c, f)
		}
		d.want(ok, "modifyclient", "c_clientid="+c, "c_firstname="+strings.Repeat("ü", 30))
		s := d.scheduled(other, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=1.00")
		d.want("2,1007,A required field is invalid: s_scheduleid,s_scheduleid", "checkschedulestatus", "c_clientid="+c, "s_scheduleid="+s)
		d.want("1,1,Success,", "fetchschedule", "c_clientid="+c)
		d.want("2,1006,A required field is missing: s_interval,s_interval", "modifyschedule", "c_clientid="+other, "s_scheduleid="+s, "s_recurringtype=subscription")
		d.want("2,1013,Number of intervals must be greater than 1 for installment billing,s_numofintervals", "modifyschedule", "c_clientid="+other,
			"s_scheduleid="+s, "s_recurringtype=installments", "s_interval=monthly")
		for _, f := range []string{"s_amount=1.234", "s_amount=-1", "s_amount=0", "s_amount=1e3", "s_adjustment=0.00", "s_numofintervals=9999", "s_taxrate=100.001", "s_taxrate=1.2345", "s_startdate=2009-9-1",
			"s_startdate=2009-02-30", "s_title=" + strings.Repeat("x", 101), "s_status=new"} {
			name, _, _ := strings.Cut(f, "=")
			d.want("2,1007,A required field is invalid: "+name+","+name, "modifyschedule", "c_clientid="+other, "s_scheduleid="+s, "s_recurringtype=subscription",
				"s_interval=weekly", f)
		}
		d.want("2,1007,A required field is invalid: s_amount,s_amount", "createschedule", "c_clientid="+c, "s_startdate=2009-09-01", "s_recurringtype=installments",
			"s_interval=monthly", "s_numofintervals=5", "s_title=x", "s_amount=0.04")
	})
}

// TestTwin: the testing URL works on data and a bank of its own, with the same
// login names.
func TestTwin(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		body := auth + "&method=createclient&c_merchantid=twin&c_firstname=A&c_lastname=B&c_chargemethod=manual"
		if got := d.post(billingcircle.TestPath, form, body); got != "1,1,Success,1234" {
			t.Errorf("on the testing URL: %s", got)
		}
		d.want("2,1007,A required field is invalid: c_merchantid,c_merchantid", "fetchclient", "c_merchantid=twin")
		if got := d.post(billingcircle.TestPath, form, auth+"&method=fetchclient&c_merchantid=twin"); !strings.HasPrefix(got, "1,1,Success,clientid=1234") {
			t.Errorf("on the testing URL: %s", got)
		}
		body = "companyid=acme-test&username=api&password=s3cret&method=checkclientstatus&c_clientid=1234"
		if got := d.post(billingcircle.Path, form, body); got != "1,1,Success,pending" {
			t.Errorf("the twin by its own name: %s", got)
		}
		if got := d.post(billingcircle.TestPath, form, body); got != "2,1001,Invalid Credentials," {
			t.Errorf("the twin has no twin: %s", got)
		}
		if got := d.post(billingcircle.Path, form, strings.Replace(body, "acme-test", "demo", 1)); got != "2,1001,Invalid Credentials," {
			t.Errorf("a merchant without this wire: %s", got)
		}
	})
}

// TestTestMode: everything is looked at, the answer is the same, and nothing stays.
func TestTestMode(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		for range 2 {
			d.want("1,1,Success,1234", "createclient", append([]string{"c_merchantid=x", "c_ccnumber=" + good, "testmode=1"}, john...)...)
		}
		d.want("2,1007,A required field is invalid: c_merchantid,c_merchantid", "fetchclient", "c_merchantid=x")
		c := d.client("x", good)
		d.want("2,1008,There is already a client record with that merchantid,c_merchantid", "createclient",
			append([]string{"c_merchantid=x", "c_ccnumber=" + good, "testmode=true"}, john...)...)
		id := "c_clientid=" + c
		s := d.scheduled(c, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=5.00")
		d.want("2,1007,A required field is invalid: testmode,testmode", "confirmclient", id, "testmode=perhaps")
		for method, fields := range map[string][]string{
			"modifyclient": {"c_company=Other"}, "deleteclient": nil, "verifyclientbilling": nil, "createnote": {"c_note=x"},
		} {
			d.want("1,1,Success,"+c, method, append(fields, id, "testmode=yes")...)
		}
		for method, fields := range map[string][]string{
			"modifyschedule": {"s_amount=6.00"}, "deleteschedule": nil, "createadjustment": {"s_adjustment=-5.00"},
		} {
			d.want("1,1,Success,"+s, method, append(fields, id, "s_scheduleid="+s, "testmode=yes")...)
		}
		d.want("1,1,Success,5002", "createschedule", id, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=5.00", "s_title=x", "testmode=1")
		if lines, err := d.Bank.Journal(context.Background(), "acme"); err != nil || len(lines) != 0 {
			t.Errorf("the bank was asked: %v, %v", lines, err)
		}
		if got := d.ask("fetchclient", id); strings.Contains(got, "company") || !strings.HasPrefix(got, "1,1,Success,clientid=1234") {
			t.Errorf("fetched: %s", got)
		}
		d.MoveTo("2009-09-02")
		if got := strings.Join(d.bills(c), ", "); got != "2009-09-01 5.00+0.00=5.00" {
			t.Errorf("billed %s", got)
		}
	})
}

// TestSettings: what was inferred can be otherwise, without code.
func TestSettings(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		choose := func(text string) {
			t.Helper()
			check(t, billingcircle.CheckSettings([]byte(text)))
			d.Configure(func(s *billing.Settings) { s.Dialects[billingcircle.Name] = []byte(text) })
		}
		choose(`{"required":["c_email"],"optional":["c_lastname","c_ccname"],"max_lengths":{"c_firstname":3},"aliases":{"c_cardnum":"c_ccnumber"},
			"codes":{"missing_field":1099},"no_header_row":true,"first_numbers":{"client":50}}`)
		d.want("2,1099,A required field is missing: c_email,c_email", "createclient", "c_merchantid=x", "c_firstname=Ann", "c_cardnum="+good,
			"c_ccexpmonth=1", "c_ccexpyear=2012")
		fields := []string{"c_merchantid=x", "c_email=a@b.example", "c_cardnum=" + good, "c_ccexpmonth=1", "c_ccexpyear=2012"}
		d.want("2,1007,A required field is invalid: c_firstname,c_firstname", "createclient", append(fields, "c_firstname=Anna")...)
		d.want("1,1,Success,50", "createclient", append(fields, "c_firstname=Ann")...)
		d.want("1,1,Success,0\n", "reportdue", "r_type=manual")
		choose(`{"allowed_ips":["192.0.2.0/24"]}`)
		reply := d.Ask("POST", billingcircle.Path, http.Header{"Authorization": {"none"}, "Content-Type": {form}}, auth+"&method=reportdue")
		if reply.Status != 403 || reply.Body != "2,1001,Invalid Credentials," {
			t.Errorf("from another address: %d %s", reply.Status, reply.Body)
		}
		choose(`{"allowed_ips":["127.0.0.1","::1"]}`)
		d.want("2,1006,A required field is missing: r_type,r_type", "reportdue")
		for _, bad := range []string{`{"unknown":1}`, `[]`, `{"required":["c_status"]}`, `{"required":["x"]}`, `{"max_lengths":{"c_city":0}}`, `{"aliases":{"c_city":"c_zip"}}`,
			`{"aliases":{"password":"c_zip"}}`, `{"codes":{"nothing":1007}}`, `{"codes":{"no_method":1}}`, `{"allowed_ips":["x"]}`, `{"first_numbers":{"client":-1}}`, `{} {}`} {
			if billing.KindOf(billingcircle.CheckSettings([]byte(bad))) != billing.Invalid {
				t.Errorf("taken: %s", bad)
			}
		}
	})
}
