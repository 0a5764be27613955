package config

import "testing"

func TestASamplingRatioIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]SamplingRatio{
		"off": {}, "": {}, "all": {true, 1}, "1": {true, 1}, "0": {true, 0}, "0.01": {true, 0.01},
	} {
		var s SamplingRatio
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: %v, %v", text, s, err)
		}
		var again SamplingRatio
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is written as %q and read as %v", text, s, again)
		}
	}
	for _, text := range []string{"on", "-1", "1.5", "NaN", "50%", "0,1"} {
		if err := new(SamplingRatio).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
