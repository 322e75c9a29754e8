package simulate

import "context"

// Shrink finds a shorter story in which the same promise is broken: it takes out
// runs of acts, long ones first, and keeps what still fails.
func (s *Stage) Shrink(ctx context.Context, story Story, rule string) (Story, *Result, error) {
	last, err := s.Play(ctx, story)
	if err != nil {
		return story, nil, err
	}
	try := func(shorter Story) (bool, error) {
		r, err := s.Play(ctx, shorter)
		if err != nil || len(r.Faults) == 0 || r.Faults[0].Rule != rule {
			return false, err
		}
		story, last = shorter, r
		return true, nil
	}
	for size := max(len(story.Acts)/2, 1); ; size /= 2 {
		for at := 0; at < len(story.Acts); {
			shorter := story
			shorter.Acts = append(append([]Act(nil), story.Acts[:at]...), story.Acts[min(at+size, len(story.Acts)):]...)
			good, err := try(shorter)
			if err != nil {
				return story, last, err
			}
			if !good {
				at += size
			}
		}
		if size == 1 {
			break
		}
	}
	for _, simpler := range []func(*Story){func(s *Story) { s.Deaths = 0 }, func(s *Story) { s.Idle = 0 }} {
		shorter := story
		simpler(&shorter)
		if _, err := try(shorter); err != nil {
			return story, last, err
		}
	}
	return story, last, nil
}
