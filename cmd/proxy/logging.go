package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"evergate/internal/config"
)

// logger is the one logger and its level, which can be changed while it is used.
type logger struct {
	*slog.Logger
	level *slog.LevelVar
}

// newLogger makes the logger. Without a choice it writes for people on a terminal and
// JSON elsewhere.
func newLogger(c *config.Config, w io.Writer) logger {
	level := &slog.LevelVar{}
	level.Set(c.LogLevel)
	options := &slog.HandlerOptions{Level: level}
	if logFormat(c, w) == "text" {
		return logger{slog.New(slog.NewTextHandler(w, options)), level}
	}
	return logger{slog.New(slog.NewJSONHandler(w, options)), level}
}

// setLevel changes the level by its name and says so at a level that is never silent.
func (l logger) setLevel(name string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("%q is no log level: debug, info, warn or error", name)
	}
	before := l.level.Level()
	l.level.Set(min(before, slog.LevelInfo))
	l.Info("log level changed", "from", before.String(), "to", level.String())
	l.level.Set(level)
	return nil
}

func logFormat(c *config.Config, w io.Writer) string {
	if c.LogFormat != "" {
		return c.LogFormat
	}
	if isTerminal(w) {
		return "text"
	}
	return "json"
}

// reportConfig says everything that is wrong with the configuration: as a list for
// people, as one line of JSON each for machines.
func reportConfig(c *config.Config, err error, w io.Writer) error {
	mistakes := strings.Split(err.Error(), "\n")
	if logFormat(c, w) == "json" {
		log := slog.New(slog.NewJSONHandler(w, nil))
		for _, m := range mistakes {
			log.Error("configuration", "err", m)
		}
		return &exitError{exitConfig, nil}
	}
	return configError(errors.New("the configuration is not right:\n  - " + strings.Join(mistakes, "\n  - ") +
		"\n`evergate config` lists every setting"))
}

// logWarnings passes on what looks wrong but may be meant.
func logWarnings(c *config.Config, log *slog.Logger) {
	for _, warning := range c.Warnings {
		log.Warn("configuration", "warning", warning)
	}
}
