package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
)

// Name is the driver's name in the books.
const Name = "sandbox"

// maxAnswer bounds what the driver reads of an answer, in bytes. A page of
// notices is the longest.
const maxAnswer = 1 << 20

// Driver speaks the bank's wire. It is a processor.Driver, Creditor, Authorizer,
// Noticer and Lister.
type Driver struct {
	base   *url.URL
	client *http.Client
}

// NewDriver makes a driver for the bank at a base address such as
// "http://127.0.0.1:8490", reached by rt, or over the network if rt is nil. For a
// bank in the same process use Embedded(bank) with any address, such as
// EmbeddedURL.
func NewDriver(baseURL string, rt http.RoundTripper) (*Driver, error) {
	base, err := url.Parse(baseURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("sandbox: the bank's address must look like http://127.0.0.1:8490")
	}
	if rt == nil {
		rt = network()
	}
	return &Driver{base: base, client: &http.Client{
		Transport: rt,
		// A redirected request would carry the number to whoever is named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// network reaches a bank over the network. Unlike the standard client it keeps as
// many connections as a billing run has charges under way, and asks no proxy.
func network() http.RoundTripper {
	const kept = 256
	return &http.Transport{MaxIdleConns: kept, MaxIdleConnsPerHost: kept, IdleConnTimeout: time.Minute, DisableCompression: true}
}

// EmbeddedURL is an address for a driver whose bank is in the same process.
const EmbeddedURL = "http://sandbox.invalid"

// Name is "sandbox".
func (d *Driver) Name() string { return Name }

// Charge asks for a capture of a card or a debit of a bank account.
func (d *Driver) Charge(ctx context.Context, r processor.Request) (billing.Outcome, error) {
	return d.act(ctx, "charges", r)
}

// Void asks that a charge, refund or credit be taken back.
func (d *Driver) Void(ctx context.Context, r processor.Request) (billing.Outcome, error) {
	return d.act(ctx, "voids", r)
}

// Refund asks that a charge be paid back, all or a part.
func (d *Driver) Refund(ctx context.Context, r processor.Request) (billing.Outcome, error) {
	return d.act(ctx, "refunds", r)
}

// Credit asks for a payment to a card or bank account.
func (d *Driver) Credit(ctx context.Context, r processor.Request) (billing.Outcome, error) {
	return d.act(ctx, "credits", r)
}

// Authorize asks whether a card would pay an amount, and takes nothing.
func (d *Driver) Authorize(ctx context.Context, r processor.Request) (billing.Outcome, error) {
	return d.act(ctx, "authorisations", r)
}

// Lookup asks what became of an act.
func (d *Driver) Lookup(ctx context.Context, merchant, reference string, at time.Time) (billing.Outcome, error) {
	q := url.Values{"at": {at.UTC().Format(time.RFC3339Nano)}}
	text, err := d.exchange(ctx, http.MethodGet, d.url(q, merchant, "references", reference), nil)
	if err != nil {
		return billing.Outcome{}, fmt.Errorf("sandbox: look-up: %w", err)
	}
	return outcome(text, reference)
}

// Notices asks for what happened to finished charges.
func (d *Driver) Notices(ctx context.Context, merchant string, after int64, at time.Time) ([]billing.Notice, error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "at": {at.UTC().Format(time.RFC3339Nano)}}
	text, err := d.exchange(ctx, http.MethodGet, d.url(q, merchant, "notices"), nil)
	if err != nil {
		return nil, fmt.Errorf("sandbox: notices: %w", err)
	}
	var body struct {
		Notices []noticeBody `json:"notices"`
	}
	if json.Unmarshal(text, &body) != nil {
		return nil, errNotUnderstood
	}
	notices := make([]billing.Notice, len(body.Notices))
	for i, n := range body.Notices {
		notices[i] = billing.Notice{
			Seq: n.Seq, Kind: n.Kind, Reference: n.Reference, Response: n.Response,
			Amount: billing.Minor(n.Amount, n.Currency), Number: billing.NewSecret(n.Number), Routing: n.Routing, At: n.At,
		}
	}
	return notices, nil
}

func (d *Driver) act(ctx context.Context, what string, r processor.Request) (billing.Outcome, error) {
	body, err := json.Marshal(orderBody{
		Reference: r.Reference, Original: r.Original, OriginalID: r.OriginalID,
		Amount: r.Amount.Minor(), Currency: r.Amount.Currency(), Instrument: r.Instrument,
		Number: r.Number.Reveal(), Expiry: r.Expiry, Routing: r.Routing, SecurityCode: r.SecurityCode.Reveal(),
		Payer: r.Payer, Customer: r.Customer, Recurring: r.Recurring, At: r.At.UTC(),
	})
	if err != nil {
		return billing.Outcome{}, fmt.Errorf("sandbox: %s: encode: %w", what, processor.ErrRefused)
	}
	text, err := d.exchange(ctx, http.MethodPost, d.url(nil, r.Merchant, what), body)
	if err != nil {
		return billing.Outcome{}, fmt.Errorf("sandbox: %s: %w", what, err)
	}
	return outcome(text, r.Reference)
}

// url is an address under a merchant's. Each part is one segment, whatever is
// in it.
func (d *Driver) url(q url.Values, merchant string, rest ...string) string {
	u := *d.base
	u.RawQuery = q.Encode()
	parts := []string{"v1", "merchants", url.PathEscape(merchant)}
	for _, p := range rest {
		parts = append(parts, url.PathEscape(p))
	}
	return u.JoinPath(parts...).String()
}

// exchange sends a request and returns the body of an answer with status 200.
// Its errors quote nothing of a body.
func (d *Driver) exchange(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	var line processor.Line
	req, err := http.NewRequestWithContext(line.Watch(ctx), method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the address is malformed", processor.ErrNotSent)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		if line.NeverSent(err) {
			return nil, fmt.Errorf("%w: %w", processor.ErrNotSent, err)
		}
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(text) > maxAnswer {
		return nil, errNotUnderstood
	}
	if resp.StatusCode == http.StatusOK {
		return text, nil
	}
	return nil, refusal(resp.StatusCode, text)
}

// errNotUnderstood does not wrap the decoder's error, which may quote the answer.
var errNotUnderstood = errors.New("sandbox: an answer that is not the bank's")

// refusal reads an answer that is none. Only the bank's own words prove that it
// did nothing: a proxy on the way has a 404 of its own.
func refusal(status int, text []byte) error {
	var body refusalBody
	if json.Unmarshal(text, &body) != nil {
		body = refusalBody{}
	}
	switch {
	case status == http.StatusNotFound && body.Error == wordNotFound:
		return processor.ErrNotFound
	case status == http.StatusConflict && body.Error == wordConflict:
		return processor.ErrConflict
	case status == http.StatusBadRequest && body.Error == wordInvalid:
		return fmt.Errorf("%w: %s", processor.ErrRefused, body.Message)
	case status == http.StatusServiceUnavailable && body.Error == wordUnavailable:
		return fmt.Errorf("%w: the bank is not available", processor.ErrRefused)
	}
	return fmt.Errorf("sandbox: status %d", status)
}

// outcome reads the answer to an act or look-up.
func outcome(text []byte, reference string) (billing.Outcome, error) {
	var b answerBody
	if json.Unmarshal(text, &b) != nil || b.Reference != reference {
		return billing.Outcome{}, errNotUnderstood
	}
	return b.outcome(), nil
}

func (b answerBody) outcome() billing.Outcome {
	return billing.Outcome{
		State: b.State, Response: b.Response, Message: b.Message, ApprovalCode: b.ApprovalCode,
		ProcessorID: b.ID, Amount: billing.Minor(b.Amount, b.Currency), SettlesAt: b.SettlesAt,
	}
}
