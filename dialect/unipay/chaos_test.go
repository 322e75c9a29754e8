package unipay

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/dialect/dialecttest"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// Words that requests of chaos are made of: names and values that mean
// something, and values that have broken servers before.
var (
	chaosNames = []string{"id", "code", "accountId", "customerId", "firstName", "lastName", "email", "phone", "isActive", "street1", "state",
		"type", "accountNumber", "accountAccessory", "accountData", "csc", "token", "holderName", "name", "billingCycleType", "amount",
		"taxAmount", "length", "planId", "paymentOptionId", "firstBillingDate", "firstInvoicingDate", "note", "effectiveDate", "dueDate",
		"accountType", "invoiceList", "subscriptionId", "adjustmentId", "sourceId", "targetId", "offset", "limit", "afterId",
		"createDate", "createDateFrom", "createDateTo", "amountFrom", "status", "nextBillingDate", "balance", "processingInfo.id"}
	chaosValues = []string{"", "0", "1", "2001", "1999", "8000", "-1", "9223372036854775807", "9223372036854775808", "00017", "*", "**", "*ann",
		"ann", "*plan", "*card", "card", "*sub", "*invoice", "*invoice,*invoice", "true", "false", "VC", "BC", "K", "AP", "AR", "RI", "RC", "F", "P",
		"M", "W", "2020-01-01", "2020-02-29", "2019-12-31", "9999-12-31", "1900-01-01", "0001-01-01", "4111111111111111", "0430",
		"021000021", "%B4111111111111111^A/B^3012101?", ";4111111111111111=3012?", "a'b", `a"b`, "a\\b", "%", "_", "a\u0301", "\u202e",
		"\ufffd", "𝒜", "null", "NaN", "1e9", " ", "a,b", "<a/>", "&amp;", "' OR 1=1 --", strings.Repeat("9", 60), strings.Repeat("é", 128)}
	chaosRefs = []string{"*ann", "ann", "17", "*17", "*nope", "0", "*a%2Fb", "%00", "9223372036854775807", "%F0%9F%92%B3", "~load"}
)

// TestChaos: whatever is asked, in whatever order, the answer is well-formed and
// either what was asked for or the client's own fault; never ours.
func TestChaos(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		c := client{t, open(t, s)}
		c.signUp("1999", visa, "type", "P", "firstBillingDate", "2020-01-01", "paymentOptionId", "*card")
		c.ask("PUT", "customers/*ann/transactions", "code", "invoice", "type", "RI", "amount", "1999")
		h := New(Options{Cashier: s.Cashier})
		rapid.Check(t, func(t *rapid.T) {
			for range 5 {
				r := chaoticRequest(t)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code >= 500 || w.Code < 200 {
					t.Fatalf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Body)
				}
				checkWellFormed(t, w)
			}
		})
		s.Balanced()
	})
}

func chaoticRequest(t *rapid.T) *http.Request {
	pattern := rapid.SampledFrom(Patterns()).Draw(t, "pattern")
	var path strings.Builder
	for i, segment := range strings.Split(pattern, "/") {
		if i > 0 {
			path.WriteByte('/')
		}
		if isVariable(segment) {
			segment = rapid.SampledFrom(chaosRefs).Draw(t, "ref")
		}
		path.WriteString(segment)
	}
	fields := url.Values{}
	for range rapid.IntRange(0, 12).Draw(t, "fields") {
		fields.Set(rapid.SampledFrom(chaosNames).Draw(t, "name"), rapid.SampledFrom(chaosValues).Draw(t, "value"))
	}
	method := rapid.SampledFrom([]string{"GET", "PUT", "POST"}).Draw(t, "method")
	if rapid.IntRange(0, 9).Draw(t, "fit") > 0 {
		for _, m := range []string{"GET", "PUT", "POST"} {
			u, err := url.ParseRequestURI(Prefix + path.String())
			if err != nil {
				break
			}
			if _, err := ParseCall(m, u); err == nil {
				method = m
			}
		}
	}
	target, body, contentType := Prefix+path.String(), "", ""
	switch rapid.IntRange(0, 2).Draw(t, "notation") {
	case 0:
		target += "?" + fields.Encode()
	case 1:
		flat := map[string]string{}
		for name := range fields {
			flat[name] = fields.Get(name)
		}
		text, err := json.Marshal(flat)
		if err != nil {
			t.Fatal(err)
		}
		body, contentType = string(text), "application/json"
	default:
		body, contentType = fields.Encode(), "application/x-www-form-urlencoded"
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.SetBasicAuth(dialecttest.User, dialecttest.Password)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", rapid.SampledFrom([]string{"", "application/json", "application/xml", "application/x-www-form-urlencoded", "*/*"}).Draw(t, "accept"))
	return r
}

func checkWellFormed(t *rapid.T, w *httptest.ResponseRecorder) {
	text := w.Body.Bytes()
	switch kind := w.Header().Get("Content-Type"); kind {
	case JSON.ContentType():
		if !json.Valid(text) {
			t.Fatalf("not JSON: %s", text)
		}
	case XML.ContentType():
		if err := xml.Unmarshal(text, new(struct{})); err != nil {
			t.Fatalf("not XML: %v: %s", err, text)
		}
	case XURL.ContentType():
		if _, err := url.ParseQuery(string(text)); err != nil {
			t.Fatalf("not a form: %v: %s", err, text)
		}
	default:
		t.Fatalf("an answer of type %q", kind)
	}
}

// TestSameKeyAtOnce: one request sent many times at once under one key charges
// once; whoever does not get the payment is told that it is under way.
func TestSameKeyAtOnce(t *testing.T) {
	tell(t, func(c client) {
		c.signUp("1999", visa)
		key := http.Header{"Idempotency-Key": {"order-9"}}
		replies := make([]dialecttest.Reply, 8)
		var all sync.WaitGroup
		for i := range replies {
			all.Go(func() {
				replies[i] = c.send("POST", "customers/*ann/transactions/~process", key, "amount", "1999", "paymentOptionId", "*card")
			})
		}
		all.Wait()
		ids := map[string]bool{}
		for _, r := range replies {
			switch r.Status {
			case http.StatusOK:
				var o answered
				c.decode(r, &o)
				ids[o["id"].(string)] = true
			case http.StatusConflict:
				wantFailure(t, "under way", r, "V29", 409)
			default:
				t.Errorf("%d %s", r.Status, r.Body)
			}
		}
		if n := c.c.Journal()[sandbox.LineCapture]; len(ids) != 1 || n != 1 {
			t.Errorf("%d payments and %d captures: %s", len(ids), n, fmt.Sprint(replies))
		}
	})
}
