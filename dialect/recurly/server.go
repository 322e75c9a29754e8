package recurly

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/httpd"
)

// Options are what the dialect works with. Only Cashier is required.
type Options struct {
	// Cashier performs what is asked.
	Cashier *cashier.Cashier

	// Brake slows down whoever guesses keys and passwords. All dialects of a
	// listener share one; nil makes one for this dialect alone.
	Brake *httpd.Brake

	// Wake is called after an action that may have made work due for the billing
	// run. May be nil.
	Wake func()

	// Log takes what went wrong on our side. Nil discards it.
	Log *slog.Logger
}

// New makes the handler of all Patterns. It is safe for concurrent use.
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
	return &server{Options: o, routes: tree()}
}

type server struct {
	Options
	routes []route
}

// exchange is one request on its way to an answer.
type exchange struct {
	*server
	call    call
	query   map[string][]string
	body    *element // nil if none came
	session *cashier.Session
	choices settings // of the site
}

// answer is a document, nil for an empty one, with a status that is 200 if it is
// not set.
type answer struct {
	status int
	doc    *document
}

// ServeHTTP answers one request. What it notes for the log is the pattern, whose
// request it was and the status: no part of the URL and no value.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	note := httpd.Note(r.Context())
	x := &exchange{server: s}
	c, misdirected := s.parse(r.Method, r.URL)
	x.call = c
	if c.pattern != "" {
		note.SetRoute(Prefix + c.pattern)
	}
	if c.site != "" && misdirected == nil {
		x.transparent(w, r, note)
		return
	}
	a, err := x.serve(r, note, misdirected)
	if err != nil {
		x.refuse(w, r, note, failureOf(err))
		return
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	note.SetOutcome(strconv.Itoa(a.status))
	send(w, a)
}

// send writes an answer. That fails when the client has gone, and then nobody is
// left to be told.
func send(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	if a.doc == nil {
		w.WriteHeader(a.status)
		return
	}
	text := a.doc.String()
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, text)
}

// refuse answers with a failure, and logs it if it is ours.
func (x *exchange) refuse(w http.ResponseWriter, r *http.Request, note *httpd.Record, f *failure) {
	outcome := strconv.Itoa(f.status)
	if first := f.mistakes[0]; first.code != "" {
		outcome += " " + first.code
	}
	note.SetOutcome(outcome)
	if f.status == http.StatusInternalServerError {
		x.Log.LogAttrs(r.Context(), slog.LevelError, "recurly: request not carried out", slog.String("id", note.ID()),
			slog.String("route", x.call.pattern), slog.Any("error", f.cause))
	}
	switch f.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="Recurly API"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", f.allow)
	case http.StatusTooManyRequests:
		if f.wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.wait))
		}
	}
	send(w, answer{f.status, x.explained(f)})
}

// explained is the document of a failure: the errors, or the object with the
// errors inside (3.2, 3.3).
func (x *exchange) explained(f *failure) *document {
	d := newDocument()
	errors := func() { d.errors(f.mistakes, x.choices.Messages == "2010") }
	if f.show != nil {
		f.show(d, errors)
	} else {
		errors()
	}
	return d
}

// serve proves who sends a request and carries it out. It looks at nothing that a
// client sent but URL, method and credentials before the client is proved.
func (x *exchange) serve(r *http.Request, note *httpd.Record, misdirected error) (answer, error) {
	if x.call.pattern == "" && strings.HasPrefix(r.URL.Path, "/v2/") {
		return answer{}, fail(http.StatusNotFound, "This is version 1 of the API")
	}
	ctx := r.Context()
	if err := x.login(ctx, httpd.Remote(r), r); err != nil {
		return answer{}, err
	}
	note.SetMerchant(strconv.FormatInt(int64(x.session.Merchant.ID), 10))
	note.SetLogin(x.session.Login.Name)
	if misdirected != nil {
		return answer{}, misdirected
	}
	if x.call.pattern != transparentResult && !admitsXML(r.Header.Values("Accept")) {
		return answer{}, fail(http.StatusNotAcceptable, "This API answers in application/xml")
	}
	x.query = r.URL.Query()
	if err := x.read(r); err != nil {
		return answer{}, err
	}
	a, err := x.call.verb.do(ctx, x)
	if err == nil && x.call.verb.wakes {
		x.Wake()
	}
	return a, err
}

// read reads the body where one is taken. What comes with GET and DELETE means
// nothing: two clients send the object along (1.3).
func (x *exchange) read(r *http.Request) error {
	roots := x.call.verb.root
	if len(roots) == 0 {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large) || len(body) > maxBody:
		return fail(http.StatusBadRequest, "The document is too large")
	case err != nil:
		return &failure{status: http.StatusBadRequest, mistakes: []mistake{{text: "The document did not arrive"}}, cause: err}
	}
	root, err := readXML(body)
	if err != nil {
		return fail(http.StatusBadRequest, "The document is not well-formed XML, or more than this API takes")
	}
	if !slices.Contains(roots, root.name) {
		return fail(http.StatusBadRequest, "The document must be a <"+roots[0]+">")
	}
	x.body = root
	return nil
}

// admitsXML reports whether an Accept header lets XML be the answer; none does
// (1.3).
func admitsXML(accept []string) bool {
	if len(accept) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, parameters, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/xml", "text/xml", "application/*", "*/*", "text/*", "*", "":
			if !refused(parameters) {
				return true
			}
		}
	}
	return false
}

// refused reports whether the parameters of an accepted type say that it is not.
func refused(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") && strings.Trim(value, "0.") == "" && value != "" {
			return true
		}
	}
	return false
}

// parameter is the first value of a query parameter, "" if there is none.
func (x *exchange) parameter(name string) string {
	if v := x.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// perPage is how many items a page of a list has (2.3).
const perPage = 20

// page is a page of a list, from 1.
type page struct{ number int64 }

// maxPage bounds the pages that are looked for.
const maxPage = 1_000_000

// page reads which page is asked for; what is no number is the first.
func (x *exchange) page() page {
	n, err := strconv.ParseInt(x.parameter("page"), 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	return page{min(n, maxPage)}
}

// offset is how many items lie before the page.
func (p page) offset() int { return int(p.number-1) * perPage }

// merchant is the site.
func (x *exchange) merchant() *billing.Merchant { return x.session.Merchant }
