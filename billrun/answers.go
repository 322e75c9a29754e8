package billrun

import (
	"sync/atomic"
	"time"

	"github.com/perennial-billing/perennial/cashier"
)

// answers are what processors said, on the way from those who asked to the one
// who writes it down.
type answers struct {
	come     chan cashier.Answer
	expected atomic.Int64 // that have not been gathered
}

// linger is how long an answer waits at most for others to be written down with
// it. A transaction costs about the same for one as for a dozen.
const linger = 20 * time.Millisecond

func newAnswers(most int) *answers { return &answers{come: make(chan cashier.Answer, most)} }

// expect says that so many more will come.
func (a *answers) expect(n int) { a.expected.Add(int64(n)) }

func (a *answers) put(answer cashier.Answer) { a.come <- answer }

// close says that no more will come.
func (a *answers) close() { close(a.come) }

// gather waits for one answer and takes along what comes within linger, or until
// there is none to wait for. It returns nil when no more will come.
func (a *answers) gather(most int) []cashier.Answer {
	first, ok := <-a.come
	if !ok {
		return nil
	}
	list := []cashier.Answer{first}
	left := a.expected.Add(-1)
	late := time.NewTimer(linger)
	defer late.Stop()
	for left > 0 && len(list) < most {
		select {
		case answer := <-a.come: // not closed while one is expected
			list = append(list, answer)
			left = a.expected.Add(-1)
		case <-late.C:
			return list
		}
	}
	return list
}
