package notify

import (
	"context"
	"fmt"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// fanOut makes the deliveries of a batch of a merchant's waiting events and
// returns how many events that were. One worker does this for a merchant at a
// time, because it holds the endpoints: so deliveries are made in the order of
// the events, as far as they are committed.
func (c *Courier) fanOut(ctx context.Context, id billing.MerchantID) (told int, err error) {
	var unsaid []error
	err = c.Store.Update(ctx, id, func(tx *store.Tx) error {
		told, unsaid = 0, nil
		endpoints, err := tx.LockEndpoints(ctx)
		if err != nil {
			return err
		}
		events, err := tx.WaitingEvents(ctx, c.batch)
		if err != nil || len(events) == 0 {
			return err
		}
		m, err := tx.Merchant(ctx)
		if err != nil {
			return err
		}
		f := &fan{c: c, tx: tx, merchant: m, busy: make(map[lane]bool), keys: make(map[billing.EndpointID][]string)}
		if err := f.gather(endpoints); err != nil {
			return err
		}
		ids := make([]billing.EventID, len(events))
		for i, e := range events {
			ids[i] = e.ID
			f.tell(ctx, e)
		}
		if err := f.write(ctx); err != nil {
			return err
		}
		told, unsaid = len(events), f.unsaid
		return tx.ToldEvents(ctx, ids)
	})
	if err != nil {
		return 0, err
	}
	for _, reason := range unsaid {
		c.Log.ErrorContext(ctx, "an event is not told", "merchant", int64(id), "error", reason)
	}
	return told, nil
}

// fan is the desk of one fan-out.
type fan struct {
	c        *Courier
	tx       *store.Tx
	merchant *billing.Merchant
	byForm   map[string][]Endpoint
	made     []*billing.Delivery
	busy     map[lane]bool
	keys     map[billing.EndpointID][]string
	unsaid   []error
}

type lane struct {
	endpoint billing.EndpointID
	lane     int64
}

// gather sorts endpoints by the form in which they are told, and opens their
// secrets.
func (f *fan) gather(endpoints []*billing.Endpoint) error {
	f.byForm = make(map[string][]Endpoint)
	for _, e := range endpoints {
		if e.Disabled || f.c.ways[e.Dialect] == nil {
			continue
		}
		secrets, err := f.c.Cashier.EndpointSecrets(f.merchant, e)
		if err != nil {
			return fmt.Errorf("notify: the secrets of endpoint %s: %w", e.Code, err)
		}
		f.byForm[e.Dialect] = append(f.byForm[e.Dialect], Endpoint{e, secrets})
	}
	return nil
}

// tell has each form say what it has to say of an event.
func (f *fan) tell(ctx context.Context, e billing.Event) {
	for _, form := range f.c.Forms {
		to := f.byForm[form.Dialect]
		if len(to) == 0 || !form.Tells(e.Kind) {
			continue
		}
		number := func(ctx context.Context, id billing.AttemptID, make func() string) (string, error) {
			return cashier.AttemptNumber(ctx, f.tx, id, make)
		}
		messages, err := encode(ctx, form, &Telling{View: &f.tx.View, Merchant: f.merchant, Event: e, Endpoints: to, Number: number, Count: f.tx.Count})
		if err != nil {
			f.unsaid = append(f.unsaid, fmt.Errorf("event %d (%s) in the form of %s: %w", e.ID, e.Kind, form.Dialect, err))
			continue
		}
		for _, m := range messages {
			f.add(e, m)
		}
	}
}

// encode asks a form, and takes a panic for an error: one event that a form
// stumbles over must not end the process again and again.
func encode(ctx context.Context, form *Form, t *Telling) (list []Message, err error) {
	defer func() {
		if v := recover(); v != nil {
			list, err = nil, fmt.Errorf("notify: panic: %v", v)
		}
	}()
	return form.Encode(ctx, t)
}

func (f *fan) add(e billing.Event, m Message) {
	if m.Key == "" {
		m.Key = strconv.FormatInt(int64(e.ID), 10)
	}
	now := f.c.Now()
	if m.Body == nil {
		m.Body = []byte{} // an erased body is nil
	}
	f.made = append(f.made, &billing.Delivery{
		EndpointID: m.To, EventID: e.ID, CustomerID: m.Customer, Key: m.Key, Kind: m.Kind, Lane: m.Lane, Query: m.Query,
		ContentType: m.ContentType, Body: m.Body, State: billing.DeliveryWaiting, NextAt: now, CreatedAt: now,
	})
	f.keys[m.To] = append(f.keys[m.To], m.Key)
}

// write writes the deliveries that are new, each held if another of its lane has
// still to end.
func (f *fan) write(ctx context.Context) error {
	have := make(map[billing.EndpointID]map[string]bool)
	for id, keys := range f.keys {
		found, err := f.tx.DeliveryKeys(ctx, id, keys)
		if err != nil {
			return err
		}
		have[id] = found
	}
	var fresh []*billing.Delivery
	for _, d := range f.made {
		if have[d.EndpointID][d.Key] {
			continue
		}
		have[d.EndpointID][d.Key] = true
		if err := f.line(ctx, d); err != nil {
			return err
		}
		fresh = append(fresh, d)
	}
	return f.tx.InsertDeliveries(ctx, fresh)
}

// line puts a delivery at the end of its lane.
func (f *fan) line(ctx context.Context, d *billing.Delivery) (err error) {
	if d.Lane == 0 {
		return nil
	}
	l := lane{d.EndpointID, d.Lane}
	busy, known := f.busy[l]
	if !known {
		if busy, err = f.tx.LaneBusy(ctx, d.EndpointID, d.Lane); err != nil {
			return err
		}
	}
	if busy {
		d.State, d.NextAt = billing.DeliveryHeld, d.EndedAt
	}
	f.busy[l] = true
	return nil
}
