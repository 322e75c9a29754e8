package billing_test

import (
	"net/netip"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

func TestAddressRange(t *testing.T) {
	for text, want := range map[string]struct{ in, out []string }{
		"192.0.2.1":                {in: []string{"192.0.2.1", "::ffff:192.0.2.1"}, out: []string{"192.0.2.0", "192.0.2.2", "::1"}},
		"::ffff:192.0.2.1":         {in: []string{"192.0.2.1"}, out: []string{"192.0.2.2"}},
		"192.0.2.77/30":            {in: []string{"192.0.2.76", "192.0.2.79"}, out: []string{"192.0.2.75", "192.0.2.80"}},
		"0.0.0.0/0":                {in: []string{"0.0.0.0", "255.255.255.255"}, out: []string{"::"}},
		"192.0.2.10-192.0.3.5":     {in: []string{"192.0.2.10", "192.0.2.255", "192.0.3.5"}, out: []string{"192.0.2.9", "192.0.3.6", "2001:db8::"}},
		"192.0.2.10 - 192.0.2.20":  {in: []string{"192.0.2.15"}, out: []string{"192.0.2.21"}},
		"2001:db8::/33":            {in: []string{"2001:db8::", "2001:db8:7fff::1"}, out: []string{"2001:db8:8000::", "32.1.13.184"}},
		"2001:db8::1-2001:db8::ff": {in: []string{"2001:db8::1", "2001:db8::80"}, out: []string{"2001:db8::", "2001:db8::100"}},
	} {
		r, err := billing.ParseAddressRange(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, a := range want.in {
			if !r.Contains(netip.MustParseAddr(a)) {
				t.Errorf("%s lacks %s", text, a)
			}
		}
		for _, a := range want.out {
			if r.Contains(netip.MustParseAddr(a)) {
				t.Errorf("%s has %s", text, a)
			}
		}
	}
	for _, text := range []string{"", "-", "192.0.2.1-", "192.0.2.2-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.0/33", "fe80::1%eth0", "192.0.2.1-192.0.2.2-192.0.2.3",
		"example.com", "192.0.2"} {
		if r, err := billing.ParseAddressRange(text); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}
