package unipay

import (
	"strconv"
	"strings"
)

// DatetimeLayout and DateLayout are the written forms of Datetime and Date in
// an answer (1.6), for time.Time.Format in the zone of the merchant.
const (
	DatetimeLayout = "2006-01-02 15:04:05"
	DateLayout     = "2006-01-02"
)

// The answer types below hold what goes over the wire and nothing else: dates
// are written out by the caller in the layouts above, amounts are cents, and
// account numbers come masked. An empty text, and a zero of an id
// or of another number for which 0 has no meaning, is an absent field.

// Customer is the object of 2.1.
type Customer struct {
	ID               int64
	Code             string
	AccountID        int64
	CreateDate       string
	FirstName        string
	LastName         string
	OrganizationName string
	Email            string
	Phone            string
	IsActive         bool
	Street1          string
	Street2          string
	City             string
	State            string
	ZipCode          string
	CountryCode      string

	// Balance is what the customer owes, in cents; negative is a credit. The
	// published object has no such field: it is sent only when given.
	Balance Opt[int64]
}

func (c Customer) wire() object {
	o := object{element: "customer", list: "customers", fields: []entry{
		number("id", c.ID),
		text("code", c.Code),
		number("accountId", c.AccountID),
		text("createDate", c.CreateDate),
		text("firstName", c.FirstName),
		text("lastName", c.LastName),
		text("organizationName", c.OrganizationName),
		text("email", c.Email),
		text("phone", c.Phone),
		boolean("isActive", c.IsActive),
		text("street1", c.Street1),
		text("street2", c.Street2),
		text("city", c.City),
		text("state", c.State),
		text("zipCode", c.ZipCode),
		text("countryCode", c.CountryCode),
	}}
	if c.Balance.Given {
		o.fields = append(o.fields, amount("balance", c.Balance.Value))
	}
	return o
}

// PaymentOption is the object of 2.2. There is no field for the security code:
// it is never returned.
type PaymentOption struct {
	ID               int64
	Code             string
	CreateDate       string
	Type             PaymentOptionType
	AccountNumber    string // masked
	AccountAccessory string // expiry MMyy of a card, routing number of a bank account
	TokenCode        string
	HolderName       string
	IsActive         bool
	Street1          string
	Street2          string
	City             string
	State            string
	ZipCode          string
	CountryCode      string
	Phone            string
	Email            string
}

func (p PaymentOption) wire() object {
	return object{element: "payment-option", list: "payment-options", fields: []entry{
		number("id", p.ID),
		text("code", p.Code),
		text("createDate", p.CreateDate),
		text("type", string(p.Type)),
		text("accountNumber", p.AccountNumber),
		text("accountAccessory", p.AccountAccessory),
		text("tokenCode", p.TokenCode),
		text("holderName", p.HolderName),
		boolean("isActive", p.IsActive),
		text("street1", p.Street1),
		text("street2", p.Street2),
		text("city", p.City),
		text("state", p.State),
		text("zipCode", p.ZipCode),
		text("countryCode", p.CountryCode),
		text("phone", p.Phone),
		text("email", p.Email),
		text("address", address(p.Street1, p.Street2, p.City, p.State, p.ZipCode, p.CountryCode)),
	}}
}

// Plan is the object of 2.3.
type Plan struct {
	ID               int64
	Code             string
	AccountID        int64
	CreateDate       string
	Name             string
	BillingCycleType BillingCycleType
	Amount           int64 // cents per billing
	TaxAmount        int64 // cents; absent when 0, as for clients from before 2023
	IsActive         bool
}

func (p Plan) wire() object {
	return object{element: "plan", list: "plans", fields: []entry{
		number("id", p.ID),
		text("code", p.Code),
		number("accountId", p.AccountID),
		text("createDate", p.CreateDate),
		text("name", p.Name),
		text("billingCycleType", string(p.BillingCycleType)),
		amount("amount", p.Amount),
		newer(number("taxAmount", p.TaxAmount)),
		boolean("isActive", p.IsActive),
	}}
}

// Subscription is the object of 2.4.
type Subscription struct {
	ID                    int64
	Code                  string
	AccountID             int64
	CustomerID            int64
	CreateDate            string
	Type                  SubscriptionType
	Length                int64 // payments of a fixed term
	PlanID                int64
	PlanName              string
	PaymentOptionID       int64
	Amount                int64 // cents per billing
	TaxAmount             int64 // cents; absent when 0
	BillingCycleType      BillingCycleType
	FirstBillingDate      string
	NextBillingDate       string
	LastBillingDate       string
	FirstInvoicingDate    string // only where invoicing has dates of its own
	NextInvoicingDate     string
	Status                SubscriptionStatus
	PendingAdjustmentType AdjustmentType
	Note                  string
}

func (s Subscription) wire() object {
	return object{element: "subscription", list: "subscriptions", fields: []entry{
		number("id", s.ID),
		text("code", s.Code),
		number("accountId", s.AccountID),
		number("customerId", s.CustomerID),
		text("createDate", s.CreateDate),
		text("type", string(s.Type)),
		number("length", s.Length),
		number("planId", s.PlanID),
		text("planName", s.PlanName),
		number("paymentOptionId", s.PaymentOptionID),
		amount("amount", s.Amount),
		newer(number("taxAmount", s.TaxAmount)),
		text("billingCycleType", string(s.BillingCycleType)),
		text("firstBillingDate", s.FirstBillingDate),
		text("nextBillingDate", s.NextBillingDate),
		text("lastBillingDate", s.LastBillingDate),
		newer(text("firstInvoicingDate", s.FirstInvoicingDate)),
		newer(text("nextInvoicingDate", s.NextInvoicingDate)),
		text("status", string(s.Status)),
		text("pendingAdjustmentType", string(s.PendingAdjustmentType)),
		text("note", s.Note),
	}}
}

// Adjustment is the SubscriptionAdjustment of 2.5, in the order of its XML
// sample. It is the one object whose list element is documented.
type Adjustment struct {
	ID            int64
	EffectiveDate string
	EndDate       string
	Note          string
	Type          AdjustmentType
	Length        int64 // billings affected
}

func (a Adjustment) wire() object {
	return object{element: "subscription-adjustment", list: "adjustments", fields: []entry{
		number("id", a.ID),
		text("effectiveDate", a.EffectiveDate),
		text("endDate", a.EndDate),
		text("note", a.Note),
		text("type", string(a.Type)),
		number("length", a.Length),
	}}
}

// Transaction is the object of 2.6.
type Transaction struct {
	ID             int64
	Code           string
	AccountID      int64
	CustomerID     int64
	CreateDate     string
	DueDate        string
	Type           TransactionType
	AccountType    AccountType
	CreatorCode    string
	Amount         int64 // cents
	FeeAmount      int64 // cents; absent when 0
	TaxAmount      int64 // cents; absent when 0
	Balance        int64 // cents not yet allocated
	AccountNumber  string
	Note           string
	AdjustmentID   int64
	InvoiceList    string // references with commas between them
	SubscriptionID int64

	// ProcessingInfo is nil for a transaction that went to no processor.
	ProcessingInfo *ProcessingInfo
}

func (t Transaction) wire() object {
	o := object{element: "transaction", list: "transactions", fields: []entry{
		number("id", t.ID),
		text("code", t.Code),
		number("accountId", t.AccountID),
		number("customerId", t.CustomerID),
		text("createDate", t.CreateDate),
		text("dueDate", t.DueDate),
		text("type", string(t.Type)),
		text("accountType", string(t.AccountType)),
		text("creatorCode", t.CreatorCode),
		amount("amount", t.Amount),
		newer(number("feeAmount", t.FeeAmount)),
		newer(number("taxAmount", t.TaxAmount)),
		amount("balance", t.Balance),
		text("accountNumber", t.AccountNumber),
		text("note", t.Note),
		number("adjustmentId", t.AdjustmentID),
		newer(text("invoiceList", t.InvoiceList)),
		newer(number("subscriptionId", t.SubscriptionID)),
	}}
	if t.ProcessingInfo != nil {
		inner := t.ProcessingInfo.wire()
		o.child = &inner
	}
	return o
}

// ProcessingInfo is the object of 2.7, which only occurs inside a Transaction.
type ProcessingInfo struct {
	ID                   int64
	CreateDate           string
	HolderName           string
	AccountNumber        string // masked
	AccountAccessory     string
	Token                string
	Street               string
	City                 string
	State                string
	ZipCode              string
	Phone                string
	Email                string
	GatewayTransactionID string
	ApprovalCode         string // empty on a decline
	ResponseDate         string
	ResponseCode         ResponseCode
	ResponseMessage      string
}

func (p ProcessingInfo) wire() object {
	return object{element: "processingInfo", fields: []entry{
		number("id", p.ID),
		text("createDate", p.CreateDate),
		text("holderName", p.HolderName),
		text("accountNumber", p.AccountNumber),
		text("accountAccessory", p.AccountAccessory),
		text("token", p.Token),
		text("street", p.Street),
		text("city", p.City),
		text("state", p.State),
		text("zipCode", p.ZipCode),
		text("phone", p.Phone),
		text("email", p.Email),
		text("gatewayTransactionId", p.GatewayTransactionID),
		text("approvalCode", p.ApprovalCode),
		text("responseDate", p.ResponseDate),
		text("responseCode", string(p.ResponseCode)),
		text("responseMessage", p.ResponseMessage),
		text("address", address(p.Street, p.City, p.State, p.ZipCode)),
	}}
}

// Allocation is the object of 2.9: which payment covered which debt.
type Allocation struct {
	ID                    int64
	SourceID              int64 // the payment or credit
	TargetID              int64 // the invoice or fee
	TargetTransactionType TransactionType
	SourceTransactionType TransactionType
	Amount                int64 // cents moved
	CreateDate            string
}

func (a Allocation) wire() object {
	return object{element: "allocation", list: "allocations", fields: []entry{
		number("id", a.ID),
		number("sourceId", a.SourceID),
		number("targetId", a.TargetID),
		text("targetTransactionType", string(a.TargetTransactionType)),
		text("sourceTransactionType", string(a.SourceTransactionType)),
		amount("amount", a.Amount),
		text("createDate", a.CreateDate),
	}}
}

// User is the answer of authenticate (4.8). The fields are inferred: the
// published pages were not readable that far.
type User struct {
	UserName       string
	Password       Secret // temporary; absent when none was made
	ExpirationDate string // Datetime at which the password ends
}

func (u User) wire() object {
	return object{element: "user", list: "users", fields: []entry{
		text("userName", u.UserName),
		text("password", u.Password.Reveal()),
		text("expirationDate", u.ExpirationDate),
	}}
}

// address joins the parts of an address that are given (2.2, 2.7).
func address(parts ...string) string {
	given := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			given = append(given, p)
		}
	}
	return strings.Join(given, ", ")
}

func text(name, value string) entry { return entry{name: name, value: value} }

func boolean(name string, value bool) entry {
	return entry{name: name, value: strconv.FormatBool(value)}
}

// amount is a number of cents, for which 0 is a value.
func amount(name string, value int64) entry {
	return entry{name: name, value: strconv.FormatInt(value, 10)}
}

// number is an id or a count, for which 0 is none.
func number(name string, value int64) entry {
	if value == 0 {
		return entry{name: name}
	}
	return amount(name, value)
}

// newer marks a field that the published samples do not have. It stays out of
// the answer when it is empty, even where empty fields are asked for.
func newer(e entry) entry {
	e.newer = true
	return e
}
