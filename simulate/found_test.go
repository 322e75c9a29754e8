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
		{"a coupon for one invoice lowers one, though two deals are being paid for", Story{Seed: 833, Merchants: 3, Processes: 2, Idle: 40, Deals: true, Acts: []Act{
			{actCustomer, 0, 347, 377, 7493, 13649786747638621376},
			{actTrouble, 0, 890, 230, 2223, 8618577303446632998},
			{actSignUp, 0, 482, 659, 2339, 7157231794678967767},
			{actSignUp, 0, 834, 473, 11748, 2218143005901544634},
		}}},
		{"a sign-up comes to nothing whose coupon has lowered another invoice", Story{Seed: 800, Merchants: 1, Processes: 3, Idle: 80, Cards: true, Deals: true, Acts: []Act{
			{actCustomer, 0, 96, 417, 16981, 5980525827377002236},
			{actInfo, 0, 597, 682, 6371, 14942803559571882086},
			{actSignUp, 0, 256, 257, 5054, 12714269148048096499},
			{actCustomer, 0, 922, 655, 1161, 6332527561562780677},
			{actAlter, 0, 809, 529, 18008, 1383143177384372981},
			{actAlter, 0, 293, 616, 6318, 3134618199163297606},
			{actSignUp, 0, 261, 710, 13754, 8027530453458093957},
			{actCoupon, 0, 89, 661, 6805, 1885733922276493240},
			{actDays, 0, 986, 267, 3, 2990054983266857737},
			{actInfo, 0, 208, 452, 6171, 7067244963520597497},
			{actSignUp, 0, 960, 723, 2608, 3156373943172729755},
		}}},
		{"the debit of a sign-up comes back that a credit covered in part", Story{Seed: 995, Merchants: 1, Processes: 2, Deals: true, Acts: []Act{
			{actCustomer, 0, 888, 1, 10942, 5807284924619248566},
			{actSignUp, 0, 682, 851, 5783, 8972490331870862880},
			{actRecord, 0, 743, 324, 6627, 13629641095551155796},
			{actDown, 0, 403, 617, 4, 627202804436919797},
			{actReverse, 0, 853, 821, 6594, 7028114690467757488},
			{actDays, 0, 476, 358, 3, 3427994865165810362},
			{actMinutes, 0, 663, 26, 400, 7055840391214720812},
			{actRun, 0, 207, 355, 14287, 5925659661600212387},
			{actSignUp, 0, 235, 521, 13887, 5378208438601121969},
		}}},
		{"the first price of a sale is approved in part", Story{Seed: 1097, Merchants: 3, Processes: 3, Deals: true, Acts: []Act{
			{actCustomer, 2, 611, 578, 3297, 365460961011223640},
			{actSell, 2, 989, 7, 15992, 12637026640835868840},
		}}},
		{"a change to another rhythm is known to be paid for when its next billings are past", Story{Seed: 506, Merchants: 1, Processes: 2, Deaths: 100_000, Deals: true, Acts: []Act{
			{actCustomer, 0, 361, 851, 8187, 5995667514734953717},
			{actSignUp, 0, 917, 432, 15082, 8268150893591899802},
			{actAlter, 0, 255, 894, 12763, 5976716136040201206},
			{actDays, 0, 749, 152, 90, 2575556266520291133},
		}}},
		{"a subscription is paused while a change to another rhythm is being paid for", Story{Seed: 506, Merchants: 1, Processes: 2, Deaths: 100_000, Deals: true, Acts: []Act{
			{actCustomer, 0, 361, 851, 8187, 5995667514734953717},
			{actSignUp, 0, 917, 432, 15082, 8268150893591899802},
			{actAlter, 0, 755, 392, 4547, 7246535601112919411},
			{actHinder, 0, 755, 392, 0, 74869076177564804},
		}}},
		{"a sign-up comes back unpaid of a day before that on which a client changes it, and the worker is late", Story{Seed: 1649, Merchants: 2, Processes: 3, Deaths: 100000, Idle: 10, Cards: false, Deals: true, Acts: []Act{
			{actCustomer, 1, 970, 42, 4362, 5206275580109638193},
			{actSignUp, 1, 163, 827, 4032, 8856547913618135510},
			{actDays, 1, 741, 769, 14, 7759812821788457115},
			{actAlter, 1, 515, 433, 756, 1516274773128135065},
		}}},
		{"a sign-up is paid for with the coupon of another that comes to nothing meanwhile", Story{Seed: 501329, Merchants: 3, Processes: 3, Deaths: 100_000, Idle: 40, Deals: true, Acts: []Act{
			{actCustomer, 2, 236, 570, 6004, 13171159612958527045},
			{actSignUp, 2, 638, 131, 8177, 16338417414654125217},
			{actCustomer, 2, 190, 376, 11146, 6198929685382316490},
			{actSignUp, 2, 460, 507, 14040, 9084175626636746101},
			{actInvoice, 2, 561, 193, 4241, 4782979766568129168},
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
