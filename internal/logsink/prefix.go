package logsink

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"evergate/internal/printable"
)

// prefixed is a slog.Handler that puts something before the line that another handler makes of a record, in
// one write.
type prefixed struct {
	line   slog.Handler // writes into shared.buf
	shared *prefixedLine
}

// prefixedLine is shared by a handler and what is derived from it.
type prefixedLine struct {
	before func([]byte, slog.Record) []byte

	mu  sync.Mutex
	buf bytes.Buffer
	to  io.Writer
}

func newPrefixed(to io.Writer, before func([]byte, slog.Record) []byte, line func(io.Writer) slog.Handler) slog.Handler {
	shared := &prefixedLine{before: before, to: to}
	return &prefixed{line(&shared.buf), shared}
}

// Enabled implements slog.Handler.
func (p *prefixed) Enabled(ctx context.Context, level slog.Level) bool {
	return p.line.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (p *prefixed) Handle(ctx context.Context, r slog.Record) error {
	s := p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Reset()
	s.buf.Write(s.before(s.buf.AvailableBuffer(), r))
	if err := p.line.Handle(ctx, r); err != nil {
		return err
	}
	_, err := s.to.Write(s.buf.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (p *prefixed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &prefixed{p.line.WithAttrs(attrs), p.shared}
}

// WithGroup implements slog.Handler.
func (p *prefixed) WithGroup(name string) slog.Handler {
	return &prefixed{p.line.WithGroup(name), p.shared}
}

// ForPeople writes a line as a person at a terminal reads it: the time of day, the message, the attributes,
// and the level where it is not the usual one.
func ForPeople(to io.Writer, level slog.Leveler) slog.Handler {
	return newPrefixed(to, forPeople, func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: dropBuiltIn})
	})
}

func forPeople(b []byte, r slog.Record) []byte {
	b = append(r.Time.AppendFormat(b, time.TimeOnly), "  "...)
	if r.Level != slog.LevelInfo {
		b = append(append(b, r.Level.String()...), "  "...)
	}
	b = append(b, printable.Line(r.Message)...)
	return append(b, "  "...)
}

// dropBuiltIn leaves to forPeople what it has written.
func dropBuiltIn(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

// ForJournal has line write what is not for people alone, and puts the priority before each line that systemd's
// journal takes from there (sd-daemon(3)).
func ForJournal(to io.Writer, line func(io.Writer) slog.Handler) slog.Handler {
	return newPrefixed(to, func(b []byte, r slog.Record) []byte {
		return append(b, '<', '0'+priority(r.Level), '>')
	}, line)
}

// priority is that of syslog(3) for a level.
func priority(level slog.Level) byte {
	const errors, warnings, informational, debugging = 3, 4, 6, 7
	switch {
	case level >= slog.LevelError:
		return errors
	case level >= slog.LevelWarn:
		return warnings
	case level >= slog.LevelInfo:
		return informational
	}
	return debugging
}
