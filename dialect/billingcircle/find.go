package billingcircle

import (
	"context"
	"strconv"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// find finds the client that a request is about, and its schedule, if the method
// has them (1.3, 5.2).
func (x *exchange) find(ctx context.Context, m *method) error {
	byID, byKey := x.params.get("c_clientid"), x.params.get("c_merchantid")
	if m.whom != oneClient && m.whom != anyClient || byID == "" && byKey == "" {
		return nil
	}
	return x.session.Books.View(ctx, func(v *store.View) error {
		err := x.findClient(ctx, v, byID, byKey)
		if err != nil {
			return err
		}
		if byID != "" && byKey != "" && x.customer.Code != byKey && m.name != "modifyclient" {
			return refuse(anotherClient, "c_merchantid")
		}
		if x.params.has("s_scheduleid") {
			return x.findSchedule(ctx, v)
		}
		return nil
	})
}

func (x *exchange) findClient(ctx context.Context, v *store.View, byID, byKey string) (err error) {
	ref, field := cashier.Ref{Code: byKey}, "c_merchantid"
	if byID != "" {
		field = "c_clientid"
		if ref.ID, err = counted(ctx, v, store.ClientNumber, byID); err != nil {
			return absent(err, noClient, field)
		}
		ref.Code = ""
	}
	x.customer, err = x.session.Customer(ctx, v, ref)
	if err == nil && byID == "" && x.customer.Code != byKey {
		err = billing.Errorf(billing.NotFound, "customer not found") // the key looks like an id of ours
	}
	return absent(err, noClient, field)
}

// findSchedule finds the schedule; one of another client is as if it did not exist
// (3.6).
func (x *exchange) findSchedule(ctx context.Context, v *store.View) error {
	id, err := counted(ctx, v, store.ScheduleNumber, x.params.get("s_scheduleid"))
	if err == nil {
		x.schedule, err = x.session.Subscription(ctx, v, x.customer, cashier.Ref{ID: id})
	}
	return absent(err, noSchedule, "s_scheduleid")
}

// counted is the id of what has a number.
func counted(ctx context.Context, v *store.View, n store.Noun, number string) (int64, error) {
	value, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, billing.Errorf(billing.NotFound, "nothing has such a number")
	}
	name, err := v.ByCount(ctx, n, value)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(name, 10, 64)
}

// absent has the field be to blame for what does not exist.
func absent(err error, why refusal, field string) error {
	if billing.KindOf(err) == billing.NotFound {
		return refuse(why, field)
	}
	return err
}
