package sidecar

import (
	"io"
	"log"
	"log/slog"
	"os"
	"strings"

	"evergate/internal/config"
	"evergate/internal/logsink"
	"evergate/internal/printable"
	"evergate/internal/remedy"
	"evergate/internal/systemd"
)

// Logger is the one logger and its level, which can be changed while it is used. Of each kind
// of line it writes a few a minute, so that nobody outside can fill the log.
type Logger struct {
	*slog.Logger
	whole   *slog.Logger // without that limit, for what the operator decides: settings and the access log
	level   *slog.LevelVar
	dropped func() uint64 // lines that were not written
}

// The formats of a log. EVERGATE_LOG_FORMAT has the first two.
const (
	FormatJSON   = "json"
	FormatText   = "text"
	formatPeople = "people"
)

// NewLogger makes the logger. Without a choice it writes for people on a terminal, and in the usual format
// elsewhere. environ says whether systemd's journal reads w.
func NewLogger(c *config.Config, w io.Writer, usual string, environ []string) Logger {
	level := &slog.LevelVar{}
	level.Set(c.LogLevel)
	line := func(w io.Writer) slog.Handler {
		options := &slog.HandlerOptions{Level: level}
		switch LogFormat(c, w, usual) {
		case FormatJSON:
			return slog.NewJSONHandler(printable.NewWriter(w), options) // package json escapes the controls of ASCII alone
		case formatPeople:
			return logsink.ForPeople(w, level)
		}
		return slog.NewTextHandler(w, options)
	}
	handler := line(w)
	if f, ok := FileOf(w); ok && systemd.IsJournal(environ, f) {
		handler = logsink.ForJournal(w, line)
	}
	guard := logsink.NewFloodGuard(handler)
	dropped := guard.LeftOut
	if sink, ok := below[*logsink.Sink](w); ok {
		dropped = func() uint64 { return sink.Dropped() + guard.LeftOut() }
	}
	return Logger{slog.New(guard), slog.New(handler), level, dropped}
}

// serverErrors is where an http.Server writes what it has to say of connections.
func (l Logger) serverErrors() *log.Logger { return log.New(serverLog{l.Logger}, "", 0) }

// serverLog gives each kind of net/http's lines a message of its own, which holds nothing of a client's,
// so that the kinds can be told apart.
type serverLog struct{ log *slog.Logger }

// serverMessages are what those lines begin with that net/http is known to write.
var serverMessages = []string{"http: TLS handshake error", "http: Accept error", "http: panic serving", "http2"}

// unservedName is what crypto/tls calls it when a client asks for a name that it gets no certificate for; localca has said
// which, and this line would say that there is none for anybody.
const unservedName = ": tls: no certificates configured"

// Write takes one line.
func (s serverLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	if strings.HasSuffix(line, unservedName) {
		return len(p), nil
	}
	for _, message := range serverMessages {
		if rest, ok := strings.CutPrefix(line, message); ok {
			s.log.Warn(message, "err", strings.TrimLeft(rest, ": "))
			return len(p), nil
		}
	}
	s.log.Warn("http", "err", strings.TrimPrefix(line, "http: "))
	return len(p), nil
}

// setLevel changes the level by its name and says so at a level that is never silent.
func (l Logger) setLevel(name string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return remedy.New("debug, info, warn or error", "%q is no log level", name)
	}
	before := l.level.Level()
	l.level.Set(min(before, slog.LevelInfo))
	l.Info("log level changed", "from", before.String(), "to", level.String())
	l.level.Set(level)
	return nil
}

// LogFormat is what was chosen, else what suits the reader: people on a terminal, and the usual elsewhere.
func LogFormat(c *config.Config, w io.Writer, usual string) string {
	if c.LogFormat != "" {
		return c.LogFormat
	}
	if IsTerminal(w) {
		return formatPeople
	}
	return usual
}

// logWarnings passes on what looks wrong but may be meant.
func logWarnings(c *config.Config, log *slog.Logger) {
	for _, warning := range c.Warnings {
		log.Warn("configuration", "warning", warning)
	}
}

// IsTerminal reports whether v is a character device other than the one that cron,
// systemd and CI give to what they start.
func IsTerminal(v any) bool {
	f, ok := FileOf(v)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// FileOf is the file that v is, or writes to in the end.
func FileOf(v any) (*os.File, bool) { return below[*os.File](v) }

// below is the first of its type among v and what that writes to.
func below[T any](v any) (T, bool) {
	for {
		if found, ok := v.(T); ok {
			return found, true
		}
		wrapped, ok := v.(interface{ Unwrap() io.Writer })
		if !ok {
			var none T
			return none, false
		}
		v = wrapped.Unwrap()
	}
}
