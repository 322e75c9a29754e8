// Package unipay speaks the UniPay (United Thinkers) Billing API, version 01,
// so that a client written for that gateway can be pointed at Perennial
// unchanged.
//
// The rules come from protocols/unipay.md; a number such as "4.6" in a comment
// here is a section of that page. README.md in this directory lists what was
// decided where the published documentation is silent.
//
// The wire has four peculiarities that shape the code:
//
//   - A URL names an object and, in a last segment that begins with a tilde, an
//     action. Creating is PUT, modifying is POST, and four actions that change
//     state are GET. ParseCall turns method and URL into a Call and is the only
//     code that looks at a path.
//   - One request can be written as JSON, as XML attributes or as a form
//     ("XURL"). All three are one flat list of names and texts, so Decode turns
//     each of them into Fields and nothing behind it knows which it was.
//   - Every value is a text, numbers and booleans too. The Read functions turn
//     Fields into typed requests, and are the only place where a length, a
//     pattern or a list of codes is applied. The first failure ends the reading.
//   - An answer is one flat object, at most one object deep, or a list of them.
//     The answer types (Customer, Transaction, ...) know the order of their
//     fields; Style.Write knows the three notations.
//
// An action reads its request, asks the cashier or looks into the books, and
// writes the answer; it holds no rule of billing. The dictionaries (words.go)
// and the table of verdicts (verdict.go) are where one vocabulary becomes the
// other, failureOf (mistake.go) where an error becomes a failure code, and
// scribe writes the nouns of the core as objects of the wire.
//
// Card numbers, track data, security codes and passwords are of the type
// Secret from the moment they are read, and Fields prints names only, so that
// a request can be put into a log or an error by mistake without harm. A
// Failure names fields and never repeats a value. What is noted for the log is
// the route, the merchant, the login and the code of the outcome.
package unipay
