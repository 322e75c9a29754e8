package audit_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/audit"
	"github.com/perennial-billing/perennial/sqldb"
)

// damages are ways to break books from outside, each with how to mend it and
// all that the audit then says. Names in braces stand for ids.
var damages = []struct {
	name     string
	do, undo string // statements, divided by semicolons
	want     []string
}{
	{"an entry's amount",
		"UPDATE entry SET amount = amount + 1 WHERE activity_id = {ann/claim#1} AND seq = 0",
		"UPDATE entry SET amount = amount - 1 WHERE activity_id = {ann/claim#1} AND seq = 0",
		[]string{
			"fault: bank: attempt ann/ask-charge#1 (charge) is approved: 27.00 USD in the books, 26.99 USD at the bank",
			"fault: bank: in all: CASH+0.01 and CLEARING in clearing in the books, CASH and CLEARING in clearing at the bank",
			"fault: entries: claim ann/claim#1: its entries sum to 0.01 USD",
		}},
	{"an entry's ledger",
		"UPDATE entry SET ledger = 'fees' WHERE activity_id = {ann/invoice#1} AND seq = 1",
		"UPDATE entry SET ledger = 'revenue' WHERE activity_id = {ann/invoice#1} AND seq = 1",
		[]string{"fault: entries: invoice ann/invoice#1 of 19.99 USD has entries fees -19.99 USD, receivable 19.99 USD, which are not those of what is posted"}},
	{"an entry's customer",
		"UPDATE entry SET customer_id = {bob} WHERE activity_id = {ann/invoice#1} AND seq = 0",
		"UPDATE entry SET customer_id = {ann} WHERE activity_id = {ann/invoice#1} AND seq = 0",
		[]string{"fault: entries: invoice ann/invoice#1 of customer ann has an entry on the receivable of customer bob"}},
	{"an entry's currency",
		"UPDATE entry SET currency = 'EUR' WHERE activity_id = {ann/invoice#1}",
		"UPDATE entry SET currency = 'USD' WHERE activity_id = {ann/invoice#1}",
		[]string{
			"fault: entries: invoice ann/invoice#1 of 19.99 USD has an entry of 19.99 EUR",
			"fault: receivable: customer ann owes -19.99 USD by the entries, 0.00 USD by the activities and 0.00 USD by what is open",
			"fault: receivable: customer ann owes 19.99 EUR by the entries, 0.00 EUR by the activities and 0.00 EUR by what is open",
		}},
	{"entries that are gone",
		"DELETE FROM entry WHERE activity_id = {ann/invoice#1}",
		`INSERT INTO entry (merchant_id, activity_id, seq, ledger, customer_id, amount, currency, posted_at) SELECT merchant_id, id, 0, 'receivable', customer_id, amount, currency, created_at FROM activity WHERE id = {ann/invoice#1};
			INSERT INTO entry (merchant_id, activity_id, seq, ledger, amount, currency, posted_at) SELECT merchant_id, id, 1, 'revenue', -amount, currency, created_at FROM activity WHERE id = {ann/invoice#1}`,
		[]string{
			"fault: entries: invoice ann/invoice#1 is posted and has no entries",
			"fault: receivable: customer ann owes -19.99 USD by the entries, 0.00 USD by the activities and 0.00 USD by what is open",
		}},
	{"entries of what moved nothing",
		`INSERT INTO entry (merchant_id, activity_id, seq, ledger, customer_id, amount, currency, posted_at) SELECT merchant_id, id, 0, 'cash:cash', NULL, amount, currency, created_at FROM activity WHERE id = {cat/claim#1};
			INSERT INTO entry (merchant_id, activity_id, seq, ledger, customer_id, amount, currency, posted_at) SELECT merchant_id, id, 1, 'receivable', customer_id, -amount, currency, created_at FROM activity WHERE id = {cat/claim#1}`,
		"DELETE FROM entry WHERE activity_id = {cat/claim#1}",
		[]string{
			"fault: entries: claim cat/claim#1 is declined and has entries",
			"fault: receivable: customer cat owes -5.50 USD by the entries, 74.50 USD by the activities and 74.50 USD by what is open",
		}},
	{"a settlement that is gone",
		"DELETE FROM entry WHERE activity_id = {bob/claim#1} AND seq >= 8",
		`INSERT INTO entry (merchant_id, activity_id, seq, ledger, amount, currency, posted_at) SELECT merchant_id, id, 8, 'cash:sandbox', amount, currency, created_at FROM activity WHERE id = {bob/claim#1};
			INSERT INTO entry (merchant_id, activity_id, seq, ledger, amount, currency, posted_at) SELECT merchant_id, id, 9, 'transit:sandbox', -amount, currency, created_at FROM activity WHERE id = {bob/claim#1}`,
		[]string{
			"fault: bank: attempt bob/ask-charge#1 (charge) is approved: 26.99 USD in clearing in the books, 26.99 USD at the bank",
			"fault: bank: in all: CASH-26.99 and CLEARING+26.99 in clearing in the books, CASH and CLEARING in clearing at the bank",
			"fault: entries: claim bob/claim#1 of 26.99 USD has entries receivable -26.99 USD, transit:sandbox 26.99 USD, which are not those of what is posted",
		}},
	{"a void on another ledger than its claim",
		"UPDATE entry SET ledger = 'cash:sandbox' WHERE activity_id = {bob/void#1} AND ledger = 'transit:sandbox'",
		"UPDATE entry SET ledger = 'transit:sandbox' WHERE activity_id = {bob/void#1} AND ledger = 'cash:sandbox'",
		[]string{
			"fault: bank: attempt bob/ask-void#1 (void) is approved: -11.11 USD in the books, -11.11 USD in clearing at the bank",
			"fault: bank: in all: CASH-11.11 and CLEARING+11.11 in clearing in the books, CASH and CLEARING in clearing at the bank",
			"fault: entries: void bob/void#1 leaves -11.11 USD of claim bob/claim#4 on cash:sandbox",
		}},
	{"cash without an attempt",
		"UPDATE entry SET ledger = 'cash:sandbox' WHERE activity_id = {joe/payment#4} AND ledger = 'cash:cash'",
		"UPDATE entry SET ledger = 'cash:cash' WHERE activity_id = {joe/payment#4} AND ledger = 'cash:sandbox'",
		[]string{
			"fault: bank: activity joe/payment#4 has 25.00 USD on cash:sandbox without an attempt",
			"fault: bank: in all: CASH+25.00 and CLEARING in clearing in the books, CASH and CLEARING in clearing at the bank",
			"fault: entries: payment joe/payment#4 of 25.00 USD has entries cash:sandbox 25.00 USD, receivable -25.00 USD, which are not those of what is posted",
			"fault: entries: void joe/void#2 leaves -25.00 USD of payment joe/payment#4 on cash:cash",
		}},
	{"what is open",
		"UPDATE activity SET open = open + 1 WHERE id = {ann/invoice#1}",
		"UPDATE activity SET open = open - 1 WHERE id = {ann/invoice#1}",
		[]string{
			"fault: cover: invoice ann/invoice#1: 0.01 USD is open and 19.99 USD is covered of 19.99 USD",
			"fault: receivable: customer ann owes 0.00 USD by the entries, 0.00 USD by the activities and 0.01 USD by what is open",
		}},
	{"an allocation that ended",
		"UPDATE allocation SET ended_at = created_at WHERE id = {ann/allocation#1}",
		"UPDATE allocation SET ended_at = NULL WHERE id = {ann/allocation#1}",
		[]string{
			"fault: cover: claim ann/claim#1: 0.00 USD is open and 19.99 USD is covered of 26.99 USD",
			"fault: cover: service-fee ann/service-fee#1: 0.00 USD is open and 0.00 USD is covered of 7.00 USD",
		}},
	{"an allocation's customer",
		"UPDATE allocation SET customer_id = {bob} WHERE id = {ann/allocation#1}",
		"UPDATE allocation SET customer_id = {ann} WHERE id = {ann/allocation#1}",
		[]string{"fault: allocations: allocation ann/allocation#1: claim ann/claim#1 and service-fee ann/service-fee#1 are of different customers"}},
	{"an allocation's currency",
		"UPDATE allocation SET currency = 'EUR' WHERE id = {ann/allocation#1}",
		"UPDATE allocation SET currency = 'USD' WHERE id = {ann/allocation#1}",
		[]string{"fault: allocations: allocation ann/allocation#1: claim ann/claim#1 and service-fee ann/service-fee#1 are of different currencies"}},
	{"an allocation's kinds",
		"UPDATE allocation SET source_kind = 'payment' WHERE id = {ann/allocation#1}",
		"UPDATE allocation SET source_kind = 'claim' WHERE id = {ann/allocation#1}",
		[]string{"fault: allocations: allocation ann/allocation#1: it says payment covers service-fee, but it joins claim ann/claim#1 with service-fee ann/service-fee#1"}},
	{"an allocation the wrong way",
		"UPDATE allocation SET source_id = target_id, target_id = source_id WHERE id = {ann/allocation#1}",
		"UPDATE allocation SET source_id = target_id, target_id = source_id WHERE id = {ann/allocation#1}",
		[]string{
			"fault: allocations: allocation ann/allocation#1: service-fee ann/service-fee#1 does not cover claim ann/claim#1",
			"fault: charged: attempt ann/ask-charge#1 (charge) took 26.99 USD for debts of which it has paid 19.99 USD",
		}},
	{"what declined covers",
		`INSERT INTO allocation (merchant_id, id, customer_id, source_id, target_id, source_kind, target_kind, amount, currency, created_at)
			SELECT merchant_id, 8, customer_id, {cat/claim#1}, id, 'claim', kind, amount, currency, created_at FROM activity WHERE id = {cat/invoice#1}`,
		"DELETE FROM allocation WHERE id = 8",
		[]string{
			"fault: allocations: allocation 8: claim cat/claim#1 is declined and invoice cat/invoice#1 is posted",
			"fault: cover: claim cat/claim#1: 0.00 USD is open and 73.00 USD is covered of 0.00 USD",
			"fault: cover: invoice cat/invoice#1: 0.00 USD is open and 146.00 USD is covered of 73.00 USD",
		}},
	{"an allocation of nothing",
		"UPDATE activity SET open = amount WHERE id = {cat/claim#1}",
		"UPDATE activity SET open = 0 WHERE id = {cat/claim#1}",
		[]string{
			"fault: cover: claim cat/claim#1: 80.00 USD is open and 0.00 USD is covered of 0.00 USD",
			"fault: receivable: customer cat owes 74.50 USD by the entries, 74.50 USD by the activities and -5.50 USD by what is open",
		}},
	{"a reversal that the reversed does not know",
		"UPDATE activity SET adjusted_by = NULL WHERE id = {joe/payment#1}",
		"UPDATE activity SET adjusted_by = {joe/void#1} WHERE id = {joe/payment#1}",
		[]string{"fault: reversals: void joe/void#1 takes payment joe/payment#1 back, which is not taken back by it"}},
	{"a reversal that does not know what it reverses",
		"UPDATE activity SET adjusts = NULL WHERE id = {joe/void#1}",
		"UPDATE activity SET adjusts = {joe/payment#1} WHERE id = {joe/void#1}",
		[]string{
			"fault: attempts: attempt joe/ask-void#1 (void) has become void joe/void#1, which takes back another than was asked",
			"fault: entries: void joe/void#1 of 12.00 USD has entries cash:sandbox -12.00 USD, receivable 12.00 USD, which are not those of what is posted",
			"fault: reversals: payment joe/payment#1 is taken back by void joe/void#1, which does not take it back",
		}},
	{"a reversal by nothing",
		"UPDATE activity SET adjusted_by = 7 WHERE id = {ann/invoice#2}",
		"UPDATE activity SET adjusted_by = NULL WHERE id = {ann/invoice#2}",
		[]string{"fault: reversals: invoice ann/invoice#2 is taken back by 7, which does not exist"}},
	{"a reversal of nothing",
		"UPDATE activity SET adjusts = 7 WHERE id = {joe/invoice-reversal#1}",
		"UPDATE activity SET adjusts = {joe/service-fee#2} WHERE id = {joe/invoice-reversal#1}",
		[]string{
			"fault: reversals: invoice-reversal joe/invoice-reversal#1 takes 7 back, which does not exist",
			"fault: reversals: service-fee joe/service-fee#2 is taken back by invoice-reversal joe/invoice-reversal#1, which does not take it back",
		}},
	{"a debt held by what is finished",
		"UPDATE activity SET claimed_by = {ann/ask-charge#1} WHERE id = {ann/invoice#1}",
		"UPDATE activity SET claimed_by = NULL WHERE id = {ann/invoice#1}",
		[]string{"fault: claims: invoice ann/invoice#1 is held by attempt ann/ask-charge#1 (charge), which is approved"}},
	{"a debt held by nothing",
		"UPDATE activity SET claimed_by = 7 WHERE id = {ann/invoice#1}",
		"UPDATE activity SET claimed_by = NULL WHERE id = {ann/invoice#1}",
		[]string{"fault: claims: invoice ann/invoice#1 is held by attempt 7, which does not exist"}},
	{"an attempt whose worker died",
		"UPDATE attempt SET state = 'sending', lease_until = 1 WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET state = 'approved', lease_until = NULL WHERE id = {ann/ask-charge#1}",
		[]string{
			"fault: attempts: attempt ann/ask-charge#1 (charge) is sending and has become claim ann/claim#1",
			"fault: attempts: attempt ann/ask-charge#1 (charge) is sending and was to be asked about by 1970-01-01T00:00:00Z",
			"fault: bank: in all: CASH and CLEARING in clearing in the books, CASH-26.99 and CLEARING in clearing at the bank",
			"fault: claims: attempt ann/ask-charge#1 (charge) is sending and does not hold debt ann/invoice#1",
			"fault: claims: attempt ann/ask-charge#1 (charge) is sending and does not hold debt ann/service-fee#1",
			"note: bank: attempt ann/ask-charge#1 (charge) is sending in the books; the bank has done it, 26.99 USD",
		}},
	{"an attempt that nobody asks about",
		"UPDATE attempt SET state = 'unknown' WHERE id = {cat/ask-charge#1}",
		"UPDATE attempt SET state = 'declined' WHERE id = {cat/ask-charge#1}",
		[]string{
			"fault: attempts: attempt cat/ask-charge#1 (charge) is unknown and claim cat/claim#1 is declined",
			"fault: attempts: attempt cat/ask-charge#1 (charge) is unknown and nobody will ask what became of it",
			"fault: claims: attempt cat/ask-charge#1 (charge) is unknown and does not hold debt cat/invoice#1",
			"fault: claims: attempt cat/ask-charge#1 (charge) is unknown and does not hold debt cat/service-fee#1",
		}},
	{"a pending claim that nobody asks about",
		"UPDATE attempt SET check_at = NULL WHERE state = 'pending' AND customer_id = {bob}",
		"UPDATE attempt SET check_at = answered_at + 259200000000 WHERE state = 'pending' AND customer_id = {bob}",
		[]string{"fault: attempts: attempt bob/ask-charge#17 (charge) is pending and nobody will ask whether it settled"}},
	{"a finished attempt that is asked about",
		"UPDATE attempt SET check_at = created_at WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET check_at = NULL WHERE id = {ann/ask-charge#1}",
		[]string{
			"fault: attempts: attempt ann/ask-charge#1 (charge) is approved and is still to be asked about",
			"note: queues: settlements have been due since 2020-01-01T05:00:00Z; the merchant's clock shows 2020-06-02T13:00:00Z",
		}},
	{"what was replaced goes on",
		`UPDATE attempt SET message = details, details = '{"sale":{"replaces":' || {ann/subscription} || '}}' WHERE id = {ann/ask-charge#3}`,
		"UPDATE attempt SET details = message, message = '' WHERE id = {ann/ask-charge#3}",
		[]string{
			"fault: attempts: attempt ann/ask-charge#3 (charge) replaces a subscription, which goes on",
			"fault: charged: attempt ann/ask-charge#3 (charge) took 19.99 USD for debts of which it has paid 0.00 USD",
		}},
	{"an answer without a time",
		"UPDATE attempt SET answered_at = NULL WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET answered_at = created_at WHERE id = {ann/ask-charge#1}",
		[]string{"fault: attempts: attempt ann/ask-charge#1 (charge) is approved and has no time of its answer"}},
	{"an outcome that the account does not show",
		"UPDATE attempt SET state = 'declined' WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET state = 'approved' WHERE id = {ann/ask-charge#1}",
		[]string{"fault: attempts: attempt ann/ask-charge#1 (charge) is declined and claim ann/claim#1 is posted"}},
	{"a state that the attempt does not bear out",
		"UPDATE activity SET state = 'pending' WHERE id = {ann/claim#1}",
		"UPDATE activity SET state = 'posted' WHERE id = {ann/claim#1}",
		[]string{
			"fault: attempts: attempt ann/ask-charge#1 (charge) is approved and claim ann/claim#1 is pending",
			"fault: entries: claim ann/claim#1 of 26.99 USD has entries cash:sandbox 26.99 USD, receivable -26.99 USD, which are not those of what is pending",
		}},
	{"more than was asked for",
		"UPDATE attempt SET amount = amount - 1 WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET amount = amount + 1 WHERE id = {ann/ask-charge#1}",
		[]string{"fault: attempts: attempt ann/ask-charge#1 (charge) of 26.98 USD has become claim ann/claim#1 of 26.99 USD"}},
	{"an attempt that became another's",
		"UPDATE attempt SET activity_id = {bob/claim#1} WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET activity_id = {ann/claim#1} WHERE id = {ann/ask-charge#1}",
		[]string{
			"fault: attempts: attempt ann/ask-charge#1 (charge) has become claim bob/claim#1, which is not of its making",
			"fault: attempts: claim ann/claim#1 is of attempt ann/ask-charge#1 (charge), which is to become activity bob/claim#1",
			"fault: charged: attempt ann/ask-charge#1 (charge) took 26.99 USD for debts of which it has paid 0.00 USD",
		}},
	{"an attempt that became nothing",
		"UPDATE attempt SET activity_id = 7 WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET activity_id = {ann/claim#1} WHERE id = {ann/ask-charge#1}",
		[]string{
			"fault: attempts: attempt ann/ask-charge#1 (charge) is approved and has become nothing",
			"fault: attempts: claim ann/claim#1 is of attempt ann/ask-charge#1 (charge), which is to become activity 7",
		}},
	{"an activity of no attempt",
		"UPDATE activity SET attempt_id = 7 WHERE id = {fay/chargeback#1}",
		"UPDATE activity SET attempt_id = {fay/ask-charge#1} WHERE id = {fay/chargeback#1}",
		[]string{
			"fault: attempts: chargeback fay/chargeback#1 is of attempt 7, which does not exist",
			"fault: bank: attempt 7 has entries on cash:sandbox, and is none of that processor's",
			"fault: bank: attempt fay/ask-charge#1 (charge) is approved: 26.99 USD in the books, 0.00 USD at the bank",
			"fault: entries: chargeback fay/chargeback#1 of 26.99 USD has entries cash:sandbox -26.99 USD, receivable 26.99 USD, which are not those of what is posted",
		}},
	{"a chargeback of another's charge",
		"UPDATE activity SET attempt_id = {bob/ask-charge#1} WHERE id = {fay/chargeback#1}",
		"UPDATE activity SET attempt_id = {fay/ask-charge#1} WHERE id = {fay/chargeback#1}",
		[]string{
			"fault: attempts: chargeback fay/chargeback#1 is of attempt bob/ask-charge#1 (charge)",
			"fault: bank: attempt bob/ask-charge#1 (charge) is approved: 0.00 USD in the books, 26.99 USD at the bank",
			"fault: bank: attempt fay/ask-charge#1 (charge) is approved: 26.99 USD in the books, 0.00 USD at the bank",
		}},
	{"another processor's attempt",
		"UPDATE attempt SET processor = 'other' WHERE id = {ann/ask-charge#1}",
		"UPDATE attempt SET processor = 'sandbox' WHERE id = {ann/ask-charge#1}",
		[]string{
			"fault: bank: attempt ann/ask-charge#1 has entries on cash:sandbox, and is none of that processor's",
			"fault: bank: the bank has a capture of 26.99 USD under a reference that is no attempt of ours, \"ann/ask-charge#1\"",
			"fault: entries: claim ann/claim#1 of 26.99 USD has entries cash:sandbox 26.99 USD, receivable -26.99 USD, which are not those of what is posted",
		}},
	{"a claim made twice", // a second one, approved, for the debts of the first
		`INSERT INTO attempt (merchant_id, id, account_id, customer_id, subscription_id, payment_method_id, activity_id, kind, claim, processor, reference, amount, tax, currency, instrument, masked, expiry, routing, token, payer, details, state, response, message, approval_code, processor_id, created_at, answered_at, checks)
				SELECT merchant_id, 8, account_id, customer_id, subscription_id, payment_method_id, 9, kind, claim, processor, '8', amount, tax, currency, instrument, masked, expiry, routing, token, payer, details, state, response, message, approval_code, processor_id, created_at, answered_at, checks FROM attempt WHERE id = {ann/ask-charge#1};
			INSERT INTO activity (merchant_id, id, account_id, customer_id, code, kind, instrument, amount, tax, open, currency, state, due, attempt_id, masked, note, creator, invoice_list, tries, declined_on, created_at)
				SELECT merchant_id, 9, account_id, customer_id, code, kind, instrument, amount, tax, amount, currency, state, due, 8, masked, note, creator, invoice_list, tries, declined_on, created_at FROM activity WHERE id = {ann/claim#1};
			INSERT INTO entry (merchant_id, activity_id, seq, ledger, customer_id, amount, currency, posted_at) SELECT merchant_id, 9, seq, ledger, customer_id, amount, currency, posted_at FROM entry WHERE activity_id = {ann/claim#1}`,
		"DELETE FROM entry WHERE activity_id = 9; DELETE FROM activity WHERE id = 9; DELETE FROM attempt WHERE id = 8",
		[]string{
			"fault: bank: attempt 8 (charge) of 26.99 USD is approved in the books; the bank knows of none",
			"fault: bank: in all: CASH+26.99 and CLEARING in clearing in the books, CASH and CLEARING in clearing at the bank",
			"fault: charged: attempt 8 (charge) took 26.99 USD for debts of which it has paid 0.00 USD",
		}},
	{"an invoice too few",
		"UPDATE subscription SET issued = issued + 1 WHERE id = {ann/subscription}",
		"UPDATE subscription SET issued = issued - 1 WHERE id = {ann/subscription}",
		[]string{"fault: subscription: subscription ann/subscription has issued 7 invoices and has 6"}},
	{"an invoice too many",
		"UPDATE subscription SET issued = issued - 1 WHERE id = {ann/subscription}",
		"UPDATE subscription SET issued = issued + 1 WHERE id = {ann/subscription}",
		[]string{"fault: subscription: subscription ann/subscription has issued 5 invoices and has 6"}},
	{"an invoice of no billing date",
		"UPDATE activity SET period = NULL WHERE id = {ann/invoice#3}",
		"UPDATE activity SET period = 2 WHERE id = {ann/invoice#3}",
		[]string{"fault: subscription: subscription ann/subscription has issued 6 invoices and has 5"}},
	{"an invoice of another billing date",
		"UPDATE activity SET period = 40 WHERE id = {ann/invoice#3}",
		"UPDATE activity SET period = 2 WHERE id = {ann/invoice#3}",
		[]string{"fault: subscription: subscription ann/subscription has an invoice for billing 40, which has not come"}},
	{"a billing date passed over",
		"UPDATE subscription SET period = period + 1, next_date = '2020-08-01' WHERE id = {ann/subscription}",
		"UPDATE subscription SET period = period - 1, next_date = '2020-07-01' WHERE id = {ann/subscription}",
		[]string{"fault: subscription: subscription ann/subscription has no invoice for billing 6 of 2020-07-01"}},
	{"a term too long",
		"UPDATE subscription SET length = 2 WHERE id = {hal/subscription}",
		"UPDATE subscription SET length = 3 WHERE id = {hal/subscription}",
		[]string{"fault: subscription: subscription hal/subscription has issued 3 invoices of a term of 2"}},
	{"another next date",
		"UPDATE subscription SET next_date = '2020-07-02' WHERE id = {ann/subscription}",
		"UPDATE subscription SET next_date = '2020-07-01' WHERE id = {ann/subscription}",
		[]string{"fault: subscription: subscription ann/subscription: its next event is on 2020-07-02 and should be on 2020-07-01"}},
	{"a subscription that nobody takes up",
		"UPDATE subscription SET next_at = NULL WHERE id = {ann/subscription}",
		"UPDATE subscription SET next_at = 1593576000000000 WHERE id = {ann/subscription}",
		[]string{"fault: subscription: subscription ann/subscription: its next event is on 2020-07-01, and it is taken up never"}},
	{"a subscription that is late",
		"UPDATE subscription SET next_at = 1577836800000000 WHERE id = {ann/subscription}",
		"UPDATE subscription SET next_at = 1593576000000000 WHERE id = {ann/subscription}",
		[]string{"note: queues: billings have been due since 2020-01-01T00:00:00Z; the merchant's clock shows 2020-06-02T13:00:00Z"}},
	{"a freeze that never was",
		"UPDATE adjustment SET length = 1 WHERE subscription_id = {hal/subscription}",
		"UPDATE adjustment SET length = 2 WHERE subscription_id = {hal/subscription}",
		[]string{"fault: subscription: subscription hal/subscription has no invoice for billing 2 of 2020-03-01"}},
	{"a pause that never was",
		"UPDATE adjustment SET kind = 'cancel' WHERE subscription_id = {ida/subscription}",
		"UPDATE adjustment SET kind = 'pause' WHERE subscription_id = {ida/subscription}",
		[]string{"fault: subscription: subscription ida/subscription has no invoice for billing 1 of 2020-02-01"}},
	{"a line's amount",
		"UPDATE line SET amount = amount + 1 WHERE activity_id = {ora/invoice#1} AND kind = 'plan'",
		"UPDATE line SET amount = amount - 1 WHERE activity_id = {ora/invoice#1} AND kind = 'plan'",
		[]string{"fault: lines: invoice ora/invoice#1 of 22.94 USD, of which 1.75 USD is tax, has lines of 21.20 USD"}},
	{"a line's customer",
		"UPDATE line SET customer_id = {ann} WHERE activity_id = {ora/invoice#2} AND kind = 'charge'",
		"UPDATE line SET customer_id = {ora} WHERE activity_id = {ora/invoice#2} AND kind = 'charge'",
		[]string{"fault: lines: invoice ora/invoice#2 has line ? of another customer"}},
	{"a line's currency",
		"UPDATE line SET currency = 'EUR' WHERE activity_id = {ora/invoice#1} AND kind = 'setup'",
		"UPDATE line SET currency = 'USD' WHERE activity_id = {ora/invoice#1} AND kind = 'setup'",
		[]string{"fault: lines: invoice ora/invoice#1 in USD has a line of 3.00 EUR"}},
	{"a line of a credit",
		"UPDATE line SET amount = amount - 1 WHERE activity_id = {ora/credit#1}",
		"UPDATE line SET amount = amount + 1 WHERE activity_id = {ora/credit#1}",
		[]string{"fault: lines: credit ora/credit#1 of 15.04 USD, of which 1.15 USD is tax, has lines of -13.90 USD"}},
	{"a bill that is gone",
		"DELETE FROM bill WHERE activity_id = {ora/invoice#1}",
		"INSERT INTO bill (merchant_id, activity_id, customer_id, number, created_at) SELECT merchant_id, id, customer_id, 1000, created_at FROM activity WHERE id = {ora/invoice#1}",
		[]string{"fault: lines: invoice ora/invoice#1 has lines and no bill"}},
	{"a number left out",
		"UPDATE bill SET number = number + 1 WHERE activity_id = {ora/invoice#4}",
		"UPDATE bill SET number = number - 1 WHERE activity_id = {ora/invoice#4}",
		[]string{"fault: lines: 4 bills are numbered from 1000 to 1004", "fault: lines: the last bill has number 1004, and the counter stands at 1003"}},
	{"a discount that nobody noted",
		"UPDATE redemption SET discounted = discounted + 1 WHERE customer_id = {ora}",
		"UPDATE redemption SET discounted = discounted - 1 WHERE customer_id = {ora}",
		[]string{"fault: lines: coupon ? of customer ora has lowered invoices by 950, and their lines by 949"}},
	{"a discount that waits",
		"UPDATE line SET kind = 'discount' WHERE customer_id = {ora} AND kind = 'charge' AND activity_id IS NULL",
		"UPDATE line SET kind = 'charge' WHERE customer_id = {ora} AND kind = 'discount' AND activity_id IS NULL",
		[]string{"fault: lines: line ? of kind discount waits for an invoice, which only charges and adjustments do"}},
}

var inBraces = regexp.MustCompile(`\{[^{}]*\}`)

// damaged breaks the books in each way and sees that the audit says so, and
// nothing else. What is not mended is seen by the next one.
func (w *town) damaged(t *testing.T) {
	ctx := context.Background()
	ids := make(map[string]string)
	for id, name := range w.names() {
		ids[name] = id
	}
	db, err := sqldb.Open(ctx, w.Address, sqldb.Options{Volatile: true, MaxConns: 2})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	run := func(t *testing.T, text string) {
		t.Helper()
		check(t, db.Update(ctx, func(tx *sqldb.Tx) error {
			for statement := range strings.SplitSeq(text, ";") {
				n, err := tx.Exec(ctx, inBraces.ReplaceAllStringFunc(statement, func(name string) string {
					id, ok := ids[strings.Trim(name, "{}")]
					if !ok {
						t.Errorf("there is no %s", name)
					}
					return id
				}))
				if err != nil {
					return err
				}
				if n == 0 {
					t.Errorf("nothing is changed by %s", statement)
				}
			}
			return nil
		}))
	}
	names := w.names()
	say := func(t *testing.T) []string {
		t.Helper()
		faults, err := audit.Books(ctx, w.Store, w.Merchant.ID, w.Wall.Now())
		check(t, err)
		return w.inNames(append(faults, w.compare(nil)...), names)
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			want := w.inFull(d.want)
			run(t, d.do)
			if diff := cmp.Diff(want, say(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			run(t, d.undo)
		})
	}
	if diff := cmp.Diff([]string(nil), say(t)); diff != "" {
		t.Errorf("not all damage is mended (-want +got):\n%s", diff)
	}
}
