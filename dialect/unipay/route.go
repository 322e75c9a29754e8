package unipay

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Prefix is the path under which the API lives (1.1). It is part of every
// published URL, so it is not configurable.
const Prefix = "/api/v01/"

// Resource is the kind of object a URL is about: its last fixed segment.
type Resource string

// The resources of the tree in 1.8, and users from 4.8.
const (
	Customers      Resource = "customers"
	PaymentOptions Resource = "payment-options"
	Subscriptions  Resource = "subscriptions"
	Adjustments    Resource = "adjustments"
	Transactions   Resource = "transactions"
	Allocations    Resource = "allocations"
	Plans          Resource = "plans"
	Users          Resource = "users"
)

// Action is what a call does, without the tilde it has in a URL (1.2).
type Action string

// The actions of section 4. Pause and Resume are extensions: the published
// documentation knows the state and the adjustment but no action for it.
const (
	Create       Action = "create"
	Find         Action = "find"
	Load         Action = "load"
	Modify       Action = "modify"
	Process      Action = "process"
	Reverse      Action = "reverse"
	Cancel       Action = "cancel"
	Freeze       Action = "freeze"
	Pause        Action = "pause"
	Resume       Action = "resume"
	Authenticate Action = "authenticate"
)

// Changes reports whether the action may change anything. The HTTP method does
// not tell: cancel, freeze, pause, resume and reverse are GET.
func (a Action) Changes() bool {
	switch a {
	case Find, Load, Authenticate:
		return false
	default:
		return true
	}
}

// takesObject reports whether the action takes an object in any of the three
// formats. The others take parameters in XURL only (1.4).
func (a Action) takesObject() bool {
	return a == Create || a == Modify || a == Process
}

// Call is one understood method and URL.
type Call struct {
	Resource Resource
	Action   Action

	// Pattern is the route with the action always written out, for example
	// "customers/[customer-id]/transactions/~process". It holds no text of the
	// client and takes few values, so that it is fit for logs and metrics.
	// When ParseCall fails it is the pattern without an action if the URL was
	// known, and empty otherwise.
	Pattern string

	// The objects named in the URL; the zero Ref where the URL names none.
	Customer      Ref
	PaymentOption Ref
	Subscription  Ref
	Transaction   Ref
	Plan          Ref

	// User is the name in users/[user-name]; it is a name, not a reference.
	User string
}

// roots returns the XML element names under which the object of the call may
// arrive. The published sample of process says "transaction" although the
// object is called ProcessingRequest, so both are taken (1.4).
func (c Call) roots() []string {
	switch c.Resource {
	case Customers:
		return []string{"customer"}
	case PaymentOptions:
		return []string{"payment-option"}
	case Plans:
		return []string{"plan"}
	case Subscriptions:
		return []string{"subscription"}
	case Transactions:
		if c.Action == Process {
			return []string{"transaction", "processing-request"}
		}
		return []string{"transaction"}
	case Adjustments, Allocations, Users:
		return nil
	default:
		return nil
	}
}

// verb is one action at one place of the tree.
type verb struct {
	action   Action
	method   string
	implicit bool // the segment ~action may be left out
}

// route is one place of the tree with what can be done there.
type route struct {
	resource Resource
	pattern  string
	segments []string
	verbs    []verb
}

// routes is the tree of 1.8 with the methods of 1.2.
var routes = buildRoutes()

func buildRoutes() []route {
	create := verb{Create, http.MethodPut, true}
	find := verb{Find, http.MethodGet, true}
	load := verb{Load, http.MethodGet, true}
	modify := verb{Modify, http.MethodPost, true}
	explicit := func(a Action, method string) verb { return verb{a, method, false} }

	collection := []verb{create, find}
	item := []verb{load, modify}
	const customer = "customers/[customer-id]"
	const subscription = customer + "/subscriptions/[subscription-id]"
	const transaction = customer + "/transactions/[transaction-id]"
	tree := []route{
		{resource: Customers, pattern: "customers", verbs: collection},
		{resource: Customers, pattern: customer, verbs: item},
		{resource: PaymentOptions, pattern: customer + "/payment-options", verbs: collection},
		{resource: PaymentOptions, pattern: customer + "/payment-options/[payment-option-id]", verbs: item},
		{resource: Subscriptions, pattern: customer + "/subscriptions", verbs: collection},
		{resource: Subscriptions, pattern: subscription, verbs: []verb{load, modify,
			explicit(Cancel, http.MethodGet), explicit(Freeze, http.MethodGet),
			explicit(Pause, http.MethodGet), explicit(Resume, http.MethodGet)}},
		{resource: Adjustments, pattern: subscription + "/adjustments", verbs: []verb{find}},
		{resource: Transactions, pattern: customer + "/transactions", verbs: []verb{create, find,
			explicit(Process, http.MethodPost)}},
		{resource: Transactions, pattern: transaction, verbs: []verb{load,
			explicit(Reverse, http.MethodGet)}},
		{resource: Allocations, pattern: transaction + "/allocations", verbs: []verb{find}},
		{resource: Plans, pattern: "plans", verbs: collection},
		{resource: Plans, pattern: "plans/[plan-id]", verbs: item},
		{resource: Users, pattern: "users/[user-name]", verbs: []verb{{Authenticate, http.MethodGet, true}}},
	}
	for i := range tree {
		tree[i].segments = strings.Split(tree[i].pattern, "/")
	}
	return tree
}

// Patterns lists every value that Call.Pattern can take after a successful
// ParseCall, in the order of the resource tree.
func Patterns() []string {
	var list []string
	for _, rt := range routes {
		for _, v := range rt.verbs {
			list = append(list, rt.patternOf(v.action))
		}
	}
	return list
}

func (rt route) patternOf(a Action) string { return rt.pattern + "/~" + string(a) }

// maxPath is the length in bytes of the longest path that is looked at. Three
// references of 60 characters, each percent-encoded, stay far below it.
const maxPath = 2048

// ParseCall understands a method and a URL (1.1, 1.2, 1.8).
//
// The action may be written out or, where 1.2 calls it implicit, follow from
// method and URL. Segments are percent-decoded one by one, so that %2A is the
// asterisk of a code, %7E the tilde of an action and %2F a slash inside a
// code. One slash at the end of the path is ignored.
//
// An unknown URL or action fails as UnknownURL (404), a method that fits none
// of the actions as UnknownMethod (405, with Allow set), and a reference that
// cannot be the name of any object as NotFound (404). HEAD and OPTIONS fit
// nothing. Even then the Call carries the Pattern as far as it is known. The
// error is a *Failure.
func ParseCall(method string, u *url.URL) (Call, error) {
	segments, action, ok := splitPath(u.EscapedPath())
	if !ok {
		return Call{}, Fail(UnknownURL, "", "there is nothing at this URL")
	}
	i := slices.IndexFunc(routes, func(rt route) bool { return rt.matches(segments) })
	if i < 0 {
		return Call{}, Fail(UnknownURL, "", "there is nothing at this URL")
	}
	rt := routes[i]
	call := Call{Resource: rt.resource, Pattern: rt.pattern}
	v, err := rt.verb(method, action)
	if err != nil {
		return call, err
	}
	call.Action = v.action
	call.Pattern = rt.patternOf(v.action)
	for i, name := range rt.segments {
		if !isVariable(name) {
			continue
		}
		if !call.set(name, segments[i]) {
			return call, Fail(NotFound, "", "the URL names an object that does not exist")
		}
	}
	return call, nil
}

// splitPath cuts an escaped path into decoded segments and the action, which
// is empty when the last segment is none.
func splitPath(path string) (segments []string, action string, ok bool) {
	rest, found := strings.CutPrefix(path, Prefix)
	if !found || len(rest) > maxPath {
		return nil, "", false
	}
	rest = strings.TrimSuffix(rest, "/")
	for s := range strings.SplitSeq(rest, "/") {
		text, err := url.PathUnescape(s)
		if err != nil || text == "" {
			return nil, "", false
		}
		segments = append(segments, text)
	}
	last := len(segments) - 1
	if name, found := strings.CutPrefix(segments[last], "~"); found {
		if name == "" || last == 0 {
			return nil, "", false
		}
		return segments[:last], name, true
	}
	return segments, "", true
}

func isVariable(segment string) bool { return strings.HasPrefix(segment, "[") }

// matches reports whether the decoded segments have the shape of the route.
// No reference begins with a tilde: that is an action in the wrong place.
func (rt route) matches(segments []string) bool {
	if len(segments) != len(rt.segments) {
		return false
	}
	for i, want := range rt.segments {
		if isVariable(want) {
			if strings.HasPrefix(segments[i], "~") {
				return false
			}
			continue
		}
		if segments[i] != want {
			return false
		}
	}
	return true
}

// verb chooses the action of a route by the name in the URL, or by the method
// when the URL has none.
func (rt route) verb(method, action string) (verb, error) {
	if action != "" {
		i := slices.IndexFunc(rt.verbs, func(v verb) bool { return string(v.action) == action })
		if i < 0 {
			return verb{}, Fail(UnknownURL, "", "this URL has no such action")
		}
		if v := rt.verbs[i]; v.method != method {
			return verb{}, wrongMethod("the action ~"+string(v.action)+" is called with "+v.method, v.method)
		}
		return rt.verbs[i], nil
	}
	var allowed, named []string
	for _, v := range rt.verbs {
		switch {
		case v.implicit && v.method == method:
			return v, nil
		case v.implicit:
			allowed = append(allowed, v.method)
		case v.method == method:
			named = append(named, "~"+string(v.action))
		}
	}
	text := "this URL is called with " + strings.Join(allowed, " or ")
	if len(named) > 0 {
		text += "; the action " + strings.Join(named, ", ") + " must be written at the end of the URL"
	}
	return verb{}, wrongMethod(text, strings.Join(allowed, ", "))
}

func wrongMethod(text, allow string) *Failure {
	f := Fail(UnknownMethod, "", text)
	f.Allow = allow
	return f
}

// set puts one variable segment into its field, and reports whether it can
// name anything at all.
func (c *Call) set(variable, text string) bool {
	if variable == "[user-name]" {
		c.User = text
		return anyText.fits(text, maxUserName)
	}
	ref, ok := ParseRef(text)
	if !ok {
		return false
	}
	switch variable {
	case "[customer-id]":
		c.Customer = ref
	case "[payment-option-id]":
		c.PaymentOption = ref
	case "[subscription-id]":
		c.Subscription = ref
	case "[transaction-id]":
		c.Transaction = ref
	case "[plan-id]":
		c.Plan = ref
	default:
		panic("unipay: route with the unknown variable " + variable)
	}
	return true
}
