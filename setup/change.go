package setup

import (
	"fmt"
	"strings"
)

// Action is what becomes of something that a file names.
type Action string

// The actions.
const (
	Create Action = "create" // it did not exist
	Modify Action = "change" // some of its values differ
	Keep   Action = "keep"   // it is as the file says
)

// Change is what applying a file does, or in a dry run would do, to one thing.
type Change struct {
	Action Action
	Noun   string   // merchant, account, login, plan, customer, payment method, subscription or endpoint
	Name   string   // codes from the merchant down, as in demo/2001/customer1/card1
	Fields []string // which values change, by their names in the file, never the values
}

// String is the change in one line, as in
// "change plan demo/2001/standard_monthly: amount, name".
func (c Change) String() string {
	s := string(c.Action) + " " + c.Noun + " " + c.Name
	if len(c.Fields) > 0 {
		s += ": " + strings.Join(c.Fields, ", ")
	}
	return s
}

// Changes are all that applying a file did, in the order in which it was done.
type Changes []Change

// Count is how many changes have an action.
func (cs Changes) Count(a Action) int {
	n := 0
	for _, c := range cs {
		if c.Action == a {
			n++
		}
	}
	return n
}

// String sums up, as in "2 created, 1 changed, 14 unchanged".
func (cs Changes) String() string {
	return fmt.Sprintf("%d created, %d changed, %d unchanged", cs.Count(Create), cs.Count(Modify), cs.Count(Keep))
}
