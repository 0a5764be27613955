package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// size is how much a terminal shows; zero: it does not say.
type size struct{ columns, rows int }

func sizeOf(out io.Writer) size {
	for {
		above, ok := out.(interface{ Unwrap() io.Writer })
		if !ok {
			break
		}
		out = above.Unwrap()
	}
	f, ok := out.(*os.File)
	if !ok {
		return size{}
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return size{}
	}
	return size{columns, rows}
}

// fit is a text as a screen of a size shows it whole: lines are broken at spaces, where there are any, and what is below the screen
// is counted. A terminal that had to scroll would show the end, and the worst is at the beginning. Colours are set by sequences with
// this escape; empty: there are none.
func fit(text string, on size, escape string) string {
	noColour := ""
	if escape != "" && strings.Contains(text, escape) {
		noColour = escape + "[0m"
	}
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, broken(strings.TrimSuffix(line, "\n"), on.columns, escape)...)
	}
	if over := len(lines) - on.rows + 1; on.rows > 0 && over > 0 { // the cursor has the last row
		kept := max(1, len(lines)-over-1)
		more := fmt.Sprintf("%s(%d more lines)", noColour, len(lines)-kept)
		if lines = lines[:kept]; on.rows > 2 {
			lines = append(lines, more)
		}
		return strings.Join(lines, "\n") + noColour
	}
	return strings.Join(lines, "\n") + "\n"
}

// broken is a line in pieces of at most so many columns. Sequences that set colours take none.
func broken(line string, columns int, escape string) (pieces []string) {
	if columns <= 0 {
		return []string{line}
	}
	begin, space, width := 0, 0, 0
	for at := 0; at < len(line); {
		if escape != "" && strings.HasPrefix(line[at:], escape+"[") {
			if end := strings.IndexByte(line[at:], 'm'); end > 0 {
				at += end + 1
				continue
			}
		}
		_, long := utf8.DecodeRuneInString(line[at:])
		if width == columns {
			end := at
			if space > begin && line[at] != ' ' {
				end = space
			}
			pieces = append(pieces, strings.TrimRight(line[begin:end], " "))
			for end < len(line) && line[end] == ' ' {
				end++
			}
			begin, at, width = end, end, 0
			continue
		}
		if at += long; line[at-long] == ' ' {
			space = at
		}
		width++
	}
	return append(pieces, line[begin:])
}

// sleepOrResize waits until it is time to look again, or the terminal has another size, and is false once ctx is done.
func sleepOrResize(ctx context.Context, every time.Duration, resized <-chan os.Signal) bool {
	timer := time.NewTimer(every)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-resized:
	}
	return true
}
