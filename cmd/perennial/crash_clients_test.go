package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// charging is one charge that a client asked for.
type charging struct {
	note    string // tells it from all others in the books
	key     string // of idempotency, "" if there is none
	vaulted bool   // by a payment option, not by a number in the request
	amount  int64
	answer  string // response code that was heard in the end, "" if none was
	asked   int
}

// clientele is the clients that post charges during a siege.
type clientele struct {
	stopping chan struct{}
	working  sync.WaitGroup

	mu   sync.Mutex
	list []*charging
}

// send starts the clients. Each asks for one charge after the other at any of the
// servers; one with a key is asked for again until it is answered.
func (s *siege) send(t *testing.T, towers []*tower) *clientele {
	c := &clientele{stopping: make(chan struct{})}
	line := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	for i := range s.clients {
		c.working.Go(func() {
			r := rand.New(rand.NewPCG(s.seed, uint64(100+i)))
			for n := 0; !t.Failed(); n++ {
				select {
				case <-c.stopping:
					return
				case <-time.After(time.Duration(r.Int64N(int64(200 * time.Millisecond)))):
				}
				one := &charging{note: fmt.Sprintf("charge %d of client %d", n, i), vaulted: r.IntN(3) > 0, amount: 500 + r.Int64N(6000)}
				if r.IntN(3) > 0 {
					one.key = fmt.Sprintf("key-%d-%d", i, n)
				}
				c.mu.Lock()
				c.list = append(c.list, one)
				c.mu.Unlock()
				if err := one.ask(line, towers, fmt.Sprint("payer", i), r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	return c
}

// stop has the clients end when they have been answered.
func (c *clientele) stop() {
	close(c.stopping)
	c.working.Wait()
}

// charges are all that were asked for. The clients have stopped.
func (c *clientele) charges() []*charging { return c.list }

// ask asks for the charge: once without a key, else until there is an answer that
// is final. An error says that there never was one.
func (c *charging) ask(line *http.Client, towers []*tower, customer string, r *rand.Rand) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		url, _ := towers[r.IntN(len(towers))].url.Load().(string)
		c.asked++
		final, err := c.try(line, url, customer)
		if err != nil {
			return err
		}
		if final || c.key == "" {
			return nil
		}
		after(time.Duration(r.Int64N(int64(100 * time.Millisecond))))
	}
	return fmt.Errorf("%+v: not answered within %s", *c, patience)
}

// try asks once. A line that breaks is no error.
func (c *charging) try(line *http.Client, url, customer string) (final bool, err error) {
	fields := map[string]string{"type": "AP", "amount": strconv.FormatInt(c.amount, 10), "note": c.note}
	if c.vaulted {
		fields["paymentOptionId"] = "*" + customer + "-card"
	} else {
		fields["accountType"], fields["accountNumber"], fields["accountAccessory"], fields["holderName"] = "VC", "4111111111111111", "1230", "John Smith"
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return false, err
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/api/v01/customers/*"+customer+"/transactions/~process", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	request.SetBasicAuth(demoUser, demoPassword)
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("Idempotency-Key", c.key)
	}
	answer, err := line.Do(request)
	if err != nil {
		return false, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return false, nil
	}
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusConflict, http.StatusServiceUnavailable, http.StatusTooManyRequests: // under way, or not now
		return false, nil
	default:
		return false, fmt.Errorf("%+v was answered with %s: %s", *c, answer.Status, text)
	}
	var told struct {
		ProcessingInfo struct {
			ResponseCode billing.ResponseCode `json:"responseCode"`
		} `json:"processingInfo"`
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return false, fmt.Errorf("%+v was answered with %s: %w", *c, text, err)
	}
	switch code := told.ProcessingInfo.ResponseCode; code {
	case "E09", "": // the bank has not said yet
		return false, nil
	case "A01":
		c.answer = string(billing.Approved)
	default:
		c.answer = string(code)
	}
	return true, nil
}

// attemptReference is the reference under which the bank knows an attempt.
func attemptReference(id billing.AttemptID) string { return strconv.FormatInt(int64(id), 10) }
