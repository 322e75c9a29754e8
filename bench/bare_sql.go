package bench

import (
	"context"
	"strconv"

	"github.com/perennial-billing/perennial/sqldb"
)

// The columns, and the constant values between which those of a row stand.

const intoActivity = `INSERT INTO activity (merchant_id, id, account_id, customer_id, code, kind, instrument, amount, tax, open, currency,
	state, due, subscription_id, period, attempt_id, masked, note, creator, adjusted_by, adjusts, invoice_list, collect_at, tries,
	declined_on, claimed_by, age_at, created_at) `

const intoAttempt = `INSERT INTO attempt (merchant_id, id, account_id, customer_id, subscription_id, payment_method_id, activity_id,
	parent_id, kind, claim, processor, reference, amount, tax, currency, instrument, masked, expiry, routing, token, payer, details,
	state, response, message, approval_code, processor_id, created_at, answered_at, check_at, lease_until, checks) `

const intoAllocation = `INSERT INTO allocation (merchant_id, id, customer_id, source_id, target_id, source_kind, target_kind, amount,
	currency, created_at) `

const intoEntry = `INSERT INTO entry (merchant_id, activity_id, seq, ledger, customer_id, amount, currency, posted_at) `

const intoEvent = `INSERT INTO event (merchant_id, id, kind, customer_id, object_id, created_at) `

const renewSubscription = `UPDATE subscription SET status = 'current', period = $2, issued = $2, last_date = $3, next_date = $4,
	next_at = $5, updated_at = $6 WHERE merchant_id = $1 AND id `

// The statements for a set of rows, PostgreSQL's.
const (
	setInvoices = intoActivity + `SELECT CAST($1 AS BIGINT), id, CAST($2 AS BIGINT), customer, '', 'invoice', '', 1999, 0, 0, 'USD',
		'posted', CAST($3 AS TEXT), subscription, CAST($4 AS BIGINT), NULL, '', '', 'system', NULL, NULL, '', NULL, 0, '', NULL,
		NULL, CAST($5 AS BIGINT)
		FROM unnest($6::bigint[], $7::bigint[], $8::bigint[]) AS v (id, customer, subscription)`
	setClaims = intoActivity + `SELECT CAST($1 AS BIGINT), id, CAST($2 AS BIGINT), customer, '', 'claim', 'visa-credit', 1999, 0, 0,
		'USD', 'posted', CAST($3 AS TEXT), subscription, NULL, attempt, masked, '', 'system', NULL, NULL, '', NULL, 0, '', NULL,
		NULL, CAST($4 AS BIGINT)
		FROM unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[]) AS v (id, customer, subscription, attempt, masked)`
	setAttempts = intoAttempt + `SELECT CAST($1 AS BIGINT), id, CAST($2 AS BIGINT), customer, subscription, method, activity, NULL,
		'charge', TRUE, 'bench', reference, 1999, 0, 'USD', 'visa-credit', masked, '1249', '', token, payer, details, 'approved',
		'00', 'approved', '123456', reference, CAST($3 AS BIGINT), CAST($3 AS BIGINT), NULL, NULL, 0
		FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[],
			$12::text[], $13::text[])
			AS v (id, customer, subscription, method, activity, reference, masked, token, payer, details)`
	setAllocations = intoAllocation + `SELECT CAST($1 AS BIGINT), id, customer, source, target, 'claim', 'invoice', 1999, 'USD',
		CAST($2 AS BIGINT)
		FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS v (id, customer, source, target)`
	setInvoiceEntries = intoEntry + `SELECT CAST($1 AS BIGINT), activity, seq, ledger, CASE seq WHEN 0 THEN customer END, amount, 'USD',
		CAST($2 AS BIGINT)
		FROM unnest($3::bigint[], $4::bigint[]) AS v (activity, customer),
			(VALUES (0, 'receivable', 1999), (1, 'revenue', -1999)) AS e (seq, ledger, amount)`
	setClaimEntries = intoEntry + `SELECT CAST($1 AS BIGINT), activity, seq, ledger, CASE seq WHEN 1 THEN customer END, amount, 'USD',
		CAST($2 AS BIGINT)
		FROM unnest($3::bigint[], $4::bigint[]) AS v (activity, customer),
			(VALUES (0, 'cash:bench', 1999), (1, 'receivable', -1999)) AS e (seq, ledger, amount)`
	setEvents = intoEvent + `SELECT CAST($1 AS BIGINT), id, CAST($2 AS TEXT), customer, object, CAST($3 AS BIGINT)
		FROM unnest($4::bigint[], $5::bigint[], $6::bigint[]) AS v (id, customer, object)`
)

// statement is one statement with its arguments.
type statement struct {
	text string
	args []any
}

func run(ctx context.Context, tx *sqldb.Tx, list []statement) error {
	for _, s := range list {
		if _, err := tx.Exec(ctx, s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// ids is one column of a set.
func ids(list []renewal, of func(*renewal) int64) any {
	column := make([]int64, len(list))
	for i := range list {
		column[i] = of(&list[i])
	}
	return sqldb.List(column)
}

func texts(list []renewal, of func(*renewal) string) any {
	column := make([]string, len(list))
	for i := range list {
		column[i] = of(&list[i])
	}
	return sqldb.List(column)
}

// writeSets writes all rows of a table at a time.
func (t *bill) writeSets(ctx context.Context, tx *sqldb.Tx) error {
	m, account, all := int64(t.merchant.ID), int64(t.account.ID), t.renewals
	invoice := ids(all, func(r *renewal) int64 { return r.invoice })
	claim := ids(all, func(r *renewal) int64 { return r.claim })
	attempt := ids(all, func(r *renewal) int64 { return r.attempt })
	customer := ids(all, func(r *renewal) int64 { return r.customer })
	subscription := ids(all, func(r *renewal) int64 { return r.subscription })
	masked := texts(all, func(r *renewal) string { return r.masked })
	return run(ctx, tx, []statement{
		{renewSubscription + tx.In(7), []any{m, t.period + 1, t.due, t.next, t.nextAt, t.at, subscription}},
		{setInvoices, []any{m, account, t.due, t.period, t.at, invoice, customer, subscription}},
		{setClaims, []any{m, account, t.due, t.at, claim, customer, subscription, attempt, masked}},
		{setAttempts, []any{
			m, account, t.at, attempt, customer, subscription, ids(all, func(r *renewal) int64 { return r.method }), claim,
			texts(all, func(r *renewal) string { return strconv.FormatInt(r.attempt, 10) }), masked,
			texts(all, func(r *renewal) string { return r.token }), texts(all, func(r *renewal) string { return r.payer }),
			texts(all, func(r *renewal) string { return details(r.invoice) }),
		}},
		{setAllocations, []any{m, t.at, ids(all, func(r *renewal) int64 { return r.allocation }), customer, claim, invoice}},
		{setInvoiceEntries, []any{m, t.at, invoice, customer}},
		{setClaimEntries, []any{m, t.at, claim, customer}},
		{setEvents, []any{m, "invoice.issued", t.at, ids(all, func(r *renewal) int64 { return r.issued }), customer, invoice}},
		{setEvents, []any{m, "payment.approved", t.at, ids(all, func(r *renewal) int64 { return r.approved }), customer, claim}},
	})
}

// The statements for one row, SQLite's.
const (
	rowInvoice = intoActivity + `VALUES ($1, $2, $3, $4, '', 'invoice', '', 1999, 0, 0, 'USD', 'posted', $5, $6, $7, NULL, '', '', 'system',
		NULL, NULL, '', NULL, 0, '', NULL, NULL, $8)`
	rowClaim = intoActivity + `VALUES ($1, $2, $3, $4, '', 'claim', 'visa-credit', 1999, 0, 0, 'USD', 'posted', $5, $6, NULL, $7, $8, '',
		'system', NULL, NULL, '', NULL, 0, '', NULL, NULL, $9)`
	rowAttempt = intoAttempt + `VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, 'charge', TRUE, 'bench', $8, 1999, 0, 'USD', 'visa-credit', $9,
		'1249', '', $10, $11, $12, 'approved', '00', 'approved', '123456', $8, $13, $13, NULL, NULL, 0)`
	rowAllocation     = intoAllocation + `VALUES ($1, $2, $3, $4, $5, 'claim', 'invoice', 1999, 'USD', $6)`
	rowInvoiceEntries = intoEntry + `VALUES ($1, $2, 0, 'receivable', $3, 1999, 'USD', $4), ($1, $2, 1, 'revenue', NULL, -1999, 'USD', $4)`
	rowClaimEntries   = intoEntry + `VALUES ($1, $2, 0, 'cash:bench', NULL, 1999, 'USD', $4), ($1, $2, 1, 'receivable', $3, -1999, 'USD', $4)`
	rowEvents         = intoEvent + `VALUES ($1, $2, 'invoice.issued', $3, $4, $7), ($1, $5, 'payment.approved', $3, $6, $7)`
)

// writeRows writes one row after the other.
func (t *bill) writeRows(ctx context.Context, tx *sqldb.Tx) error {
	m, account := int64(t.merchant.ID), int64(t.account.ID)
	for i := range t.renewals {
		r := &t.renewals[i]
		err := run(ctx, tx, []statement{
			{renewSubscription + "= $7", []any{m, t.period + 1, t.due, t.next, t.nextAt, t.at, r.subscription}},
			{rowInvoice, []any{m, r.invoice, account, r.customer, t.due, r.subscription, t.period, t.at}},
			{rowClaim, []any{m, r.claim, account, r.customer, t.due, r.subscription, r.attempt, r.masked, t.at}},
			{rowAttempt, []any{
				m, r.attempt, account, r.customer, r.subscription, r.method, r.claim, strconv.FormatInt(r.attempt, 10), r.masked,
				r.token, r.payer, details(r.invoice), t.at,
			}},
			{rowAllocation, []any{m, r.allocation, r.customer, r.claim, r.invoice, t.at}},
			{rowInvoiceEntries, []any{m, r.invoice, r.customer, t.at}},
			{rowClaimEntries, []any{m, r.claim, r.customer, t.at}},
			{rowEvents, []any{m, r.issued, r.customer, r.invoice, r.approved, r.claim, t.at}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
