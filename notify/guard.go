package notify

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/perennial-billing/perennial/billing"
)

// closedNetworks are those that a message is not sent to unless the operator
// allows it: what is not part of the public internet (IANA special-purpose
// address registries, RFC 6890), and the addresses at which clouds tell their
// machines secrets.
var closedNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers; a cloud's metadata at 100.100.100.200
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's metadata at a public address
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local; most clouds' metadata at 169.254.169.254
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"), // multicast, reserved, broadcast
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"), // translated to IPv4, of whatever network
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // tunnelled to IPv4, of whatever network
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("ff00::/8"),
}

// errClosed is why nothing is sent to an address.
var errClosed = errors.New("the address lies in a network that messages are not sent to; the operator can allow it (--webhook-allow)")

// guard decides which addresses may be dialled.
type guard struct{ allow []netip.Prefix }

// check refuses an address that resolving a name has come to. It is asked when
// the connection is made, so that a name that resolves differently each time
// gains nothing.
func (g guard) check(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return errClosed
	}
	ip := at.Addr().Unmap().WithZone("")
	if !openPort(at.Port()) {
		return errPort
	}
	if slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return nil
	}
	if slices.ContainsFunc(closedNetworks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return errClosed
	}
	return nil
}

var errPort = errors.New("the port is one of other services: 80, 443 and those from 1024 on are for receivers")

// openPort keeps messages away from the ports of services that would take a POST
// for something else: mail, remote shells, name servers.
func openPort(port uint16) bool { return port == 80 || port == 443 || port >= 1024 }

// longestURL bounds the address of an endpoint.
const longestURL = 2000

// CheckURL says what is wrong with the address of an endpoint, as far as that can
// be seen without resolving its name.
func CheckURL(text string) error {
	wrong := func(format string, args ...any) error {
		return billing.FieldError(billing.Invalid, "url", format, args...)
	}
	u, err := url.Parse(text)
	switch {
	case len(text) > longestURL:
		return wrong("must be at most %d characters", longestURL)
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return wrong("must be an address such as https://example.com/hooks")
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong("must begin with https:// or http://")
	case u.User != nil:
		return wrong("must not hold a name and password; give them as login and password")
	case strings.Contains(text, "#"):
		return wrong("must not have a part after #")
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || !openPort(uint16(port)) {
			return wrong("has a port of other services: 80, 443 and those from 1024 on are for receivers")
		}
	}
	return nil
}

// target is the address of one message.
func target(endpoint, query string) (string, error) {
	if err := CheckURL(endpoint); err != nil {
		return "", err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("notify: the address of an endpoint cannot be read")
	}
	if query != "" {
		if u.RawQuery != "" {
			query = u.RawQuery + "&" + query
		}
		u.RawQuery = query
	}
	return u.String(), nil
}
