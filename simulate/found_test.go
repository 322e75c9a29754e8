package simulate

import (
	"context"
	"strings"
	"testing"
)

// TestFound plays the stories that brought faults to light, of the product or of
// its judge, as short as they could be told. A seed alone would not do: what it tells changes when a kind of
// act is added.
func TestFound(t *testing.T) {
	stage, err := Build(context.Background(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stage.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		what  string
		story Story
	}{
		{"a claim of which a part was refunded comes back late, but for that part", Story{Seed: 1044, Merchants: 3, Processes: 3, Acts: []Act{
			{actCustomer, 1, 171, 487, 2626, 6346897872766865959},
			{actDays, 1, 302, 286, 1, 2931290280929967472},
			{actDays, 1, 92, 923, 1, 1466881794014258800},
			{actDays, 1, 740, 461, 31, 4522159699101528735},
			{actRefund, 1, 226, 875, 15897, 7926207810146043332},
		}}},
		{"a refund ends a subscription whose worker has died before older dates were billed", Story{Seed: 100880, Merchants: 1, Processes: 2, Deaths: 100_000, Acts: []Act{
			{actCustomer, 0, 253, 7, 3458, 4170251775412081066},
			{actDays, 0, 492, 721, 31, 7295197853219082629},
			{actRefund, 0, 574, 522, 10693, 12964900055317032112},
		}}},
		{"a cancellation of the next day comes before what waited for that day's run", Story{Seed: 108397, Merchants: 2, Processes: 2, Idle: 40, Acts: []Act{
			{actCustomer, 1, 503, 911, 6187, 16786351019708607621},
			{actCancel, 1, 52, 407, 1117, 14061794024293322689},
		}}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			r, err := stage.Play(context.Background(), tt.story)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Faults) > 0 {
				t.Errorf("%v\n%s\n%s", r.Faults, strings.Join(r.Log, "\n"), r.Books)
			}
		})
	}
}
