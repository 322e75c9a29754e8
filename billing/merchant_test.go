package billing_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perennial-billing/perennial/billing"
)

func TestSettingsCheck(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings billing.Settings
		field    string // at fault, "" if none
	}{
		{"every default", billing.Settings{}, ""},
		{"defaults written out", billing.Settings{}.WithDefaults(), ""},
		{"everything chosen", billing.Settings{
			Balancing: billing.InvoiceFirst, CodeScope: billing.WithinCustomer, RetryDays: []int{1, 2, 365},
			CloseSalesDays: 365, BillingDay: 28, AllowPastBilling: true, WriteOffAfterDays: 3650,
			Fees: billing.Fees{
				Enrollment: billing.MaxAmount, SoftDecline: 1, HardDecline: 1, Retry: 1, Chargeback: 1, Freeze: 1,
				FrozenBilling: 1, Late: 1, LateAfterDays: 3650,
			},
		}, ""},
		{"no retries", billing.Settings{RetryDays: []int{0}}, ""},
		{"one retry", billing.Settings{RetryDays: []int{365}}, ""},
		{"days of a late fee that is not taken", billing.Settings{Fees: billing.Fees{LateAfterDays: 5}}, ""},

		{"order of debts", billing.Settings{Balancing: "AB"}, "balancing"},
		{"scope of codes", billing.Settings{CodeScope: "world"}, "code_scope"},
		{"retries that fall", billing.Settings{RetryDays: []int{7, 3}}, "retry_days"},
		{"retries twice on a day", billing.Settings{RetryDays: []int{3, 3}}, "retry_days"},
		{"a retry before the decline", billing.Settings{RetryDays: []int{-1}}, "retry_days"},
		{"a retry after more than a year", billing.Settings{RetryDays: []int{3, 366}}, "retry_days"},
		{"nought among others, first", billing.Settings{RetryDays: []int{0, 3}}, "retry_days"},
		{"nought among others, last", billing.Settings{RetryDays: []int{3, 0}}, "retry_days"},
		{"nought twice", billing.Settings{RetryDays: []int{0, 0}}, "retry_days"},
		{"an empty list", billing.Settings{RetryDays: []int{}}, "retry_days"},
		{"closed days below nought", billing.Settings{CloseSalesDays: -1}, "close_sales_days"},
		{"closed days", billing.Settings{CloseSalesDays: 366}, "close_sales_days"},
		{"billing day below nought", billing.Settings{BillingDay: -1}, "billing_day"},
		{"billing day", billing.Settings{BillingDay: 29}, "billing_day"},
		{"write-off below nought", billing.Settings{WriteOffAfterDays: -1}, "write_off_after_days"},
		{"write-off", billing.Settings{WriteOffAfterDays: 3651}, "write_off_after_days"},
		{"days of the late fee below nought", billing.Settings{Fees: billing.Fees{Late: 1, LateAfterDays: -1}}, "late_after_days"},
		{"days of the late fee", billing.Settings{Fees: billing.Fees{Late: 1, LateAfterDays: 3651}}, "late_after_days"},
		{"a late fee that would never be taken", billing.Settings{Fees: billing.Fees{Late: 1}}, "late_after_days"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.settings.Check()
			if c.field == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refused(t, err, billing.Invalid, c.field)
		})
	}
}

// Each fee is looked at, and one that comes later cannot be forgotten.
func TestSettingsCheckEveryFee(t *testing.T) {
	fees := reflect.TypeFor[billing.Fees]()
	n := 0
	for i := range fees.NumField() {
		if fees.Field(i).Type.Kind() != reflect.Int64 {
			continue
		}
		n++
		for _, bad := range []int64{-1, billing.MaxAmount + 1} {
			var s billing.Settings
			s.Fees.LateAfterDays = 1
			reflect.ValueOf(&s.Fees).Elem().Field(i).SetInt(bad)
			if err := s.Check(); err == nil {
				t.Errorf("fee %s may be %d", fees.Field(i).Name, bad)
			}
		}
	}
	if n != 8 {
		t.Errorf("%d fees", n)
	}
}

func TestWithDefaults(t *testing.T) {
	s := billing.Settings{}.WithDefaults()
	if s.Balancing != billing.OldestFirst || s.CodeScope != billing.WithinAccount || !slices.Equal(s.RetryDays, []int{3, 7, 14}) {
		t.Errorf("defaults are %+v", s)
	}
	chosen := billing.Settings{Balancing: billing.InvoiceFirst, CodeScope: billing.WithinMerchant, RetryDays: []int{0}}
	if got := chosen.WithDefaults(); !reflect.DeepEqual(got, chosen) {
		t.Errorf("what was chosen became %+v", got)
	}
	s.RetryDays[0] = 99
	if billing.DefaultRetryDays[0] != 3 {
		t.Error("a change of one merchant's settings changed the default of all")
	}
}

func validSettings() *rapid.Generator[billing.Settings] {
	return rapid.Custom(func(t *rapid.T) billing.Settings {
		s := billing.Settings{
			Balancing:         rapid.SampledFrom([]billing.Balancing{"", billing.OldestFirst, billing.InvoiceFirst}).Draw(t, "balancing"),
			CodeScope:         rapid.SampledFrom([]billing.CodeScope{"", billing.WithinAccount, billing.WithinMerchant, billing.WithinCustomer}).Draw(t, "scope"),
			RetryDays:         rapid.SampledFrom([][]int{nil, {}, {0}, {1}, {3, 7, 14}, {1, 2, 3, 4, 5}}).Draw(t, "retries"),
			CloseSalesDays:    rapid.IntRange(0, 365).Draw(t, "close"),
			BillingDay:        rapid.IntRange(0, 28).Draw(t, "day"),
			AllowPastBilling:  rapid.Bool().Draw(t, "past"),
			WriteOffAfterDays: rapid.IntRange(0, 3650).Draw(t, "write-off"),
		}
		s.Fees.Late = rapid.Int64Range(0, 2).Draw(t, "late")
		s.Fees.LateAfterDays = rapid.IntRange(0, 2).Draw(t, "late days")
		s.Fees.FrozenBilling = rapid.Int64Range(0, billing.MaxAmount).Draw(t, "frozen")
		if rapid.Bool().Draw(t, "wire") {
			s.Dialects = map[string]json.RawMessage{"unipay": json.RawMessage(`{"always200":true}`)}
		}
		return s
	})
}

// What is allowed means the same when it comes back from the database.
func TestSettingsSurviveTheirJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := validSettings().Filter(func(s billing.Settings) bool { return s.Check() == nil }).Draw(t, "settings")
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back billing.Settings
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if got, want := back.WithDefaults(), s.WithDefaults(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s means %+v, meant %+v", text, got, want)
		}
	})
	if text, err := json.Marshal(billing.Settings{}); err != nil || string(text) != "{}" {
		t.Errorf("the default of everything is kept as %s, %v", text, err)
	}
}

func TestLoginReaches(t *testing.T) {
	for _, c := range []struct {
		name     string
		accounts []billing.AccountID
		account  billing.AccountID
		want     bool
	}{
		{"all", nil, 7, true},
		{"its own", []billing.AccountID{5, 7}, 7, true},
		{"not another", []billing.AccountID{5, 7}, 6, false},
		{"not none", []billing.AccountID{5}, 0, false},
	} {
		if got := (&billing.Login{Accounts: c.accounts}).Reaches(c.account); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestMerchantMoney(t *testing.T) {
	m := &billing.Merchant{Currency: "JPY"}
	if got := m.Money(-500); got != billing.Minor(-500, "JPY") {
		t.Errorf("got %v", got)
	}
}

func TestClock(t *testing.T) {
	set := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	at := time.Date(2024, 2, 29, 8, 30, 0, 0, time.FixedZone("there", -5*3600))
	wall := set.Add(36 * time.Hour)
	for _, c := range []struct {
		name  string
		clock billing.Clock
		want  time.Time
	}{
		{"no clock is the world's", billing.Clock{}, wall},
		{"real, whatever was set", billing.Clock{Mode: billing.ClockReal, At: at, Set: set}, wall},
		{"frozen", billing.Clock{Mode: billing.ClockFrozen, At: at, Set: set}, at},
		{"running", billing.Clock{Mode: billing.ClockRunning, At: at, Set: set}, at.Add(36 * time.Hour)},
		{"a mode of a later version is real", billing.Clock{Mode: "backwards", At: at, Set: set}, wall},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.clock.Now(wall); !got.Equal(c.want) {
				t.Errorf("it shows %v, want %v", got, c.want)
			}
			m := &billing.Merchant{Clock: c.clock}
			if got := m.Now(wall); !got.Equal(c.want) || got.Location() != time.UTC {
				t.Errorf("the merchant's time is %v, want %v in UTC", got, c.want.UTC())
			}
		})
	}
}

func TestRunningClockKeepsPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "set"), 0)
		c := billing.Clock{Mode: billing.ClockRunning, At: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 0), Set: set}
		if !c.Now(set).Equal(c.At) {
			t.Fatalf("when it was set it showed %v, not %v", c.Now(set), c.At)
		}
		a := time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "a"))
		b := time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "b"))
		if got := c.Now(set.Add(a + b)).Sub(c.Now(set.Add(a))); got != b {
			t.Fatalf("while the world went on by %v, it went on by %v", b, got)
		}
	})
}

func TestErrors(t *testing.T) {
	cause := errors.New("disk is full")
	field := billing.FieldError(billing.Invalid, "amount", "must be from %d to %d", 1, 9)
	plain := billing.Errorf(billing.State, "the subscription is %s", "cancelled")
	wrapped := &billing.Error{Kind: billing.Unavailable, Message: "try again", Err: cause}
	for _, c := range []struct {
		name string
		err  error
		kind billing.Kind
		text string
	}{
		{"with a field", field, billing.Invalid, "amount: must be from 1 to 9"},
		{"without", plain, billing.State, "the subscription is cancelled"},
		{"with a cause", wrapped, billing.Unavailable, "try again: disk is full"},
		{"of somebody else", cause, billing.Internal, "disk is full"},
		{"within another", errors.Join(errors.New("first"), plain), billing.State, "first\nthe subscription is cancelled"},
		{"the outer of two", &billing.Error{Kind: billing.NotFound, Message: "no such thing", Err: field}, billing.NotFound, "no such thing: amount: must be from 1 to 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := billing.KindOf(c.err); got != c.kind {
				t.Errorf("kind %d, want %d", got, c.kind)
			}
			if got := c.err.Error(); got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
		})
	}
	if !errors.Is(wrapped, cause) {
		t.Error("the cause is not in the chain")
	}
	if billing.KindOf(nil) != billing.Internal {
		t.Error("no error has a kind")
	}
}
