package unipay

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func parse(t *testing.T, method, path string) (Call, error) {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatalf("not a URL: %v", err)
	}
	return ParseCall(method, u)
}

func TestParseCall(t *testing.T) {
	seven := Ref{ID: 7, Code: "7"}
	ann := Ref{Code: "ann"}
	nine := Ref{ID: 9, Code: "9"}
	const customer = "customers/[customer-id]"
	tests := []struct {
		method, path string
		want         Call
	}{
		{"PUT", "/customers/~create", Call{Resource: Customers, Action: Create, Pattern: "customers/~create"}},
		{"PUT", "/customers", Call{Resource: Customers, Action: Create, Pattern: "customers/~create"}},
		{"GET", "/customers/~find?limit=1", Call{Resource: Customers, Action: Find, Pattern: "customers/~find"}},
		{"GET", "/customers?limit=1", Call{Resource: Customers, Action: Find, Pattern: "customers/~find"}},
		{"GET", "/customers/", Call{Resource: Customers, Action: Find, Pattern: "customers/~find"}},
		{"GET", "/customers/~find/", Call{Resource: Customers, Action: Find, Pattern: "customers/~find"}},
		{"GET", "/customers/7/~load", Call{Resource: Customers, Action: Load, Pattern: customer + "/~load", Customer: seven}},
		{"GET", "/customers/*ann", Call{Resource: Customers, Action: Load, Pattern: customer + "/~load", Customer: ann}},
		{"GET", "/customers/%2Aann/%7Eload", Call{Resource: Customers, Action: Load, Pattern: customer + "/~load", Customer: ann}},
		{"GET", "/customers/ann", Call{Resource: Customers, Action: Load, Pattern: customer + "/~load", Customer: ann}},
		{"GET", "/customers/*7", Call{Resource: Customers, Action: Load, Pattern: customer + "/~load", Customer: Ref{Code: "7"}}},
		{"GET", "/customers/*a%2Fb", Call{Resource: Customers, Action: Load, Pattern: customer + "/~load", Customer: Ref{Code: "a/b"}}},
		{"POST", "/customers/7", Call{Resource: Customers, Action: Modify, Pattern: customer + "/~modify", Customer: seven}},
		{"POST", "/customers/7/~modify", Call{Resource: Customers, Action: Modify, Pattern: customer + "/~modify", Customer: seven}},
		{"PUT", "/customers/*ann/payment-options/~create", Call{Resource: PaymentOptions, Action: Create, Pattern: customer + "/payment-options/~create", Customer: ann}},
		{"GET", "/customers/7/payment-options", Call{Resource: PaymentOptions, Action: Find, Pattern: customer + "/payment-options/~find", Customer: seven}},
		{"GET", "/customers/7/payment-options/*ann", Call{Resource: PaymentOptions, Action: Load, Pattern: customer + "/payment-options/[payment-option-id]/~load", Customer: seven, PaymentOption: ann}},
		{"POST", "/customers/7/payment-options/9", Call{Resource: PaymentOptions, Action: Modify, Pattern: customer + "/payment-options/[payment-option-id]/~modify", Customer: seven, PaymentOption: nine}},
		{"PUT", "/customers/7/subscriptions", Call{Resource: Subscriptions, Action: Create, Pattern: customer + "/subscriptions/~create", Customer: seven}},
		{"GET", "/customers/7/subscriptions", Call{Resource: Subscriptions, Action: Find, Pattern: customer + "/subscriptions/~find", Customer: seven}},
		{"GET", "/customers/7/subscriptions/9", Call{Resource: Subscriptions, Action: Load, Pattern: customer + "/subscriptions/[subscription-id]/~load", Customer: seven, Subscription: nine}},
		{"POST", "/customers/7/subscriptions/9", Call{Resource: Subscriptions, Action: Modify, Pattern: customer + "/subscriptions/[subscription-id]/~modify", Customer: seven, Subscription: nine}},
		{"GET", "/customers/7/subscriptions/9/~cancel", Call{Resource: Subscriptions, Action: Cancel, Pattern: customer + "/subscriptions/[subscription-id]/~cancel", Customer: seven, Subscription: nine}},
		{"GET", "/customers/*ann/subscriptions/*ann/~freeze?length=3", Call{Resource: Subscriptions, Action: Freeze, Pattern: customer + "/subscriptions/[subscription-id]/~freeze", Customer: ann, Subscription: ann}},
		{"GET", "/customers/7/subscriptions/9/~pause", Call{Resource: Subscriptions, Action: Pause, Pattern: customer + "/subscriptions/[subscription-id]/~pause", Customer: seven, Subscription: nine}},
		{"GET", "/customers/7/subscriptions/9/~resume", Call{Resource: Subscriptions, Action: Resume, Pattern: customer + "/subscriptions/[subscription-id]/~resume", Customer: seven, Subscription: nine}},
		{"GET", "/customers/7/subscriptions/9/adjustments/~find", Call{Resource: Adjustments, Action: Find, Pattern: customer + "/subscriptions/[subscription-id]/adjustments/~find", Customer: seven, Subscription: nine}},
		{"PUT", "/customers/7/transactions/~create", Call{Resource: Transactions, Action: Create, Pattern: customer + "/transactions/~create", Customer: seven}},
		{"GET", "/customers/7/transactions", Call{Resource: Transactions, Action: Find, Pattern: customer + "/transactions/~find", Customer: seven}},
		{"POST", "/customers/7/transactions/~process", Call{Resource: Transactions, Action: Process, Pattern: customer + "/transactions/~process", Customer: seven}},
		{"GET", "/customers/7/transactions/9", Call{Resource: Transactions, Action: Load, Pattern: customer + "/transactions/[transaction-id]/~load", Customer: seven, Transaction: nine}},
		{"GET", "/customers/7/transactions/9/~reverse", Call{Resource: Transactions, Action: Reverse, Pattern: customer + "/transactions/[transaction-id]/~reverse", Customer: seven, Transaction: nine}},
		{"GET", "/customers/7/transactions/9/allocations", Call{Resource: Allocations, Action: Find, Pattern: customer + "/transactions/[transaction-id]/allocations/~find", Customer: seven, Transaction: nine}},
		{"PUT", "/plans", Call{Resource: Plans, Action: Create, Pattern: "plans/~create"}},
		{"GET", "/plans/~find", Call{Resource: Plans, Action: Find, Pattern: "plans/~find"}},
		{"GET", "/plans/*standard_monthly", Call{Resource: Plans, Action: Load, Pattern: "plans/[plan-id]/~load", Plan: Ref{Code: "standard_monthly"}}},
		{"POST", "/plans/9/~modify", Call{Resource: Plans, Action: Modify, Pattern: "plans/[plan-id]/~modify", Plan: nine}},
		{"GET", "/users/api-gym?password=x", Call{Resource: Users, Action: Authenticate, Pattern: "users/[user-name]/~authenticate", User: "api-gym"}},
		{"GET", "/users/api-gym/~authenticate", Call{Resource: Users, Action: Authenticate, Pattern: "users/[user-name]/~authenticate", User: "api-gym"}},
	}
	covered := make(map[string]bool)
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got, err := parse(t, tt.method, "/api/v01"+tt.path)
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("call (-want +got):\n%s", diff)
			}
		})
		covered[tt.want.Pattern] = true
	}
	for _, p := range Patterns() {
		if !covered[p] {
			t.Errorf("no test for the route %s", p)
		}
	}
}

func TestParseCallRefuses(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
		code         string
		allow        string
		pattern      string
	}{
		{"GET", "/api/v01/", 404, "U01", "", ""},
		{"GET", "/api/v01", 404, "U01", "", ""},
		{"GET", "/api/v02/customers", 404, "U01", "", ""},
		{"GET", "/customers", 404, "U01", "", ""},
		{"GET", "/api/v01/invoices", 404, "U01", "", ""},
		{"GET", "/api/v01/Customers", 404, "U01", "", ""},
		{"GET", "/api/v01/~find", 404, "U01", "", ""},
		{"GET", "/api/v01/customers//", 404, "U01", "", ""},
		{"GET", "/api/v01//customers", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/7//subscriptions", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/~find/~find", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/~find/transactions", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/~", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/7/8", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/7/subscriptions/9/adjustments/3", 404, "U01", "", ""},
		{"GET", "/api/v01/users", 404, "U01", "", ""},
		{"GET", "/api/v01/customers/" + strings.Repeat("a/", 2000), 404, "U01", "", ""},
		{"GET", "/api/v01/customers/~explode", 404, "U01", "", "customers"},
		{"POST", "/api/v01/customers/~process", 404, "U01", "", "customers"},
		{"DELETE", "/api/v01/customers/7/~delete", 404, "U01", "", "customers/[customer-id]"},
		{"GET", "/api/v01/customers/7/subscriptions/~cancel", 404, "U01", "", "customers/[customer-id]/subscriptions"},

		{"POST", "/api/v01/customers", 405, "U01", "PUT, GET", "customers"},
		{"HEAD", "/api/v01/customers", 405, "U01", "PUT, GET", "customers"},
		{"OPTIONS", "/api/v01/customers", 405, "U01", "PUT, GET", "customers"},
		{"get", "/api/v01/customers", 405, "U01", "PUT, GET", "customers"},
		{"PUT", "/api/v01/customers/7", 405, "U01", "GET, POST", "customers/[customer-id]"},
		{"DELETE", "/api/v01/customers/7", 405, "U01", "GET, POST", "customers/[customer-id]"},
		{"POST", "/api/v01/customers/~create", 405, "U01", "PUT", "customers"},
		{"GET", "/api/v01/customers/7/~modify", 405, "U01", "POST", "customers/[customer-id]"},
		{"POST", "/api/v01/customers/7/transactions", 405, "U01", "PUT, GET", "customers/[customer-id]/transactions"},
		{"POST", "/api/v01/customers/7/subscriptions/9/~cancel", 405, "U01", "GET", "customers/[customer-id]/subscriptions/[subscription-id]"},
		{"POST", "/api/v01/customers/7/transactions/9", 405, "U01", "GET", "customers/[customer-id]/transactions/[transaction-id]"},
		{"PUT", "/api/v01/customers/7/subscriptions/9/adjustments", 405, "U01", "GET", "customers/[customer-id]/subscriptions/[subscription-id]/adjustments"},

		{"GET", "/api/v01/customers/*", 404, "V24", "", "customers/[customer-id]/~load"},
		{"GET", "/api/v01/customers/**a", 404, "V24", "", "customers/[customer-id]/~load"},
		{"GET", "/api/v01/customers/a%20b", 404, "V24", "", "customers/[customer-id]/~load"},
		{"GET", "/api/v01/customers/a%00b", 404, "V24", "", "customers/[customer-id]/~load"},
		{"GET", "/api/v01/customers/%ff", 404, "V24", "", "customers/[customer-id]/~load"},
		{"GET", "/api/v01/customers/*" + strings.Repeat("x", 61), 404, "V24", "", "customers/[customer-id]/~load"},
		{"GET", "/api/v01/customers/7/transactions/*é", 404, "V24", "", "customers/[customer-id]/transactions/[transaction-id]/~load"},
		{"GET", "/api/v01/users/a%0Ab", 404, "V24", "", "users/[user-name]/~authenticate"},
	}
	for _, tt := range tests {
		name := tt.method + " " + tt.path
		t.Run(name[:min(len(name), 60)], func(t *testing.T) {
			call, err := parse(t, tt.method, tt.path)
			if err == nil {
				t.Fatalf("understood as %+v", call)
			}
			f := AsFailure(err)
			if f.Status != tt.status || f.Code != tt.code || f.Allow != tt.allow {
				t.Errorf("got %d %s Allow %q (%s), want %d %s Allow %q",
					f.Status, f.Code, f.Allow, f.Message, tt.status, tt.code, tt.allow)
			}
			if call.Pattern != tt.pattern {
				t.Errorf("pattern %q, want %q", call.Pattern, tt.pattern)
			}
		})
	}
}

// The client that forgets ~process must read what is missing.
func TestParseCallNamesTheExplicitAction(t *testing.T) {
	_, err := parse(t, "POST", "/api/v01/customers/7/transactions")
	if err == nil || !strings.Contains(err.Error(), "~process") {
		t.Errorf("got %v, want a word about ~process", err)
	}
}

// Whatever the URL is, the pattern is one of the known ones or a prefix of one:
// nothing of the client gets into a metric.
func FuzzParseCall(f *testing.F) {
	f.Add("GET", "/api/v01/customers/*a/transactions/17/~reverse")
	f.Add("PUT", "/api/v01/plans/~create/")
	f.Add("GET", "/api/v01/customers/%2A%2F/%7E")
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		call, err := ParseCall(method, u)
		known := call.Pattern == ""
		for _, p := range Patterns() {
			known = known || strings.HasPrefix(p, call.Pattern+"/~") || p == call.Pattern && call.Action != ""
		}
		if !known {
			t.Errorf("the pattern %q is none of ours", call.Pattern)
		}
		if err == nil && (call.Action == "" || call.Resource == "") {
			t.Errorf("understood without action or resource: %+v", call)
		}
	})
}

func TestParseRef(t *testing.T) {
	tests := []struct {
		in   string
		want Ref
		ok   bool
	}{
		{"17", Ref{ID: 17, Code: "17"}, true},
		{"*17", Ref{Code: "17"}, true},
		{"*card1", Ref{Code: "card1"}, true},
		{"card1", Ref{Code: "card1"}, true},
		{"9223372036854775807", Ref{ID: 1<<63 - 1, Code: "9223372036854775807"}, true},
		{"9223372036854775808", Ref{Code: "9223372036854775808"}, true},
		{"0", Ref{Code: "0"}, true},
		{"0017", Ref{Code: "0017"}, true},
		{"*a.b_c-d:e@f/g", Ref{Code: "a.b_c-d:e@f/g"}, true},
		{"", Ref{}, false},
		{"*", Ref{}, false},
		{"**a", Ref{}, false},
		{"a b", Ref{}, false},
		{"-17", Ref{Code: "-17"}, true},
		{"é", Ref{}, false},
	}
	for _, tt := range tests {
		got, ok := ParseRef(tt.in)
		if got != tt.want || ok != tt.ok || got.IsZero() == ok {
			t.Errorf("ParseRef(%q) = %+v, %v; want %+v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// A code that can be given to an object can also be asked for in a URL.
func TestCodesTravelInURLs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.StringMatching(`[A-Za-z0-9._\-:@/]{1,60}`).Draw(t, "code")
		u, err := url.ParseRequestURI("/api/v01/plans/" + url.PathEscape("*"+code))
		if err != nil {
			t.Fatal(err)
		}
		call, err := ParseCall(http.MethodGet, u)
		if err != nil {
			t.Fatal(err)
		}
		if want := (Ref{Code: code}); call.Plan != want {
			t.Errorf("got %+v, want %+v", call.Plan, want)
		}
	})
}

func TestActionsThatChange(t *testing.T) {
	for _, rt := range routes {
		for _, v := range rt.verbs {
			reads := v.action == Find || v.action == Load || v.action == Authenticate
			if v.action.Changes() == reads {
				t.Errorf("%s: Changes is %v", v.action, v.action.Changes())
			}
		}
	}
}

// The README lists every route, so that a reader need not read this package.
func TestREADMEHasEveryRoute(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Patterns() {
		if !strings.Contains(string(readme), "`"+p+"`") {
			t.Errorf("README.md does not mention `%s`", p)
		}
	}
}
