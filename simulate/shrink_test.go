package simulate

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestShorten finds exactly the acts that a failure needs, wherever they are.
func TestShorten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "acts")
		need := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, min(n, 5), rapid.ID[int]).Draw(t, "needed")
		slices.Sort(need)
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		got, err := shorten(list, func(some []int) (bool, error) {
			for _, i := range need {
				if !slices.Contains(some, i) {
					return false, nil
				}
			}
			return true, nil
		})
		if err != nil || !slices.Equal(got, need) {
			t.Fatalf("%v of %v: %v, %v", need, n, got, err)
		}
	})
}
