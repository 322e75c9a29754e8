package billingcircle_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/billingcircle"
	"github.com/perennial-billing/perennial/notify"
)

// receiver is a merchant's ITN address.
type receiver struct {
	mu     sync.Mutex
	status int
	bodies []string
	heads  []http.Header
	url    string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.heads = append(r.bodies, string(body)), append(r.heads, q.Header)
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
}

// taken returns what has come since the last time.
func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.bodies
	r.bodies = nil
	return list
}

// short is the parts of messages that tests compare.
func short(bodies []string) (list []string) {
	for _, b := range bodies {
		v, err := url.ParseQuery(b)
		if err != nil {
			return []string{err.Error()}
		}
		list = append(list, strings.Join([]string{v.Get("type"), v.Get("s_scheduleid"), v.Get("t_invoiceid"), v.Get("t_transactionid"),
			v.Get("t_subtotal"), v.Get("t_taxtotal"), v.Get("t_grandtotal"), v.Get("c_chargemethod")}, " "))
	}
	return list
}

// listens gives the company an ITN address.
func (d *desk) listens(key string) (*receiver, *notify.Courier) {
	d.t.Helper()
	r := &receiver{}
	server := httptest.NewServer(r)
	d.t.Cleanup(server.Close)
	r.url = server.URL
	check(d.t, d.Cashier.AddEndpoint(context.Background(), d.Session(), &billing.Endpoint{Code: "itn", Dialect: billingcircle.Name, URL: server.URL + "/itn.php"},
		billing.EndpointSecrets{HMACKey: billing.NewSecret(key)}))
	courier, err := notify.New(notify.Options{Store: d.Store, Cashier: d.Cashier, Now: d.Wall.Now, Log: slog.New(slog.NewTextHandler(&failing{d.t}, nil)),
		Forms: []*notify.Form{billingcircle.ITN()}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, InFlight: 1, PerEndpoint: 1, Keep: -1})
	check(d.t, err)
	return r, courier
}

// failing fails the test with what is logged as an error: nothing is to be.
type failing struct{ t testing.TB }

func (f *failing) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("level=ERROR")) {
		f.t.Errorf("log: %s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// empties are the fields of the merchant's own behind the first.
func empties() string {
	var b strings.Builder
	for _, n := range strings.Fields("2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20") {
		b.WriteString("&c_custom" + n + "=")
	}
	return b.String()
}

// TestITN is the message of section 9, with all its fields, and signed.
func TestITN(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		r, courier := d.listens("secret-key")
		d.want("1,1,Success,1234", "createclient", "c_merchantid=mymerchid", "c_firstname=John", "c_lastname=Doe", "c_address=123 Fake St", "c_city=Long Beach",
			"c_state=CA", "c_zip=90802", "c_country=US", "c_phone=123-123-1234", "c_email=john@fake.com", "c_ccname=John Doe", "c_ccnumber="+good,
			"c_ccexpmonth=09", "c_ccexpyear=2013", "c_custom1=My Custom Data")
		d.want("1,1,Success,1234", "confirmclient", "c_clientid=1234")
		d.want("1,1,Success,5001", "createschedule", "c_clientid=1234", "s_startdate=2009-09-01", "s_recurringtype=subscription", "s_title=My Service Charge",
			"s_amount=29.00", "s_interval=monthly")
		d.want("1,1,Success,5001", "confirmschedule", "c_clientid=1234", "s_scheduleid=5001")
		d.MoveTo("2009-09-02")
		check(t, courier.Once(context.Background()))
		want := "type=success&c_company=&c_firstname=John&c_lastname=Doe&c_address1=123+Fake+St&c_address2=&c_city=Long+Beach&c_state=CA&c_zip=90802" +
			"&c_country=US&c_phone=123-123-1234&c_fax=&c_email=john%40fake.com&c_clientid=1234&c_merchantid=mymerchid&c_custom1=My+Custom+Data" + empties() +
			"&c_chargemethod=cc&s_scheduleid=5001&s_interval=monthly&s_recurringtype=subscription&s_title=My+Service+Charge&t_invoiceid=7001" +
			"&t_transactionid=9001&t_subtotal=29.00&t_taxtotal=0.00&t_grandtotal=29.00"
		got := r.taken()
		if len(got) != 1 || got[0] != want {
			t.Fatalf("received %q\nwant %q", got, want)
		}
		head := r.heads[0]
		mac := hmac.New(sha256.New, []byte("secret-key"))
		mac.Write([]byte(head.Get("webhook-id") + "." + head.Get("webhook-timestamp") + "." + want))
		if head.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || head.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("headers %v", head)
		}
		if got := d.ask("reporting", "r_startdate=2009-09-01", "r_enddate=2009-09-30", "r_chargetype=net", "r_groupby=transaction"); !strings.Contains(got,
			"\n9001,7001,2009-09-01,success,1234,mymerchid,5001,My Service Charge,cc,29.00,0.00,29.00\n") {
			t.Errorf("the report knows it otherwise: %s", got)
		}
	})
}

// TestITNCycle: what becomes of one bill is told in its order, with one invoice id
// and a transaction id each.
func TestITNCycle(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		r, courier := d.listens("")
		expect := func(want ...string) {
			t.Helper()
			check(t, courier.Once(ctx))
			if got := short(r.taken()); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("received\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		later := d.client("later", noFunds)
		d.scheduled(later, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=29.00", "s_taxrate=10")
		d.MoveTo("2009-09-02")
		expect("declined 5001 7001 9001 29.00 2.90 31.90 cc")
		d.MoveTo("2009-09-05")
		expect("resubmitted 5001 7001 9002 29.00 2.90 31.90 cc", "declined 5001 7001 9003 29.00 2.90 31.90 cc")
		d.MoveTo("2009-09-10")
		expect("resubmitted 5001 7001 9004 29.00 2.90 31.90 cc", "success 5001 7001 9005 29.00 2.90 31.90 cc")
		d.giveBack("later", 1595)
		expect("credit 5001 7001 9006 14.50 1.45 15.95 cc")

		both := d.client("both", good) // two bills in one charge
		d.scheduled(both, "s_startdate=2009-09-11", "s_recurringtype=single", "s_amount=4.00")
		d.scheduled(both, "s_startdate=2009-09-11", "s_recurringtype=subscription", "s_interval=yearly", "s_amount=6.00")
		free := d.scheduled(both, "s_startdate=2009-09-12", "s_recurringtype=single", "s_amount=6.00")
		d.want("1,1,Success,"+free, "createadjustment", "c_clientid="+both, "s_scheduleid="+free, "s_adjustment=-6.00")
		d.MoveTo("2009-09-11")
		expect("success 5002 7002 9007 4.00 0.00 4.00 cc", "success 5003 7003 9008 6.00 0.00 6.00 cc")
		d.MoveTo("2009-09-12")
		expect("success 5004 7004 9009 0.00 0.00 0.00 cc")

		hand := d.client("hand", "", "c_chargemethod=manual")
		d.scheduled(hand, "s_startdate=2009-09-13", "s_recurringtype=subscription", "s_interval=weekly", "s_amount=5.00")
		d.MoveTo("2009-09-20")
		expect()
		for _, rec := range []cashier.RecordRequest{{Kind: billing.Payment, Instrument: billing.Cash, Amount: 500}, {Kind: billing.WriteOff, Instrument: billing.WrittenOff, Amount: 500}} {
			_, err := d.Cashier.Record(ctx, d.Session(), cashier.Ref{Code: "hand"}, rec)
			check(t, err)
		}
		expect("success 5005 7005 9010 5.00 0.00 5.00 manual", "closed 5005 7006 9011 5.00 0.00 5.00 manual")

		bank := d.client("bank", "", "c_chargemethod=echeck", "c_bankname=First", "c_bankacctname=John_Doe", "c_bankabacode=021000021",
			"c_bankacctnum=9000000102", "c_bankaccttype=CHECKING")
		d.scheduled(bank, "s_startdate=2009-09-21", "s_recurringtype=single", "s_amount=8.00")
		d.MoveTo("2009-09-21")
		expect()
		d.MoveTo("2009-09-26")
		expect("declined 5006 7007 9012 8.00 0.00 8.00 echeck")
		d.clean()
	})
}

// TestITNTakenBack: what the client's bank takes back is a credit of the same bill,
// and the reports know it under the same ids.
func TestITNTakenBack(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		r, courier := d.listens("")
		c := d.client("ann", "4000000000000259") // charged back three days later
		s := d.scheduled(c, "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=29.00", "s_taxrate=8.25")
		d.MoveTo("2009-09-01")
		d.MoveTo("2009-09-10")
		check(t, courier.Once(ctx))
		want := "success 5001 7001 9001 29.00 2.39 31.39 cc\ncredit 5001 7001 9002 29.00 2.39 31.39 cc"
		if got := strings.Join(short(r.taken()), "\n"); got != want {
			t.Errorf("received\n%s\nwant\n%s", got, want)
		}
		got := d.ask("reporting", "r_startdate=2009-09-01", "r_enddate=2009-09-30", "r_chargetype=net", "r_groupby=transaction")
		for _, row := range []string{"\n9001,7001,2009-09-01,success,1234,ann,5001,Service,cc,29.00,2.39,31.39\n", ",credit,1234,ann,5001,Service,cc,-29.00,-2.39,-31.39\n"} {
			if !strings.Contains(got, row) || !strings.Contains(got, "\n9002,7001,") {
				t.Errorf("the report has no %q:\n%s", row, got)
			}
		}
		d.want("1,1,Success,outstanding", "checkschedulestatus", "c_clientid="+c, "s_scheduleid="+s)
		d.clean()
	})
}

// TestITNRetries: what is not taken is sent again five times with growing pauses,
// and what follows of the same schedule waits; 410 ends it at once.
func TestITNRetries(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		ctx := context.Background()
		r, courier := d.listens("")
		r.status = 500
		ann, bob := d.client("ann", good), d.client("bob", good)
		d.scheduled(ann, "s_startdate=2009-09-01", "s_recurringtype=subscription", "s_interval=weekly", "s_amount=1.00")
		d.MoveTo("2009-09-09")
		tries, at := 0, d.Wall.Now()
		var pauses []string
		for range 24 * 60 {
			check(t, courier.Once(ctx))
			if n := len(r.taken()); n > 0 {
				tries += n
				pauses = append(pauses, d.Wall.Now().Sub(at).String())
				at = d.Wall.Now()
			}
			if tries > 6 { // the next of the schedule has begun
				break
			}
			d.Wall.Forward(time.Minute)
		}
		if got := strings.Join(pauses, " "); got != "0s 1m0s 5m0s 30m0s 2h0m0s 12h0m0s" {
			t.Errorf("tried after %s", got)
		}
		r.status = 200
		d.Wall.Forward(time.Minute)
		check(t, courier.Once(ctx))
		if got := short(r.taken()); len(got) != 1 || !strings.HasPrefix(got[0], "success 5001 7002 9002") {
			t.Errorf("then %v", got)
		}
		r.status = 410
		d.scheduled(bob, "s_startdate=2009-09-10", "s_recurringtype=single", "s_amount=1.00")
		d.MoveTo("2009-09-10")
		for range 3 {
			check(t, courier.Once(ctx))
			d.Wall.Forward(time.Hour)
		}
		if n := len(r.taken()); n != 1 {
			t.Errorf("%d tries at an address that is gone", n)
		}
	})
}

// TestITNSettings: an endpoint of this form has no settings.
func TestITNSettings(t *testing.T) {
	f := billingcircle.ITN()
	for text, good := range map[string]bool{"": true, "{}": true, "null": true, `{"x":1}`: false, "[]": false} {
		if err := f.Check([]byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	if len(f.Policy.Pauses) != 5 || f.Policy.Redirects != 0 || !f.Policy.Gone {
		t.Errorf("the policy is %+v", f.Policy)
	}
}
