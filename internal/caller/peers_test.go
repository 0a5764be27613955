package caller

import (
	"strings"
	"testing"
)

func TestPeersAreRead(t *testing.T) {
	rules, err := parsePeers(" agent=uid:1000 , gid:33,,user:root,ops=group:root,uid:0")
	if err != nil {
		t.Skip("this machine has neither a user nor a group of the name root") // a Mac's group is wheel
	}
	want := []peerRule{{"agent", false, 1000}, {"", true, 33}, {"", false, 0}, {"ops", true, 0}, {"", false, 0}}
	if len(rules) != len(want) {
		t.Fatalf("%+v", rules)
	}
	for i := range want {
		if rules[i] != want[i] {
			t.Errorf("%+v, want %+v", rules[i], want[i])
		}
	}
}

func TestMistakenPeersAreAllReported(t *testing.T) {
	for entry, want := range map[string]string{
		"1000": "is neither", "uid": "no usable number", "uid:": "no usable number", "uid:-1": "no usable number", "uid:+1": "no usable number", "uid:01": "no usable number",
		"uid:4294967296": "no usable number", "uid:1000 ": "", "UID:1": "is neither", "uid:65534": "names nobody", "gid:65534": "names nobody",
		"user:no-such-user-here": "does not know", "group:no-such-group-here": "does not know", "user:": "does not know",
		"=uid:1": "no usable name", "a b=uid:1": "no usable name", "anonymous=uid:1": "no usable name", "other=uid:1": "no usable name", "a=": "is neither",
		"cert:agent=uid:1": "no usable name",
	} {
		_, err := parsePeers(entry)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", entry, err, want)
		}
	}
	if _, err := parsePeers("x,uid:1,y"); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes: %v", err)
	}
}

func TestAPeerFitsByUserOrGroup(t *testing.T) {
	p := peer{uid: 1000, groups: []uint32{100, 33}}
	for rule, want := range map[peerRule]bool{
		{"", false, 1000}: true, {"", false, 100}: false, {"", true, 100}: true, {"", true, 33}: true, {"", true, 1000}: false, {"", false, 0}: false,
	} {
		if rule.fits(p) != want {
			t.Errorf("%+v fits: %v", rule, !want)
		}
	}
}

// FuzzPeers: what is accepted names one number, as it was written.
func FuzzPeers(f *testing.F) {
	for _, seed := range []string{"agent=uid:1000,gid:33", "user:root", "=uid:1", "a=b=uid:1", "uid:65534", "uid:1e3", ",,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if strings.Contains(list, "user:") || strings.Contains(list, "group:") {
			return // it depends on the machine
		}
		rules, err := parsePeers(list)
		for _, r := range rules {
			if r.id == overflowID || err == nil && !strings.Contains(list, "id:") {
				t.Fatalf("%q: %+v", list, r)
			}
		}
	})
}
