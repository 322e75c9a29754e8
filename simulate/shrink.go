package simulate

import (
	"context"
	"slices"
)

// Shrink finds a shorter story in which the same promise is broken, and plays it.
func (s *Stage) Shrink(ctx context.Context, story Story, rule string) (Story, *Result, error) {
	last, err := s.Play(ctx, story)
	if err != nil {
		return story, nil, err
	}
	fails := func(shorter Story) (bool, error) {
		r, err := s.Play(ctx, shorter)
		if err != nil || len(r.Faults) == 0 || r.Faults[0].Rule != rule {
			return false, err
		}
		story, last = shorter, r
		return true, nil
	}
	_, err = shorten(story.Acts, func(acts []Act) (bool, error) {
		shorter := story
		shorter.Acts = acts
		return fails(shorter)
	})
	if err != nil {
		return story, last, err
	}
	for _, simpler := range []func(*Story){func(s *Story) { s.Deaths = 0 }, func(s *Story) { s.Idle = 0 }} {
		shorter := story
		simpler(&shorter)
		if _, err := fails(shorter); err != nil {
			return story, last, err
		}
	}
	return story, last, nil
}

// shorten takes runs of elements out of a list that fails, long runs first, and
// keeps what still fails: of what it returns no single element can be left out.
func shorten[T any](list []T, fails func([]T) (bool, error)) ([]T, error) {
	for size := max(len(list)/2, 1); ; {
		shorter := false
		for at := 0; at < len(list); {
			without := slices.Concat(list[:at], list[min(at+size, len(list)):])
			bad, err := fails(without)
			if err != nil {
				return list, err
			}
			if bad {
				list, shorter = without, true
			} else {
				at += size
			}
		}
		if size > 1 {
			size /= 2
		} else if !shorter {
			return list, nil
		}
	}
}
