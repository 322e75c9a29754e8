package cashier

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// company is those who ask for the same kind of thing of one merchant's books at
// the same time, so that it can be done for all of them in one transaction. Who
// comes while there is a free desk waits for nobody. Else he waits until one is
// free, and it is done for all of the merchant's that have come by then. So the
// busier it is the more go together, and what each costs falls.
//
// It is done in the goroutine of one of them. What is done must be bounded, must
// not wait for what others hold, and must not stand still at a named step: others
// wait for it.
type company[K comparable, T any] struct {
	mu    sync.Mutex
	desks int // how many may be worked at once, over all merchants
	busy  int // how many are
	rooms map[K]*room[K, T]
	line  []*room[K, T] // those who wait for a desk, in the order in which the first of them came
}

// room is where those of one merchant wait, while there are any.
type room[K comparable, T any] struct {
	id      K
	busy    bool // a desk is worked for this merchant
	waiting []*guest[T]
}

// guest is one who came. told closes when what it came for has been done by
// another, or brings those for whom it is to do it, itself first.
type guest[T any] struct {
	wish T
	told chan []*guest[T]
}

// mostTogether bounds how many go together: what one waits for the others.
const mostTogether = 64

// longestTogether bounds how long a desk is kept, should a connection to the
// database be dead without anybody having said so.
const longestTogether = 10 * time.Second

// join has do done for a wish, together with those of others. If ctx ends before
// that begins it is an error, and it is not done.
func (y *company[K, T]) join(ctx context.Context, id K, wish T, do func(context.Context, []T)) error {
	g := &guest[T]{wish: wish, told: make(chan []*guest[T], 1)}
	y.enter(id, g)
	var together []*guest[T]
	select {
	case together = <-g.told:
	case <-ctx.Done():
		if y.withdraw(id, g) {
			return fmt.Errorf("cashier: waiting for others: %w", ctx.Err())
		}
		together = <-g.told
	}
	if together == nil {
		return nil
	}
	defer y.leave(id, together) // after a panic as well
	wishes := make([]T, len(together))
	for i, g := range together {
		wishes[i] = g.wish
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestTogether) // one that hangs up leaves the others be
	defer cancel()
	do(ctx, wishes)
	return nil
}

// enter has a guest wait in the room of its merchant.
func (y *company[K, T]) enter(id K, g *guest[T]) {
	y.mu.Lock()
	defer y.mu.Unlock()
	r := y.rooms[id]
	if r == nil {
		r = &room[K, T]{id: id}
		if y.rooms == nil {
			y.rooms = make(map[K]*room[K, T])
		}
		y.rooms[id] = r
	}
	r.waiting = append(r.waiting, g)
	if len(r.waiting) == 1 && !r.busy {
		y.line = append(y.line, r)
	}
	y.call()
}

// roomsPerDesk is how many merchants have to wait for one more desk. Where many
// come with little each, it is not by going together that they get on.
const roomsPerDesk = 4

// call has those who have waited longest go on while there are desks; mu is held.
func (y *company[K, T]) call() {
	for len(y.line) > 0 && y.busy < max(y.desks, len(y.line)/roomsPerDesk) {
		r := y.line[0]
		y.line = y.line[1:]
		n := min(len(r.waiting), mostTogether)
		next := r.waiting[:n:n]
		r.waiting = append([]*guest[T](nil), r.waiting[n:]...)
		r.busy = true
		y.busy++
		next[0].told <- next
	}
}

// withdraw takes a guest away that still waits.
func (y *company[K, T]) withdraw(id K, g *guest[T]) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	r := y.rooms[id]
	if r == nil {
		return false
	}
	for i, w := range r.waiting {
		if w != g {
			continue
		}
		r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
		if len(r.waiting) == 0 && !r.busy {
			y.line = slices.DeleteFunc(y.line, func(l *room[K, T]) bool { return l == r })
			delete(y.rooms, id)
		}
		return true
	}
	return false
}

// leave tells those for whom it was done, and gives the desk back.
func (y *company[K, T]) leave(id K, together []*guest[T]) {
	for _, g := range together[1:] {
		close(g.told)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	r := y.rooms[id]
	r.busy = false
	y.busy--
	if len(r.waiting) > 0 {
		y.line = append(y.line, r)
	} else {
		delete(y.rooms, id)
	}
	y.call()
}
