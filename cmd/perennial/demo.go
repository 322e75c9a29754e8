package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/dialect/unipay"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/setup"
)

// demoFile is the set-up file of the demo. What is in it is published, so it is
// served to this machine only.
//
//go:embed demo.yaml
var demoFile string

// What stands in the demo's set-up file.
const (
	demoMerchant = "demo"
	demoUser     = "api-demo"
	demoPassword = "demo-password"
	demoAccount  = "2001"
	demoTwin     = "acme-test"
	demoZone     = "America/New_York"
	demoClock    = "2020-01-01T09:00:00"
)

// demoCommand serves a merchant to try things out with.
type demoCommand struct {
	place
	Listen      string        `help:"Address to listen on, which must be this machine's own; port 0 is any free one." env:"PERENNIAL_LISTEN" default:"127.0.0.1:8080"`
	Clock       string        `help:"What the merchant's clock shows at the start, from where it runs; 2020-01-01T09:00:00 at the first start, and later where it is by then." placeholder:"TIME"`
	BankLatency time.Duration `help:"Have the sandbox bank take so long for every answer." placeholder:"TIME"`
	JSON        bool          `name:"json" help:"Print one line of JSON when the demo is ready to serve, and nothing else on standard output."`
	LogLevel    slog.Level    `help:"Least level of what is logged: debug, info, warn or error." env:"PERENNIAL_LOG_LEVEL" default:"warn"`

	ProcessorTimeout time.Duration `help:"How long the bank may take for an answer." env:"PERENNIAL_PROCESSOR_TIMEOUT" default:"5s" hidden:""`
}

// Help is shown by perennial demo --help.
func (demoCommand) Help() string {
	return `Makes a test merchant and serves it. Its clock starts in 2020, when the dates and cards of the published examples are valid, and runs from there. Cards go to a sandbox bank in the same process; no money moves.

The data folder keeps everything: started again, the demo goes on where it was. Remove the folder to begin anew. The other subcommands work beside it, in a second terminal in the same folder.

Examples:

  perennial demo
  perennial demo --listen 127.0.0.1:0 --data /tmp/demo --json
  perennial demo --clock 2019-12-31
  perennial clock advance demo 1mo          (in a second terminal)
  perennial bank journal demo`
}

// Run serves the demo until it is told to stop.
func (c *demoCommand) Run(ctx context.Context, p *process) (err error) {
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && !onThisMachine(host) {
		return fmt.Errorf("the demo's password is published, so it listens on this machine only, as in --listen 127.0.0.1:8080, and not on %s", c.Listen)
	}
	if err := c.makeMasterKey(ctx, p); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	g, err := p.newGateway(ctx, c.place, c.serving(), log)
	if err != nil {
		return err
	}
	defer closing(g, &err)
	m, err := g.plant(ctx, p, c.Clock)
	if err != nil {
		return err
	}
	if g.bank != nil {
		if err := slowDown(ctx, g.bank, c.BankLatency); err != nil {
			return err
		}
	} else if c.BankLatency > 0 {
		return errors.New("--bank-latency is for the embedded bank: give --latency to the `perennial bank serve` of --bank-url")
	}
	address, err := g.Listen(ctx)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("somebody else listens on %s already: choose another port with --listen, as in --listen 127.0.0.1:0 for any free one", c.Listen)
	}
	if err != nil {
		return err
	}
	if err := c.announce(p, address, m); err != nil {
		return err
	}
	return g.Run(ctx)
}

// serving is the settings of the demo's server.
func (c *demoCommand) serving() serving {
	return serving{
		Listen: c.Listen, Billing: true, BillingPoll: time.Second, BillingInFlight: defaultInFlight,
		ProcessorTimeout: min(max(c.ProcessorTimeout, 4*c.BankLatency), longestTimeout), LogLevel: c.LogLevel,
		Webhooks: true, WebhookAllow: thisMachine, WebhooksInFlight: defaultInFlight, WebhookKeep: 30 * 24 * time.Hour,
	}
}

// thisMachine is where who tries things out has a receiver.
var thisMachine = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// onThisMachine reports whether a listen host is this machine alone.
func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// makeMasterKey makes a master key where there is none, for books that hold
// nothing yet.
func (c *demoCommand) makeMasterKey(ctx context.Context, p *process) (err error) {
	if _, given := p.lookupEnv(masterKeyVariable); given {
		return nil
	}
	if _, err := os.Stat(c.masterKeyPath()); !errors.Is(err, fs.ErrNotExist) {
		return nil // what is wrong with it is said when it is read
	}
	books, err := p.openStore(ctx, coreOptions{place: c.place, Create: true})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	ids, err := books.MerchantIDs(ctx)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		return fmt.Errorf("the books at %s hold merchants, but their master key is not at %s: name it with --master-key-file", c.place, c.masterKeyPath())
	}
	path, err := createMasterKey(c.place)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	_, err = fmt.Fprintf(p.stderr, "A master key was made: %s. It opens the card numbers in the database.\n", path)
	return err
}

// plant makes the demo merchant, if it is not there, and sets its clock if that
// is asked for. Books that hold others are somebody's, and not to play with.
func (g *gateway) plant(ctx context.Context, p *process, clock string) (*billing.Merchant, error) {
	m, err := g.store.MerchantByCode(ctx, demoMerchant)
	switch {
	case billing.KindOf(err) == billing.NotFound:
		return g.plantNew(ctx, p, clock)
	case err != nil || clock == "":
		return m, err
	}
	at, err := parseMoment(clock, m.Zone)
	if err != nil {
		return nil, err
	}
	return g.cashier.SetClock(ctx, m.ID, billing.ClockRunning, at)
}

func (g *gateway) plantNew(ctx context.Context, p *process, clock string) (*billing.Merchant, error) {
	ids, err := g.store.MerchantIDs(ctx)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		return nil, fmt.Errorf("the books at %s hold other merchants: give the demo a folder of its own with --data", g.place)
	}
	text := demoFile
	if clock != "" {
		zone, err := time.LoadLocation(demoZone)
		if err != nil {
			return nil, err
		}
		at, err := parseMoment(clock, zone)
		if err != nil {
			return nil, err
		}
		text = strings.Replace(text, demoClock, at.Format(time.RFC3339), 1)
	}
	file, err := setup.Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	if _, err := file.Apply(ctx, g.setupOptions(p)); err != nil {
		return nil, err
	}
	if g.bank != nil { // the twin's bank is the one that its wire describes
		if err := g.bank.SetTerms(ctx, demoTwin, sandbox.Terms{Amounts: sandbox.AuthorizeNet}); err != nil {
			return nil, err
		}
	}
	return g.store.MerchantByCode(ctx, demoMerchant)
}

// announcement is what the demo tells of itself as JSON.
type announcement struct {
	URL      string `json:"url"`
	UniPay   string `json:"unipay"`
	User     string `json:"user"`
	Password string `json:"password"`
	Account  string `json:"account"`
	Merchant string `json:"merchant"`
	Clock    string `json:"clock"`
	Data     string `json:"data"`
}

// announce tells that the demo is ready, and how to begin.
func (c *demoCommand) announce(p *process, url string, m *billing.Merchant) error {
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(announcement{
			URL: url, UniPay: url + unipay.Prefix, User: demoUser, Password: demoPassword, Account: demoAccount, Merchant: m.Code,
			Clock: m.Now(p.now()).In(m.Zone).Format(time.RFC3339), Data: c.Data,
		})
	}
	_, err := fmt.Fprintf(p.stdout, `Perennial serves a demo.

  UniPay API   %[1]s%[2]s
  user         %[3]s
  password     %[4]s
  account      %[5]s
  plans        standard_monthly (19.99 USD a month), gym_monthly (49.99 USD a month)
  clock        %[6]s, running
  CCBill API   %[1]s/jpost/billingApi.cgi, account 900000, testuser, testpass
  Recurly API  %[1]s/, site demo, API key demo-api-key
  Connect URL  %[1]s/connect/, companyid acme, api, s3cret (Billing Circle; testing: /connect-test/)
  data         %[7]s (started again, the demo goes on; remove it to begin anew)

Make a customer, in a second terminal:

  curl -u %[3]s:%[4]s -X PUT %[1]s%[2]scustomers/~create \
    -H 'Content-Type: application/json' \
    -d '{"code":"customer1","accountId":"%[5]s","firstName":"John","lastName":"Smith"}'

Charge a customer of the CCBill account by a previous transaction:

  curl '%[1]s/jpost/billingApi.cgi?clientAccnum=900000&username=testuser&password=testpass&action=chargeByPreviousTransactionId&newClientAccnum=900000&newClientSubacc=0005&sharedAuthentication=1&initialPrice=5.00&initialPeriod=30&recurringPrice=29.95&recurringPeriod=30&rebills=99&subscriptionId=0102751901000023384&currencyCode=840'

Let a month pass, and see what the bank saw:

  perennial clock advance demo 1mo%[8]s
  perennial bank journal demo%[8]s

Ctrl-C ends the demo.
`, url, unipay.Prefix, demoUser, demoPassword, demoAccount, showMoment(m.Now(p.now()), m.Zone), c.place, c.flags())
	return err
}
