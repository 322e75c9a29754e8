package billrun

import "sync"

// places are the charges that may be under way at once. The walks share them: a
// walk is given one only while it has fewer than reach times as many as are
// free. So one alone gets nearly all, several get about the same, and when the
// bank of one is slow there are places left for those that come after.
type places struct {
	mu      sync.Mutex
	free    int
	waiting []*party
}

// reach leaves a 32nd of the places to others when one walk takes all that it
// may.
const reach = 31

// party is one walk's share of the places.
type party struct {
	held   int
	given  chan struct{} // a place that was asked for
	places *places
}

func newPlaces(n int) *places { return &places{free: n} }

func (p *places) party() *party { return &party{places: p, given: make(chan struct{}, 1)} }

// may reports whether a party may have one more place; mu is held.
func (y *party) may() bool { return y.held < reach*y.places.free }

// take waits for a place. A party waits for one at a time.
func (y *party) take() {
	if !y.ask() {
		<-y.given
	}
}

// ask takes a place if there is one, and else has it given later.
func (y *party) ask() bool {
	p := y.places
	p.mu.Lock()
	defer p.mu.Unlock()
	if !y.may() {
		p.waiting = append(p.waiting, y)
		return false
	}
	y.held++
	p.free--
	return true
}

// leave gives a place back, and on to the party that has the fewest.
func (y *party) leave() {
	p := y.places
	p.mu.Lock()
	defer p.mu.Unlock()
	y.held--
	p.free++
	for {
		next := -1
		for i, w := range p.waiting {
			if w.may() && (next < 0 || w.held < p.waiting[next].held) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := p.waiting[next]
		p.waiting = append(p.waiting[:next], p.waiting[next+1:]...)
		w.held++
		p.free--
		w.given <- struct{}{}
	}
}

// room is how many places a party could have at once now, at least one.
func (y *party) room() int {
	y.places.mu.Lock()
	defer y.places.mu.Unlock()
	return max(1, y.places.free)
}
