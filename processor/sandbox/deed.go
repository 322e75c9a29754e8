package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/sqldb"
)

// deedPage is how many deeds one answer lists.
const deedPage = 500

// deedBody is one act in the bank's list of what it was asked for.
type deedBody struct {
	At         time.Time           `json:"at"`
	Seq        int64               `json:"seq"`
	Kind       billing.AttemptKind `json:"kind"`
	Original   string              `json:"original,omitempty"`
	Customer   string              `json:"customer,omitempty"`
	Instrument billing.Instrument  `json:"instrument,omitempty"`
	Masked     string              `json:"masked,omitempty"`
	Moved      int64               `json:"moved"` // minor units; what was asked for if declined
	In         billing.Currency    `json:"in"`
	Answer     answerBody          `json:"answer"`
}

// askedFor is what was asked for by a line.
func (e *entry) askedFor() billing.AttemptKind {
	switch e.Kind {
	case LineAuthorisation:
		if e.alone {
			return billing.AskAuthorize
		}
	case LineVoid:
		return billing.AskVoid
	case LineRefund:
		return billing.AskRefund
	case LineCredit:
		return billing.AskCredit
	case LineCapture, LineClaim, LineSettlement, LineReturn, LineChange, LineChargeback, LineReversal:
	}
	return billing.AskCharge
}

// deed is the entry as it was first answered: what happened to it later has
// entries and notices of its own.
func (e *entry) deed() deedBody {
	first := *e
	first.pending, first.returned = e.Kind == LineClaim && !e.declined, ""
	return deedBody{At: e.At, Seq: e.Seq, Kind: e.askedFor(), Original: e.Original, Customer: e.customer, Instrument: e.Instrument,
		Masked: e.Masked, Moved: e.Amount.Minor(), In: e.Amount.Currency(), Answer: first.answer()}
}

// deeds lists what a merchant asked for after a place in the list.
func (b *Bank) deeds(ctx context.Context, merchant string, after time.Time, seq int64) ([]deedBody, error) {
	var list []*entry
	err := b.db.View(ctx, func(t *sqldb.Tx) (err error) {
		list, err = sqldb.Query(ctx, t, scanEntry, `SELECT `+entryColumns+` FROM journal
			WHERE merchant = $1 AND step = '' AND (at, seq) > ($2, $3) ORDER BY at, seq LIMIT $4`, merchant, after.UnixMicro(), seq, int64(deedPage))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: list: %w", err)
	}
	bodies := make([]deedBody, len(list))
	for i, e := range list {
		bodies[i] = e.deed()
	}
	return bodies, nil
}

func (b *Bank) serveDeeds(w http.ResponseWriter, r *http.Request) {
	merchant := r.PathValue("merchant")
	after, err := time.Parse(time.RFC3339Nano, r.FormValue("after"))
	seq, err2 := number(r.FormValue("seq"), 0)
	if err != nil || err2 != nil || !plain(merchant) {
		refuse(w, billing.FieldError(billing.Invalid, "after", "merchant, after (RFC 3339) and seq (a number) are needed"))
		return
	}
	list, err := b.deeds(r.Context(), merchant, after, seq)
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, http.StatusOK, map[string][]deedBody{"deeds": list})
}

// Deeds lists what the bank was asked for.
func (d *Driver) Deeds(ctx context.Context, merchant string, after time.Time, seq int64) ([]processor.Deed, error) {
	q := url.Values{"after": {after.UTC().Format(time.RFC3339Nano)}, "seq": {strconv.FormatInt(seq, 10)}}
	text, err := d.exchange(ctx, http.MethodGet, d.url(q, merchant, "deeds"), nil)
	if err != nil {
		return nil, fmt.Errorf("sandbox: list: %w", err)
	}
	var body struct {
		Deeds []deedBody `json:"deeds"`
	}
	if json.Unmarshal(text, &body) != nil {
		return nil, errNotUnderstood
	}
	list := make([]processor.Deed, len(body.Deeds))
	for i, b := range body.Deeds {
		list[i] = processor.Deed{At: b.At, Seq: b.Seq, Kind: b.Kind, Reference: b.Answer.Reference, Original: b.Original, Customer: b.Customer,
			Instrument: b.Instrument, Masked: b.Masked, Amount: billing.Minor(b.Moved, b.In), Outcome: b.Answer.outcome()}
	}
	return list, nil
}
