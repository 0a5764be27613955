package sidecar

import (
	"bytes"
	"io"
	"os"
	"testing"

	"evergate/internal/config"
)

func TestLogFormatIsForPeopleOnATerminalOnly(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{file, &bytes.Buffer{}, io.Discard} {
		for _, usual := range []string{FormatJSON, FormatText} {
			for set, want := range map[string]string{"": usual, "text": "text", "json": "json"} {
				if got := LogFormat(&config.Config{LogFormat: set}, w, usual); got != want {
					t.Errorf("%T with %q, usually %s: %s, want %s", w, set, usual, got, want)
				}
			}
		}
	}
}
