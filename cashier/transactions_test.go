package cashier_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/store"
)

// transactions lists what a merchant sees, a line each.
func transactions(t *testing.T, s *cashiertest.Shop, f store.TransactionFilter) (lines []string, total int64) {
	t.Helper()
	ctx := context.Background()
	if f.Limit == 0 {
		f.Limit = 100
	}
	err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
		list, err := v.Transactions(ctx, f)
		if err != nil {
			return err
		}
		for _, x := range list {
			line := string(x.Attempt.Kind) + " " + x.Attempt.Amount.Decimal() + " " + string(x.Attempt.State)
			if x.Void != nil {
				line += " voided"
			}
			for _, r := range x.Refunds {
				line += " refunded " + r.Amount.Decimal()
			}
			if x.Original != nil {
				line += " of " + x.Original.Amount.Decimal()
			}
			line += " " + strings.Repeat("i", len(x.Invoices))
			lines = append(lines, line)
			again, err := v.Transaction(ctx, x.Attempt.ID)
			if err != nil {
				return err
			}
			if again.Attempt.ID != x.Attempt.ID || len(again.Refunds) != len(x.Refunds) || (again.Original == nil) != (x.Original == nil) {
				t.Errorf("read alone: %+v, in a list %+v", again, x)
			}
		}
		total, err = v.CountTransactions(ctx, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, total
}

func TestTransactions(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c, other := s.Customer("ann"), s.Customer("bob")
		setInfo(t, s, other, info("4111111111111111"))
		card := setInfo(t, s, c, info("4111111111111111")).Method
		setInfo(t, s, c, info("4000000000000002"))
		if _, err := s.Cashier.Record(ctx, s.Session(), c, cashier.RecordRequest{Kind: billing.Invoice, Amount: 500}); err != nil {
			t.Fatal(err)
		}
		pay := func(amount int64) billing.ActivityID {
			t.Helper()
			s.Wall.Forward(1e9)
			got, err := s.Cashier.Charge(ctx, s.Session(), c, cashier.ChargeRequest{Amount: amount, Method: cashier.Ref{ID: int64(card.ID)}})
			if err != nil {
				t.Fatal(err)
			}
			return got.Activity.ID
		}
		voided, part, whole := pay(500), pay(600), pay(700)
		pay(8000) // declined
		back := func(id billing.ActivityID, r cashier.RefundRequest) {
			t.Helper()
			s.Wall.Forward(1e9)
			if _, err := s.Cashier.Refund(ctx, s.Session(), id, r); err != nil {
				t.Fatal(err)
			}
		}
		back(voided, cashier.RefundRequest{By: billing.AskVoid})
		back(part, cashier.RefundRequest{By: billing.AskRefund, Amount: 200})
		back(part, cashier.RefundRequest{By: billing.AskRefund, Amount: 100})
		s.MoveTo("2020-01-02")
		back(whole, cashier.RefundRequest{})
		all := []string{
			"refund 7.00 approved of 7.00 ", "refund 1.00 approved of 6.00 i", "refund 2.00 approved of 6.00 i", "charge 80.00 declined ",
			"charge 7.00 approved refunded 7.00 ", "charge 6.00 approved refunded 2.00 refunded 1.00 i", "charge 5.00 approved voided i",
			"authorize 1.00 declined ", "authorize 1.00 approved ",
		}
		id := billing.CustomerID(c.ID)
		for _, tt := range []struct {
			f    store.TransactionFilter
			want []string
			n    int64
		}{
			{store.TransactionFilter{Customer: id}, all, 9},
			{store.TransactionFilter{Customer: id, Offset: 2, Limit: 3}, all[2:5], 9},
			{store.TransactionFilter{Customer: id, Offset: 9}, nil, 9},
			{store.TransactionFilter{Customer: id, Show: store.ShowSuccessful}, []string{all[0], all[1], all[2], all[4], all[5], all[8]}, 6},
			{store.TransactionFilter{Customer: id, Show: store.ShowFailed}, []string{all[3], all[7]}, 2},
			{store.TransactionFilter{Customer: id, Show: store.ShowVoided}, []string{all[6]}, 1},
			{store.TransactionFilter{Customer: id, Show: store.ShowPayments}, all[3:], 6},
			{store.TransactionFilter{Customer: id, Show: store.ShowRefunds}, all[:3], 3},
			{store.TransactionFilter{Accounts: []billing.AccountID{s.Account.ID}}, append(append([]string{}, all...), "authorize 1.00 approved "), 10},
			{store.TransactionFilter{Accounts: []billing.AccountID{s.Account.ID + 1}}, nil, 0},
		} {
			got, n := transactions(t, s, tt.f)
			if diff := cmp.Diff(tt.want, got); diff != "" || n != tt.n {
				t.Errorf("%+v: %d (-want +got):\n%s", tt.f, n, diff)
			}
		}
	})
}

func TestNotes(t *testing.T) {
	cashiertest.Run(t, func(t *testing.T, s *cashiertest.Shop) {
		ctx := context.Background()
		c := s.Customer("ann")
		for _, text := range []string{"called today", "and again"} {
			if _, err := s.Cashier.AddNote(ctx, s.Session(), c, text); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range []string{"", strings.Repeat("x", 2001)} {
			if _, err := s.Cashier.AddNote(ctx, s.Session(), c, text); billing.KindOf(err) != billing.Invalid {
				t.Errorf("%d characters: %v", len(text), err)
			}
		}
		err := s.Store.View(ctx, s.Merchant.ID, func(v *store.View) error {
			list, err := v.Notes(ctx, billing.CustomerID(c.ID), store.Page{Limit: 10})
			if err != nil || len(list) != 2 || list[0].Text != "called today" || list[1].Creator != billing.System {
				t.Errorf("%+v, %v", list, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
