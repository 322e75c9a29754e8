package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// velocityCommand is about the limits on charges of one consumer.
type velocityCommand struct {
	Show     velocityShowCommand     `cmd:"" default:"withargs" help:"Show the controls, the trusted consumers, and how far a customer has gone."`
	Refusals velocityRefusalsCommand `cmd:"" help:"List the charges that were refused, and why."`
	Check    velocityCheckCommand    `cmd:"" help:"Hold a merchant's settings against sixteen practices."`
	Trust    velocityTrustCommand    `cmd:"" help:"Let a customer go further than the rules."`
	Distrust velocityDistrustCommand `cmd:"" help:"Take trust back."`
}

// Help is shown by perennial velocity --help.
func (velocityCommand) Help() string {
	return `Velocity controls limit how often, and for how much, one consumer is charged in a rolling window of time. A consumer is whoever holds a card or bank account, whatever number of customers it appears under. The controls are set by perennial apply; docs/velocity.md has them all.

Examples:

  perennial velocity
  perennial velocity --merchant gym --customer customer1
  perennial velocity refusals --merchant gym
  perennial velocity trust customer1 --merchant gym --percent 300 --until 2027-01-01 --reason "ten years with us"
  perennial velocity check --merchant gym`
}

// ofMerchant names a merchant of some books.
type ofMerchant struct {
	place
	Merchant string `help:"The merchant's code." required:"" placeholder:"CODE"`
}

// session opens the books, and the operator's session with the merchant.
func (o ofMerchant) session(ctx context.Context, p *process) (*core, *cashier.Session, error) {
	c, err := p.openCore(ctx, coreOptions{place: o.place})
	if err != nil {
		return nil, nil, err
	}
	m, err := c.merchant(ctx, o.Merchant)
	if err != nil {
		return c, nil, err
	}
	return c, c.cashier.System(m), nil
}

// customerRef is a customer as an operator names it: by code or by id.
func customerRef(text string) cashier.Ref {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		id = 0
	}
	return cashier.Ref{ID: id, Code: text}
}

// velocityShowCommand shows controls.
type velocityShowCommand struct {
	place
	Merchant string `help:"Show this merchant alone." placeholder:"CODE"`
	Customer string `help:"Show how far this customer of the merchant has gone: a code or an id." placeholder:"CUSTOMER"`
}

// Run shows the controls.
func (c *velocityShowCommand) Run(ctx context.Context, p *process) (err error) {
	if c.Customer != "" && c.Merchant == "" {
		return fmt.Errorf("--customer needs --merchant")
	}
	o, err := p.openCore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(o, &err)
	var merchants []*billing.Merchant
	if c.Merchant == "" {
		merchants, err = o.store.Merchants(ctx)
	} else {
		merchants = make([]*billing.Merchant, 1)
		merchants[0], err = o.merchant(ctx, c.Merchant)
	}
	if err != nil {
		return err
	}
	for _, m := range merchants {
		s := o.cashier.System(m)
		if c.Customer != "" {
			err = p.showStanding(ctx, s, customerRef(c.Customer))
		} else {
			err = p.showControls(ctx, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mostTrusted is how many trusted consumers are listed.
const mostTrusted = 1000

func (p *process) showControls(ctx context.Context, s *cashier.Session) error {
	m, v := s.Merchant, s.Merchant.Settings.Velocity
	var trusted []store.TrustedConsumer
	err := s.Books.View(ctx, func(view *store.View) (err error) {
		trusted, err = view.Trusted(ctx, mostTrusted)
		return err
	})
	if err != nil {
		return err
	}
	if !v.Active() && len(trusted) == 0 {
		_, err := fmt.Fprintf(p.stdout, "%s: no controls\n", m.Code)
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %s, %s\n", m.Code, counted(len(v.Rules), "rule"), counted(len(trusted), "trusted consumer"))
	t := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	for _, r := range v.Rules {
		fmt.Fprintf(t, "  %s\t%s\n", r.Name, describeRule(r, m.Currency))
	}
	for _, r := range v.Rates {
		fmt.Fprintf(t, "  rate\t1 %s is %d.%06d %s\n", r.Currency, r.Millionths/1_000_000, r.Millionths%1_000_000, m.Currency)
	}
	for _, g := range describeGuards(v.Guards, m.Currency) {
		fmt.Fprintf(t, "  %s\n", g)
	}
	for _, c := range trusted {
		fmt.Fprintf(t, "  trusted\t%s of customer %d: %s\n", c.Masked, c.CustomerID, describeTrust(&c.Trust, s.Now, m.Zone))
	}
	return t.Flush()
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func describeRule(r billing.VelocityRule, home billing.Currency) string {
	words := counted(int(r.Count), "charge")
	if r.Amount > 0 {
		currency := r.Currency
		if currency == "" {
			currency = home
		}
		words = billing.Minor(r.Amount, currency).String()
	}
	words += " in " + string(r.Window)
	switch r.Account {
	case "":
		words += ", all accounts together"
	case billing.EachAccount:
		words += ", each account"
	default:
		words += ", account " + r.Account
	}
	if r.Type != "" {
		words += ", by " + r.Type
	}
	if r.Attempts {
		words += ", declined ones too"
	}
	if r.Renewals {
		words += ", renewals too"
	}
	if r.FirstDays > 0 {
		words += fmt.Sprintf(", in the first %d days", r.FirstDays)
	}
	if r.FirstPurchases > 0 {
		words += fmt.Sprintf(", for the first %d purchases", r.FirstPurchases)
	}
	if r.Disabled {
		words += " (disabled)"
	}
	return words
}

func describeGuards(g billing.Guards, home billing.Currency) (lines []string) {
	add := func(on bool, name, value string) {
		if on {
			lines = append(lines, "guards."+name+"\t"+value)
		}
	}
	add(g.MaxCharge > 0, "max_charge", billing.Minor(g.MaxCharge, home).String())
	add(g.TakenBack, "taken_back", "true")
	add(g.MinAge != "", "min_age", string(g.MinAge))
	add(g.MaxIdle != "", "max_idle", string(g.MaxIdle))
	add(g.Duplicates != "", "duplicates", string(g.Duplicates))
	add(g.AfterHardDecline != "", "after_hard_decline", string(g.AfterHardDecline))
	add(g.SoftRetries > 0, "soft_retries", strconv.Itoa(g.SoftRetries))
	add(g.MaxTrust != "", "max_trust", string(g.MaxTrust))
	return lines
}

func describeTrust(t *billing.Trust, now time.Time, zone *time.Location) string {
	words := "without limit"
	if t.Percent > 0 {
		words = fmt.Sprintf("%d%% of each limit", t.Percent)
	}
	switch {
	case t.Until.IsZero():
	case t.Holds(now):
		words += " until " + showMoment(t.Until, zone)
	default:
		words += ", ended " + showMoment(t.Until, zone)
	}
	return words + ", by " + t.By + ": " + t.Reason
}

func (p *process) showStanding(ctx context.Context, s *cashier.Session, customer cashier.Ref) error {
	var list []cashier.Standing
	err := s.Books.View(ctx, func(v *store.View) (err error) {
		list, err = s.Standing(ctx, v, customer, s.Now)
		return err
	})
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	for _, one := range list {
		fmt.Fprintln(t, one.Method.Masked)
		if one.Trust != nil {
			fmt.Fprintf(t, "  trusted\t%s\n", describeTrust(one.Trust, s.Now, s.Merchant.Zone))
		}
		for _, u := range one.Uses {
			used, most := strconv.FormatInt(u.Count, 10), strconv.FormatInt(u.Limit, 10)+" charges"
			if u.Rule.Amount > 0 {
				used, most = u.Sum.String(), billing.Minor(u.Limit, u.Sum.Currency()).String()
			}
			if u.Limit < 0 {
				most = "no limit"
			}
			fmt.Fprintf(t, "  %s\t%s of %s in %s\n", u.Rule.Name, used, most, u.Rule.Window)
		}
	}
	return t.Flush()
}

// velocityRefusalsCommand lists refusals.
type velocityRefusalsCommand struct {
	ofMerchant
	Limit int `help:"How many at most." default:"50"`
}

// Run lists the refusals.
func (c *velocityRefusalsCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	m, err := findMerchant(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	var list []store.Refusal
	err = books.View(ctx, m.ID, func(v *store.View) (err error) {
		list, err = v.Refusals(ctx, c.Limit)
		return err
	})
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	for _, r := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\tcustomer %d\tby %s\t%s: %s\n", showMoment(r.At, m.Zone), r.Amount, r.Masked, r.CustomerID, r.Login, r.Rule, r.Detail)
	}
	return t.Flush()
}

// velocityTrustCommand gives trust.
type velocityTrustCommand struct {
	ofMerchant
	Customer  string `arg:"" help:"The customer: a code or an id."`
	Method    string `help:"One payment method of the customer alone: a code or an id." placeholder:"METHOD"`
	Percent   int64  `help:"How far, in per cent of each limit." xor:"far"`
	Unlimited bool   `help:"Without limit." xor:"far"`
	Until     string `help:"A date, or a date and time of day, when the trust ends." placeholder:"TIME"`
	Reason    string `help:"Why, for those who review it." required:"" placeholder:"TEXT"`
	By        string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Help is shown by perennial velocity trust --help.
func (velocityTrustCommand) Help() string {
	return `Trust is in the holder of the card or bank account, so it holds under every customer with the same number. Guards hold for trusted consumers too.

Example:

  perennial velocity trust customer1 --merchant gym --percent 300 --until 2027-01-01 --reason "ten years with us"`
}

// Run gives the trust.
func (c *velocityTrustCommand) Run(ctx context.Context, p *process) (err error) {
	if c.Unlimited == (c.Percent != 0) {
		return fmt.Errorf("say how far: --percent N or --unlimited")
	}
	o, s, err := c.session(ctx, p)
	if o != nil {
		defer closing(o, &err)
	}
	if err != nil {
		return err
	}
	t := billing.Trust{Percent: c.Percent, Reason: strings.TrimSpace(c.Reason), By: p.who(c.By)}
	if c.Until != "" {
		if t.Until, err = parseMoment(c.Until, s.Merchant.Zone); err != nil {
			return err
		}
	}
	n, err := o.cashier.Trust(ctx, s, customerRef(c.Customer), methodRef(c.Method), t)
	return told(p.stdout, n, "trusted", err)
}

func methodRef(text string) cashier.Ref {
	if text == "" {
		return cashier.Ref{}
	}
	return customerRef(text)
}

func told(w io.Writer, n int, word string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s %s\n", counted(n, "number"), word)
	return err
}

// velocityDistrustCommand takes trust back.
type velocityDistrustCommand struct {
	ofMerchant
	Customer string `arg:"" help:"The customer: a code or an id."`
	Method   string `help:"One payment method of the customer alone: a code or an id." placeholder:"METHOD"`
	Reason   string `help:"Why, for the audit trail." placeholder:"TEXT"`
	By       string `help:"Who does it, for the audit trail; the user of the system if not given." placeholder:"NAME"`
}

// Run takes the trust back.
func (c *velocityDistrustCommand) Run(ctx context.Context, p *process) (err error) {
	o, s, err := c.session(ctx, p)
	if o != nil {
		defer closing(o, &err)
	}
	if err != nil {
		return err
	}
	n, err := o.cashier.Distrust(ctx, s, customerRef(c.Customer), methodRef(c.Method), billing.Act{Who: p.who(c.By), Reason: c.Reason})
	return told(p.stdout, n, "no longer trusted", err)
}

// velocityCheckCommand reports on practices.
type velocityCheckCommand struct {
	ofMerchant
}

// Help is shown by perennial velocity check --help.
func (velocityCheckCommand) Help() string {
	return `Charging a card that was used before, without its holder typing it in, wants care. This tells which of sixteen practices the merchant's settings fulfil, which not, and which no server can see. docs/velocity.md says what each is for. The exit status is 0 whatever it finds.`
}

// Run reports.
func (c *velocityCheckCommand) Run(ctx context.Context, p *process) (err error) {
	books, err := p.openStore(ctx, coreOptions{place: c.place})
	if err != nil {
		return err
	}
	defer closing(books, &err)
	m, err := findMerchant(ctx, books, c.Merchant)
	if err != nil {
		return err
	}
	facts := billing.PracticeFacts{Velocity: m.Settings.Velocity}
	err = books.View(ctx, m.ID, func(v *store.View) error {
		facts.Accounts, facts.Trusted = nil, nil
		accounts, err := v.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			facts.Accounts = append(facts.Accounts, a.Code)
		}
		trusted, err := v.Trusted(ctx, mostTrusted)
		if err != nil {
			return err
		}
		for _, t := range trusted {
			facts.Trusted = append(facts.Trusted, t.Trust)
		}
		facts.Logins, err = v.Logins(ctx)
		return err
	})
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	for _, practice := range billing.Practices(facts) {
		fmt.Fprintf(t, "%2d\t%s\t%s\t%s\n", practice.Number, practice.State, practice.What, practice.Why)
	}
	return t.Flush()
}
