package recurly

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// transactionView is a transaction as documents show it: a charge, refund or look
// at a card.
type transactionView struct {
	*billing.Attempt
	merchant *billing.Merchant
	account  string
	invoice  billing.ActivityID // 0 for none
	voided   bool
	given    int64 // back of it, in minor units
	amounts  bool  // a look at a card is shown with its amount
}

// kind is payment or refund (10.2).
func (w *transactionView) kind() string {
	if w.Kind == billing.AskRefund || w.Kind == billing.AskCredit {
		return "refund"
	}
	return "payment"
}

// action is what was done, in the words of 10.2.
func (w *transactionView) action() string {
	switch w.Kind {
	case billing.AskAuthorize:
		return "authorization"
	case billing.AskRefund, billing.AskCredit:
		return "credit"
	case billing.AskCharge, billing.AskVoid:
	}
	return "purchase"
}

// status is what became of it, in the words of 10.2. One of which nobody knows
// yet, which the live service did not have, is pending.
func (w *transactionView) status() string {
	switch {
	case w.State == billing.AttemptDeclined:
		return "declined"
	case w.State == billing.Sending || w.State == billing.AttemptUnknown:
		return "pending"
	case w.voided, w.Kind == billing.AskAuthorize && w.amounts: // which is let go of at once
		return "void"
	}
	return "success"
}

// amount is what it was for. A look at a card and the letting go of it are one
// transaction of nothing (6.4).
func (w *transactionView) amount() int64 {
	if w.Kind == billing.AskAuthorize && !w.amounts {
		return 0
	}
	return w.Amount.Minor()
}

// good reports whether it moved money that can be taken back.
func (w *transactionView) good() bool {
	return w.Kind == billing.AskCharge && (w.State == billing.AttemptApproved || w.State == billing.AttemptPending) && !w.voided && w.given < w.Amount.Minor()
}

// voidable is on the merchant's day of the charge, before anything was given back.
func (w *transactionView) voidable(now time.Time) bool {
	return w.good() && w.given == 0 && w.merchant.Today(w.CreatedAt) == w.merchant.Today(now)
}

// words are the processor's, or what the test gateway said (14).
func (w *transactionView) words() string {
	switch {
	case w.State == billing.AttemptDeclined:
		return orElse(w.Message, "This transaction has been declined")
	case w.merchant.Mode == billing.Test:
		return "Test Gateway: Successful test transaction"
	}
	return w.Message
}

// checks are what was said of security code and address. A processor here says
// nothing of them but by a decline, and the test gateway that all is well (15).
func (w *transactionView) checks() (cvv, cvvText, avs, avsText string) {
	switch code := refusalOf(w.Attempt).code; {
	case w.State == billing.AttemptDeclined && code == fraudSecurityCode:
		return "N", "No Match", "", ""
	case w.State == billing.AttemptDeclined && code == fraudAddress:
		return "", "", "N", "Street address and postal code do not match."
	case w.State == billing.AttemptApproved && w.merchant.Mode == billing.Test && w.Kind != billing.AskRefund:
		return "M", "Match", "D", "Street address and postal code match."
	}
	return "", "", "", ""
}

// transaction writes the document of 10.2.
func (d *document) transaction(w *transactionView, now time.Time) {
	d.within("transaction", ` type="`+w.kind()+`"`, func() {
		d.text("id", shown(moveKind, int64(w.ID)))
		d.text("account_code", w.account)
		d.transactionFields(w, now, true)
	})
}

// transactionFields writes what notices have of a transaction too (14). Two clients
// read whether it was a success from an element of its own, which notices did not
// have.
func (d *document) transactionFields(w *transactionView, now time.Time, success bool) {
	invoice := ""
	if w.invoice != 0 {
		invoice = shown(invoiceKind, int64(w.invoice))
	}
	cvv, cvvText, avs, avsText := w.checks()
	d.textOrNil("invoice_id", invoice)
	d.text("action", w.action())
	d.datetime("date", w.CreatedAt)
	d.integer("amount_in_cents", w.amount())
	d.text("status", w.status())
	if success {
		d.boolean("success", w.status() == "success")
	}
	d.text("message", w.words())
	d.text("reference", w.ProcessorID)
	d.leaf("cvv_result", ` code="`+cvv+`"`, cvvText)
	d.leaf("avs_result", ` code="`+avs+`"`, avsText)
	d.text("avs_result_street", "")
	d.text("avs_result_postal", "")
	d.boolean("test", w.merchant.Mode == billing.Test)
	d.boolean("voidable", w.voidable(now))
	d.boolean("refundable", w.good())
}

// showings are the filters of lists of transactions (10.3); any other is none.
var showings = map[string]store.TransactionShow{"successful": store.ShowSuccessful, "failed": store.ShowFailed, "voided": store.ShowVoided,
	"payments": store.ShowPayments, "refunds": store.ShowRefunds}

// listTransactions is GET /transactions.
func listTransactions(ctx context.Context, x *exchange) (answer, error) {
	return transactionsOf(ctx, x, nil)
}

// listAccountTransactions is GET .../transactions.
func listAccountTransactions(ctx context.Context, x *exchange) (answer, error) {
	c, err := x.account(ctx)
	if err != nil {
		return answer{}, err
	}
	return transactionsOf(ctx, x, c)
}

// transactionsOf lists transactions, the newest first.
func transactionsOf(ctx context.Context, x *exchange, c *billing.Customer) (answer, error) {
	p, d := x.page(), newDocument()
	f := store.TransactionFilter{Accounts: x.session.Login.Accounts, Show: showings[x.parameter("show")], Offset: p.offset(), Limit: perPage}
	if c != nil {
		f.Customer = c.ID
	}
	err := x.session.Books.View(ctx, func(v *store.View) error {
		total, err := v.CountTransactions(ctx, f)
		if err != nil {
			return err
		}
		list, err := v.Transactions(ctx, f)
		if err != nil {
			return err
		}
		views, err := viewTransactions(ctx, x, v, list)
		if err != nil {
			return err
		}
		d.page("transactions", p, total, func() {
			for _, w := range views {
				d.transaction(w, x.session.Now)
			}
		})
		return nil
	})
	return answer{doc: d}, err
}

// viewTransactions reads what documents say of transactions.
func viewTransactions(ctx context.Context, x *exchange, v *store.View, list []*store.Transaction) ([]*transactionView, error) {
	codes := make(map[billing.CustomerID]string)
	views := make([]*transactionView, 0, len(list))
	for _, t := range list {
		id := t.Attempt.CustomerID
		if _, known := codes[id]; !known {
			c, err := v.Customer(ctx, id)
			if err != nil {
				return nil, err
			}
			codes[id] = accountCode(c)
		}
		views = append(views, viewTransaction(x.merchant(), codes[id], t, x.choices.ShowVerificationAmount))
	}
	return views, nil
}

func viewTransaction(m *billing.Merchant, account string, t *store.Transaction, amounts bool) *transactionView {
	w := &transactionView{Attempt: t.Attempt, merchant: m, account: account, amounts: amounts}
	w.voided = t.Void != nil
	for _, r := range t.Refunds {
		w.given += r.Amount.Minor()
	}
	if len(t.Invoices) > 0 {
		w.invoice = t.Invoices[0]
	}
	return w
}

// foundTransaction finds the transaction that the path names.
func foundTransaction(ctx context.Context, x *exchange) (w *transactionView, err error) {
	id, ok := readID(moveKind, x.call.id)
	if !ok {
		return nil, notFound("Transaction")
	}
	return x.transactionOf(ctx, billing.AttemptID(id))
}

func (x *exchange) transactionOf(ctx context.Context, id billing.AttemptID) (w *transactionView, err error) {
	err = x.session.Books.View(ctx, func(v *store.View) error {
		t, err := v.Transaction(ctx, id)
		if billing.KindOf(err) == billing.NotFound || err == nil && !x.session.Login.Reaches(t.Attempt.AccountID) {
			return notFound("Transaction")
		}
		if err != nil {
			return err
		}
		views, err := viewTransactions(ctx, x, v, []*store.Transaction{t})
		if err == nil {
			w = views[0]
		}
		return err
	})
	return w, err
}

// tellTransaction answers with a transaction.
func (x *exchange) tellTransaction(ctx context.Context, status int, id billing.AttemptID) (answer, error) {
	w, err := x.transactionOf(ctx, id)
	if err != nil {
		return answer{}, err
	}
	d := newDocument()
	d.transaction(w, x.session.Now)
	return answer{status, d}, nil
}

// showTransaction is GET /transactions/:id.
func showTransaction(ctx context.Context, x *exchange) (answer, error) {
	w, err := foundTransaction(ctx, x)
	if err != nil {
		return answer{}, err
	}
	d := newDocument()
	d.transaction(w, x.session.Now)
	return answer{doc: d}, nil
}

// createTransaction is POST /transactions: account, charge, invoice and payment in
// one go (10.1).
func createTransaction(ctx context.Context, x *exchange) (answer, error) {
	bought, err := x.purchase(ctx, nil)
	if err != nil {
		return answer{}, err
	}
	return x.tellTransaction(ctx, http.StatusCreated, bought.Attempt.ID)
}

// purchase makes the sale that the body asks for.
func (x *exchange) purchase(ctx context.Context, codes []string) (*cashier.Purchased, error) {
	var wrong mistakes
	r := cashier.PurchaseRequest{Line: readLine(x, x.body, false, &wrong)}
	b, err := x.readBuyer(ctx, x.body.child("account"), codes, &wrong)
	if err != nil {
		return nil, err
	}
	if b.owner != nil || b.made != nil {
		if b.kept == nil && !b.newCard() && len(wrong) == 0 {
			wrong.add("number", required)
		}
	}
	if err := wrong.orNil(); err != nil {
		return nil, err
	}
	if r.Party, err = b.party(ctx, x); err != nil {
		return nil, err
	}
	var bought *cashier.Purchased
	err = b.opened(ctx, x, func() error {
		if bought, err = x.Cashier.Purchase(ctx, x.session, r); err != nil {
			return err
		}
		if bought.Attempt == nil {
			return fail(http.StatusUnprocessableEntity, "A credit of the account covers the amount; nothing was charged")
		}
		return refusedBy(bought.Attempt)
	})
	if err != nil {
		return nil, err
	}
	b.settle(ctx, x)
	return bought, nil
}

// takeBackTransaction is DELETE /transactions/:id: a void, a refund, or without an
// argument whichever can still be (10.4).
func takeBackTransaction(ctx context.Context, x *exchange) (answer, error) {
	w, err := foundTransaction(ctx, x)
	if err != nil {
		return answer{}, err
	}
	r, err := readTakeBack(x, w)
	if err != nil {
		return answer{}, err
	}
	by, err := x.Cashier.Refund(ctx, x.session, w.ActivityID, r)
	if err != nil {
		return answer{}, err
	}
	if r.By == billing.AskVoid || by.Kind == billing.Void {
		return x.tellTransaction(ctx, http.StatusOK, w.ID)
	}
	return x.tellTransaction(ctx, http.StatusOK, by.AttemptID)
}

// readTakeBack reads what is to be taken back, and says what cannot be with the
// codes of section 16.
func readTakeBack(x *exchange, w *transactionView) (r cashier.RefundRequest, err error) {
	coded := func(field string, code transactionCode, text string) error {
		return &failure{status: http.StatusUnprocessableEntity, mistakes: []mistake{{field, string(code), text}}}
	}
	query := &element{}
	for _, name := range []string{"amount_in_cents", "amount"} {
		if text := strings.TrimSpace(x.parameter(name)); text != "" {
			query.children = append(query.children, &element{name: name, text: text})
		}
	}
	amount, given, ok := readCents(query, "amount", w.Amount.Currency())
	if !ok || given && amount <= 0 {
		return r, refuse("amount_in_cents", noNumber)
	}
	action := x.parameter("action")
	switch {
	case w.voided:
		return r, coded("", transactionVoided, "The transaction has been voided already")
	case w.Kind != billing.AskCharge || w.State == billing.AttemptDeclined:
		return r, coded("", invalidTransaction, "The transaction has taken no money")
	case w.given >= w.Amount.Minor():
		return r, coded("", transactionRefunded, "The transaction has been refunded already")
	case given && amount > w.Amount.Minor()-w.given:
		return r, coded("amount_in_cents", creditExceedsCapture, "is more than is left of the transaction")
	case action == "void" && !w.voidable(x.session.Now):
		return r, coded("", transactionSettled, "The transaction is settled and cannot be voided")
	case action == "void", action == "" && !given && w.voidable(x.session.Now):
		return cashier.RefundRequest{By: billing.AskVoid}, nil
	case action == "" || action == "refund":
		return cashier.RefundRequest{By: billing.AskRefund, Amount: amount, Keeps: true}, nil
	}
	return r, refuse("action", invalid)
}
