package sandbox_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/perennial-billing/perennial/billing"
	"github.com/perennial-billing/perennial/processor"
	"github.com/perennial-billing/perennial/processor/sandbox"
	"github.com/perennial-billing/perennial/sqldb"
	"github.com/perennial-billing/perennial/sqldb/sqldbtest"
)

// BenchmarkCapture measures captures of a bank in the same process, durable
// unless it says otherwise, with 64 clients at a time.
func BenchmarkCapture(b *testing.B) {
	for _, e := range sqldbtest.Engines {
		for _, volatile := range []bool{false, true} {
			if volatile && e == sqldb.PostgreSQL {
				continue // it is always durable
			}
			name := e.String()
			if volatile {
				name += "/volatile"
			}
			b.Run(name, func(b *testing.B) {
				db, err := sqldb.Open(b.Context(), sqldbtest.Address(b, e), sqldb.Options{Volatile: volatile})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				bank, err := sandbox.New(b.Context(), db, sandbox.Options{})
				if err != nil {
					b.Fatal(err)
				}
				driver, err := sandbox.NewDriver(sandbox.EmbeddedURL, sandbox.Embedded(bank))
				if err != nil {
					b.Fatal(err)
				}
				account, err := processor.New(driver, processor.Options{})
				if err != nil {
					b.Fatal(err)
				}
				var last atomic.Int64
				b.SetParallelism(32) // times two cores
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						out := account.Do(b.Context(), billing.AskCharge, processor.Request{
							Merchant: "demo", Reference: fmt.Sprintf("c-%d", last.Add(1)), Amount: billing.Minor(1999, "USD"),
							Instrument: billing.VisaCredit, Number: billing.NewSecret("4111111111111111"), Expiry: "1229", At: noon,
						})
						if out.State != billing.AttemptApproved {
							b.Errorf("%s %s", out.State, out.Message)
						}
					}
				})
			})
		}
	}
}
