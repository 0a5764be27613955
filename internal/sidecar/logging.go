package sidecar

import (
	"io"
	"log/slog"
	"os"

	"evergate/internal/config"
	"evergate/internal/logsink"
	"evergate/internal/remedy"
)

// Logger is the one logger and its level, which can be changed while it is used.
type Logger struct {
	*slog.Logger
	level   *slog.LevelVar
	dropped func() uint64 // lines that could not be written
}

// NewLogger makes the logger. Without a choice it writes for people on a terminal and
// JSON elsewhere.
func NewLogger(c *config.Config, w io.Writer) Logger {
	level := &slog.LevelVar{}
	level.Set(c.LogLevel)
	options := &slog.HandlerOptions{Level: level}
	dropped := func() uint64 { return 0 }
	if sink, ok := w.(*logsink.Sink); ok {
		dropped = sink.Dropped
	}
	if LogFormat(c, w) == "text" {
		return Logger{slog.New(slog.NewTextHandler(w, options)), level, dropped}
	}
	return Logger{slog.New(slog.NewJSONHandler(w, options)), level, dropped}
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

// LogFormat is text or json: what was chosen, else what suits the reader.
func LogFormat(c *config.Config, w io.Writer) string {
	if c.LogFormat != "" {
		return c.LogFormat
	}
	if IsTerminal(w) {
		return "text"
	}
	return "json"
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
	if sink, ok := v.(*logsink.Sink); ok {
		v = sink.Unwrap()
	}
	f, ok := v.(*os.File)
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
