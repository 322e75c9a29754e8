package sandbox

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/perennial-billing/perennial/sqldb"
)

// numbers hands out the numbers of lines. A number from the database for each
// line would make all charges wait for one row, so a process reserves blocks:
// small ones at first, so that a bank that is seldom used has few gaps.
type numbers struct {
	db    *sqldb.DB
	mu    sync.Mutex
	free  []int64 // rising
	block int64   // size of the last block
}

// maxBlock bounds the gap that a process leaves when it ends.
const maxBlock = 512

// reserve takes n numbers out, in rising order. What is not used comes back
// through giveBack.
func (n *numbers) reserve(ctx context.Context, count int) ([]int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.free) < count {
		n.block = min(max(2*n.block, int64(count)), maxBlock)
		var last int64
		err := n.db.Update(ctx, func(t *sqldb.Tx) error {
			return t.QueryRow(ctx,
				`INSERT INTO numbering (name, last) VALUES ('line', $1)
				ON CONFLICT (name) DO UPDATE SET last = numbering.last + $1 RETURNING last`, n.block).Scan(&last)
		})
		if err != nil {
			return nil, fmt.Errorf("sandbox: reserve numbers: %w", err)
		}
		for i := last - n.block + 1; i <= last; i++ {
			n.free = append(n.free, i)
		}
	}
	taken := slices.Clone(n.free[:count])
	n.free = slices.Delete(n.free, 0, count)
	return taken, nil
}

// giveBack returns numbers that no line got.
func (n *numbers) giveBack(unused []int64) {
	if len(unused) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free = append(n.free, unused...)
	slices.Sort(n.free)
}
