package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/billrun"
	"github.com/perennial-billing/perennial/notify"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/store"
)

// metrics counts what the parts tell of. Floating point numbers are allowed in
// this file alone, because the Prometheus library takes nothing else; none of
// them is money.
type metrics struct {
	registry *prometheus.Registry
	now      func() time.Time
	charges  *prometheus.CounterVec
	acts     *prometheus.HistogramVec
	run      *prometheus.CounterVec
	messages *prometheus.CounterVec
}

func newMetrics(now func() time.Time) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		now:      now,
		charges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "perennial_charges_total",
			Help: "Answers of processors by what was asked (charge, void, refund, credit) and what is known of it (approved, pending, declined, unknown).",
		}, []string{"kind", "outcome"}),
		acts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "perennial_processor_act_duration_seconds",
			Help:    "Time that a processor took, by its name, what was asked of it and what is known of the act; no outcome for notices and for look-ups that told nothing.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"processor", "act", "outcome"}),
		run: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "perennial_run_total",
			Help: "What this server's billing run did, by merchant: subscriptions moved past a billing event, invoices made, claims answered, notices of processors taken in.",
		}, []string{"merchant", "what"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "perennial_webhook_tries_total",
			Help: "Messages to merchants that this server sent, by the dialect and what came of the try: delivered, failed (tried again later) or given-up.",
		}, []string{"dialect", "outcome"}),
	}
	m.registry.MustRegister(m.charges, m.acts, m.run, m.messages, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answered counts an answer of a processor.
func (m *metrics) answered(kind billing.AttemptKind, o billing.Outcome) {
	m.charges.WithLabelValues(string(kind), string(o.State)).Inc()
}

// told counts a try of a message.
func (m *metrics) told(dialect string, o notify.Outcome) {
	m.messages.WithLabelValues(dialect, string(o)).Inc()
}

// observed measures an act of a processor.
func (m *metrics) observed(o processor.Observation) {
	m.acts.WithLabelValues(o.Processor, o.Act, string(o.State)).Observe(o.Took.Seconds())
}

// progressed counts a step of a billing run.
func (m *metrics) progressed(p billrun.Progress) {
	for what, n := range map[string]int{
		"events": p.Step.Events, "invoices": p.Step.Invoices, "notices": p.Step.Notices,
		"claims": p.Step.Collected + p.Step.Pending + p.Step.Declined + p.Step.Unknown,
	} {
		if n > 0 {
			m.run.WithLabelValues(p.Merchant.Code, what).Add(float64(n))
		}
	}
}

// watch adds what is counted in the books when the metrics are read.
func (m *metrics) watch(s *store.Store, log *slog.Logger) {
	m.registry.MustRegister(&backlog{store: s, now: m.now, log: log})
}

// The gauges of backlog.
var (
	untoldDesc = prometheus.NewDesc("perennial_webhook_waiting",
		"Messages of a merchant that its receivers have still to take.", []string{"merchant"}, nil)
	untoldAgeDesc = prometheus.NewDesc("perennial_webhook_oldest_seconds",
		"How long the oldest of them has waited; 0 if none waits.", []string{"merchant"}, nil)
	dueDesc = prometheus.NewDesc("perennial_due_subscriptions",
		"Subscriptions of a merchant whose next billing event is due and not yet done.", []string{"merchant"}, nil)
	ageDesc = prometheus.NewDesc("perennial_queue_age_seconds",
		"How long the oldest billing event of a merchant that is due has waited, by the merchant's clock; 0 if none waits.", []string{"merchant"}, nil)
	unknownDesc = prometheus.NewDesc("perennial_unknown_attempts",
		"Attempts of a merchant whose outcome is not known: under way, or to be asked after.", []string{"merchant"}, nil)
	parkedDesc = prometheus.NewDesc("perennial_parked_work",
		"Work of a merchant that cannot be done because its data are damaged, and waits to be mended: see perennial parked.", []string{"merchant"}, nil)
	unsettledDesc = prometheus.NewDesc("perennial_unsettled_attempts",
		"Attempts of a merchant whose outcome no look-up tells, and a person must: see perennial attempt list.", []string{"merchant"}, nil)
)

// backlog counts what waits, for each merchant. What it counted is shown again
// for a while, so that reading the metrics often does not burden the database.
type backlog struct {
	store *store.Store
	now   func() time.Time
	log   *slog.Logger

	mu    sync.Mutex
	asked time.Time
	last  []prometheus.Metric
}

const (
	backlogKept    = 5 * time.Second
	backlogTimeout = 5 * time.Second
)

// Describe tells the gauges' names.
func (b *backlog) Describe(to chan<- *prometheus.Desc) {
	to <- dueDesc
	to <- ageDesc
	to <- unknownDesc
	to <- parkedDesc
	to <- unsettledDesc
	to <- untoldDesc
	to <- untoldAgeDesc
}

// Collect tells the gauges. A database that does not answer leaves them out; the
// other metrics must not fall silent with it.
func (b *backlog) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); b.asked.IsZero() || now.Sub(b.asked) >= backlogKept || now.Before(b.asked) {
		ctx, stop := context.WithTimeout(context.Background(), backlogTimeout)
		defer stop()
		found, err := b.count(ctx)
		if err != nil {
			b.log.WarnContext(ctx, "cannot count what waits, for the metrics", "error", err)
		}
		b.last, b.asked = found, now
	}
	for _, m := range b.last {
		to <- m
	}
}

func (b *backlog) count(ctx context.Context) ([]prometheus.Metric, error) {
	merchants, err := b.store.Merchants(ctx)
	if err != nil {
		return nil, err
	}
	var found []prometheus.Metric
	for _, m := range merchants {
		at := m.Now(b.now())
		var waits store.Backlog
		var untold store.Undelivered
		err := b.store.View(ctx, m.ID, func(v *store.View) (err error) {
			if waits, err = v.Backlog(ctx, at); err != nil {
				return err
			}
			untold, err = v.Undelivered(ctx)
			return err
		})
		if err != nil {
			return found, err
		}
		age := time.Duration(0)
		if !waits.Oldest.IsZero() {
			age = at.Sub(waits.Oldest)
		}
		untoldAge := time.Duration(0)
		if !untold.Oldest.IsZero() {
			untoldAge = b.now().Sub(untold.Oldest)
		}
		for _, g := range []struct {
			desc  *prometheus.Desc
			value float64
		}{{dueDesc, float64(waits.Due)}, {ageDesc, age.Seconds()}, {unknownDesc, float64(waits.Unknown)},
			{parkedDesc, float64(waits.Parked)}, {unsettledDesc, float64(waits.Unsettled)},
			{untoldDesc, float64(untold.Waiting)}, {untoldAgeDesc, untoldAge.Seconds()}} {
			found = append(found, prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value, m.Code))
		}
	}
	return found, nil
}
