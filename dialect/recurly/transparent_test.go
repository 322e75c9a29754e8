package recurly

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
)

// browser posts forms and follows nothing.
var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// protect signs the pairs of a form as the clients do: sorted, with the time.
func protect(c *dialecttest.Counter, change func(url.Values)) string {
	v := url.Values{"redirect_url": {"http://shop.example/back?a=1&b=%2F"}, "account[account_code]": {"ann"}, "time": {c.Wall.Now().UTC().Format(time.RFC3339)}}
	if change != nil {
		change(v)
	}
	query := v.Encode()
	return sign(testPrivateKey, query) + "|" + query
}

// post posts a form as a browser does, and returns the status and where it leads.
func post(c *dialecttest.Counter, kind, data string, free url.Values) (int, *url.URL) {
	c.T.Helper()
	form := url.Values{"data": {data}}
	for name, values := range free {
		form[name] = values
	}
	r, err := browser.PostForm(c.URL+"/transparent/demo/"+kind, form)
	must(c.T, err)
	must(c.T, r.Body.Close())
	to, err := r.Location()
	if err != nil {
		return r.StatusCode, nil
	}
	return r.StatusCode, to
}

// led posts a form that is trusted, checks what the redirect says, and returns the
// result.
func led(c *dialecttest.Counter, kind, data string, status int, free url.Values) dialecttest.Reply {
	c.T.Helper()
	code, to := post(c, kind, data, free)
	if code != http.StatusFound {
		c.T.Fatalf("%s: %d", kind, code)
	}
	q := to.Query()
	told := "result=" + q.Get("result") + "&status=" + q.Get("status") + "&type=" + q.Get("type")
	if to.Host != "shop.example" || q.Get("a") != "1" || q.Get("b") != "/" || q.Get("type") != kind || !signed(testPrivateKey, told, q.Get("confirm")) {
		c.T.Errorf("%s: leads to %s", kind, to)
	}
	r := c.Ask("GET", "/transparent/results/"+q.Get("result"), http.Header{"Authorization": {"Basic dGVzdC1hcGkta2V5Og=="}, "Accept": {"text/html"}}, "")
	if r.Status != status || q.Get("status") != strconv.Itoa(status) {
		c.T.Errorf("%s: the result is %d, and %s was told\n%s", kind, r.Status, q.Get("status"), r.Body)
	}
	return r
}

// cardPairs are the free pairs of a card.
func cardPairs(number string) url.Values {
	return url.Values{
		"billing_info[first_name]": {"Ann"}, "billing_info[last_name]": {"Lee"}, "billing_info[zip]": {"94105"},
		"billing_info[credit_card][number]": {number}, "billing_info[credit_card][verification_value]": {"123"},
		"billing_info[credit_card][month]": {"7"}, "billing_info[credit_card][year]": {"2024"},
	}
}

func TestTransparentSubscription(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		data := protect(c, func(v url.Values) {
			v.Set("subscription[plan_code]", "gold")
			v.Set("subscription[unit_amount_in_cents]", "700")
		})
		free := cardPairs("4000000000000077")
		free.Set("account[email]", "ann@example.com")
		free.Set("account[account_code]", "mallory")
		free.Set("subscription[plan_code]", "free")
		free.Set("subscription[unit_amount_in_cents]", "1")
		free.Set("subscription[quantity]", "2")
		free.Set("subscription[add_ons][1][add_on_code]", "extra")
		free.Set("subscription[add_ons][0][add_on_code]", "special")
		free.Set("subscription[add_ons][0][unit_amount_in_cents]", "1")
		r := led(c, "subscription", data, 422, free)
		wants(t, r.Body, "error", "was declined for insufficient funds")
		wants(t, r.Body, "last_four", "")
		if i := strings.Index(r.Body, "<errors>"); i < strings.Index(r.Body, "<billing_info>") || i > strings.Index(r.Body, "</billing_info>") {
			t.Errorf("the errors do not stand within the billing information:\n%s", r.Body)
		}
		if strings.Contains(r.Body, "4000000000000077") || strings.Contains(r.Body, ">123<") {
			t.Errorf("the result has what was typed of the card:\n%s", r.Body)
		}
		asked(c, 404, "GET", "/accounts/ann", "")

		free.Set("billing_info[credit_card][number]", "4111 1111-1111 1111")
		r = led(c, "subscription", data, 200, free)
		wants(t, r.Body, "plan_code", "gold")
		wants(t, r.Body, "total_amount_in_cents", "2000") // 2 at 7.00, and add-ons at their own price
		wants(t, r.Body, "add_on_code", "special", "extra")
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "email", "ann@example.com")
		before := s.Journal()
		again := led(c, "subscription", data, 200, free)
		if again.Body != r.Body || s.Journal()["capture"] != before["capture"] {
			t.Error("a form that came again was carried out again")
		}
		s.Balanced()
	})
}

func TestTransparentTransactionAndBillingInfo(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		amount := func(v url.Values) {
			v.Set("transaction[amount_in_cents]", "900")
			v.Set("transaction[description]", "sold")
		}
		free := cardPairs("4111111111111111")
		free.Set("transaction[amount_in_cents]", "1")
		r := led(c, "transaction", protect(c, amount), 200, free)
		wants(t, r.Body, "amount_in_cents", "900")
		c.Wall.Forward(time.Second)
		r = led(c, "transaction", protect(c, nil), 422, free) // an amount that nothing protects is none
		wants(t, r.Body, "error", "is not a number")

		free = cardPairs("1")
		free.Set("account[first_name]", "Anna")
		r = led(c, "billing_info", protect(c, nil), 200, free)
		wants(t, r.Body, "type", "bogus")
		wants(t, asked(c, 200, "GET", "/accounts/ann", ""), "first_name", "Anna")
		c.Wall.Forward(time.Second)
		r = led(c, "billing_info", protect(c, nil), 422, url.Values{"billing_info[credit_card][number]": {""}, "billing_info[credit_card][month]": {"7"},
			"billing_info[credit_card][year]": {"2021"}})
		wants(t, r.Body, "error", "is required")
		wants(t, r.Body, "month", "7")
		c.Wall.Forward(time.Second)
		r = led(c, "billing_info", protect(c, func(v url.Values) { v.Set("account[account_code]", "nobody") }), 422, cardPairs("1"))
		wants(t, r.Body, "error", "Account not found")
	})
}

// TestTransparentDistrust: what is not signed, old, or says not where to go is
// answered on the spot, and does nothing.
func TestTransparentDistrust(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		good := protect(c, nil)
		other := strings.Replace(good, "ann", "bob", 1)
		set := func(name, value string) string { return protect(c, func(v url.Values) { v.Set(name, value) }) }
		for what, data := range map[string]string{
			"nothing": "", "no signature": "|", "a bare query": strings.SplitN(good, "|", 2)[1], "another query": other, "capitals": strings.ToUpper(good[:40]) + good[40:],
			"no redirect": set("redirect_url", ""), "a script": set("redirect_url", "javascript:alert(1)"), "a path": set("redirect_url", "/back"),
			"no account": set("account[account_code]", ""), "no time": set("time", ""),
			"an old time":    set("time", c.Wall.Now().Add(-61*time.Minute).UTC().Format(time.RFC3339)),
			"a time to come": set("time", c.Wall.Now().Add(61*time.Minute).UTC().Format(time.RFC3339)),
		} {
			if code, to := post(c, "billing_info", data, cardPairs("1")); code != 422 || to != nil {
				t.Errorf("%s: %d, to %v", what, code, to)
			}
		}
		if code, _ := post(c, "billing_info", set("time", c.Wall.Now().UTC().Format("02/Jan/2006 15:04:05 UTC")), cardPairs("1")); code != 302 {
			t.Errorf("the time as ruby writes it: %d", code)
		}
		for _, r := range []struct {
			site, kind, body string
			want             int
		}{
			{"other", "application/x-www-form-urlencoded", "data=x", 404}, {"demo", "application/xml", "<a/>", 400}, {"demo", "", "data=x", 400},
			{"demo", "application/x-www-form-urlencoded", "data=" + strings.Repeat("x", maxForm), 400},
			{"demo", "application/x-www-form-urlencoded; charset=utf-8", "data=" + url.QueryEscape(good) + "&%zz", 400},
		} {
			got := c.Ask("POST", "/transparent/"+r.site+"/billing_info", http.Header{"Authorization": {"none"}, "Content-Type": {r.kind}}, r.body)
			if got.Status != r.want {
				t.Errorf("%s %s: %d, want %d", r.site, r.kind, got.Status, r.want)
			}
		}
		if r := c.Ask("GET", "/transparent/demo/billing_info", http.Header{"Authorization": {"none"}}, ""); r.Status != 401 && r.Status != 405 {
			t.Errorf("GET: %d", r.Status)
		}
	})
}

// TestTransparentClicks: of several clicks at once one is carried out, and those
// that come after it is are led to what came of it.
func TestTransparentClicks(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		data := protect(c, func(v url.Values) { v.Set("transaction[amount_in_cents]", "900") })
		codes := make(chan int, 8)
		for range cap(codes) {
			go func() {
				code, _ := post(c, "transaction", data, cardPairs("4111111111111111"))
				codes <- code
			}()
		}
		led := 0
		for range cap(codes) {
			switch code := <-codes; code {
			case http.StatusFound:
				led++
			case http.StatusConflict:
			default:
				t.Errorf("a click is answered by %d", code)
			}
		}
		if n := s.Journal()["capture"]; n != 1 || led == 0 {
			t.Errorf("the bank saw %d captures, and %d were led back", n, led)
		}
		if code, _ := post(c, "transaction", data, cardPairs("4111111111111111")); code != http.StatusFound {
			t.Errorf("afterwards: %d", code)
		}
	})
}

// TestTransparentTries: one signature cannot be used to try card after card.
func TestTransparentTries(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := open(t, s)
		asked(c, 201, "POST", "/accounts", `<account><account_code>ann</account_code></account>`)
		data := protect(c, nil)
		var codes []int
		for range mostTries + 1 {
			code, _ := post(c, "billing_info", data, cardPairs("4000000000000002"))
			codes = append(codes, code)
		}
		if i := slices.Index(codes, 422); i != mostTries {
			t.Errorf("the tries are answered by %v", codes)
		}
	})
}
