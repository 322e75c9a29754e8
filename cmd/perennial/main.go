// Perennial is a self-hosted recurring-billing gateway: one program and one
// database that keep customers, vault their cards and bank accounts, bill their
// subscriptions, collect the money and keep double-entry books of it.
//
//	perennial demo        a merchant to try things out with, on an embedded database
//	perennial serve       real use
//
// All other subcommands are for the operator. They open the same books as the
// server and may be used while it runs, on the same machine or, with PostgreSQL,
// on another: work is claimed in the database, so that nothing is done twice.
//
// This is the only place where the parts meet, where the clock is read, the
// environment is looked at and the process is ended. A part is handed what it
// needs. The type core is the parts that every subcommand needs, put together;
// gateway adds the listener and the billing run, and is what the tests build
// too.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // so that a merchant's zone is known where the system has no table of zones

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// Exit statuses. Of audit, failed also means that the books have faults.
const (
	failed  = 1
	misused = 2
)

// defaultColumns is the width of a terminal that does not tell its own.
const defaultColumns = 80

// process is what a command has of its surroundings.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	lookupEnv      func(string) (value string, set bool)
	columns        int // of the terminal that stderr is, 0 if it is none
}

// commandLine is all that can be asked of the program.
type commandLine struct {
	Demo     demoCommand     `cmd:"" help:"Try Perennial: a test merchant on an embedded database, served at once."`
	Serve    serveCommand    `cmd:"" help:"Serve the gateway and bill what falls due."`
	Apply    applyCommand    `cmd:"" help:"Set up merchants, logins, plans and more from a file."`
	Import   importCommand   `cmd:"" help:"Bring in what another biller sold."`
	Run      runCommand      `cmd:"" help:"Bill and collect what is due, now."`
	Clock    clockCommand    `cmd:"" help:"Look at or move the clock of a test merchant."`
	Velocity velocityCommand `cmd:"" help:"Limits on how often, and for how much, one consumer is charged."`
	Audit    auditCommand    `cmd:"" help:"Prove the books: exit status 1 if anything is off."`
	Restore  restoreCommand  `cmd:"" help:"Books that were put back from a copy: compare them with the processors, and adopt them."`
	Simulate simulateCommand `cmd:"" help:"Play seeded stories of crashes and a lying bank, and look for lost money."`
	Merchant merchantCommand `cmd:"" help:"Close a merchant."`
	Payment  paymentCommand  `cmd:"" help:"Bills that are not paid: list them, and say that they were paid by hand or are given up."`
	Attempt  attemptCommand  `cmd:"" help:"Charges and refunds whose outcome is not known: list them, and settle what no look-up can."`
	Parked   parkedCommand   `cmd:"" help:"Work that waits because its data are damaged: list it, and release it when it is mended."`
	Acts     actsCommand     `cmd:"" help:"List what people did by hand, and why."`
	Bank     bankCommand     `cmd:"" help:"The sandbox bank: its journal, its faults, or the bank as a process of its own."`
	Webhooks webhooksCommand `cmd:"" help:"The messages that tell merchants of events: list them, see every try, send them again."`
	Login    loginCommand    `cmd:"" help:"Serve the people and machines that log in."`
	Keys     keysCommand     `cmd:"" help:"The master key, which opens the vault."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the schema of the database to this version of the program."`
	Bench    benchCommand    `cmd:"" help:"Measure the speed, as a ratio to the bare database in the same run."`
	Version  versionCommand  `cmd:"" help:"Print the version of the program."`
}

func main() {
	ignoreEmpty(os.Environ())
	p := &process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now, lookupEnv: os.LookupEnv}
	if fd := int(os.Stderr.Fd()); term.IsTerminal(fd) {
		p.columns = defaultColumns
		if width, _, err := term.GetSize(fd); err == nil && width > 0 {
			p.columns = width
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end. Once it has come, signals mean
	// what they mean to every process, so that the second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(p.execute(ctx, os.Args[1:]))
}

// ignoreEmpty unsets variables of ours that are empty: where a container's
// settings have a line for each of them, empty means that there is none.
func ignoreEmpty(environment []string) {
	for _, v := range environment {
		if name, value, _ := strings.Cut(v, "="); value == "" && strings.HasPrefix(name, "PERENNIAL_") {
			_ = os.Unsetenv(name) // fails for names alone that cannot exist
		}
	}
}

// execute runs one command line and returns the exit status.
func (p *process) execute(ctx context.Context, args []string) (status int) {
	var line commandLine
	parser, err := kong.New(&line,
		kong.Name("perennial"),
		kong.Description("A self-hosted recurring-billing gateway. Begin with: perennial demo"),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { panic(exitRequest{code}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(flagGroups),
		kong.WithBeforeResolve(p.readSettings),
	)
	if err != nil {
		panic("perennial: the command line is described wrongly: " + err.Error())
	}
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exitRequest:
			status = v.status // --help was answered
		default:
			panic(v)
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		p.complain(err)
		var usage *kong.ParseError
		if errors.As(err, &usage) && usage.Context != nil {
			fmt.Fprintf(p.stderr, "See: %s --help\n", strings.TrimSpace("perennial "+commandPath(usage.Context)))
		}
		return misused
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(p); err != nil {
		p.complain(err)
		return failed
	}
	return 0
}

// exitRequest is how the parser asks to end the process after --help.
type exitRequest struct{ status int }

// errSilent ends a command with a failure that it has told of already.
var errSilent = errors.New("")

// complain writes an error as one line.
func (p *process) complain(err error) {
	if errors.Is(err, errSilent) {
		return
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.TrimSpace(line))
	}
	fmt.Fprintf(p.stderr, "perennial: %s\n", strings.Join(lines, "; "))
}

// commandPath names the command that was chosen, as far as it was.
func commandPath(c *kong.Context) string {
	if node := c.Selected(); node != nil {
		return strings.TrimPrefix(node.FullPath(), "perennial ")
	}
	return ""
}
