package unipay

import "github.com/perennial-billing/perennial/billing"

// dictionary translates a list of the core's words into a list of the wire's.
// Each word stands in it once on either side.
type dictionary[C, W comparable] []struct {
	core C
	wire W
}

// wire is the wire's word. Every word of the core has one, which a test holds
// against the core's source.
func (d dictionary[C, W]) wire(c C) W {
	for _, row := range d {
		if row.core == c {
			return row.wire
		}
	}
	var none W
	return none
}

// core is the core's word, and false for one that it does not know.
func (d dictionary[C, W]) core(w W) (C, bool) {
	for _, row := range d {
		if row.wire == w {
			return row.core, true
		}
	}
	var none C
	return none, false
}

// kinds are the transaction types (3.1).
var kinds = dictionary[billing.ActivityKind, TransactionType]{
	{billing.Invoice, TransactionInvoice},
	{billing.ServiceFee, TransactionServiceFee},
	{billing.LateFee, TransactionLateFee},
	{billing.AccessFee, TransactionAccessFee},
	{billing.CollectionFee, TransactionAgencyOutFee},
	{billing.RecoveryFee, TransactionAgencyInFee},
	{billing.Credit, TransactionCredit},
	{billing.CreditReversal, TransactionCreditReversal},
	{billing.InvoiceReversal, TransactionReversal},
	{billing.Payment, TransactionPayment},
	{billing.Claim, TransactionClaim},
	{billing.Void, TransactionVoid},
	{billing.Refund, TransactionRefund},
	{billing.RefundReversal, TransactionRefundReversal},
	{billing.Decline, TransactionDecline},
	{billing.Chargeback, TransactionChargeback},
	{billing.ChargebackReversal, TransactionChargebackReversal},
	{billing.WriteOff, TransactionAdjustment},
}

// instruments are the account types (3.2), and so the types of payment options
// (3.3), whose codes are the same.
var instruments = dictionary[billing.Instrument, AccountType]{
	{billing.VisaCredit, AccountVisaCredit},
	{billing.VisaDebit, AccountVisaDebit},
	{billing.MastercardCredit, AccountMastercardCredit},
	{billing.MastercardDebit, AccountMastercardDebit},
	{billing.DiscoverCredit, AccountDiscoverCredit},
	{billing.DiscoverDebit, AccountDiscoverDebit},
	{billing.AmexCredit, AccountAmexCredit},
	{billing.Checking, AccountChecking},
	{billing.Savings, AccountSavings},
	{billing.Cash, AccountCash},
	{billing.Check, AccountPaperCheck},
	{billing.External, AccountExternal},
	{billing.Allowance, AccountAllowance},
	{billing.Settlement, AccountSettlement},
	{billing.WrittenOff, AccountWriteOff},
	{billing.PaymentPlan, AccountPaymentPlan},
}

// terms are the subscription types (3.4).
var terms = dictionary[billing.Term, SubscriptionType]{
	{billing.Fixed, SubscriptionFixed},
	{billing.Perpetual, SubscriptionPerpetual},
}

// statuses are the subscription states (3.5).
var statuses = dictionary[billing.SubscriptionStatus, SubscriptionStatus]{
	{billing.Unbilled, StatusUnbilled},
	{billing.Current, StatusCurrent},
	{billing.Deferred, StatusDeferred},
	{billing.Frozen, StatusFrozen},
	{billing.Paused, StatusPaused},
	{billing.Suspended, StatusSuspended},
	{billing.Cancelled, StatusCancelled},
	{billing.Expired, StatusExpired},
}

// cycles are the billing cycle types (3.6).
var cycles = dictionary[billing.Cycle, BillingCycleType]{
	{billing.Weekly, CycleWeekly},
	{billing.Monthly, CycleMonthly},
	{billing.Quarterly, CycleQuarterly},
	{billing.HalfYearly, CycleHalfYearly},
	{billing.Yearly, CycleYearly},
}

// adjustments are the adjustment types (3.7).
var adjustments = dictionary[billing.AdjustmentKind, AdjustmentType]{
	{billing.Freeze, AdjustmentFreeze},
	{billing.Cancel, AdjustmentCancel},
	{billing.Pause, AdjustmentPause},
}
