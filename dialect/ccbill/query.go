package ccbill

import (
	"io"
	"mime"
	"net/http"
	"strings"
)

// params are the parameters of a request by their names in lower case: the
// first value of each that is not lost. An empty value is an absent one (1).
type params struct {
	values map[string]string
	names  map[string]string // as the client wrote them
}

// The bounds of a parameter: what is longer is none of the API's, and is not
// carried along either.
const (
	longestName  = 64
	longestValue = 1024
	mostExtras   = 50
)

// readParams reads the query, and the body of a form that was posted. What
// stands in both counts as in the query. A body on GET is ignored, and so is one
// that is no form.
func readParams(r *http.Request) params {
	p := params{values: map[string]string{}, names: map[string]string{}}
	p.add(r.URL.RawQuery)
	if r.Method != http.MethodPost {
		return p
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return p
	}
	if body, err := io.ReadAll(r.Body); err == nil {
		p.add(string(body))
	}
	return p
}

// damaged are the spoilt forms of "&currencyCode=", whose beginning looks like
// the sign for a currency to who takes the address for HTML. The published
// example is spread so.
var damaged = strings.NewReplacer("¤cyCode=", "&currencyCode=", "%C2%A4cyCode=", "&currencyCode=", "%c2%a4cyCode=", "&currencyCode=")

// add takes what a text of parameters says and no earlier one did. It splits at
// "&" and the first "=" alone, and leaves as it stands what is no escape: there
// are clients that glue their addresses together, and passwords must have
// special characters (1).
func (p params) add(text string) {
	for pair := range strings.SplitSeq(damaged.Replace(text), "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		key := strings.ToLower(name)
		if _, twice := p.values[key]; name != "" && !twice {
			p.values[key], p.names[key] = value, name
		}
	}
}

// unescape undoes "+" and every "%XX" that is one.
func unescape(s string) string {
	if !strings.ContainsAny(s, "+%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b.WriteByte(byte(hex(s[i+1])<<4 | hex(s[i+2])))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// get is the value of a parameter, "" if it is absent.
func (p params) get(name string) string { return p.values[strings.ToLower(name)] }

// digits reports whether a text is from least to most digits and nothing else.
func digits(s string, least, most int) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// ours are all parameters of the API; what else a charge brings is carried along
// and told in its webhook (8.4). Those of 3.5 all begin with "threeds".
var ours = []string{"clientaccnum", "clientsubacc", "usingsubacc", "username", "password", "action", "returnxml", "subscriptionid",
	"newclientaccnum", "newclientsubacc", "sharedauthentication", "initialprice", "initialperiod", "recurringprice", "recurringperiod",
	"rebills", "currencycode", "lifetimesubscription", "overrideaffiliate", "overrideparticipation", "specialoffer", "prorate",
	"upgradetypeid", "upgradeclientaccnum", "upgradeclientsubacc"}
