package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"evergate/internal/sidecar"
)

// Set by the linker for a release: -X main.version=… -X main.commit=….
var (
	version = "dev"
	commit  = ""
)

// commitOrVCS falls back on what the Go command stamps into a build from a checkout.
func commitOrVCS() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

func build() sidecar.Build {
	return sidecar.Build{Version: version, Commit: commitOrVCS(), Program: os.Args[0]}
}

func printVersion() action {
	return action{
		run: func(w env) error {
			fmt.Fprintf(w.out, "evergate %s (commit %s, %s)\n", version, commitOrVCS(), runtime.Version())
			return nil
		},
	}
}
