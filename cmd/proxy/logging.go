package main

import (
	"errors"
	"io"
	"log/slog"
	"strings"

	"evergate/internal/config"
)

// newLogger makes the one logger. Without a choice it writes for people on a terminal and
// JSON elsewhere.
func newLogger(c *config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if logFormat(c, w) == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
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
