package ccbill

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/httpd"
)

// The addresses of the scripts (1).
const (
	ChargingPath   = "/jpost/billingApi.cgi"
	ManagementPath = "/utils/subscriptionManagement.cgi"
	ExtractPath    = "/data/main.cgi"
)

// Options are what the dialect works with. Only Cashier is required.
type Options struct {
	// Cashier performs what is asked.
	Cashier *cashier.Cashier

	// Brake slows down whoever guesses accounts. All dialects of a listener share
	// one; nil makes one for this dialect alone.
	Brake *httpd.Brake

	// Log takes what went wrong on our side. Nil discards it.
	Log *slog.Logger
}

// New makes the handler of the three scripts. It is safe for concurrent use.
func New(o Options) http.Handler {
	if o.Brake == nil {
		o.Brake = httpd.NewBrake(httpd.BrakeConfig{})
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &server{Options: o, extracts: make(map[billing.LoginID]time.Time)}
}

type server struct {
	Options

	mu       sync.Mutex
	extracts map[billing.LoginID]time.Time // when each user was last given one
}

// exchange is one request on its way to an answer.
type exchange struct {
	*server
	params   params
	merchant *billing.Merchant // whose account is named, nil if nobody's
	choices  settings          // of the merchant
	failures bool              // the caller's address has failed logins
	caller   *caller           // who is asking, nil until that is proved
	outcome  string            // for the log, when it is not the result
}

// action is what a client asks for, by its name in lower case.
type action struct {
	name    string
	path    string // on which it is served
	perform func(context.Context, *exchange) (answer, error)
}

// actions are those of the two scripts that take one.
func actions() []action {
	return []action{
		{"chargeByPreviousTransactionId", ChargingPath, charge},
		{"chargeByPreviousTransactionId", ManagementPath, charge}, // as the prose has it (1)
		{"upgradeSubscription", ChargingPath, upgrade},
		{"viewSubscriptionStatus", ManagementPath, viewStatus},
		{"cancelSubscription", ManagementPath, cancel},
		{"extendSubscription", ManagementPath, extend},
		{"refundTransaction", ManagementPath, refund},
		{"voidTransaction", ManagementPath, void},
		{"voidOrRefundTransaction", ManagementPath, voidOrRefund},
		{"discountSubscription", ManagementPath, discount},
	}
}

// extractAction is what the extract is called where a user's actions are listed.
const extractAction = "extract"

// known reports whether there is an action of a name in lower case.
func known(name string) bool {
	return name == extractAction || slices.ContainsFunc(actions(), func(a action) bool { return strings.EqualFold(a.name, name) })
}

// ServeHTTP answers one request. What it notes for the log is the script with
// the action, whose request it was, and the result: no part of the query, which
// has the password in it.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	note := httpd.Note(r.Context())
	note.SetRoute(r.URL.Path)
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	x := &exchange{server: s, params: readParams(r)}
	if r.URL.Path == ExtractPath {
		x.serveExtract(w, r, note)
		return
	}
	a, err := x.serve(r, note)
	if err != nil {
		code := resultOf(err)
		x.explain(r.Context(), note, code, err)
		a = results(code)
	}
	if x.outcome == "" {
		x.outcome = a[0].value
	}
	note.SetOutcome(x.outcome)
	write(w, a, x.params.get("returnXML") == "1")
}

// explain logs an error of ours behind a -7, and notes the rule behind a refusal.
func (x *exchange) explain(ctx context.Context, note *httpd.Record, code result, err error) {
	if err == error(code) || billing.KindOf(err) != billing.Internal {
		return
	}
	x.Log.LogAttrs(ctx, slog.LevelError, "ccbill: request not carried out", slog.String("id", note.ID()),
		slog.String("result", code.String()), slog.Any("error", err))
}

// serve proves who sends a request and carries it out.
func (x *exchange) serve(r *http.Request, note *httpd.Record) (answer, error) {
	ctx := r.Context()
	if err := x.identify(ctx, r, note); err != nil {
		return nil, err
	}
	wanted := x.params.get("action")
	i := slices.IndexFunc(actions(), func(a action) bool { return a.path == r.URL.Path && strings.EqualFold(a.name, wanted) })
	if i < 0 {
		return nil, unknownAction
	}
	do := actions()[i]
	note.SetRoute(r.URL.Path + " " + do.name)
	if !x.choices.permits(x.caller.name, do.name) {
		return nil, x.collapsed(notPermitted)
	}
	return do.perform(ctx, x)
}

// identify proves the caller and notes who it is.
func (x *exchange) identify(ctx context.Context, r *http.Request, note *httpd.Record) error {
	err := x.prove(ctx, httpd.Remote(r))
	if x.merchant != nil {
		note.SetMerchant(strconv.FormatInt(int64(x.merchant.ID), 10))
	}
	if err == nil && x.caller.Login.Role == billing.RoleClerk {
		err = notPermitted // that login is for the web pages
	}
	if err != nil {
		return x.collapsed(err)
	}
	note.SetLogin(x.caller.Login.Name)
	return nil
}

// collapsed is the answer to what is wrong with a caller, where the merchant
// wants the one that was seen live for all of them (2.4, 11).
func (x *exchange) collapsed(err error) error {
	code := resultOf(err)
	if x.choices.CollapseAuthErrors && code != badAuthentication && err == error(code) {
		return internal
	}
	return err
}
