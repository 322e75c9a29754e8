// Package recurly speaks the Recurly API of 2010 to 2012 (protocols/recurly-v1.md):
// accounts, billing information, subscriptions, charges, credits, invoices,
// transactions, plans and coupons as XML over HTTP, transparent posts, and push
// notifications. README.md has what is covered, section by section, and what was
// decided where nothing public does.
//
// A request's path is understood (route.go) and its sender proved (access.go); the
// document is read into a small tree (element.go), checked, and a verb of the
// cashier is called; the answer is written element by element (document.go). What
// is wrong is collected and told at once (failure.go).
//
// The site of this wire is a merchant, an account a customer, an account's one
// billing information the payment method that its subscriptions are paid with. An
// API key is a login of the merchant's; its private key is a secret that is kept
// sealed.
package recurly
