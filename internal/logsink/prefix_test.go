package logsink

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func TestALineForPeople(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock begins at midnight UTC
		var out bytes.Buffer
		log := slog.New(ForPeople(&out, slog.LevelInfo))
		log.Debug("unseen")
		log.Info("token obtained", "life", "24h0m0s")
		log.With("shop", "acme").WithGroup("g").Warn("two words", "err", "a b", "level", 1)
		log.Error("gone")
		log.Info("a\x1b[2Jb\nc")
		for _, want := range []string{
			":00:00  token obtained  life=24h0m0s\n",
			":00:00  WARN  two words  shop=acme g.err=\"a b\" g.level=1\n",
			":00:00  ERROR  gone  \n",
			`:00:00  a\u001b[2Jb c  ` + "\n",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, &out)
			}
		}
		if strings.Count(out.String(), "\n") != 4 {
			t.Errorf("not four lines:\n%s", &out)
		}
	})
}

func TestTheJournalReadsALinesPriority(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(ForJournal(&out, func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
	}))
	log.Debug("d")
	log.Info("i")
	log.Warn("w")
	log.Log(t.Context(), slog.LevelError+2, "e")
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, line[:4])
	}
	if want := "<7>{ <6>{ <4>{ <3>{"; strings.Join(got, " ") != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestLinesWithAPrefixAreWhole(t *testing.T) {
	t.Parallel()
	var out wholeLines
	log := slog.New(ForPeople(&out, slog.LevelInfo))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			derived := log.With("k", strings.Repeat("v", 100))
			for range 50 {
				derived.Info("message")
			}
		})
	}
	all.Wait()
	if out.whole != 400 || out.torn != 0 {
		t.Errorf("%d whole and %d torn", out.whole, out.torn)
	}
}

// wholeLines counts writes. It needs no lock of its own: the handler's holds.
type wholeLines struct{ whole, torn int }

func (w *wholeLines) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) == 1 && p[len(p)-1] == '\n' && bytes.HasSuffix(p, []byte(strings.Repeat("v", 100)+"\n")) {
		w.whole++
	} else {
		w.torn++
	}
	return len(p), nil
}
