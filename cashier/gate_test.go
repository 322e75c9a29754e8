package cashier

import (
	"context"
	"testing"

	"github.com/perennial-billing/perennial/billing"
)

// TestGateIsBounded fills the places for password checks and for those who wait
// for one: who comes then is refused at once and hashes nothing, and who gives
// up waiting leaves.
func TestGateIsBounded(t *testing.T) {
	g := newGate()
	for range cap(g.places) {
		g.places <- struct{}{}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.enter(gone); billing.KindOf(err) != billing.Unavailable {
		t.Errorf("somebody who gives up waiting: %v", err)
	}
	for range cap(g.waiting) {
		g.waiting <- struct{}{}
	}
	if err := g.waste(context.Background(), billing.NewSecret("x")); billing.KindOf(err) != billing.Limited {
		t.Errorf("one too many: %v", err)
	}
	<-g.places
	<-g.waiting
	if err := g.enter(context.Background()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}
