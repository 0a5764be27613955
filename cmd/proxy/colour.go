package main

import (
	"io"

	"evergate/internal/config"
	"evergate/internal/sidecar"
)

// colours marks words for whoever reads standard output. The zero value does not.
type colours struct{ on bool }

// colours are those for standard output.
func (w env) colours() colours { return w.coloursOn(w.out) }

// coloursOn colours on a terminal, unless NO_COLOR (https://no-color.org) or a terminal that knows no colours says otherwise.
func (w env) coloursOn(to io.Writer) colours {
	getenv := config.Getenv(w.environ)
	return colours{sidecar.IsTerminal(to) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

func (c colours) green(s string) string  { return c.in("32", s) }
func (c colours) yellow(s string) string { return c.in("33", s) }
func (c colours) red(s string) string    { return c.in("31", s) }
func (c colours) bold(s string) string   { return c.in("1", s) }
func (c colours) faint(s string) string  { return c.in("2", s) }

func (c colours) in(code, s string) string {
	if !c.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
