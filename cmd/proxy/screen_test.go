package main

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFit(t *testing.T) {
	t.Parallel()
	const text = "\x1b[31mAll is lost here.\x1b[0m\n\ntoken   fresh\nabcdefghijkl\n"
	for _, test := range []struct {
		on         size
		text, want string
	}{
		{size{}, text, text},
		{size{80, 24}, text, text},
		{size{10, 24}, text, "\x1b[31mAll is\nlost here.\x1b[0m\n\ntoken\nfresh\nabcdefghij\nkl\n"},
		{size{80, 4}, text, "\x1b[31mAll is lost here.\x1b[0m\n\n\x1b[0m(2 more lines)\x1b[0m"},
		{size{80, 4}, "All\nis\nwell\nhere\n", "All\nis\n(2 more lines)"},
		{size{80, 1}, text, "\x1b[31mAll is lost here.\x1b[0m\x1b[0m"},
	} {
		if got := fit(test.text, test.on, "\x1b"); got != test.want {
			t.Errorf("%v:\n%q\n%q", test.on, got, test.want)
		}
	}
}

var sequences = regexp.MustCompile("\x1b\\[[0-9;]*m")

// FuzzFit holds every screen to its size, and every text to its words.
func FuzzFit(f *testing.F) {
	f.Add("\x1b[1mAll is well.\x1b[0m\n\ntoken  fresh, ends in 44s\n", 7, 4)
	f.Add("ä ö üü\n", 1, 2)
	f.Fuzz(func(t *testing.T, text string, columns, rows int) {
		if columns < 1 || rows < 1 || strings.Contains(sequences.ReplaceAllString(text, ""), "\x1b") {
			return
		}
		lines := strings.Split(strings.TrimSuffix(sequences.ReplaceAllString(fit(text, size{columns, rows}, "\x1b"), ""), "\n"), "\n")
		if len(lines) > max(1, rows-1) {
			t.Errorf("%d lines on %d rows", len(lines), rows)
		}
		whole := fit(text, size{columns, 0}, "\x1b")
		for line := range strings.Lines(sequences.ReplaceAllString(whole, "")) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > columns {
				t.Errorf("%q is wider than %d", line, columns)
			}
		}
		letters := func(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }
		if letters(whole) != letters(text) {
			t.Errorf("%q has become %q", text, whole)
		}
	})
}
