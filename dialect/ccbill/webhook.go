package ccbill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/notify"
)

// Webhooks is how CCBill tells events (protocols/ccbill.md 8).
func Webhooks() *notify.Form {
	return &notify.Form{
		Dialect: Name,
		Policy: notify.Policy{
			// Five more tries within a day (8.1).
			Pauses:  []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 15*time.Hour + 25*time.Minute},
			Timeout: 15 * time.Second,
		},
		Tells:      func(k billing.EventKind) bool { return readers[k] != nil },
		Encode:     tell,
		Check:      func(text json.RawMessage) error { _, err := readEndpoint(text); return err },
		Once:       func(text json.RawMessage) bool { e, err := readEndpoint(text); return err == nil && e.NoRetry },
		PerAccount: 4,
	}
}

// endpoint is the settings of a webhook.
type endpoint struct {
	Format  string   `json:"format"`   // json, which is the default, or form
	Events  []string `json:"events"`   // names of 8.2; none is all of them
	NoRetry bool     `json:"no_retry"` // what is not taken at once is given up
}

func readEndpoint(text json.RawMessage) (e endpoint, err error) {
	if len(text) > 0 {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil && !errors.Is(err, io.EOF) {
			return e, billing.FieldError(billing.Invalid, "settings", "must have the keys format (json or form), events (a list of names) and no_retry (true or false)")
		}
	}
	switch e.Format {
	case "":
		e.Format = "json"
	case "json", "form":
	default:
		return e, billing.FieldError(billing.Invalid, "format", "format must be json or form")
	}
	for _, name := range e.Events {
		if webhookFields[name] == nil {
			return e, billing.FieldError(billing.Invalid, "events", "events must be names of: %s", strings.Join(slices.Sorted(maps.Keys(webhookFields)), ", "))
		}
	}
	return e, nil
}

// wants reports whether the endpoint is told of an event of the given name.
func (e endpoint) wants(event string) bool {
	return len(e.Events) == 0 || slices.Contains(e.Events, event)
}

// tell turns an event into messages, one for each endpoint and fact.
func tell(ctx context.Context, t *notify.Telling) ([]notify.Message, error) {
	facts, err := read(ctx, t)
	if err != nil {
		return nil, err
	}
	var list []notify.Message
	for _, f := range facts {
		for _, to := range t.Endpoints {
			e, err := readEndpoint(to.Settings)
			if err != nil {
				return nil, err
			}
			if to.AccountID != 0 && to.AccountID != f.account.ID || !e.wants(f.event) {
				continue
			}
			pairs := f.pairs(to.Secrets.Salt)
			m := notify.Message{To: to.ID, Key: f.key, Kind: f.event, Customer: f.customer.ID, Query: f.query(), ContentType: "application/json", Body: asJSON(pairs)}
			if e.Format == "form" {
				m.ContentType, m.Body = "application/x-www-form-urlencoded", []byte(asForm(pairs))
			}
			list = append(list, m)
		}
	}
	return list, nil
}

// group is the group of every event (8.2).
const group = "Subscription"

// query is what stands behind the receiver's address (8.1).
func (f *fact) query() string {
	return asForm([]pair{{"clientAccnum", f.merchant.Code}, {"clientSubacc", f.account.Code}, {"eventType", f.event}, {"eventGroupType", group}})
}

// pair is a field of a webhook.
type pair struct{ name, value string }

// asJSON is a flat object whose values are texts, in the order of the pairs.
func asJSON(pairs []pair) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(jsonText(p.name))
		b.WriteByte(':')
		b.Write(jsonText(p.value))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// jsonText is a text in JSON as others write it, without escapes for HTML.
func jsonText(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text always has a form
	return bytes.TrimRight(b.Bytes(), "\n")
}

func asForm(pairs []pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
	}
	return b.String()
}
