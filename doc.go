// Package perennial is the root of a self-hosted recurring-billing gateway: one binary and one database that keep
// customers, vault their cards and bank accounts, bill their subscriptions, collect the money and keep double-entry
// books of it, and that speak four billing wires merchants already have code for.
//
// The root holds no code of the product, only the laws of the house: tests that read the whole tree and fail on an
// import between packages that the design does not draw, on a floating point number, on a clock read where time
// should have been handed in, and on more of that kind. The parts lie flat beside it: billing has the nouns and
// rules, cashier the verbs, store the books, and cmd/perennial puts them together.
package perennial
