// Package httpd is the front door: one listener that carries every dialect, the native interface, the console and
// the operators' pages, and does for all of them what none of them should do twice.
//
// A request passes, in this order: a record with an id and the true remote address; default headers fit for
// answers that hold payment data; a limit on the body; the router; a limit on the number of requests in flight; the
// dialect. A panic in a dialect answers 500 and harms no other request. At the end the request is counted and
// written to the log as one line that names the route's pattern and never the address asked for, because some of
// the wires we speak carry a login's password in the query.
//
// The listener speaks plain HTTP only to this machine or to a proxy in front that ends TLS; anywhere else it
// refuses to start. When told to stop it says so on /readyz, stops accepting, lets the requests in flight finish
// within a grace period, and only then cuts them.
//
// The package knows nothing of merchants or money. What it learns of a request beyond HTTP is what the dialect notes
// on the request's [Record]. [Brake] slows down whoever guesses passwords, before the costly hash is computed.
package httpd
