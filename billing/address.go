package billing

import (
	"net/netip"
	"strings"
)

// AddressRange is the network addresses from First to Last, both included, of
// one family.
type AddressRange struct{ First, Last netip.Addr }

// ParseAddressRange reads an address (192.0.2.1), a prefix (192.0.2.0/24) or a
// range (192.0.2.10-192.0.2.20). Addresses with a zone are refused, because they
// mean something on one machine only.
func ParseAddressRange(text string) (AddressRange, error) {
	refused := Errorf(Invalid, "must be an address such as 192.0.2.1, a prefix such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20")
	if prefix, err := netip.ParsePrefix(text); err == nil {
		prefix = prefix.Masked()
		return AddressRange{prefix.Addr(), lastOf(prefix)}, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	first, err1 := netip.ParseAddr(strings.TrimSpace(from))
	last, err2 := netip.ParseAddr(strings.TrimSpace(to))
	first, last = first.Unmap(), last.Unmap()
	if err1 != nil || err2 != nil || first.Zone() != "" || last.Zone() != "" || first.BitLen() != last.BitLen() || last.Less(first) {
		return AddressRange{}, refused
	}
	return AddressRange{first, last}, nil
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// Contains reports whether an address lies in the range. An IPv4 address is the
// same in its IPv6 form.
func (r AddressRange) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.BitLen() == r.First.BitLen() && !a.Less(r.First) && !r.Last.Less(a)
}

// within reports whether the range lies in one prefix of so many bits.
func (r AddressRange) within(bits int) bool {
	prefix, err := r.First.Prefix(bits)
	return err == nil && prefix.Contains(r.Last)
}
