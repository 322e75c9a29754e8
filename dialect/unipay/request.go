package unipay

// The typed requests below are what an action is asked to do, by the tables of
// section 2: read-only fields and unknown ones are not looked at, create-only
// ones are read on create and not looked at on modify (1.6), however malformed
// they are. What the tables call required on create is given after a successful
// read with Create; on modify everything is optional.
//
// Nothing here asks whether the values make sense together with what is stored.

// CustomerFields is the input of customers ~create and ~modify (2.1).
type CustomerFields struct {
	Code      Opt[string] // create only
	AccountID Opt[int64]  // create only, required: the merchant account

	FirstName        Opt[string] // required on create
	LastName         Opt[string] // required on create
	OrganizationName Opt[string]
	Email            Opt[string]
	Phone            Opt[string] // digits
	IsActive         Opt[bool]
	Street1          Opt[string]
	Street2          Opt[string]
	City             Opt[string]
	State            Opt[string]
	ZipCode          Opt[string]
	CountryCode      Opt[string]
}

// ReadCustomer reads the fields of a customer for Create or Modify. The error
// is a *Failure.
func ReadCustomer(f Fields, a Action) (CustomerFields, error) {
	r := reader{fields: f}
	var c CustomerFields
	if a == Create {
		r.require("accountId", "firstName", "lastName")
		c.Code = r.code()
		c.AccountID = r.integer("accountId", 0, maxInteger)
	}
	c.FirstName = r.text("firstName", maxPersonName, nameText)
	c.LastName = r.text("lastName", maxPersonName, nameText)
	c.OrganizationName = r.text("organizationName", maxOrganization, anyText)
	c.Email = r.text("email", maxEmail, anyText)
	c.Phone = r.text("phone", maxPhone, digitText)
	c.IsActive = r.boolean("isActive")
	c.Street1 = r.text("street1", maxStreet, streetText)
	c.Street2 = r.text("street2", maxStreet, streetText)
	c.City = r.text("city", maxCity, anyText)
	c.State = r.text("state", maxState, anyText)
	c.ZipCode = r.text("zipCode", maxZip, anyText)
	c.CountryCode = r.text("countryCode", maxCountry, letterText)
	return c, r.result()
}

// PaymentOptionFields is the input of payment-options ~create and ~modify (2.2).
type PaymentOptionFields struct {
	Code          Opt[string]            // create only
	Type          Opt[PaymentOptionType] // create only, required
	AccountNumber Secret                 // create only; this or Token
	CSC           Secret                 // create only, never stored; means nothing for a bank account
	Token         Opt[string]            // create only

	// AccountAccessory is the expiry MMyy of a card or the
	// routing number of a bank account; digits. It comes with every account
	// number, and a modify may change that of a card.
	AccountAccessory Opt[string]

	HolderName  Opt[string] // absent on create: the customer's name
	IsActive    Opt[bool]
	Street1     Opt[string]
	Street2     Opt[string]
	City        Opt[string]
	State       Opt[string]
	ZipCode     Opt[string]
	CountryCode Opt[string]
	Phone       Opt[string]
	Email       Opt[string]
}

// ReadPaymentOption reads the fields of a payment option for Create or Modify.
// The error is a *Failure.
func ReadPaymentOption(f Fields, a Action) (PaymentOptionFields, error) {
	r := reader{fields: f}
	var p PaymentOptionFields
	if a == Create {
		r.require("type")
		r.source("accountNumber", "token")
		p.Code = r.code()
		p.Type = oneOf(&r, "type", paymentOptionTypes)
		p.AccountNumber = r.secret("accountNumber", maxAccountNumber, accountText)
		p.CSC = r.secret("csc", maxCSC, digitText)
		p.Token = r.text("token", maxToken, tokenText)
	}
	p.AccountAccessory = r.text("accountAccessory", maxAccessory, digitText)
	p.HolderName = r.text("holderName", maxHolder, nameText)
	p.IsActive = r.boolean("isActive")
	p.Street1 = r.text("street1", maxStreet, streetText)
	p.Street2 = r.text("street2", maxStreet, streetText)
	p.City = r.text("city", maxCity, anyText)
	p.State = r.text("state", maxState, anyText)
	p.ZipCode = r.text("zipCode", maxZip, anyText)
	p.CountryCode = r.text("countryCode", maxMethodCountry, letterText)
	p.Phone = r.text("phone", maxPhone, anyText)
	p.Email = r.text("email", maxEmail, anyText)
	return p, r.result()
}

// source asks for exactly one of the fields that say where the money comes
// from, and for the expiry or routing number that belongs to a plain number.
func (r *reader) source(names ...string) {
	chosen := ""
	for _, name := range names {
		switch {
		case !r.given(name):
		case chosen == "":
			chosen = name
		default:
			r.fail(BadValue, name, chosen+" and "+name+" cannot be given together")
		}
	}
	if chosen == "" {
		r.fail(Missing, names[0], names[0]+" is required")
	}
	if chosen == "accountNumber" {
		r.require("accountAccessory")
	}
}

// PlanFields is the input of plans ~create and ~modify (2.3).
type PlanFields struct {
	Code      Opt[string] // create only
	AccountID Opt[int64]  // create only, required

	// Name is required on create. It is read as TEXT and not as NAME: the
	// published sample calls its plan "Standard monthly plan for $19.99".
	Name             Opt[string]
	BillingCycleType Opt[BillingCycleType] // absent on create: monthly
	Amount           Opt[int64]            // cents, required on create
	TaxAmount        Opt[int64]            // cents
	IsActive         Opt[bool]
}

// ReadPlan reads the fields of a plan for Create or Modify. The error is a
// *Failure.
func ReadPlan(f Fields, a Action) (PlanFields, error) {
	r := reader{fields: f}
	var p PlanFields
	if a == Create {
		r.require("accountId", "name", "amount")
		p.Code = r.code()
		p.AccountID = r.integer("accountId", 0, maxInteger)
	}
	p.Name = r.text("name", maxPlanName, anyText)
	p.BillingCycleType = oneOf(&r, "billingCycleType", billingCycleTypes)
	p.Amount = r.amount("amount")
	p.TaxAmount = r.amount("taxAmount")
	p.IsActive = r.boolean("isActive")
	return p, r.result()
}

// SubscriptionFields is the input of subscriptions ~create and ~modify (2.4).
// Modify reads PaymentOptionID and Note and nothing else.
type SubscriptionFields struct {
	Code               Opt[string]
	AccountID          Opt[int64] // if given, to be compared with the customer's
	Type               Opt[SubscriptionType]
	Length             Opt[int64] // payments; required for fixed, not read for perpetual
	PlanID             Opt[Ref]
	Amount             Opt[int64]  // cents; absent: the plan's
	TaxAmount          Opt[int64]  // cents; absent: the plan's
	FirstBillingDate   Opt[string] // yyyy-MM-dd; absent: tomorrow
	FirstInvoicingDate Opt[string] // yyyy-MM-dd

	PaymentOptionID Opt[Ref] // required on create
	Note            Opt[string]
}

// ReadSubscription reads the fields of a subscription for Create or Modify. The
// error is a *Failure.
func ReadSubscription(f Fields, a Action) (SubscriptionFields, error) {
	r := reader{fields: f}
	var s SubscriptionFields
	if a == Create {
		r.require("type", "planId", "paymentOptionId")
		s.Code = r.code()
		s.AccountID = r.integer("accountId", 0, maxInteger)
		s.Type = oneOf(&r, "type", subscriptionTypes)
		if s.Type.Value == SubscriptionFixed {
			r.require("length")
			s.Length = r.integer("length", 1, maxLength)
		}
		s.PlanID = r.ref("planId")
		s.Amount = r.amount("amount")
		s.TaxAmount = r.amount("taxAmount")
		s.FirstBillingDate = r.date("firstBillingDate")
		s.FirstInvoicingDate = r.date("firstInvoicingDate")
	}
	s.PaymentOptionID = r.ref("paymentOptionId")
	s.Note = r.text("note", maxNote, anyText)
	return s, r.result()
}

// maxLength is the greatest number of payments of a term or a freeze: more than
// a century of weeks.
const maxLength = 9999

// TransactionFields is the input of transactions ~create (2.6): something that
// happened and is written down without a processor.
type TransactionFields struct {
	Code        Opt[string]
	AccountID   Opt[int64]           // if given, to be compared with the customer's
	DueDate     Opt[string]          // yyyy-MM-dd; absent: today
	Type        Opt[TransactionType] // required
	AccountType Opt[AccountType]
	Amount      Opt[int64] // cents, required
	TaxAmount   Opt[int64] // cents
	Note        Opt[string]
	InvoiceList []Ref // the invoices to be paid, in this order
}

// ReadTransaction reads the fields of a transaction to be written down. The
// error is a *Failure.
func ReadTransaction(f Fields) (TransactionFields, error) {
	r := reader{fields: f}
	r.require("type", "amount")
	t := TransactionFields{
		Code:        r.code(),
		AccountID:   r.integer("accountId", 0, maxInteger),
		DueDate:     r.date("dueDate"),
		Type:        oneOf(&r, "type", transactionTypes),
		AccountType: oneOf(&r, "accountType", accountTypes),
		Amount:      r.amount("amount"),
		TaxAmount:   r.amount("taxAmount"),
		Note:        r.text("note", maxNote, anyText),
		InvoiceList: r.refs("invoiceList"),
	}
	return t, r.result()
}

// ProcessingFields is the input of transactions ~process (2.8): a payment to be
// made. Exactly one of AccountNumber, AccountData, Token and PaymentOptionID is
// given.
type ProcessingFields struct {
	Code        Opt[string]
	AccountID   Opt[int64]           // if given, to be compared with the customer's
	Type        Opt[TransactionType] // absent: a payment
	Amount      Opt[int64]           // cents, required
	TaxAmount   Opt[int64]           // cents
	DueDate     Opt[string]          // yyyy-MM-dd
	Note        Opt[string]
	InvoiceList []Ref // the invoices to be paid, in this order

	AccountNumber    Secret
	AccountData      Secret // track data or EMV
	Token            Opt[string]
	PaymentOptionID  Opt[Ref]
	AccountType      Opt[AccountType]
	AccountAccessory Opt[string] // expiry MMyy or routing number; comes with AccountNumber
	CSC              Secret
	HolderName       Opt[string]

	Street  Opt[string]
	City    Opt[string]
	State   Opt[string]
	ZipCode Opt[string]
	Phone   Opt[string]
	Email   Opt[string]
}

// ReadProcessing reads the fields of a payment to be made. The error is a
// *Failure.
func ReadProcessing(f Fields) (ProcessingFields, error) {
	r := reader{fields: f}
	r.require("amount")
	r.source("accountNumber", "accountData", "token", "paymentOptionId")
	p := ProcessingFields{
		Code:        r.code(),
		AccountID:   r.integer("accountId", 0, maxInteger),
		Type:        oneOf(&r, "type", transactionTypes),
		Amount:      r.amount("amount"),
		TaxAmount:   r.amount("taxAmount"),
		DueDate:     r.date("dueDate"),
		Note:        r.text("note", maxNote, anyText),
		InvoiceList: r.refs("invoiceList"),

		AccountNumber:    r.secret("accountNumber", maxAccountNumber, accountText),
		AccountData:      r.secret("accountData", maxAccountData, anyText),
		Token:            r.text("token", maxToken, tokenText),
		PaymentOptionID:  r.ref("paymentOptionId"),
		AccountType:      oneOf(&r, "accountType", accountTypes),
		AccountAccessory: r.text("accountAccessory", maxAccessory, digitText),
		CSC:              r.secret("csc", maxCSC, digitText),
		HolderName:       r.text("holderName", maxHolder, nameText),

		Street:  r.text("street", maxStreet, streetText),
		City:    r.text("city", maxCity, streetText),
		State:   r.text("state", maxState, anyText),
		ZipCode: r.text("zipCode", maxZip, anyText),
		Phone:   r.text("phone", maxPhone, anyText),
		Email:   r.text("email", maxEmail, anyText),
	}
	return p, r.result()
}

// CancelParams are the parameters of subscriptions ~cancel (4.4).
type CancelParams struct {
	EffectiveDate Opt[string] // yyyy-MM-dd; absent: today
	Note          Opt[string]
}

// ReadCancel reads the parameters of a cancellation. The error is a *Failure.
func ReadCancel(f Fields) (CancelParams, error) {
	r := reader{fields: f}
	p := CancelParams{
		EffectiveDate: r.date("effectiveDate"),
		Note:          r.text("note", maxNote, anyText),
	}
	return p, r.result()
}

// FreezeParams are the parameters of subscriptions ~freeze (4.4).
type FreezeParams struct {
	EffectiveDate string // yyyy-MM-dd, a billing date in the future
	Length        int64  // billings to skip, at least 1
	Note          Opt[string]
}

// ReadFreeze reads the parameters of a freeze. The error is a *Failure.
func ReadFreeze(f Fields) (FreezeParams, error) {
	r := reader{fields: f}
	r.require("effectiveDate", "length")
	p := FreezeParams{
		EffectiveDate: r.date("effectiveDate").Value,
		Length:        r.integer("length", 1, maxLength).Value,
		Note:          r.text("note", maxNote, anyText),
	}
	return p, r.result()
}

// PauseParams are the parameters of the extensions subscriptions ~pause and
// ~resume. Resume has no date: it takes effect at once.
type PauseParams struct {
	EffectiveDate Opt[string] // yyyy-MM-dd; absent: today; not read for Resume
	Note          Opt[string]
}

// ReadPause reads the parameters of Pause or Resume. The error is a *Failure.
func ReadPause(f Fields, a Action) (PauseParams, error) {
	r := reader{fields: f}
	var p PauseParams
	if a == Pause {
		p.EffectiveDate = r.date("effectiveDate")
	}
	p.Note = r.text("note", maxNote, anyText)
	return p, r.result()
}

// AuthenticateParams are the parameters of users ~authenticate (4.8).
type AuthenticateParams struct {
	Password Secret
}

// ReadAuthenticate reads the password. The error is a *Failure.
func ReadAuthenticate(f Fields) (AuthenticateParams, error) {
	r := reader{fields: f}
	r.require("password")
	p := AuthenticateParams{Password: r.secret("password", maxPassword, anyText)}
	return p, r.result()
}
