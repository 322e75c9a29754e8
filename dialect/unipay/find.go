package unipay

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// The limits of a find (1.7).
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Page is the part of a result that a find asks for. The result is ordered by
// id.
type Page struct {
	Offset int // rows to leave out
	Limit  int // greatest number of rows, 1 to 1000

	// AfterID leaves out all rows up to that id. It is an extension: the
	// last id of one page is the AfterID of the next, and no page costs more
	// than the one before, however long the list.
	AfterID int64
}

// page reads offset, limit and afterId. A limit above 1000 is lowered without a
// word; 0 is refused, because some clients mean "all" by it and would get
// nothing.
func (r *reader) page() Page {
	return Page{
		Offset:  int(r.integer("offset", 0, maxInteger).Or(0)),
		Limit:   int(min(r.integer("limit", 1, maxInteger).Or(defaultLimit), maxLimit)),
		AfterID: r.integer("afterId", 0, math.MaxInt64).Or(0),
	}
}

// CustomerFilter is the input of customers ~find (4.1). All filters must fit.
// Names, streets and cities fit by their beginning, e-mail, phone, state, zip
// and country as a whole, all without regard to case; Street fits either of the
// two.
type CustomerFilter struct {
	Page
	AccountID        Opt[int64]
	FirstName        Opt[string]
	LastName         Opt[string]
	OrganizationName Opt[string]
	Email            Opt[string]
	Phone            Opt[string]
	Street           Opt[string]
	City             Opt[string]
	State            Opt[string]
	ZipCode          Opt[string]
	CountryCode      Opt[string]
	Equal            Equal
}

// ReadCustomerFilter reads the parameters of customers ~find. The error is a
// *Failure.
func ReadCustomerFilter(f Fields) (CustomerFilter, error) {
	r := reader{fields: f}
	c := CustomerFilter{
		Page:             r.page(),
		AccountID:        r.integer("accountId", 0, maxInteger),
		FirstName:        r.text("firstName", maxPersonName, anyText),
		LastName:         r.text("lastName", maxPersonName, anyText),
		OrganizationName: r.text("organizationName", maxOrganization, anyText),
		Email:            r.text("email", maxEmail, anyText),
		Phone:            r.text("phone", maxPhone, anyText),
		Street:           r.text("street", maxStreet, anyText),
		City:             r.text("city", maxCity, anyText),
		State:            r.text("state", maxState, anyText),
		ZipCode:          r.text("zipCode", maxZip, anyText),
		CountryCode:      r.text("countryCode", maxCountry, anyText),
	}
	c.Equal = r.equal(Customer{}, "accountId", "firstName", "lastName", "organizationName",
		"email", "phone", "city", "state", "zipCode", "countryCode")
	return c, r.result()
}

// PaymentOptionFilter is the input of payment-options ~find (4.2).
type PaymentOptionFilter struct {
	Page
	Equal Equal
}

// ReadPaymentOptionFilter reads the parameters of payment-options ~find. The
// error is a *Failure.
func ReadPaymentOptionFilter(f Fields) (PaymentOptionFilter, error) {
	r := reader{fields: f}
	p := PaymentOptionFilter{Page: r.page(), Equal: r.equal(PaymentOption{})}
	return p, r.result()
}

// PlanFilter is the input of plans ~find (4.3). From and To include their ends;
// dates are days in the zone of the merchant, amounts cents. Name fits by its
// beginning, without regard to case.
type PlanFilter struct {
	Page
	AccountID        Opt[int64]
	Name             Opt[string]
	BillingCycleType Opt[BillingCycleType]
	CreateDate       Opt[string]
	CreateDateFrom   Opt[string]
	CreateDateTo     Opt[string]
	Amount           Opt[int64]
	AmountFrom       Opt[int64]
	AmountTo         Opt[int64]
	Equal            Equal
}

// ReadPlanFilter reads the parameters of plans ~find. The error is a *Failure.
func ReadPlanFilter(f Fields) (PlanFilter, error) {
	r := reader{fields: f}
	p := PlanFilter{
		Page:             r.page(),
		AccountID:        r.integer("accountId", 0, maxInteger),
		Name:             r.text("name", maxPlanName, anyText),
		BillingCycleType: oneOf(&r, "billingCycleType", billingCycleTypes),
		CreateDate:       r.date("createDate"),
		CreateDateFrom:   r.date("createDateFrom"),
		CreateDateTo:     r.date("createDateTo"),
		Amount:           r.amount("amount"),
		AmountFrom:       r.amount("amountFrom"),
		AmountTo:         r.amount("amountTo"),
	}
	p.Equal = r.equal(Plan{}, "accountId", "name", "billingCycleType", "createDate", "amount")
	return p, r.result()
}

// SubscriptionFilter is the input of subscriptions ~find (4.4).
type SubscriptionFilter struct {
	Page
	CreateDate      Opt[string] // yyyy-MM-dd
	PlanID          Opt[Ref]
	PaymentOptionID Opt[Ref] // not documented (section 9, 7)
	NextBillingDate Opt[string]
	Status          Opt[SubscriptionStatus]
	Equal           Equal
}

// ReadSubscriptionFilter reads the parameters of subscriptions ~find. The error
// is a *Failure.
func ReadSubscriptionFilter(f Fields) (SubscriptionFilter, error) {
	r := reader{fields: f}
	s := SubscriptionFilter{
		Page:            r.page(),
		CreateDate:      r.date("createDate"),
		PlanID:          r.ref("planId"),
		PaymentOptionID: r.ref("paymentOptionId"),
		NextBillingDate: r.date("nextBillingDate"),
		Status:          oneOf(&r, "status", subscriptionStatuses),
	}
	s.Equal = r.equal(Subscription{}, "createDate", "planId", "paymentOptionId", "nextBillingDate", "status")
	return s, r.result()
}

// AdjustmentFilter is the input of adjustments ~find (4.5).
type AdjustmentFilter struct {
	Page
	Equal Equal
}

// ReadAdjustmentFilter reads the parameters of adjustments ~find. The error is
// a *Failure.
func ReadAdjustmentFilter(f Fields) (AdjustmentFilter, error) {
	r := reader{fields: f}
	a := AdjustmentFilter{Page: r.page(), Equal: r.equal(Adjustment{})}
	return a, r.result()
}

// TransactionFilter is the input of transactions ~find (4.6). From and To
// include their ends and are days in the zone of the merchant.
type TransactionFilter struct {
	Page
	CreateDateFrom Opt[string]
	CreateDateTo   Opt[string]
	SubscriptionID Opt[Ref] // not documented (section 9, 7)
	AdjustmentID   Opt[Ref] // not documented
	Equal          Equal
}

// ReadTransactionFilter reads the parameters of transactions ~find. The error
// is a *Failure.
func ReadTransactionFilter(f Fields) (TransactionFilter, error) {
	r := reader{fields: f}
	t := TransactionFilter{
		Page:           r.page(),
		CreateDateFrom: r.date("createDateFrom"),
		CreateDateTo:   r.date("createDateTo"),
		SubscriptionID: r.ref("subscriptionId"),
		AdjustmentID:   r.ref("adjustmentId"),
	}
	t.Equal = r.equal(Transaction{}, "subscriptionId", "adjustmentId")
	return t, r.result()
}

// AllocationFilter is the input of allocations ~find (4.7).
type AllocationFilter struct {
	Page
	SourceID Opt[Ref]
	TargetID Opt[Ref]
	Equal    Equal
}

// ReadAllocationFilter reads the parameters of allocations ~find. The error is
// a *Failure.
func ReadAllocationFilter(f Fields) (AllocationFilter, error) {
	r := reader{fields: f}
	a := AllocationFilter{Page: r.page(), SourceID: r.ref("sourceId"), TargetID: r.ref("targetId")}
	a.Equal = r.equal(Allocation{}, "sourceId", "targetId")
	return a, r.result()
}

// Equal holds the filters of a find that no page documents: any other scalar
// field of the object, which must then be equal (section 9, 7). To ignore them
// would answer a search for code=x with everything there is.
type Equal []equalTo

type equalTo struct {
	name, value string
	kind        equalKind
}

type equalKind uint8

const (
	equalText   equalKind = iota
	equalDay              // compare the date of a Datetime only
	equalNumber           // an absent number is 0
)

// String lists the names and no values.
func (e Equal) String() string {
	names := make([]string, len(e))
	for i, want := range e {
		names[i] = want.name
	}
	return fmt.Sprint(names)
}

// Value returns what a field must be equal to, as the answer would write it,
// for a caller that can look it up instead of trying every row.
func (e Equal) Value(name string) (string, bool) {
	for _, want := range e {
		if want.name == name {
			return want.value, true
		}
	}
	return "", false
}

// Match reports whether an answer has all the values.
func (e Equal) Match(o Object) bool {
	if len(e) == 0 {
		return true
	}
	fields := o.wire().fields
	for _, want := range e {
		i := slices.IndexFunc(fields, func(f entry) bool { return f.name == want.name })
		if i < 0 {
			return false
		}
		got := fields[i].value
		switch {
		case want.kind == equalDay && len(got) > len(DateLayout):
			got = got[:len(DateLayout)]
		case want.kind == equalNumber && got == "":
			got = "0"
		}
		if got != want.value {
			return false
		}
	}
	return true
}

// equal reads the filters for the fields that the object has in an answer and
// that are not read already.
func (r *reader) equal(o Object, known ...string) Equal {
	var list Equal
	for _, f := range o.wire().fields {
		if slices.Contains(known, f.name) || !r.given(f.name) {
			continue
		}
		want := equalTo{name: f.name}
		switch f.name {
		case "accountNumber":
			// It would be compared with a mask, and has no business in
			// the log of a proxy on the way.
			r.fail(BadValue, f.name, "accountNumber cannot be searched for")
		case "createDate", "dueDate":
			want.kind, want.value = equalDay, r.date(f.name).Value
		case "firstBillingDate", "nextBillingDate", "lastBillingDate",
			"firstInvoicingDate", "nextInvoicingDate", "effectiveDate", "endDate":
			want.value = r.date(f.name).Value
		case "isActive":
			want.value = strconv.FormatBool(r.boolean(f.name).Value)
		case "id", "customerId", "accountId", "amount", "taxAmount", "feeAmount", "balance", "length":
			want.kind, want.value = equalNumber, strconv.FormatInt(r.integer(f.name, 0, math.MaxInt64).Value, 10)
		default:
			want.value = r.text(f.name, maxNote, anyText).Value
		}
		list = append(list, want)
	}
	if r.first != nil {
		return nil
	}
	return list
}
