package recurly

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Prefix is a path under which everything is served as well, for those who have
// one address for several wires.
const Prefix = "/recurly/"

// Patterns are the addresses of this wire, for the listener. The API had no
// prefix, so it takes its places at the root.
func Patterns() []string {
	list := []string{Prefix, "/v2/", "/invoices/", "/transparent/"}
	for _, name := range []string{"/accounts", "/plans", "/company/plans", "/site/plans", "/transactions"} {
		list = append(list, name, name+".xml", name+"/")
	}
	return list
}

// call is one understood method and URL.
type call struct {
	pattern string   // holds no text of the client
	account []string // the codes that the account in the path may have: as written, and with + for a blank (1.4)
	id      string   // of a charge, credit, invoice or transaction, or the key of a result
	plan    []string // as account
	site    string   // of a transparent post
	verb    verb
}

// verb carries a call out.
type verb struct {
	do    func(context.Context, *exchange) (answer, error)
	root  []string // elements under which the object may come; none for no body
	wakes bool     // it may make work due for the billing run
}

// route is one place of the tree, with what each method does there.
type route struct {
	pattern string
	verbs   map[string]verb
}

// get is a verb that reads.
func get(do func(context.Context, *exchange) (answer, error)) verb { return verb{do: do} }

// take is a verb that reads an object.
func take(do func(context.Context, *exchange) (answer, error), root ...string) verb {
	return verb{do: do, root: root, wakes: true}
}

// act is a verb that changes something and takes no object.
func act(do func(context.Context, *exchange) (answer, error)) verb { return verb{do: do, wakes: true} }

// tree is the table of section 4.
func tree() []route {
	list := []route{
		{"accounts", map[string]verb{http.MethodGet: get(listAccounts), http.MethodPost: take(createAccount, "account")}},
		{"accounts/:account", map[string]verb{http.MethodGet: get(showAccount), http.MethodPut: take(updateAccount, "account"),
			http.MethodDelete: act(closeAccount)}},
		{"accounts/:account/billing_info", map[string]verb{http.MethodGet: get(showBillingInfo),
			http.MethodPut: take(putBillingInfo, "billing_info", "account"), http.MethodDelete: act(clearBillingInfo)}},
		{"accounts/:account/subscription", map[string]verb{http.MethodGet: get(showSubscription),
			http.MethodPost: take(createSubscription, "subscription"), http.MethodPut: take(changeSubscription, "subscription"),
			http.MethodDelete: act(endSubscription)}},
		{"accounts/:account/subscription/reactivate", map[string]verb{http.MethodPost: act(reactivateSubscription)}},
		{"accounts/:account/charges", map[string]verb{http.MethodGet: get(listCharges), http.MethodPost: take(createCharge, "charge")}},
		{"accounts/:account/charges/:id", map[string]verb{http.MethodGet: get(showCharge), http.MethodDelete: act(deleteCharge)}},
		{"accounts/:account/credits", map[string]verb{http.MethodGet: get(listCredits), http.MethodPost: take(createCredit, "credit")}},
		{"accounts/:account/credits/:id", map[string]verb{http.MethodGet: get(showCredit), http.MethodDelete: act(deleteCredit)}},
		{"accounts/:account/invoices", map[string]verb{http.MethodGet: get(listInvoices), http.MethodPost: act(createInvoice)}},
		{"accounts/:account/transactions", map[string]verb{http.MethodGet: get(listAccountTransactions)}},
		{"accounts/:account/coupon", map[string]verb{http.MethodGet: get(showCoupon), http.MethodPost: take(redeemCoupon, "coupon"),
			http.MethodDelete: act(removeCoupon)}},
		{"invoices/:id", map[string]verb{http.MethodGet: get(showInvoice)}},
		{"transactions", map[string]verb{http.MethodGet: get(listTransactions), http.MethodPost: take(createTransaction, "transaction")}},
		{"transactions/:id", map[string]verb{http.MethodGet: get(showTransaction), http.MethodDelete: act(takeBackTransaction)}},
		{transparentResult, map[string]verb{http.MethodGet: get(showResult)}},
		{"transparent/:site/subscription", map[string]verb{http.MethodPost: {}}},
		{"transparent/:site/transaction", map[string]verb{http.MethodPost: {}}},
		{"transparent/:site/billing_info", map[string]verb{http.MethodPost: {}}},
	}
	for _, at := range []string{"plans", "company/plans", "site/plans"} { // the three spellings of 1.4
		list = append(list,
			route{at, map[string]verb{http.MethodGet: get(listPlans), http.MethodPost: take(createPlan, "plan")}},
			route{at + "/:plan", map[string]verb{http.MethodGet: get(showPlan), http.MethodPut: take(updatePlan, "plan"),
				http.MethodDelete: act(deletePlan)}})
	}
	return list
}

const transparentResult = "transparent/results/:id"

// maxPath is the length in bytes of the longest path that is looked at.
const maxPath = 1024

// parse understands a method and a URL (1.4, 4). Even when it fails the call has
// the pattern as far as it is known.
func (s *server) parse(method string, u *url.URL) (call, error) {
	segments, ok := split(u.EscapedPath())
	if !ok {
		return call{}, fail(http.StatusNotFound, "There is nothing at this address")
	}
	for _, rt := range s.routes {
		c := call{pattern: rt.pattern}
		if !c.match(strings.Split(rt.pattern, "/"), segments) {
			continue
		}
		if c.verb, ok = rt.verbs[method]; !ok {
			var allowed []string
			for m := range rt.verbs {
				allowed = append(allowed, m)
			}
			slices.Sort(allowed)
			f := fail(http.StatusMethodNotAllowed, "This address takes "+strings.Join(allowed, ", "))
			f.allow = strings.Join(allowed, ", ")
			return c, f
		}
		return c, nil
	}
	return call{}, fail(http.StatusNotFound, "There is nothing at this address")
}

// split cuts an escaped path into its segments, still escaped. One slash at the
// end and one ".xml" at the end of the last segment mean nothing (1.4).
func split(path string) ([]string, bool) {
	if len(path) > maxPath {
		return nil, false
	}
	if under, ok := strings.CutPrefix(path, Prefix); ok {
		path = "/" + under
	}
	rest, found := strings.CutPrefix(path, "/")
	if !found {
		return nil, false
	}
	segments := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	last := len(segments) - 1
	segments[last] = strings.TrimSuffix(segments[last], ".xml")
	return segments, true
}

// match takes the segments for those of a pattern, if they fit.
func (c *call) match(pattern, segments []string) bool {
	if len(pattern) != len(segments) {
		return false
	}
	for i, name := range pattern {
		variable, is := strings.CutPrefix(name, ":")
		if !is {
			if name != segments[i] {
				return false
			}
			continue
		}
		codes := readings(segments[i])
		if len(codes) == 0 {
			return false
		}
		switch variable {
		case "account":
			c.account = codes
		case "plan":
			c.plan = codes
		case "site":
			c.site = codes[0]
		case "id":
			c.id = codes[0]
		}
	}
	return true
}

// readings are the codes that an escaped segment may stand for: what it says, and
// if it has a plus, what it says with blanks in place of those. Two clients write
// a blank so, and a code may have a plus (1.4).
func readings(segment string) (codes []string) {
	for _, s := range []string{segment, strings.ReplaceAll(segment, "+", "%20")} {
		code, err := url.PathUnescape(s)
		if err == nil && code != "" && printable(code) == code && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}
