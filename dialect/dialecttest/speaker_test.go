package dialecttest

import (
	"reflect"
	"slices"
	"testing"
)

// TestComplaints: the list of what a tongue cannot say is neither too short nor
// too long.
func TestComplaints(t *testing.T) {
	all := &Speaker{Unsayable: map[string]string{}}
	v := reflect.TypeFor[Speaker]()
	for i := range v.NumField() {
		if f := v.Field(i); f.Type.Kind() == reflect.Func {
			all.Unsayable[f.Name] = "a tongue without words"
		}
	}
	if got := all.complaints(); len(got) != 0 {
		t.Errorf("all is excused, yet %q", got)
	}
	for _, tt := range []struct {
		change func(*Speaker)
		want   string
	}{
		{func(s *Speaker) { delete(s.Unsayable, "Freeze") }, "Freeze is not said, and no reason is given"},
		{func(s *Speaker) { s.Unsayable["Freeze"] = "" }, "Freeze is not said, and no reason is given"},
		{func(s *Speaker) { s.SignUp = func(testing.TB) {} }, "SignUp has become sayable, take it off the list"},
		{func(s *Speaker) { s.Unsayable["Sing"] = "no music" }, "Sing is no verb, and needs no reason"},
	} {
		s := *all
		s.Unsayable = map[string]string{}
		for name, why := range all.Unsayable {
			s.Unsayable[name] = why
		}
		tt.change(&s)
		if got := s.complaints(); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("complaints %q, want %q", got, tt.want)
		}
	}
}
