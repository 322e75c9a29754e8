// Package notify tells merchants what happened: it turns the events of the
// outbox into messages in a dialect's form and delivers them by HTTP POST.
//
// An event is written in the transaction of what it tells, and marked there if
// the merchant has an endpoint; so nothing is told that was not committed, and
// nothing committed is missed, in whatever order transactions commit. The mark
// is taken off by the transaction that makes the event's deliveries. A delivery
// holds the body as it will be sent, the same at every try.
//
// A delivery is sent at least once: a worker takes it for a while in one
// transaction, sends it outside any, and writes down what came of it in another.
// One that dies in between leaves a lease that runs out, and the message goes
// again under the same id (header webhook-id). Any number of processes share the
// work; the rows are the queue, and nobody leads.
//
// A slow or dead receiver delays nobody else: each endpoint has a few requests
// under way at most, one while it fails, and each request a deadline. Retries go
// by the world's clock, also for a test merchant whose own clock stands.
//
// Where messages go is decided by merchants, so it is not trusted: an address in
// a network that only this machine or its neighbours can reach is refused when it
// is dialled, whatever its name resolved to before, unless the operator allows it.
package notify
