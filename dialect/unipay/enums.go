package unipay

// An enumeration of this API is a list of codes of one or two letters, and the
// same letters mean different things in different lists: AC is a claim among
// the transaction types and American Express among the account types. So each
// list of section 3 that occurs on the wire has a type of its own. The lists
// that the documentation calls internal (3.8 to 3.11) are not here.

// code is one row of an enumeration.
type code[T ~string] struct {
	code    T
	meaning string
}

// meaningOf returns the meaning of a code, empty for one that is not listed.
func meaningOf[T ~string](list []code[T], c T) string {
	for _, row := range list {
		if row.code == c {
			return row.meaning
		}
	}
	return ""
}

// TransactionType says what a transaction is (3.1).
type TransactionType string

// The transaction types. The first letter is R where a debt is stated and
// nothing moves, and A where money or value moves.
const (
	TransactionInvoice            TransactionType = "RI"
	TransactionCredit             TransactionType = "RC"
	TransactionReversal           TransactionType = "RR"
	TransactionCreditReversal     TransactionType = "RX"
	TransactionServiceFee         TransactionType = "RF"
	TransactionLateFee            TransactionType = "RL"
	TransactionAccessFee          TransactionType = "RA"
	TransactionAgencyOutFee       TransactionType = "RO"
	TransactionAgencyInFee        TransactionType = "RN"
	TransactionPayment            TransactionType = "AP"
	TransactionClaim              TransactionType = "AC"
	TransactionVoid               TransactionType = "AV"
	TransactionRefund             TransactionType = "AR"
	TransactionRefundReversal     TransactionType = "AX"
	TransactionDecline            TransactionType = "AD"
	TransactionChargeback         TransactionType = "AG"
	TransactionChargebackReversal TransactionType = "AS"
	TransactionAdjustment         TransactionType = "AA"
)

var transactionTypes = []code[TransactionType]{
	{TransactionInvoice, "invoice"},
	{TransactionCredit, "credit"},
	{TransactionReversal, "reversal of an invoice"},
	{TransactionCreditReversal, "reversal of a credit"},
	{TransactionServiceFee, "service fee"},
	{TransactionLateFee, "late fee"},
	{TransactionAccessFee, "access fee"},
	{TransactionAgencyOutFee, "fee for handing over to a collection agency"},
	{TransactionAgencyInFee, "fee for coming back from a collection agency"},
	{TransactionPayment, "payment in real time"},
	{TransactionClaim, "claim: payment in a batch"},
	{TransactionVoid, "void of a payment"},
	{TransactionRefund, "refund"},
	{TransactionRefundReversal, "reversal of a refund"},
	{TransactionDecline, "decline of a payment"},
	{TransactionChargeback, "chargeback"},
	{TransactionChargebackReversal, "reversal of a chargeback"},
	{TransactionAdjustment, "write-off of old debt"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (t TransactionType) Meaning() string { return meaningOf(transactionTypes, t) }

// Raises reports whether a transaction of this type raises what the customer
// owes; every other type lowers it (3.1, last column).
func (t TransactionType) Raises() bool {
	switch t {
	case TransactionInvoice, TransactionCreditReversal, TransactionServiceFee,
		TransactionLateFee, TransactionAccessFee, TransactionAgencyOutFee,
		TransactionAgencyInFee, TransactionVoid, TransactionRefund,
		TransactionDecline, TransactionChargeback:
		return true
	default:
		return false
	}
}

// AccountType is the instrument of a transaction (3.2).
type AccountType string

// The account types.
const (
	AccountAmexCredit       AccountType = "AC"
	AccountVisaCredit       AccountType = "VC"
	AccountVisaDebit        AccountType = "VD"
	AccountMastercardCredit AccountType = "MC"
	AccountMastercardDebit  AccountType = "MD"
	AccountDiscoverCredit   AccountType = "DC"
	AccountDiscoverDebit    AccountType = "DD"
	AccountChecking         AccountType = "BC"
	AccountSavings          AccountType = "BS" // inferred (section 9, 9)
	AccountCash             AccountType = "K"
	AccountPaperCheck       AccountType = "H"
	AccountExternal         AccountType = "E"
	AccountAllowance        AccountType = "L"
	AccountSettlement       AccountType = "T"
	AccountWriteOff         AccountType = "W"
	AccountPaymentPlan      AccountType = "P"
)

var accountTypes = []code[AccountType]{
	{AccountAmexCredit, "American Express credit"},
	{AccountVisaCredit, "Visa credit"},
	{AccountVisaDebit, "Visa debit"},
	{AccountMastercardCredit, "MasterCard credit"},
	{AccountMastercardDebit, "MasterCard debit"},
	{AccountDiscoverCredit, "Discover credit"},
	{AccountDiscoverDebit, "Discover debit"},
	{AccountChecking, "bank account, checking"},
	{AccountSavings, "bank account, savings"},
	{AccountCash, "cash"},
	{AccountPaperCheck, "paper check"},
	{AccountExternal, "external"},
	{AccountAllowance, "allowance"},
	{AccountSettlement, "settlement"},
	{AccountWriteOff, "write-off"},
	{AccountPaymentPlan, "payment plan"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (t AccountType) Meaning() string { return meaningOf(accountTypes, t) }

// IsCard reports whether the instrument is a payment card.
func (t AccountType) IsCard() bool {
	switch t {
	case AccountAmexCredit, AccountVisaCredit, AccountVisaDebit, AccountMastercardCredit,
		AccountMastercardDebit, AccountDiscoverCredit, AccountDiscoverDebit:
		return true
	default:
		return false
	}
}

// IsBank reports whether the instrument is a bank account.
func (t AccountType) IsBank() bool { return t == AccountChecking || t == AccountSavings }

// PaymentOptionType is the kind of a stored instrument (3.3): the cards and
// bank accounts among the account types, with the same codes.
type PaymentOptionType string

// The payment option types.
const (
	OptionAmexCredit       PaymentOptionType = "AC"
	OptionDiscoverCredit   PaymentOptionType = "DC"
	OptionDiscoverDebit    PaymentOptionType = "DD"
	OptionMastercardCredit PaymentOptionType = "MC"
	OptionMastercardDebit  PaymentOptionType = "MD"
	OptionVisaCredit       PaymentOptionType = "VC"
	OptionVisaDebit        PaymentOptionType = "VD"
	OptionChecking         PaymentOptionType = "BC"
	OptionSavings          PaymentOptionType = "BS" // inferred (section 9, 9)
)

var paymentOptionTypes = []code[PaymentOptionType]{
	{OptionAmexCredit, "American Express credit"},
	{OptionDiscoverCredit, "Discover credit"},
	{OptionDiscoverDebit, "Discover debit"},
	{OptionMastercardCredit, "MasterCard credit"},
	{OptionMastercardDebit, "MasterCard debit"},
	{OptionVisaCredit, "Visa credit"},
	{OptionVisaDebit, "Visa debit"},
	{OptionChecking, "bank account, checking"},
	{OptionSavings, "bank account, savings"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (t PaymentOptionType) Meaning() string { return meaningOf(paymentOptionTypes, t) }

// AccountType returns the account type of a transaction made with such an
// option.
func (t PaymentOptionType) AccountType() AccountType { return AccountType(t) }

// SubscriptionType is the kind of term (3.4). The older complimentary type C is
// refused.
type SubscriptionType string

// The subscription types.
const (
	SubscriptionFixed     SubscriptionType = "F" // ends after its length
	SubscriptionPerpetual SubscriptionType = "P" // runs until cancelled
)

var subscriptionTypes = []code[SubscriptionType]{
	{SubscriptionFixed, "fixed"},
	{SubscriptionPerpetual, "perpetual"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (t SubscriptionType) Meaning() string { return meaningOf(subscriptionTypes, t) }

// SubscriptionStatus is the state of a subscription (3.5).
type SubscriptionStatus string

// The subscription states.
const (
	StatusUnbilled  SubscriptionStatus = "U"
	StatusCurrent   SubscriptionStatus = "C"
	StatusDeferred  SubscriptionStatus = "D"
	StatusFrozen    SubscriptionStatus = "F"
	StatusPaused    SubscriptionStatus = "P"
	StatusSuspended SubscriptionStatus = "S"
	StatusCancelled SubscriptionStatus = "N"
	StatusExpired   SubscriptionStatus = "E"
)

var subscriptionStatuses = []code[SubscriptionStatus]{
	{StatusUnbilled, "nothing billed yet"},
	{StatusCurrent, "current"},
	{StatusDeferred, "deferred"},
	{StatusFrozen, "frozen"},
	{StatusPaused, "paused"},
	{StatusSuspended, "suspended"},
	{StatusCancelled, "cancelled"},
	{StatusExpired, "expired"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (s SubscriptionStatus) Meaning() string { return meaningOf(subscriptionStatuses, s) }

// BillingCycleType is the rhythm of a plan (3.6).
type BillingCycleType string

// The billing cycles.
const (
	CycleWeekly     BillingCycleType = "W"
	CycleMonthly    BillingCycleType = "M"
	CycleQuarterly  BillingCycleType = "Q"
	CycleHalfYearly BillingCycleType = "S"
	CycleYearly     BillingCycleType = "A"
)

var billingCycleTypes = []code[BillingCycleType]{
	{CycleWeekly, "weekly"},
	{CycleMonthly, "monthly"},
	{CycleQuarterly, "quarterly"},
	{CycleHalfYearly, "every half-year"},
	{CycleYearly, "yearly"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (t BillingCycleType) Meaning() string { return meaningOf(billingCycleTypes, t) }

// AdjustmentType is the kind of a change to a subscription (3.7). It is the
// type of pendingAdjustmentType and, inferred, of SubscriptionAdjustment.type.
type AdjustmentType string

// The adjustment types.
const (
	AdjustmentFreeze AdjustmentType = "F"
	AdjustmentCancel AdjustmentType = "C"
	AdjustmentPause  AdjustmentType = "P"
)

var adjustmentTypes = []code[AdjustmentType]{
	{AdjustmentFreeze, "freeze"},
	{AdjustmentCancel, "cancel"},
	{AdjustmentPause, "pause"},
}

// Meaning returns the meaning in words, empty for a code that is not listed.
func (t AdjustmentType) Meaning() string { return meaningOf(adjustmentTypes, t) }
