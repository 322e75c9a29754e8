package simulate

import (
	"context"
	"errors"
	"testing"

	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
)

// TestJudgeSees spoils good books, and the bank's journal, in one place at a time:
// each must be seen, else nothing that the simulator says is worth anything.
func TestJudgeSees(t *testing.T) {
	ctx := context.Background()
	stage, err := Build(ctx, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	story := Tell(7)
	story.Acts = append(story.Acts, Act{Kind: actKeyed, N: 1234, Lot: 1}, Act{Kind: actKeyed, N: 2345, B: 1, Lot: 4})
	for _, tt := range []struct{ rule, what, where string }{
		{"", "nothing is spoilt", ""},
		{"entries", "an entry is a cent too high", "UPDATE entry SET amount = amount + 1 WHERE seq = 0 AND ledger = 'cash:sandbox'"},
		{"receivable", "an activity has a cent open that no entry knows", "UPDATE activity SET open = 1 WHERE open = 0 AND amount > 0 AND state = 'posted' AND kind = 'invoice'"},
		{"bank", "a posted payment never was at the bank", "UPDATE attempt SET reference = 'another' WHERE id IN (SELECT MIN(id) FROM attempt WHERE state = 'approved' AND kind = 'charge')"},
		{"missing", "an invoice is gone from its date", "UPDATE activity SET period = NULL WHERE period IS NOT NULL AND kind = 'invoice'"},
		{"too much", "an invoice stands for a date to come", "UPDATE activity SET period = period + 1000 WHERE id IN (SELECT MAX(id) FROM activity WHERE period IS NOT NULL)"},
		{"attempt", "an attempt is under way", "UPDATE attempt SET state = 'sending' WHERE id IN (SELECT MIN(id) FROM attempt)"},
		{"attempt", "a debt is claimed", "UPDATE activity SET claimed_by = 7 WHERE id IN (SELECT MIN(id) FROM activity)"},
		{"left", "an invoice waits for its claim", "UPDATE activity SET collect_at = 1 WHERE id IN (SELECT MIN(id) FROM activity WHERE period IS NOT NULL)"},
		{"forgotten", "the debt of an active customer is declined no more", "UPDATE activity SET tries = 0, collect_at = NULL WHERE open > 0 AND period IS NOT NULL"},
		{"key", "a key stands for another charge", "UPDATE idempotency SET object_id = (SELECT MIN(id) FROM attempt)"},
		{"twice", "a claim covers half of what it took", "UPDATE allocation SET amount = amount - 1 WHERE source_kind = 'claim'"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			w, err := stage.perform(ctx, story)
			if err != nil {
				t.Fatal(err)
			}
			defer w.leave()
			if tt.where != "" {
				spoil(t, stage.books, tt.where)
			}
			if err := w.judge(); err != nil {
				t.Fatal(err)
			}
			seen := tt.rule == "" && len(w.result.Faults) == 0
			for _, f := range w.result.Faults {
				seen = seen || f.Rule == tt.rule
			}
			if !seen {
				t.Errorf("the judge says %v", w.result.Faults)
			}
		})
	}
	t.Run("the bank has charged twice", func(t *testing.T) {
		w, err := stage.perform(ctx, story)
		if err != nil {
			t.Fatal(err)
		}
		defer w.leave()
		spoil(t, stage.bank, "UPDATE journal SET amount = 2 * amount WHERE kind = '"+string(sandbox.LineCapture)+"'")
		if err := w.judge(); err != nil {
			t.Fatal(err)
		}
		if len(w.result.Faults) == 0 || w.result.Faults[0].Rule != "bank" {
			t.Errorf("the judge says %v", w.result.Faults)
		}
	})
}

func spoil(t *testing.T, db *sqldb.DB, statement string) {
	t.Helper()
	ctx := context.Background()
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, statement)
		if err == nil && n == 0 {
			err = errors.New("there is nothing to spoil in this story")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
