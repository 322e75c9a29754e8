package cashier

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/store"
)

// LoginDirectory is the kind of name under which logins stand in the directory
// of the installation.
const LoginDirectory = "login"

// How many failed proofs lock a login, and for how long.
const (
	lockAfter = 10
	lockFor   = 15 * time.Minute
)

// Proof is what a client offers to prove who it is.
type Proof struct {
	Name     string
	Password billing.Secret
	Address  netip.Addr // where it comes from
}

// Authenticate proves a login and opens its session. All that can be wrong with
// a proof gives one answer, so that names cannot be told from passwords; only a
// login that is locked says so. A password that has been proved by this process
// is recognised without hashing it again, and it also opens a login that
// somebody else's guesses have locked.
func (c *Cashier) Authenticate(ctx context.Context, p Proof) (*Session, error) {
	return c.authenticate(ctx, LoginDirectory, p)
}

// KeyDirectory is the kind of name under which API keys stand in the directory of
// the installation, each by its KeyName.
const KeyDirectory = "api-key"

// KeyName is the name under which the directory knows an API key. It finds the
// key's login and does not show the key, which has to be made by chance: who can
// guess it can see that the guess is right.
func KeyName(key billing.Secret) string {
	sum := sha256.Sum256([]byte("perennial api key\x00" + key.Reveal()))
	return hex.EncodeToString(sum[:])
}

// AuthenticateKey opens the session of the login that an API key belongs to. It
// is Authenticate for clients that have a key for both name and password.
func (c *Cashier) AuthenticateKey(ctx context.Context, key billing.Secret, from netip.Addr) (*Session, error) {
	return c.authenticate(ctx, KeyDirectory, Proof{Name: KeyName(key), Password: key, Address: from})
}

// authenticate proves the login behind a name of one kind.
func (c *Cashier) authenticate(ctx context.Context, kind string, p Proof) (*Session, error) {
	merchant, login, err := c.identify(ctx, kind, p.Name)
	if billing.KindOf(err) == billing.NotFound {
		if err := c.gate.waste(ctx, p.Password); err != nil {
			return nil, err
		}
		return nil, refused()
	}
	if err != nil {
		return nil, err
	}
	if err := c.prove(ctx, login, p); err != nil {
		return nil, err
	}
	return &Session{Merchant: merchant, Login: login, Books: c.Store.Reader(merchant.ID), Now: merchant.Now(c.Now())}, nil
}

// ErrDisabled is the cause of the refusal of a login that is disabled, when its
// password is right.
var ErrDisabled = errors.New("the login is disabled")

func (c *Cashier) prove(ctx context.Context, l *billing.Login, p Proof) error {
	if !l.Admits(p.Address) {
		return refused()
	}
	if err := c.checkPassword(ctx, l, p); err != nil {
		return err
	}
	if l.Disabled {
		err := refused()
		err.Err = ErrDisabled
		return err
	}
	return nil
}

// checkPassword compares a password with the login's, and counts.
func (c *Cashier) checkPassword(ctx context.Context, l *billing.Login, p Proof) error {
	if c.gate.knows(l, p.Password) {
		return nil
	}
	wall := c.Now()
	if wall.Before(l.LockedUntil) {
		return billing.Errorf(billing.Limited, "too many failed logins; try again after %s", l.LockedUntil.UTC().Format(time.RFC3339))
	}
	ok, err := c.gate.check(ctx, l, p.Password)
	if err != nil {
		return err
	}
	if ok && l.Failures == 0 {
		return nil
	}
	err = c.Store.Update(ctx, l.MerchantID, func(tx *store.Tx) error {
		if ok {
			return tx.ForgetFailures(ctx, l.ID)
		}
		_, err := tx.CountFailure(ctx, l.ID, lockAfter, wall.Add(lockFor))
		return err
	})
	if err != nil {
		return err
	}
	if !ok {
		return refused()
	}
	return nil
}

func refused() *billing.Error {
	return billing.Errorf(billing.Unauthenticated, "unknown user or wrong password")
}

// The cost of argon2id: 2 passes over 19 MiB, the second choice of RFC 9106 in
// the sizing that OWASP gives for servers. About 30 ms a check, which is why few
// run at once.
const (
	argonTime   = 2
	argonMemory = 19 * 1024
	argonLanes  = 1
	saltLen     = 16
	hashLen     = 32
)

// HashPassword makes the stored form of a password: argon2id in PHC string
// format.
func HashPassword(p billing.Secret) (string, error) {
	salt := make([]byte, saltLen)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("cashier: salt: %w", err)
	}
	hash := argon2.IDKey([]byte(p.Reveal()), salt, argonTime, argonMemory, argonLanes, hashLen)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(hash)), nil
}

// CheckPassword reports whether a password is the one behind a stored hash. The
// cost is the hash's own.
func CheckPassword(stored string, p billing.Secret) (bool, error) {
	parts := strings.Split(stored, "$")
	var version int
	var memory, passes uint32
	var lanes uint8
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("cashier: a stored password is not argon2id")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, fmt.Errorf("cashier: a stored password is of another argon2 version")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil || lanes == 0 || passes == 0 || memory > 1<<20 {
		return false, fmt.Errorf("cashier: a stored password has malformed parameters")
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) == 0 {
		return false, fmt.Errorf("cashier: a stored password is malformed")
	}
	got := argon2.IDKey([]byte(p.Reveal()), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// gate bounds what password checks may cost, and remembers those that passed.
type gate struct {
	places  chan struct{} // one for each check that may run
	waiting chan struct{} // one for each that may wait
	key     [32]byte      // of this process alone

	mu     sync.Mutex
	passed map[[32]byte]struct{}
}

const (
	maxWaiting = 64
	maxPassed  = 4096
)

func newGate() *gate {
	g := &gate{places: make(chan struct{}, runtime.GOMAXPROCS(0)), waiting: make(chan struct{}, maxWaiting),
		passed: make(map[[32]byte]struct{})}
	if _, err := rand.Read(g.key[:]); err != nil {
		panic("cashier: no randomness: " + err.Error())
	}
	return g
}

// mark identifies a proof: this password for this stored hash of this login.
func (g *gate) mark(l *billing.Login, p billing.Secret) (m [32]byte) {
	mac := hmac.New(sha256.New, g.key[:])
	fmt.Fprintf(mac, "%d %s ", l.ID, l.PasswordHash)
	mac.Write([]byte(p.Reveal()))
	mac.Sum(m[:0])
	return m
}

func (g *gate) knows(l *billing.Login, p billing.Secret) bool {
	m := g.mark(l, p)
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.passed[m]
	return ok
}

func (g *gate) check(ctx context.Context, l *billing.Login, p billing.Secret) (bool, error) {
	if err := g.enter(ctx); err != nil {
		return false, err
	}
	defer func() { <-g.places }()
	ok, err := CheckPassword(l.PasswordHash, p)
	if err != nil || !ok {
		return false, err
	}
	m := g.mark(l, p)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.passed) >= maxPassed {
		clear(g.passed)
	}
	g.passed[m] = struct{}{}
	return true, nil
}

// waste spends the time of a check on a name that does not exist.
func (g *gate) waste(ctx context.Context, p billing.Secret) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer func() { <-g.places }()
	argon2.IDKey([]byte(p.Reveal()), g.key[:saltLen], argonTime, argonMemory, argonLanes, hashLen)
	return nil
}

func (g *gate) enter(ctx context.Context) error {
	select {
	case g.waiting <- struct{}{}:
	default:
		return billing.Errorf(billing.Limited, "too many logins at once; try again in a moment")
	}
	defer func() { <-g.waiting }()
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return billing.Errorf(billing.Unavailable, "the login was given up")
	}
}
