package billing

import "time"

// ClockMode says how a merchant's clock goes.
type ClockMode string

// The modes of a clock. Only a test merchant's may be other than real.
const (
	ClockReal    ClockMode = "real"    // the time of the world
	ClockFrozen  ClockMode = "frozen"  // stands at At until it is set again
	ClockRunning ClockMode = "running" // runs on from At, beginning at Set
)

// Clock is a merchant's time as a value: what it shows is a function of the
// world's time. The zero value is real.
type Clock struct {
	Mode ClockMode
	At   time.Time // what it showed when it was set
	Set  time.Time // the world's time when it was set
}

// Now is the merchant's time when the world's is wall.
func (c Clock) Now(wall time.Time) time.Time {
	switch c.Mode {
	case ClockFrozen:
		return c.At
	case ClockRunning:
		return c.At.Add(wall.Sub(c.Set))
	case ClockReal:
	}
	return wall
}
