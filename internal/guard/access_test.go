package guard

import (
	"fmt"
	"strings"
	"testing"
)

func TestASummaryIsShortHoweverManyCallersThereAre(t *testing.T) {
	_, line := newKey(t, "agent", "")
	var callers []string
	for i := range 20 {
		callers = append(callers, fmt.Sprintf(`"c%02d":"full"`, i))
	}
	for text, want := range map[string]string{
		`{"default":"none"}`: "by default none, keys: 1",
		`{"default":"none","callers":{"a":"full","b":"read-only"}}`:         "by default none, a full, b read-only, keys: 1",
		`{"default":"none","callers":{` + strings.Join(callers, ",") + `}}`: "by default none, c00 full, c01 full, c02 full, c03 full, c04 full, 15 more callers, keys: 1",
	} {
		a := accessWith(t, AccessOptions{PolicyFile: writeFile(t, text), KeysFile: writeFile(t, line)})
		if got := a.Summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
