package setup

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// merchant looks at the merchant itself.
func (w *work) merchant(ctx context.Context) error {
	m := w.file
	if w.have == nil {
		return w.newMerchant(m)
	}
	copied := *w.have
	w.want = &copied
	w.unchangeable(m.Where, "mode", string(m.Mode), string(w.have.Mode))
	w.unchangeable(m.Where, "zone", m.Zone, w.have.Zone.String())
	w.unchangeable(m.Where, "currency", string(m.Currency), string(w.have.Currency))
	if m.Clock != nil && w.have.Mode != billing.Test {
		w.wrong(m.Where, "clock", "a live merchant has the clock of the world; only a test merchant's is set")
	}
	var changed fields
	set(&changed, "name", &w.want.Name, given(m.Name))
	settings, names, err := w.settings(w.have.Settings)
	if err != nil {
		return err
	}
	w.want.Settings = settings
	changed = append(changed, names...)
	if slices.Contains(names, "settings.code_scope") {
		if err := w.uncoded(ctx); err != nil {
			return err
		}
	}
	w.modify(m.Where, Change{Noun: "merchant", Name: m.Code, Fields: changed}, func(ctx context.Context) error {
		return w.Cashier.Store.Update(ctx, w.have.ID, func(tx *store.Tx) error {
			now, err := tx.Merchant(ctx)
			if err != nil {
				return err
			}
			now.Name, now.Settings = w.want.Name, w.want.Settings
			return tx.UpdateMerchant(ctx, now)
		})
	})
	return nil
}

// unchangeable refuses a value that the file gives and that is another one.
func (w *work) unchangeable(at place, key, want, have string) {
	if want != "" && want != have {
		w.wrong(at, key, "is %s and cannot be changed", have)
	}
}

// uncoded refuses a change of the scope of codes once there are any: those that
// are taken would be looked for in the wrong place.
func (w *work) uncoded(ctx context.Context) error {
	plans, err := w.view.Plans(ctx, store.PlanFilter{Page: store.Page{Limit: 1}})
	if err != nil {
		return err
	}
	customers, err := w.view.Customers(ctx, store.CustomerFilter{Page: store.Page{Limit: 1}})
	if err == nil && len(plans)+len(customers) > 0 {
		w.wrong(w.file.Settings.Where, "code_scope", "cannot be changed once there are plans or customers, whose codes are unique within their %s",
			w.have.Settings.CodeScope)
	}
	return err
}

func (w *work) newMerchant(m *merchant) error {
	required(&w.problems, m.Where, "name", m.Name)
	required(&w.problems, m.Where, "mode", string(m.Mode))
	required(&w.problems, m.Where, "zone", m.Zone)
	required(&w.problems, m.Where, "currency", string(m.Currency))
	if len(w.problems) > 0 {
		return nil
	}
	zone, err := time.LoadLocation(m.Zone)
	if err != nil {
		return err // Parse has found it
	}
	w.want = &billing.Merchant{Code: m.Code, Name: m.Name, Mode: m.Mode, Zone: zone, Currency: m.Currency,
		Clock: billing.Clock{Mode: billing.ClockReal}}
	if c := m.Clock; c != nil && c.Mode != billing.ClockReal {
		start, err := c.start(zone)
		if err != nil {
			return err // Parse has found it
		}
		w.want.Clock = billing.Clock{Mode: c.Mode, At: start.UTC(), Set: w.Cashier.Now()}
	}
	if w.want.Settings, _, err = w.settings(billing.Settings{}.WithDefaults()); err != nil {
		return err
	}
	w.create(m.Where, "merchant", m.Code, func(ctx context.Context) error {
		w.want.Clock.Set = w.Cashier.Now()
		return w.Cashier.NewMerchant(ctx, w.want)
	})
	return nil
}

// settings lays what the file gives over the settings that are, and lists the
// names of those that change.
func (w *work) settings(have billing.Settings) (want billing.Settings, changed fields, err error) {
	s, v := &w.file.Settings, w.file.Velocity
	want, before, err := stored(have)
	if err != nil || s.text == nil && v == nil {
		return want, nil, err
	}
	if s.text != nil {
		if err := json.Unmarshal(s.text, &want); err != nil {
			return want, nil, fmt.Errorf("read settings: %w", err)
		}
		w.dialects()
		checkSettings(&w.problems, s.Where, want.Check())
	}
	if v != nil {
		want.Velocity = v.given
	}
	want, after, err := stored(want)
	if err != nil {
		return want, nil, err
	}
	changed, err = differing(before, after)
	return want, changed, err
}

// stored is a copy of settings as they are read again once they were stored,
// and the form in which they are. It shares nothing with the original, nor with
// the defaults, so that it can be written to.
func stored(s billing.Settings) (again billing.Settings, text []byte, err error) {
	if text, err = json.Marshal(s); err != nil {
		return again, nil, fmt.Errorf("encode settings: %w", err)
	}
	if err = json.Unmarshal(text, &again); err != nil {
		return again, nil, fmt.Errorf("copy settings: %w", err)
	}
	if text, err = json.Marshal(again.WithDefaults()); err != nil {
		return again, nil, fmt.Errorf("encode settings: %w", err)
	}
	again = billing.Settings{}
	if err = json.Unmarshal(text, &again); err != nil {
		return again, nil, fmt.Errorf("copy settings: %w", err)
	}
	return again, text, nil
}

// dialects has each dialect check what the file says of it.
func (w *work) dialects() {
	s := &w.file.Settings
	for _, name := range slices.Sorted(maps.Keys(s.given.Dialects)) {
		check, ok := w.Dialects[name]
		if !ok {
			known := strings.Join(slices.Sorted(maps.Keys(w.Dialects)), ", ")
			w.wrong(s.Where, "dialects."+name, "is no dialect with settings; those are: %s", known)
			continue
		}
		if err := check(s.given.Dialects[name]); err != nil {
			w.wrong(s.Where, "dialects."+name, "%v", err)
		}
	}
}

// differing lists the names of the settings that differ between two JSON
// objects, one level into groups such as fees.
func differing(before, after []byte) (fields, error) {
	a, err := flatten(before)
	if err != nil {
		return nil, err
	}
	b, err := flatten(after)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, m := range []map[string]string{a, b} {
		for name := range m {
			if a[name] == b[name] {
				continue
			}
			if !strings.HasPrefix(name, "velocity") { // which stands beside the settings
				name = "settings." + name
			}
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// flatten maps the keys of a JSON object, and of the objects in it, to their
// values in one form.
func flatten(text []byte) (map[string]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	flat := make(map[string]string)
	for key, value := range object {
		group, ok := value.(map[string]any)
		if !ok {
			group, key = map[string]any{key: value}, ""
		}
		for name, v := range group {
			canonical, err := json.Marshal(v) // keys in order
			if err != nil {
				return nil, fmt.Errorf("encode settings: %w", err)
			}
			flat[strings.TrimPrefix(key+"."+name, ".")] = string(canonical)
		}
	}
	return flat, nil
}

// account looks at one account.
func (w *work) account(ctx context.Context, a *account) error {
	name := codes(w.file.Code, a.Code)
	have, err := w.owner(ctx, a.Code)
	if err != nil {
		return err
	}
	if have == nil {
		made := &billing.Account{Code: a.Code, Name: *or(given(a.Name), a.Code)}
		w.accounts[a.Code] = &owner{made}
		w.create(a.Where, "account", name, func(ctx context.Context) error {
			made.CreatedAt = w.session().Now
			return w.Cashier.Store.Update(ctx, w.want.ID, func(tx *store.Tx) error { return tx.InsertAccount(ctx, made) })
		})
		return nil
	}
	var changed fields
	set(&changed, "name", &have.Name, given(a.Name))
	w.modify(a.Where, Change{Noun: "account", Name: name, Fields: changed}, func(ctx context.Context) error {
		return w.Cashier.Store.Update(ctx, w.want.ID, func(tx *store.Tx) error { return tx.RenameAccount(ctx, have.Account) })
	})
	return nil
}

// velocity refuses rules about accounts that the merchant does not have.
func (w *work) velocity(ctx context.Context) error {
	v := w.file.Velocity
	if v == nil {
		return nil
	}
	for i, r := range v.given.Rules {
		if r.Account == "" || r.Account == billing.EachAccount {
			continue
		}
		if _, err := w.ownerFor(ctx, v.Where, fmt.Sprintf("rules[%d].account", i), r.Account); err != nil {
			return err
		}
	}
	return nil
}

// owner finds an account of the file or of the books, nil if there is none.
func (w *work) owner(ctx context.Context, code string) (*owner, error) {
	if o, ok := w.accounts[code]; ok || w.view == nil {
		return o, nil
	}
	a, err := w.view.AccountByCode(ctx, code)
	if billing.KindOf(err) == billing.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.accounts[code] = &owner{a}
	return w.accounts[code], nil
}

// ownerFor is owner for a key that must name an account; nil is a problem that
// has been noted.
func (w *work) ownerFor(ctx context.Context, at place, key, code string) (*owner, error) {
	o, err := w.owner(ctx, code)
	if err == nil && o == nil {
		w.wrong(at, key, "names no account of this merchant")
	}
	return o, err
}
