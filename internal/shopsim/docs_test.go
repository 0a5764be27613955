package shopsim

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestManualNamesEverySwitch keeps docs/simulator.md complete.
func TestManualNamesEverySwitch(t *testing.T) {
	manual, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, wire := range []any{settingsWire{}, faultWire{}, shopWire{}, installationWire{}, secretWire{}, scopesWire{}, issueWire{}, revokeWire{}} {
		for field := range fieldsOf(reflect.TypeOf(wire)) {
			names = append(names, field)
		}
	}
	for _, k := range []Kind{FaultStatus, FaultDrop, FaultDelay, FaultSlowBody, FaultTruncate, FaultCut, FaultEmpty, FaultHTML, FaultRedirect, FaultExpiresIn} {
		names = append(names, string(k))
	}
	for _, c := range []Condition{Unauthorized, PaymentRequired, Frozen, Unavailable, NonExpiringRefused, CustomerDataRefused, Locked} {
		names = append(names, string(c))
	}
	for field := range reflect.TypeFor[Options]().Fields() {
		names = append(names, field.Name)
	}
	for _, name := range names {
		if !strings.Contains(string(manual), "`"+name+"`") {
			t.Errorf("the manual does not name `%s`", name)
		}
	}
	source, err := os.ReadFile("control.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range regexp.MustCompile(`"[A-Z]+ (/_sim/[a-z/]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !strings.Contains(string(manual), path[1]) {
			t.Errorf("the manual does not name %s", path[1])
		}
	}
}

// fieldsOf yields the JSON names of a struct, those of embedded structs included.
func fieldsOf(of reflect.Type) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && !yield(name) {
				return
			}
		}
	}
}
