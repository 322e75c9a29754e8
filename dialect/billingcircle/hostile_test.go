package billingcircle_test

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/dialect/billingcircle"
	"github.com/perennial-billing/perennial/store"
)

// customers counts those of the company.
func (d *desk) customers() (n int) {
	d.t.Helper()
	check(d.t, d.Store.View(context.Background(), d.Merchant.ID, func(v *store.View) error {
		list, err := v.Customers(context.Background(), store.CustomerFilter{Page: store.Page{Limit: 1000}})
		n = len(list)
		return err
	}))
	return n
}

// parts is a form in parts.
func parts(t testing.TB, fields ...string) (kind, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		check(t, w.WriteField(name, value))
	}
	check(t, w.Close())
	return w.FormDataContentType(), b.String()
}

const person = "&method=createclient&c_merchantid=x&c_firstname=A&c_lastname=B&c_chargemethod=manual"

// TestBodies: a right answer for every kind of body, and nothing stored but by what
// is right.
func TestBodies(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		long := strings.Repeat("x", 300<<10)
		inParts, body := parts(t, "companyid=acme", "username=api", "password=s3cret", "method=createclient", "c_merchantid=parts", "c_firstname= Ann ",
			"c_lastname=M\xfcller", "c_chargemethod=manual", "c_city=a,b\nc")
		for _, tt := range []struct {
			name, kind, body, want string
			status, stored         int
		}{
			{"JSON", "application/json", `{"companyid":"acme"}`, "2,1002,Missing Credentials,companyid", 200, 0},
			{"XML", "text/xml", "<a/>", "2,1002,Missing Credentials,companyid", 200, 0},
			{"nothing", form, "", "2,1002,Missing Credentials,companyid", 200, 0},
			{"a bad type", "/;;", auth + person, "2,1002,Missing Credentials,companyid", 200, 0},
			{"parts without a boundary", "multipart/form-data", "x", "2,1002,Missing Credentials,companyid", 200, 0},
			{"parts that break off", inParts, body[:len(body)/2], "2,1002,Missing Credentials,companyid", 200, 0},
			{"too long", form, auth + person + "&c_city=" + long, "2,1000,Unknown Error,", 413, 0},
			{"too many", form, auth + person + strings.Repeat("&x=1", 600), "2,1002,Missing Credentials,companyid", 200, 0},
			{"one name twice", form, auth + person + "&c_city=a&c_city=b", "2,1007,A required field is invalid: c_city,c_city", 200, 0},
			{"under both names", form, auth + person + "&c_zip=1&c_postal=2", "2,1007,A required field is invalid: c_zip,c_zip", 200, 0},
			{"the method twice", form, auth + person + "&method=createclient", "2,1007,A required field is invalid: method,method", 200, 0},
			{"the password twice", form, auth + "&password=x" + person, "2,1001,Invalid Credentials,", 200, 0},
			{"a byte of nought", form, auth + person + "&c_city=a%00b", "2,1007,A required field is invalid: c_city,c_city", 200, 0},
			{"names in other letters", form, strings.ToUpper(auth) + person, "2,1002,Missing Credentials,companyid", 200, 0},
			{"commas in a method", form, auth + "&method=a%2Cb%0Ac%2C", "2,1005,Invalid Method: a b c ,method", 200, 0},
			{"a long method", form, auth + "&method=" + strings.Repeat("m", 400), "2,1005,Invalid Method: " + strings.Repeat("m", 50) + ",method", 200, 0},
			{"no type", "", auth + person + "1", "2,1007,A required field is invalid: c_chargemethod,c_chargemethod", 200, 0},
			{"white space", form, auth + "&method=+createclient+&c_merchantid=+y+&c_firstname=A&c_lastname=B&c_chargemethod=manual", "1,1,Success,1234", 200, 1},
			{"in parts", inParts, body, "1,1,Success,1235", 200, 2},
			{"percent signs and other bytes", form, auth + "&method=createclient&c_merchantid=100%&c_firstname=J%F6rg&c_lastname=%E4%zz%4&c_chargemethod=manual",
				"1,1,Success,1236", 200, 3},
		} {
			reply := d.Ask("POST", billingcircle.Path, http.Header{"Authorization": {"none"}, "Content-Type": {tt.kind}}, tt.body)
			if reply.Status != tt.status || reply.Body != tt.want || d.customers() != tt.stored {
				t.Errorf("%s: %d %s, %d stored", tt.name, reply.Status, reply.Body, d.customers())
			}
		}
		for key, want := range map[string]string{
			"parts": "1,1,Success,clientid=1235&merchantid=parts&firstname=Ann&lastname=M%C3%BCller&city=a%2Cb%0Ac&chargemethod=manual&status=pending&datecreated=2009-08-27",
			"100%":  "1,1,Success,clientid=1236&merchantid=100%25&firstname=J%C3%B6rg&lastname=%C3%A4%25zz%254&chargemethod=manual&status=pending&datecreated=2009-08-27",
		} {
			d.want(want, "fetchclient", "c_merchantid="+key)
		}
		for _, method := range []string{"GET", "PUT", "HEAD", "DELETE"} {
			reply := d.Ask(method, billingcircle.Path+"?"+auth+person, http.Header{"Authorization": {"none"}}, "")
			if reply.Status != 405 || reply.Header.Get("Allow") != "POST" || d.customers() != 3 {
				t.Errorf("%s: %d", method, reply.Status)
			}
		}
		reply := d.Ask("POST", billingcircle.Path+"?"+auth, http.Header{"Authorization": {"none"}, "Content-Type": {form}}, person[1:])
		if reply.Body != "2,1002,Missing Credentials,companyid" {
			t.Errorf("credentials in the URL: %s", reply.Body)
		}
		if reply := d.Ask("POST", "/connect/more", http.Header{"Authorization": {"none"}, "Content-Type": {form}}, auth); reply.Status != 404 {
			t.Errorf("another path: %d", reply.Status)
		}
	})
}

// The secrets that travel through the test of the canary.
const (
	canaryCard     = "4000000000000341"
	canaryCode     = "9173"
	canaryPassword = "canary-password-7"
	canaryAccount  = "73915573915"
)

// TestCanary: no number, security code or password is in the log, in an answer or in
// the database's file; and the same card is sealed differently for each company.
func TestCanary(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		var seen strings.Builder
		ask := func(method string, fields ...string) {
			seen.WriteString(d.ask(method, fields...) + "\n")
		}
		ask("createclient", append([]string{"c_merchantid=x", "c_ccnumber=" + canaryCard, "c_cccvv=" + canaryCode, "c_password=" + canaryPassword}, john...)...)
		ask("verifyclientbilling", "c_merchantid=x", "c_cccvv="+canaryCode)
		ask("fetchclient", "c_merchantid=x")
		ask("createclient", append([]string{"c_merchantid=" + strings.Repeat("x", 300), "c_ccnumber=" + canaryCard}, john...)...)
		ask(canaryCard)
		ask("modifyclient", "c_merchantid=x", "c_chargemethod=echeck", "c_bankname=B", "c_bankacctname=N", "c_bankabacode=021000021",
			"c_bankacctnum="+canaryAccount, "c_bankaccttype=SAVINGS")
		ask("fetchclient", "c_merchantid=x")
		d.post(billingcircle.Path, form, "companyid=acme&username=api&password="+canaryPassword+"&method=x")
		text := seen.String()
		text = strings.Replace(text, "Invalid Method: "+canaryCard, "", 1) // what was sent as a method comes back as one
		for _, secret := range []string{canaryCard, canaryCode, canaryPassword, canaryAccount, "s3cret"} {
			if strings.Contains(text, secret) {
				t.Errorf("an answer has %s:\n%s", secret, text)
			}
			if strings.Contains(d.Log.Said(), secret) {
				t.Errorf("the log has %s", secret)
			}
			d.absent(secret)
		}
		d.clean()
	})
}

// absent looks for a text in the files of an SQLite database.
func (d *desk) absent(secret string) {
	d.t.Helper()
	path, ok := strings.CutPrefix(d.Address, "sqlite:")
	if !ok {
		return
	}
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + end)
		if err != nil && !os.IsNotExist(err) {
			d.t.Fatal(err)
		}
		if bytes.Contains(data, []byte(secret)) {
			d.t.Errorf("%s is in the database's file %s", secret, end)
		}
	}
}

// TestKeysOfEachCompany: the same card of two companies is sealed under keys of
// their own, and neither can be recognised or opened as the other's.
func TestKeysOfEachCompany(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		fields := append([]string{"c_merchantid=x", "c_ccnumber=" + good}, john...)
		d.want("1,1,Success,1234", "createclient", fields...)
		if got := d.askOf("acme-test", "createclient", fields...); got != "1,1,Success,1234" {
			t.Fatal(got)
		}
		method := func(m *billing.Merchant) (method *billing.PaymentMethod) {
			ctx := context.Background()
			check(t, d.Store.View(ctx, m.ID, func(v *store.View) error {
				list, err := v.Customers(ctx, store.CustomerFilter{Page: store.Page{Limit: 1}})
				check(t, err)
				methods, err := v.VaultedMethods(ctx, list[0].ID)
				method = methods[0]
				return err
			}))
			return method
		}
		a, b := method(d.Merchant), method(d.twin)
		if bytes.Equal(a.Fingerprint, b.Fingerprint) {
			t.Error("the card is recognised across companies")
		}
		name := func(m *billing.PaymentMethod) string { return "payment_method/" + strconv.FormatInt(int64(m.ID), 10) }
		ours, err := d.Vault.Keys(d.Merchant.Code, d.Merchant.Keys)
		check(t, err)
		theirs, err := d.Vault.Keys(d.twin.Code, d.twin.Keys)
		check(t, err)
		if number, err := ours.Open(a.Sealed, name(a)); err != nil || string(number) != good {
			t.Errorf("the company cannot open its own: %v", err)
		}
		if _, err := theirs.Open(a.Sealed, name(a)); err == nil {
			t.Error("another company's keys open the card")
		}
	})
}

// TestGuesses: who guesses passwords is held up.
func TestGuesses(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		held := false
		for range 30 {
			reply := d.Ask("POST", billingcircle.Path, http.Header{"Authorization": {"none"}, "Content-Type": {form}},
				"companyid=acme&username=api&password=guess&method=x")
			if reply.Body != "2,1001,Invalid Credentials," || reply.Status != 200 && reply.Status != 429 {
				t.Fatalf("%d %s", reply.Status, reply.Body)
			}
			held = held || reply.Status == 429
		}
		if !held {
			t.Error("thirty guesses were all looked at")
		}
	})
}

// TestDeleted: after deleteclient nothing of the client is found in the file of the
// database, the books are whole, and what was earned is what it was.
func TestDeleted(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		const key, mail, city = "merchant-key-4711", "zoe.quark@example.com", "Quarkville"
		c := d.client(key, good, "c_custom7=custom-4711")
		d.want("1,1,Success,"+c, "modifyclient", "c_clientid="+c, "c_email="+mail, "c_city="+city, "c_firstname=Zoequark", "c_ccname=Zoequark Q")
		d.want("1,1,Success,"+c, "createnote", "c_clientid="+c, "c_note=note-4711")
		s := d.scheduled(c, "s_startdate=2009-09-01", "s_recurringtype=subscription", "s_interval=monthly", "s_amount=29.00", "s_title=For Zoequark",
			"s_lineitems=line-4711", "s_adjustment=1.00", "s_adjustmentnote=adjust-4711")
		single := d.scheduled(c, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=2.00")
		other := d.client("other", good)
		d.scheduled(other, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=5.00")
		d.MoveTo("2009-10-15")
		before := [2]int64{d.Balance(billing.Revenue), d.Balance("cash:sandbox")}
		report := []string{"r_startdate=2009-09-01", "r_enddate=2009-10-31", "r_chargetype=net", "r_groupby=year"}
		d.want("1,1,Success,1\nperiod,count,subtotal,tax,total\n2009,4,66.00,0.00,66.00\n", "reporting", report...)
		d.want("1,1,Success,"+single, "deleteschedule", "c_clientid="+c, "s_scheduleid="+single)
		d.want("1,1,Success,1\nperiod,count,subtotal,tax,total\n2009,3,64.00,0.00,64.00\n", "reporting", report...)
		d.want("1,1,Success,"+c, "deleteclient", "c_clientid="+c)
		d.want("2,1007,A required field is invalid: c_clientid,c_clientid", "deleteclient", "c_clientid="+c)
		d.want("2,1007,A required field is invalid: c_merchantid,c_merchantid", "checkschedulestatus", "c_merchantid="+key, "s_scheduleid="+s)
		d.want("1,1,Success,1\nperiod,count,subtotal,tax,total\n2009,1,5.00,0.00,5.00\n", "reporting", report...)
		d.MoveTo("2010-01-15")
		if after := [2]int64{d.Balance(billing.Revenue), d.Balance("cash:sandbox")}; after != before {
			t.Errorf("the ledgers hold %d, before %d", after, before)
		}
		if done, err := d.Store.Scrub(ctx); err != nil || !done && strings.HasPrefix(d.Address, "sqlite:") {
			t.Fatalf("not scrubbed: %v, %v", done, err)
		}
		for _, trace := range []string{key, mail, city, "Zoequark", "custom-4711", "note-4711", "line-4711", "adjust-4711"} {
			d.absent(trace)
		}
		d.want("1,1,Success,1236", "createclient", append([]string{"c_merchantid=" + key, "c_ccnumber=" + good}, john...)...)
		d.clean()
	})
}
