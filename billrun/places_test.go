package billrun

import "testing"

// TestPlacesAreShared has one walk take all places that it may, and others come
// later: places are left for them, and what the first gives back goes to those
// that have fewer.
func TestPlacesAreShared(t *testing.T) {
	const all = 64
	p := newPlaces(all)
	greedy, late, last := p.party(), p.party(), p.party()
	insatiable := func(y *party) {
		for y.ask() {
		}
	}
	insatiable(greedy)
	if greedy.held < all*9/10 || p.free == 0 {
		t.Fatalf("one walk alone has %d of %d places", greedy.held, all)
	}
	alone := greedy.held
	greedy.leave() // its own place goes back to it while nobody else wants one
	if <-greedy.given; greedy.held != alone {
		t.Fatalf("one walk alone has %d of %d places after one more", greedy.held, all)
	}
	insatiable(greedy)
	if !late.ask() {
		t.Fatal("no place was left for another walk")
	}
	late.leave()
	for _, y := range []*party{late, last} {
		insatiable(y)
	}
	for greedy.held > all/3 {
		greedy.leave()
		for again := true; again; {
			again = false
			for _, y := range []*party{late, last, greedy} {
				select {
				case <-y.given:
					if y == greedy && greedy.held > late.held+1 {
						t.Fatalf("a place was given to the walk that has %d, while others have %d and %d", greedy.held, late.held, last.held)
					}
					insatiable(y)
					again = true
				default:
				}
			}
		}
	}
	if d := late.held - last.held; d < -1 || d > 1 || last.held < all/4 {
		t.Errorf("the walks have %d, %d and %d of %d places", greedy.held, late.held, last.held, all)
	}
	if sum := greedy.held + late.held + last.held + p.free; sum != all {
		t.Errorf("%d places of %d", sum, all)
	}
}
