//go:build !unix

package main

import "os"

// passedOn are the signals, beside SIGINT and SIGTERM, that `run` passes on to its command.
func passedOn(bool) []os.Signal { return nil }

// sentByTerminal reports whether a terminal sends a signal to every process in the foreground.
func sentByTerminal(sig os.Signal) bool { return sig == os.Interrupt }
