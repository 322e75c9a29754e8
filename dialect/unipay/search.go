package unipay

import (
	"context"
	"strconv"
	"time"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/cashier"
	"github.com/perennial-billing/perennial/store"
)

// search carries out a find of rows R as objects O. The filters that the store
// knows are in list; the rest, which no page documents, is tried on what the
// answer would be (section 9, 7).
type search[R any, O Object] struct {
	page  Page
	equal Equal
	list  func(store.Page) ([]R, error)    // by rising id
	id    func(R) int64                    // of a row
	named func(cashier.Ref) (int64, error) // the id that a code means; nil where there are no codes
	write func([]R) ([]O, error)           // as many objects as rows, in their order
}

// batch is how many rows are tried at a time.
const batch = 500

func (s search[R, O]) run(ctx context.Context) ([]O, error) {
	if len(s.equal) == 0 {
		rows, err := s.list(store.Page{Offset: s.page.Offset, Limit: s.page.Limit, After: s.page.AfterID})
		if err != nil {
			return nil, err
		}
		return s.write(rows)
	}
	if id, ok, err := s.pin(); err != nil || ok {
		return s.only(id, err)
	}
	var found []O
	skip, after := s.page.Offset, s.page.AfterID
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows, err := s.list(store.Page{Limit: batch, After: after})
		if err != nil {
			return nil, err
		}
		objects, err := s.write(rows)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			switch {
			case !s.equal.Match(o):
			case skip > 0:
				skip--
			default:
				found = append(found, o)
			}
			if len(found) == s.page.Limit {
				return found, nil
			}
		}
		if len(rows) < batch {
			return found, nil
		}
		after = s.id(rows[len(rows)-1])
	}
}

// pin is the one row that a filter by id or code can mean, 0 for a row that
// there is not; ok is false when neither is asked for. It saves trying them all.
func (s search[R, O]) pin() (id int64, ok bool, err error) {
	if text, given := s.equal.Value("id"); given {
		id, err = strconv.ParseInt(text, 10, 64)
		return id, true, err
	}
	code, given := s.equal.Value("code")
	if !given || s.named == nil {
		return 0, false, nil
	}
	id, err = s.named(cashier.Ref{Code: code})
	if billing.KindOf(err) == billing.NotFound {
		return 0, true, nil
	}
	return id, true, err
}

// only finds one row, if it passes every filter and lies on the page.
func (s search[R, O]) only(id int64, err error) ([]O, error) {
	if err != nil || id <= s.page.AfterID || s.page.Offset > 0 {
		return nil, err
	}
	rows, err := s.list(store.Page{Limit: 1, After: id - 1})
	if err != nil || len(rows) == 0 || s.id(rows[0]) != id {
		return nil, err
	}
	objects, err := s.write(rows)
	if err != nil || !s.equal.Match(objects[0]) {
		return nil, err
	}
	return objects, nil
}

// days turns civil days, both included and either perhaps not given, into the
// instants between which the store looks.
func days(m *billing.Merchant, first, last Opt[string]) (from, to time.Time) {
	if first.Given {
		from = m.Start(day(first.Value))
	}
	if last.Given {
		to = m.Start(day(last.Value).AddDays(1))
	}
	return from, to
}

// day is a date that a Read function has let pass, or no date for "".
func day(text string) billing.Date {
	if text == "" {
		return billing.Date{}
	}
	d, err := billing.ParseDate(text)
	if err != nil {
		panic("unipay: a date that was read is none: " + err.Error())
	}
	return d
}
