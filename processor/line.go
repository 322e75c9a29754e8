package processor

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// Line watches one HTTP exchange to learn whether a request can have left the
// machine, which is the difference between ErrNotSent and an unknown outcome.
// A refused connection alone does not prove it: an HTTP client may silently
// repeat a request on a second connection after the first, on which all of it
// was sent, broke. The zero value is ready for one exchange.
type Line struct{ connected atomic.Bool }

// Watch returns a context for the exchange.
func (l *Line) Watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { l.connected.Store(true) },
	})
}

// NeverSent reports whether err, the error of the exchange, proves that nothing
// was sent: dialling failed, and no connection was had before.
func (l *Line) NeverSent(err error) bool {
	var op *net.OpError
	return !l.connected.Load() && errors.As(err, &op) && op.Op == "dial"
}
