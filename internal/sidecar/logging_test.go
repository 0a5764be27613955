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
		for set, want := range map[string]string{"": "json", "text": "text", "json": "json"} {
			if got := LogFormat(&config.Config{LogFormat: set}, w); got != want {
				t.Errorf("%T with %q: %s, want %s", w, set, got, want)
			}
		}
	}
}
