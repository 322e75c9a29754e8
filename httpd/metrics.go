package httpd

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests by route pattern, method and class of status. A nil *metrics counts nothing. Floating point
// numbers are allowed in this file alone, because the Prometheus library takes nothing else; none of them is money.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newMetrics registers the metrics, which fails if the registry already has them.
func newMetrics(reg *prometheus.Registry, inFlight *atomic.Int64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "perennial_http_requests_total",
			Help: "Requests answered, by route pattern, method and class of status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "perennial_http_request_duration_seconds",
			Help: "Time from the request's header to the end of its handler.",
			// From a read out of memory to the longest a processor may take.
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120},
		}, []string{"route", "method"}),
	}
	flying := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "perennial_http_requests_in_flight",
		Help: "Requests being handled now, without the operators' pages.",
	}, func() float64 { return float64(inFlight.Load()) })
	for _, c := range []prometheus.Collector{m.requests, m.duration, flying} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("httpd: metrics: %w", err)
		}
	}
	return m, nil
}

// count takes one answered request; status 0 is one that was cut before it had any.
func (m *metrics) count(route, method string, status int, took time.Duration) {
	if m == nil {
		return
	}
	class := "cut"
	if status > 0 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(route, method, class).Inc()
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
}
