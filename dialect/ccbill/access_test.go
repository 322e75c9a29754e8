package ccbill_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/ccbill"
)

// look asks for the status of the published original, as somebody.
func (d *desk) look(who string, more ...string) string {
	d.t.Helper()
	return d.ask(ccbill.ManagementPath, strings.Join(append([]string{"clientAccnum=900000", who, "action=viewSubscriptionStatus", "subscriptionId=" + published}, more...), "&"))
}

const ok = "the status"

// saw is a result, or ok for a document.
func saw(body string) string {
	if strings.Contains(body, `"subscriptionStatus"`) {
		return ok
	}
	return strings.TrimSuffix(strings.TrimPrefix(body, "\"results\"\n\""), "\"\n")
}

// TestMatrix: users of the whole account and of one subaccount name theirs as
// 2.2 has it.
func TestMatrix(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.choose(`{"extract_minutes":-1}`)
		d.admit("sub0", func(l *billing.Login) { l.Accounts = []billing.AccountID{d.Account.ID} })
		whole, bound := "username=testuser&password=testpass", "username=sub0&password=testpass"
		for _, tt := range []struct{ who, subaccounts, want string }{
			{whole, "", ok}, {whole, "usingSubacc=0000", ok}, {whole, "clientSubacc=0000", ok}, {whole, "clientSubacc=0000&usingSubacc=0000", ok},
			{whole, "usingSubacc=0005", "-4"}, {whole, "clientSubacc=0005", "-4"}, {whole, "clientSubacc=0005&usingSubacc=0000", ok},
			{whole, "usingSubacc=0009", "-1"}, {bound, "clientSubacc=0000", ok}, {bound, "usingSubacc=0000", ok}, {bound, "", "-1"},
			{bound, "clientSubacc=0005", "-7"}, {whole, "", ok}, {bound, "usingSubacc=0005", "-7"}, {whole, "", ok},
		} {
			if got := saw(d.look(tt.who, tt.subaccounts)); got != tt.want {
				t.Errorf("%s %s: %s, want %s", tt.who, tt.subaccounts, got, tt.want)
			}
			if got := d.look(tt.who, tt.subaccounts, "returnXML=1"); !strings.HasPrefix(got, "<?xml version='1.0' standalone='yes'?>\n<results>") {
				t.Errorf("as XML: %s", got)
			}
			if tt.want == "-7" {
				d.look(whole) // a success forgets the failures
			}
		}
		if got := saw(d.look("username=sub0&password=no")); got != "-7" { // who is not proved does not learn that it is a subaccount's
			t.Errorf("a guess: %s", got)
		}
		elsewhere := d.sold(published) // in 0005
		body := d.ask(ccbill.ManagementPath, "clientAccnum=900000&clientSubacc=0000&action=viewSubscriptionStatus&subscriptionId="+elsewhere+"&"+bound)
		d.want("another subaccount's", body, code("-4"))
	})
}

// TestWhoIsAsking: what is wrong with a caller has its code (2.3 to 2.5).
func TestWhoIsAsking(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.admit("far", func(l *billing.Login) {
			l.AllowedIPs = []string{"192.0.2.1", "198.51.100.0/24", "203.0.113.1-203.0.113.9"}
		})
		d.admit("near", func(l *billing.Login) { l.AllowedIPs = []string{"127.0.0.0-127.0.0.255"} })
		d.admit("gone", func(l *billing.Login) { l.Disabled = true })
		d.admit("clerk", func(l *billing.Login) { l.Role = billing.RoleClerk })
		d.admit("viewer")
		const right = "username=testuser&password=testpass"
		ask := func(switches string) map[string]string {
			d.choose(switches)
			got := map[string]string{}
			for name, who := range map[string]string{
				"right": right, "near": "username=near&password=testpass", "far": "username=far&password=testpass",
				"far and wrong": "username=far&password=no", "disabled": "username=gone&password=testpass", "disabled and wrong": "username=gone&password=no",
				"clerk": "username=clerk&password=testpass", "nobody": "username=nobody&password=testpass", "wrong": "username=testuser&password=no",
				"no password": "username=testuser", "no such action": right + "&action=dance", "viewer": "username=viewer&password=testpass",
			} {
				if strings.Contains(who, "action=") {
					got[name] = saw(d.ask(ccbill.ManagementPath, "clientAccnum=900000&"+who))
				} else {
					got[name] = saw(d.look(who))
				}
				d.look(right)
			}
			body := d.ask(ccbill.ManagementPath, login+"&username=x&action=cancelSubscription&subscriptionId="+published)
			got["first user of two"] = saw(body)
			got["viewer cancels"] = saw(d.ask(ccbill.ManagementPath, "clientAccnum=900000&username=viewer&password=testpass&action=cancelSubscription&subscriptionId="+published))
			got["viewer charges"] = saw(d.ask(ccbill.ChargingPath, offer(published, "username=viewer")))
			return got
		}
		check := func(got, want map[string]string) {
			t.Helper()
			for name, code := range want {
				if got[name] != code {
					t.Errorf("%s: %s, want %s", name, got[name], code)
				}
			}
		}
		const viewer = `"users":{"viewer":{"actions":["viewSubscriptionStatus"]}}`
		check(ask(`{`+viewer+`}`), map[string]string{"right": ok, "near": ok, "far": "-8", "far and wrong": "-8", "disabled": "-9", "disabled and wrong": "-7",
			"clerk": "-9", "nobody": "-7", "wrong": "-7", "no password": "-1", "no such action": "-6", "viewer": ok, "first user of two": "1",
			"viewer cancels": "-9", "viewer charges": "-9"})
		check(ask(`{"auth_failure_code":-1}`), map[string]string{"nobody": "-1", "wrong": "-1", "far": "-8", "viewer cancels": "1"})
		check(ask(`{"collapse_auth_errors":true,`+viewer+`}`), map[string]string{"right": ok, "far": "-7", "disabled": "-7", "wrong": "-7", "viewer cancels": "-7",
			"no password": "-1", "no such action": "-6"})
		d.Configure(func(s *billing.Settings) { s.Dialects = map[string]json.RawMessage{} })
		check(map[string]string{"no Data Link": saw(d.look(right)), "none and wrong": saw(d.look("username=testuser&password=no"))},
			map[string]string{"no Data Link": "-10", "none and wrong": "-10"})
		body := d.ask(ccbill.ManagementPath, "clientAccnum=999999&username=testuser&password=testpass&action=viewSubscriptionStatus&subscriptionId=1")
		d.want("an account that is nobody's", body, code("-7"))
	})
}

// TestLockout: the third failed login within an hour locks the address out of
// the account for an hour; right credentials are locked out too.
func TestLockout(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		right, wrong := "username=testuser&password=testpass", "username=testuser&password=no"
		sequence := func(want ...string) {
			t.Helper()
			for i, code := range want {
				who := wrong
				if code == ok || i == len(want)-1 {
					who = right
				}
				if got := saw(d.look(who)); got != code {
					t.Errorf("request %d: %s, want %s", i, got, code)
				}
			}
		}
		sequence("-7", "-7", ok) // a success forgets
		sequence("-7", "-7", ok)
		d.look(wrong)
		d.Wall.Forward(40 * time.Minute)
		d.look(wrong)
		d.Wall.Forward(40 * time.Minute)
		sequence("-7", ok) // three, but not within an hour
		sequence("-7", "-7", "-7", "-12", "-12")
		d.want("the extract too", d.ask(ccbill.ExtractPath, login+"&transactionTypes=NEW&startTime=20191231000000&endTime=20191231235959"), "Error: Authentication failed\n")
		d.Wall.Forward(time.Hour + time.Second)
		sequence(ok)
	})
}

// TestExtract: the windows, types and errors of 6.
func TestExtract(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		d.choose(`{"extract_minutes":-1}`)
		ask := func(query string) string { return d.ask(ccbill.ExtractPath, query) }
		number := d.sold(published, "newClientSubacc=0000")
		const day = "&startTime=20191231000000&endTime=20191231235959"
		d.want("nothing to report", ask(login+"&transactionTypes=REBILL"+day), "1")
		d.want("a new one", ask(login+"&transactionTypes=new"+day), `"NEW","900000","0000","`+number+
			`","2019-12-31 07:00:00","Ann","Lee","","","","","","","","ann@example.com","","1","5.00","30","29.95","30","99"`+"\n")
		d.want("of another subaccount", ask(login+"&usingSubacc=0005&transactionTypes=NEW"+day), "1")
		d.want("members", strings.Split(ask(login+"&transactionTypes=ACTIVEMEMBERS"), "\n")[1],
			`"ACTIVEMEMBERS","900000","0000","`+number+`","2019-12-31","","ann@example.com","2","2020-01-30",""`)
		d.MoveTo("2020-01-31")
		rebill := ask(login + "&transactionTypes=REBILL&startTime=20200130000000&endTime=20200130235959")
		if !strings.HasPrefix(rebill, `"REBILL","900000","0000","`+number+`","2020-01-30","01200304`) || !strings.HasSuffix(rebill, `","29.95"`+"\n") {
			t.Errorf("a rebill is %s", rebill)
		}
		d.want("asked again it has the same number", ask(login+"&transactionTypes=REBILL&startTime=20200130000000&endTime=20200130235959"), rebill)
		for query, want := range map[string]string{
			"&transactionTypes=NEW": "Error: Invalid startTime\n", "&transactionTypes=PARTY" + day: "Error: Invalid transactionTypes\n",
			day: "Error: Invalid transactionTypes\n",
			"&transactionTypes=NEW&startTime=20191231&endTime=20191231235959":       "Error: Invalid startTime\n",
			"&transactionTypes=NEW&startTime=20191231000000&endTime=20191230000000": "Error: endTime lies before startTime\n",
			"&transactionTypes=NEW&startTime=20191230000000&endTime=20191231000001": "Error: The time between startTime and endTime must not exceed 24 hours\n",
		} {
			d.want(query, ask(login+query), want)
		}
		d.want("a wrong password", ask("clientAccnum=900000&username=testuser&password=no&transactionTypes=NEW"+day), "Error: Authentication failed\n")
		if sample := ask(login + "&testMode=1&transactionTypes=REFUND,NEW" + day); strings.Count(sample, "\n") != 2 || !strings.HasPrefix(sample, `"NEW","900000","0000","01`) {
			t.Errorf("a sample is %s", sample)
		}
		d.choose(`{}`)
		d.want("the first of the hour", ask(login+"&transactionTypes=REFUND"+day), "1")
		d.want("the second", ask(login+"&transactionTypes=REFUND"+day), "Error: The extract was taken less than 60 minutes ago\n")
		d.Wall.Forward(time.Hour)
		d.want("an hour later", ask(login+"&transactionTypes=REFUND"+day), "1")
	})
}

// TestNoSecretIsLogged: the wire has the password in the address, and clients put
// card numbers where none belong; no log has either.
func TestNoSecretIsLogged(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		hash, err := cashier.HashPassword(billing.NewSecret("Canary-Pa55;word"))
		check(t, err)
		d.admit("canary", func(l *billing.Login) { l.Name, l.PasswordHash = "900000/canary", hash })
		for _, path := range []string{ccbill.ChargingPath, ccbill.ManagementPath, ccbill.ExtractPath} {
			for _, change := range []string{"password=Canary-Pa55;word", "password=Canary-Pa55;wordx", "subscriptionId=4111111111111111", "clientAccnum=Canary-Pa55;word",
				"action=Canary-Pa55;word", "newClientAccnum=900007", "junk=4111111111111111", "initialPrice=1000000"} {
				query := offer(published, "username=canary", "password=Canary-Pa55;word", change)
				d.ask(path, query)
				d.Ask("POST", path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, query)
			}
		}
		log := d.Log.String()
		for _, secret := range []string{"Canary", "Pa55", "4111111111111111", "password", "?", "username="} {
			if i := strings.Index(log, secret); i >= 0 {
				t.Errorf("the log has %q: %s", secret, log[max(0, i-200):min(len(log), i+100)])
			}
		}
		if !strings.Contains(log, `"route":"/jpost/billingApi.cgi chargeByPreviousTransactionId"`) || !strings.Contains(log, `"outcome":"approved"`) {
			t.Errorf("the log tells nothing: %s", log[:500])
		}
	})
}
