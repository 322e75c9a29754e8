package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/dialect/unipay"
	"github.com/perennial-billing/perennial/store"
)

// The login by which clients come over the wire. Its hash is the cheapest that
// there is: stories are not about passwords.
const (
	wirePassword = "simulated-password"
	wireHash     = "$argon2id$v=19$m=8,t=1,p=1$c2ltdWxhdG9yLXNhbHQtMQ$42KB1IjeTH/ysEKLWjgGEA"
)

// admit gives a merchant the login of its clients.
func (w *world) admit(m *billing.Merchant) error {
	l := &billing.Login{Name: "api-" + m.Code, Role: billing.RoleAPI, AllowRawData: true, PasswordHash: wireHash, CreatedAt: m.CreatedAt}
	return w.books.Update(w.ctx, m.ID, func(tx *store.Tx) error {
		if err := tx.InsertLogin(w.ctx, l); err != nil {
			return err
		}
		return tx.Enter(w.ctx, cashier.LoginDirectory, l.Name, int64(l.ID))
	})
}

// order is what a client sends over the wire.
type order struct {
	path   string // below unipay.Prefix
	fields map[string]string
	key    string // of idempotency, "" if there is none
}

// reply is what comes back.
type reply struct {
	status   int
	id       int64 // of what was made or changed
	code     string
	replayed bool
}

// caller is a client of a merchant who speaks to a process over the wire.
type caller struct {
	w    *world
	p    *process
	shop *shop
}

// send sends an order, in the hands of an actor that may stand still or die in
// the middle.
func (c caller) send(ctx context.Context, o order) (*reply, error) {
	w := c.w
	body, err := json.Marshal(o.fields)
	if err != nil {
		return nil, err
	}
	r := (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: unipay.Prefix + o.path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), RemoteAddr: "192.0.2.1:4711"}).WithContext(ctx)
	r.SetBasicAuth("api-"+c.shop.code, wirePassword)
	if o.key != "" {
		r.Header.Set("Idempotency-Key", o.key)
	}
	heard := &hearing{header: http.Header{}}
	c.p.wire.ServeHTTP(heard, r)
	var told struct {
		ID   string `json:"id"`
		Info struct {
			Code string `json:"responseCode"`
		} `json:"processingInfo"`
	}
	a := &reply{status: heard.status, replayed: heard.header.Get("Idempotent-Replayed") != ""}
	switch {
	case heard.status >= 500 && heard.status != http.StatusServiceUnavailable:
		w.fault("wire", "%s %v was answered with %d: %s", o.path, o.fields, heard.status, heard.body.String())
	case json.Unmarshal(heard.body.Bytes(), &told) != nil:
		w.fault("wire", "%s was answered with what is no JSON: %s", o.path, heard.body.String())
	case heard.status == http.StatusOK:
		a.code = told.Info.Code
		if a.id, err = strconv.ParseInt(told.ID, 10, 64); err != nil {
			w.fault("wire", "%s was answered without an id: %s", o.path, heard.body.String())
		}
	default:
		w.log("  %s: %d %s", o.path, heard.status, strings.TrimSpace(heard.body.String()))
	}
	return a, nil
}

// hearing takes in an answer.
type hearing struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's header.
func (h *hearing) Header() http.Header { return h.header }

// WriteHeader notes the status.
func (h *hearing) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

// Write adds to the body.
func (h *hearing) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// chargeOrder is a charge as it is said on the wire.
func chargeOrder(customer cashier.Ref, q cashier.ChargeRequest) order {
	f := map[string]string{"type": "AP", "amount": strconv.FormatInt(q.Amount, 10)}
	if q.Credit {
		f["type"] = "AR"
	}
	if q.Tax != 0 {
		f["taxAmount"] = strconv.FormatInt(q.Tax, 10)
	}
	if !q.Method.IsZero() {
		f["paymentOptionId"] = fmt.Sprint(q.Method.ID)
	} else {
		f["accountNumber"], f["holderName"] = q.Number.Reveal(), "John Smith"
		f["accountType"], f["accountAccessory"] = "VC", q.Expiry
		if q.Instrument.IsBank() {
			f["accountType"], f["accountAccessory"] = "BC", q.Routing
		}
	}
	var invoices []string
	for _, i := range q.Invoices {
		invoices = append(invoices, fmt.Sprint(i.ID))
	}
	if len(invoices) > 0 {
		f["invoiceList"] = strings.Join(invoices, ",")
	}
	return order{path: fmt.Sprintf("customers/%d/transactions/~process", customer.ID), fields: f, key: q.Key}
}

// charge charges. A key stands for one transaction for ever.
func (c caller) charge(ctx context.Context, k *keyed) error {
	a, err := c.send(ctx, chargeOrder(k.customer, k.request))
	if err != nil || a.status != http.StatusOK || k.request.Key == "" {
		return err
	}
	if k.transaction != 0 && k.transaction != a.id {
		c.w.fault("key", "%s stood for transaction %d and now for %d", k.request.Key, k.transaction, a.id)
	}
	k.transaction = a.id
	return nil
}

// twist sends another charge under a used key.
func (c caller) twist(ctx context.Context, k *keyed, other cashier.ChargeRequest) error {
	a, err := c.send(ctx, chargeOrder(k.customer, other))
	if err == nil && a.status != http.StatusConflict {
		c.w.fault("key", "%s was taken for another charge on the wire: status %d", k.request.Key, a.status)
	}
	return err
}

// judgeKey sends a key's charge once more: it must be answered by the transaction
// that it stands for.
func (c caller) judgeKey(ctx context.Context, k *keyed, attempt *attempt) error {
	a, err := c.send(ctx, chargeOrder(k.customer, k.request))
	if err == nil && (a.status != http.StatusOK || !a.replayed || a.id != attempt.activity) {
		c.w.fault("key", "%s: %s stands for transaction %d; replayed on the wire it is %+v", c.shop.code, k.request.Key, attempt.activity, *a)
	}
	return err
}

// order sends an order about a customer.
func (c caller) order(ctx context.Context, who *person, rest string, fields map[string]string) error {
	_, err := c.send(ctx, order{path: fmt.Sprintf("customers/%d/%s", who.ref.ID, rest), fields: fields})
	return err
}

// course changes the course of a subscription. A freeze needs a look at the books
// first, and is left to others.
func (c caller) course(ctx context.Context, x wish, sub cashier.Ref, on billing.Date) (done bool, err error) {
	action := map[Kind]string{actPause: "~pause", actResume: "~resume", actCancel: "~cancel"}[x.Kind]
	if !x.wire || action == "" {
		return false, nil
	}
	fields := map[string]string{}
	if !on.IsZero() {
		fields["effectiveDate"] = on.String()
	}
	return true, c.order(ctx, x.who, fmt.Sprintf("subscriptions/%d/%s", sub.ID, action), fields)
}
