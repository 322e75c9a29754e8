package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
)

func TestReadSettingsFile(t *testing.T) {
	known := []string{"data", "grace", "networks"}
	for _, c := range []struct {
		text string
		want map[string]string // nil is an error
		says string
	}{
		{text: "", want: map[string]string{}},
		{text: "# nothing\n", want: map[string]string{}},
		{text: "grace: 5s\ndata: /var/lib/perennial\n", want: map[string]string{"grace": "5s", "data": "/var/lib/perennial"}},
		{text: "networks: [10.0.0.0/8, '::1/128']", want: map[string]string{"networks": "10.0.0.0/8,::1/128"}},
		{text: "networks: []", want: map[string]string{"networks": ""}},
		{text: "grace: 5s\ngraze: 6s", says: `line 2: there is no setting "graze"; there are data, grace, networks`},
		{text: "grace: 5s\ngrace: 6s", says: "already defined"},
		{text: "grace:", says: "must have a value"},
		{text: "grace: {a: b}", says: "must have a value"},
		{text: "networks: [[1]]", says: "plain values"},
		{text: "networks: ['a,b']", says: "plain values"},
		{text: "- grace", says: "cannot unmarshal"},
		{text: "\t", says: "settings file"},
	} {
		path := filepath.Join(t.TempDir(), "perennial.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readSettingsFile(path, known)
		if c.want != nil && (err != nil || !cmp.Equal(got, c.want)) {
			t.Errorf("%q gives %v, %v; want %v", c.text, got, err, c.want)
		}
		if c.want == nil && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q gives %v, %v; want an error that says %q", c.text, got, err, c.says)
		}
	}
}

func TestWithoutPassword(t *testing.T) {
	for address, want := range map[string]string{
		"":                                       "",
		"sqlite:/var/lib/x.db":                   "sqlite:/var/lib/x.db",
		"postgres://u:s3cret@h/d":                "postgres://u:xxxxx@h/d",
		"postgres://u@h/d?password=s3cret":       "postgres://u@h/d?password=xxxxx",
		"postgres://h/d?sslpassword=s3cret":      "postgres://h/d?sslpassword=xxxxx",
		"postgres://u:s3cret@h:port/d":           "(an address that cannot be read, and may hold a password)",
		"postgres://u:s3c%zzret@h/d":             "(an address that cannot be read, and may hold a password)",
		"postgres://u@h/d?search_path=a&sslmode": "postgres://u@h/d?search_path=a&sslmode=",
	} {
		if got := withoutPassword(address); got != want {
			t.Errorf("withoutPassword(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestPlaceFlags(t *testing.T) {
	for _, c := range []struct {
		place place
		want  string
	}{
		{place{Data: "perennial-data"}, ""},
		{place{Data: "/tmp/a b"}, " --data '/tmp/a b'"},
		{place{Data: "it's"}, ` --data 'it'\''s'`},
		{place{Data: "perennial-data", DB: "sqlite:x.db"}, " --db sqlite:x.db"},
		{place{Data: "d", DB: "postgres://u:s3cret@h/d", MasterKeyFile: "/k"}, ` --data d --db "$PERENNIAL_DB" --master-key-file /k`},
	} {
		if got := c.place.flags(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.place, got, c.want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	p := billrun.Progress{
		Merchant: &billing.Merchant{Code: "demo", Zone: time.UTC}, From: from, At: from.AddDate(0, 6, 0), To: from.AddDate(1, 0, 0),
		Summary: billrun.Summary{Invoices: 7, Collected: 5, Declined: 2},
	}
	for columns, want := range map[int]string{
		100: "demo 2020-07-01 [=========           ] 7 invoices, 5 collected, 2 declined",
		60:  "demo 2020-07-01 7 invoices, 5 collected, 2 declined",
		10:  "demo 2020-",
		0:   "",
	} {
		if got := progressLine(p, columns); got != want {
			t.Errorf("in %d columns: %q, want %q", columns, got, want)
		}
	}
	p.From, p.To = p.At, p.At
	if got, want := progressLine(p, 100), "demo 2020-07-01 7 invoices, 5 collected, 2 declined"; got != want {
		t.Errorf("of one moment: %q, want %q", got, want)
	}
}

// A bar draws on a terminal, seldom, and cleans up.
func TestBar(t *testing.T) {
	var out strings.Builder
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &process{stderr: &out, now: func() time.Time { return now }}
	progress := billrun.Progress{Merchant: &billing.Merchant{Code: "demo", Zone: time.UTC}, At: now, Step: billrun.Summary{Invoices: 1}}

	b := p.newBar()
	b.progressed(progress)
	b.end()
	if out.Len() != 0 {
		t.Errorf("without a terminal it drew %q", out.String())
	}
	p.columns = 60
	b = p.newBar()
	b.progressed(progress)
	now = now.Add(drawEvery / 2)
	b.progressed(progress)
	now = now.Add(drawEvery)
	b.progressed(progress)
	b.end()
	if !strings.Contains(out.String(), " 3 invoices") {
		t.Errorf("it lost count: %q", out.String())
	}
	if drawn := strings.Count(out.String(), "demo"); drawn != 2 || !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("it drew %q", out.String())
	}
}
