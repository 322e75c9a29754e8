package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/sqldb"
)

const customerColumns = `merchant_id, id, account_id, code, first_name, last_name, organization, email, phone, active,
	street1, street2, city, state, postal_code, country, created_at, updated_at, standing, profile`

func scanCustomer(r sqldb.Row) (*billing.Customer, error) {
	var c billing.Customer
	var created, updated int64
	var profile string
	err := r.Scan(&c.MerchantID, &c.ID, &c.AccountID, &c.Code, &c.FirstName, &c.LastName, &c.Organization, &c.Email, &c.Phone,
		&c.Active, &c.Address.Street1, &c.Address.Street2, &c.Address.City, &c.Address.State, &c.Address.PostalCode,
		&c.Address.Country, &created, &updated, &c.Standing, &profile)
	if err == nil {
		err = kept{profile, &c.Profile}.read()
	}
	c.CreatedAt, c.UpdatedAt = instant(created), instant(updated)
	return &c, err
}

// Customer reads a customer.
func (v *View) Customer(ctx context.Context, id billing.CustomerID) (*billing.Customer, error) {
	if c := v.known.customer(id); c != nil {
		return c, nil
	}
	c, err := sqldb.One(ctx, v.tx, scanCustomer, `SELECT `+customerColumns+` FROM customer WHERE merchant_id = $1 AND id = $2`, v.merchant, id)
	return c, notFound(err, "customer")
}

// CustomersByID reads several customers, those who are gone among them.
func (v *View) CustomersByID(ctx context.Context, ids []billing.CustomerID) (map[billing.CustomerID]*billing.Customer, error) {
	list, err := sqldb.Query(ctx, v.tx, scanCustomer,
		`SELECT `+customerColumns+` FROM customer WHERE merchant_id = $1 AND id `+v.tx.In(2), v.merchant, sqldb.List(ints(ids)))
	found := make(map[billing.CustomerID]*billing.Customer, len(list))
	for _, c := range list {
		found[c.ID] = c
	}
	return found, err
}

// LockCustomers reads customers and keeps other writers of their accounts
// waiting, in the order of their ids so that no two wait for each other.
// Whatever changes a customer's account locks the customer first.
func (t *Tx) LockCustomers(ctx context.Context, ids []billing.CustomerID) ([]*billing.Customer, error) {
	if list := t.known.locked(ids); list != nil {
		return list, nil
	}
	ask := t.askLockCustomers(ids)
	return sqldb.Query(ctx, t.tx, scanCustomer, ask.Query, ask.Args...)
}

func (t *Tx) askLockCustomers(ids []billing.CustomerID) sqldb.Ask {
	return sqldb.Ask{Query: `SELECT ` + customerColumns + ` FROM customer
		WHERE merchant_id = $1 AND id ` + t.tx.In(2) + ` ORDER BY id` + t.tx.ForUpdate(), Args: []any{t.merchant, sqldb.List(ints(ids))}}
}

// InsertCustomers writes new customers; their ids are given.
func (t *Tx) InsertCustomers(ctx context.Context, list ...*billing.Customer) error {
	rows := make([][]any, len(list))
	for i, c := range list {
		rows[i] = []any{int64(c.MerchantID), int64(c.ID), int64(c.AccountID), c.Code, c.FirstName, c.LastName, c.Organization, c.Email,
			c.Phone, c.Active, c.Address.Street1, c.Address.Street2, c.Address.City, c.Address.State, c.Address.PostalCode,
			c.Address.Country, micros(c.CreatedAt), micros(c.UpdatedAt), string(c.Standing), toJSON(c.Profile)}
	}
	return t.tx.InsertMany(ctx, "customer", []string{"merchant_id", "id", "account_id", "code", "first_name", "last_name",
		"organization", "email", "phone", "active", "street1", "street2", "city", "state", "postal_code", "country", "created_at",
		"updated_at", "standing", "profile"}, rows)
}

// UpdateCustomer writes what may change of a customer.
func (t *Tx) UpdateCustomer(ctx context.Context, c *billing.Customer) error {
	_, err := t.tx.Exec(ctx, `UPDATE customer SET first_name = $3, last_name = $4, organization = $5, email = $6, phone = $7,
			active = $8, street1 = $9, street2 = $10, city = $11, state = $12, postal_code = $13, country = $14, updated_at = $15,
			standing = $16, profile = $17, code = $18
		WHERE merchant_id = $1 AND id = $2`,
		t.merchant, c.ID, c.FirstName, c.LastName, c.Organization, c.Email, c.Phone, c.Active,
		c.Address.Street1, c.Address.Street2, c.Address.City, c.Address.State, c.Address.PostalCode, c.Address.Country,
		micros(c.UpdatedAt), c.Standing, toJSON(c.Profile), c.Code)
	return err
}

// CustomerFilter narrows a list of customers. Names, street and city match the
// beginning, the rest the whole, case aside; street matches either line.
type CustomerFilter struct {
	Accounts                          []billing.AccountID // none means all
	FirstName, LastName, Organization string
	Email, Phone, Street, City, State string
	PostalCode, Country               string
	Page                              Page
}

// Page is a part of a list that rises by id. After, where it is given, is
// cheaper than a large offset: the rows before it are not visited at all.
type Page struct {
	Offset, Limit int
	After         int64 // only rows with a larger id
}

// Customers lists customers by id.
func (v *View) Customers(ctx context.Context, f CustomerFilter) ([]*billing.Customer, error) {
	q := newSelect(v, "customer", customerColumns)
	q.compare("standing", "<>", billing.StandingGone)
	q.among("account_id", ints(f.Accounts))
	q.prefix(f.FirstName, "first_name")
	q.prefix(f.LastName, "last_name")
	q.prefix(f.Organization, "organization")
	q.fold(f.Email, "email")
	q.fold(f.Phone, "phone")
	q.prefix(f.Street, "street1", "street2")
	q.prefix(f.City, "city")
	q.fold(f.State, "state")
	q.fold(f.PostalCode, "postal_code")
	q.fold(f.Country, "country")
	return sqldb.Query(ctx, v.tx, scanCustomer, q.paged(f.Page), q.args...)
}

// CustomerIDs lists the ids of all customers, of those who are gone too.
func (v *View) CustomerIDs(ctx context.Context, p Page) ([]billing.CustomerID, error) {
	q := newSelect(v, "customer", "id")
	return sqldb.Query(ctx, v.tx, sqldb.Scalar[billing.CustomerID], q.paged(p), q.args...)
}

// query builds a list: conditions joined by AND, ordered by id, one page.
type query struct {
	tx             *sqldb.Tx
	table, columns string
	where          []string
	args           []any
}

func newSelect(v *View, table, columns string) *query {
	return &query{tx: v.tx, table: table, columns: columns, where: []string{"merchant_id = $1"}, args: []any{v.merchant}}
}

// arg takes a value and returns its placeholder.
func (q *query) arg(value any) string {
	q.args = append(q.args, value)
	return "$" + strconv.Itoa(len(q.args))
}

func (q *query) equal(column string, value any) {
	q.where = append(q.where, column+" = "+q.arg(value))
}

func (q *query) compare(column, operator string, value any) {
	q.where = append(q.where, column+" "+operator+" "+q.arg(value))
}

func (q *query) among(column string, ids []int64) {
	if len(ids) > 0 {
		q.arg(sqldb.List(ids))
		q.where = append(q.where, column+" "+q.tx.In(len(q.args)))
	}
}

// fold matches the whole text, case aside; an empty one matches everything.
func (q *query) fold(value, column string) {
	if value != "" {
		q.where = append(q.where, "LOWER("+column+") = "+q.arg(strings.ToLower(value)))
	}
}

// prefix matches the beginning of any of the columns, case aside.
func (q *query) prefix(value string, columns ...string) {
	if value == "" {
		return
	}
	p := q.arg(strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(value)) + "%")
	var any []string
	for _, c := range columns {
		any = append(any, "LOWER("+c+") LIKE "+p+` ESCAPE '\'`)
	}
	q.where = append(q.where, "("+strings.Join(any, " OR ")+")")
}

// paged finishes the statement. The offset is counted on ids alone, which an
// index answers without touching the rows that are skipped.
func (q *query) paged(p Page) string {
	where := strings.Join(q.where, " AND ")
	if p.After > 0 {
		where += " AND id > " + q.arg(p.After)
	}
	page := " ORDER BY id LIMIT " + q.arg(int64(p.Limit))
	if p.Offset == 0 {
		return "SELECT " + q.columns + " FROM " + q.table + " WHERE " + where + page
	}
	return "SELECT " + q.columns + " FROM " + q.table + " WHERE merchant_id = $1 AND id IN (SELECT id FROM " + q.table +
		" WHERE " + where + page + " OFFSET " + q.arg(int64(p.Offset)) + ") ORDER BY id"
}

func ints[T ~int64](ids []T) []int64 {
	list := make([]int64, len(ids))
	for i, id := range ids {
		list[i] = int64(id)
	}
	return list
}
