package setup

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-billing/perennial/billing"
)

// check finds what is wrong with the file itself, whatever the books hold.
func (f *File) check(ps *Problems) {
	if len(f.merchants) == 0 {
		*ps = append(*ps, Problem{Text: "the file names no merchants; it begins with the key merchants"})
	}
	codes, logins := make(map[string]place), make(map[string]place)
	for _, m := range f.merchants {
		if required(ps, m.Where, "code", m.Code) {
			once(ps, codes, m.Where, "code", m.Code)
			form(ps, m.Where, "code", m.Code, codeForm)
		}
		m.check(ps)
		for _, l := range m.Logins {
			if required(ps, l.Where, "name", l.Name) {
				once(ps, logins, l.Where, "name", l.Name)
			}
		}
	}
}

// A pattern is what a text must look like, and that in words.
type pattern struct {
	*regexp.Regexp
	words string
}

var (
	codeForm    = pattern{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`), "must be up to 40 letters, digits and . _ -, beginning with a letter or digit"}
	loginForm   = pattern{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+/-]{0,99}$`), "must be up to 100 letters, digits and . _ @ + - /, beginning with a letter or digit"}
	foreignForm = pattern{regexp.MustCompile(`^[^\s/]([^/]{0,98}[^\s/])?$`), "must be up to 100 characters without a slash, and none of them at the ends a blank"}
	envForm     = pattern{regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`), "must be the name of an environment variable"}
	countryForm = pattern{regexp.MustCompile(`^([A-Z]{2,3})?$`), "must be a country code of two or three capital letters (ISO 3166-1)"}
	secretForm  = pattern{regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`), "must be up to 60 small letters, digits and _, beginning with a letter"}
	routingForm = pattern{regexp.MustCompile(`^[0-9]{6,9}$`), "must be a routing number of 6 to 9 digits"}
)

// form checks a text that is present.
func form(ps *Problems, at place, key, text string, p pattern) {
	if text != "" && !p.MatchString(text) {
		ps.add(at, key, "%s", p.words)
	}
}

func required(ps *Problems, at place, key, value string) bool {
	if value == "" {
		ps.add(at, key, "is required")
	}
	return value != ""
}

// once refuses a name that has come before, and says where.
func once(ps *Problems, seen map[string]place, at place, key, name string) {
	if before, ok := seen[name]; ok {
		path, line := before.of(key)
		ps.add(at, key, "comes twice; it is in line %d as %s", line, path)
		return
	}
	seen[name] = at
}

// oneOf checks a value that is present against those that are allowed.
func oneOf[T ~string](ps *Problems, at place, key string, value T, allowed ...T) {
	if value == "" {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		if a == value {
			return
		}
		words[i] = string(a)
	}
	ps.add(at, key, "must be one of %s", strings.Join(words, ", "))
}

// within checks a number that is present.
func within(ps *Problems, at place, key string, value *int64, bounds [2]int64) {
	if value != nil && (*value < bounds[0] || *value > bounds[1]) {
		ps.add(at, key, "must be from %d to %d", bounds[0], bounds[1])
	}
}

var (
	amounts = [2]int64{0, billing.MaxAmount}
	lengths = [2]int64{1, billing.MaxPeriods}
	counts  = [2]int64{0, billing.MaxPeriods}
)

func (m *merchant) check(ps *Problems) {
	oneOf(ps, m.Where, "mode", m.Mode, billing.Test, billing.Live)
	if m.Zone != "" {
		if _, err := time.LoadLocation(m.Zone); err != nil || m.Zone == "Local" {
			ps.add(m.Where, "zone", "must be a time zone of the IANA database, such as America/New_York")
		}
	}
	if m.Currency != "" {
		if _, err := billing.ParseCurrency(string(m.Currency)); err != nil {
			ps.add(m.Where, "currency", "must be a currency code of ISO 4217, such as USD")
		}
	}
	m.checkClock(ps)
	if v := m.Velocity; v != nil {
		checkSettings(ps, v.Where, v.given.Check())
	}
	seen := make(map[string]place)
	for _, a := range m.Accounts {
		if required(ps, a.Where, "code", a.Code) {
			once(ps, seen, a.Where, "code", a.Code)
			form(ps, a.Where, "code", a.Code, foreignForm)
		}
	}
	for _, l := range m.Logins {
		l.check(ps)
	}
	seen = make(map[string]place)
	for _, s := range m.Secrets {
		if s.check(ps); required(ps, s.Where, "name", s.Name) {
			once(ps, seen, s.Where, "name", s.Name)
		}
	}
	seen = make(map[string]place)
	for _, p := range m.Plans {
		if p.check(ps) {
			once(ps, seen, p.Where, "code", p.Account+"/"+p.Code)
		}
	}
	seen = make(map[string]place)
	for _, c := range m.Coupons {
		if c.check(ps); required(ps, c.Where, "code", c.Code) {
			once(ps, seen, c.Where, "code", c.Code)
		}
	}
	seen = make(map[string]place)
	for _, c := range m.Customers {
		if c.check(ps) {
			once(ps, seen, c.Where, "code", c.Account+"/"+c.Code)
		}
	}
	seen = make(map[string]place)
	for _, e := range m.Endpoints {
		if required(ps, e.Where, "code", e.Code) {
			once(ps, seen, e.Where, "code", e.Code)
		}
		e.check(ps)
	}
}

func (m *merchant) checkClock(ps *Problems) {
	c := m.Clock
	if c == nil {
		return
	}
	oneOf(ps, c.Where, "mode", c.Mode, billing.ClockReal, billing.ClockFrozen, billing.ClockRunning)
	if m.Mode == billing.Live {
		ps.add(m.Where, "clock", "a live merchant has the clock of the world; only a test merchant's is set")
		return
	}
	if c.Mode == billing.ClockReal {
		if c.Start != "" {
			ps.add(c.Where, "start", "is for a frozen or running clock")
		}
		return
	}
	required(ps, c.Where, "start", c.Start)
	required(ps, c.Where, "mode", string(c.Mode))
	if _, err := c.start(time.UTC); c.Start != "" && err != nil {
		ps.add(c.Where, "start", "must be a time such as 2020-01-01T09:00:00, by the merchant's zone")
	}
}

// start is the time that a clock shows at first.
func (c *clock) start(zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, c.Start, zone); err == nil {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339, c.Start)
}

// checkSettings notes what the rules of settings say of them. The rules name a
// key alone, so its line is looked for among those of the file.
func checkSettings(ps *Problems, at place, err error) {
	if err == nil {
		return
	}
	var e *billing.Error
	if !errors.As(err, &e) {
		ps.add(at, "", "%s", "are not possible")
		return
	}
	key := e.Field
	if _, ok := at.lines[key]; !ok {
		if _, ok := at.lines["fees."+key]; ok {
			key = "fees." + key
		}
	}
	ps.add(at, key, "%s", e.Message)
}

func (l *login) check(ps *Problems) {
	form(ps, l.Where, "name", l.Name, loginForm)
	oneOf(ps, l.Where, "role", l.Role, billing.RoleAPI, billing.RoleAdmin, billing.RoleClerk)
	form(ps, l.Where, "password_env", l.PasswordEnv, envForm)
	given := 0
	for _, present := range []bool{!l.Password.IsZero(), l.PasswordEnv != "", !l.PasswordHash.IsZero(), !l.APIKey.IsZero(), l.APIKeyEnv != ""} {
		if present {
			given++
		}
	}
	if given > 1 {
		ps.add(l.Where, "", "only one of password, password_env, password_hash, api_key and api_key_env can be given")
	}
	form(ps, l.Where, "api_key_env", l.APIKeyEnv, envForm)
	if k := l.APIKey.Reveal(); k != "" && !keyForm(k) {
		ps.add(l.Where, "api_key", "must be %d to %d visible ASCII characters without a colon, made by chance", shortestAPIKey, longestAPIKey)
	}
	if !l.PasswordHash.IsZero() && !hashForm(l.PasswordHash.Reveal()) {
		ps.add(l.Where, "password_hash", "must be argon2id in PHC form, $argon2id$v=19$m=...,t=...,p=...$salt$hash, with m up to %d, t up to %d and p up to %d",
			maxHashMemory, maxHashPasses, maxHashLanes)
	}
	seen := make(map[string]bool)
	for i, code := range l.Accounts {
		if code == "" || seen[code] {
			ps.add(l.Where, "accounts", "element %d is empty or comes twice", i)
		}
		seen[code] = true
	}
	for i, ip := range l.AllowedIPs {
		if _, err := billing.ParseAddressRange(ip); err != nil {
			ps.add(l.Where, "allowed_ips", "element %d %v", i, err)
		}
	}
}

// The most that a hash from a file may cost: each login with it costs that much,
// for whoever asks.
const (
	maxHashMemory = 256 * 1024 // KiB
	maxHashPasses = 10
	maxHashLanes  = 16
)

var phc = regexp.MustCompile(`^\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$`)

// hashForm reports whether a text is a stored password that can be checked at a
// bearable cost.
func hashForm(s string) bool {
	parts := phc.FindStringSubmatch(s)
	if parts == nil {
		return false
	}
	for i, most := range []int{maxHashMemory, maxHashPasses, maxHashLanes} {
		if n, err := strconv.Atoi(parts[i+1]); err != nil || n < 1 || n > most {
			return false
		}
	}
	for _, p := range parts[4:] {
		if _, err := base64.RawStdEncoding.DecodeString(p); err != nil {
			return false
		}
	}
	return true
}

// The bounds of an API key.
const (
	shortestAPIKey = 12
	longestAPIKey  = 100
)

// keyForm reports whether a text can be an API key: the name of HTTP Basic
// authentication, which a colon ends.
func keyForm(key string) bool {
	for _, r := range key {
		if r <= ' ' || r > '~' || r == ':' {
			return false
		}
	}
	return len(key) >= shortestAPIKey && len(key) <= longestAPIKey
}

func (s *secret) check(ps *Problems) {
	form(ps, s.Where, "name", s.Name, secretForm)
	form(ps, s.Where, "value_env", s.ValueEnv, envForm)
	if s.Value.IsZero() == (s.ValueEnv == "") {
		ps.add(s.Where, "value", "or value_env is required, and not both")
	}
	if v := s.Value.Reveal(); v != "" && len(v) < shortestKey {
		ps.add(s.Where, "value", "must have at least %d characters", shortestKey)
	}
}

// check refuses what the coupon's own rules will not see before it is made.
func (c *coupon) check(ps *Problems) {
	form(ps, c.Where, "code", c.Code, foreignForm)
	oneOf(ps, c.Where, "lasts", c.Lasts, billing.LastsOnce, billing.LastsForever, billing.LastsMonths)
	within(ps, c.Where, "percent", c.Percent, [2]int64{0, 100})
	within(ps, c.Where, "amount", c.Amount, amounts)
	within(ps, c.Where, "months", c.Months, counts)
	within(ps, c.Where, "max_redemptions", c.MaxRedemptions, [2]int64{0, billing.MaxAmount})
}

// checkOffer finds what is wrong with what a plan offers beside its price.
func (p *plan) checkOffer(ps *Problems) {
	within(ps, p.Where, "setup_fee", p.Setup, amounts)
	within(ps, p.Where, "trial_length", p.TrialLength, counts)
	if p.TrialUnit != nil {
		oneOf(ps, p.Where, "trial_unit", *p.TrialUnit, "days", "months")
	}
	seen := make(map[string]place)
	for _, a := range p.AddOns {
		if required(ps, a.Where, "code", a.Code) {
			once(ps, seen, a.Where, "code", a.Code)
			form(ps, a.Where, "code", a.Code, foreignForm)
		}
		within(ps, a.Where, "amount", a.Amount, amounts)
		if a.Amount == nil {
			ps.add(a.Where, "amount", "is required")
		}
	}
}

// check reports whether the plan can be named.
func (p *plan) check(ps *Problems) bool {
	oneOf(ps, p.Where, "cycle", p.Cycle, billing.Weekly, billing.Monthly, billing.Quarterly, billing.HalfYearly, billing.Yearly)
	within(ps, p.Where, "amount", p.Amount, amounts)
	within(ps, p.Where, "tax", p.Tax, amounts)
	p.checkOffer(ps)
	form(ps, p.Where, "code", p.Code, foreignForm)
	account := required(ps, p.Where, "account", p.Account)
	return required(ps, p.Where, "code", p.Code) && account
}

// check reports whether the customer can be named.
func (c *customer) check(ps *Problems) bool {
	form(ps, c.Where, "code", c.Code, foreignForm)
	c.Address.check(ps)
	seen := make(map[string]place)
	for _, m := range c.Methods {
		if required(ps, m.Where, "code", m.Code) {
			once(ps, seen, m.Where, "code", m.Code)
			form(ps, m.Where, "code", m.Code, foreignForm)
		}
		m.check(ps)
	}
	seen = make(map[string]place)
	for _, s := range c.Subscriptions {
		if required(ps, s.Where, "code", s.Code) {
			once(ps, seen, s.Where, "code", s.Code)
			form(ps, s.Where, "code", s.Code, foreignForm)
		}
		s.check(ps)
	}
	if c.Sale != nil {
		c.Sale.check(ps)
		if len(c.Subscriptions) > 0 {
			ps.add(c.Where, "subscriptions", "and a sale exclude each other: each sale is an account of its own")
		}
	}
	account := required(ps, c.Where, "account", c.Account)
	return required(ps, c.Where, "code", c.Code) && account
}

func (a *address) check(ps *Problems) {
	if a.Country != nil {
		form(ps, a.Where, "country", *a.Country, countryForm)
	}
}

var kindsOfMethod = []billing.Instrument{billing.VisaCredit, billing.VisaDebit, billing.MastercardCredit, billing.MastercardDebit,
	billing.DiscoverCredit, billing.DiscoverDebit, billing.AmexCredit, billing.Checking, billing.Savings}

func (m *method) check(ps *Problems) {
	m.Address.check(ps)
	if !required(ps, m.Where, "type", string(m.Type)) {
		return
	}
	oneOf(ps, m.Where, "type", m.Type, kindsOfMethod...)
	switch {
	case m.Type.IsCard():
		if !m.Number.IsZero() && !m.Type.CheckNumber(m.Number.Reveal()) {
			ps.add(m.Where, "number", "must be a card number: 13 to 19 digits, the last of them a right check digit")
		}
		if m.Expiry != nil && !billing.CheckExpiry(*m.Expiry) {
			ps.add(m.Where, "expiry", "must be month and year as MMYY, such as 0430")
		}
		if m.Routing != "" {
			ps.add(m.Where, "routing", "is for bank accounts")
		}
	case m.Type.IsBank():
		if !m.Number.IsZero() && !m.Type.CheckNumber(m.Number.Reveal()) {
			ps.add(m.Where, "number", "must be an account number of 4 to 17 digits")
		}
		if m.Expiry != nil {
			ps.add(m.Where, "expiry", "is for cards")
		}
		form(ps, m.Where, "routing", m.Routing, routingForm)
	}
}

func (s *subscription) check(ps *Problems) {
	oneOf(ps, s.Where, "term", s.Term, billing.Fixed, billing.Perpetual)
	within(ps, s.Where, "length", s.Length, lengths)
	within(ps, s.Where, "amount", s.Amount, amounts)
	within(ps, s.Where, "tax", s.Tax, amounts)
	within(ps, s.Where, "billed", s.Billed, counts)
	if s.Term == billing.Perpetual && s.Length != nil {
		ps.add(s.Where, "length", "is for a fixed term")
	}
	if s.Billed != nil && *s.Billed > 0 && s.FirstDate.IsZero() {
		ps.add(s.Where, "first_date", "is required where billings were made already")
	}
}

// codes joins the codes that name something in a report.
func codes(parts ...string) string { return strings.Join(parts, "/") }
