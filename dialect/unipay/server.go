package unipay

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/httpd"
)

// Options are what the dialect works with. Only Cashier is required.
type Options struct {
	// Cashier performs what is asked.
	Cashier *cashier.Cashier

	// Brake slows down whoever guesses passwords. All dialects of a listener
	// share one; nil makes one for this dialect alone.
	Brake *httpd.Brake

	// Wake is called after an action that may have made work due for the
	// billing run, such as a card that replaces a declined one. May be nil.
	Wake func()

	// Log takes what went wrong on our side. Nil discards it.
	Log *slog.Logger

	// MaxBody is the greatest size of a request body in bytes; default 1 MiB.
	// The listener's own limit holds too.
	MaxBody int64

	// Realm is what a browser shows when it asks for the password; printable
	// ASCII without quotes and backslashes. Default "Billing API".
	Realm string
}

// New makes the handler of everything below Prefix. It is safe for concurrent
// use.
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
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	return &server{o}
}

type server struct{ Options }

// exchange is one request on its way to an answer.
type exchange struct {
	*server
	call    Call
	fields  Fields
	session *cashier.Session // who is asking
	choices settings         // of the merchant
	key     string           // of an Idempotency-Key header, "" if there is none
	header  http.Header      // of the answer
	outcome string           // for the log, when it is not simply "ok"
}

// ServeHTTP answers one request. What it notes for the log is the route, whose
// request it was, and the failure or response code: no part of the URL and no
// value.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	note := httpd.Note(r.Context())
	x := &exchange{server: s, header: w.Header(), outcome: "ok"}
	answer, body, err := x.serve(r, note)
	format := AnswerFormat(r.Header, body)
	style := Style{EmptyStrings: x.choices.EmptyStrings, AlwaysOK: x.choices.Always200, Realm: s.Realm}
	if err == nil {
		note.SetOutcome(x.outcome)
		_ = style.Write(w, format, answer) // it fails when the client has gone, and then nobody is left to be told
		return
	}
	failure := failureOf(err, fieldNames[x.call.Action])
	note.SetOutcome(failure.Code)
	if failure.Status == http.StatusInternalServerError {
		s.Log.LogAttrs(r.Context(), slog.LevelError, "unipay: request not carried out", slog.String("id", note.ID()),
			slog.String("route", x.call.Pattern), slog.String("code", failure.Code), slog.Any("error", failure.Unwrap()))
	}
	_ = style.WriteFailure(w, format, failure) // as above
}

// fieldNames are the fields that an action calls otherwise than the core does.
var fieldNames = map[Action]map[string]string{Process: processingNames}

// serve understands a request, proves who sends it and carries it out. It looks
// at nothing that a client sent but URL, method and password before the client
// is proved. The format is that of the body, 0 if it was not read.
func (x *exchange) serve(r *http.Request, note *httpd.Record) (answer Answer, body Format, err error) {
	call, misdirected := ParseCall(r.Method, r.URL)
	x.call = call
	if call.Pattern != "" {
		note.SetRoute(Prefix + call.Pattern)
	}
	ctx := r.Context()
	if misdirected == nil && call.Action == Authenticate {
		if x.fields, body, err = Decode(r, call, x.MaxBody); err != nil {
			return Answer{}, body, err
		}
		err = x.identify(ctx, httpd.Remote(r))
	} else {
		err = x.login(ctx, httpd.Remote(r), r)
	}
	if err != nil {
		return Answer{}, body, err
	}
	note.SetMerchant(strconv.FormatInt(int64(x.session.Merchant.ID), 10))
	note.SetLogin(x.session.Login.Name)
	if x.choices, err = readSettings(x.session.Merchant.Settings.Dialects[Name]); err != nil {
		return Answer{}, body, Fail(Misconfigured, "", "the settings of the merchant for this interface are malformed").because(err)
	}
	if misdirected != nil {
		return Answer{}, body, misdirected
	}
	if call.Action != Authenticate {
		if x.fields, body, err = Decode(r, call, x.MaxBody); err != nil {
			return Answer{}, body, err
		}
	}
	if x.key, err = idempotencyKey(r.Header, call.Action); err != nil {
		return Answer{}, body, err
	}
	do := actions[call.Pattern]
	if answer, err = do.carryOut(ctx, x); err == nil && do.wakes {
		x.Wake()
	}
	return answer, body, err
}

// login proves the user by HTTP Basic authentication (1.3).
func (x *exchange) login(ctx context.Context, from netip.Addr, r *http.Request) error {
	name, password, ok := r.BasicAuth()
	if !ok {
		return Fail(BadCredentials, "", "send user name and password with HTTP Basic authentication")
	}
	return x.prove(ctx, from, name, billing.NewSecret(password))
}

// identify proves the user of ~authenticate, who comes in the URL (4.8).
func (x *exchange) identify(ctx context.Context, from netip.Addr) error {
	p, err := ReadAuthenticate(x.fields)
	if err != nil {
		return err
	}
	return x.prove(ctx, from, x.call.User, billing.NewSecret(p.Password.Reveal()))
}

// prove opens the session of a user. Guesses are held up before the password is
// hashed, by address and by name.
func (x *exchange) prove(ctx context.Context, from netip.Addr, name string, password billing.Secret) error {
	if !anyText.fits(name, maxUserName) {
		name = "" // no login is called that; it goes the way of all that are not known
	}
	now := x.Cashier.Now()
	if wait := x.Brake.Wait(now, from, name); wait > 0 {
		f := Fail(TooMany, "", "too many failed logins; try again later")
		f.RetryAfter = int((wait + time.Second - 1) / time.Second)
		return f
	}
	session, err := x.Cashier.Authenticate(ctx, cashier.Proof{Name: name, Password: password, Address: from})
	if err != nil {
		if billing.KindOf(err) == billing.Unauthenticated {
			x.Brake.Failed(now, from, name)
		}
		return err
	}
	x.Brake.Succeeded(now, from, name)
	if session.Login.Role == billing.RoleClerk {
		return Fail(NotPermitted, "", "this login is for the web pages, not for programs")
	}
	x.session = session
	return nil
}

// idempotencyKey reads the header with which a client can send a payment twice
// and have it made once. It is an extension, and means nothing to other actions.
func idempotencyKey(h http.Header, a Action) (string, error) {
	const name = "Idempotency-Key"
	keys := h.Values(name)
	if a != Process || len(keys) == 0 {
		return "", nil
	}
	if len(keys) > 1 || !keyText.fits(keys[0], maxKey) {
		return "", Fail(Malformed, "", name+" must be given once, with 1 to "+strconv.Itoa(maxKey)+" visible ASCII characters")
	}
	return Name + ":" + keys[0], nil // another dialect's keys are other keys
}

const maxKey = 255

var keyText = pattern{allowed: func(r rune) bool { return '!' <= r && r <= '~' }}

// action is what carries a call out.
type action struct {
	carryOut func(context.Context, *exchange) (Answer, error)
	wakes    bool // it may make work due for the billing run
}

// actions has every pattern of a Call.
var actions = map[string]action{
	"customers/~create":               {carryOut: createCustomer},
	"customers/~find":                 {carryOut: findCustomers},
	"customers/[customer-id]/~load":   {carryOut: loadCustomer},
	"customers/[customer-id]/~modify": {carryOut: modifyCustomer, wakes: true},

	"customers/[customer-id]/payment-options/~create":                           {carryOut: createPaymentOption},
	"customers/[customer-id]/payment-options/~find":                             {carryOut: findPaymentOptions},
	"customers/[customer-id]/payment-options/[payment-option-id]/~load":         {carryOut: loadPaymentOption},
	"customers/[customer-id]/payment-options/[payment-option-id]/~modify":       {carryOut: modifyPaymentOption, wakes: true},
	"customers/[customer-id]/subscriptions/~create":                             {carryOut: createSubscription, wakes: true},
	"customers/[customer-id]/subscriptions/~find":                               {carryOut: findSubscriptions},
	"customers/[customer-id]/subscriptions/[subscription-id]/~load":             {carryOut: loadSubscription},
	"customers/[customer-id]/subscriptions/[subscription-id]/~modify":           {carryOut: modifySubscription, wakes: true},
	"customers/[customer-id]/subscriptions/[subscription-id]/~cancel":           {carryOut: cancelSubscription},
	"customers/[customer-id]/subscriptions/[subscription-id]/~freeze":           {carryOut: freezeSubscription},
	"customers/[customer-id]/subscriptions/[subscription-id]/~pause":            {carryOut: pauseSubscription},
	"customers/[customer-id]/subscriptions/[subscription-id]/~resume":           {carryOut: resumeSubscription, wakes: true},
	"customers/[customer-id]/subscriptions/[subscription-id]/adjustments/~find": {carryOut: findAdjustments},
	"customers/[customer-id]/transactions/~create":                              {carryOut: createTransaction},
	"customers/[customer-id]/transactions/~find":                                {carryOut: findTransactions},
	"customers/[customer-id]/transactions/~process":                             {carryOut: processTransaction},
	"customers/[customer-id]/transactions/[transaction-id]/~load":               {carryOut: loadTransaction},
	"customers/[customer-id]/transactions/[transaction-id]/~reverse":            {carryOut: reverseTransaction},
	"customers/[customer-id]/transactions/[transaction-id]/allocations/~find":   {carryOut: findAllocations},

	"plans/~create":                   {carryOut: createPlan},
	"plans/~find":                     {carryOut: findPlans},
	"plans/[plan-id]/~load":           {carryOut: loadPlan},
	"plans/[plan-id]/~modify":         {carryOut: modifyPlan},
	"users/[user-name]/~authenticate": {carryOut: authenticate},
}
