package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// Handler serves the bank's wire (see README.md):
//
//	POST /v1/merchants/{merchant}/charges, authorisations, voids, refunds, credits
//	GET  /v1/merchants/{merchant}/references/{reference}?at=
//	GET  /v1/merchants/{merchant}/notices?after=&at=
//	GET  /v1/merchants/{merchant}/journal?after=&limit=
//	GET  /v1/merchants/{merchant}/deeds?after=&seq=
//	GET, PUT /v1/merchants/{merchant}/faults, terms     ({merchant} * is every merchant)
//	POST /v1/deliveries
//	GET  /v1/tables
//
// It knows nobody's password: serve it to the machine itself only.
func (b *Bank) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, kind := range map[string]billing.AttemptKind{
		"charges": billing.AskCharge, "authorisations": billing.AskAuthorize, "voids": billing.AskVoid, "refunds": billing.AskRefund, "credits": billing.AskCredit,
	} {
		mux.HandleFunc("POST /v1/merchants/{merchant}/"+path, func(w http.ResponseWriter, r *http.Request) { b.serveAct(w, r, kind) })
	}
	mux.HandleFunc("GET /v1/merchants/{merchant}/references/{reference}", b.serveLookup)
	mux.HandleFunc("GET /v1/merchants/{merchant}/notices", b.serveNotices)
	mux.HandleFunc("GET /v1/merchants/{merchant}/journal", b.serveJournal)
	mux.HandleFunc("GET /v1/merchants/{merchant}/deeds", b.serveDeeds)
	mux.HandleFunc("GET /v1/merchants/{merchant}/faults", b.serveFaults)
	mux.HandleFunc("PUT /v1/merchants/{merchant}/faults", b.serveSetFaults)
	mux.HandleFunc("GET /v1/merchants/{merchant}/terms", b.serveTerms)
	mux.HandleFunc("PUT /v1/merchants/{merchant}/terms", b.serveSetTerms)
	mux.HandleFunc("POST /v1/deliveries", b.serveDeliveries)
	mux.HandleFunc("GET /v1/tables", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, b.tables) })
	return mux
}

// serveAct serves a charge, authorisation, void, refund or credit.
func (b *Bank) serveAct(w http.ResponseWriter, r *http.Request, kind billing.AttemptKind) {
	var body orderBody
	if !read(w, r, &body) {
		return
	}
	o, err := body.order(&b.tables, r.PathValue("merchant"), kind)
	if err != nil {
		refuse(w, err)
		return
	}
	// The request has arrived: from here on nothing depends on the client.
	ctx := context.WithoutCancel(r.Context())
	own, all, err := b.treatment(ctx, o.merchant)
	if err != nil {
		refuse(w, err)
		return
	}
	f, err := b.fault(ctx, own, all, string(kind), o.reference)
	if err != nil {
		refuse(w, err)
		return
	}
	if f.Do == "" && (kind == billing.AskCharge || kind == billing.AskAuthorize) && o.card != nil {
		f.Do, f.Lookups = o.card.Trouble, 1
	}
	if f.Do == Decline {
		o.forced = f.Response
	}
	if f.Do == Late {
		b.hold(o, effective(own, all), f.Lookups)
	}
	b.disturb(w, r, f, asked{string(kind), o.reference}, func(ctx context.Context) (any, error) {
		b.release(o.merchant, o.reference) // this request overtakes one that is still on its way
		e, err := b.act(ctx, o, effective(own, all))
		if err != nil {
			return nil, err
		}
		return e.answer(), nil
	})
}

// serveLookup serves the outcome of an act by its reference.
func (b *Bank) serveLookup(w http.ResponseWriter, r *http.Request) {
	merchant, reference := r.PathValue("merchant"), r.PathValue("reference")
	at, err := time.Parse(time.RFC3339Nano, r.FormValue("at"))
	if err != nil || !plain(merchant) || !plain(reference) {
		refuse(w, billing.FieldError(billing.Invalid, "at", "merchant, reference and at (RFC 3339) are needed"))
		return
	}
	own, all, err := b.treatment(r.Context(), merchant)
	if err != nil {
		refuse(w, err)
		return
	}
	f, err := b.fault(r.Context(), own, all, OnLookup, reference)
	if err != nil {
		refuse(w, err)
		return
	}
	b.disturb(w, r, f, asked{OnLookup, reference}, func(ctx context.Context) (any, error) {
		if f.Do == Unseen {
			return nil, errNotFound
		}
		if err := b.lookFor(ctx, merchant, reference); err != nil {
			return nil, err
		}
		e, err := b.lookup(ctx, merchant, reference, at)
		if err != nil {
			return nil, err
		}
		return e.answer(), nil
	})
}

// serveNotices serves what happened to finished charges.
func (b *Bank) serveNotices(w http.ResponseWriter, r *http.Request) {
	merchant := r.PathValue("merchant")
	at, err := time.Parse(time.RFC3339Nano, r.FormValue("at"))
	after, err2 := number(r.FormValue("after"), 0)
	if err != nil || err2 != nil || !plain(merchant) {
		refuse(w, billing.FieldError(billing.Invalid, "at", "merchant, after (a number) and at (RFC 3339) are needed"))
		return
	}
	own, all, err := b.treatment(r.Context(), merchant)
	if err != nil {
		refuse(w, err)
		return
	}
	f, err := b.fault(r.Context(), own, all, OnNotices, "")
	if err != nil {
		refuse(w, err)
		return
	}
	b.disturb(w, r, f, asked{kind: OnNotices}, func(ctx context.Context) (any, error) {
		list, err := b.notices(ctx, merchant, after, effective(own, all), at)
		return map[string][]noticeBody{"notices": list}, err
	})
}

// journalLimit bounds the lines of one answer.
const journalLimit = 1000

func (b *Bank) serveJournal(w http.ResponseWriter, r *http.Request) {
	after, err := number(r.FormValue("after"), 0)
	limit, err2 := number(r.FormValue("limit"), journalLimit)
	if err != nil || err2 != nil || limit < 1 {
		refuse(w, billing.FieldError(billing.Invalid, "after", "after and limit must be numbers"))
		return
	}
	merchant := r.PathValue("merchant")
	lines, err := b.JournalPage(r.Context(), merchant, after, int(min(limit, journalLimit)))
	if err != nil {
		refuse(w, err)
		return
	}
	totals, err := b.Totals(r.Context(), merchant)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"lines": lines, "totals": totals})
}

func (b *Bank) serveFaults(w http.ResponseWriter, r *http.Request) {
	faults, err := b.Faults(r.Context(), r.PathValue("merchant"))
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, faults)
}

func (b *Bank) serveSetFaults(w http.ResponseWriter, r *http.Request) {
	var faults []Fault
	if !read(w, r, &faults) {
		return
	}
	if err := b.SetFaults(r.Context(), r.PathValue("merchant"), faults...); err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, faults)
}

func (b *Bank) serveTerms(w http.ResponseWriter, r *http.Request) {
	terms, err := b.Terms(r.Context(), r.PathValue("merchant"))
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, terms)
}

func (b *Bank) serveSetTerms(w http.ResponseWriter, r *http.Request) {
	var terms Terms
	if !read(w, r, &terms) {
		return
	}
	if err := b.SetTerms(r.Context(), r.PathValue("merchant"), terms); err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, terms)
}

func (b *Bank) serveDeliveries(w http.ResponseWriter, r *http.Request) {
	n, err := b.Deliver(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]int{"delivered": n})
}

// asked is what a request is about: what it asks for, as in Fault.On, and under
// which reference, if it has one.
type asked struct{ kind, reference string }

// disturb serves a request with what a fault says goes wrong. act is not ended
// by a client that gives up.
func (b *Bank) disturb(w http.ResponseWriter, r *http.Request, f Fault, a asked, act func(context.Context) (any, error)) {
	if !wait(r.Context(), f.BeforeMS) {
		panic(http.ErrAbortHandler) // the client gave up before its request arrived
	}
	switch f.Do {
	case TimeoutBefore, Late:
		b.fallSilent(r, a.kind, a.reference)
	case CutBefore:
		panic(http.ErrAbortHandler)
	case ErrorBefore:
		reply(w, http.StatusServiceUnavailable, refusalBody{Error: wordUnavailable})
		return
	}
	answer, err := act(context.WithoutCancel(r.Context()))
	wait(r.Context(), f.AfterMS)
	switch f.Do {
	case TimeoutAfter:
		b.fallSilent(r, a.kind, a.reference)
	case CutAfter:
		panic(http.ErrAbortHandler)
	case ErrorAfter:
		reply(w, http.StatusInternalServerError, refusalBody{Error: wordInternal})
		return
	}
	if err != nil {
		refuse(w, err)
		return
	}
	switch f.Do {
	case CutMidway:
		text, _ := json.Marshal(answer)
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case MalformedAfter:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`<html>{"state":"approved",`))
		return
	case InProgress:
		if a, ok := answer.(answerBody); ok {
			answer = answerBody{ID: a.ID, Reference: a.Reference, State: billing.AttemptUnknown, Message: "in progress"}
		}
	}
	reply(w, http.StatusOK, answer)
}

// fallSilent answers nothing until the client gives up.
func (b *Bank) fallSilent(r *http.Request, kind, reference string) {
	b.silent(kind, reference)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// wait waits, and reports whether the client is still there.
func wait(ctx context.Context, ms int) bool {
	if ms == 0 {
		return true
	}
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// read decodes a body, or refuses it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil || d.More() { // the error may quote a number
		refuse(w, billing.Errorf(billing.Invalid, "the body is not what is described in the bank's README"))
		return false
	}
	return true
}

// refuse answers with an error. Only errors of package billing are told.
func refuse(w http.ResponseWriter, err error) {
	var told *billing.Error
	switch {
	case errors.Is(err, errNotFound):
		reply(w, http.StatusNotFound, refusalBody{Error: wordNotFound})
	case errors.Is(err, errConflict):
		reply(w, http.StatusConflict, refusalBody{Error: wordConflict})
	case errors.As(err, &told):
		message := told.Message
		if told.Field != "" {
			message = told.Field + ": " + message
		}
		reply(w, http.StatusBadRequest, refusalBody{Error: wordInvalid, Message: message})
	default:
		reply(w, http.StatusInternalServerError, refusalBody{Error: wordInternal})
	}
}

// reply writes an answer as JSON. A client that is gone is not told so.
func reply(w http.ResponseWriter, status int, body any) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		panic("sandbox: an answer that does not encode: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// number reads a decimal parameter.
func number(s string, otherwise int64) (int64, error) {
	if s == "" {
		return otherwise, nil
	}
	return strconv.ParseInt(s, 10, 64)
}
