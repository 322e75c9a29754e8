package billingcircle

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/httpd"
)

// The addresses of the wire (1): that of production, and that on which a merchant's
// twin is worked with.
const (
	Path     = "/connect/"
	TestPath = "/connect-test/"
)

// Options are what the dialect works with. Only Cashier is required.
type Options struct {
	// Cashier performs what is asked.
	Cashier *cashier.Cashier

	// Brake slows down whoever guesses passwords. All dialects of a listener share
	// one; nil makes one for this dialect alone.
	Brake *httpd.Brake

	// Wake is called when work may have become due for the billing run. Nil does
	// nothing.
	Wake func()

	// Log takes what went wrong on our side. Nil discards it.
	Log *slog.Logger
}

// New makes the handler of the two addresses. It is safe for concurrent use.
func New(o Options) http.Handler {
	if o.Brake == nil {
		o.Brake = httpd.NewBrake(httpd.BrakeConfig{})
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &server{Options: o, methods: methods()}
}

type server struct {
	Options
	methods []method
}

// exchange is one request on its way to an answer.
type exchange struct {
	*server
	test     bool // it came on the testing URL
	params   params
	choices  settings         // of the merchant
	session  *cashier.Session // who is asking, nil until that is proved
	customer *billing.Customer
	schedule *billing.Subscription
}

// ServeHTTP answers one request. What it notes for the log is the path with the
// method, whose request it was, and the case: no part of the body.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	note := httpd.Note(r.Context())
	x := &exchange{server: s, test: r.URL.Path == TestPath, choices: settings{}.withDefaults()}
	if r.URL.Path != Path && r.URL.Path != TestPath {
		http.NotFound(w, r)
		return
	}
	note.SetRoute(r.URL.Path)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST", http.StatusMethodNotAllowed)
		return
	}
	a, err := x.serve(r, note)
	if err != nil {
		f := failureOf(err)
		if f.why == unknownError && f.cause != nil {
			s.Log.LogAttrs(r.Context(), slog.LevelError, "billingcircle: request not carried out", slog.String("id", note.ID()), slog.Any("error", err))
		}
		a = f.answer(x.choices.Codes)
	}
	if a.outcome == "" {
		a.outcome = "ok"
	}
	note.SetOutcome(a.outcome)
	a.write(w)
}

// serve proves who sends a request and carries it out, in the order of 5.2.
func (x *exchange) serve(r *http.Request, note *httpd.Record) (a *answer, err error) {
	ctx := r.Context()
	if x.params, err = readParams(r); err != nil {
		return nil, &failure{why: unknownError, status: http.StatusRequestEntityTooLarge}
	}
	err = x.prove(ctx, httpd.Remote(r))
	if x.session != nil {
		note.SetMerchant(strconv.FormatInt(int64(x.session.Merchant.ID), 10))
		note.SetLogin(x.session.Login.Name)
	}
	if err != nil {
		return nil, err
	}
	m, err := x.method()
	if err != nil {
		return nil, err
	}
	note.SetRoute(r.URL.Path + " " + m.name)
	x.params.rename(builtinAliases)
	x.params.rename(x.choices.Aliases)
	if err := m.check(x.params, x.choices); err != nil {
		return nil, err
	}
	switch x.params.get("testmode") {
	case "1", "true", "yes": // reports have none (1.2)
		x.session.Rehearsal = m.name != "reporting" && m.name != "reportdue"
	}
	if err := x.find(ctx, m); err != nil {
		return nil, err
	}
	return m.perform(ctx, x)
}

// method is what a request asks for.
func (x *exchange) method() (*method, error) {
	name := x.params.get("method")
	if name == "" {
		return nil, refuse(noMethod, "method")
	}
	if x.params.twice["method"] {
		return nil, refuse(sentTwice, "method")
	}
	i := slices.IndexFunc(x.methods, func(m method) bool { return m.name == name })
	if i < 0 {
		return nil, &failure{why: badMethod, field: "method", detail: shortened(name)}
	}
	return &x.methods[i], nil
}

// shortened is as much of a value as an answer repeats.
func shortened(s string) string {
	const most = 50
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most])
	}
	return s
}
