package sandbox

import (
	"context"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// LineKind is what a line of the bank's journal records.
type LineKind string

// The kinds. A card charge that is approved is one capture, which stands for
// the authorisation and the capture that followed at once; one that is declined
// is an authorisation, as is one that was asked for without a capture.
const (
	LineAuthorisation LineKind = "authorisation"       // of a card, declined or without capture
	LineCapture       LineKind = "capture"             // of a card
	LineClaim         LineKind = "claim"               // debit of a bank account
	LineSettlement    LineKind = "settlement"          // a claim became money
	LineReturn        LineKind = "return"              // a claim came back, instead of settling or after it
	LineChange        LineKind = "change"              // a notification of change
	LineVoid          LineKind = "void"                // an act was taken back
	LineRefund        LineKind = "refund"              // a charge was paid back, all or a part
	LineCredit        LineKind = "credit"              // paid out without a charge
	LineChargeback    LineKind = "chargeback"          // the cardholder's bank took the money back
	LineReversal      LineKind = "chargeback-reversal" // and gave it back to the merchant
)

// Line is one line of a merchant's journal. Requests make one line each, which
// bears their reference; lines that the bank writes by itself (settlement,
// return, change, chargeback and its reversal) bear the reference of the charge
// that they are about.
type Line struct {
	Seq        int64 // rises in the order of writing, with gaps
	At         time.Time
	Kind       LineKind
	Reference  string
	Original   string               // of a void or refund: the reference of the act taken back
	Response   billing.ResponseCode // the bank's verdict; "" for a chargeback
	Amount     billing.Money        // moved, or asked for if declined
	Instrument billing.Instrument
	Masked     string // the number, see billing.Mask
}

// Good reports whether the line records something that happened: a declined
// authorisation, claim, void, refund or credit did not.
func (l *Line) Good() bool {
	return l.Kind == LineReturn || l.Response.Severity() == billing.Good || l.Response == ""
}

// Total sums a merchant's lines of one kind and currency.
type Total struct {
	Kind     LineKind
	Count    int64         // lines that are good
	Amount   billing.Money // of those
	Declined int64         // lines that are not
}

const lineColumns = `seq, at, kind, reference, original, response, amount, currency, instrument, masked`

func scanLine(r sqldb.Row) (Line, error) {
	var l Line
	var at, amount int64
	var currency billing.Currency
	err := r.Scan(&l.Seq, &at, &l.Kind, &l.Reference, &l.Original, &l.Response, &amount, &currency, &l.Instrument, &l.Masked)
	l.At = time.UnixMicro(at).UTC()
	l.Amount = billing.Minor(amount, currency)
	return l, err
}

// journalPage is how many lines Journal reads at a time.
const journalPage = 5000

// Journal lists a merchant's whole journal in the order in which it was written.
func (b *Bank) Journal(ctx context.Context, merchant string) ([]Line, error) {
	var all []Line
	for {
		after := int64(0)
		if n := len(all); n > 0 {
			after = all[n-1].Seq
		}
		page, err := b.JournalPage(ctx, merchant, after, journalPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < journalPage {
			return all, nil
		}
	}
}

// JournalPage lists at most limit lines of a merchant's journal that come after
// the one with Seq after, 0 for the beginning. While others write, a line may
// appear later among those that were already read.
func (b *Bank) JournalPage(ctx context.Context, merchant string, after int64, limit int) ([]Line, error) {
	var lines []Line
	err := b.db.View(ctx, func(t *sqldb.Tx) (err error) {
		lines, err = sqldb.Query(ctx, t, scanLine,
			`SELECT `+lineColumns+` FROM journal WHERE merchant = $1 AND seq > $2 ORDER BY seq LIMIT $3`, merchant, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: read the journal: %w", err)
	}
	return lines, nil
}

// Totals sums a merchant's journal by kind and currency.
func (b *Bank) Totals(ctx context.Context, merchant string) ([]Total, error) {
	var totals []Total
	err := b.db.View(ctx, func(t *sqldb.Tx) (err error) {
		totals, err = sqldb.Query(ctx, t, scanTotal,
			`SELECT kind, currency, SUM(CASE WHEN declined THEN 0 ELSE 1 END),
				CAST(SUM(CASE WHEN declined THEN 0 ELSE amount END) AS BIGINT), SUM(CASE WHEN declined THEN 1 ELSE 0 END)
			FROM journal WHERE merchant = $1 GROUP BY kind, currency ORDER BY kind, currency`, merchant)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sandbox: sum the journal: %w", err)
	}
	return totals, nil
}

func scanTotal(r sqldb.Row) (Total, error) {
	var t Total
	var currency billing.Currency
	var amount int64
	err := r.Scan(&t.Kind, &currency, &t.Count, &amount, &t.Declined)
	t.Amount = billing.Minor(amount, currency)
	return t, err
}
