package processor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
)

const (
	number = "4111111111111111"
	code   = "917"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// scripted is a driver whose answers a test writes down.
type scripted struct {
	name    string
	act     func(context.Context, Request) (billing.Outcome, error)
	lookup  func(context.Context) (billing.Outcome, error)
	notices []billing.Notice
	failure error
}

func (s *scripted) Name() string { return s.name }

func (s *scripted) Charge(ctx context.Context, r Request) (billing.Outcome, error) {
	return s.act(ctx, r)
}

func (s *scripted) Void(context.Context, Request) (billing.Outcome, error) {
	return billing.Outcome{State: billing.AttemptApproved, Response: "00", Message: "void"}, nil
}

func (s *scripted) Refund(context.Context, Request) (billing.Outcome, error) {
	return billing.Outcome{State: billing.AttemptApproved, Response: "00", Message: "refund"}, nil
}

func (s *scripted) Lookup(ctx context.Context, _, _ string, _ time.Time) (billing.Outcome, error) {
	return s.lookup(ctx)
}

// generous is a scripted driver with both optional interfaces.
type generous struct{ scripted }

func (g *generous) Credit(context.Context, Request) (billing.Outcome, error) {
	return billing.Outcome{State: billing.AttemptApproved, Response: "00", Message: "credit"}, nil
}

func (g *generous) Notices(context.Context, string, int64, time.Time) ([]billing.Notice, error) {
	return g.notices, g.failure
}

func request() Request {
	return Request{
		Merchant: "demo", Reference: "a-1", Original: "a-0", Amount: billing.Minor(1999, "USD"),
		Instrument: billing.VisaCredit, Number: billing.NewSecret(number), Expiry: "1227",
		SecurityCode: billing.NewSecret(code), At: noon,
	}
}

func account(t *testing.T, d Driver, o Options) *Account {
	t.Helper()
	a, err := New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func answering(out billing.Outcome, err error) *scripted {
	return &scripted{name: "test", act: func(context.Context, Request) (billing.Outcome, error) { return out, err }}
}

func usd(minor int64) billing.Money { return billing.Minor(minor, "USD") }

// moneyEqual lets cmp look into amounts.
var moneyEqual = cmp.Comparer(func(a, b billing.Money) bool { return a == b })

func TestDoJudges(t *testing.T) {
	approved := func(o billing.Outcome) billing.Outcome {
		o.State = billing.AttemptApproved
		if o.Response == "" {
			o.Response = billing.Approved
		}
		return o
	}
	nonsense := unknown("the processor's answer contradicts itself or the request")
	tests := []struct {
		name   string
		answer billing.Outcome
		err    error
		want   billing.Outcome
	}{
		{"approved", approved(billing.Outcome{Message: "ok", ApprovalCode: "A12345", ProcessorID: "x-9"}), nil,
			approved(billing.Outcome{Message: "ok", ApprovalCode: "A12345", ProcessorID: "x-9"})},
		{"approved in full", approved(billing.Outcome{Amount: usd(1999)}), nil, approved(billing.Outcome{Amount: usd(1999)})},
		{"approved for less", approved(billing.Outcome{Amount: usd(999)}), nil,
			approved(billing.Outcome{Response: "10", Amount: usd(999)})},
		{"partial without amount", approved(billing.Outcome{Response: "10"}), nil, nonsense},
		{"partial of the whole", approved(billing.Outcome{Response: "10", Amount: usd(1999)}), nil, nonsense},
		{"approved for more", approved(billing.Outcome{Amount: usd(2000)}), nil, nonsense},
		{"approved below zero", approved(billing.Outcome{Amount: usd(-1999)}), nil, nonsense},
		{"approved in yen", approved(billing.Outcome{Amount: billing.Minor(1999, "JPY")}), nil, nonsense},
		{"approved in no currency", approved(billing.Outcome{Amount: billing.Minor(1999, "")}), nil, nonsense},
		{"approved with a decline's code", approved(billing.Outcome{Response: "51"}), nil, nonsense},
		{"approved without a code", billing.Outcome{State: billing.AttemptApproved}, nil, nonsense},
		{"declined", billing.Outcome{State: billing.AttemptDeclined, Response: "51", Message: "no funds", ApprovalCode: "odd", Amount: usd(3)}, nil,
			billing.Outcome{State: billing.AttemptDeclined, Response: "51", Message: "no funds"}},
		{"declined with an unlisted code", billing.Outcome{State: billing.AttemptDeclined, Response: "N7"}, nil,
			billing.Outcome{State: billing.AttemptDeclined, Response: "N7"}},
		{"declined with approval's code", billing.Outcome{State: billing.AttemptDeclined, Response: "00"}, nil, nonsense},
		{"declined in words", billing.Outcome{State: billing.AttemptDeclined, Response: "no funds"}, nil, nonsense},
		{"pending", billing.Outcome{State: billing.AttemptPending, Response: "00", SettlesAt: noon}, nil,
			billing.Outcome{State: billing.AttemptPending, Response: "00", SettlesAt: noon}},
		{"unknown", billing.Outcome{State: billing.AttemptUnknown, Message: "busy", ProcessorID: "x-9"}, nil,
			billing.Outcome{State: billing.AttemptUnknown, Message: "busy", ProcessorID: "x-9"}},
		{"sending", billing.Outcome{State: billing.Sending, Response: "00"}, nil, nonsense},
		{"nothing", billing.Outcome{}, nil, nonsense},
		{"cut", approved(billing.Outcome{}), errors.New("unexpected EOF"), unknown("no clear answer came from the processor")},
		{"late", billing.Outcome{}, fmt.Errorf("post: %w", context.DeadlineExceeded), unknown("the processor did not answer in time")},
		{"conflict", billing.Outcome{}, fmt.Errorf("409: %w", ErrConflict), unknown("the processor knows this reference from another act")},
		{"not sent", billing.Outcome{}, fmt.Errorf("dial: %w", ErrNotSent),
			notDone("91", "the processor could not be reached; nothing was sent")},
		{"refused", billing.Outcome{}, fmt.Errorf("401: %w", ErrRefused),
			notDone("96", "the processor refused the request; nothing was done")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := account(t, answering(tt.answer, tt.err), Options{}).Do(t.Context(), billing.AskCharge, request())
			if diff := cmp.Diff(tt.want, got, moneyEqual); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDoSendsNothingThatMakesNoSense(t *testing.T) {
	tests := []struct {
		name  string
		kind  billing.AttemptKind
		spoil func(*Request)
		code  billing.ResponseCode
	}{
		{"no reference", billing.AskCharge, func(r *Request) { r.Reference = "" }, "12"},
		{"long reference", billing.AskCharge, func(r *Request) { r.Reference = strings.Repeat("x", 101) }, "12"},
		{"no merchant", billing.AskCharge, func(r *Request) { r.Merchant = "" }, "12"},
		{"no amount", billing.AskCharge, func(r *Request) { r.Amount = usd(0) }, "13"},
		{"negative amount", billing.AskCharge, func(r *Request) { r.Amount = usd(-1) }, "13"},
		{"no currency", billing.AskCharge, func(r *Request) { r.Amount = billing.Minor(5, "") }, "13"},
		{"void of nothing", billing.AskVoid, func(r *Request) { r.Original = "" }, "25"},
		{"refund of nothing", billing.AskRefund, func(r *Request) { r.Original = "" }, "25"},
		{"credit without the ability", billing.AskCredit, func(*Request) {}, "58"},
		{"no kind", "", func(*Request) {}, "12"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &scripted{name: "test", act: func(context.Context, Request) (billing.Outcome, error) {
				t.Error("the driver was asked")
				return billing.Outcome{}, nil
			}}
			r := request()
			tt.spoil(&r)
			got := account(t, d, Options{}).Do(t.Context(), tt.kind, r)
			if got.State != billing.AttemptDeclined || got.Response != tt.code {
				t.Errorf("%s %s, want declined %s", got.State, got.Response, tt.code)
			}
		})
	}
}

func TestDoFindsTheMethod(t *testing.T) {
	g := &generous{}
	g.name, g.act = "test", answering(billing.Outcome{State: billing.AttemptApproved, Response: "00", Message: "charge"}, nil).act
	a := account(t, g, Options{})
	if !a.Credits() {
		t.Error("the driver can credit, the account says no")
	}
	for _, kind := range []billing.AttemptKind{billing.AskCharge, billing.AskVoid, billing.AskRefund, billing.AskCredit} {
		got := a.Do(t.Context(), kind, request())
		if got.State != billing.AttemptApproved || got.Message != string(kind) {
			t.Errorf("%s: %s %q", kind, got.State, got.Message)
		}
	}
}

func TestDoDoesNotRepeatSecrets(t *testing.T) {
	echo := fmt.Sprintf("card 4111 1111-1111 1111 (%s), code %s, exp 12/27", number, code)
	d := answering(billing.Outcome{
		State: billing.AttemptDeclined, Response: "14", Message: echo,
		ProcessorID: "id-" + number, ApprovalCode: number,
	}, nil)
	var seen []Observation
	o := Options{Observe: func(v Observation) { seen = append(seen, v) }}
	out := account(t, d, o).Do(t.Context(), billing.AskCharge, request())
	if want := "card ••• (•••), code •••, exp 12/27"; out.Message != want {
		t.Errorf("message %q, want %q", out.Message, want)
	}
	if out.ProcessorID != "" || out.ApprovalCode != "" {
		t.Errorf("id %q and approval %q hold the number", out.ProcessorID, out.ApprovalCode)
	}
	failing := answering(billing.Outcome{}, errors.New("bad request: "+echo))
	failing.lookup = func(context.Context) (billing.Outcome, error) {
		return billing.Outcome{}, errors.New("bad look-up: " + echo)
	}
	a := account(t, failing, o)
	out = a.Do(t.Context(), billing.AskCharge, request())
	_, _, err := a.Lookup(t.Context(), "demo", "a-1", noon)
	if err == nil {
		t.Fatal("look-up has no error")
	}
	all := fmt.Sprintf("%+v %+v %v %+v", out, seen, err, err)
	if digits := strip(all); strings.Contains(digits, number) || strings.Contains(digits, "41111111") {
		t.Errorf("the number is in %q", all)
	}
	if !strings.Contains(err.Error(), "bad look-up") {
		t.Errorf("the driver's words are gone: %v", err)
	}
}

func TestDoBoundsWords(t *testing.T) {
	d := answering(billing.Outcome{
		State: billing.AttemptApproved, Response: "00", Message: "a\x00b\n" + strings.Repeat("ü", 400) + "\xff",
		ApprovalCode: strings.Repeat("9", 21), ProcessorID: strings.Repeat("9", 101),
	}, nil)
	out := account(t, d, Options{}).Do(t.Context(), billing.AskCharge, request())
	if want := "a b " + strings.Repeat("ü", 98); out.Message != want {
		t.Errorf("message %q", out.Message)
	}
	if out.ApprovalCode != "" || out.ProcessorID != "" {
		t.Error("ids that are too long were kept, cut or whole")
	}
}

func TestDoIgnoresTheClient(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	d := &scripted{name: "test", act: func(ctx context.Context, _ Request) (billing.Outcome, error) {
		hangUp()
		if err := ctx.Err(); err != nil {
			return billing.Outcome{}, err
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the driver has no deadline")
		}
		return billing.Outcome{State: billing.AttemptApproved, Response: "00"}, nil
	}}
	out := account(t, d, Options{}).Do(ctx, billing.AskCharge, request())
	if out.State != billing.AttemptApproved {
		t.Errorf("the client hung up and the charge is %s", out.State)
	}
	hungUp, cancel := context.WithCancel(t.Context())
	cancel()
	if out = account(t, d, Options{}).Do(hungUp, billing.AskCharge, request()); out.State != billing.AttemptApproved {
		t.Errorf("the client was gone before and the charge is %s", out.State)
	}
}

func TestDoReturnsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		deaf := &scripted{name: "test", act: func(context.Context, Request) (billing.Outcome, error) {
			<-release // obeys no deadline
			return billing.Outcome{State: billing.AttemptApproved, Response: "00"}, nil
		}}
		var seen []Observation
		a := account(t, deaf, Options{Timeout: 7 * time.Second, MaxInFlight: 1, Now: time.Now,
			Observe: func(o Observation) { seen = append(seen, o) }})
		out := a.Do(t.Context(), billing.AskCharge, request())
		if out.State != billing.AttemptUnknown {
			t.Errorf("no answer in time is %s", out.State)
		}
		// The driver still hangs and holds the only place.
		out = a.Do(t.Context(), billing.AskCharge, request())
		if out.State != billing.AttemptDeclined || out.Response != billing.IssuerUnavailable {
			t.Errorf("an act that never had a place is %s %s", out.State, out.Response)
		}
		close(release)
		synctest.Wait()
		if out = a.Do(t.Context(), billing.AskCharge, request()); out.State != billing.AttemptApproved {
			t.Errorf("after the driver came back: %s", out.State)
		}
		want := []Observation{
			{Processor: "test", Act: "charge", State: billing.AttemptUnknown, Took: 7 * time.Second, Trouble: "context deadline exceeded"},
			{Processor: "test", Act: "charge", State: billing.AttemptDeclined, Response: "91", Took: 7 * time.Second,
				Trouble: "processor: not sent: too many acts are under way"},
			{Processor: "test", Act: "charge", State: billing.AttemptApproved, Response: "00"},
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("observations (-want +got):\n%s", diff)
		}
	})
}

func TestDoBoundsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		d := &scripted{name: "test", act: func(context.Context, Request) (billing.Outcome, error) {
			n := under.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-time.After(time.Second)
			under.Add(-1)
			return billing.Outcome{State: billing.AttemptApproved, Response: "00"}, nil
		}}
		a := account(t, d, Options{MaxInFlight: 3})
		results := make(chan billing.AttemptState)
		for range 12 {
			go func() { results <- a.Do(t.Context(), billing.AskCharge, request()).State }()
		}
		for range 12 {
			if s := <-results; s != billing.AttemptApproved {
				t.Errorf("waiting for its turn made a charge %s", s)
			}
		}
		if most.Load() != 3 {
			t.Errorf("%d were under way at once, want 3", most.Load())
		}
	})
}

func TestDoSurvivesABrokenDriver(t *testing.T) {
	for _, breaks := range []func(){
		func() { panic("card " + number) },
		func() { var none []int; _ = none[len(number)] },
	} {
		var seen Observation
		d := &scripted{name: "test", act: func(context.Context, Request) (billing.Outcome, error) {
			breaks()
			return billing.Outcome{}, nil
		}}
		a := account(t, d, Options{MaxInFlight: 1, Observe: func(o Observation) { seen = o }})
		for range 2 { // the second finds the place free again
			if out := a.Do(t.Context(), billing.AskCharge, request()); out.State != billing.AttemptUnknown {
				t.Errorf("a broken driver is %s", out.State)
			}
			if !strings.HasPrefix(seen.Trouble, "the driver broke") || strings.Contains(seen.Trouble, number) {
				t.Errorf("trouble %q", seen.Trouble)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name   string
		answer billing.Outcome
		err    error
		state  billing.AttemptState
		found  bool
		fails  bool
	}{
		{"approved", billing.Outcome{State: billing.AttemptApproved, Response: "00", Amount: usd(5)}, nil, billing.AttemptApproved, true, false},
		{"returned", billing.Outcome{State: billing.AttemptDeclined, Response: "R01"}, nil, billing.AttemptDeclined, true, false},
		{"busy", billing.Outcome{State: billing.AttemptUnknown}, nil, billing.AttemptUnknown, true, false},
		{"not found", billing.Outcome{}, fmt.Errorf("404: %w", ErrNotFound), "", false, false},
		{"failed", billing.Outcome{State: billing.AttemptApproved, Response: "00"}, errors.New("500"), "", false, true},
		{"contradiction", billing.Outcome{State: billing.AttemptApproved, Response: "51"}, nil, "", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &scripted{name: "test", lookup: func(context.Context) (billing.Outcome, error) { return tt.answer, tt.err }}
			out, found, err := account(t, d, Options{}).Lookup(t.Context(), "demo", "a-1", noon)
			if out.State != tt.state || found != tt.found || (err != nil) != tt.fails {
				t.Errorf("%q, found %v, error %v", out.State, found, err)
			}
		})
	}
}

func TestLookupEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := &scripted{name: "test", lookup: func(ctx context.Context) (billing.Outcome, error) {
		cancel()
		<-ctx.Done()
		return billing.Outcome{}, ctx.Err()
	}}
	if _, _, err := account(t, d, Options{}).Lookup(ctx, "demo", "a-1", noon); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNotices(t *testing.T) {
	good := func(seq int64) billing.Notice {
		return billing.Notice{Seq: seq, Kind: billing.NoticeChargeback, Reference: "a-1", Amount: usd(5), At: noon}
	}
	spoilt := func(seq int64, spoil func(*billing.Notice)) billing.Notice {
		n := good(seq)
		spoil(&n)
		return n
	}
	tests := []struct {
		name    string
		notices []billing.Notice
		want    int
		fails   bool
	}{
		{"none", nil, 0, false},
		{"some, with a gap", []billing.Notice{good(4), good(6)}, 2, false},
		{"one again", []billing.Notice{good(4), good(4)}, 1, true},
		{"one that was taken before", []billing.Notice{good(3)}, 0, true},
		{"out of order", []billing.Notice{good(6), good(4)}, 1, true},
		{"no reference", []billing.Notice{good(4), spoilt(5, func(n *billing.Notice) { n.Reference = "" })}, 1, true},
		{"no amount", []billing.Notice{spoilt(4, func(n *billing.Notice) { n.Amount = billing.Money{} })}, 0, true},
		{"no kind", []billing.Notice{spoilt(4, func(n *billing.Notice) { n.Kind = "surprise" })}, 0, true},
		{"change without an amount", []billing.Notice{spoilt(4, func(n *billing.Notice) {
			n.Kind, n.Amount, n.Response = billing.NoticeChange, billing.Money{}, "C01"
		})}, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &generous{scripted{name: "test", notices: tt.notices}}
			got, err := account(t, g, Options{}).Notices(t.Context(), "demo", 3, noon)
			if len(got) != tt.want || (err != nil) != tt.fails {
				t.Errorf("%d notices, error %v", len(got), err)
			}
		})
	}
	g := &generous{scripted{name: "test", notices: []billing.Notice{good(4)}, failure: errors.New("cut")}}
	if got, err := account(t, g, Options{}).Notices(t.Context(), "demo", 3, noon); len(got) != 0 || err == nil {
		t.Errorf("a failed asking gives %d notices, error %v", len(got), err)
	}
	if got, err := account(t, &scripted{name: "test"}, Options{}).Notices(t.Context(), "demo", 0, noon); got != nil || err != nil {
		t.Errorf("a driver without notices gives %v, %v", got, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"", "x", "Sandbox", "san:dbox", strings.Repeat("x", 21)} {
		if _, err := New(&scripted{name: name}, Options{}); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
	}
	if _, err := New(&scripted{name: "sandbox"}, Options{Timeout: -1}); err == nil {
		t.Error("a negative time-out was accepted")
	}
	if _, err := New(&scripted{name: "sandbox"}, Options{MaxInFlight: -1}); err == nil {
		t.Error("a negative limit was accepted")
	}
}
