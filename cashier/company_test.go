package cashier

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// waitFor waits until so many wait in a merchant's room.
func waitFor[T any](y *company[billing.MerchantID, T], n int) {
	for {
		y.mu.Lock()
		waiting := 0
		for _, r := range y.rooms {
			waiting += len(r.waiting)
		}
		y.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

// TestCompany has guests of two merchants come while the only desk is worked:
// those of one merchant go together, those of the other after them, and one whose
// context ends while it waits is not served.
func TestCompany(t *testing.T) {
	var y company[billing.MerchantID, int]
	y.desks = 1
	begun, release := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var served [][]int
	serve := func(_ context.Context, list []int) {
		mu.Lock()
		served = append(served, slices.Sorted(slices.Values(list)))
		mu.Unlock()
		if list[0] == 0 {
			close(begun)
			<-release
		}
	}
	var all sync.WaitGroup
	join := func(ctx context.Context, merchant, wish int) {
		all.Go(func() {
			err := y.join(ctx, billing.MerchantID(merchant), wish, serve)
			if ctx.Err() == nil && err != nil || ctx.Err() != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("guest %d: %v", wish, err)
			}
		})
	}
	join(t.Context(), 1, 0)
	<-begun
	for i := range 3 {
		join(t.Context(), 1, 10+i)
		waitFor(&y, i+1)
	}
	join(t.Context(), 2, 20)
	waitFor(&y, 4)
	impatient, hangUp := context.WithCancel(t.Context())
	join(impatient, 1, 13)
	waitFor(&y, 5)
	hangUp()
	waitFor(&y, 4)
	close(release)
	all.Wait()
	if want := [][]int{{0}, {20}, {10, 11, 12}}; !slices.EqualFunc(served, want, slices.Equal) {
		t.Errorf("served %v, not %v", served, want)
	}
	if len(y.rooms)+len(y.line)+y.busy != 0 {
		t.Errorf("%d rooms, %d in line and %d desks are left", len(y.rooms), len(y.line), y.busy)
	}
}

// TestCompanyPanics has one who serves others break: the others are told, and the
// next are served.
func TestCompanyPanics(t *testing.T) {
	var y company[billing.MerchantID, *int]
	y.desks = 1
	begun, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	first := 0
	all.Go(func() {
		_ = y.join(t.Context(), 1, &first, func(context.Context, []*int) { close(begun); <-release })
	})
	<-begun
	wishes := make([]int, 3)
	broken := 0
	var mu sync.Mutex
	for i := range wishes {
		all.Go(func() {
			defer func() {
				if recover() != nil {
					mu.Lock()
					broken++
					mu.Unlock()
				}
			}()
			if err := y.join(t.Context(), 1, &wishes[i], func(context.Context, []*int) { panic("broken") }); err != nil {
				t.Error(err)
			}
		})
		waitFor(&y, i+1)
	}
	close(release)
	all.Wait()
	if broken != 1 {
		t.Errorf("%d of three broke", broken)
	}
	err := y.join(t.Context(), 1, &first, func(_ context.Context, list []*int) { *list[0] = 1 })
	if err != nil || first != 1 || len(y.rooms)+y.busy != 0 {
		t.Errorf("after that: %v, %d, %d rooms, %d desks", err, first, len(y.rooms), y.busy)
	}
}

// TestCompanyOfMany has many merchants come with one guest each: there are more
// desks then.
func TestCompanyOfMany(t *testing.T) {
	var y company[billing.MerchantID, int]
	y.desks = 2
	const merchants = 40
	release := make(chan struct{})
	most := make(chan int, merchants)
	var all sync.WaitGroup
	for i := range merchants {
		all.Go(func() {
			err := y.join(t.Context(), billing.MerchantID(i+1), i, func(context.Context, []int) {
				<-release
				y.mu.Lock()
				most <- y.busy
				y.mu.Unlock()
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for settled := false; !settled; runtime.Gosched() {
		y.mu.Lock()
		settled = y.busy+len(y.line) == merchants
		y.mu.Unlock()
	}
	y.mu.Lock()
	if least := merchants / (roomsPerDesk + 1); y.busy < least {
		t.Errorf("%d desks for %d merchants, not %d", y.busy, merchants, least)
	}
	y.mu.Unlock()
	close(release)
	all.Wait()
}

// TestGoAlone tells what those who failed together try again: whatever surely was
// not stored, but not what failed of one by itself for a reason of its own.
func TestGoAlone(t *testing.T) {
	own := errors.New("its own")
	for _, c := range []struct {
		err      error
		together int
		want     bool
	}{
		{nil, 3, false},
		{own, 1, false},
		{own, 2, true},
		{context.DeadlineExceeded, 1, true},
		{fmt.Errorf("commit: %w", sqldb.ErrOutcomeUnknown), 2, false},
	} {
		if got := goAlone(c.err, c.together); got != c.want {
			t.Errorf("%d together, %v: %v", c.together, c.err, got)
		}
	}
}
