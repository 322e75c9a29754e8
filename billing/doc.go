// Package billing holds the nouns of recurring billing and the rules that can
// be decided from values alone: money, civil dates, the calendar of a
// subscription, what is owed and what covers it, which entries explain it, when
// a decline is tried again.
//
// Nothing here reads a clock, a file or a database; time, settings and state
// come in as values. That is why every dialect and both database engines share
// one meaning: a rule is either here or, when it needs a transaction, a key and
// a processor, a verb of package cashier.
//
// The words are those of the trade. A merchant has accounts; an account has
// customers and plans; a customer has payment methods and subscriptions. The
// customer's own account is a list of activities: debits (invoices, fees,
// refunds, chargebacks) state what is owed, credits (payments, claims, credit
// notes, write-offs) cover it, allocations say which covers which. Entries are
// the double-entry postings behind the activities.
package billing
