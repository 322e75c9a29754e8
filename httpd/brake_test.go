package httpd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	home     = netip.MustParseAddr("192.0.2.1")
	stranger = netip.MustParseAddr("203.0.113.66")
)

func TestBrakeByAddress(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{3, time.Minute}, Name: Limit{100, time.Minute}})
	now := noon()
	for i := range 3 {
		if w := b.Wait(now, home, fmt.Sprint("name", i)); w != 0 {
			t.Fatalf("try %d has to wait %v", i, w)
		}
		b.Failed(now, home, fmt.Sprint("name", i))
	}
	if w := b.Wait(now, home, "another"); w != time.Minute {
		t.Errorf("fourth try waits %v, want 1m", w)
	}
	if w := b.Wait(now, stranger, "another"); w != 0 {
		t.Errorf("another address waits %v", w)
	}
	if w := b.Wait(now.Add(59*time.Second), home, "another"); w != time.Second {
		t.Errorf("after 59 s it waits %v", w)
	}
	now = now.Add(time.Minute)
	if w := b.Wait(now, home, "another"); w != 0 {
		t.Errorf("after a minute it waits %v", w)
	}
	b.Failed(now, home, "another")
	if w := b.Wait(now, home, "another"); w != time.Minute {
		t.Errorf("one failure later it waits %v", w)
	}
}

func TestBrakeByName(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{100, time.Minute}, Name: Limit{3, time.Minute}})
	now := noon()
	b.Succeeded(now, home, "acme")
	for i := range 3 {
		b.Failed(now, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), "acme")
	}
	if w := b.Wait(now, stranger, "acme"); w != time.Minute {
		t.Errorf("a guesser with many addresses waits %v", w)
	}
	if w := b.Wait(now, stranger, "other"); w != 0 {
		t.Errorf("another name waits %v", w)
	}
	if w := b.Wait(now, home, "acme"); w != 0 {
		t.Errorf("strangers locked the merchant out for %v", w)
	}
	if w := b.Wait(now.Add(25*time.Hour), home, "acme"); w != 0 {
		t.Errorf("a day later the waiting is over, but %v", w)
	}
	for range 3 {
		b.Failed(now, home, "acme")
	}
	if w := b.Wait(now, home, "acme"); w != time.Minute {
		t.Errorf("a proven pair answers for its own failures, but waits %v", w)
	}
	if w := b.Wait(now, home, "other"); w != 0 {
		t.Errorf("the failures of a proven pair hold up other names of its address for %v", w)
	}
}

func TestBrakeProofEnds(t *testing.T) {
	b := NewBrake(BrakeConfig{Name: Limit{1, 48 * time.Hour}, Longest: 48 * time.Hour, Proven: time.Hour})
	now := noon()
	b.Succeeded(now, home, "acme")
	b.Failed(now, stranger, "acme")
	if w := b.Wait(now.Add(59*time.Minute), home, "acme"); w != 0 {
		t.Errorf("within the hour it waits %v", w)
	}
	if w := b.Wait(now.Add(time.Hour), home, "acme"); w != 47*time.Hour {
		t.Errorf("after the hour it waits %v, want 47h", w)
	}
}

func TestBrakeSuccessForgivesNothing(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{3, time.Minute}, Name: Limit{3, time.Minute}})
	now := noon()
	for range 3 {
		b.Failed(now, stranger, "victim")
		b.Succeeded(now, stranger, "own-login")
	}
	if w := b.Wait(now, stranger, "victim"); w != time.Minute {
		t.Errorf("a good login between the guesses reduces the wait to %v", w)
	}
}

func TestBrakeDebt(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{3, time.Minute}, Longest: 20 * time.Minute})
	now := noon()
	for range 10 { // all asked before the first was answered
		b.Failed(now, stranger, "")
	}
	if w := b.Wait(now, stranger, ""); w != 8*time.Minute {
		t.Errorf("after ten parallel guesses with three allowed it waits %v, want 8m", w)
	}
	for range 1000 {
		b.Failed(now, stranger, "")
	}
	if w := b.Wait(now, stranger, ""); w != 20*time.Minute {
		t.Errorf("it waits %v, want the longest", w)
	}
}

func TestBrakeNetworks(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{1, time.Minute}})
	now := noon()
	b.Failed(now, netip.MustParseAddr("2001:db8:1:2::3"), "")
	b.Failed(now, netip.MustParseAddr("::ffff:192.0.2.9"), "")
	for addr, want := range map[string]time.Duration{
		"2001:db8:1:2:aaaa::1": time.Minute, // the same /64
		"2001:db8:1:3::3":      0,
		"192.0.2.9":            time.Minute, // the same address
		"192.0.2.8":            0,
	} {
		if w := b.Wait(now, netip.MustParseAddr(addr), ""); w != want {
			t.Errorf("%s waits %v, want %v", addr, w, want)
		}
	}
}

func TestBrakeNothingToCount(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{1, time.Minute}, Name: Limit{1, time.Minute}})
	b.Failed(noon(), netip.Addr{}, "")
	b.Succeeded(noon(), netip.Addr{}, "x")
	if w := b.Wait(noon(), netip.Addr{}, ""); w != 0 || len(b.entries) != 0 {
		t.Errorf("waits %v with %d entries", w, len(b.entries))
	}
}

// Whatever the order of tries, a guesser at one address who respects the wait never gets more failures into any
// stretch of time than the burst and what that stretch allows, and memory never grows past its bound.
func TestBrakeHoldsTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Limit{rapid.IntRange(1, 5).Draw(t, "burst"), time.Duration(rapid.IntRange(1, 100).Draw(t, "every")) * time.Second}
		keys := rapid.IntRange(50, 60).Draw(t, "keys")
		b := NewBrake(BrakeConfig{Address: limit, Name: Limit{1000, time.Nanosecond}, Keys: keys})
		now := noon()
		var failed []time.Time
		for range rapid.IntRange(1, 100).Draw(t, "tries") {
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "pause")) * time.Second)
			name := fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "name"))
			switch w := b.Wait(now, stranger, name); {
			case w < 0:
				t.Fatalf("negative wait %v", w)
			case w == 0:
				b.Failed(now, stranger, name)
				failed = append(failed, now)
			case b.Wait(now.Add(w-1), stranger, name) == 0 || b.Wait(now.Add(w), stranger, name) != 0:
				t.Fatalf("the wait of %v is not what it says", w)
			}
			if len(b.entries) > keys || len(b.entries) != b.recent.Len() {
				t.Fatalf("%d entries, %d in the list, bound %d", len(b.entries), b.recent.Len(), keys)
			}
		}
		for i, from := range failed {
			for j, to := range failed[i:] {
				if allowed := limit.Burst + int(to.Sub(from)/limit.Every); j+1 > allowed {
					t.Fatalf("%d failures within %v, allowed %d", j+1, to.Sub(from), allowed)
				}
			}
		}
	})
}

func TestBrakeForgetsTheOldest(t *testing.T) {
	b := NewBrake(BrakeConfig{Address: Limit{1, time.Hour}, Keys: 2})
	now := noon()
	addr := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, i}) }
	b.Failed(now, addr(1), "")
	b.Failed(now, addr(2), "")
	b.Wait(now, addr(1), "") // touched: still under attack
	b.Failed(now, addr(3), "")
	for i, want := range map[byte]bool{1: true, 2: false, 3: true} {
		if got := b.Wait(now, addr(i), "") > 0; got != want {
			t.Errorf("address %d waits: %v, want %v", i, got, want)
		}
	}
}
