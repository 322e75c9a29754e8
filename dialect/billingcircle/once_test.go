package billingcircle_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/perennial-billing/perennial/dialect/billingcircle"
)

// TestAtOnce: twenty clients at once get twenty numbers in a row, of twenty with one
// key one is made, and twenty confirmations are one.
func TestAtOnce(t *testing.T) {
	open(t, func(t *testing.T, d *desk) {
		const many = 20
		together := func(body func(i int) string) (answers []string) {
			answers = make([]string, many)
			var all sync.WaitGroup
			for i := range many {
				all.Go(func() {
					reply := d.Ask("POST", billingcircle.Path, http.Header{"Authorization": {"none"}, "Content-Type": {form}}, auth+body(i))
					answers[i] = reply.Body
				})
			}
			all.Wait()
			slices.Sort(answers)
			return answers
		}
		const who = "&method=createclient&c_firstname=A&c_lastname=B&c_chargemethod=manual&c_merchantid="
		for i, a := range together(func(i int) string { return who + fmt.Sprint("key", i) }) {
			if want := fmt.Sprintf("1,1,Success,%d", 1234+i); a != want {
				t.Errorf("%s, want %s", a, want)
			}
		}
		made := 0
		for _, a := range together(func(int) string { return who + "one" }) {
			if strings.HasPrefix(a, "1,1,Success,") {
				made++
			} else if a != "2,1008,There is already a client record with that merchantid,c_merchantid" {
				t.Error(a)
			}
		}
		if made != 1 {
			t.Errorf("%d clients with one key", made)
		}
		c := d.client("ann", good)
		id := strings.TrimPrefix(d.ask("createschedule", "c_clientid="+c, "s_title=x", "s_startdate=2009-09-01", "s_recurringtype=single", "s_amount=1.00"), "1,1,Success,")
		for _, a := range together(func(int) string { return "&method=confirmschedule&c_clientid=" + c + "&s_scheduleid=" + id }) {
			if a != "1,1,Success,"+id {
				t.Error(a)
			}
		}
		d.MoveTo("2009-09-03")
		if got := strings.Join(d.bills(c), ", "); got != "2009-09-01 1.00+0.00=1.00" {
			t.Errorf("billed %s", got)
		}
		d.clean()
	})
}
