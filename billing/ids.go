package billing

// Ids are 63-bit, made in the process, and sort by the time of their making.
// They are unique in an installation; 0 is no id. Each noun has its own type so
// that the compiler keeps them apart.
type (
	MerchantID      int64 // a merchant
	AccountID       int64 // an account of a merchant
	LoginID         int64 // a login
	CustomerID      int64 // a customer
	PaymentMethodID int64 // a payment method
	PlanID          int64 // a plan
	SubscriptionID  int64 // a subscription
	AdjustmentID    int64 // a change of a subscription's course
	ActivityID      int64 // an activity of a customer's account
	AllocationID    int64 // a match of a credit with a debit
	AttemptID       int64 // one asking of a processor
	EventID         int64 // an entry of the outbox
	EndpointID      int64 // where a merchant wants to be told of events
	DeliveryID      int64 // one message to an endpoint
	LineID          int64 // a line of an invoice or credit
	CouponID        int64 // a coupon
	RedemptionID    int64 // a coupon in a customer's hands
	NoteID          int64 // what somebody wrote down about a customer
)
