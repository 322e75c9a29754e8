package main

import (
	"encoding/json"
	"net/http"

	"github.com/perennial-billing/perennial/dialect/billingcircle"
	"github.com/perennial-billing/perennial/dialect/ccbill"
	"github.com/perennial-billing/perennial/dialect/recurly"
	"github.com/perennial-billing/perennial/dialect/unipay"
	"github.com/perennial-billing/perennial/httpd"
	"github.com/perennial-billing/perennial/notify"
)

// wire is a dialect and where it is spoken.
type wire struct {
	pattern string // of http.ServeMux
	handler http.Handler
}

// dialects are the wires that a server speaks. They share one brake, so that
// nobody guesses a password by turns over several of them.
func (c *core) dialects(s serving) []wire {
	brake := httpd.NewBrake(httpd.BrakeConfig{})
	clicks := ccbill.New(ccbill.Options{Cashier: c.cashier, Brake: brake, Log: c.log})
	circle := billingcircle.New(billingcircle.Options{Cashier: c.cashier, Brake: brake, Wake: c.runner.Wake, Log: c.log})
	wires := []wire{
		{billingcircle.Path, circle},
		{billingcircle.TestPath, circle},
		{ccbill.ChargingPath, clicks},
		{ccbill.ManagementPath, clicks},
		{ccbill.ExtractPath, clicks},
		{unipay.Prefix, unipay.New(unipay.Options{Cashier: c.cashier, Brake: brake, Wake: c.runner.Wake, Log: c.log, MaxBody: s.MaxBody})},
	}
	site := recurly.New(recurly.Options{Cashier: c.cashier, Brake: brake, Wake: c.runner.Wake, Log: c.log})
	for _, pattern := range recurly.Patterns() {
		wires = append(wires, wire{pattern, site})
	}
	return wires
}

// dialectSettings checks what a set-up file says of each wire.
func dialectSettings() map[string]func(json.RawMessage) error {
	return map[string]func(json.RawMessage) error{unipay.Name: unipay.CheckSettings, ccbill.Name: ccbill.CheckSettings,
		recurly.Name: recurly.CheckSettings, billingcircle.Name: billingcircle.CheckSettings}
}

// forms are how the wires tell events.
func forms() []*notify.Form {
	return []*notify.Form{ccbill.Webhooks(), recurly.Push(), billingcircle.ITN()}
}
