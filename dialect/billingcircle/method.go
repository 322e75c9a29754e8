package billingcircle

import (
	"context"
	"slices"
)

// whom says which client a method is about.
type whom int

const (
	noClientAtAll whom = iota // the pair means nothing
	newClient                 // c_merchantid alone
	oneClient                 // one of the pair (1.3)
	anyClient                 // one of the pair, or neither
)

// method is one of the seventeen (3).
type method struct {
	name     string
	whom     whom
	required func(params, settings) []string // beside the client, in the order of the tables
	optional []string                        // fields that are looked at if they are there
	perform  func(context.Context, *exchange) (*answer, error)
}

// need makes a list of required fields that is always the same.
func need(names ...string) func(params, settings) []string {
	return func(params, settings) []string { return names }
}

// methods are all of them.
func methods() []method {
	client, schedule := clientFields(), scheduleFields()
	return []method{
		{"createclient", newClient, requiredOfClient, client, createClient},
		{"confirmclient", oneClient, need(), nil, confirmClient},
		{"modifyclient", oneClient, need(), append(slices.Clone(client), "c_status"), modifyClient},
		{"deleteclient", oneClient, need(), nil, deleteClient},
		{"verifyclientbilling", oneClient, need(), []string{"c_cccvv"}, verifyClientBilling},
		{"checkclientstatus", oneClient, need(), nil, checkClientStatus},
		{"fetchclient", oneClient, need(), nil, fetchClient},
		{"createnote", oneClient, need("c_note"), nil, createNote},
		{"createschedule", oneClient, requiredOfSchedule, schedule, createSchedule},
		{"confirmschedule", oneClient, need("s_scheduleid"), nil, confirmSchedule},
		{"modifyschedule", oneClient, need("s_scheduleid"), append(slices.Clone(schedule), "s_status"), modifySchedule},
		{"deleteschedule", oneClient, need("s_scheduleid"), nil, deleteSchedule},
		{"createadjustment", oneClient, need("s_scheduleid", "s_adjustment"), []string{"s_adjustmentnote"}, createAdjustment},
		{"checkschedulestatus", oneClient, need("s_scheduleid"), nil, checkScheduleStatus},
		{"fetchschedule", oneClient, need(), []string{"s_scheduleid"}, fetchSchedule},
		{"reporting", anyClient, need("r_startdate", "r_enddate", "r_chargetype", "r_groupby"), nil, reporting},
		{"reportdue", noClientAtAll, need("r_type"), nil, reportDue},
	}
}

// clientFields are those of createclient and modifyclient, the pair aside (3.1).
func clientFields() (names []string) {
	for _, f := range fields {
		if f.name[:2] == "c_" && !slices.Contains([]string{"c_merchantid", "c_clientid", "c_status", "c_note", "c_cccvv"}, f.name) {
			names = append(names, f.name)
		}
	}
	return append(names, "c_cccvv")
}

// scheduleFields are those of createschedule and modifyschedule (3.6).
func scheduleFields() []string {
	return []string{"s_startdate", "s_recurringtype", "s_title", "s_lineitems", "s_interval", "s_numofintervals", "s_amount", "s_taxrate",
		"s_adjustment", "s_adjustmentnote"}
}

// requiredOfClient is what createclient asks for (3.1): little, and for the way in
// which the client pays what it takes.
func requiredOfClient(p params, s settings) []string {
	wanted := map[string]bool{"c_firstname": true, "c_lastname": true}
	for _, name := range instrumentFields(p.get("c_chargemethod")) {
		wanted[name] = true
	}
	for _, name := range s.Required {
		wanted[name] = true
	}
	for _, name := range s.Optional {
		wanted[name] = false
	}
	var names []string
	for _, f := range fields {
		if wanted[f.name] {
			names = append(names, f.name)
		}
	}
	return names
}

// instrumentFields are what it takes to be paid in a way; "" is by card.
func instrumentFields(by string) []string {
	switch by {
	case "", byCard:
		return []string{"c_ccname", "c_ccnumber", "c_ccexpmonth", "c_ccexpyear"}
	case byBank:
		return []string{"c_bankname", "c_bankacctname", "c_bankabacode", "c_bankacctnum", "c_bankaccttype"}
	}
	return nil
}

// requiredOfSchedule is what createschedule asks for (3.6).
func requiredOfSchedule(p params, _ settings) []string {
	names := []string{"s_startdate", "s_recurringtype", "s_title"}
	if kind := p.get("s_recurringtype"); kind != single {
		names = append(names, "s_interval")
		if kind == installments {
			names = append(names, "s_numofintervals")
		}
	}
	return append(names, "s_amount")
}

// check looks at the fields of a method: first whether all are there that must be,
// then whether each can be read, the first failure of each counting (5.2).
func (m *method) check(p params, s settings) error {
	required := m.required(p, s)
	switch {
	case m.whom == newClient && !p.has("c_merchantid"):
		return refuse(missing, "c_merchantid")
	case m.whom == oneClient && !p.has("c_clientid") && !p.has("c_merchantid"):
		return refuse(missing, "c_clientid")
	}
	for _, name := range required {
		if !p.has(name) {
			return refuse(missing, name)
		}
	}
	meant := append(slices.Clone(required), m.optional...)
	switch m.whom {
	case newClient:
		meant = append(meant, "c_merchantid")
	case oneClient, anyClient:
		meant = append(meant, "c_merchantid", "c_clientid")
	case noClientAtAll:
	}
	if p.get("s_recurringtype") == single { // they mean nothing then (4.1)
		meant = slices.DeleteFunc(meant, func(n string) bool { return n == "s_interval" || n == "s_numofintervals" })
	}
	meant = append(meant, "testmode")
	for i := range fields {
		f := &fields[i]
		switch {
		case !slices.Contains(meant, f.name):
		case p.twice[f.name]:
			return refuse(sentTwice, f.name)
		case p.has(f.name) && !f.fits(p.get(f.name), s.MaxLengths):
			return refuse(invalid, f.name)
		}
	}
	return nil
}
