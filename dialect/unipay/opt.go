package unipay

// Opt is a field of a request that may be left out. A modify changes what is
// given and nothing else, so that "not given" and "given as zero" must differ.
type Opt[T any] struct {
	Value T
	Given bool
}

// Some returns a given field.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Given: true} }

// Or returns the value if it is given, and otherwise the default.
func (o Opt[T]) Or(otherwise T) T {
	if o.Given {
		return o.Value
	}
	return otherwise
}
