package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

// Installation is what the books know of themselves as a whole. A node that
// keeps the name, the epoch and the mark outside of the database can tell when
// the database has gone back, and Place tells when it is a copy.
type Installation struct {
	Name   string // made by chance when the books were first worked on
	Epoch  int64  // from 1; rises when a person adopts restored books
	Mark   int64  // rises while nodes work
	Place  string // where the database was when it was last proved right; see sqldb.Whereabouts
	Line   string
	Reason string // why the epoch was begun
	Begun  time.Time
}

// Seat is a process's place among those that work on the books.
type Seat struct {
	Number int64 // 1 to MaxSeat
	Token  string
	Name   string // for people: host and process
}

// MaxSeat is the highest number of a seat.
const MaxSeat = 1<<nodeBits - 1

// Sight is what a process sees of the installation.
type Sight struct {
	Where        sqldb.Whereabouts
	Now          time.Time    // by the database's clock, or the process's on SQLite
	Installation Installation // zero if there is none yet
	Begun        bool         // whether there is one
	Held         bool         // the seat is still this process's
	Vouched      bool         // another process that knows these books has vouched for this one
	Peers        int          // other processes at work
}

// ErrSeatsTaken says that no number is left for a process, or that the one that
// was asked for belongs to a process at work.
var ErrSeatsTaken = errors.New("store: the number belongs to another process on these books")

// TakeSeat takes a number for this process, want or, if that is 0, any that is
// free, until life has passed by the database's clock. The ids that this Store
// makes bear it from now on.
func (s *Store) TakeSeat(ctx context.Context, want int64, token, name string, life time.Duration) (seat Seat, err error) {
	if want < 0 || want > MaxSeat {
		return Seat{}, fmt.Errorf("store: a process has a number from 1 to %d", int64(MaxSeat))
	}
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		where, err := tx.Whereabouts(ctx, "node")
		if err != nil {
			return err
		}
		now := s.clock(where)
		taken, err := takenSeats(ctx, tx, now)
		if err != nil {
			return err
		}
		first, tries := want, int64(1)
		if want == 0 {
			first, tries = now.UnixMicro()%MaxSeat+1, MaxSeat // neighbours in time begin apart
		}
		for i := range tries {
			number := (first-1+i)%MaxSeat + 1
			if taken[number] {
				continue
			}
			n, err := tx.Exec(ctx, `INSERT INTO node (number, token, name, vouched, until) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (number) DO UPDATE SET token = $2, name = $3, vouched = $4, until = $5 WHERE node.until <= $6`,
				number, token, name, false, now.Add(life).UnixMicro(), now.UnixMicro())
			if err != nil {
				return err
			}
			if n == 1 {
				seat = Seat{Number: number, Token: token, Name: name}
				return nil
			}
		}
		return ErrSeatsTaken
	})
	if err != nil {
		return Seat{}, fmt.Errorf("store: take a number: %w", err)
	}
	s.ids.sit(seat.Number)
	return seat, nil
}

func takenSeats(ctx context.Context, tx *sqldb.Tx, now time.Time) (map[int64]bool, error) {
	list, err := sqldb.Query(ctx, tx, sqldb.Scalar[int64], `SELECT number FROM node WHERE until > $1`, now.UnixMicro())
	taken := make(map[int64]bool, len(list))
	for _, n := range list {
		taken[n] = true
	}
	return taken, err
}

// Beat renews a seat for life and looks at the installation, in one transaction.
// If judge, which must do nothing but decide, trusts what it sees, the mark rises
// and those who wait to be vouched for are. saw is told of the database's clock
// as soon as it is known; it may be nil.
func (s *Store) Beat(ctx context.Context, seat Seat, life time.Duration, saw func(sqldb.Whereabouts), judge func(Sight) bool) (sight Sight, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		sight = Sight{}
		if sight.Where, err = tx.Whereabouts(ctx, "installation"); err != nil {
			return err
		}
		if saw != nil {
			saw(sight.Where)
		}
		sight.Now = s.clock(sight.Where)
		n, err := tx.Exec(ctx, `UPDATE node SET until = $3 WHERE number = $1 AND token = $2`,
			seat.Number, seat.Token, sight.Now.Add(life).UnixMicro())
		if err != nil {
			return err
		}
		sight.Held = n == 1
		if err := sight.look(ctx, tx, seat); err != nil {
			return err
		}
		if !judge(sight) || !sight.Begun {
			return nil
		}
		err = tx.QueryRow(ctx, `UPDATE installation SET mark = mark + 1 WHERE id = 1 RETURNING mark`).Scan(&sight.Installation.Mark)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE node SET vouched = $1 WHERE until > $2 AND NOT vouched`, true, sight.Now.UnixMicro())
		return err
	})
	if err != nil {
		return Sight{}, fmt.Errorf("store: look at the installation: %w", err)
	}
	return sight, nil
}

// look reads what there is to see.
func (s *Sight) look(ctx context.Context, tx *sqldb.Tx, seat Seat) error {
	i, begun, err := readInstallation(ctx, tx)
	if err != nil {
		return err
	}
	s.Installation, s.Begun = i, begun
	var peers int64
	err = tx.QueryRow(ctx, `SELECT
			(SELECT COUNT(*) FROM node WHERE until > $1 AND token <> $2),
			EXISTS (SELECT 1 FROM node WHERE token = $2 AND vouched)`, s.Now.UnixMicro(), seat.Token).Scan(&peers, &s.Vouched)
	s.Peers = int(peers)
	return err
}

func readInstallation(ctx context.Context, tx *sqldb.Tx) (i Installation, begun bool, err error) {
	var at int64
	err = tx.QueryRow(ctx, `SELECT name, epoch, mark, place, line, reason, begun_at FROM installation WHERE id = 1`).
		Scan(&i.Name, &i.Epoch, &i.Mark, &i.Place, &i.Line, &i.Reason, &at)
	if errors.Is(err, sqldb.ErrNoRows) {
		return Installation{}, false, nil
	}
	i.Begun = instant(at)
	return i, err == nil, err
}

// Begin writes which books these are, where nobody has done so; first tells
// whether that was so.
func (s *Store) Begin(ctx context.Context, name, reason string) (first bool, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		where, err := tx.Whereabouts(ctx, "installation")
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `INSERT INTO installation (id, name, epoch, mark, place, line, reason, begun_at)
			VALUES (1, $1, 1, 1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`,
			name, where.Place, where.Line, reason, s.clock(where).UnixMicro())
		first = n == 1
		return err
	})
	return first, err
}

// Proved notes that the books of an installation, at an epoch, were proved right
// where they are now, on another timeline of the same database.
func (s *Store) Proved(ctx context.Context, epoch int64, line string) error {
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE installation SET line = $2 WHERE id = 1 AND epoch = $1`, epoch, line)
		return err
	})
}

// Adopt begins a new epoch where the books are now, because a person has said
// so, and returns what the installation is then. The epoch is greater than above.
// Begin must have been called.
func (s *Store) Adopt(ctx context.Context, reason string, above int64) (i Installation, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		where, err := tx.Whereabouts(ctx, "installation")
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE installation SET reason = $1, place = $2, line = $3, begun_at = $4, mark = mark + 1,
				epoch = CASE WHEN epoch > $5 THEN epoch + 1 ELSE $5 + 1 END
			WHERE id = 1`, reason, where.Place, where.Line, s.clock(where).UnixMicro(), above)
		if err != nil {
			return err
		}
		i, _, err = readInstallation(ctx, tx)
		return err
	})
	return i, err
}

// LeaveSeat gives a number back. It stays taken for a moment, so that nobody
// makes ids with it in the same one.
func (s *Store) LeaveSeat(ctx context.Context, seat Seat) error {
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		where, err := tx.Whereabouts(ctx, "node")
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE node SET until = $3 WHERE number = $1 AND token = $2`,
			seat.Number, seat.Token, s.clock(where).Add(afterLeaving).UnixMicro())
		return err
	})
}

// afterLeaving is how long a number that was given back stays taken.
const afterLeaving = 2 * time.Second

// clock is the database's time, or the process's where the database has none.
func (s *Store) clock(w sqldb.Whereabouts) time.Time {
	if w.Time.IsZero() {
		return s.ids.now()
	}
	return w.Time
}

// Asked reports whether a processor was ever asked for anything, for any
// merchant.
func (s *Store) Asked(ctx context.Context) (asked bool, err error) {
	ids, err := s.MerchantIDs(ctx)
	for _, id := range ids {
		err = s.View(ctx, id, func(v *View) error {
			return v.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM attempt WHERE merchant_id = $1)`, v.merchant).Scan(&asked)
		})
		if err != nil || asked {
			break
		}
	}
	return asked, err
}

// Compared is the instant of the merchant's clock up to which all that a
// processor lists is known to be in the books; zero if it was never compared.
func (v *View) Compared(ctx context.Context, processor string) (time.Time, error) {
	var us int64
	err := v.tx.QueryRow(ctx, `SELECT upto FROM comparison WHERE merchant_id = $1 AND processor = $2`, v.merchant, processor).Scan(&us)
	if errors.Is(err, sqldb.ErrNoRows) {
		return time.Time{}, nil
	}
	return instant(us), err
}

// SetCompared notes up to which instant the books were compared with what a
// processor lists. It never goes back.
func (t *Tx) SetCompared(ctx context.Context, processor string, upto, at time.Time) error {
	_, err := t.tx.Exec(ctx, `INSERT INTO comparison (merchant_id, processor, upto, compared_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (merchant_id, processor) DO UPDATE SET upto = $3, compared_at = $4 WHERE comparison.upto < $3`,
		t.merchant, processor, upto.UnixMicro(), at.UnixMicro())
	return err
}

// KnownReferences tells which of several references are those of attempts.
func (v *View) KnownReferences(ctx context.Context, references []string) (map[string]billing.AttemptID, error) {
	type pair struct {
		reference string
		id        billing.AttemptID
	}
	list, err := sqldb.Query(ctx, v.tx, func(r sqldb.Row) (p pair, err error) { err = r.Scan(&p.reference, &p.id); return p, err },
		`SELECT reference, id FROM attempt WHERE merchant_id = $1 AND reference `+v.tx.In(2), v.merchant, sqldb.List(references))
	known := make(map[string]billing.AttemptID, len(list))
	for _, p := range list {
		known[p.reference] = p.id
	}
	return known, err
}
