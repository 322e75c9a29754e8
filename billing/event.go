package billing

import "time"

// EventKind names something that happened and that others may want to know.
type EventKind string

// The kinds of event.
const (
	CustomerCreated        EventKind = "customer.created"
	CustomerChanged        EventKind = "customer.changed"
	CustomerClosed         EventKind = "customer.closed"
	CustomerReopened       EventKind = "customer.reopened"
	CustomerErased         EventKind = "customer.erased" // what is left is what the books need
	PaymentMethodAdded     EventKind = "payment_method.added"
	PaymentMethodChanged   EventKind = "payment_method.changed"
	PaymentMethodForgotten EventKind = "payment_method.forgotten" // its number is gone
	PlanCreated            EventKind = "plan.created"
	PlanChanged            EventKind = "plan.changed"
	SubscriptionCreated    EventKind = "subscription.created"
	SubscriptionChanged    EventKind = "subscription.changed"
	SubscriptionEnded      EventKind = "subscription.ended"

	SubscriptionRescheduled EventKind = "subscription.rescheduled" // its next billing has another date, by request
	SubscriptionReactivated EventKind = "subscription.reactivated" // its cancellation was taken back

	ActivityRecorded    EventKind = "activity.recorded"
	InvoiceIssued       EventKind = "invoice.issued"
	PaymentApproved     EventKind = "payment.approved"
	PaymentPending      EventKind = "payment.pending"
	PaymentDeclined     EventKind = "payment.declined"
	PaymentUnknown      EventKind = "payment.unknown"
	PaymentReversed     EventKind = "payment.reversed"
	PaymentChargedBack  EventKind = "payment.charged_back"
	PaymentUnsettled    EventKind = "payment.unsettled"    // no look-up tells the outcome: a person must
	PaymentContradicted EventKind = "payment.contradicted" // the processor says otherwise than the person who settled it
	WorkParked          EventKind = "work.parked"
	WorkReleased        EventKind = "work.released"
)

// Event is one row of the outbox, written in the transaction of what it tells.
type Event struct {
	MerchantID MerchantID
	ID         EventID
	Kind       EventKind
	CustomerID CustomerID // 0 if it concerns none
	ObjectID   int64      // id of the object that the kind names
	CreatedAt  time.Time
}
