package prometheus

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hurry is by how much the shipped rules are sped up: every `for` and every range is divided
// by it, and nothing else is touched. Thresholds that are shares, counts or points in time mean
// the same at any speed; the load here is high enough for those that are counts.
const hurry = 20

var duration = regexp.MustCompile(`\[(\d+)([smhd])\]|(?m:^( +for: )(\d+)([smhd])$)`)

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// hurried returns the rules with every duration divided by hurry.
func hurried(rules string) (string, error) {
	var err error
	scaled := duration.ReplaceAllStringFunc(rules, func(match string) string {
		m := duration.FindStringSubmatch(match)
		number, unit := m[1]+m[4], m[2]+m[5]
		n, _ := strconv.Atoi(number)
		d := time.Duration(n) * units[unit] / hurry
		if d%time.Millisecond != 0 || d < 2*time.Second {
			err = fmt.Errorf("%s divided by %d is %s: too short to be measured", match, hurry, d)
		}
		text := strconv.FormatInt(d.Milliseconds(), 10) + "ms"
		if m[3] != "" {
			return m[3] + text
		}
		return "[" + text + "]"
	})
	return scaled, err
}

func TestHurriedRulesDifferInNothingButTheirDurations(t *testing.T) {
	t.Parallel()
	shipped := read(t, rulesFile)
	scaled, err := hurried(shipped)
	if err != nil {
		t.Fatal(err)
	}
	before, after := strings.Split(shipped, "\n"), strings.Split(scaled, "\n")
	if len(before) != len(after) {
		t.Fatal("lines were added or removed")
	}
	anyDuration := regexp.MustCompile(`\b\d+(ms|s|m|h|d)\b`)
	changed := 0
	for i := range before {
		if before[i] == after[i] {
			if strings.Contains(before[i], "for:") || strings.ContainsAny(before[i], "[") && !strings.HasPrefix(strings.TrimSpace(before[i]), "#") {
				t.Errorf("not scaled: %s", before[i])
			}
			continue
		}
		changed++
		if anyDuration.ReplaceAllString(before[i], "") != anyDuration.ReplaceAllString(after[i], "") {
			t.Errorf("%s\n became\n%s", before[i], after[i])
		}
	}
	if changed < len(rules(t)) {
		t.Errorf("only %d lines have a duration", changed)
	}
	for from, want := range map[string]string{"        for: 10m\n": "        for: 30000ms\n", "x[1h]": "x[180000ms]", "x[5m])) > 5m": "x[15000ms])) > 5m"} {
		if got, err := hurried(from); got != want || err != nil {
			t.Errorf("%q became %q, %v", from, got, err)
		}
	}
	if _, err := hurried("[20s]"); err == nil {
		t.Error("a range of a second cannot be measured with a scrape a second")
	}
}
