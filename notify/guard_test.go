package notify

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// TestGuard holds addresses against the networks that are closed.
func TestGuard(t *testing.T) {
	closed := []string{
		"127.0.0.1:80", "127.8.9.1:443", "[::1]:443", "0.0.0.0:80", "10.1.2.3:443", "172.16.0.1:443", "172.31.255.255:443",
		"192.168.1.1:8080", "169.254.169.254:80", "100.100.100.200:80", "168.63.129.16:80", "224.0.0.1:80", "255.255.255.255:80",
		"198.18.0.1:80", "[::ffff:10.0.0.1]:80", "[::ffff:169.254.169.254]:80", "[fe80::1%eth0]:80", "[fd00:ec2::254]:80",
		"[64:ff9b::a9fe:a9fe]:80", "[2002:7f00:1::]:80", "[::]:80", "[::7f00:1]:80", "[ff02::1]:80",
		"8.8.8.8:25", "8.8.8.8:22", "[2606:4700::1111]:53", "8.8.8.8:0",
	}
	for _, a := range closed {
		if (guard{}).check("tcp", a, nil) == nil {
			t.Errorf("%s is dialled", a)
		}
	}
	for _, a := range []string{"8.8.8.8:443", "172.32.0.1:80", "1.1.1.1:8443", "[2606:4700::1111]:443", "11.0.0.1:1024"} {
		if err := (guard{}).check("tcp", a, nil); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	allowed := guard{[]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}}
	for a, want := range map[string]bool{"10.1.2.3:443": true, "[::ffff:10.1.2.3]:443": true, "[fd12::1]:8080": true, "10.2.0.1:443": false, "10.1.2.3:25": false} {
		if got := allowed.check("tcp4", a, nil) == nil; got != want {
			t.Errorf("%s is dialled: %t", a, got)
		}
	}
	if (guard{}).check("unix", "/run/docker.sock", nil) == nil {
		t.Error("a socket is dialled")
	}
}

// TestCheckURL holds addresses of endpoints against their rules.
func TestCheckURL(t *testing.T) {
	for text, word := range map[string]string{
		"https://example.com/hooks?a=1":                    "",
		"http://example.com":                               "",
		"https://example.com:8443/x":                       "",
		"https://[2606:4700::1111]/x":                      "",
		"ftp://example.com/":                               "begin with",
		"example.com/hooks":                                "an address such as",
		"https:///hooks":                                   "an address such as",
		"https://user:secret@example.com":                  "name and password",
		"https://example.com:25/":                          "port",
		"https://example.com:70000/":                       "port",
		"https://example.com/#here":                        "after #",
		"javascript:alert(1)":                              "an address such as",
		"https://example.com/" + strings.Repeat("x", 2000): "at most",
		"https://exa mple.com/":                            "an address such as",
	} {
		err := CheckURL(text)
		switch {
		case word == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case word != "" && (err == nil || billing.KindOf(err) != billing.Invalid || !strings.Contains(err.Error(), word)):
			t.Errorf("%s: %v, want %q", text, err, word)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("the error repeats what it was given: %v", err)
		}
	}
}

// TestSignature checks the signature against the example of the Standard
// Webhooks specification.
func TestSignature(t *testing.T) {
	got := signature(billing.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
