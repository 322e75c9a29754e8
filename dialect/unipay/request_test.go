package unipay

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// form makes Fields from a query string.
func form(t testing.TB, query string) Fields {
	t.Helper()
	var c collector
	if err := decodeXURL(&c, query); err != nil {
		t.Fatal(err)
	}
	return c.fields()
}

func TestReadPublishedSample(t *testing.T) {
	read := func(name string) Fields { return form(t, sample(t, "sample3/"+name+".xurl")) }

	customer, err := ReadCustomer(read("1-customer"), Create)
	check(t, err, customer, CustomerFields{
		Code: Some("customer1"), AccountID: Some[int64](2001), FirstName: Some("John"),
		LastName: Some("Smith"), OrganizationName: Some("Organization LLC"),
		Email: Some("jsmith@mail.com"), Phone: Some("2129856472"), IsActive: Some(true),
		Street1: Some("12 Main St"), Street2: Some("5th Ave"), City: Some("New York"),
		State: Some("NY"), ZipCode: Some("31904"), CountryCode: Some("US"),
	})
	option, err := ReadPaymentOption(read("2-payment-option"), Create)
	check(t, err, option, PaymentOptionFields{
		Code: Some("account1"), Type: Some(OptionChecking), AccountNumber: NewSecret("4099999992"),
		AccountAccessory: Some("021000021"), IsActive: Some(true), CSC: NewSecret("111"),
		Street1: Some("233 12th Street"), Street2: Some("5th Ave"), City: Some("New Yor"),
		State: Some("NY"), ZipCode: Some("11111"), CountryCode: Some("US"),
	})
	subscription, err := ReadSubscription(read("3-subscription"), Create)
	check(t, err, subscription, SubscriptionFields{
		Code: Some("subscription1"), Amount: Some[int64](1999), FirstBillingDate: Some("2020-01-01"),
		Note: Some("Perpetual subscription"), PaymentOptionID: Some(Ref{Code: "account1"}),
		PlanID: Some(Ref{Code: "standard_monthly"}), Type: Some(SubscriptionPerpetual),
	})
	invoice, err := ReadTransaction(read("4-invoice"))
	check(t, err, invoice, TransactionFields{
		Code: Some("invoice1"), Type: Some(TransactionInvoice), Amount: Some[int64](1999),
	})
	payment, err := ReadProcessing(read("5-payment"))
	check(t, err, payment, ProcessingFields{
		HolderName: Some("John Smith"), AccountNumber: NewSecret("4111111111111111"),
		AccountAccessory: Some("0422"), CSC: NewSecret("999"), Street: Some("233 12th Street"),
		City: Some("New York"), State: Some("NY"), ZipCode: Some("31909"),
		Email: Some("test@yahoo.com"), Type: Some(TransactionPayment),
		AccountType: Some(AccountVisaCredit), Amount: Some[int64](1999),
		Note: Some("payment for downpayment"),
	})
}

func check[T any](t *testing.T, err error, got, want T) {
	t.Helper()
	if err != nil {
		t.Errorf("%T: %v", want, err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%T (-want +got):\n%s", want, diff)
	}
}

// The smallest create of each kind; each test below changes one field of it.
const (
	someCustomer     = "accountId=1&firstName=A&lastName=B"
	someCard         = "type=VC&accountNumber=4111111111111111&accountAccessory=0422"
	somePlan         = "accountId=1&name=A&amount=1"
	someSubscription = "type=P&planId=1&paymentOptionId=1"
	someTransaction  = "type=RI&amount=1"
	somePayment      = "amount=1&accountNumber=4111111111111111&accountAccessory=0422"
	someFreeze       = "effectiveDate=2024-06-01&length=1"
)

// with replaces fields of a query string; an empty value takes one away.
func with(query string, changes ...string) string {
	var out []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		keep := true
		for _, c := range changes {
			changed, _, _ := strings.Cut(c, "=")
			keep = keep && changed != name
		}
		if keep {
			out = append(out, pair)
		}
	}
	return strings.Join(append(out, changes...), "&")
}

// readers read a query string as the input of one action and give the error.
func readers() map[string]func(Fields) error {
	create := func(read func(Fields, Action) error) func(Fields) error {
		return func(f Fields) error { return read(f, Create) }
	}
	modify := func(read func(Fields, Action) error) func(Fields) error {
		return func(f Fields) error { return read(f, Modify) }
	}
	customer := func(f Fields, a Action) error { _, err := ReadCustomer(f, a); return err }
	option := func(f Fields, a Action) error { _, err := ReadPaymentOption(f, a); return err }
	plan := func(f Fields, a Action) error { _, err := ReadPlan(f, a); return err }
	subscription := func(f Fields, a Action) error { _, err := ReadSubscription(f, a); return err }
	return map[string]func(Fields) error{
		"customer": create(customer), "customer ~modify": modify(customer),
		"option": create(option), "option ~modify": modify(option),
		"plan": create(plan), "plan ~modify": modify(plan),
		"subscription": create(subscription), "subscription ~modify": modify(subscription),
		"transaction":       func(f Fields) error { _, err := ReadTransaction(f); return err },
		"process":           func(f Fields) error { _, err := ReadProcessing(f); return err },
		"cancel":            func(f Fields) error { _, err := ReadCancel(f); return err },
		"freeze":            func(f Fields) error { _, err := ReadFreeze(f); return err },
		"pause":             func(f Fields) error { _, err := ReadPause(f, Pause); return err },
		"resume":            func(f Fields) error { _, err := ReadPause(f, Resume); return err },
		"authenticate":      func(f Fields) error { _, err := ReadAuthenticate(f); return err },
		"find customers":    func(f Fields) error { _, err := ReadCustomerFilter(f); return err },
		"find options":      func(f Fields) error { _, err := ReadPaymentOptionFilter(f); return err },
		"find plans":        func(f Fields) error { _, err := ReadPlanFilter(f); return err },
		"find subs":         func(f Fields) error { _, err := ReadSubscriptionFilter(f); return err },
		"find adjustments":  func(f Fields) error { _, err := ReadAdjustmentFilter(f); return err },
		"find transactions": func(f Fields) error { _, err := ReadTransactionFilter(f); return err },
		"find allocations":  func(f Fields) error { _, err := ReadAllocationFilter(f); return err },
	}
}

var refusedInputs = []struct{ reader, query, code, field string }{
	// What is required, in the order of the tables.
	{"customer", "", "F01", "accountId"},
	{"customer", with(someCustomer, "accountId="), "F01", "accountId"},
	{"customer", with(someCustomer, "firstName="), "F01", "firstName"},
	{"customer", with(someCustomer, "lastName="), "F01", "lastName"},
	{"option", "", "F01", "type"},
	{"option", with(someCard, "accountNumber="), "F01", "accountNumber"},
	{"option", with(someCard, "accountAccessory="), "F01", "accountAccessory"},
	{"option", with(someCard, "token=VC1"), "V21", "token"},
	{"plan", with(somePlan, "accountId="), "F01", "accountId"},
	{"plan", with(somePlan, "name="), "F01", "name"},
	{"plan", with(somePlan, "amount="), "F01", "amount"},
	{"subscription", with(someSubscription, "type="), "F01", "type"},
	{"subscription", with(someSubscription, "planId="), "F01", "planId"},
	{"subscription", with(someSubscription, "paymentOptionId="), "F01", "paymentOptionId"},
	{"subscription", with(someSubscription, "type=F"), "F01", "length"},
	{"transaction", with(someTransaction, "type="), "F01", "type"},
	{"transaction", with(someTransaction, "amount="), "F01", "amount"},
	{"process", with(somePayment, "amount="), "F01", "amount"},
	{"process", with(somePayment, "accountNumber="), "F01", "accountNumber"},
	{"process", with(somePayment, "accountAccessory="), "F01", "accountAccessory"},
	{"process", with(somePayment, "paymentOptionId=1"), "V21", "paymentOptionId"},
	{"process", "amount=1&token=a&accountData=b", "V21", "token"},
	{"freeze", with(someFreeze, "effectiveDate="), "F01", "effectiveDate"},
	{"freeze", with(someFreeze, "length="), "F01", "length"},
	{"authenticate", "", "F01", "password"},

	// Patterns.
	{"customer", with(someCustomer, "code=a b"), "F02", "code"},
	{"customer", with(someCustomer, "code=*a"), "F02", "code"},
	{"customer", with(someCustomer, "firstName=<b>"), "F02", "firstName"},
	{"customer", with(someCustomer, "firstName=%20%20"), "F02", "firstName"},
	{"customer", with(someCustomer, "lastName=..."), "F02", "lastName"},
	{"customer", with(someCustomer, "lastName=%E2%80%AEevil"), "F02", "lastName"},
	{"customer", with(someCustomer, "phone=212-985"), "F02", "phone"},
	{"customer", with(someCustomer, "phone=%D9%A1"), "F02", "phone"}, // an Arabic digit
	{"customer", with(someCustomer, "street1=a;b"), "F02", "street1"},
	{"customer", with(someCustomer, "countryCode=1"), "F02", "countryCode"},
	{"customer", with(someCustomer, "email=a%E2%80%A8b"), "F02", "email"}, // a line separator
	{"option", with(someCard, "accountNumber=4111 1111 1111 1111"), "F02", "accountNumber"},
	{"option", with(someCard, "accountAccessory=04/22"), "F02", "accountAccessory"},
	{"option", with(someCard, "csc=12a"), "F02", "csc"},
	{"option", "type=VC&token=a b", "F02", "token"},
	{"process", with(somePayment, "city=a;b"), "F02", "city"},
	{"authenticate", "password=a%E2%80%AEb", "F02", "password"},

	// Lengths.
	{"customer", with(someCustomer, "code="+strings.Repeat("x", 61)), "F02", "code"},
	{"customer", with(someCustomer, "firstName="+strings.Repeat("x", 126)), "F02", "firstName"},
	{"customer", with(someCustomer, "phone="+strings.Repeat("1", 16)), "F02", "phone"},
	{"customer", with(someCustomer, "state=NYCC"), "F02", "state"},
	{"customer", with(someCustomer, "countryCode=USA"), "F02", "countryCode"},
	{"option", with(someCard, "countryCode=USAA"), "F02", "countryCode"},
	{"option", with(someCard, "csc=12345"), "F02", "csc"},
	{"plan", with(somePlan, "name="+strings.Repeat("x", 256)), "F02", "name"},

	// Numbers.
	{"plan", with(somePlan, "amount=-1"), "F02", "amount"},
	{"plan", with(somePlan, "amount=%2B1"), "F02", "amount"},
	{"plan", with(somePlan, "amount=19.99"), "F02", "amount"},
	{"plan", with(somePlan, "amount=1e3"), "F02", "amount"},
	{"plan", with(somePlan, "amount=0x10"), "F02", "amount"},
	{"plan", with(somePlan, "amount=1 "), "F02", "amount"},
	{"plan", with(somePlan, "amount=1_000"), "F02", "amount"},
	{"plan", with(somePlan, "amount=10000000000"), "F02", "amount"},
	{"plan", with(somePlan, "amount=99999999999999999999"), "F02", "amount"},
	{"plan", with(somePlan, "amount="+strings.Repeat("0", 400)), "F02", "amount"},
	{"plan", with(somePlan, "taxAmount=x"), "F02", "taxAmount"},
	{"plan", with(somePlan, "accountId=2147483648"), "F02", "accountId"},
	{"subscription", with(someSubscription, "type=F", "length=0"), "F02", "length"},
	{"subscription", with(someSubscription, "type=F", "length=10000"), "F02", "length"},
	{"freeze", with(someFreeze, "length=0"), "F02", "length"},

	// Dates.
	{"subscription", with(someSubscription, "firstBillingDate=2023-02-29"), "F02", "firstBillingDate"},
	{"subscription", with(someSubscription, "firstBillingDate=2023-2-1"), "F02", "firstBillingDate"},
	{"subscription", with(someSubscription, "firstBillingDate=01/02/2023"), "F02", "firstBillingDate"},
	{"subscription", with(someSubscription, "firstBillingDate=2023-01-01 10:00:00"), "F02", "firstBillingDate"},
	{"subscription", with(someSubscription, "firstBillingDate=1899-12-31"), "F02", "firstBillingDate"},
	{"subscription", with(someSubscription, "firstBillingDate=12023-01-01"), "F02", "firstBillingDate"},
	{"transaction", with(someTransaction, "dueDate=tomorrow"), "F02", "dueDate"},
	{"cancel", "effectiveDate=2024-13-01", "F02", "effectiveDate"},
	{"pause", "effectiveDate=2024-00-01", "F02", "effectiveDate"},

	// Booleans, enumerations, references.
	{"customer", with(someCustomer, "isActive=yes"), "F02", "isActive"},
	{"customer", with(someCustomer, "isActive=TRUE"), "F02", "isActive"},
	{"option", with(someCard, "type=K"), "F02", "type"},
	{"plan", with(somePlan, "billingCycleType=X"), "F02", "billingCycleType"},
	{"plan", with(somePlan, "billingCycleType=m"), "F02", "billingCycleType"},
	{"subscription", with(someSubscription, "type=C"), "F02", "type"},
	{"subscription", with(someSubscription, "planId=*"), "F02", "planId"},
	{"subscription", with(someSubscription, "planId=a b"), "F02", "planId"},
	{"transaction", with(someTransaction, "type=VC"), "F02", "type"},
	{"transaction", with(someTransaction, "accountType=RI"), "F02", "accountType"},
	{"transaction", with(someTransaction, "invoiceList=1,,2"), "F02", "invoiceList"},
	{"transaction", with(someTransaction, "invoiceList="+strings.Repeat("1,", 100)+"1"), "F02", "invoiceList"},

	// Nested values under the names of plain ones.
	{"plan", "accountId=1&name=A&amount.x=1", "F02", "amount"},
	{"transaction", "type=RI&amount.x=1", "F02", "amount"},
	{"customer", with(someCustomer, "email.x=1"), "F02", "email"},

	// Searching.
	{"find plans", "limit=0", "F02", "limit"},
	{"find plans", "offset=-1", "F02", "offset"},
	{"find plans", "createDateFrom=x", "F02", "createDateFrom"},
	{"find plans", "amountTo=1.5", "F02", "amountTo"},
	{"find plans", "isActive=maybe", "F02", "isActive"},
	{"find subs", "status=X", "F02", "status"},
	{"find subs", "planId=*", "F02", "planId"},
	{"find subs", "lastBillingDate=x", "F02", "lastBillingDate"},
	{"find transactions", "accountNumber=4111111111111111", "V21", "accountNumber"},
	{"find options", "accountNumber=4111111111111111", "V21", "accountNumber"},
	{"find allocations", "sourceId=a b", "F02", "sourceId"},
	{"find adjustments", "length=x", "F02", "length"},
	{"find customers", "firstName=" + strings.Repeat("x", 126), "F02", "firstName"},
}

func TestReadRefuses(t *testing.T) {
	all := readers()
	for _, tt := range refusedInputs {
		name := tt.reader + "?" + tt.query
		t.Run(name[:min(len(name), 80)], func(t *testing.T) {
			err := all[tt.reader](form(t, tt.query))
			if err == nil {
				t.Fatalf("accepted, want %s for %s", tt.code, tt.field)
			}
			f := AsFailure(err)
			if f.Code != tt.code || f.Field != tt.field {
				t.Errorf("got %s for %q (%s), want %s for %q", f.Code, f.Field, f.Message, tt.code, tt.field)
			}
			if !strings.Contains(f.Message, tt.field) {
				t.Errorf("the message does not name the field: %q", f.Message)
			}
			for _, name := range form(t, tt.query).Names() {
				fd, _ := form(t, tt.query).lookup(name)
				if len(fd.value) > 3 && strings.Contains(f.Message, fd.value) {
					t.Errorf("the message repeats a value: %q", f.Message)
				}
			}
		})
	}
}

func TestReadAccepts(t *testing.T) {
	tests := []struct{ reader, query string }{
		{"customer", someCustomer},
		{"customer", with(someCustomer, "code="+strings.Repeat("x", 60))},
		{"customer", with(someCustomer, "firstName="+strings.Repeat("é", 125))},
		{"customer", with(someCustomer, "lastName=O’Brien-D'Arcy, Jr. %26 Sons")},
		{"customer", with(someCustomer, "lastName=नरेंद्र", "firstName=e%CC%81ve")},
		{"customer", with(someCustomer, "street1=12/3 Main St., Apt. %234-b")},
		{"customer", with(someCustomer, "id=junk", "createDate=junk", "unknown=<junk>")},
		{"customer", with(someCustomer, "email=", "phone=", "isActive=")},
		{"customer ~modify", ""},
		{"customer ~modify", "code=a b&accountId=junk&id=junk"},
		{"option", someCard},
		{"option", "type=VC&token=VC-1_a"},
		{"option", with(someCard, "tokenCode=a b", "address=;;;")},
		{"option ~modify", "accountNumber=a b&type=junk&csc=junk&token=a b&accountAccessory=0530"},
		{"plan", somePlan},
		{"plan", with(somePlan, "name=Standard monthly plan for $19.99", "amount=9999999999", "billingCycleType=W")},
		{"plan", with(somePlan, "amount=0")},
		{"plan ~modify", "amount=5"},
		{"subscription", someSubscription},
		{"subscription", with(someSubscription, "length=junk", "status=junk", "planName=junk", "nextBillingDate=junk")},
		{"subscription", with(someSubscription, "type=F", "length=12", "firstBillingDate=2024-02-29")},
		{"subscription ~modify", "type=junk&length=junk&planId=*&amount=x&firstBillingDate=x&note=a"},
		{"transaction", someTransaction},
		{"transaction", with(someTransaction, "invoiceList=1, *a ,b", "dueDate=2024-06-01", "accountType=K", "balance=x")},
		{"process", somePayment},
		{"process", "amount=1&token=abc"},
		{"process", "amount=1&accountData=%25B4111111111111111%5ESMITH/JOHN%5E2512101?"},
		{"process", "amount=1&paymentOptionId=*card1"},
		{"cancel", ""},
		{"freeze", someFreeze},
		{"pause", "effectiveDate=2024-06-01&note=x"},
		{"resume", "effectiveDate=junk"},
		{"authenticate", "password=a b%26%C3%A9"},
		{"find customers", "code=x&isActive=1&balance=x&limit=99999&offset=3"},
		{"find subs", "planId=*a&type=F&note=x"},
		{"find allocations", "sourceId=1&targetId=*a"},
	}
	all := readers()
	for _, tt := range tests {
		if err := all[tt.reader](form(t, tt.query)); err != nil {
			t.Errorf("%s?%s: %v", tt.reader, tt.query, err)
		}
	}
}

// On modify, what belongs to creation is not looked at and not returned.
func TestModifyReadsNoCreateOnlyFields(t *testing.T) {
	customer, err := ReadCustomer(form(t, "code=x&accountId=1&firstName=A"), Modify)
	check(t, err, customer, CustomerFields{FirstName: Some("A")})
	option, err := ReadPaymentOption(form(t, someCard+"&csc=1&code=x&token=y"), Modify)
	check(t, err, option, PaymentOptionFields{AccountAccessory: Some("0422")})
	plan, err := ReadPlan(form(t, "code=x&accountId=1&isActive=0"), Modify)
	check(t, err, plan, PlanFields{IsActive: Some(false)})
	subscription, err := ReadSubscription(form(t, "code=x&type=F&length=3&planId=1&amount=1&taxAmount=1&firstBillingDate=2024-01-01&paymentOptionId=17&note=n"), Modify)
	check(t, err, subscription, SubscriptionFields{PaymentOptionID: Some(Ref{ID: 17, Code: "17"}), Note: Some("n")})
}

// Null and the empty text are not given; anything else is.
func TestGivenOrNot(t *testing.T) {
	r := request("POST", "plans/1", "", `{"name":null,"amount":0,"taxAmount":"","isActive":false}`)
	fields, _, err := Decode(r, understand(t, r), testLimit)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ReadPlan(fields, Modify)
	check(t, err, plan, PlanFields{Amount: Some[int64](0), IsActive: Some(false)})
	if plan.Name.Or("old") != "old" || plan.Amount.Or(7) != 0 {
		t.Error("Or does not tell a given value from one that is not")
	}
}

func TestReadParameters(t *testing.T) {
	cancel, err := ReadCancel(form(t, "effectiveDate=2024-06-01&note=holiday"))
	check(t, err, cancel, CancelParams{EffectiveDate: Some("2024-06-01"), Note: Some("holiday")})
	freeze, err := ReadFreeze(form(t, "effectiveDate=2024-06-02&length=3&note=holiday"))
	check(t, err, freeze, FreezeParams{EffectiveDate: "2024-06-02", Length: 3, Note: Some("holiday")})
	pause, err := ReadPause(form(t, "effectiveDate=2024-06-02"), Pause)
	check(t, err, pause, PauseParams{EffectiveDate: Some("2024-06-02")})
	auth, err := ReadAuthenticate(form(t, "password=a+b"))
	check(t, err, auth, AuthenticateParams{Password: NewSecret("a b")})
	transaction, err := ReadTransaction(form(t, someTransaction+"&invoiceList=1,+*a&dueDate=2024-01-31"))
	check(t, err, transaction, TransactionFields{
		Type: Some(TransactionInvoice), Amount: Some[int64](1), DueDate: Some("2024-01-31"),
		InvoiceList: []Ref{{ID: 1, Code: "1"}, {Code: "a"}},
	})
}

func TestReadFilters(t *testing.T) {
	opt := cmp.AllowUnexported(equalTo{})
	plans, err := ReadPlanFilter(form(t, "offset=5&limit=7&name=Gym&amountFrom=1&createDateTo=2024-01-31&isActive=1&id=007"))
	if err != nil {
		t.Fatal(err)
	}
	want := PlanFilter{
		Page: Page{Offset: 5, Limit: 7}, Name: Some("Gym"), AmountFrom: Some[int64](1), CreateDateTo: Some("2024-01-31"),
		Equal: Equal{{name: "id", value: "7", kind: equalNumber}, {name: "isActive", value: "true"}},
	}
	if diff := cmp.Diff(want, plans, opt); diff != "" {
		t.Errorf("plans (-want +got):\n%s", diff)
	}
	for query, want := range map[string]Page{
		"":                      {Offset: 0, Limit: 100},
		"limit=1000":            {Offset: 0, Limit: 1000},
		"limit=1001&offset=99":  {Offset: 99, Limit: 1000},
		"limit=2147483647":      {Offset: 0, Limit: 1000},
		"limit=&offset=&other=": {Offset: 0, Limit: 100},
	} {
		got, err := ReadAdjustmentFilter(form(t, query))
		if err != nil || got.Page != want {
			t.Errorf("%q: got %+v %v, want %+v", query, got.Page, err, want)
		}
	}
	subs, err := ReadSubscriptionFilter(form(t, "status=C&planId=*gold&nextBillingDate=2024-06-01&createDate=2024-05-01&code=s1"))
	if err != nil {
		t.Fatal(err)
	}
	wantSubs := SubscriptionFilter{
		Page: Page{Limit: 100}, Status: Some(StatusCurrent), PlanID: Some(Ref{Code: "gold"}),
		NextBillingDate: Some("2024-06-01"), CreateDate: Some("2024-05-01"), Equal: Equal{{name: "code", value: "s1"}},
	}
	if diff := cmp.Diff(wantSubs, subs, opt); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
}

func TestEqualMatches(t *testing.T) {
	transaction := Transaction{
		ID: 17, Code: "t1", CreateDate: "2024-05-01 10:15:00", DueDate: "2024-05-02 00:00:00",
		Type: TransactionInvoice, Amount: 1999, Balance: 0,
	}
	tests := map[string]bool{
		"":                                     true,
		"code=t1":                              true,
		"code=T1":                              false,
		"code=t":                               false,
		"id=17&code=t1&type=RI&amount=1999":    true,
		"id=17&code=t1&type=RI&amount=2000":    false,
		"createDate=2024-05-01":                true,
		"createDate=2024-05-02":                false,
		"dueDate=2024-05-02":                   true,
		"balance=0&taxAmount=0&feeAmount=0000": true,
		"taxAmount=1":                          false,
		"note=x":                               false,
		"accountType=VC":                       false,
	}
	for query, want := range tests {
		filter, err := ReadTransactionFilter(form(t, query))
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if got := filter.Equal.Match(transaction); got != want {
			t.Errorf("%q matches: %v, want %v", query, got, want)
		}
	}
	filter, err := ReadCustomerFilter(form(t, "code=c7"))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := filter.Equal.Value("code"); !ok || v != "c7" {
		t.Errorf("Value: %q %v", v, ok)
	}
	if _, ok := filter.Equal.Value("id"); ok {
		t.Error("Value knows a filter that is not given")
	}
}

// Every amount from 0 to the limit is read as itself, however many zeros stand
// in front, and nothing above the limit is read.
func TestAmounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, math.MaxInt64).Draw(t, "n")
		zeros := rapid.IntRange(0, 5).Draw(t, "zeros")
		var c collector
		if err := c.add(field{name: "amount", value: strings.Repeat("0", zeros) + fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
		r := reader{fields: c.fields()}
		got := r.amount("amount")
		if n > maxAmount {
			if r.result() == nil {
				t.Fatalf("%d was read", n)
			}
			return
		}
		if r.result() != nil || got != Some(int64(n)) {
			t.Fatalf("%d was read as %+v, %v", n, got, r.result())
		}
	})
}

// A request in any state of its reading can be printed, logged and marshalled
// without showing what must not be seen.
func TestSecretsDoNotShow(t *testing.T) {
	const number, csc, track, password = "4111222233334444", "7391", "%B4111222233334444^A/B^2512", "hunter2hunter2"
	query := "amount=1&accountNumber=" + number + "&accountAccessory=0422&csc=" + csc + "&accountData=" + "%25B4111222233334444%5EA/B%5E2512" + "&password=" + password
	fields := form(t, query)
	payment, _ := ReadProcessing(form(t, "amount=1&accountAccessory=0422&accountNumber="+number+"&csc="+csc))
	swipe, err := ReadProcessing(form(t, "amount=1&accountData=%25B4111222233334444%5EA/B%5E2512"))
	if err != nil || swipe.AccountData.Reveal() != track {
		t.Fatalf("track data: %v", err)
	}
	option, _ := ReadPaymentOption(form(t, "type=VC&accountAccessory=0422&accountNumber="+number+"&csc="+csc), Create)
	auth, _ := ReadAuthenticate(fields)
	if payment.AccountNumber.Reveal() != number || payment.CSC.Reveal() != csc || option.CSC.Reveal() != csc || auth.Password.Reveal() != password {
		t.Fatal("the secrets are not there to begin with")
	}
	type inside struct {
		hidden  Fields
		payment ProcessingFields
		number  Secret
	}
	things := []any{
		fields, &fields, fields.GoString(), payment.CSC.GoString(), payment, &payment, swipe, option, &option, auth, payment.AccountNumber, &payment.AccountNumber,
		inside{fields, payment, payment.AccountNumber}, &inside{fields, payment, payment.AccountNumber},
		[]Secret{payment.CSC}, struct{ deep []inside }{[]inside{{fields, payment, payment.CSC}}}, map[string]Secret{"csc": payment.CSC}, map[string]Fields{"a": fields},
		User{UserName: "api-x", Password: auth.Password},
	}
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	plain := slog.New(slog.NewTextHandler(&out, nil))
	for _, x := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			fmt.Fprintf(&out, verb+"\n", x)
		}
		b, err := json.Marshal(x)
		if err == nil {
			out.Write(b)
		}
		b, err = xml.Marshal(x)
		if err == nil {
			out.Write(b)
		}
		logger.Info("request", "thing", x)
		plain.Info("request", "thing", x)
	}
	for _, secret := range []string{number, track, password, "4111222", fmt.Sprintf("%x", number), fmt.Sprintf("%X", password)} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q can be seen", secret)
		}
	}
	// Four digits also occur inside of addresses, which are printed.
	if regexp.MustCompile(`\b` + csc + `\b`).MatchString(out.String()) {
		t.Error("the security code can be seen")
	}
	if !strings.Contains(out.String(), dots) || !strings.Contains(out.String(), "accountNumber") {
		t.Error("neither dots nor names were printed: the test looks at nothing")
	}
	if shown := form(t, number+"=1&note=2").String(); strings.Contains(shown, number) {
		t.Errorf("a number in the place of a name can be seen: %s", shown)
	}
}

func TestSecret(t *testing.T) {
	var none Secret
	if none.Given() || none.Reveal() != "" || none.String() != "" || NewSecret("").Given() {
		t.Error("the zero Secret is not empty")
	}
	s := NewSecret("123")
	if !s.Given() || s.Reveal() != "123" || !s.Equal(NewSecret("123")) || s.Equal(none) {
		t.Error("a Secret does not hold its text")
	}
}
