package setup

import (
	"context"
	"slices"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// lookUp finds the names of logins in the directory of the installation.
func (o *Options) lookUp(ctx context.Context, logins []*login) (map[string]store.Identity, error) {
	found := make(map[string]store.Identity)
	for _, l := range logins {
		id, err := o.Cashier.Store.Lookup(ctx, cashier.LoginDirectory, l.Name)
		if billing.KindOf(err) == billing.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[l.Name] = id
	}
	return found, nil
}

// lookUpKeys finds the API keys in the directory of the installation.
func (o *Options) lookUpKeys(ctx context.Context, logins []*login) (map[string]store.Identity, error) {
	found := make(map[string]store.Identity)
	for _, l := range logins {
		key := l.APIKey
		if l.APIKeyEnv != "" && o.Env != nil {
			value, _ := o.Env(l.APIKeyEnv)
			key = billing.NewSecret(value)
		}
		if key.IsZero() {
			continue
		}
		id, err := o.Cashier.Store.Lookup(ctx, cashier.KeyDirectory, cashier.KeyName(key))
		if billing.KindOf(err) == billing.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[cashier.KeyName(key)] = id
	}
	return found, nil
}

// logins looks at the merchant's logins.
func (w *work) logins(ctx context.Context) error {
	for _, l := range w.file.Logins {
		id, exists := w.lookups[l.Name]
		switch {
		case !exists:
			if err := w.newLogin(ctx, l); err != nil {
				return err
			}
		case w.have == nil || id.Merchant != w.have.ID:
			w.wrong(l.Where, "name", "is taken by another merchant of this installation")
		default:
			have, err := w.view.Login(ctx, billing.LoginID(id.Object))
			if err != nil {
				return err
			}
			if err := w.oldLogin(ctx, l, have); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) newLogin(ctx context.Context, l *login) error {
	owners, err := w.reach(ctx, l)
	if err != nil {
		return err
	}
	required(&w.problems, l.Where, "role", string(l.Role))
	password, given := w.password(l)
	if !given && l.PasswordHash.IsZero() && l.PasswordEnv == "" && l.APIKeyEnv == "" {
		w.wrong(l.Where, "", "one of password, password_env, password_hash, api_key and api_key_env is required for a new login")
	}
	w.keyOf(l, password, 0)
	made := &billing.Login{Name: l.Name}
	l.apply(made)
	w.create(l.Where, "login", codes(w.file.Code, l.Name), func(ctx context.Context) error {
		made.Accounts, made.CreatedAt = ids(owners), w.session().Now
		hash, err := l.hash(password)
		if err != nil {
			return err
		}
		made.PasswordHash = hash
		return w.Cashier.Store.Update(ctx, w.want.ID, func(tx *store.Tx) error {
			if err := tx.InsertLogin(ctx, made); err != nil {
				return err
			}
			if l.keyed() {
				if err := tx.Enter(ctx, cashier.KeyDirectory, cashier.KeyName(password), int64(made.ID)); err != nil {
					return err
				}
			}
			return tx.Enter(ctx, cashier.LoginDirectory, made.Name, int64(made.ID))
		})
	})
	return nil
}

func (w *work) oldLogin(ctx context.Context, l *login, have *billing.Login) error {
	owners, err := w.reach(ctx, l)
	if err != nil {
		return err
	}
	changed := l.apply(have)
	if l.Accounts != nil && !sameAccounts(have.Accounts, owners) {
		changed = append(changed, "accounts")
	}
	password, given := w.password(l)
	fresh := false
	switch {
	case given:
		same, err := cashier.CheckPassword(have.PasswordHash, password)
		if err != nil {
			return err
		}
		fresh = !same
	case !l.PasswordHash.IsZero():
		fresh = l.PasswordHash.Reveal() != have.PasswordHash
	}
	if l.keyed() && w.keyOf(l, password, have.ID) {
		fresh = true
	}
	if fresh {
		changed = append(changed, l.proof())
	}
	w.modify(l.Where, Change{Noun: "login", Name: codes(w.file.Code, l.Name), Fields: changed}, func(ctx context.Context) error {
		hash := ""
		if fresh {
			if hash, err = l.hash(password); err != nil {
				return err
			}
		}
		return w.Cashier.Store.Update(ctx, w.want.ID, func(tx *store.Tx) error {
			now, err := tx.Login(ctx, have.ID)
			if err != nil {
				return err
			}
			l.apply(now)
			if l.Accounts != nil {
				now.Accounts = ids(owners)
			}
			if fresh { // a new password is a new beginning
				now.PasswordHash, now.Failures, now.LockedUntil = hash, 0, time.Time{}
			}
			if fresh {
				if err := tx.Leave(ctx, cashier.KeyDirectory, int64(now.ID)); err != nil {
					return err
				}
			}
			if fresh && l.keyed() {
				if err := tx.Enter(ctx, cashier.KeyDirectory, cashier.KeyName(password), int64(now.ID)); err != nil {
					return err
				}
			}
			return tx.UpdateLogin(ctx, now)
		})
	})
	return nil
}

// apply brings a login to what the file says, but for accounts and password,
// and lists what changes.
func (l *login) apply(to *billing.Login) (changed fields) {
	set(&changed, "role", &to.Role, given(l.Role))
	set(&changed, "allow_raw_data", &to.AllowRawData, l.AllowRawData)
	set(&changed, "disabled", &to.Disabled, l.Disabled)
	if l.AllowedIPs != nil && !slices.Equal(to.AllowedIPs, l.AllowedIPs) {
		to.AllowedIPs = l.AllowedIPs
		changed = append(changed, "allowed_ips")
	}
	return changed
}

// keyed reports whether the login is proved by an API key.
func (l *login) keyed() bool { return !l.APIKey.IsZero() || l.APIKeyEnv != "" }

// proof is what the login is proved by, as a change names it.
func (l *login) proof() string {
	if l.keyed() {
		return "api_key"
	}
	return "password"
}

// keyOf looks whether an API key can be a login's, and reports whether it is not
// yet. 0 is a login that is still to be made.
func (w *work) keyOf(l *login, key billing.Secret, id billing.LoginID) (fresh bool) {
	if !l.keyed() || key.IsZero() {
		return false
	}
	if l.APIKeyEnv != "" && !keyForm(key.Reveal()) {
		w.wrong(l.Where, "api_key_env", "must be %d to %d visible ASCII characters without a colon, made by chance", shortestAPIKey, longestAPIKey)
	}
	holder, taken := w.keys[cashier.KeyName(key)]
	if taken && (w.have == nil || holder.Merchant != w.have.ID || billing.LoginID(holder.Object) != id) {
		w.wrong(l.Where, "api_key", "is the key of another login of this installation")
	}
	return !taken
}

// password is the one that the file gives in the clear, by itself or by the
// name of an environment variable. An API key is the password of its login.
func (w *work) password(l *login) (p billing.Secret, given bool) {
	switch {
	case l.APIKeyEnv != "":
		return w.fromEnv(l.Where, "api_key_env", l.APIKeyEnv)
	case !l.APIKey.IsZero():
		return l.APIKey, true
	}
	if l.PasswordEnv == "" {
		return l.Password, !l.Password.IsZero()
	}
	return w.fromEnv(l.Where, "password_env", l.PasswordEnv)
}

// fromEnv is the secret that an environment variable holds.
func (w *work) fromEnv(at place, key, name string) (s billing.Secret, given bool) {
	value, ok := "", false
	if w.Env != nil {
		value, ok = w.Env(name)
	}
	if !ok || value == "" || len(value) > maxText {
		w.wrong(at, key, "names an environment variable that is not set, empty or too long")
		return billing.Secret{}, false
	}
	return billing.NewSecret(value), true
}

// hash is the stored form of the login's password.
func (l *login) hash(password billing.Secret) (string, error) {
	if !l.PasswordHash.IsZero() {
		return l.PasswordHash.Reveal(), nil
	}
	return cashier.HashPassword(password)
}

// reach finds the accounts that a login is bounded to.
func (w *work) reach(ctx context.Context, l *login) ([]*owner, error) {
	var owners []*owner
	for _, code := range l.Accounts {
		o, err := w.ownerFor(ctx, l.Where, "accounts", code)
		if err != nil {
			return nil, err
		}
		if o != nil {
			owners = append(owners, o)
		}
	}
	return owners, nil
}

// ids are the ids of accounts that have been made by now.
func ids(owners []*owner) []billing.AccountID {
	var list []billing.AccountID
	for _, o := range owners {
		list = append(list, o.ID)
	}
	return list
}

// sameAccounts compares sets; an account that is still to be made is in none.
func sameAccounts(have []billing.AccountID, want []*owner) bool {
	list := ids(want)
	slices.Sort(list)
	return slices.Equal(slices.Sorted(slices.Values(have)), list)
}
