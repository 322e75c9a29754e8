package unipay

import (
	"encoding/json"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

func TestReadSettings(t *testing.T) {
	tests := []struct {
		raw  string
		want settings
	}{
		{"", settings{}},
		{" ", settings{}},
		{"null", settings{}},
		{"{}", settings{}},
		{`{"always_200":true,"empty_strings":true,"show_balance":true}`, settings{true, true, true}},
		{`{"show_balance":true}`, settings{ShowBalance: true}},
	}
	for _, tt := range tests {
		got, err := readSettings(json.RawMessage(tt.raw))
		if err != nil || got != tt.want {
			t.Errorf("%q: %+v %v, want %+v", tt.raw, got, err, tt.want)
		}
	}
	for _, raw := range []string{`{"always_201":true}`, `{"always_200":"yes"}`, `[]`, `{`, `{} {}`, `{"always_200":true}x`} {
		err := CheckSettings(json.RawMessage(raw))
		if billing.KindOf(err) != billing.Invalid {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
