// Package billingcircle speaks the wire of Billing Circle Connect
// (protocols/billing-circle.md): a POST of name/value pairs, and a line of four
// values that callers split on commas. Clients are customers, each paid with one
// card or bank account or by hand; schedules are subscriptions on terms of their
// own, held until they are confirmed. Schedule results are told by ITN.
//
// What was inferred, and could be otherwise at a merchant's, stands in settings.go
// (switches), fields.go (names, lengths and rules of values) and codes.go. README.md
// lists all of it.
package billingcircle
