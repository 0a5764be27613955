package spelling

import "testing"

func TestDistance(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]int{
		{"", ""}: 0, {"abc", "abc"}: 0, {"", "abc"}: 3, {"abc", ""}: 3, {"abc", "abd"}: 1, {"abc", "acb"}: 2, {"kitten", "sitting"}: 3, {"a", "bc"}: 2,
	} {
		if got := Distance(pair[0], pair[1]); got != want || Distance(pair[1], pair[0]) != want {
			t.Errorf("%q: %d, want %d", pair, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"serve", "run", "env", "check", "checkup"}
	for name, want := range map[string]string{
		"serve": "serve", "server": "serve", "sreve": "serve", "chek": "check", "checkp": "check", "ru": "run",
		"": "", "x": "", "abc": "", "token": "", "servants": "", // too far, or nothing of the name is left
	} {
		if got := Nearest(name, names, 2); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := Nearest("serve", nil, 2); got != "" {
		t.Errorf("%q of no names", got)
	}
}
