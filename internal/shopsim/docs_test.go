package shopsim

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestManualNamesEverySwitch keeps docs/reference/simulator.md complete, together with the page for users and
// that for developers, which has what only Go sees.
func TestManualNamesEverySwitch(t *testing.T) {
	var manual []byte
	for _, page := range []string{"reference", "using", "developing"} {
		text, err := os.ReadFile("../../docs/" + page + "/simulator.md")
		if err != nil {
			t.Fatal(err)
		}
		manual = append(manual, text...)
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
	for _, c := range []Condition{Unauthorized, PaymentRequired, Frozen, Unavailable, NonExpiringRefused, NonExpiringEnded, CustomerDataRefused, Locked} {
		names = append(names, string(c))
	}
	for _, g := range []Grant{GrantClientCredentials, GrantCode, GrantRefresh, GrantExchange, GrantMigration} {
		names = append(names, string(g))
	}
	for _, choices := range [][]string{
		{string(RotationCurrent), string(RotationWindow60m), string(RotationStrict), string(RetryNewPair), string(RetrySamePair)},
		{string(DeadPlain), string(DeadFullStop), string(DeadLong), string(DeadInvalidGrant), string(SignedDecoded), string(SignedEncoded)},
	} {
		names = append(names, choices...)
	}
	for _, options := range []reflect.Type{reflect.TypeFor[Options](), reflect.TypeFor[Shop](), reflect.TypeFor[App](), reflect.TypeFor[Settings](), reflect.TypeFor[Fault]()} {
		for field := range options.Fields() {
			names = append(names, field.Name)
		}
	}
	for method := range reflect.TypeFor[*Sim]().Methods() {
		if !strings.Contains(string(manual), "`"+method.Name+"(") && !strings.Contains(string(manual), "`"+method.Name+"`") {
			t.Errorf("docs/reference/simulator.md does not name the method %s", method.Name)
		}
	}
	for _, name := range names {
		if !strings.Contains(string(manual), "`"+name+"`") {
			t.Errorf("docs/reference/simulator.md does not name `%s`: it needs a row there", name)
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
