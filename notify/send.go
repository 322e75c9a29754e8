package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perennial-billing/perennial/billing"
)

// The headers of every message. webhook-id is the same at every try. The three
// together are those of the Standard Webhooks specification 1.0, for which there
// are libraries that check them; the signature is sent where the endpoint has a
// key.
const (
	idHeader        = "webhook-id"
	timestampHeader = "webhook-timestamp"
	signatureHeader = "webhook-signature"
	userAgent       = "Perennial-Webhooks/1"
)

// Bounds of what is read of an answer, in bytes, and of what is kept of it.
const (
	longestHeader = 16 << 10
	longestAnswer = 4 << 10
	keptAnswer    = 500
	longestFault  = 200
)

// newClient makes the client that sends messages of a policy. It does not go
// through a proxy, which would dial for it what it may not dial.
func newClient(t *http.Transport, p Policy) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(r *http.Request, before []*http.Request) error {
		if len(before) > p.Redirects || r.Method != http.MethodPost || CheckURL(r.URL.String()) != nil ||
			before[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

func newTransport(g guard) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: g.check}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true,
		MaxResponseHeaderBytes: longestHeader, MaxIdleConns: 100, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
		ForceAttemptHTTP2: true,
	}
}

// send sends a delivery once and returns what came of it. It never fails: what
// went wrong is the fault of the try.
func (c *Courier) send(ctx context.Context, to Endpoint, d *billing.Delivery) *billing.Try {
	begun := c.Now()
	y := &billing.Try{DeliveryID: d.ID, Number: d.Tries, At: begun}
	way := c.ways[to.Dialect]
	ctx, stop := context.WithTimeout(ctx, way.Policy.Timeout)
	defer stop()
	request, err := c.request(ctx, to, d, begun)
	if err == nil {
		var answer *http.Response
		if answer, err = way.client.Do(request); err == nil {
			y.Status = answer.StatusCode
			y.Answer = excerpt(answer.Body)
			_ = answer.Body.Close() // it was read as far as it will be
		}
	}
	y.Took = max(0, c.Now().Sub(begun))
	if err != nil {
		y.Fault = fault(ctx, err)
	}
	return y
}

func (c *Courier) request(ctx context.Context, to Endpoint, d *billing.Delivery, at time.Time) (*http.Request, error) {
	address, err := target(to.URL, d.Query)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(d.Body))
	if err != nil {
		return nil, errors.New("the address of the endpoint cannot be read")
	}
	id, stamp := strconv.FormatInt(int64(d.ID), 10), strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("Content-Type", d.ContentType)
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set(idHeader, id)
	r.Header.Set(timestampHeader, stamp)
	if key := to.Secrets.HMACKey; !key.IsZero() {
		r.Header.Set(signatureHeader, signature(key, id, stamp, d.Body))
	}
	if to.Login != "" {
		r.SetBasicAuth(to.Login, to.Secrets.Password.Reveal())
	}
	return r, nil
}

// signature is that of the Standard Webhooks specification: HMAC-SHA256 of id,
// time and body, joined by dots, in base64. A key that begins with whsec_ is
// base64 after that, as the specification has it; any other is taken as it is.
func signature(key billing.Secret, id, stamp string, body []byte) string {
	secret := []byte(key.Reveal())
	if encoded, ok := strings.CutPrefix(key.Reveal(), "whsec_"); ok {
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			secret = decoded
		}
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// excerpt is the beginning of an answer, fit to be shown: no control characters,
// and nothing that is not text.
func excerpt(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, longestAnswer)) // what came before it broke off is what came
	return printable(string(text), keptAnswer)
}

// printable is the beginning of a text, with blanks for what would move the
// cursor of who looks at it.
func printable(text string, most int) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			continue
		}
		if b.Len()+utf8.RuneLen(r) > most {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// fault says in a few words why no answer came. The errors of net/http repeat
// the address, which the log has elsewhere and whose query is nobody's business.
func fault(ctx context.Context, err error) string {
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err
	}
	switch {
	case errors.Is(err, errClosed):
		return errClosed.Error()
	case errors.Is(err, errPort):
		return errPort.Error()
	case ctx.Err() != nil:
		return "no answer in time"
	}
	return printable(err.Error(), longestFault)
}
