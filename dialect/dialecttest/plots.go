package dialecttest

import "github.com/perennial-billing/perennial/billing"

// story is one story: what happens to a customer, in the verbs that every
// tongue has words of its own for.
type story struct {
	name string
	tell func(*stage)
}

// stories are told in every tongue. A shop's clock stands on 31 December 2019.
var stories = []story{
	{"sign up pay and renew", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-31", 0)
		s.invoice("signing", 1999)
		s.charge("down payment", 1999, goodCard, "signing")
		s.until("2020-05-15")
	}},
	{"fixed term with tax", func(s *stage) {
		s.plan("gym", 1999, func(p *Plan) { p.Tax = 160 })
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 3)
		s.until("2020-06-01")
	}},
	{"every rhythm", func(s *stage) {
		s.signUp()
		s.card("card", goodCard)
		s.plan("weekly", 500, func(p *Plan) { p.Cycle = billing.Weekly })
		s.subscribe("weekly", "weekly", "card", "2020-01-01", 0)
		s.plan("quarterly", 1500, func(p *Plan) { p.Cycle = billing.Quarterly })
		s.subscribe("quarterly", "quarterly", "card", "2020-01-02", 0)
		s.plan("half-yearly", 3000, func(p *Plan) { p.Cycle = billing.HalfYearly })
		s.subscribe("half-yearly", "half-yearly", "card", "2020-01-03", 0)
		s.plan("yearly", 6000, func(p *Plan) { p.Cycle = billing.Yearly })
		s.subscribe("yearly", "yearly", "card", "2020-01-04", 0)
		s.until("2020-04-03")
	}},
	{"decline and retry in vain", func(s *stage) {
		s.plan("gym", 8000) // which the bank declines softly
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-02-02")
	}},
	{"decline retry and recover", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", laterGood)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-02-15")
	}},
	{"hard decline and a new card", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("stolen", stolenCard)
		s.subscribe("membership", "gym", "stolen", "2020-01-01", 0)
		s.until("2020-01-20")
		s.card("card", goodCard)
		s.switchTo("membership", "card")
		s.until("2020-02-15")
	}},
	{"expired card", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", onceThenStale)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-02-20")
		s.renewCard("card", "0432")
		s.until("2020-02-21")
	}},
	{"card retired and customer away", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-01-15")
		s.retire("card")
		s.until("2020-02-15")
		s.card("new", goodCard)
		s.switchTo("membership", "new")
		s.until("2020-02-16")
		s.deactivate(true)
		s.until("2020-03-15")
		s.deactivate(false)
		s.until("2020-03-16")
	}},
	{"declined payment", func(s *stage) {
		s.signUp()
		s.invoice("signing", 8000)
		s.charge("declined", 8000, goodCard, "signing")
		s.charge("in part", 15500, goodCard, "signing")
	}},
	{"void and refund", func(s *stage) {
		s.signUp()
		s.invoice("signing", 1999)
		s.charge("first", 1999, goodCard, "signing")
		s.reverse("first")
		s.charge("second", 1999, goodCard, "signing")
		s.until("2020-01-03")
		s.reverse("second")
		s.reverse("signing")
	}},
	{"fees credits and cash", func(s *stage) {
		s.signUp()
		s.invoice("first", 1000)
		s.fee("late", 250)
		s.credit("sorry", 400)
		s.cash("at the desk", 500)
		s.reverse("sorry")
		s.cash("too much", 2000)
		s.reverse("first")
	}},
	{"prepaid renewals", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.chargeKept("ahead", 3000, "card")
		s.until("2020-02-15")
	}},
	{"bank account", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.bank("account", goodAccount)
		s.subscribe("membership", "gym", "account", "2020-01-01", 2)
		s.until("2020-02-02")
		s.until("2020-02-15")
	}},
	{"closed bank account", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.bank("account", closedAccount)
		s.subscribe("membership", "gym", "account", "2020-01-01", 0)
		s.until("2020-01-15")
		s.bank("another", goodAccount)
		s.switchTo("membership", "another")
		s.until("2020-01-25")
	}},
	{"frozen term moves back", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 3)
		s.until("2020-01-15")
		s.freeze("membership", "2020-02-01", 2)
		s.until("2020-06-15")
	}},
	{"pause and resume", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.pause("membership", "2020-01-15")
		s.until("2020-04-10")
		s.resume("membership")
		s.until("2020-05-15")
	}},
	{"cancel now and later", func(s *stage) {
		s.plan("gym", 1999)
		s.plan("locker", 500)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.subscribe("key", "locker", "card", "2020-01-10", 0)
		s.until("2020-01-15")
		s.cancel("membership", "")
		s.cancel("key", "2020-03-01")
		s.until("2020-05-01")
	}},
	{"chargeback and its end", func(s *stage) {
		s.signUp()
		s.invoice("signing", 1999)
		s.charge("disputed", 1999, disputedCard, "signing")
		s.until("2020-01-10")
	}},
	{"money back on a card", func(s *stage) {
		s.signUp()
		s.cash("at the desk", 2500)
		s.payOut("back", 2500, goodCard)
	}},
	{"renewal without funds", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodOnce)
		s.card("other", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-02-05")
		s.chargeKept("by hand", 1999, "other")
		s.until("2020-02-20")
	}},
	{"brought in renewed and ended", func(s *stage) {
		s.given("membership", goodCard)
		s.until("2020-02-20")
		s.letEnd("membership", "2020-03-14")
		s.until("2020-03-14")
		s.until("2020-03-20")
	}},
	{"brought in declined and recovered", func(s *stage) {
		s.given("membership", laterGood)
		s.until("2020-02-20")
	}},
	{"brought in and never paid", func(s *stage) {
		s.given("membership", stolenCard)
		s.until("2020-03-20")
	}},
	{"brought in and ended before a renewal", func(s *stage) {
		s.given("membership", goodCard)
		s.letEnd("membership", "2020-01-14")
		s.until("2020-01-20")
	}},
	{"renewals on the last of the month", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-31", 0)
		s.until("2020-05-15")
	}},
	{"credit used first", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.credit("welcome", 2500)
		s.credit("mistaken", 700)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.reverse("mistaken")
		s.until("2020-03-15")
	}},
	{"declined until it is taken back", func(s *stage) {
		s.plan("gym", 8000) // which the bank declines softly
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-01-02")
		s.credit("sorry", 8000)
		s.until("2020-01-10")
		s.cancel("membership", "")
		s.until("2020-03-01")
	}},
	{"ended with what is paid", func(s *stage) {
		s.plan("gym", 1999)
		s.signUp()
		s.card("card", goodCard)
		s.subscribe("membership", "gym", "card", "2020-01-01", 0)
		s.until("2020-02-15")
		s.letEnd("membership", "2020-03-01")
		s.until("2020-04-15")
	}},
}
