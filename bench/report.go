package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Ratio is a quotient in thousandths. Floating point stays out of the product,
// and a bench is not good for more digits.
type Ratio int64

// quotient divides two rates.
func quotient(a, b int64) Ratio {
	if b == 0 {
		return 0
	}
	return Ratio((a*1000 + b/2) / b)
}

// String writes a ratio with three decimals.
func (r Ratio) String() string { return fmt.Sprintf("%d.%03d", int64(r)/1000, int64(r)%1000) }

// MarshalJSON writes a ratio as a number.
func (r Ratio) MarshalJSON() ([]byte, error) { return []byte(r.String()), nil }

// rate is how many there were a second.
func rate(n int, took time.Duration) int64 {
	return int64(n) * int64(time.Second) / max(int64(took), 1)
}

// Round is one turn of both sides. Rates are per second.
type Round struct {
	Perennial int64 `json:"perennial_per_second"`
	Bare      int64 `json:"bare_per_second,omitempty"`
	Ratio     Ratio `json:"ratio,omitempty"`
}

// Spread is what the rounds came to.
type Spread struct {
	Median int64 `json:"median"`
	Least  int64 `json:"least"`
	Most   int64 `json:"most"`
}

func spread(rounds []Round, of func(Round) int64) Spread {
	values := make([]int64, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	slices.Sort(values)
	n := len(values)
	return Spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Least: values[0], Most: values[n-1]}
}

// Report is the outcome of a bench.
type Report struct {
	Bench    string   `json:"bench"`
	Work     string   `json:"work"` // what was measured, in words
	Unit     string   `json:"unit"` // what the rates count
	Machine  *Machine `json:"machine"`
	Against  string   `json:"against"` // what Perennial is compared with, in words
	Rounds   []Round  `json:"rounds"`
	Ours     Spread   `json:"perennial_per_second"`
	Bare     Spread   `json:"bare_per_second"`
	Median   Ratio    `json:"ratio"` // of the ratios of the rounds
	Least    Ratio    `json:"ratio_least"`
	Most     Ratio    `json:"ratio_most"`
	Checked  []string `json:"checked"`  // what was found right after the last round
	Rows     int64    `json:"rows"`     // that each side wrote in all, 0 where only one did
	PeakMiB  int64    `json:"peak_mib"` // memory of the process, both sides and the bank included
	Duration int64    `json:"duration_ms"`
}

// add takes in a round.
func (r *Report) add(round Round) {
	round.Ratio = quotient(round.Perennial, round.Bare)
	r.Rounds = append(r.Rounds, round)
	r.Ours = spread(r.Rounds, func(r Round) int64 { return r.Perennial })
	r.Bare = spread(r.Rounds, func(r Round) int64 { return r.Bare })
	ratios := spread(r.Rounds, func(r Round) int64 { return int64(r.Ratio) })
	r.Median, r.Least, r.Most = Ratio(ratios.Median), Ratio(ratios.Least), Ratio(ratios.Most)
}

// JSON is the report for programs.
func (r *Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("bench: encode the report: %w", err)
	}
	return append(text, '\n'), nil
}

// Write writes the report for people.
func (r *Report) Write(w io.Writer) error {
	var b bytes.Buffer
	m := r.Machine
	fmt.Fprintf(&b, "%s: %s\n", r.Bench, r.Work)
	fmt.Fprintf(&b, "against: %s\n\n", r.Against)
	fmt.Fprintf(&b, "%s (%s)\n", m.Database, strings.Join(m.Settings, ", "))
	if m.Fsync > 0 {
		fmt.Fprintf(&b, "%s fsyncs of 8 kB a second; ", grouped(m.Fsync))
	}
	fmt.Fprintf(&b, "%s commits of one row a second on one connection\n", grouped(m.Commits))
	fmt.Fprintf(&b, "%d cores, %s, %s, commit %s\n\n", m.Cores, m.System, m.Go, m.Commit)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s a second\tmedian\tleast\tmost\t\n", r.Unit)
	fmt.Fprintf(t, "Perennial\t%s\t%s\t%s\t\n", grouped(r.Ours.Median), grouped(r.Ours.Least), grouped(r.Ours.Most))
	fmt.Fprintf(t, "against\t%s\t%s\t%s\t\n", grouped(r.Bare.Median), grouped(r.Bare.Least), grouped(r.Bare.Most))
	fmt.Fprintf(t, "ratio\t%s\t%s\t%s\t\n", r.Median, r.Least, r.Most)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nchecked: %s\n", strings.Join(r.Checked, "; "))
	if r.PeakMiB > 0 {
		fmt.Fprintf(&b, "memory: at most %d MiB, the bank and the planting included\n", r.PeakMiB)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
