package httpd

import (
	"net/netip"
	"slices"
	"strings"
)

// clientAddr finds who is really asking. A peer that is no trusted proxy is the client. Otherwise the proxies wrote
// the addresses they saw to the right end of X-Forwarded-For, so the list is read from the right, past the trusted
// ones: the first that is not trusted is the client, and whatever stands to its left is the client's own invention.
func clientAddr(peer string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	client := parseAddr(peer)
	if !client.IsValid() {
		return netip.Addr{}
	}
	hops := strings.Split(strings.Join(forwarded, ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !within(client, trusted) {
			break
		}
		ip := parseAddr(strings.TrimSpace(hop))
		if !ip.IsValid() {
			break // the proxy that wrote this is the last one we can name
		}
		client = ip
	}
	return client
}

// parseAddr reads an address with or without a port, in the one form in which equal addresses are equal.
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

func within(ip netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}
