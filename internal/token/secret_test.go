package token

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const marker = "s3cret-MARKER-0451"

// The shapes in which a secret gets into a log by accident.
type (
	exported   struct{ S Secret }
	unexported struct {
		name string
		s    Secret
	}
	pointing struct{ s *Secret }
	deep     struct {
		inner unexported
		list  []Secret
		byKey map[string]Secret
		any   any
	}
)

func shapes() map[string]any {
	s := NewSecret(marker)
	return map[string]any{
		"itself":     s,
		"pointer":    &s,
		"exported":   exported{s},
		"unexported": unexported{"n", s},
		"pointing":   pointing{&s},
		"slice":      []Secret{s},
		"array":      [1]Secret{s},
		"map":        map[string]Secret{"k": s},
		"map_key":    map[Secret]string{s: "v"},
		"interface":  []any{s, unexported{"n", s}},
		"deep":       &deep{unexported{"n", s}, []Secret{s}, map[string]Secret{"k": s}, s},
		"token":      Token{Access: s},
		"record":     Record{Current: Pair{Token: Token{Access: s}, Refresh: s}, Previous: &Previous{Refresh: s}, Original: s},
		"error":      fmt.Errorf("refused %v: %w", s, &UnavailableError{Err: fmt.Errorf("it was %+v", unexported{"n", s})}),
	}
}

func TestSecretCannotBePrintedByAnyVerb(t *testing.T) {
	t.Parallel()
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%e", "%g", "%t", "%T", "%10v", "%-40s", "%.3s", "%p"}
	for name, v := range shapes() {
		for _, verb := range verbs {
			mustNotHold(t, name+" with "+verb, fmt.Sprintf(verb, v))
		}
		mustNotHold(t, name+" with Sprint", fmt.Sprint(v, v))
		mustNotHold(t, name+" with Errorf", fmt.Errorf("x: %v", v).Error())
		mustNotHold(t, name+" joined", errors.Join(fmt.Errorf("%+v", v), fmt.Errorf("%#v", v)).Error())
	}
}

func TestSecretSaysThatItIsRedacted(t *testing.T) {
	t.Parallel()
	for _, s := range []Secret{NewSecret(marker), NewSecret(""), {}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, s); got != "[redacted]" {
				t.Errorf("%s: %s, want [redacted], whatever it holds", verb, got)
			}
		}
	}
}

func TestSecretCannotBeLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for kind, log := range map[string]*slog.Logger{"text": slog.New(slog.NewTextHandler(&out, options)), "json": slog.New(slog.NewJSONHandler(&out, options))} {
		for name, v := range shapes() {
			out.Reset()
			log.With("bound", v).Info("message", "v", v, slog.Group("g", "v", v), "err", fmt.Errorf("%v", v))
			if out.Len() == 0 {
				t.Fatal("nothing was logged")
			}
			mustNotHold(t, name+" in slog "+kind, out.String())
		}
	}
}

func TestSecretCannotBeEncoded(t *testing.T) {
	t.Parallel()
	for name, v := range shapes() {
		b, _ := json.Marshal(v)
		mustNotHold(t, name+" in JSON", string(b))
		b, _ = json.MarshalIndent(map[string]any{"v": v}, "", " ")
		mustNotHold(t, name+" in indented JSON", string(b))
		b, _ = xml.Marshal(v)
		mustNotHold(t, name+" in XML", string(b))
	}
	if b, err := json.Marshal(exported{NewSecret(marker)}); err != nil || string(b) != `{"S":"[redacted]"}` {
		t.Errorf("%s, %v", b, err)
	}
}

// mustNotHold looks for the value as it is, in hex and as numbers.
func mustNotHold(t *testing.T, what, printed string) {
	t.Helper()
	low := strings.ToLower(printed)
	for _, form := range []string{
		marker, fmt.Sprintf("%x", marker), fmt.Sprintf("% x", marker), fmt.Sprint([]byte(marker)), fmt.Sprintf("%v", []rune(marker)),
	} {
		if strings.Contains(low, strings.ToLower(form)) {
			t.Errorf("%s shows the secret: %s", what, printed)
			return
		}
	}
}

func TestSecretRevealsWhatItHolds(t *testing.T) {
	t.Parallel()
	s := NewSecret(marker)
	switch {
	case s.Reveal() != marker:
		t.Error("Reveal does not give the value back")
	case s.Empty() || !NewSecret("").Empty() || !(Secret{}).Empty():
		t.Error("Empty is wrong")
	case (Secret{}).Reveal() != "":
		t.Error("the zero Secret reveals something")
	case !s.Equal(NewSecret(marker)) || s.Equal(NewSecret(marker+"x")) || !(Secret{}).Equal(NewSecret("")):
		t.Error("Equal is wrong")
	case !s.HasPrefix("s3cret-") || s.HasPrefix("S3") || !(Secret{}).HasPrefix(""):
		t.Error("HasPrefix is wrong")
	}
}

func TestSecretIsReadWithoutTheWhiteSpaceAroundIt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", " \n": "", "abc\n": "abc", "\t a b \r\n": "a b"} {
		s := NewSecret("before")
		copied := s
		if err := s.UnmarshalText([]byte(in)); err != nil || s.Reveal() != want {
			t.Errorf("%q: %q, %v, want %q", in, s.Reveal(), err, want)
		}
		if copied.Reveal() != "before" {
			t.Error("a copy changed with the original")
		}
	}
}
