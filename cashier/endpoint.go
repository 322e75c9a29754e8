package cashier

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// sealedSecrets is how an endpoint's secrets are sealed.
type sealedSecrets struct {
	Password string `json:"password,omitempty"`
	HMACKey  string `json:"hmac_key,omitempty"`
	Salt     string `json:"salt,omitempty"`
}

// AddEndpoint makes an endpoint and seals its secrets. Events are told there
// from those on that are written after it.
func (c *Cashier) AddEndpoint(ctx context.Context, s *Session, e *billing.Endpoint, secrets billing.EndpointSecrets) error {
	return c.update(ctx, s, func(tx *store.Tx) (err error) {
		e.ID = billing.EndpointID(tx.NewID())
		e.CreatedAt, e.UpdatedAt = c.Now(), c.Now()
		if e.Sealed, err = c.sealSecrets(s.Merchant, e.ID, secrets); err != nil {
			return err
		}
		return tx.InsertEndpoint(ctx, e)
	})
}

// ModifyEndpoint applies a change to an endpoint and its secrets. What waits to
// be told goes to the address that holds when it is sent.
func (c *Cashier) ModifyEndpoint(ctx context.Context, s *Session, id billing.EndpointID,
	change func(*billing.Endpoint, *billing.EndpointSecrets)) error {
	return c.update(ctx, s, func(tx *store.Tx) error {
		e, err := tx.LockEndpoint(ctx, id)
		if err != nil {
			return err
		}
		secrets, err := c.EndpointSecrets(s.Merchant, e)
		if err != nil {
			return err
		}
		change(e, &secrets)
		e.UpdatedAt = c.Now()
		if e.Sealed, err = c.sealSecrets(s.Merchant, e.ID, secrets); err != nil {
			return err
		}
		return tx.UpdateEndpoint(ctx, e)
	})
}

// EndpointSecrets opens what proves to an endpoint who is telling.
func (c *Cashier) EndpointSecrets(m *billing.Merchant, e *billing.Endpoint) (s billing.EndpointSecrets, err error) {
	if e.Sealed == nil {
		return s, nil
	}
	keys, err := c.keys(m)
	if err != nil {
		return s, err
	}
	plain, err := keys.Open(e.Sealed, sealedForEndpoint(e.ID))
	if err != nil {
		return s, err
	}
	var inside sealedSecrets
	if err := json.Unmarshal(plain, &inside); err != nil {
		return s, billing.Errorf(billing.Internal, "the secrets of endpoint %d are not what was sealed", e.ID)
	}
	return billing.EndpointSecrets{Password: billing.NewSecret(inside.Password), HMACKey: billing.NewSecret(inside.HMACKey),
		Salt: billing.NewSecret(inside.Salt)}, nil
}

// sealSecrets is nil if there are none.
func (c *Cashier) sealSecrets(m *billing.Merchant, id billing.EndpointID, s billing.EndpointSecrets) ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	keys, err := c.keys(m)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(sealedSecrets{s.Password.Reveal(), s.HMACKey.Reveal(), s.Salt.Reveal()})
	if err != nil {
		return nil, billing.Errorf(billing.Internal, "the secrets of an endpoint cannot be encoded")
	}
	return keys.Seal(plain, sealedForEndpoint(id))
}

// sealedForEndpoint is the associated data that binds sealed secrets to their
// endpoint.
func sealedForEndpoint(id billing.EndpointID) string {
	return "endpoint/" + strconv.FormatInt(int64(id), 10)
}
