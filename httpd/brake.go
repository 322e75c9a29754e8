package httpd

import (
	"container/list"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Limit is an allowance of failures: Burst at once, and one more each time Every has passed.
type Limit struct {
	Burst int
	Every time.Duration
}

// BrakeConfig sets a Brake. What is left at zero takes the default named here.
type BrakeConfig struct {
	Address Limit         // failures of one address, whatever the name; default 20, one more every 30 s
	Name    Limit         // failures of one login name, from wherever; default 10, one more every minute
	Longest time.Duration // no wait is longer than this, however many failures there were; default 1 h
	Proven  time.Duration // how long a success vouches for its address and name; default 24 h
	Keys    int           // addresses, names and proven pairs remembered; default 65,536
}

// Brake slows down whoever guesses passwords: it counts failed logins by remote address and by login name, and says
// how long to wait. A caller asks Wait before the costly password hash, best while holding a slot for it, so that few
// guesses are under way between the question and its answer; then it reports Failed or Succeeded.
//
// Counting by name stops a guesser with many addresses, but would let anyone lock a merchant out by failing in his
// name. Therefore an address from which a name has logged in before is proven for that name: the pair answers only
// for its own failures, and strangers cannot lock it.
//
// A success forgives nothing, since otherwise a guesser with one good login, or the merchant's own busy client, would
// wipe the count clean. Failures reported beyond the allowance are a debt to be waited off, so guesses made in
// parallel win nothing in the long run.
//
// Memory is bounded: the entry not touched for longest makes room. Names are kept only as a keyed hash, for what is
// typed into a name field may be a password. Each node counts for itself. Safe for concurrent use.
type Brake struct {
	cfg  BrakeConfig
	seed maphash.Seed

	mu      sync.Mutex
	entries map[brakeKey]*list.Element // of *brakeEntry
	recent  *list.List                 // the last touched in front
}

// brakeKey is an address, a name, or both: a proven pair. The zero Addr and the zero hash stand for "any".
type brakeKey struct {
	addr netip.Addr
	name uint64
}

type brakeEntry struct {
	key    brakeKey
	paid   time.Time // when all failures so far are waited off
	proven time.Time // for a pair: until when it is proven
}

// NewBrake makes a brake that has seen no failure.
func NewBrake(cfg BrakeConfig) *Brake {
	orDefault(&cfg.Address.Burst, 20)
	orDefault(&cfg.Address.Every, 30*time.Second)
	orDefault(&cfg.Name.Burst, 10)
	orDefault(&cfg.Name.Every, time.Minute)
	orDefault(&cfg.Longest, time.Hour)
	orDefault(&cfg.Proven, 24*time.Hour)
	orDefault(&cfg.Keys, 65536)
	return &Brake{
		cfg: cfg, seed: maphash.MakeSeed(),
		entries: make(map[brakeKey]*list.Element), recent: list.New(),
	}
}

// Wait returns how long this address has to wait before it may try a password for this name, zero if it may now. An
// invalid address or an empty name is not counted. The name is compared as it stands: a dialect that ignores case
// folds it first, and where a name is only unique within a merchant the merchant belongs to it.
func (b *Brake) Wait(now time.Time, addr netip.Addr, name string) time.Duration {
	a, n, pair := b.keys(addr, name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.provenPair(now, pair); e != nil {
		return e.wait(now, b.cfg.Name)
	}
	return max(b.touch(a).wait(now, b.cfg.Address), b.touch(n).wait(now, b.cfg.Name))
}

// Failed counts a wrong password, or a name that does not exist.
func (b *Brake) Failed(now time.Time, addr netip.Addr, name string) {
	a, n, pair := b.keys(addr, name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.provenPair(now, pair); e != nil {
		e.fail(now, b.cfg.Name, b.cfg.Longest)
		return
	}
	if a != (brakeKey{}) {
		b.ensure(a).fail(now, b.cfg.Address, b.cfg.Longest)
	}
	if n != (brakeKey{}) {
		b.ensure(n).fail(now, b.cfg.Name, b.cfg.Longest)
	}
}

// Succeeded notes that the name has logged in from this address.
func (b *Brake) Succeeded(now time.Time, addr netip.Addr, name string) {
	_, _, pair := b.keys(addr, name)
	if pair == (brakeKey{}) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ensure(pair).proven = now.Add(b.cfg.Proven)
}

// keys returns the keys of the address, the name and the pair; zero where there is nothing to count. An IPv6 address
// counts as its /64, the least that a customer of a network is given.
func (b *Brake) keys(addr netip.Addr, name string) (a, n, pair brakeKey) {
	if addr = addr.Unmap().WithZone(""); addr.IsValid() {
		if addr.Is6() {
			addr = netip.PrefixFrom(addr, 64).Masked().Addr()
		}
		a.addr = addr
	}
	if name != "" {
		n.name = maphash.String(b.seed, name) | 1 // never the zero that stands for any name
	}
	if a != (brakeKey{}) && n != (brakeKey{}) {
		pair = brakeKey{a.addr, n.name}
	}
	return a, n, pair
}

// provenPair returns the pair's entry if it is proven, else nil.
func (b *Brake) provenPair(now time.Time, pair brakeKey) *brakeEntry {
	if e := b.touch(pair); e != nil && now.Before(e.proven) {
		return e
	}
	return nil
}

// touch returns the entry of a key, nil if there is none.
func (b *Brake) touch(k brakeKey) *brakeEntry {
	el := b.entries[k]
	if el == nil {
		return nil
	}
	b.recent.MoveToFront(el)
	return el.Value.(*brakeEntry)
}

// ensure returns the entry of a key, a new one if there is none, at the cost of the one not touched for longest.
func (b *Brake) ensure(k brakeKey) *brakeEntry {
	if e := b.touch(k); e != nil {
		return e
	}
	for len(b.entries) >= b.cfg.Keys {
		oldest := b.recent.Back()
		delete(b.entries, b.recent.Remove(oldest).(*brakeEntry).key)
	}
	e := &brakeEntry{key: k}
	b.entries[k] = b.recent.PushFront(e)
	return e
}

// allowance is how far ahead of now the debt may reach while one more try is free.
func (l Limit) allowance() time.Duration { return time.Duration(l.Burst-1) * l.Every }

func (e *brakeEntry) wait(now time.Time, l Limit) time.Duration {
	if e == nil || !e.paid.After(now) { // a proven pair may never have failed
		return 0
	}
	return max(0, e.paid.Sub(now)-l.allowance())
}

func (e *brakeEntry) fail(now time.Time, l Limit, longest time.Duration) {
	if e.paid.Before(now) {
		e.paid = now
	}
	e.paid = e.paid.Add(l.Every)
	if limit := now.Add(l.allowance() + longest); e.paid.After(limit) {
		e.paid = limit
	}
}
