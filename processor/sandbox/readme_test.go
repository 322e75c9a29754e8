package sandbox_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor/sandbox"
)

// TestReadme holds the tables of README.md against those that the bank uses. On
// a difference it prints the table to be pasted.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := sandbox.LoadTables()
	for name, table := range map[string]string{
		"current amounts": amountTable(tables.Amounts[sandbox.Current]),
		"older amounts":   amountTable(tables.Amounts[sandbox.Older]),
		"cards":           cardTable(tables.Cards),
		"accounts":        accountTable(tables.Accounts),
	} {
		if !strings.Contains(string(text), table) {
			t.Errorf("README.md lacks the table of %s, which is:\n%s", name, table)
		}
	}
	for code, changed := range tables.Changes {
		row := fmt.Sprintf("| %s | %s | %s | %s |\n", code, code.Text(), changed.Number, changed.Routing)
		if !strings.Contains(string(text), row) {
			t.Errorf("README.md lacks %s", row)
		}
	}
}

func amountTable(bands []sandbox.Band) string {
	var b strings.Builder
	b.WriteString("| amount | UniPay | card | bank account, when it falls due |\n|---|---|---|---|\n")
	for _, r := range bands {
		fmt.Fprintf(&b, "| %d to %d | %s | %s | %s |\n", r.From, r.To, r.UniPay, cardAnswer(r), later(r.Bank))
	}
	return b.String()
}

func cardAnswer(r sandbox.Band) string {
	switch {
	case r.Less > 0:
		return fmt.Sprintf("%s %s, for %d less", r.Card, r.Card.Text(), r.Less)
	case r.Card != "":
		return fmt.Sprintf("%s %s", r.Card, r.Card.Text())
	case r.CardLater != "":
		return "00 approved; later " + r.CardLater
	}
	return "00 approved"
}

// later describes what becomes of a charge.
func later(list string) string {
	if list == "" {
		return "settles"
	}
	var words []string
	for i, what := range strings.Split(list, ",") {
		switch code := billing.ResponseCode(what); {
		case what == "settlement":
			words = append(words, "settles")
		case what[0] == 'R' && i == 0:
			words = append(words, fmt.Sprintf("comes back: %s %s", code, code.Text()))
		case what[0] == 'R':
			words = append(words, fmt.Sprintf("comes back late: %s %s", code, code.Text()))
		case what[0] == 'C':
			words = append(words, fmt.Sprintf("notice of change: %s %s", code, code.Text()))
		default:
			words = append(words, what)
		}
	}
	return strings.Join(words, ", then ")
}

func cardTable(cards []sandbox.Card) string {
	var b strings.Builder
	b.WriteString("| number | instrument | what it is or does | answer |\n|---|---|---|---|\n")
	for _, c := range cards {
		answer := "by amount"
		switch {
		case c.Response != "":
			answer = fmt.Sprintf("%s %s", c.Response, c.Response.Text())
			if c.Good > 0 || c.Bad > 0 {
				answer += ", and 00"
			}
		case c.Refunds != "":
			answer = "00 approved; refunds " + string(c.Refunds)
		case c.Later != "":
			answer = "00 approved; later " + strings.ReplaceAll(c.Later, ",", ", then ")
		case c.Message != "":
			answer = "00 " + c.Message
		case c.Trouble != "":
			answer = fmt.Sprintf("none: `%s`", c.Trouble)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.Number, c.Instrument, c.Name, answer)
	}
	return b.String()
}

func accountTable(accounts []sandbox.Account) string {
	var b strings.Builder
	b.WriteString("| number | routing | what it is or does | claims, when they fall due |\n|---|---|---|---|\n")
	for _, a := range accounts {
		becomes := "by amount"
		if a.Later != "" {
			becomes = later(a.Later)
		}
		routing := a.Routing
		if routing == "" {
			routing = "any"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", a.Number, routing, a.Name, becomes)
	}
	return b.String()
}
