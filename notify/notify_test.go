package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

var ctx = context.Background()

// here is where the tests' receivers listen.
var here = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// plain is a form for tests: each event is a message of its kind and of what is
// known of its customer, in a lane for each customer if the endpoint wants that.
func plain() *notify.Form {
	return &notify.Form{
		Dialect: "plain",
		Policy:  notify.Policy{Pauses: []time.Duration{time.Minute, time.Hour}, Timeout: 10 * time.Second},
		Tells:   func(k billing.EventKind) bool { return k != billing.PlanCreated },
		Encode: func(ctx context.Context, t *notify.Telling) (list []notify.Message, err error) {
			text := string(t.Event.Kind)
			if t.Event.CustomerID != 0 {
				c, err := t.View.Customer(ctx, t.Event.CustomerID)
				if err != nil {
					return nil, err
				}
				if c.LastName == "Panic" {
					panic("a form that stumbles")
				}
				text += " " + c.Code + " " + c.LastName
			}
			for _, e := range t.Endpoints {
				m := notify.Message{To: e.ID, Kind: string(t.Event.Kind), Customer: t.Event.CustomerID, Query: "from=plain",
					ContentType: "text/plain", Body: []byte(text)}
				if string(e.Settings) == `"lanes"` {
					m.Lane = int64(t.Event.CustomerID)
				}
				list = append(list, m)
			}
			return list, nil
		},
		Check: func(json.RawMessage) error { return nil },
	}
}

// world is a shop with a courier.
type world struct {
	*cashiertest.Shop
	t       *testing.T
	courier *notify.Courier
	log     *bytes.Buffer
	form    *notify.Form

	mu       sync.Mutex
	outcomes map[notify.Outcome]int
}

func open(t *testing.T, s *cashiertest.Shop, change ...func(*notify.Options)) *world {
	t.Helper()
	w := &world{Shop: s, t: t, log: &bytes.Buffer{}, form: plain(), outcomes: make(map[notify.Outcome]int)}
	w.courier = w.another(s.Store, change...)
	return w
}

// another makes a courier on a store of its own, as another process would.
func (w *world) another(st *store.Store, change ...func(*notify.Options)) *notify.Courier {
	w.t.Helper()
	o := notify.Options{Store: st, Cashier: w.Cashier, Now: w.Wall.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Forms: []*notify.Form{w.form}, Allow: here, Poll: 10 * time.Millisecond, Keep: -1,
		Sent: func(_ string, o notify.Outcome) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes[o]++
		}}
	for _, f := range change {
		f(&o)
	}
	c, err := notify.New(o)
	w.must(err)
	return c
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// endpoint has the merchant told at an address.
func (w *world) endpoint(code, url string, change ...func(*billing.Endpoint, *billing.EndpointSecrets)) *billing.Endpoint {
	w.t.Helper()
	e, secrets := &billing.Endpoint{Code: code, Dialect: "plain", URL: url}, billing.EndpointSecrets{}
	for _, f := range change {
		f(e, &secrets)
	}
	w.must(w.Cashier.AddEndpoint(ctx, w.Session(), e, secrets))
	return e
}

func lanes(e *billing.Endpoint, _ *billing.EndpointSecrets) { e.Settings = json.RawMessage(`"lanes"`) }

func (w *world) once() {
	w.t.Helper()
	w.must(w.courier.Once(ctx))
}

// rename changes a customer, which is an event.
func (w *world) rename(c cashier.Ref, name string) {
	w.t.Helper()
	_, err := w.Cashier.ModifyCustomer(ctx, w.Session(), c, func(c *billing.Customer) { c.LastName = name })
	w.must(err)
}

func (w *world) deliveries(f store.DeliveryFilter) (list []*billing.Delivery) {
	w.t.Helper()
	f.Page = store.Page{Limit: 10000}
	w.must(w.Store.View(ctx, w.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Deliveries(ctx, f)
		return err
	}))
	return list
}

func (w *world) tries(d *billing.Delivery) (list []billing.Try) {
	w.t.Helper()
	w.must(w.Store.View(ctx, w.Merchant.ID, func(v *store.View) (err error) {
		list, err = v.Tries(ctx, d.ID)
		return err
	}))
	return list
}

// receiver is a merchant's server. It answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []arrival
	busy   map[string]bool // ids that are being received
	clash  bool            // the same id came twice at once
	status func(body string) int
	hold   chan struct{} // nil, or what to wait for before the answer
	came   chan string
}

type arrival struct {
	id, body, query string
	header          http.Header
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{busy: make(map[string]bool), status: func(string) int { return http.StatusOK }, came: make(chan string, 10000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		id := q.Header.Get("webhook-id")
		r.mu.Lock()
		r.clash = r.clash || r.busy[id]
		r.busy[id] = true
		r.got = append(r.got, arrival{id, string(body), q.URL.RawQuery, q.Header.Clone()})
		status, hold := r.status(string(body)), r.hold
		r.mu.Unlock()
		r.came <- string(body)
		if hold != nil {
			<-hold
		}
		r.mu.Lock()
		delete(r.busy, id)
		r.mu.Unlock()
		w.WriteHeader(status)
		_, _ = w.Write([]byte("thanks\x1b[31m\n" + strings.Repeat("x", 10000)))
	}))
	t.Cleanup(r.Close)
	return r
}

// answers sets how the receiver answers from now on.
func (r *receiver) answers(status func(body string) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func always(status int) func(string) int { return func(string) int { return status } }

func (r *receiver) bodies() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, a := range r.got {
		list = append(list, a.body)
	}
	return list
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("received\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestTold: what is committed is told once, what is rolled back is not, and what
// came before there was an endpoint is not.
func TestTold(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		w.Customer("early")
		r := receive(t)
		w.endpoint("main", r.URL+"/hook?key=1")
		w.Customer("anne")
		broken := errors.New("broken")
		err := w.Store.Update(ctx, w.Merchant.ID, func(tx *store.Tx) error {
			if err := tx.InsertEvents(ctx, []billing.Event{{Kind: billing.PaymentApproved, ObjectID: 7, CreatedAt: w.Wall.Now()}}); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		w.once()
		w.once()
		equal(t, r.bodies(), []string{"customer.created anne Smith"})
		if a := r.got[0]; a.query != "key=1&from=plain" || a.header.Get("Content-Type") != "text/plain" || a.id == "" {
			t.Errorf("received %+v", a)
		}
		d := w.deliveries(store.DeliveryFilter{})[0]
		if d.State != billing.DeliveryDone || d.Tries != 1 {
			t.Errorf("delivery %+v", d)
		}
		try := w.tries(d)[0]
		if try.Status != 200 || !strings.HasPrefix(try.Answer, "thanks[31m xxx") || len(try.Answer) > 500 {
			t.Errorf("try %+v", try)
		}
		if w.outcomes[notify.Delivered] != 1 {
			t.Errorf("outcomes %v", w.outcomes)
		}
	})
}

// TestLateCommit: an event whose transaction commits after one with a larger id
// was told is told as well.
func TestLateCommit(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		if s.Store.Engine().String() == "sqlite" {
			t.Skip("SQLite has one writer: its commits are in the order of ids")
		}
		w := open(t, s)
		r := receive(t)
		w.endpoint("main", r.URL)
		written, proceed, done := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			done <- w.Store.Update(ctx, w.Merchant.ID, func(tx *store.Tx) error {
				err := tx.InsertEvents(ctx, []billing.Event{{Kind: billing.PaymentUnknown, ObjectID: 1, CreatedAt: w.Wall.Now()}})
				close(written)
				<-proceed
				return err
			})
		}()
		<-written
		w.Customer("anne") // with a larger id, and committed first
		w.once()
		equal(t, r.bodies(), []string{"customer.created anne Smith"})
		close(proceed)
		w.must(<-done)
		w.once()
		equal(t, r.bodies(), []string{"customer.created anne Smith", "payment.unknown"})
	})
}

// TestNodes: two processes share the work of many writers. Everything is told
// once, and no try is under way twice.
func TestNodes(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		r := receive(t)
		r.answers(func(body string) int {
			if strings.HasSuffix(body, "7 Smith") && !slices.Contains(seen(r), body) {
				return http.StatusBadGateway
			}
			return http.StatusOK
		})
		w.endpoint("main", r.URL)
		second, err := store.Open(ctx, s.Address, store.Options{Now: s.Wall.Now, MaxConns: 4, Volatile: true})
		w.must(err)
		t.Cleanup(func() { w.must(second.Close()) })
		running, stop := context.WithCancel(ctx)
		defer stop()
		var nodes sync.WaitGroup
		for _, c := range []*notify.Courier{w.courier, w.another(second)} {
			nodes.Go(func() { _ = c.Run(running) })
		}
		const writers, each = 4, 10
		session := w.Session()
		var storm sync.WaitGroup
		for i := range writers {
			storm.Go(func() {
				for j := range each {
					c := &billing.Customer{Code: fmt.Sprintf("c%d-%d", i, j), LastName: "Smith", Active: true}
					if err := w.Cashier.Enroll(ctx, session, s.Account.Code, c); err != nil {
						t.Error(err)
					}
				}
			})
		}
		storm.Wait()
		for range writers * each {
			<-r.came
		}
		stop()
		nodes.Wait()
		s.Wall.Forward(2 * time.Minute)
		w.once() // the four that were refused
		got := map[string]int{}
		for _, b := range r.bodies() {
			got[b]++
		}
		for body, n := range got {
			want := 1
			if strings.HasSuffix(body, "7 Smith") {
				want = 2
			}
			if n != want {
				t.Errorf("%q was received %d times, want %d", body, n, want)
			}
		}
		if len(got) != writers*each || r.clash {
			t.Errorf("%d of %d were told; the same at once: %t", len(got), writers*each, r.clash)
		}
		if n := len(w.deliveries(store.DeliveryFilter{State: billing.DeliveryDone})); n != writers*each {
			t.Errorf("%d deliveries are done", n)
		}
	})
}

// seen is what came before the present request; the receiver is locked.
func seen(r *receiver) []string {
	var list []string
	for _, a := range r.got[:len(r.got)-1] {
		list = append(list, a.body)
	}
	return list
}

// TestLanes: within a lane the next goes when the one before has been taken or
// given up; other lanes do not wait.
func TestLanes(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		anne, bert := w.Customer("anne"), w.Customer("bert")
		r := receive(t)
		w.endpoint("main", r.URL, lanes)
		r.answers(func(body string) int {
			if strings.HasPrefix(body, "customer.changed anne") {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		})
		w.rename(anne, "One")
		w.once()
		w.rename(anne, "Two") // while the first still waits
		w.rename(bert, "Free")
		w.once()
		equal(t, r.bodies(), []string{"customer.changed anne One", "customer.changed bert Free"})
		var untold store.Undelivered
		w.must(w.Store.View(ctx, w.Merchant.ID, func(v *store.View) (err error) {
			untold, err = v.Undelivered(ctx)
			return err
		}))
		if untold.Waiting != 2 || !untold.Oldest.Equal(s.Wall.Now()) {
			t.Errorf("untold: %+v", untold)
		}
		if held := w.deliveries(store.DeliveryFilter{State: billing.DeliveryHeld}); len(held) != 1 || string(held[0].Body) != "customer.changed anne Two" {
			t.Fatalf("held: %v", held)
		}
		s.Wall.Forward(time.Minute)
		w.once()
		s.Wall.Forward(time.Hour)
		w.once() // the third try fails too: it is given up, and the next goes at once
		want := []string{"customer.changed anne One", "customer.changed bert Free", "customer.changed anne One", "customer.changed anne One",
			"customer.changed anne Two"}
		equal(t, r.bodies(), want)
		r.answers(always(http.StatusNoContent))
		s.Wall.Forward(time.Minute)
		w.once()
		equal(t, r.bodies(), append(want, "customer.changed anne Two"))
	})
}

// TestSlow: a receiver that does not answer keeps no other waiting, and has no
// more requests under way than are allowed.
func TestSlow(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s, func(o *notify.Options) { o.PerEndpoint = 2 })
		slow, fast := receive(t), receive(t)
		slow.hold = make(chan struct{})
		w.endpoint("slow", slow.URL)
		w.endpoint("fast", fast.URL)
		running, stop := context.WithCancel(ctx)
		done := make(chan error)
		go func() { done <- w.courier.Run(running) }()
		const n = 20
		for i := range n {
			w.Customer(fmt.Sprintf("c%d", i))
		}
		for range n {
			<-fast.came // the slow one still has its first
		}
		if got := len(slow.bodies()); got > 2 {
			t.Errorf("%d requests are under way at the slow receiver", got)
		}
		close(slow.hold)
		for range n {
			<-slow.came
		}
		stop()
		w.must(<-done)
	})
}

// TestNotReady tells nothing while the books are not known to be the right ones,
// and everything afterwards.
func TestNotReady(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		trouble := errors.New("restored")
		w := open(t, s, func(o *notify.Options) { o.Ready = func(context.Context) error { return trouble } })
		r := receive(t)
		w.endpoint("main", r.URL)
		w.Customer("anne")
		w.once()
		if got := r.bodies(); len(got) > 0 {
			t.Errorf("told %q", got)
		}
		trouble = nil
		w.once()
		if got := r.bodies(); len(got) != 1 {
			t.Errorf("told %q", got)
		}
	})
}

// TestRetries: a failed try is repeated with the same bytes and the same id after
// the pauses of the form, by the world's clock, and given up after the last.
func TestRetries(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		r := receive(t)
		w.endpoint("main", r.URL)
		r.answers(always(http.StatusInternalServerError))
		anne := w.Customer("anne")
		w.once()
		w.must(w.Store.Update(ctx, w.Merchant.ID, func(tx *store.Tx) error { // what is told now has another name
			c, err := tx.Customer(ctx, billing.CustomerID(anne.ID))
			if err != nil {
				return err
			}
			c.LastName = "Changed"
			return tx.UpdateCustomer(ctx, c)
		}))
		for _, step := range []struct {
			after time.Duration
			tries int
		}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {time.Minute, 2}, {59 * time.Minute, 3}, {240 * time.Hour, 3}} {
			s.Wall.Forward(step.after)
			w.once()
			if n := len(r.bodies()); n != step.tries {
				t.Fatalf("%d tries after another %s, want %d", n, step.after, step.tries)
			}
		}
		for _, a := range r.got {
			if a.body != "customer.created anne Smith" || a.id != r.got[0].id {
				t.Errorf("received %+v", a)
			}
		}
		d := w.deliveries(store.DeliveryFilter{})[0]
		if d.State != billing.DeliveryGivenUp || w.outcomes[notify.Failed] != 2 || w.outcomes[notify.GivenUp] != 1 {
			t.Errorf("delivery %+v, outcomes %v", d, w.outcomes)
		}
		if text := w.log.String(); !strings.Contains(text, "given up") || strings.Contains(text, "anne") {
			t.Errorf("log: %s", text)
		}

		r.answers(always(http.StatusOK))
		w.resend(d)
		w.once()
		got := r.got[len(r.got)-1]
		if got.body != "customer.created anne Smith" || got.id != r.got[0].id {
			t.Errorf("resent %+v", got)
		}
		if tries := w.tries(d); len(tries) != 4 || tries[3].Status != 200 {
			t.Errorf("tries %+v", tries)
		}
	})
}

func (w *world) resend(d *billing.Delivery) {
	w.t.Helper()
	w.must(notify.Resend(ctx, w.Store, d, billing.Act{Who: "Eve", At: w.Wall.Now()}))
}

// TestKilled: a process that dies after it has sent a message, and before it has
// written that down, leaves it to be sent again under the same id.
func TestKilled(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		r := receive(t)
		w.endpoint("main", r.URL)
		w.Customer("anne")
		doomed, err := store.Open(ctx, s.Address, store.Options{Now: s.Wall.Now, MaxConns: 4, Volatile: true})
		w.must(err)
		r.answers(func(string) int {
			w.must(doomed.Close()) // nothing of what follows is written down
			return http.StatusOK
		})
		_ = w.another(doomed).Once(ctx)
		r.answers(always(http.StatusOK))
		w.once() // the lease still holds
		equal(t, r.bodies(), []string{"customer.created anne Smith"})
		s.Wall.Forward(time.Minute)
		w.once()
		equal(t, r.bodies(), []string{"customer.created anne Smith", "customer.created anne Smith"})
		if r.got[0].id != r.got[1].id {
			t.Error("the second time under another id")
		}
		s.Wall.Forward(time.Hour)
		w.once()
		if n := len(r.bodies()); n != 2 {
			t.Errorf("received %d times", n)
		}
	})
}

// TestProof: a receiver can tell who is telling; the books and the log do not
// show what it is proved with.
func TestProof(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		r := receive(t)
		e := w.endpoint("main", r.URL, func(e *billing.Endpoint, s *billing.EndpointSecrets) {
			e.Login = "hooks"
			s.Password, s.HMACKey = billing.NewSecret("canary-password"), billing.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		})
		w.Customer("anne")
		w.once()
		got := r.got[0]
		if user, password, ok := (&http.Request{Header: got.header}).BasicAuth(); !ok || user != "hooks" || password != "canary-password" {
			t.Error("not the login")
		}
		if h := got.header.Get("webhook-signature"); len(h) != len("v1,")+44 {
			t.Errorf("signature %q", h)
		}
		if bytes.Contains(e.Sealed, []byte("canary")) || strings.Contains(fmt.Sprintf("%+v", w.deliveries(store.DeliveryFilter{})), "canary") {
			t.Error("a secret can be read")
		}
		other := *e
		other.ID++
		if _, err := w.Cashier.EndpointSecrets(w.Merchant, &other); err == nil {
			t.Error("secrets open for another endpoint")
		}
	})
}

// TestClosedNetworks: a receiver in a network of the machine's own is not dialled
// unless the operator allows it, by whatever name.
func TestClosedNetworks(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s, func(o *notify.Options) { o.Allow = nil })
		r := receive(t)
		w.endpoint("number", r.URL)
		w.endpoint("name", strings.Replace(r.URL, "127.0.0.1", "localhost", 1))
		w.Customer("anne")
		w.once()
		if got := r.bodies(); len(got) > 0 {
			t.Fatalf("received %q", got)
		}
		for _, d := range w.deliveries(store.DeliveryFilter{}) {
			if try := w.tries(d)[0]; try.Status != 0 || !strings.Contains(try.Fault, "--webhook-allow") {
				t.Errorf("try %+v", try)
			}
		}
	})
}

// TestRedirects: a redirect is a failure, unless the form follows some; 410 ends
// the tries where the form says so.
func TestRedirects(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		r := receive(t)
		from := httptest.NewServer(http.RedirectHandler(r.URL, http.StatusTemporaryRedirect))
		t.Cleanup(from.Close)
		w.endpoint("main", from.URL)
		w.Customer("anne")
		w.once()
		if try := w.tries(w.deliveries(store.DeliveryFilter{})[0])[0]; try.Status != http.StatusTemporaryRedirect || len(r.bodies()) != 0 {
			t.Fatalf("try %+v, received %q", try, r.bodies())
		}
		w.form = plain()
		w.form.Policy.Redirects, w.form.Policy.Gone = 1, true
		w.courier = w.another(w.Store)
		s.Wall.Forward(time.Minute)
		w.once()
		equal(t, r.bodies(), []string{"customer.created anne Smith"})
		r.answers(always(http.StatusGone))
		w.Customer("bert")
		w.once()
		if d := w.deliveries(store.DeliveryFilter{})[1]; d.State != billing.DeliveryGivenUp || d.Tries != 1 {
			t.Errorf("delivery %+v", d)
		}
	})
}

// TestStumble: an event that a form cannot tell keeps no other from being told.
func TestStumble(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s)
		r := receive(t)
		w.endpoint("main", r.URL)
		anne := w.Customer("anne")
		w.rename(anne, "Panic")
		w.Customer("bert")
		w.once()
		equal(t, r.bodies(), []string{"customer.created bert Smith"}) // anne was Panic by the time of telling
		if !strings.Contains(w.log.String(), "is not told") {
			t.Errorf("log: %s", w.log)
		}
	})
}

// TestErased: what was told of a person can be blanked, is not told any more, and
// does not hold up its lane; old deliveries go by themselves.
func TestErased(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		w := open(t, s, func(o *notify.Options) { o.Keep = 24 * time.Hour })
		r := receive(t)
		w.endpoint("main", r.URL, lanes)
		r.answers(always(http.StatusBadGateway))
		anne := w.Customer("anne")
		w.once()
		w.must(w.Store.Update(ctx, w.Merchant.ID, func(tx *store.Tx) error {
			return tx.EraseDeliveries(ctx, billing.CustomerID(anne.ID), w.Wall.Now())
		}))
		d := w.deliveries(store.DeliveryFilter{Customer: billing.CustomerID(anne.ID)})[0]
		if d.Body != nil || d.State != billing.DeliveryGivenUp || w.tries(d)[0].Answer != "" {
			t.Errorf("delivery %+v", d)
		}
		if err := notify.Resend(ctx, w.Store, d, billing.Act{Who: "Eve", At: w.Wall.Now()}); billing.KindOf(err) != billing.State {
			t.Errorf("resent what was erased: %v", err)
		}
		r.answers(always(http.StatusOK))
		w.rename(anne, "Later")
		w.once()
		if got := r.bodies(); len(got) != 2 || got[1] != "customer.changed anne Later" {
			t.Errorf("received %q", got)
		}
		s.Wall.Forward(25 * time.Hour)
		w.once()
		if left := w.deliveries(store.DeliveryFilter{}); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}
