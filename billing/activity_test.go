package billing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// constants are the values of all constants of a type in a source file of the
// package, so that a test over all of them cannot forget one that comes later.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, decl := range tree.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			v := spec.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typeName {
				continue
			}
			for _, value := range v.Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, text)
			}
		}
	}
	if len(values) == 0 {
		t.Fatalf("%s has no constants of type %s", file, typeName)
	}
	return values
}

// kinds are all activity kinds of the source.
func kinds(t *testing.T) []billing.ActivityKind {
	t.Helper()
	var all []billing.ActivityKind
	for _, v := range constants(t, "activity.go", "ActivityKind") {
		all = append(all, billing.ActivityKind(v))
	}
	return all
}

// states are all activity states of the source.
func states(t *testing.T) []billing.ActivityState {
	t.Helper()
	var all []billing.ActivityState
	for _, v := range constants(t, "activity.go", "ActivityState") {
		all = append(all, billing.ActivityState(v))
	}
	return all
}

// The list of protocols/unipay.md 3.1 with its effect on what is owed, and 4.6.
func TestKinds(t *testing.T) {
	want := map[billing.ActivityKind]struct {
		unipay   string
		side     billing.Side
		debt     bool
		reversal billing.ActivityKind
	}{
		billing.Invoice:            {"RI", +1, true, billing.InvoiceReversal},
		billing.Credit:             {"RC", -1, false, billing.CreditReversal},
		billing.InvoiceReversal:    {"RR", -1, false, ""},
		billing.CreditReversal:     {"RX", +1, false, ""},
		billing.ServiceFee:         {"RF", +1, true, billing.InvoiceReversal},
		billing.LateFee:            {"RL", +1, true, billing.InvoiceReversal},
		billing.AccessFee:          {"RA", +1, true, billing.InvoiceReversal},
		billing.CollectionFee:      {"RO", +1, true, billing.InvoiceReversal},
		billing.RecoveryFee:        {"RN", +1, true, billing.InvoiceReversal},
		billing.Payment:            {"AP", -1, false, ""},
		billing.Claim:              {"AC", -1, false, ""},
		billing.Void:               {"AV", +1, false, ""},
		billing.Refund:             {"AR", +1, false, billing.RefundReversal},
		billing.RefundReversal:     {"AX", -1, false, ""},
		billing.Decline:            {"AD", +1, false, ""},
		billing.Chargeback:         {"AG", +1, false, billing.ChargebackReversal},
		billing.ChargebackReversal: {"AS", -1, false, ""},
		billing.WriteOff:           {"AA", -1, false, ""},
	}
	all := kinds(t)
	if len(all) != len(want) {
		t.Errorf("the source has %d kinds, the test %d", len(all), len(want))
	}
	for _, k := range all {
		w, ok := want[k]
		if !ok {
			t.Errorf("%s is new: say here what it is", k)
			continue
		}
		if k.Side() != w.side {
			t.Errorf("%s (%s) is on side %d, want %d", k, w.unipay, k.Side(), w.side)
		}
		if k.IsDebt() != w.debt {
			t.Errorf("%s (%s): debt is %v", k, w.unipay, k.IsDebt())
		}
		if k.Reversal() != w.reversal {
			t.Errorf("%s (%s) is taken back by %q, want %q", k, w.unipay, k.Reversal(), w.reversal)
		}
	}
}

// What takes an activity back is on the other side, and is itself final.
func TestReversals(t *testing.T) {
	for _, k := range kinds(t) {
		r := k.Reversal()
		if r == "" {
			continue
		}
		if r.Side() != -k.Side() {
			t.Errorf("%s is taken back by %s, which is on the same side", k, r)
		}
		if again := r.Reversal(); again != "" {
			t.Errorf("%s is taken back by %s, and that by %s", k, r, again)
		}
		if r.IsDebt() {
			t.Errorf("%s is a debt", r)
		}
	}
	for _, k := range kinds(t) {
		if k.IsDebt() && k.Side() != billing.Debit {
			t.Errorf("%s is a debt and a credit", k)
		}
	}
}

func TestUnknownKindPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"side":     func() { billing.ActivityKind("gift").Side() },
		"postings": func() { billing.Postings(&billing.Activity{Kind: "gift", Amount: usd(1)}, nil, "p") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
	if billing.ActivityKind("gift").IsDebt() || billing.ActivityKind("").Reversal() != "" {
		t.Error("no kind is a debt or can be taken back")
	}
}
