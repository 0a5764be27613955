package plain

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func TestAValueIsWhatWasMeantOrRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"hunter2": "hunter2", " hunter2 \r\n": "hunter2", Mark + "hunter2\n": "hunter2", Mark + Mark + "hunter2": "hunter2", "hunter 2": "hunter 2",
		"пароль": "пароль", "": "", "\n": "", Mark: "", "\u00a0hunter2": "hunter2",
	} {
		if got, err := Value(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"hunter2\nhunter2": "more than one line", "hunter2\rhunter2": "more than one line", "hunter2\x00": "U+0000, a NUL", "hun\u200bter2": "of no width", "hun" + Mark + "ter2": "of no width",
		"hun\tter2": "a tab", "\u202ehunter2": "U+202E", "hunter2\xff": "not UTF-8", "hunter2\x1b[0m": "U+001B", `"hunter2"`: "quotation marks", "‚hunter2‘": "quotation marks",
		"\xff\xfe" + utf16le("hunter2"): "UTF-16", utf16le("hunter2"): "UTF-16",
	} {
		if got, err := Value(text); got != "" || err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "unter2") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestTextNamesTheLineThatHidesSomething(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\n\tb\r\nц\n": "", Mark + Mark + "a": "", "": "",
		"a\nb\u200b\n": "line 2 holds a character that cannot be seen (U+200B, of no width)", "a\x00": "line 1 holds", "a\r\n\r\nb\u202ec": "line 3 holds", "a\n\x1b[0m": "U+001B",
		"a\n\n\xe9": "line 3 holds bytes that are not UTF-8", "a" + Mark: "line 1 holds", "a\u00a0b": "a space that does not break",
	} {
		got, hidden := Text(text)
		if got != strings.TrimLeft(text, Mark) || (hidden == nil) != (want == "") || hidden != nil && !strings.Contains(hidden.Error(), want) {
			t.Errorf("%q: %q, %v, want %q", text, got, hidden, want)
		}
	}
}

func FuzzValue(f *testing.F) {
	f.Add(Mark + " hunter2\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Value(text)
		if err != nil {
			return
		}
		if again, err := Value(got); again != got || err != nil {
			t.Errorf("%q becomes %q, and that %q, %v", text, got, again, err)
		}
		for _, r := range got {
			if !IsVisible(r) {
				t.Errorf("%q becomes %q", text, got)
			}
		}
	})
}
