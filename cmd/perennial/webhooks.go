package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/store"
)

// webhooksCommand is about the messages that tell merchants of events.
type webhooksCommand struct {
	List   webhooksListCommand   `cmd:"" default:"withargs" help:"List messages, by default those that were not taken (what is done if nothing is said)."`
	Log    webhooksLogCommand    `cmd:"" help:"Show one message: every try, and what the receiver answered."`
	Resend webhooksResendCommand `cmd:"" help:"Send a message again, the same bytes."`
}

// webhooksListCommand lists messages.
type webhooksListCommand struct {
	place
	Merchant string                `help:"The merchant's code; all merchants if none is named." placeholder:"CODE"`
	State    billing.DeliveryState `help:"Only those that are waiting, held (behind another of their order), done or given-up." placeholder:"STATE" enum:",waiting,held,done,given-up" default:""`
	After    int64                 `help:"Only those with a larger id: the next page." placeholder:"ID"`
	Limit    int                   `help:"How many at most." default:"100"`
	JSON     bool                  `name:"json" help:"Print a JSON array, one row on each line."`
}

// Help is shown by perennial webhooks list --help.
func (webhooksListCommand) Help() string {
	return `Events are told to the endpoints that the set-up file names (docs/webhooks.md). A message that is not taken is tried again for a while, and then given up. Times are UTC.

Examples:

  perennial webhooks
  perennial webhooks list --merchant shop --state done --limit 20
  perennial webhooks log 912311451648110608
  perennial webhooks resend 912311451648110608 --reason "their server was down, ticket 4711"`
}

// deliveryLine is a message as JSON.
type deliveryLine struct {
	Merchant string `json:"merchant"`
	ID       int64  `json:"id,string"`
	Endpoint string `json:"endpoint"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Tries    int    `json:"tries"`
	Made     string `json:"made"`
	Next     string `json:"next"`
}

// unfinished are the states of messages that were not taken.
var unfinished = []billing.DeliveryState{billing.DeliveryWaiting, billing.DeliveryHeld, billing.DeliveryGivenUp}

// Run lists the messages.
func (c *webhooksListCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	merchants, err := merchantsNamed(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	var lines []deliveryLine
	for _, m := range merchants {
		list, codes, err := c.of(ctx, books, m)
		if err != nil {
			return err
		}
		for _, d := range list {
			lines = append(lines, deliveryLine{m.Code, int64(d.ID), codes[d.EndpointID], d.Kind, string(d.State), d.Tries, utc(d.CreatedAt), utc(d.NextAt)})
		}
	}
	if c.JSON {
		return writeLines(p.stdout, lines)
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(p.stdout, "there are no such messages")
		return err
	}
	return table(p.stdout, "MERCHANT\tID\tENDPOINT\tKIND\tSTATE\tTRIES\tMADE\tNEXT", lines, func(l deliveryLine) []any {
		return []any{l.Merchant, l.ID, l.Endpoint, l.Kind, l.State, l.Tries, l.Made, l.Next}
	})
}

// utc is an instant of the world as it is printed.
func utc(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// of lists a merchant's messages, and the codes of its endpoints.
func (c *webhooksListCommand) of(ctx context.Context, books *store.Store, m *billing.Merchant) (list []*billing.Delivery, codes map[billing.EndpointID]string, err error) {
	states := unfinished
	if c.State != "" {
		states = []billing.DeliveryState{c.State}
	}
	err = books.View(ctx, m.ID, func(v *store.View) error {
		list, codes = nil, make(map[billing.EndpointID]string)
		for _, s := range states {
			some, err := v.Deliveries(ctx, store.DeliveryFilter{State: s, Page: store.Page{After: c.After, Limit: c.Limit}})
			if err != nil {
				return err
			}
			list = append(list, some...)
		}
		endpoints, err := v.Endpoints(ctx)
		for _, e := range endpoints {
			codes[e.ID] = e.Code
		}
		return err
	})
	slices.SortFunc(list, func(a, b *billing.Delivery) int { return int(a.ID - b.ID) })
	return list[:min(len(list), c.Limit)], codes, err
}

// webhooksLogCommand shows one message.
type webhooksLogCommand struct {
	place
	ID   int64 `arg:"" help:"The id of the message."`
	Body bool  `help:"Print the body too. It tells of a customer."`
	JSON bool  `name:"json" help:"Print a JSON array, one try on each line."`
}

// tryLine is a try as JSON.
type tryLine struct {
	Try    int    `json:"try"`
	At     string `json:"at"`
	Took   int64  `json:"took_ms"`
	Status int    `json:"status"`
	Answer string `json:"answer"`
	Fault  string `json:"fault"`
}

// Run shows the message.
func (c *webhooksLogCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	m, d, err := findDelivery(ctx, books, c.ID)
	if err != nil {
		return err
	}
	var to *billing.Endpoint
	var tries []billing.Try
	err = books.View(ctx, m.ID, func(v *store.View) error {
		if to, err = v.Endpoint(ctx, d.EndpointID); err != nil {
			return err
		}
		tries, err = v.Tries(ctx, d.ID)
		return err
	})
	if err != nil {
		return err
	}
	lines := make([]tryLine, len(tries))
	for i, y := range tries {
		lines[i] = tryLine{y.Number, utc(y.At), y.Took.Milliseconds(), y.Status, y.Answer, y.Fault}
	}
	if c.JSON {
		return writeLines(p.stdout, lines)
	}
	next := ""
	if !d.NextAt.IsZero() {
		next = ", next try " + utc(d.NextAt)
	}
	if _, err := fmt.Fprintf(p.stdout, "%s: %s to %s (%s), %s%s\n", m.Code, d.Kind, to.Code, to.URL, d.State, next); err != nil {
		return err
	}
	err = table(p.stdout, "TRY\tAT\tMS\tSTATUS\tANSWER", lines, func(l tryLine) []any {
		answer := l.Answer
		if l.Fault != "" {
			answer = l.Fault
		}
		return []any{l.Try, l.At, l.Took, strconv.Itoa(l.Status), answer}
	})
	if err == nil && c.Body {
		_, err = fmt.Fprintf(p.stdout, "?%s\n%s\n", d.Query, d.Body)
	}
	return err
}

// findDelivery finds a message by its id, of whatever merchant.
func findDelivery(ctx context.Context, books *store.Store, id int64) (*billing.Merchant, *billing.Delivery, error) {
	merchants, err := books.Merchants(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range merchants {
		var d *billing.Delivery
		err := books.View(ctx, m.ID, func(v *store.View) error {
			d, err = v.Delivery(ctx, billing.DeliveryID(id))
			return err
		})
		if billing.KindOf(err) != billing.NotFound {
			return m, d, err
		}
	}
	return nil, nil, fmt.Errorf("there is no message of id %d: see perennial webhooks list", id)
}

// webhooksResendCommand sends messages again.
type webhooksResendCommand struct {
	place
	ID     []int64 `arg:"" help:"The ids of the messages."`
	Reason string  `help:"Why, for the audit trail."`
	By     string  `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial webhooks resend --help.
func (webhooksResendCommand) Help() string {
	return `The server sends each message within a second or so, with the same body and the same id as before, and if need be tries again as often as with a new one. A message whose body was erased cannot be sent.

Example:

  perennial webhooks resend 912311451648110608 --reason "their server was down, ticket 4711"`
}

// Run puts the messages back into the queue.
func (c *webhooksResendCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	for _, id := range c.ID {
		m, d, err := findDelivery(ctx, books, id)
		if err != nil {
			return err
		}
		if err := notify.Resend(ctx, books, d, billing.Act{Who: p.who(c.By), Reason: c.Reason, At: p.now()}); err != nil {
			return fmt.Errorf("message %d: %w", id, err)
		}
		if _, err := fmt.Fprintf(p.stdout, "%s: %s %d is sent again\n", m.Code, d.Kind, id); err != nil {
			return err
		}
	}
	return nil
}
