package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// serving is the settings of a server. Each is a flag, an environment variable
// and, with underscores for hyphens, a line of the settings file; the flag counts
// before the variable, and the variable before the file.
type serving struct {
	Listen         string         `help:"Address to listen on, host:port; port 0 is any free one." env:"PERENNIAL_LISTEN" default:"127.0.0.1:8080" group:"listen"`
	TLSCert        string         `name:"tls-cert" help:"Certificate file (PEM, with its chain); read again when it changes." env:"PERENNIAL_TLS_CERT" placeholder:"FILE" group:"listen"`
	TLSKey         string         `name:"tls-key" help:"File of the certificate's key." env:"PERENNIAL_TLS_KEY" placeholder:"FILE" group:"listen"`
	BehindProxy    bool           `help:"A proxy in front ends TLS: allow plain HTTP on any address." env:"PERENNIAL_BEHIND_PROXY" group:"listen"`
	TrustedProxies []netip.Prefix `help:"Networks whose X-Forwarded-For is believed." env:"PERENNIAL_TRUSTED_PROXIES" placeholder:"NETWORK" group:"listen"`
	MetricsFrom    []netip.Prefix `help:"Networks that may read /metrics; loopback and private networks if none is named." env:"PERENNIAL_METRICS_FROM" placeholder:"NETWORK" group:"listen"`
	MaxBody        int64          `help:"Longest body of a request, in bytes." env:"PERENNIAL_MAX_BODY" default:"1048576" group:"listen"`
	MaxInFlight    int            `help:"Requests that are served at once; more are told to come back." env:"PERENNIAL_MAX_IN_FLIGHT" default:"1000" group:"listen"`
	DrainDelay     time.Duration  `help:"How long to go on accepting after the signal to stop, for load balancers to turn away." env:"PERENNIAL_DRAIN_DELAY" default:"0s" placeholder:"TIME" group:"listen"`
	Grace          time.Duration  `help:"How long requests may take to finish after the signal to stop." env:"PERENNIAL_GRACE" default:"30s" group:"listen"`

	Billing          bool          `help:"Bill what falls due; --no-billing leaves that to other servers on these books." env:"PERENNIAL_BILLING" default:"true" negatable:"" group:"billing"`
	BillingPoll      time.Duration `help:"How often to look for what is due." env:"PERENNIAL_BILLING_POLL" default:"1s" group:"billing"`
	BillingInFlight  int           `help:"Charges of the billing run that are under way at once." env:"PERENNIAL_BILLING_IN_FLIGHT" default:"64" group:"billing"`
	ProcessorTimeout time.Duration `help:"How long a processor may take for an answer. An answer that stays out is asked for again after three times as long." env:"PERENNIAL_PROCESSOR_TIMEOUT" default:"30s" group:"billing"`

	Webhooks         bool           `help:"Tell merchants of events; --no-webhooks leaves that to other servers on these books." env:"PERENNIAL_WEBHOOKS" default:"true" negatable:"" group:"webhooks"`
	WebhookAllow     []netip.Prefix `help:"Networks that messages may go to though they are not of the public internet, such as 10.0.0.0/8." env:"PERENNIAL_WEBHOOK_ALLOW" placeholder:"NETWORK" group:"webhooks"`
	WebhooksInFlight int            `help:"Messages that are under way at once." env:"PERENNIAL_WEBHOOKS_IN_FLIGHT" default:"128" group:"webhooks"`
	WebhookKeep      time.Duration  `help:"How long messages are kept once they were taken or given up." env:"PERENNIAL_WEBHOOK_KEEP" default:"720h" group:"webhooks"`

	MaxConns int        `help:"Connections to PostgreSQL; 0 is four a core, at least twelve." env:"PERENNIAL_MAX_CONNS" default:"0" placeholder:"N"`
	Node     int        `help:"Number of this server among those on these books, 1 to 1023, that must be no other's; 0 is any that is free." env:"PERENNIAL_NODE" default:"0" placeholder:"N"`
	LogLevel slog.Level `help:"Least level of what is logged: debug, info, warn or error." env:"PERENNIAL_LOG_LEVEL" default:"info"`
}

// check refuses settings that nobody can have meant. What concerns the listener
// alone is refused by the listener.
func (s *serving) check() error {
	if s.ProcessorTimeout < 100*time.Millisecond || s.ProcessorTimeout > longestTimeout {
		return errors.New("processor_timeout must be from 100ms to 10m")
	}
	if s.BillingPoll < 10*time.Millisecond || s.BillingPoll > time.Hour {
		return errors.New("billing_poll must be from 10ms to 1h")
	}
	if s.BillingInFlight < 1 || s.BillingInFlight > 10_000 {
		return errors.New("billing_in_flight must be from 1 to 10000")
	}
	if s.WebhooksInFlight < 1 || s.WebhooksInFlight > 10_000 {
		return errors.New("webhooks_in_flight must be from 1 to 10000")
	}
	if s.WebhookKeep < time.Hour || s.WebhookKeep > 10*365*24*time.Hour {
		return errors.New("webhook_keep must be from 1h to 87600h")
	}
	if s.Node < 0 || s.Node > 1023 {
		return errors.New("node must be from 0 to 1023")
	}
	if s.MaxConns < 0 || s.MaxConns > 10_000 {
		return errors.New("max_conns must be from 0 to 10000")
	}
	return nil
}

// setting is the name of a flag in a settings file.
func setting(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// readSettings has the parser take flags from the settings file, if one is named.
// The file holds the settings of serve; other commands read the same file and
// take from it what they have a flag for.
func (p *process) readSettings(c *kong.Context) error {
	path := ""
	for _, f := range c.Flags() {
		if f.Name == "config" {
			path, _ = c.FlagValue(f).(string)
		}
	}
	if path == "" {
		return nil
	}
	values, err := readSettingsFile(path, knownSettings(c.Model))
	if err != nil {
		return err
	}
	c.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
		value, ok := values[setting(f.Name)]
		if !ok || slices.ContainsFunc(f.Envs, func(name string) bool { _, set := os.LookupEnv(name); return set }) {
			return nil, nil
		}
		return value, nil
	}))
	return nil
}

// knownSettings are the names that a settings file may hold: the flags of serve
// that have an environment variable.
func knownSettings(app *kong.Application) []string {
	var names []string
	for _, command := range app.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			if len(f.Envs) > 0 && f.Name != "config" {
				names = append(names, setting(f.Name))
			}
		}
	}
	slices.Sort(names)
	return names
}

// maxSettings bounds a settings file, in bytes.
const maxSettings = 1 << 20

// readSettingsFile reads a settings file: one mapping of names to values or lists
// of values. A name that is not known is refused, because it is a typing error or
// a setting of another version, and either way not in force.
func readSettingsFile(path string, known []string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxSettings))
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, fmt.Errorf("settings file %s: %w", path, err)
	}
	values := make(map[string]string, len(nodes))
	for name, node := range nodes {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("settings file %s, line %d: there is no setting %q; there are %s", path, node.Line, name, strings.Join(known, ", "))
		}
		value, err := settingValue(&node)
		if err != nil {
			return nil, fmt.Errorf("settings file %s, line %d: %s %w", path, node.Line, name, err)
		}
		values[name] = value
	}
	return values, nil
}

// settingValue is the value of a setting as a flag would be given it.
func settingValue(node *yaml.Node) (string, error) {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		return node.Value, nil
	case node.Kind == yaml.SequenceNode:
		var list []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
				return "", errors.New("must be a list of plain values")
			}
			list = append(list, item.Value)
		}
		return strings.Join(list, ","), nil
	}
	return "", errors.New("must have a value or a list of values")
}

// printSettings writes the settings that hold, as a settings file, without what
// is secret in them.
func printSettings(w io.Writer, c *kong.Context) error {
	for _, f := range c.Flags() {
		if len(f.Envs) == 0 || f.Name == "config" {
			continue
		}
		value := printable(c.FlagValue(f))
		if address, ok := value.(string); ok && (f.Name == "db" || f.Name == "bank-db") {
			value = withoutPassword(address)
		}
		line, err := yaml.Marshal(map[string]any{setting(f.Name): value})
		if err != nil {
			return fmt.Errorf("print the settings: %w", err)
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// printable is a setting as it stands in a file.
func printable(value any) any {
	switch v := value.(type) {
	case time.Duration:
		return v.String()
	case slog.Level:
		return strings.ToLower(v.String())
	case []netip.Prefix:
		list := []string{}
		for _, p := range v {
			list = append(list, p.String())
		}
		return list
	}
	return value
}
