package logsink

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/brief"
)

const (
	// mostOfAKind is how many lines of one kind are written in one interval.
	mostOfAKind = 10
	interval    = time.Minute
	// mostKinds bounds the memory. Messages are constants of the program, so there are fewer.
	mostKinds = 256
	// largestValue bounds one attribute in bytes, and with it a line.
	largestValue = 4 << 10
)

// FloodGuard is a slog.Handler that keeps strangers and an upstream from filling the log: of
// the lines with one message it passes on a few a minute, and then one that says how many were
// left out. Values that are long are cut. A message must be a constant and hold nothing foreign.
type FloodGuard struct {
	next  slog.Handler
	state *floodState
}

// floodState is shared by a guard and what is derived from it.
type floodState struct {
	root    slog.Handler // for the lines about lines, which have no attributes of others
	leftOut atomic.Uint64

	mu    sync.Mutex
	kinds map[string]*lineKind
}

type lineKind struct {
	message string
	level   slog.Level
	since   time.Time // the beginning of the interval
	written int
	leftOut int
}

// NewFloodGuard returns a FloodGuard before next.
func NewFloodGuard(next slog.Handler) *FloodGuard {
	return &FloodGuard{next, &floodState{root: next, kinds: map[string]*lineKind{}}}
}

// LeftOut is how many lines were left out so far.
func (g *FloodGuard) LeftOut() uint64 { return g.state.leftOut.Load() }

// Enabled implements slog.Handler.
func (g *FloodGuard) Enabled(ctx context.Context, level slog.Level) bool {
	return g.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (g *FloodGuard) Handle(ctx context.Context, r slog.Record) error {
	if !g.state.admits(r.Message, r.Level) {
		return nil
	}
	bounded := slog.NewRecord(r.Time, r.Level, cut(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		bounded.AddAttrs(cutAttr(a))
		return true
	})
	return g.next.Handle(ctx, bounded)
}

// WithAttrs implements slog.Handler.
func (g *FloodGuard) WithAttrs(attrs []slog.Attr) slog.Handler {
	bounded := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		bounded[i] = cutAttr(a)
	}
	return &FloodGuard{g.next.WithAttrs(bounded), g.state}
}

// WithGroup implements slog.Handler.
func (g *FloodGuard) WithGroup(name string) slog.Handler {
	return &FloodGuard{g.next.WithGroup(name), g.state}
}

// admits reports whether a line is to be written. The first that is not has a timer tell of
// all of them at the interval's end.
func (s *floodState) admits(message string, level slog.Level) bool {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kind(message)
	if now.Sub(k.since) >= interval && k.leftOut == 0 {
		k.since, k.written = now, 0
	}
	if k.written < mostOfAKind {
		k.written++
		return true
	}
	if k.leftOut == 0 {
		k.level = level
		time.AfterFunc(max(0, interval-now.Sub(k.since)), func() { s.tell(k) })
	}
	k.level = max(k.level, level)
	k.leftOut++
	s.leftOut.Add(1)
	return false
}

// kind finds a message's kind. What comes after too many of them shares one.
func (s *floodState) kind(message string) *lineKind {
	k, ok := s.kinds[message]
	if !ok && len(s.kinds) >= mostKinds {
		message = "others"
		k, ok = s.kinds[message]
	}
	if !ok {
		k = &lineKind{message: cut(message)}
		s.kinds[message] = k
	}
	return k
}

// tell says how many lines were left out, and begins the next interval.
func (s *floodState) tell(k *lineKind) {
	s.mu.Lock()
	n, level := k.leftOut, k.level
	k.since, k.written, k.leftOut = time.Now(), 0, 0
	s.mu.Unlock()
	ctx := context.Background()
	if !s.root.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, "more lines of one kind were left out", 0)
	r.AddAttrs(slog.String("kind", k.message), slog.Int("lines", n), slog.String("within", interval.String()))
	_ = s.root.Handle(ctx, r) // there is nowhere else to say that the log fails
}

func cutAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(cut(v.String()))
	case slog.KindGroup:
		members := v.Group()
		bounded := make([]slog.Attr, len(members))
		for i, m := range members {
			bounded[i] = cutAttr(m)
		}
		v = slog.GroupValue(bounded...)
	case slog.KindAny:
		v = cutAny(v)
	default: // numbers and times are short
	}
	return slog.Attr{Key: a.Key, Value: v}
}

func cutAny(v slog.Value) slog.Value {
	switch x := v.Any().(type) {
	case error:
		return slog.StringValue(cut(x.Error()))
	case []string:
		if n := fits(x); n < len(x) {
			return slog.AnyValue(append(append([]string(nil), x[:n]...), fmt.Sprintf("… and %d more", len(x)-n)))
		}
	}
	return v
}

// fits is how many of a list's members fit into a value.
func fits(list []string) int {
	size := 0
	for i, member := range list {
		if size += len(member) + len(`"",`); size > largestValue {
			return i
		}
	}
	return len(list)
}

func cut(s string) string { return brief.Text(s, largestValue) }
