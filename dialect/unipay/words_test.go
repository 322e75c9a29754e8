package unipay

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// source parses the Go files of one of our packages, tests left out.
func source(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no source of %s: %v", dir, err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// constants are the values of the constants of a type in package billing, so
// that a table can be held against what the core knows, and not against itself.
func constants[T ~string](t *testing.T) []T {
	t.Helper()
	var zero T
	name := strings.TrimPrefix(fmt.Sprintf("%T", zero), "billing.")
	var values []T
	for _, f := range source(t, "billing") {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != name {
				return true
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok {
					value, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, T(value))
				}
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("no constants of billing.%s", name)
	}
	return values
}

// TestDictionaries: every word of the core has one of the wire and the other way
// round, none has two.
func TestDictionaries(t *testing.T) {
	checkDictionary(t, kinds, codesOf(transactionTypes))
	checkDictionary(t, instruments, codesOf(accountTypes))
	checkDictionary(t, terms, codesOf(subscriptionTypes))
	checkDictionary(t, statuses, codesOf(subscriptionStatuses), billing.Gone)
	checkDictionary(t, cycles, codesOf(billingCycleTypes), billing.Semimonthly)
	checkDictionary(t, adjustments, codesOf(adjustmentTypes))
	for _, row := range paymentOptionTypes {
		i, ok := instruments.core(row.code.AccountType())
		if !ok || !i.IsCard() && !i.IsBank() {
			t.Errorf("payment option type %s is the instrument %q", row.code, i)
		}
	}
	for _, i := range constants[billing.Instrument](t) {
		if a := instruments.wire(i); a.IsCard() != i.IsCard() || a.IsBank() != i.IsBank() {
			t.Errorf("%s and %s disagree on what they are", i, a)
		}
	}
	for _, k := range constants[billing.ActivityKind](t) {
		if raises := k.Side() == billing.Debit; raises != kinds.wire(k).Raises() {
			t.Errorf("%s raises the debt: %v, its type %s says otherwise", k, raises, kinds.wire(k))
		}
	}
}

func codesOf[T ~string](list []code[T]) (codes []T) {
	for _, row := range list {
		codes = append(codes, row.code)
	}
	return codes
}

// checkDictionary leaves out the words that this wire has no code for.
func checkDictionary[C, W ~string](t *testing.T, d dictionary[C, W], codes []W, foreign ...C) {
	t.Helper()
	words := slices.DeleteFunc(constants[C](t), func(c C) bool { return slices.Contains(foreign, c) })
	for _, c := range words {
		w := d.wire(c)
		if back, ok := d.core(w); !ok || back != c || !slices.Contains(codes, w) {
			t.Errorf("%q is %q on the wire, which is %q in the core", c, w, back)
		}
	}
	for _, w := range codes {
		if c, ok := d.core(w); !ok || !slices.Contains(words, c) {
			t.Errorf("code %q has no word in the core", w)
		}
	}
	if len(d) != len(words) || len(d) != len(codes) {
		t.Errorf("%T has %d rows for %d words and %d codes", d, len(d), len(words), len(codes))
	}
	if w := d.wire("no such word"); w != "" {
		t.Errorf("a word that there is not is %q", w)
	}
}

func TestBrandOf(t *testing.T) {
	tests := []struct {
		number string
		want   billing.Instrument
	}{
		{"4111111111111111", billing.VisaCredit},
		{"5100000000000000", billing.MastercardCredit}, {"5599999999999999", billing.MastercardCredit},
		{"5099999999999999", ""}, {"5600000000000000", ""},
		{"2221000000000000", billing.MastercardCredit}, {"2720999999999999", billing.MastercardCredit},
		{"2220999999999999", ""}, {"2721000000000000", ""},
		{"341111111111111", billing.AmexCredit}, {"371449635392376", billing.AmexCredit}, {"361111111111111", ""},
		{"6011000991001201", billing.DiscoverCredit}, {"6500000000000000", billing.DiscoverCredit},
		{"6440000000000000", billing.DiscoverCredit}, {"6499999999999999", billing.DiscoverCredit}, {"6430000000000000", ""},
		{"", ""}, {"6", ""}, {"222", ""},
	}
	for _, tt := range tests {
		got, ok := billing.BrandOf(tt.number)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s is %q %v, want %q", tt.number, got, ok, tt.want)
		}
	}
}

// known are all codes of the core's table.
func known() (codes []billing.ResponseCode) {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	try := func(s string) {
		if c := billing.ResponseCode(s); c.Known() {
			codes = append(codes, c)
		}
	}
	for _, a := range letters {
		for _, b := range letters {
			try(string(a) + string(b))
			for _, c := range letters {
				try(string(a) + string(b) + string(c))
			}
		}
	}
	return codes
}

// unreached are the published response codes that nothing here answers, and why.
var unreached = map[ResponseCode]string{
	"F02": "a format failure at the processor is our fault, and is code 96 or a failure",
	"F03": "as F02",
	"N09": "NACHA has no return reason for an amended account",
	"D26": "the answer to codes that no table has",
}

// TestVerdictsOfEveryCode holds the tables of codes against the core's and
// against the published one, both ways.
func TestVerdictsOfEveryCode(t *testing.T) {
	reached := map[ResponseCode]bool{ResponseChargeback: true}
	for _, c := range known() {
		a := &billing.Attempt{Kind: billing.AskCharge, State: billing.AttemptDeclined, Response: c}
		if c.Severity() == billing.Good {
			a.State = billing.AttemptApproved
		}
		got, message := verdict(billing.Payment, a)
		row, ok := got.Lookup()
		if !ok || message != row.Message {
			t.Errorf("%s is %s %q, which is not in the table", c, got, message)
		}
		if _, ok := refusals[c]; !ok && a.State == billing.AttemptDeclined {
			t.Errorf("%s has no code of its own", c)
		}
		reached[got] = true
	}
	for _, k := range []billing.AttemptKind{billing.AskVoid, billing.AskRefund, billing.AskCredit} {
		got, _ := verdict(billing.Refund, &billing.Attempt{Kind: k, State: billing.AttemptApproved, Response: billing.Approved})
		reached[got] = true
	}
	for _, row := range Responses() {
		why, excused := unreached[row.Code]
		if reached[row.Code] == excused {
			t.Errorf("%s is reached: %v, excused: %q", row.Code, reached[row.Code], why)
		}
	}
	for c := range refusals {
		if !c.Known() || c.Severity() == billing.Good {
			t.Errorf("%s is translated as a refusal and is none that the core knows", c)
		}
	}
}

// otherwise are the codes that the core and the published table judge
// differently when it comes to a retry. The core decides; the reason is that
// several reasons of NACHA share one code of the wire, or several codes of
// ISO 8583 do.
var otherwise = map[billing.ResponseCode]string{
	"R24": "a bank debit that came twice came once; of a card, D09 may be tried again",
}

// TestVerdictsAgreeOnRetries: what the wire calls soft the core tries again.
func TestVerdictsAgreeOnRetries(t *testing.T) {
	kinds := map[billing.Severity]ResponseKind{billing.Soft: Soft, billing.Hard: Hard}
	for _, c := range known() {
		want, decline := kinds[c.Severity()]
		if !decline {
			continue
		}
		row, _ := refusal(c).Lookup()
		if _, excused := otherwise[c]; row.Kind != want && !excused {
			t.Errorf("%s is %s in the core; its code %s is %s", c, want, row.Code, row.Kind)
		}
	}
}

func TestVerdict(t *testing.T) {
	charge := billing.AskCharge
	tests := []struct {
		name    string
		kind    billing.ActivityKind
		attempt billing.Attempt
		want    ResponseCode
		message string
	}{
		{"approved", billing.Payment, billing.Attempt{Kind: charge, State: billing.AttemptApproved, Response: "00"}, "A01", "Approved"},
		{"in part", billing.Payment, billing.Attempt{Kind: charge, State: billing.AttemptApproved, Response: "10"}, "A05", "Partially approved"},
		{"pending", billing.Claim, billing.Attempt{Kind: charge, State: billing.AttemptPending, Response: "00"}, "A01", "Approved"},
		{"settled with notice", billing.Claim, billing.Attempt{Kind: charge, State: billing.AttemptApproved, Response: "C02"}, "C02", "Routing number changed"},
		{"declined", billing.Payment, billing.Attempt{Kind: charge, State: billing.AttemptDeclined, Response: "51"}, "D03", "Insufficient funds"},
		{"returned", billing.Decline, billing.Attempt{Kind: charge, State: billing.AttemptDeclined, Response: "R02"}, "N02", "Account closed"},
		{"unlisted return", billing.Decline, billing.Attempt{Kind: charge, State: billing.AttemptDeclined, Response: "R99"}, "D27", "Transaction error"},
		{"unlisted", billing.Payment, billing.Attempt{Kind: charge, State: billing.AttemptDeclined, Response: "7X"}, "D26", "Declined"},
		{"void", billing.Void, billing.Attempt{Kind: billing.AskVoid, State: billing.AttemptApproved, Response: "00"}, "A03", "Void posted"},
		{"refund", billing.Refund, billing.Attempt{Kind: billing.AskRefund, State: billing.AttemptApproved, Response: "00"}, "A02", "Credit posted"},
		{"credit", billing.Refund, billing.Attempt{Kind: billing.AskCredit, State: billing.AttemptPending, Response: "00"}, "A02", "Credit posted"},
		{"chargeback", billing.Chargeback, billing.Attempt{Kind: charge, State: billing.AttemptApproved, Response: "00"}, "Z02", "Chargeback received"},
		{"unknown", billing.Payment, billing.Attempt{Kind: charge, State: billing.AttemptUnknown}, "E09", clearing},
		{"sending", billing.Payment, billing.Attempt{Kind: charge, State: billing.Sending}, "E09", clearing},
	}
	for _, tt := range tests {
		if got, message := verdict(tt.kind, &tt.attempt); got != tt.want || message != tt.message {
			t.Errorf("%s: %s %q, want %s %q", tt.name, got, message, tt.want, tt.message)
		}
	}
}

// TestKinds: every kind of error of the core has its code and status.
func TestKinds(t *testing.T) {
	const theirs = "text of the core"
	tests := []struct {
		err    error
		code   string
		status int
		text   string
	}{
		{&billing.Error{Kind: billing.Internal, Message: "x"}, "S01", 500, "the request could not be carried out"},
		{billing.FieldError(billing.Invalid, "amount", theirs), "V21", 400, "amount: " + theirs},
		{billing.FieldError(billing.Missing, "length", theirs), "F01", 400, "length: " + theirs},
		{billing.Errorf(billing.NotFound, "payment_method not found"), "V24", 404, "payment option not found"},
		{billing.Errorf(billing.NotFound, "activity not found"), "V24", 404, "transaction not found"},
		{billing.FieldError(billing.Duplicate, "code", theirs), "V29", 409, "code: " + theirs},
		{billing.Errorf(billing.State, "the payment method is inactive"), "V21", 400, "the payment option is inactive"},
		{billing.Errorf(billing.Unauthenticated, theirs), "L01", 401, theirs},
		{billing.Errorf(billing.Forbidden, theirs), "L02", 403, theirs},
		{billing.FieldError(billing.Forbidden, "accountNumber", theirs), "L04", 403, "accountNumber: " + theirs},
		{billing.Errorf(billing.Conflict, theirs), "V29", 409, theirs},
		{billing.Errorf(billing.InProgress, theirs), "V29", 409, theirs},
		{billing.Errorf(billing.Limited, theirs), "L03", 429, theirs},
		{&billing.Error{Kind: billing.Limited, Message: theirs, Err: &billing.VelocityRefusal{}}, "V21", 400, theirs},
		{billing.Errorf(billing.Unavailable, theirs), "S01", 503, theirs},
		{billing.Errorf(billing.OutcomeUnknown, theirs), "S01", 503, theirs},
		{billing.Errorf(billing.Kind(99), theirs), "S01", 500, "the request could not be carried out"},
		{fmt.Errorf("charge: %w", billing.Errorf(billing.NotFound, theirs)), "V24", 404, theirs},
		{errors.New("disk full"), "S01", 500, "the request could not be carried out"},
		{Fail(Missing, "x", "x is required"), "F01", 400, "x is required"},
	}
	seen := map[billing.Kind]bool{}
	for _, tt := range tests {
		var e *billing.Error
		if errors.As(tt.err, &e) {
			seen[e.Kind] = true
		}
		f := failureOf(tt.err, nil)
		if f.Code != tt.code || f.Status != tt.status || f.Message != tt.text {
			t.Errorf("%v: %s %d %q, want %s %d %q", tt.err, f.Code, f.Status, f.Message, tt.code, tt.status, tt.text)
		}
		if waits := f.Status == http.StatusTooManyRequests || f.Status == http.StatusServiceUnavailable; waits != (f.RetryAfter > 0) {
			t.Errorf("%v: Retry-After %d with status %d", tt.err, f.RetryAfter, f.Status)
		}
	}
	for k := billing.Internal; k <= billing.OutcomeUnknown; k++ {
		if !seen[k] {
			t.Errorf("kind %d is not tested", k)
		}
	}
}

// TestFieldsOfTheCore: whatever field the core names at fault is a field of this
// wire under that name, or is translated, or cannot be reached from here.
func TestFieldsOfTheCore(t *testing.T) {
	elsewhere := []string{"billed", "name", "percent", "reason", "until", // of requests that only a migration or an operator makes
		"days", "initial", "initial_days", "lifetime", "next", "number", "rebilled", "rebills", "recurring", "replaces", "signed_up", "void", // of sales
		"add_ons", "adjustment", "count", "coupon", "cycle", "day", "description", "end_date", "lasts", "max_redemptions", "months", "plans", "quantity", "setup", "standing", "start", "tax_rate",
		"trial_ends_at", "trial_length", "trial_unit", "unit"} // of schedules, composed prices and coupons
	named := map[string]bool{}
	for _, dir := range []string{"cashier", "store", "billing"} {
		for _, f := range source(t, dir) {
			if dir == "billing" && f.Name.Name == "billing" && (declares(f, "Settings") || declares(f, "Velocity")) {
				continue // the settings' own fields
			}
			for _, field := range fieldsAtFault(f) {
				named[field] = true
			}
		}
	}
	ours := map[string]bool{}
	for _, o := range []Object{Customer{}, PaymentOption{}, Plan{}, Subscription{}, Adjustment{}, Transaction{}, ProcessingInfo{}} {
		for _, e := range o.wire().fields {
			ours[e.name] = true
		}
	}
	for _, field := range slices.Sorted(maps.Keys(named)) {
		if !ours[field] && !slices.Contains(elsewhere, field) {
			t.Errorf("the core calls a field %s, which this wire does not have", field)
		}
	}
	if len(named) < 10 {
		t.Errorf("only %v: the source was not understood", named)
	}
	if got := failureOf(billing.FieldError(billing.Invalid, "type", "x"), fieldNames[Process]); got.Field != "accountType" {
		t.Errorf("the instrument of a payment is called %s", got.Field)
	}
}

// fieldsAtFault lists the fields that errors made in a file name.
func fieldsAtFault(f *ast.File) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if fun := n.Fun; len(n.Args) > 1 && (isNamed(fun, "FieldError")) {
				names = append(names, literal(n.Args[1])...)
			}
		case *ast.KeyValueExpr:
			if isNamed(n.Key, "Field") {
				names = append(names, literal(n.Value)...)
			}
		}
		return true
	})
	return names
}

func isNamed(e ast.Expr, name string) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == name
	case *ast.SelectorExpr:
		return e.Sel.Name == name
	}
	return false
}

func literal(e ast.Expr) []string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return []string{s}
		}
	}
	return nil
}

func declares(f *ast.File, name string) bool { return f.Scope.Lookup(name) != nil }
