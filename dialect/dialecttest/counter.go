package dialecttest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/cashier/cashiertest"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/store"
)

// Counter is a shop with a real listener in front, at which a dialect is spoken.
type Counter struct {
	*cashiertest.Shop
	URL   string       // of the listener: "http://127.0.0.1:port"
	Log   *Log         // every line that the listener and the dialect logged, as JSON
	Wakes atomic.Int64 // how often the dialect woke the billing run
}

// Dialect makes the handler of a dialect and says under which pattern it stands.
type Dialect func(c *Counter, log *slog.Logger) (pattern string, h http.Handler)

// Serve puts a listener before a shop. It ends with the test.
func Serve(t testing.TB, shop *cashiertest.Shop, speak Dialect) *Counter {
	t.Helper()
	c := &Counter{Shop: shop, Log: &Log{}}
	log := slog.New(slog.NewJSONHandler(c.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	srv, err := httpd.New(httpd.Config{Listen: "127.0.0.1:0", Now: shop.Wall.Now, Log: log})
	check(t, err)
	srv.Handle(speak(c, log))
	addr, err := srv.Listen(context.Background())
	check(t, err)
	c.URL = "http://" + addr.String()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		check(t, <-served)
	})
	return c
}

// The login that Admit makes, as the demo has it.
const (
	User     = "api-demo"
	Password = "demo-password"
)

// Admit gives the shop's merchant the login User with Password, which may send
// card numbers.
func (c *Counter) Admit(change ...func(*billing.Login)) {
	c.T.Helper()
	c.AdmitTo(c.Merchant, change...)
}

// AdmitTo gives any merchant a login.
func (c *Counter) AdmitTo(m *billing.Merchant, change ...func(*billing.Login)) {
	c.T.Helper()
	l := &billing.Login{Name: User, Role: billing.RoleAPI, AllowRawData: true, PasswordHash: hash(), CreatedAt: c.Wall.Now()}
	for _, f := range change {
		f(l)
	}
	ctx := context.Background()
	check(c.T, c.Store.Update(ctx, m.ID, func(tx *store.Tx) error {
		if err := tx.InsertLogin(ctx, l); err != nil {
			return err
		}
		return tx.Enter(ctx, cashier.LoginDirectory, l.Name, int64(l.ID))
	}))
}

// hash is the stored form of Password, computed once: it is made to be slow.
var hash = sync.OnceValue(func() string {
	h, err := cashier.HashPassword(billing.NewSecret(Password))
	if err != nil {
		panic("dialecttest: " + err.Error())
	}
	return h
})

// Updating reports whether golden files are to be written instead of compared.
func Updating() bool { return os.Getenv("PERENNIAL_UPDATE_GOLDEN") == "1" }

// Log is a log that can be read while it is written.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes a line.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// String is everything that was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// byChance are what the listener makes of itself for each line.
var byChance = regexp.MustCompile(`"(time|id|merchant)":"[^"]*"`)

// Said is the log without times and ids, which may hold the digits of any code by
// chance: what is left is what requests had written into it.
func (l *Log) Said() string { return byChance.ReplaceAllString(l.String(), "") }
