package logsink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// guarded returns a logger behind a guard, and what it writes.
func guarded() (*slog.Logger, *FloodGuard, *bytes.Buffer) {
	var out bytes.Buffer
	g := NewFloodGuard(slog.NewJSONHandler(&out, nil))
	return slog.New(g), g, &out
}

func messages(t *testing.T, out *bytes.Buffer) (all []string) {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var v struct{ Msg, Kind string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, v.Msg)
	}
	return all
}

func TestAFloodOfOneKindIsAFewLinesAndANumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, g, out := guarded()
		for range 3 { // three intervals alike
			out.Reset()
			for range 1000 {
				log.With("client", "x").Warn("garbage")
			}
			log.Info("something else")
			time.Sleep(interval)
			synctest.Wait()
			if got := messages(t, out); len(got) != mostOfAKind+2 || got[mostOfAKind] != "something else" {
				t.Fatalf("%q", got)
			}
			if want := fmt.Sprintf(`"kind":"garbage","lines":%d,`, 1000-mostOfAKind); !strings.Contains(out.String(), want) {
				t.Fatalf("no %s in %s", want, out)
			}
		}
		if got := g.LeftOut(); got != 3*(1000-mostOfAKind) {
			t.Errorf("%d lines left out", got)
		}
	})
}

func TestAFewLinesAMinuteAreAllWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, g, out := guarded()
		for range 100 {
			log.Info("renewed")
			time.Sleep(interval / mostOfAKind)
		}
		if got := messages(t, out); len(got) != 100 || g.LeftOut() != 0 {
			t.Errorf("%d lines, %d left out", len(got), g.LeftOut())
		}
	})
}

func TestALevelThatIsOffCountsNothing(t *testing.T) {
	log, g, out := guarded()
	for range 1000 {
		log.Debug("garbage")
	}
	if g.LeftOut() != 0 || out.Len() != 0 {
		t.Errorf("%d left out, %s", g.LeftOut(), out)
	}
}

func TestKindsTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, g, out := guarded()
		for i := range 10 * mostKinds {
			log.Info(fmt.Sprint("message ", i))
		}
		if len(g.state.kinds) > mostKinds+1 {
			t.Errorf("%d kinds", len(g.state.kinds))
		}
		if got := len(messages(t, out)); got != mostKinds+mostOfAKind {
			t.Errorf("%d lines", got)
		}
	})
}

func TestALineIsBounded(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	var list []string
	for range 100_000 {
		list = append(list, "read_products")
	}
	for name, attr := range map[string]slog.Attr{
		"text": slog.String("k", long), "error": slog.Any("k", errors.New(long)), "list": slog.Any("k", list),
		"member": slog.Any("k", []string{long}), "group": slog.Group("g", slog.String("k", long)),
	} {
		log, _, out := guarded()
		log.Info("m", attr)
		log.With(attr).Info("m")
		if out.Len() > 3*largestValue || strings.Contains(out.String(), "�") || strings.Count(out.String(), "…") != 2 {
			t.Errorf("%s: %d bytes: %.300s", name, out.Len(), out)
		}
	}
}

type secret struct{}

func (secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

func TestWhatIsShortIsUntouched(t *testing.T) {
	log, _, out := guarded()
	log.WithGroup("g").With("a", 1).Info("m", "b", []string{"x", "y"}, "c", secret{}, "d", errors.New("e"))
	if want := `"msg":"m","g":{"a":1,"b":["x","y"],"c":"[redacted]","d":"e"}}`; !strings.Contains(out.String(), want) {
		t.Errorf("%s, want %s", out, want)
	}
}
