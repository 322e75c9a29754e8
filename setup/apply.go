package setup

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

// Options are what a file is applied with.
type Options struct {
	Cashier *cashier.Cashier // whose verbs write, on whose store
	DryRun  bool             // do everything but the writing

	// Env looks an environment variable up, for password_env. nil: none is set.
	Env func(name string) (value string, ok bool)

	// Dialects checks the settings of each dialect, by the dialect's name.
	// Settings of a dialect that is not among them are refused.
	Dialects map[string]func(json.RawMessage) error

	// Forms are how dialects tell events, for the endpoints of merchants.
	Forms []*notify.Form

	// Report is told of each change as soon as it is done, or in a dry run of
	// each that would be; may be nil.
	Report func(Change)
}

// Apply brings the installation to what the file says and returns what that
// took, things that were right already among it. The whole file is looked at
// first; if anything is wrong, all of it is returned as Problems and nothing
// has been written. A later error names the line at which the writing stopped,
// and comes with the changes that had been made.
func (f *File) Apply(ctx context.Context, o Options) (Changes, error) {
	if o.Report == nil {
		o.Report = func(Change) {}
	}
	var problems Problems
	var plans []*work
	for _, m := range f.merchants {
		w, err := o.survey(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("setup: look at merchant %s: %w", m.Code, err)
		}
		problems = append(problems, w.problems...)
		plans = append(plans, w)
	}
	if err := problems.orNil(); err != nil {
		return nil, err
	}
	var done Changes
	for _, w := range plans {
		for _, s := range w.steps {
			if !o.DryRun && s.do != nil {
				if err := s.do(ctx); err != nil {
					path, line := s.at.of("")
					return done, fmt.Errorf("setup: line %d: %s: %w", line, path, err)
				}
			}
			done = append(done, s.change)
			o.Report(s.change)
		}
	}
	return done, nil
}

// work is what has to be done for one merchant.
type work struct {
	*Options
	file *merchant
	have *billing.Merchant // as it is, nil if it does not exist
	want *billing.Merchant // as it shall be; its id is given when it is made

	view     *store.View               // the books, nil if there are none yet
	accounts map[string]*owner         // by code, as far as they were looked for
	plans    map[string]*billing.Plan  // of the file, by account and code
	taken    map[store.Noun]codePlaces // by the file
	lookups  map[string]store.Identity // of the file's logins, by name
	keys     map[string]store.Identity // of the file's API keys, by cashier.KeyName

	problems Problems
	steps    []step
}

// codePlaces are the places in a file where codes are taken, each code with the
// scope in which it must be unique.
type codePlaces map[string]place

// owner is an account that exists, or will by the time that it is needed.
type owner struct{ *billing.Account }

// step is one thing to be done, or to be kept.
type step struct {
	at     place
	change Change
	do     func(context.Context) error // nil if there is nothing to do
}

// survey looks at one merchant of the file and at its books, without writing.
func (o *Options) survey(ctx context.Context, m *merchant) (*work, error) {
	have, err := o.Cashier.Store.MerchantByCode(ctx, m.Code)
	if billing.KindOf(err) == billing.NotFound {
		have, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	lookups, err := o.lookUp(ctx, m.Logins)
	if err != nil {
		return nil, err
	}
	keys, err := o.lookUpKeys(ctx, m.Logins)
	if err != nil {
		return nil, err
	}
	begin := func(v *store.View) *work {
		return &work{Options: o, file: m, have: have, view: v, lookups: lookups, keys: keys, accounts: make(map[string]*owner),
			plans: make(map[string]*billing.Plan), taken: make(map[store.Noun]codePlaces)}
	}
	if have == nil {
		w := begin(nil)
		return w, w.all(ctx)
	}
	var w *work
	err = o.Cashier.Store.View(ctx, have.ID, func(v *store.View) error {
		w = begin(v) // anew, because a view may be run again
		return w.all(ctx)
	})
	return w, err
}

// all looks at everything that the file says of the merchant.
func (w *work) all(ctx context.Context) error {
	if err := w.merchant(ctx); err != nil || len(w.problems) > 0 {
		return err // the rest would be judged by a merchant that cannot be
	}
	for _, a := range w.file.Accounts {
		if err := w.account(ctx, a); err != nil {
			return err
		}
	}
	if err := w.velocity(ctx); err != nil {
		return err
	}
	if err := w.logins(ctx); err != nil {
		return err
	}
	if err := w.secrets(ctx); err != nil {
		return err
	}
	for _, p := range w.file.Plans {
		if err := w.plan(ctx, p); err != nil {
			return err
		}
	}
	if err := w.coupons(ctx); err != nil {
		return err
	}
	for _, c := range w.file.Customers {
		if err := w.customer(ctx, c); err != nil {
			return err
		}
	}
	return w.endpoints(ctx)
}

// session is the operator's, at the merchant's present. Before the merchant is
// made it serves to ask what verbs would say.
func (w *work) session() *cashier.Session { return w.Cashier.System(w.want) }

// wrong notes a problem.
func (w *work) wrong(at place, key, format string, args ...any) {
	w.problems.add(at, key, format, args...)
}

// step notes something to be done, or to be kept where no field changes.
func (w *work) step(at place, c Change, do func(context.Context) error) {
	w.steps = append(w.steps, step{at, c, do})
}

// create notes that something will be made.
func (w *work) create(at place, noun, name string, do func(context.Context) error) {
	w.step(at, Change{Action: Create, Noun: noun, Name: name}, do)
}

// modify notes that fields of something will change, or that it is kept.
func (w *work) modify(at place, c Change, do func(context.Context) error) {
	c.Action = Modify
	if len(c.Fields) == 0 {
		c.Action, do = Keep, nil
	}
	w.step(at, c, do)
}

// fields collects the names of values that change.
type fields []string

// set brings a value to what the file says, if it says anything.
func set[T comparable](f *fields, name string, have *T, want *T) {
	if want != nil && *have != *want {
		*have = *want
		*f = append(*f, name)
	}
}

// given is a pointer to a value that is present, nil if it is absent.
func given[T comparable](v T) *T {
	var absent T
	if v == absent {
		return nil
	}
	return &v
}

// or is what the file says, else a default.
func or[T any](want *T, otherwise T) *T {
	if want == nil {
		return &otherwise
	}
	return want
}

// free reports whether a code can be taken for a new object, as far as the file
// itself is concerned: the merchant's setting says within what codes are unique.
func (w *work) free(n store.Noun, at place, within []string, code string) bool {
	if w.taken[n] == nil {
		w.taken[n] = make(codePlaces)
	}
	scope := within[0]
	switch w.want.Settings.CodeScope {
	case billing.WithinMerchant:
		scope = ""
	case billing.WithinCustomer:
		scope = codes(within...)
	case billing.WithinAccount:
	}
	if before, ok := w.taken[n][scope+"/"+code]; ok {
		path, line := before.of("code")
		w.wrong(at, "code", "comes twice where it must be unique (code_scope %s); it is in line %d as %s",
			w.want.Settings.WithDefaults().CodeScope, line, path)
		return false
	}
	w.taken[n][scope+"/"+code] = at
	return true
}
