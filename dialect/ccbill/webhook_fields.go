package ccbill

import (
	"crypto/md5" //nolint:gosec // the wire's digest (8.3); it proves nothing that we rely on
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// Names of fields that go together (8.2), in the order in which they are sent.
var (
	whose    = []string{"subscriptionId", "clientAccnum", "clientSubacc", "timestamp"}
	who      = []string{"firstName", "lastName", "address1", "city", "state", "country", "postalCode"}
	paidWith = []string{"cardType", "paymentType", "paymentAccount", "last4", "expDate"}
	failure  = []string{"failureReason", "failureCode"}
	origin   = []string{"originalSubscriptionId", "originalClientAccnum", "originalClientSubacc", "source"}

	saleFields = slices.Concat([]string{"transactionId"}, whose, who, []string{"email", "phoneNumber", "ipAddress", "reservationId", "username",
		"password", "formName", "flexId", "productDesc", "priceDescription", "recurringPriceDescription", "billedInitialPrice",
		"billedRecurringPrice", "billedCurrency", "billedCurrencyCode", "subscriptionInitialPrice", "subscriptionRecurringPrice",
		"subscriptionCurrency", "subscriptionCurrencyCode", "accountingInitialPrice", "accountingRecurringPrice", "accountingCurrency",
		"accountingCurrencyCode", "initialPeriod", "recurringPeriod", "rebills", "nextRenewalDate", "subscriptionTypeId",
		"dynamicPricingValidationDigest", "paymentType", "cardType", "bin", "prePaid", "last4", "expDate", "avsResponse", "cvv2Response",
		"affiliateSystem", "referringUrl", "lifeTimeSubscription", "lifeTimePrice", "paymentAccount", "threeDSecure", "scaResponseStatus"})
	takenBack = slices.Concat([]string{"transactionId"}, whose, []string{"amount", "currency", "currencyCode", "accountingAmount",
		"accountingCurrency", "accountingCurrencyCode", "reason"})
	unsold = slices.Concat(without(saleFields, "subscriptionId"), failure)
)

// webhookFields are the fields of each event (8.2). Those that have no value are
// left out of a message.
var webhookFields = map[string][]string{
	"NewSaleSuccess":   saleFields,
	"NewSaleFailure":   unsold,
	"UpSaleSuccess":    slices.Concat(saleFields, origin),
	"UpSaleFailure":    slices.Concat(unsold, origin),
	"CrossSaleSuccess": slices.Concat(saleFields, origin),
	"CrossSaleFailure": slices.Concat(unsold, origin),
	"UpgradeSuccess":   slices.Concat(saleFields, origin),
	"UpgradeFailure":   slices.Concat(unsold, origin),
	"RenewalSuccess": slices.Concat([]string{"transactionId"}, whose, []string{"billedAmount", "billedCurrency", "billedCurrencyCode",
		"accountingAmount", "accountingCurrency", "accountingCurrencyCode", "renewalDate", "nextRenewalDate"}, paidWith),
	"RenewalFailure":    slices.Concat([]string{"transactionId"}, whose, []string{"renewalDate", "nextRetryDate", "cardType", "paymentType"}, failure),
	"Cancellation":      slices.Concat(whose, []string{"reason", "source"}),
	"Expiration":        whose,
	"BillingDateChange": slices.Concat(whose, []string{"nextRenewalDate"}),
	"UserReactivation": {"subscriptionId", "transactionId", "price", "clientAccnum", "clientSubacc", "email", "username", "password",
		"nextRenewalDate"},
	"CustomerDataUpdate": slices.Concat(whose, who, []string{"phoneNumber", "email", "ipAddress", "username", "password", "reservationId",
		"paymentType", "cardType", "bin", "last4", "expDate", "paymentAccount"}),
	"Refund":     slices.Concat(takenBack, paidWith),
	"Void":       slices.Concat(takenBack, paidWith, []string{"source"}),
	"Chargeback": slices.Concat(takenBack, paidWith, []string{"bin"}),
	"Return":     slices.Concat(takenBack, []string{"paymentType", "paymentAccount", "last4"}),
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == name })
}

// notKept are fields that have no value here, because the books have nothing
// that could stand in them: the consumer's site login, forms, scrubbing and
// affiliates are not ours, and of a card number no more is kept than can be
// shown.
var notKept = []string{"ipAddress", "reservationId", "username", "password", "formName", "flexId", "productDesc", "subscriptionTypeId",
	"bin", "prePaid", "avsResponse", "cvv2Response", "affiliateSystem", "referringUrl", "scaResponseStatus"}

// webhookValues gives the value of each field, "" for none.
var webhookValues = map[string]func(*fact) string{
	"transactionId":  func(f *fact) string { return f.transaction },
	"subscriptionId": func(f *fact) string { return f.number },
	"clientAccnum":   func(f *fact) string { return f.merchant.Code },
	"clientSubacc":   func(f *fact) string { return f.account.Code },
	"timestamp":      func(f *fact) string { return f.at.In(zone).Format(time.DateTime) },

	"firstName":   func(f *fact) string { return f.customer.FirstName },
	"lastName":    func(f *fact) string { return f.customer.LastName },
	"address1":    func(f *fact) string { return f.address().Street1 },
	"city":        func(f *fact) string { return f.address().City },
	"state":       func(f *fact) string { return f.address().State },
	"country":     func(f *fact) string { return f.address().Country },
	"postalCode":  func(f *fact) string { return f.address().PostalCode },
	"email":       func(f *fact) string { return f.customer.Email },
	"phoneNumber": func(f *fact) string { return f.customer.Phone },

	"priceDescription":           func(f *fact) string { return f.terms.describe() },
	"recurringPriceDescription":  func(f *fact) string { return f.terms.describeRecurring() },
	"billedInitialPrice":         func(f *fact) string { return f.terms.initial() },
	"billedRecurringPrice":       func(f *fact) string { return f.terms.recurring() },
	"billedCurrency":             func(f *fact) string { return string(f.currency()) },
	"billedCurrencyCode":         func(f *fact) string { return code(f.currency()) },
	"subscriptionInitialPrice":   func(f *fact) string { return f.terms.initial() },
	"subscriptionRecurringPrice": func(f *fact) string { return f.terms.recurring() },
	"subscriptionCurrency":       func(f *fact) string { return string(f.currency()) },
	"subscriptionCurrencyCode":   func(f *fact) string { return code(f.currency()) },
	"accountingInitialPrice":     func(f *fact) string { return f.settled(f.terms.initial()) },
	"accountingRecurringPrice":   func(f *fact) string { return f.settled(f.terms.recurring()) },
	"accountingCurrency":         func(f *fact) string { return f.settled(string(f.currency())) },
	"accountingCurrencyCode":     func(f *fact) string { return f.settled(code(f.currency())) },
	"initialPeriod":              func(f *fact) string { return strconv.Itoa(f.terms.InitialDays) },
	"recurringPeriod":            func(f *fact) string { return strconv.Itoa(f.terms.RecurringDays) },
	"rebills":                    func(f *fact) string { return f.terms.rebills() },
	"nextRenewalDate":            func(f *fact) string { return f.next.String() },
	"lifeTimeSubscription":       func(f *fact) string { return oneIf(f.terms.Lifetime) },
	"lifeTimePrice": func(f *fact) string {
		if !f.terms.Lifetime {
			return ""
		}
		return f.terms.initial()
	},

	"paymentType":    func(f *fact) string { return paymentType(f.instrument) },
	"cardType":       func(f *fact) string { return cardTypes[f.instrument] },
	"last4":          func(f *fact) string { return lastDigits(f.masked) },
	"expDate":        func(f *fact) string { return f.expiry },
	"paymentAccount": func(f *fact) string { return fmt.Sprintf("%x", f.fingerprint[:min(16, len(f.fingerprint))]) },
	"threeDSecure": func(f *fact) string {
		if !f.instrument.IsCard() {
			return ""
		}
		return "NOT_APPLICABLE"
	},

	"failureReason": func(f *fact) string { return declineTexts[declineOf(f.response)] },
	"failureCode":   func(f *fact) string { return failureCode(declineOf(f.response)) },

	"originalSubscriptionId": func(f *fact) string { return f.original.number },
	"originalClientAccnum":   func(f *fact) string { return f.original.account },
	"originalClientSubacc":   func(f *fact) string { return f.original.subaccount },
	"source":                 func(f *fact) string { return f.source },
	"reason":                 func(f *fact) string { return f.reason },

	"billedAmount":     func(f *fact) string { return f.amount.Decimal() },
	"amount":           func(f *fact) string { return f.amount.Decimal() },
	"accountingAmount": func(f *fact) string { return f.settled(f.amount.Decimal()) },
	"currency":         func(f *fact) string { return string(f.currency()) },
	"currencyCode":     func(f *fact) string { return code(f.currency()) },
	"renewalDate":      func(f *fact) string { return f.renewal.String() },
	"nextRetryDate":    func(f *fact) string { return f.retry.String() },
	"price":            func(f *fact) string { return f.amount.Decimal() },
}

// pairs are the fields of the event with their values, and what the charge said
// beyond its parameters under X- (8.4).
func (f *fact) pairs(salt billing.Secret) []pair {
	var list []pair
	for _, name := range webhookFields[f.event] {
		value := ""
		switch read := webhookValues[name]; {
		case name == "dynamicPricingValidationDigest":
			value = f.digest(salt)
		case read != nil:
			value = read(f)
		}
		if value != "" {
			list = append(list, pair{name, value})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.extra)) {
		list = append(list, pair{"X-" + name, f.extra[name]})
	}
	return append(list, pair{"eventType", f.event}, pair{"eventGroupType", group})
}

// digest proves a sale to who knows the salt (8.3).
func (f *fact) digest(salt billing.Secret) string {
	if salt.IsZero() {
		return ""
	}
	text := f.number + "1"
	if strings.HasSuffix(f.event, "Failure") {
		text = f.transaction + "0"
	}
	sum := md5.Sum([]byte(text + salt.Reveal())) //nolint:gosec // see the import
	return fmt.Sprintf("%x", sum)
}

// settled is a value in the merchant's own currency, "" where the payment was in
// another: what it is converted to is the processor's to say, and it does not.
func (f *fact) settled(value string) string {
	if f.currency() != f.merchant.Currency {
		return ""
	}
	return value
}

// currency is that of the terms or of the amount.
func (f *fact) currency() billing.Currency {
	if f.terms.Currency != "" {
		return f.terms.Currency
	}
	return f.amount.Currency()
}

// address is the customer's, else that of the card.
func (f *fact) address() billing.Address {
	if f.customer.Address != (billing.Address{}) {
		return f.customer.Address
	}
	return f.payer
}

func code(c billing.Currency) string {
	if c.Number() == 0 {
		return ""
	}
	return fmt.Sprintf("%03d", c.Number())
}

func oneIf(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// price are the terms of a sale as webhooks tell them.
type price struct{ billing.Terms }

func (p price) initial() string { return billing.Minor(p.Initial, p.Currency).Decimal() }

func (p price) recurring() string { return billing.Minor(p.Recurring, p.Currency).Decimal() }

func (p price) rebills() string {
	if p.Rebills == billing.Endless {
		return strconv.Itoa(untilCancelled)
	}
	return strconv.Itoa(p.Rebills)
}

// signs are the signs before an amount in a description of a price.
var signs = map[billing.Currency]string{"USD": "$", "AUD": "$", "CAD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}

func (p price) sum(amount string) string {
	return signs[p.Currency] + amount + "(" + string(p.Currency) + ")"
}

// describe is the price in words, such as "$18.00(USD) for 30 days
// (non-recurring)".
func (p price) describe() string {
	text := p.sum(p.initial())
	switch {
	case p.Lifetime:
		return text + " for lifetime"
	case p.InitialDays > 0:
		text += " for " + strconv.Itoa(p.InitialDays) + " days"
	}
	if again := p.describeRecurring(); again != "" {
		return text + " then " + again
	}
	return text + " (non-recurring)"
}

func (p price) describeRecurring() string {
	if p.Rebills == 0 {
		return ""
	}
	return p.sum(p.recurring()) + " recurring every " + strconv.Itoa(p.RecurringDays) + " days"
}

func paymentType(i billing.Instrument) string {
	switch {
	case i.IsCard():
		return "CREDIT"
	case i.IsBank():
		return "CHECK"
	}
	return ""
}

var cardTypes = map[billing.Instrument]string{
	billing.VisaCredit: "VISA", billing.VisaDebit: "VISA", billing.MastercardCredit: "MASTERCARD", billing.MastercardDebit: "MASTERCARD",
	billing.DiscoverCredit: "DISCOVER", billing.DiscoverDebit: "DISCOVER", billing.AmexCredit: "AMEX",
}

// lastDigits are the digits at the end of a masked number.
func lastDigits(masked string) string {
	return masked[strings.LastIndexByte(masked, '*')+1:]
}

// failureCodes are the codes of 5.3 for those of 5.2.
var failureCodes = map[decline]int{
	noFunds: 113, cardExpired: 114, deniedByBank: 103, refusedByIssuer: 103, badCard: 107, bankOutOfReach: 125,
	cardNotAccepted: 132, declined: 900, systemError: 104,
}

func failureCode(d decline) string {
	n, ok := failureCodes[d]
	if !ok {
		n = 900
	}
	return fmt.Sprintf("BE-%03d", n)
}
