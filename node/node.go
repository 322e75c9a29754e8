// Package node keeps this process's place among those that work on the books: a
// number of its own, the database's clock, and the right to act.
//
// A node may ask processors for money only while it can prove that these books
// are the ones that it knew and that they have not gone back. The proof has four
// parts. The database is where it was when it was last proved right, so it is no
// copy. Its epoch and mark are not behind what this node keeps in a file of its
// own beside the master key, so it was not put back to an earlier state. A node
// without such a file is vouched for by one that is at work. And what the
// processors list as done is all in the books, which holds even if machine, file
// and database were put back together. What cannot be proved is not assumed: the
// node then serves what only reads, and says what to do.
//
// The right lasts for some seconds after each proof, measured on this machine
// alone, so that a node that lost the database, or stood still, stops by itself.
package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// How long things last.
const (
	Every    = 3 * time.Second  // between two looks at the installation
	Trust    = 12 * time.Second // how long a proof holds
	seatLife = 30 * time.Second // how long a number stays a silent process's
	Again    = time.Hour        // between two comparisons with the processors
)

// Options are what a Node works with.
type Options struct {
	Store  *store.Store
	Clock  *Clock
	Log    *slog.Logger
	File   string // where this node keeps what it knows of the installation
	Number int64  // that tells its ids from another's, 1 to store.MaxSeat; 0 for any that is free
	Name   string // for people: host and process

	// Compare holds the books against what the processors list as done. An error
	// means that it is not known.
	Compare func(ctx context.Context) (Found, error)
}

// Found is what a comparison found, in words.
type Found struct {
	Missing  []string // what the books lack, one act each
	Unlisted []string // merchants whose processor does not list what it did
}

// Node is this process among those on the books. It is safe for concurrent use.
type Node struct {
	o    Options
	seat store.Seat
	beat sync.Mutex // one look at a time

	mu       sync.Mutex
	trouble  string // why it may not act, "" if it may
	proved   time.Time
	compared provenAt // what was last compared and found right
	known    word     // the latest that this process has seen
}

// provenAt says of which books a comparison was right.
type provenAt struct {
	name, place, line string
	epoch             int64
}

// starting is the trouble of a node before its first proof.
const starting = "the books have not been proved yet"

// Join takes a number and makes the first look. A node that may not act has
// joined all the same; Ready says why it may not.
func Join(ctx context.Context, o Options) (*Node, error) {
	n := &Node{o: o, trouble: starting}
	token, err := random()
	if err != nil {
		return nil, err
	}
	if n.seat, err = o.Store.TakeSeat(ctx, o.Number, token, o.Name, seatLife); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return n, n.Beat(ctx)
}

// Leave gives the number back.
func (n *Node) Leave(ctx context.Context) error { return n.o.Store.LeaveSeat(ctx, n.seat) }

func random() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("node: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// Ready reports whether money may be moved: nil, or an error of kind Unavailable
// that says why it may not.
func (n *Node) Ready(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.trouble != "":
		return billing.Errorf(billing.Unavailable, "billing rests: %s", n.trouble)
	case !n.o.Clock.fresh(n.proved, Trust):
		return billing.Errorf(billing.Unavailable, "billing rests: the database has not been heard of for %v", Trust)
	}
	return nil
}

// Waiting reports whether the node waits for another to vouch for it.
func (n *Node) Waiting() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trouble == unvouched
}

// Number is the node's.
func (n *Node) Number() int64 { return n.seat.Number }

// Beat looks at the installation, renews the right to act or takes it away, and
// keeps what it saw in the node's file. It is to be called every Every. An error
// means that it saw nothing; the right then runs out by itself.
func (n *Node) Beat(ctx context.Context) error {
	n.beat.Lock()
	defer n.beat.Unlock()
	for range 3 { // at first what it sees has to be compared, or begun
		again, err := n.look(ctx)
		if err != nil {
			return fmt.Errorf("node: %w", err)
		}
		if !again {
			break
		}
	}
	return nil
}

// look is one look. again says that what had to be done first has been done.
func (n *Node) look(ctx context.Context) (again bool, err error) {
	kept, err := readWord(n.o.File)
	if err != nil {
		n.stop("the file " + n.o.File + " cannot be read: " + err.Error())
		return false, nil
	}
	var judged verdict
	start := n.o.Clock.wall()
	sight, err := n.o.Store.Beat(ctx, n.seat, seatLife, n.o.Clock.measure, func(s store.Sight) bool {
		judged = n.judge(kept, s)
		return judged.trusted
	})
	if err != nil {
		return false, err
	}
	if !sight.Held {
		return n.sitAgain(ctx)
	}
	switch {
	case judged.trusted:
		n.goOn(ctx, kept, sight, start)
		return false, nil
	case judged.trouble != "":
		n.stop(judged.trouble)
		return false, nil
	}
	return n.prove(ctx, sight, judged)
}

// sitAgain takes a number again after it was lost.
func (n *Node) sitAgain(ctx context.Context) (bool, error) {
	seat, err := n.o.Store.TakeSeat(ctx, n.o.Number, n.seat.Token, n.seat.Name, seatLife)
	if errors.Is(err, store.ErrSeatsTaken) {
		n.stop(fmt.Sprintf("the number %d of this node belongs to another process: give each its own, or none", n.o.Number))
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n.seat = seat
	return true, nil
}

// verdict is what a node makes of what it sees: trusted, or a trouble, or neither
// if something has to be done first.
type verdict struct {
	trusted bool
	trouble string
	begin   bool // nobody has begun the installation
	orphan  bool // nothing proves that this node knew these books
	moved   bool // the database goes on elsewhere on its line
}

// unvouched is the trouble of a node without a file.
const unvouched = "this node has no record of these books, as if they were a copy started elsewhere; " +
	"a node that is at work on them vouches for it within seconds; if there is none and there shall be, see `perennial restore`"

// judge decides by values alone.
func (n *Node) judge(kept word, s store.Sight) verdict {
	i := s.Installation
	if known := n.knownWord(); known.after(kept) {
		kept = known
	}
	switch {
	case !s.Begun && kept.Name != "":
		return verdict{trouble: "this node's file knows an installation that these books do not: they are of an older date, or of another; see `perennial restore`"}
	case !s.Begun:
		return verdict{begin: true}
	case kept.Name != "" && kept.Name != i.Name:
		return verdict{trouble: "this node's file is of another installation than these books; see `perennial restore`"}
	case kept.after(wordOf(i)):
		return verdict{trouble: "these books are older than what this node has seen: they were put back from a copy; see `perennial restore`"}
	case i.Place != s.Where.Place:
		return verdict{trouble: "these books are a copy: their database is not the one that they were last worked on in; see `perennial restore`"}
	}
	v := verdict{orphan: kept.Name == "" && !s.Vouched, moved: i.Line != s.Where.Line}
	v.trusted = !v.orphan && !v.moved && n.hasCompared(s)
	return v
}

// prove does what has to be done before what was seen can be trusted.
func (n *Node) prove(ctx context.Context, s store.Sight, v verdict) (again bool, err error) {
	if v.orphan {
		if v.orphan, err = n.o.Store.Asked(ctx); err != nil {
			return false, err
		}
		if v.orphan { // else there is nothing yet that could be done twice
			n.stop(unvouched)
			return false, nil
		}
		n.know(wordOf(s.Installation))
	}
	n.pause()
	switch found, err := n.o.Compare(ctx); {
	case err != nil:
		n.stop("the books could not be compared with the processors: " + err.Error())
		return false, nil
	case len(found.Missing) > 0:
		n.stop(lacking(found.Missing))
		return false, nil
	case v.moved && len(found.Unlisted) > 0:
		n.stop("the database goes on elsewhere, as after the promotion of a replica that may lack the last seconds, and the processor of merchant " +
			found.Unlisted[0] + " does not list what it did; see `perennial restore`")
		return false, nil
	}
	if v.begin {
		name, err := random()
		if err != nil {
			return false, err
		}
		first, err := n.o.Store.Begin(ctx, name, "begun")
		if first {
			n.know(word{Name: name, Epoch: 1})
		}
		return true, err
	}
	if v.moved {
		n.o.Log.WarnContext(ctx, "the database goes on elsewhere, as after the promotion of a replica; the processors did nothing that the books lack",
			"line", s.Where.Line, "before", s.Installation.Line)
		if err := n.o.Store.Proved(ctx, s.Installation.Epoch, s.Where.Line); err != nil {
			return false, err
		}
	}
	n.mu.Lock()
	n.compared = provenAt{s.Installation.Name, s.Where.Place, s.Where.Line, s.Installation.Epoch}
	n.mu.Unlock()
	return true, nil
}

// lacking says what books lack.
func lacking(missing []string) string {
	more := ""
	if len(missing) > 1 {
		more = fmt.Sprintf(", and %d more", len(missing)-1)
	}
	return "a processor did what these books know nothing of (" + missing[0] + more + "); see `perennial restore check`"
}

// Recheck compares the books with what the processors list. If they lack
// something the node stops, until a person has adopted them; if that cannot be
// known now, it goes on. It is to be called every Again while the node works: it
// finds the twin that was made of a whole machine.
func (n *Node) Recheck(ctx context.Context) {
	if n.Ready(ctx) != nil {
		return // Beat will
	}
	found, err := n.o.Compare(ctx)
	if err != nil {
		n.o.Log.WarnContext(ctx, "the books could not be compared with the processors; it is tried again later", "error", err)
	}
	if len(found.Missing) > 0 {
		n.mu.Lock()
		n.compared = provenAt{}
		n.mu.Unlock()
		n.stop(lacking(found.Missing))
	}
}

// Adopt begins a new epoch of the books, on the word of a person who has compared
// them with the processors, and lets this node act on them.
func (n *Node) Adopt(ctx context.Context, reason string) error {
	kept, err := readWord(n.o.File)
	if err != nil {
		return fmt.Errorf("node: the file %s: %w", n.o.File, err)
	}
	name := kept.Name
	if name == "" {
		if name, err = random(); err != nil {
			return err
		}
	}
	if _, err := n.o.Store.Begin(ctx, name, reason); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	i, err := n.o.Store.Adopt(ctx, reason, kept.Epoch)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if kept.Name != "" && kept.Name != i.Name {
		return fmt.Errorf("node: the file %s is of another installation than these books: name another file for this node", n.o.File)
	}
	n.know(wordOf(i))
	return n.Beat(ctx)
}

func (n *Node) know(w word) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known = w
}

// pause takes the right to act away while something is looked up.
func (n *Node) pause() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.trouble == "" {
		n.trouble = starting
	}
}

func (n *Node) hasCompared(s store.Sight) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.compared == provenAt{s.Installation.Name, s.Where.Place, s.Where.Line, s.Installation.Epoch}
}

func (n *Node) knownWord() word {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known
}

// stop takes the right to act away, and tells why when that is new.
func (n *Node) stop(trouble string) {
	n.mu.Lock()
	was := n.trouble
	n.trouble = trouble
	n.mu.Unlock()
	if was != trouble {
		n.o.Log.Error("billing rests: " + trouble)
	}
}

// goOn renews the right to act. It counts from before the look.
func (n *Node) goOn(ctx context.Context, kept word, s store.Sight, start time.Time) {
	w := wordOf(s.Installation)
	if err := w.keep(n.o.File); err != nil {
		if kept.Name == "" {
			n.stop("what this node knows of the books cannot be kept: " + err.Error() + "; name a file that it may write with --node-file")
			return
		}
		n.o.Log.WarnContext(ctx, "what this node knows of the installation cannot be kept, so after its end it could not tell these books from older ones", "file", n.o.File, "error", err)
	}
	n.mu.Lock()
	was := n.trouble
	n.trouble, n.proved, n.known = "", start, w
	n.mu.Unlock()
	if was != "" && was != starting {
		n.o.Log.InfoContext(ctx, "billing goes on", "epoch", s.Installation.Epoch)
	}
}
