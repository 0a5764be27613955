package main

import (
	"io"

	"evergate/internal/config"
	"evergate/internal/sidecar"
)

// ink colours words for whoever reads standard output. The zero value does not.
type ink struct{ on bool }

// inkFor is for standard output.
func (w env) inkFor() ink { return w.inkOn(w.out) }

// inkOn colours on a terminal, unless NO_COLOR (https://no-color.org) or a terminal that knows no colours says otherwise.
func (w env) inkOn(to io.Writer) ink {
	getenv := config.Getenv(w.environ)
	return ink{sidecar.IsTerminal(to) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

func (i ink) green(s string) string  { return i.in("32", s) }
func (i ink) yellow(s string) string { return i.in("33", s) }
func (i ink) red(s string) string    { return i.in("31", s) }
func (i ink) bold(s string) string   { return i.in("1", s) }
func (i ink) faint(s string) string  { return i.in("2", s) }

func (i ink) in(code, s string) string {
	if !i.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
