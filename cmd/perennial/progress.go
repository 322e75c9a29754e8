package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billrun"
)

// bar draws how far a billing run has come on one line of a terminal. Without a
// terminal it draws nothing.
type bar struct {
	w       io.Writer
	now     func() time.Time
	columns int

	mu       sync.Mutex
	drawn    time.Time       // when last
	dirty    bool            // whether the line must be cleared
	merchant string          // whose run it is
	from     time.Time       // where the merchant's first walk began
	sum      billrun.Summary // of all its walks
}

// drawEvery is how often the line is drawn at most.
const drawEvery = 100 * time.Millisecond

func (p *process) newBar() *bar { return &bar{w: p.stderr, now: p.now, columns: p.columns} }

// progressed draws a run's progress, now and then. A command that waits for
// others' work walks several times; to people that is one run.
func (b *bar) progressed(p billrun.Progress) {
	if b.columns == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.merchant != p.Merchant.Code {
		b.merchant, b.from, b.sum = p.Merchant.Code, p.From, billrun.Summary{}
	}
	b.sum.Add(p.Step)
	p.From, p.Summary = b.from, b.sum
	now := b.now()
	if now.Sub(b.drawn) < drawEvery && !now.Before(b.drawn) {
		return
	}
	b.drawn, b.dirty = now, true
	fmt.Fprintf(b.w, "\r%s\x1b[K", progressLine(p, b.columns-1))
}

// end clears the line.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dirty {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.dirty = false
	}
}

// progressLine is a line of at most so many columns. Where the run walks through
// time, the bar shows how far; a run of one moment has counts alone.
func progressLine(p billrun.Progress, columns int) string {
	counts := fmt.Sprintf("%d invoices, %d collected", p.Summary.Invoices, p.Summary.Collected)
	for _, more := range []struct {
		n    int
		what string
	}{{p.Summary.Pending, "in clearing"}, {p.Summary.Declined, "declined"}, {p.Summary.Unknown, "unknown"}} {
		if more.n > 0 {
			counts += fmt.Sprintf(", %d %s", more.n, more.what)
		}
	}
	day := p.Merchant.Today(p.At).String()
	line := fmt.Sprintf("%s %s %s", p.Merchant.Code, day, counts)
	const width = 20
	if whole := p.To.Sub(p.From) / time.Second; whole > 0 && columns >= len(line)+width+3 {
		full := int(min(max(p.At.Sub(p.From)/time.Second*width/whole, 0), width))
		line = fmt.Sprintf("%s %s [%s%s] %s", p.Merchant.Code, day, strings.Repeat("=", full), strings.Repeat(" ", width-full), counts)
	}
	if len(line) > columns {
		line = line[:max(columns, 0)]
	}
	return line
}
