package main

import (
	"crypto/rand"
	"io"

	"evergate/internal/config"
	"evergate/internal/printable"
	"evergate/internal/sidecar"
)

// fitForTerminal keeps from a terminal what it would obey and only others can have written: Shopify and whatever answers in
// its place have a hand in much that commands print. What is no terminal gets every byte, because programs read it.
func fitForTerminal(to io.Writer) io.Writer {
	if !sidecar.IsTerminal(to) {
		return to
	}
	return printable.NewTerminal(to, rand.Text())
}

// escapeOn is what a terminal's escape character is written as there; empty where none passes.
func escapeOn(to io.Writer) string {
	if terminal, ok := to.(*printable.Writer); ok {
		return terminal.Escape()
	}
	return ""
}

// colours marks words for whoever reads standard output. The zero value does not.
type colours struct{ escape string }

// colours are those for standard output.
func (w env) colours() colours { return w.coloursOn(w.out) }

// coloursOn colours on a terminal, unless NO_COLOR (https://no-color.org) or a terminal that knows no colours says otherwise.
func (w env) coloursOn(to io.Writer) colours {
	if getenv := config.Getenv(w.environ); getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return colours{}
	}
	return colours{escapeOn(to)}
}

func (c colours) green(s string) string  { return c.in("32", s) }
func (c colours) yellow(s string) string { return c.in("33", s) }
func (c colours) red(s string) string    { return c.in("31", s) }
func (c colours) bold(s string) string   { return c.in("1", s) }
func (c colours) faint(s string) string  { return c.in("2", s) }

func (c colours) in(code, s string) string {
	if c.escape == "" {
		return s
	}
	return c.escape + "[" + code + "m" + s + c.escape + "[0m"
}
