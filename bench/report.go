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
	Against   int64 `json:"against_per_second"`
	Ratio     Ratio `json:"ratio"`
}

// Range is what the rounds came to.
type Range struct {
	Median int64 `json:"median"`
	Least  int64 `json:"least"`
	Most   int64 `json:"most"`
}

func across(rounds []Round, of func(Round) int64) Range {
	values := make([]int64, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	slices.Sort(values)
	n := len(values)
	return Range{Median: (values[(n-1)/2] + values[n/2]) / 2, Least: values[0], Most: values[n-1]}
}

// Bar is what a figure must come to, and what it came to.
type Bar struct {
	Figure string `json:"figure"`
	Bound  string `json:"bound"`
	Came   string `json:"came_to"`
	Met    bool   `json:"met"`
}

// Report is the outcome of a bench.
type Report struct {
	Bench    string   `json:"bench"`
	Work     string   `json:"work"` // what was measured, in words
	Unit     string   `json:"unit"` // what the rates count
	Machine  *Machine `json:"machine"`
	Against  string   `json:"against"` // what Perennial is compared with, in words
	Rounds   []Round  `json:"rounds"`
	Ours     Range    `json:"perennial_per_second"`
	Theirs   Range    `json:"against_per_second"`
	Median   Ratio    `json:"ratio"` // of the ratios of the rounds
	Least    Ratio    `json:"ratio_least"`
	Most     Ratio    `json:"ratio_most"`
	Bars     []Bar    `json:"bars"`
	Checked  []string `json:"checked"`  // what was found right after the last round
	Rows     int64    `json:"rows"`     // that each side wrote in all, 0 where they are not compared
	PeakMiB  int64    `json:"peak_mib"` // memory of the process while it was Perennial's turn, 0 where the system does not tell
	Duration int64    `json:"duration_ms"`
}

// add takes in a round.
func (r *Report) add(round Round) {
	round.Ratio = quotient(round.Perennial, round.Against)
	r.Rounds = append(r.Rounds, round)
	r.Ours = across(r.Rounds, func(r Round) int64 { return r.Perennial })
	r.Theirs = across(r.Rounds, func(r Round) int64 { return r.Against })
	ratios := across(r.Rounds, func(r Round) int64 { return int64(r.Ratio) })
	r.Median, r.Least, r.Most = Ratio(ratios.Median), Ratio(ratios.Least), Ratio(ratios.Most)
}

// ratioBar holds the ratio to its bar.
func (r *Report) ratioBar(least Ratio) {
	r.Bars = append(r.Bars, Bar{"ratio", "at least " + least.String(), r.Median.String(), r.Median >= least})
}

// rateBar holds the rate to a bar of its own.
func (r *Report) rateBar(least int64) {
	r.Bars = append(r.Bars, Bar{
		r.Unit + " a second", "at least " + grouped(least), grouped(r.Ours.Median), r.Ours.Median >= least,
	})
}

// memoryBar holds the memory to a bar, where the system tells how much it is.
func (r *Report) memoryBar(below int64) {
	if r.PeakMiB > 0 {
		r.Bars = append(r.Bars, Bar{
			"memory", "below " + grouped(below) + " MiB", grouped(r.PeakMiB) + " MiB", r.PeakMiB < below,
		})
	}
}

// JSON is the reports for programs.
func JSON(reports []*Report) ([]byte, error) {
	text, err := json.MarshalIndent(reports, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("bench: encode the reports: %w", err)
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
	fmt.Fprintf(t, "against\t%s\t%s\t%s\t\n", grouped(r.Theirs.Median), grouped(r.Theirs.Least), grouped(r.Theirs.Most))
	fmt.Fprintf(t, "ratio\t%s\t%s\t%s\t\n", r.Median, r.Least, r.Most)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(&b)
	for _, bar := range r.Bars {
		fmt.Fprintf(&b, "bar: %s %s: %s, %s\n", bar.Figure, bar.Bound, bar.Came, met(bar.Met))
	}
	if len(r.Checked) > 0 {
		fmt.Fprintf(&b, "checked: %s\n", strings.Join(r.Checked, "; "))
	}
	if r.PeakMiB > 0 {
		fmt.Fprintf(&b, "memory: at most %s MiB in Perennial's turns\n", grouped(r.PeakMiB))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "NOT MET"
}

// WriteTable writes the figures of several reports as one table in Markdown, a
// line for each bar.
func WriteTable(w io.Writer, reports []*Report) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, "| bench | database | Perennial a second | against a second | ratio (least to most) | bar | came to | |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|---|")
	for _, r := range reports {
		database, _, _ := strings.Cut(r.Machine.Database, " ")
		for i, bar := range r.Bars {
			figures := " | | | |"
			if i == 0 {
				figures = fmt.Sprintf("%s | %s | %s | %s | %s (%s to %s)", r.Bench, database, grouped(r.Ours.Median),
					grouped(r.Theirs.Median), r.Median, r.Least, r.Most)
			}
			fmt.Fprintf(&b, "| %s | %s %s | %s | %s |\n", figures, bar.Figure, bar.Bound, bar.Came, met(bar.Met))
		}
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
