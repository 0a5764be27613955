package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"evergate/internal/config"
	"evergate/internal/printable"
	"evergate/internal/sidecar"
)

// reportConfig says everything that is wrong with the configuration: as a list for
// people, as one line of JSON each where the log would be JSON.
func reportConfig(c *config.Config, err error, w io.Writer, usual string) error {
	mistakes := strings.Split(err.Error(), "\n")
	if sidecar.LogFormat(c, w, usual) == sidecar.FormatJSON {
		log := slog.New(slog.NewJSONHandler(printable.NewWriter(w), nil))
		for _, m := range mistakes {
			log.Error("configuration", "err", m)
		}
		return &exitError{exitConfig, nil}
	}
	hint := "`evergate config` lists every setting"
	if _, err := os.Stat(initFile); err == nil && c.ShopName == "" && c.ShopsFile == "" {
		hint = initFile + ", which is in this directory, is read if you say so: `evergate --env-file " + initFile + "`\n" + hint
	}
	return configError(errors.New("the configuration is not right:\n  - " + strings.Join(mistakes, "\n  - ") + "\n" + hint))
}
