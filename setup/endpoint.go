package setup

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/notify"
)

type endpoint struct {
	Where       place
	Code        string          `yaml:"code"`
	Dialect     string          `yaml:"dialect"`
	Account     string          `yaml:"account"`
	URL         string          `yaml:"url"`
	Login       *string         `yaml:"login"`
	Password    billing.Secret  `yaml:"password"`
	PasswordEnv string          `yaml:"password_env"`
	HMACKey     billing.Secret  `yaml:"hmac_key"`
	HMACKeyEnv  string          `yaml:"hmac_key_env"`
	Salt        billing.Secret  `yaml:"salt"`
	SaltEnv     string          `yaml:"salt_env"`
	Settings    json.RawMessage `yaml:"settings"`
	Disabled    *bool           `yaml:"disabled"`
}

// shortestKey is the least length of a key that signs messages, in characters.
const shortestKey = 16

// check finds what is wrong with an endpoint by itself.
func (e *endpoint) check(ps *Problems) {
	form(ps, e.Where, "code", e.Code, codeForm)
	if e.URL != "" {
		if err := notify.CheckURL(e.URL); err != nil {
			ps.add(e.Where, "url", "%s", messageOf(err))
		}
	}
	for _, s := range []struct {
		key   string
		given billing.Secret
		env   string
	}{{"password", e.Password, e.PasswordEnv}, {"hmac_key", e.HMACKey, e.HMACKeyEnv}, {"salt", e.Salt, e.SaltEnv}} {
		form(ps, e.Where, s.key+"_env", s.env, envForm)
		if s.env != "" && !s.given.IsZero() {
			ps.add(e.Where, s.key+"_env", "and %s exclude each other", s.key)
		}
	}
}

// messageOf is what an error of ours says, without the field that it names.
func messageOf(err error) string {
	var ours *billing.Error
	if errors.As(err, &ours) {
		return ours.Message
	}
	return err.Error()
}

// endpoints looks at where the merchant wants to be told of events.
func (w *work) endpoints(ctx context.Context) error {
	if len(w.file.Endpoints) == 0 {
		return nil
	}
	have := make(map[string]*billing.Endpoint)
	if w.view != nil {
		list, err := w.view.Endpoints(ctx)
		if err != nil {
			return err
		}
		for _, e := range list {
			have[e.Code] = e
		}
	}
	owners := make(map[string]*owner)
	for _, e := range w.file.Endpoints {
		if e.Account == "" {
			continue
		}
		o, err := w.ownerFor(ctx, e.Where, "account", e.Account)
		if err != nil {
			return err
		}
		owners[e.Code] = o
	}
	accounts := make(map[billing.AccountID]string)
	if w.view != nil {
		list, err := w.view.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, a := range list {
			accounts[a.ID] = a.Code
		}
	}
	for _, e := range w.file.Endpoints {
		if e.Account == "" || owners[e.Code] != nil {
			if err := w.endpoint(e, have[e.Code], owners[e.Code]); err != nil {
				return err
			}
		}
	}
	w.crowds(have, accounts)
	return nil
}

// teller is what counts of an endpoint where there may be only so many.
type teller struct{ code, dialect, account string }

// crowds refuses more endpoints of an account than a dialect has: those of the
// file and those of the books beside it. One of all accounts is one of each.
func (w *work) crowds(have map[string]*billing.Endpoint, accounts map[billing.AccountID]string) {
	var all []teller
	for _, e := range w.file.Endpoints {
		t := teller{e.Code, e.Dialect, e.Account}
		if old := have[e.Code]; old != nil {
			t.dialect = old.Dialect
			if t.account == "" {
				t.account = accounts[old.AccountID]
			}
		}
		delete(have, e.Code)
		all = append(all, t)
	}
	for _, code := range slices.Sorted(maps.Keys(have)) {
		all = append(all, teller{code, have[code].Dialect, accounts[have[code].AccountID]})
	}
	for i, e := range w.file.Endpoints {
		f := w.form(all[i].dialect)
		if f == nil || f.PerAccount == 0 {
			continue
		}
		beside := make(map[string][]string) // by account
		for j, t := range all {
			if j == i || t.dialect == all[i].dialect && (t.account == all[i].account || t.account == "" || all[i].account == "") {
				beside[t.account] = append(beside[t.account], t.code)
			}
		}
		for _, account := range slices.Sorted(maps.Keys(beside)) {
			list := beside[account]
			if account != "" {
				list = append(list, beside[""]...)
			}
			if len(list) > f.PerAccount && slices.Index(list, e.Code) >= 0 {
				w.wrong(e.Where, "", "is one too many: %s has at most %d endpoints for one account, and there are %s",
					f.Dialect, f.PerAccount, strings.Join(list, ", "))
				return
			}
		}
	}
}

// form is the form of a dialect, nil if it tells nothing.
func (w *work) form(dialect string) *notify.Form {
	for _, f := range w.Forms {
		if f.Dialect == dialect {
			return f
		}
	}
	return nil
}

// endpoint looks at one endpoint; old is nil if there is none of the code, and
// account if the file names none.
func (w *work) endpoint(e *endpoint, old *billing.Endpoint, account *owner) error {
	dialect := e.Dialect
	if old != nil {
		w.unchangeable(e.Where, "dialect", e.Dialect, old.Dialect)
		dialect = old.Dialect
	} else {
		required(&w.problems, e.Where, "dialect", e.Dialect)
		required(&w.problems, e.Where, "url", e.URL)
	}
	f := w.form(dialect)
	switch {
	case dialect == "":
	case f == nil:
		known := make(map[string]bool)
		for _, one := range w.Forms {
			known[one.Dialect] = true
		}
		w.wrong(e.Where, "dialect", "is no dialect that tells events; those are: %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	case e.Settings != nil || old == nil:
		if err := f.Check(e.Settings); err != nil {
			w.wrong(e.Where, "settings", "%s", messageOf(err))
		}
	}
	secrets, given := w.endpointSecrets(e)
	if old == nil {
		w.newEndpoint(e, account, secrets)
		return nil
	}
	return w.oldEndpoint(e, old, account, secrets, given)
}

func (w *work) newEndpoint(e *endpoint, account *owner, secrets billing.EndpointSecrets) {
	made := &billing.Endpoint{Code: e.Code, Dialect: e.Dialect}
	e.apply(made, account)
	w.paired(e, made, secrets)
	w.create(e.Where, "endpoint", codes(w.file.Code, e.Code), func(ctx context.Context) error {
		e.apply(made, account) // the account has its id by now
		return w.Cashier.AddEndpoint(ctx, w.session(), made, secrets)
	})
}

func (w *work) oldEndpoint(e *endpoint, old *billing.Endpoint, account *owner, secrets billing.EndpointSecrets, given []string) error {
	had, err := w.Cashier.EndpointSecrets(w.have, old)
	if err != nil {
		return err
	}
	now := *old
	changed := e.apply(&now, account)
	want := merge(had, secrets, given)
	for _, s := range []struct {
		key      string
		had, now billing.Secret
	}{{"password", had.Password, want.Password}, {"hmac_key", had.HMACKey, want.HMACKey}, {"salt", had.Salt, want.Salt}} {
		if s.had.Reveal() != s.now.Reveal() {
			changed = append(changed, s.key)
		}
	}
	w.paired(e, &now, want)
	w.modify(e.Where, Change{Noun: "endpoint", Name: codes(w.file.Code, e.Code), Fields: changed}, func(ctx context.Context) error {
		return w.Cashier.ModifyEndpoint(ctx, w.session(), old.ID, func(now *billing.Endpoint, s *billing.EndpointSecrets) {
			e.apply(now, account)
			*s = merge(*s, secrets, given)
		})
	})
	return nil
}

// paired refuses half of a name and password.
func (w *work) paired(e *endpoint, now *billing.Endpoint, s billing.EndpointSecrets) {
	if (now.Login == "") != s.Password.IsZero() {
		w.wrong(e.Where, "login", "and password (or password_env) go together")
	}
}

// apply brings an endpoint to what the file says, but for secrets, and lists what
// changes.
func (e *endpoint) apply(to *billing.Endpoint, account *owner) (changed fields) {
	if account != nil && (account.ID != to.AccountID || account.ID == 0) { // 0: it is still to be made
		to.AccountID = account.ID
		changed = append(changed, "account")
	}
	set(&changed, "url", &to.URL, given(e.URL))
	set(&changed, "login", &to.Login, e.Login)
	set(&changed, "disabled", &to.Disabled, e.Disabled)
	if e.Settings != nil && string(to.Settings) != string(e.Settings) {
		to.Settings = e.Settings
		changed = append(changed, "settings")
	}
	return changed
}

// merge lays the secrets that are given over those that are.
func merge(had, secrets billing.EndpointSecrets, given []string) billing.EndpointSecrets {
	for _, key := range given {
		switch key {
		case "password":
			had.Password = secrets.Password
		case "hmac_key":
			had.HMACKey = secrets.HMACKey
		case "salt":
			had.Salt = secrets.Salt
		}
	}
	return had
}

// endpointSecrets are those that the file gives in the clear, by themselves or by the
// names of environment variables, and which they are.
func (w *work) endpointSecrets(e *endpoint) (s billing.EndpointSecrets, given []string) {
	for _, one := range []struct {
		key   string
		value billing.Secret
		env   string
		to    *billing.Secret
	}{{"password", e.Password, e.PasswordEnv, &s.Password}, {"hmac_key", e.HMACKey, e.HMACKeyEnv, &s.HMACKey}, {"salt", e.Salt, e.SaltEnv, &s.Salt}} {
		key := one.key
		if one.env != "" {
			key += "_env"
			one.value, _ = w.fromEnv(e.Where, key, one.env)
		}
		if one.value.IsZero() {
			continue
		}
		if one.key == "hmac_key" && len(one.value.Reveal()) < shortestKey {
			w.wrong(e.Where, key, "must have at least %d characters", shortestKey)
		}
		*one.to = one.value
		given = append(given, one.key)
	}
	return s, given
}
