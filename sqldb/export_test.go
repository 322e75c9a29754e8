package sqldb

// MaxPrepared is the bound on prepared statements for each connection.
const MaxPrepared = maxPrepared

// Attempts is how often a transaction is run that PostgreSQL wants repeated.
const Attempts = attempts

// Prepared returns the number of statements prepared on the writing connection of an SQLite database. Call it from an
// Update, when the connection is at rest.
func Prepared(t *Tx) int { return t.run.(lentConn).conn.recent.Len() }

// Plans returns the number of bulk statements that are remembered.
func Plans(d *DB) int {
	d.bulk.mu.Lock()
	defer d.bulk.mu.Unlock()
	return len(d.bulk.plans)
}
