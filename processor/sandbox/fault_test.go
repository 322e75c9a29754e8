package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

func (x *teller) setFaults(t *testing.T, merchant string, faults ...sandbox.Fault) {
	t.Helper()
	if err := x.bank.SetFaults(t.Context(), merchant, faults...); err != nil {
		t.Fatal(err)
	}
}

func TestFaultsChoose(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		x := newTeller(t, db)
		decline := func(code billing.ResponseCode) sandbox.Fault {
			return sandbox.Fault{Do: sandbox.Decline, Response: code}
		}
		with := func(f sandbox.Fault, alter func(*sandbox.Fault)) sandbox.Fault { alter(&f); return f }
		charge := func(reference string, code billing.ResponseCode) {
			t.Helper()
			r := x.card("4111111111111111", 1999)
			r.Reference = reference
			state := billing.AttemptDeclined
			if code == billing.Approved {
				state = billing.AttemptApproved
			}
			want(t, x.Charge, r, state, code)
		}
		x.setFaults(t, sandbox.Everyone, decline("62"))
		charge("e-1", "62")
		x.setFaults(t, "demo",
			with(decline("41"), func(f *sandbox.Fault) { f.Count = 2; f.Reference = "lost-*" }),
			with(decline("43"), func(f *sandbox.Fault) { f.On = []string{"refund"} }),
			with(decline("57"), func(f *sandbox.Fault) { f.Count = 1 }))
		charge("lost-1", "41")
		charge("lost-1", "41") // the same act again: the stored answer, which uses the fault a second time
		charge("lost-2", "57") // the first fault has fired twice, the third fires once
		charge("e-2", "62")    // and then everyone's
		x.setFaults(t, sandbox.Everyone)
		charge("e-3", "00")
		r := x.card("4111111111111111", 1999)
		r.Reference = "e-3"
		want(t, x.Refund, x.back(r, 5, noon), billing.AttemptDeclined, "43")
		got, err := x.bank.Faults(t.Context(), "demo")
		if err != nil || len(got) != 3 || got[0].Reference != "lost-*" {
			t.Errorf("faults %+v, error %v", got, err)
		}
	})
}

// TestFaultsOfAnotherProcess sets faults in one process and meets them in
// another.
func TestFaultsOfAnotherProcess(t *testing.T) {
	sqldbtest.RunAddress(t, func(t *testing.T, address string) {
		x, y := newTeller(t, open(t, address)), newTeller(t, open(t, address))
		want(t, y.Charge, y.card("4111111111111111", 1999), billing.AttemptApproved, "00")
		x.setFaults(t, "demo", sandbox.Fault{Do: sandbox.Decline, Response: "51", Count: 1})
		want(t, y.Charge, y.card("4111111111111111", 1999), billing.AttemptDeclined, "51")
		want(t, x.Charge, y.card("4111111111111111", 1999), billing.AttemptApproved, "00")
	})
}

// TestFaultsDrawLots draws the same lots with the same seed, others with
// another, and about as many as were asked for.
func TestFaultsDrawLots(t *testing.T) {
	draw := func(seed int64) (lots string, declined int) {
		x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
		x.setFaults(t, "demo", sandbox.Fault{Do: sandbox.Decline, Response: "51", PerMillion: 250_000, Seed: seed})
		for range 400 {
			out, err := x.Charge(t.Context(), x.card("4111111111111111", 1999))
			if err != nil {
				t.Fatal(err)
			}
			lots += string(out.Response) + " "
			if out.State == billing.AttemptDeclined {
				declined++
			}
		}
		return lots, declined
	}
	first, declined := draw(7)
	// The lots of a seed are fixed, so this cannot fail by chance.
	if declined < 75 || declined > 125 {
		t.Errorf("%d of 400 were declined, want about 100", declined)
	}
	if again, _ := draw(7); again != first {
		t.Error("the same seed draws other lots")
	}
	if other, _ := draw(8); other == first {
		t.Error("another seed draws the same lots")
	}
}

// TestFaultsDrawAgain asks again under one reference until the lot spares it:
// otherwise what is unlucky once would be so for ever.
func TestFaultsDrawAgain(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	x.setFaults(t, "demo", sandbox.Fault{Do: sandbox.CutAfter, PerMillion: 900_000, Seed: 1})
	r := x.card("4111111111111111", 1999)
	for range 200 {
		if out, err := x.Charge(t.Context(), r); err == nil {
			if out.State != billing.AttemptApproved {
				t.Errorf("%s", out.State)
			}
			return
		}
	}
	t.Error("200 lots of nine in ten were all bad")
}

func TestFaultsRefused(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	for _, f := range []sandbox.Fault{
		{Do: "explode"}, {On: []string{"everything"}}, {Reference: "["}, {Count: -1}, {PerMillion: 1_000_001}, {Do: sandbox.Late, Lookups: -2},
		{BeforeMS: -1}, {AfterMS: 1 << 30}, {Do: sandbox.Decline}, {Do: sandbox.Decline, Response: "00"}, {Do: sandbox.Decline, Response: "no"},
		{Do: sandbox.Late, On: []string{"lookup"}}, {Do: sandbox.Unseen, On: []string{"charge"}},
	} {
		if err := x.bank.SetFaults(t.Context(), "demo", f); billing.KindOf(err) != billing.Invalid {
			t.Errorf("%+v: error %v", f, err)
		}
	}
}

// TestLate lets requests arrive after the client has given up: after a look-up
// that found nothing, when the bank is told to deliver, or when the same request
// is sent again.
func TestLate(t *testing.T) {
	sqldbtest.Run(t, func(t *testing.T, db *sqldb.DB) {
		silent := make(chan string, 1)
		bank, err := sandbox.New(t.Context(), db, sandbox.Options{Silent: func(kind, reference string) { silent <- kind + " " + reference }})
		if err != nil {
			t.Fatal(err)
		}
		driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, sandbox.Embedded(bank))
		if err != nil {
			t.Fatal(err)
		}
		x := &teller{Driver: driver, bank: bank, merchant: "demo"}
		late := func(lookups int) processor.Request {
			t.Helper()
			x.setFaults(t, "demo", sandbox.Fault{Do: sandbox.Late, Lookups: lookups, Count: 1})
			ctx, giveUp := context.WithCancel(t.Context())
			go func() {
				<-silent
				giveUp()
			}()
			r := x.card("4111111111111111", 1999)
			if _, err := x.Charge(ctx, r); err == nil {
				t.Fatal("a late request was answered")
			}
			return r
		}
		lookup := func(r processor.Request, found bool) {
			t.Helper()
			out, err := x.Lookup(t.Context(), "demo", r.Reference, noon)
			if found && (err != nil || out.State != billing.AttemptApproved) {
				t.Errorf("%s: %s, error %v, want approved", r.Reference, out.State, err)
			}
			if !found && !errors.Is(err, processor.ErrNotFound) {
				t.Errorf("%s: %s, error %v, want ErrNotFound", r.Reference, out.State, err)
			}
		}
		byLookup := late(2)
		lookup(byLookup, false)
		lookup(byLookup, false)
		lookup(byLookup, true)

		delivered := late(-1)
		for range 3 {
			lookup(delivered, false)
		}
		if n, err := bank.Deliver(t.Context()); n != 1 || err != nil {
			t.Errorf("delivered %d, error %v", n, err)
		}
		lookup(delivered, true)

		var several []processor.Request
		for range 6 {
			several = append(several, late(-1))
		}
		if n, err := bank.Deliver(t.Context()); n != len(several) || err != nil {
			t.Errorf("delivered %d, error %v", n, err)
		}
		lines, err := bank.Journal(t.Context(), "demo")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range lines[len(lines)-len(several):] {
			if line.Reference != several[i].Reference {
				t.Errorf("%s was delivered where it was the turn of %s", line.Reference, several[i].Reference)
			}
		}

		sentAgain := late(-1)
		want(t, x.Charge, sentAgain, billing.AttemptApproved, "00")
		lookup(sentAgain, true)
		if n, err := bank.Deliver(t.Context()); n != 0 || err != nil {
			t.Errorf("delivered %d, error %v", n, err)
		}
		same(t, "journal", []string{
			"03-01 capture c-1 00 19.99 USD", "03-01 capture c-2 00 19.99 USD", "03-01 capture c-3 00 19.99 USD",
			"03-01 capture c-4 00 19.99 USD", "03-01 capture c-5 00 19.99 USD", "03-01 capture c-6 00 19.99 USD",
			"03-01 capture c-7 00 19.99 USD", "03-01 capture c-8 00 19.99 USD", "03-01 capture c-9 00 19.99 USD",
		}, x.journal(t))
	})
}

// TestUnseen has look-ups that lag behind the act.
func TestUnseen(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	r := x.card("4111111111111111", 1999)
	want(t, x.Charge, r, billing.AttemptApproved, "00")
	x.setFaults(t, "demo", sandbox.Fault{Do: sandbox.Unseen, Count: 1})
	want(t, x.Charge, x.card("4111111111111111", 1999), billing.AttemptApproved, "00") // which it leaves alone
	if _, err := x.Lookup(t.Context(), "demo", r.Reference, noon); !errors.Is(err, processor.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	if out, err := x.Lookup(t.Context(), "demo", r.Reference, noon); err != nil || out.State != billing.AttemptApproved {
		t.Errorf("%s, error %v", out.State, err)
	}
}

func TestErrorBefore(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	x.setFaults(t, "demo", sandbox.Fault{Do: sandbox.ErrorBefore, Count: 2})
	if _, err := x.Charge(t.Context(), x.card("4111111111111111", 1999)); !errors.Is(err, processor.ErrRefused) {
		t.Errorf("the bank says that it did nothing: error %v, want ErrRefused", err)
	}
	if _, err := x.Lookup(t.Context(), "demo", "c-1", noon); err == nil || errors.Is(err, processor.ErrNotFound) {
		t.Errorf("a look-up that the bank did not do: error %v", err)
	}
	same(t, "journal", nil, x.journal(t))
}

// TestDelays waits before and after the act. A client that gives up before the
// act keeps it from happening, one that gives up after it does not.
func TestDelays(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	began := time.Now()
	x.setFaults(t, "demo", sandbox.Fault{BeforeMS: 15, AfterMS: 15})
	want(t, x.Charge, x.card("4111111111111111", 1999), billing.AttemptApproved, "00")
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("took %s", took)
	}
	for before, acted := range map[bool]bool{true: false, false: true} {
		f := sandbox.Fault{AfterMS: 60_000}
		if before {
			f = sandbox.Fault{BeforeMS: 60_000}
		}
		x.setFaults(t, "demo", f)
		ctx, giveUp := context.WithCancel(t.Context())
		r := x.card("4111111111111111", 1999)
		done := make(chan error)
		go func() {
			_, err := x.Charge(ctx, r)
			done <- err
		}()
		x.setFaults(t, "other") // any write: the bank's books work meanwhile
		if acted {
			x.until(t, 2)
		}
		giveUp()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		x.setFaults(t, "demo")
		_, err := x.Lookup(t.Context(), "demo", r.Reference, noon)
		if acted != (err == nil) {
			t.Errorf("delay before the act %v: look-up error %v", before, err)
		}
	}
}

// TestWire speaks the bank's wire by hand.
func TestWire(t *testing.T) {
	x := newTeller(t, sqldbtest.Open(t, sqldb.SQLite))
	server := httptest.NewServer(x.bank.Handler())
	defer server.Close()
	const charge = `{"reference":"w-1","amount":1999,"currency":"USD","instrument":"visa-credit","number":"4111111111111111","expiry":"1229","at":"2026-03-01T12:00:00Z"}`
	tests := []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"POST", "/v1/merchants/demo/charges", charge, 200,
			`{"id":"sb-1","reference":"w-1","state":"approved","response":"00","message":"approved","approval_code":"007919","amount":1999,"currency":"USD"}`},
		{"POST", "/v1/merchants/demo/charges", strings.Replace(charge, "1999", "2999", 1), 409, `{"error":"conflict"}`},
		{"GET", "/v1/merchants/demo/references/w-1?at=2026-03-01T12:00:00Z", "", 200,
			`{"id":"sb-1","reference":"w-1","state":"approved","response":"00","message":"approved","approval_code":"007919","amount":1999,"currency":"USD"}`},
		{"GET", "/v1/merchants/demo/references/w-2?at=2026-03-01T12:00:00Z", "", 404, `{"error":"not-found"}`},
		{"GET", "/v1/merchants/demo/references/w-2", "", 400, `{"error":"invalid","message":"at: merchant, reference and at (RFC 3339) are needed"}`},
		{"GET", "/v1/merchants/demo/notices?at=2026-03-01T12:00:00Z", "", 200, `{"notices":null}`},
		{"GET", "/v1/merchants/demo/notices?after=x&at=2026-03-01T12:00:00Z", "", 400,
			`{"error":"invalid","message":"at: merchant, after (a number) and at (RFC 3339) are needed"}`},
		{"GET", "/v1/merchants/demo/journal", "", 200, `{"lines":[{"seq":1,"at":"2026-03-01T12:00:00Z","kind":"capture","reference":"w-1","response":"00",` +
			`"amount":1999,"currency":"USD","instrument":"visa-credit","masked":"4***********1111"}],` +
			`"totals":[{"kind":"capture","currency":"USD","count":1,"amount":1999,"declined":0}]}`},
		{"GET", "/v1/merchants/demo/journal?after=1", "", 200, `{"lines":null,"totals":[{"kind":"capture","currency":"USD","count":1,"amount":1999,"declined":0}]}`},
		{"GET", "/v1/merchants/demo/journal?limit=0", "", 400, `{"error":"invalid","message":"after: after and limit must be numbers"}`},
		{"PUT", "/v1/merchants/demo/faults", `[{"do":"decline","response":"51","count":3}]`, 200, `[{"count":3,"do":"decline","response":"51"}]`},
		{"GET", "/v1/merchants/demo/faults", "", 200, `[{"count":3,"do":"decline","response":"51"}]`},
		{"PUT", "/v1/merchants/demo/faults", `[{"do":"explode"}]`, 400, `{"error":"invalid","message":"do: is no trouble that the bank knows"}`},
		{"PUT", "/v1/merchants/demo/faults", `[{"does":"decline"}]`, 400, `{"error":"invalid","message":"the body is not what is described in the bank's README"}`},
		{"PUT", "/v1/merchants/*/faults", `[]`, 200, `[]`},
		{"PUT", "/v1/merchants/demo/terms", `{"settle_days":5}`, 200, `{"settle_days":5}`},
		{"GET", "/v1/merchants/demo/terms", "", 200, `{"amounts":"current","settle_days":5,"late_days":3}`},
		{"POST", "/v1/deliveries", "", 200, `{"delivered":0}`},
		{"POST", "/v1/merchants/demo/charges", `{"number":4111111111111111}`, 400, `{"error":"invalid","message":"the body is not what is described in the bank's README"}`},
		{"POST", "/v1/merchants/demo/charges", charge + charge, 400, `{"error":"invalid","message":"the body is not what is described in the bank's README"}`},
		{"POST", "/v1/merchants/demo/charges", `{"note":"` + strings.Repeat("x", 70_000) + `"}`, 400, `{"error":"invalid","message":"the body is not what is described in the bank's README"}`},
		{"POST", "/v1/merchants/demo/charges", strings.Replace(charge, "USD", "XXX", 1), 400, `{"error":"invalid","message":"currency: must be a code of ISO 4217"}`},
		{"POST", "/v1/merchants/demo/charges", strings.Replace(charge, "visa-credit", "cash", 1), 400, `{"error":"invalid","message":"instrument: must be a card or a bank account"}`},
		{"POST", "/v1/merchants/demo/charges", strings.Replace(charge, "1999", "0", 1), 400, `{"error":"invalid","message":"amount: must be from 1 to 9999999999 minor units"}`},
		{"POST", "/v1/merchants/demo/charges", strings.Replace(charge, "w-1", "", 1), 400, `{"error":"invalid","message":"reference: must be 1 to 100 printable characters"}`},
		{"POST", "/v1/merchants/demo/voids", strings.Replace(charge, "w-1", "w-9", 1), 400, `{"error":"invalid","message":"original: the reference or id of the original is needed"}`},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			same(t, "answer", tt.answer, strings.TrimSpace(string(text)))
		})
	}
}

// TestDriverTrustsTheBankAlone answers in place of the bank.
func TestDriverTrustsTheBankAlone(t *testing.T) {
	answer := func(reference string) string {
		return fmt.Sprintf(`{"id":"sb-1","reference":%q,"state":"approved","response":"00"}`, reference)
	}
	tests := []struct {
		name   string
		status int
		body   string
		is     error // nil: an error of no kind
	}{
		{"a proxy's 404", 404, "<html>not found</html>", nil},
		{"a 404 in JSON", 404, `{"error":"no such page"}`, nil},
		{"the bank's 404", 404, `{"error":"not-found"}`, processor.ErrNotFound},
		{"a proxy's 400", 400, "bad request", nil},
		{"the bank's 400", 400, `{"error":"invalid"}`, processor.ErrRefused},
		{"a 409", 409, "", nil},
		{"the bank's 409", 409, `{"error":"conflict"}`, processor.ErrConflict},
		{"a 503", 503, "", nil},
		{"the bank's 503", 503, `{"error":"unavailable"}`, processor.ErrRefused},
		{"words of 400 with 500", 500, `{"error":"invalid"}`, nil},
		{"another's answer", 200, answer("c-2"), nil},
		{"no answer", 200, "", nil},
		{"an endless answer", 200, `{"reference":"` + strings.Repeat("x", 2<<20) + `"}`, nil},
		{"a 201", 201, answer("c-1"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			driver, err := sandbox.NewDriver(server.URL, http.DefaultTransport)
			if err != nil {
				t.Fatal(err)
			}
			x := &teller{Driver: driver, merchant: "demo"}
			out, err := x.Charge(t.Context(), x.card("4111111111111111", 1999))
			if err == nil {
				t.Fatalf("an outcome came: %s", out.State)
			}
			for _, sure := range []error{processor.ErrNotFound, processor.ErrRefused, processor.ErrConflict, processor.ErrNotSent} {
				if errors.Is(err, sure) != (sure == tt.is) {
					t.Errorf("error %v, want of kind %v", err, tt.is)
				}
			}
		})
	}
}

func TestDriverFollowsNobody(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the number went to another address")
	}))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	driver, err := sandbox.NewDriver(server.URL, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	x := &teller{Driver: driver, merchant: "demo"}
	if out, err := x.Charge(t.Context(), x.card("4111111111111111", 1999)); err == nil {
		t.Errorf("an outcome came: %s", out.State)
	}
	for _, address := range []string{"", "bank", "ftp://bank", "http://", "http://user:pw@bank", "http://bank?x=1", "http://ba nk"} {
		if _, err := sandbox.NewDriver(address, http.DefaultTransport); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("address %q: error %v", address, err)
		}
	}
}
