package printable

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatATerminalObeysIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, line, lines string }{
		{"plain, and žluťoučký 店 🛒", "plain, and žluťoučký 店 🛒", "plain, and žluťoučký 店 🛒"},
		{"a\x1b[2Jb", `a\u001b[2Jb`, `a\u001b[2Jb`},
		{"a\u009b2Jb", `a\u009b2Jb`, `a\u009b2Jb`},
		{"a\x7f\bb\a\x00", `a\u007f\u0008b\u0007\u0000`, `a\u007f\u0008b\u0007\u0000`},
		{"\u202e\u2066\u200f\u061c", `\u202e\u2066\u200f\u061c`, `\u202e\u2066\u200f\u061c`},
		{"\u200b\u200d\u00ad\ufeff\U000e0041", `\u200b\u200d\u00ad\ufeff\udb40\udc41`, `\u200b\u200d\u00ad\ufeff\udb40\udc41`},
		{"a\r\nb\tc\u2028d\u00a0e", "a  b c d e", "a\\u000d\nb\tc\\u2028d\\u00a0e"},
		{"\x9b31m\xff\xc0\xafz", "\ufffd31m\ufffd\ufffd\ufffdz", "\ufffd31m\ufffd\ufffd\ufffdz"},
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd", "\ufffd\ufffd\ufffd"}, // a surrogate
	} {
		if got := Line(c.text); got != c.line {
			t.Errorf("Line(%q): %q, want %q", c.text, got, c.line)
		}
		if got := Lines(c.text); got != c.lines {
			t.Errorf("Lines(%q): %q, want %q", c.text, got, c.lines)
		}
	}
}

func TestAJSONLineKeepsItsValue(t *testing.T) {
	t.Parallel()
	want := map[string]string{"err": "a\u009b\u202e\x7f\u2066\U000e0041\x1b\r\n店", "k\u202e": "\u200b"}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := NewWriter(&out).Write(text); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err, out.String())
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%q: %q, want %q", name, got[name], want[name])
		}
	}
	mustBePrintable(t, out.String())
}

func TestATerminalGetsOurEscapesAlone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := NewTerminal(&out, "nonce")
	text := w.Escape() + "[32mgood" + w.Escape() + "[0m \x1b[31mred\x1bnonc \x1b\x1bnonce[0m\n"
	const want = "\x1b[32mgood\x1b[0m " + `\u001b[31mred\u001bnonc \u001b` + "\x1b[0m\n"
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
	if out.Reset(); NewWriter(&out).Escape() != "" {
		t.Error("a Writer without an escape has one")
	}
}

func TestCleanTextIsNotCopied(t *testing.T) {
	const text = "evergate: no answer of acme.myshopify.com: connection refused\n"
	w := NewTerminal(io.Discard, "nonce")
	line := []byte(text)
	if n := testing.AllocsPerRun(100, func() {
		if Lines(text) != text {
			t.Error("it was changed")
		}
		_, _ = w.Write(line)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAWriterPassesErrorsOn(t *testing.T) {
	t.Parallel()
	reader, to := io.Pipe()
	gone := errors.New("gone")
	_ = reader.CloseWithError(gone)
	for _, text := range []string{"plain", "a\x1bb"} {
		if n, err := NewWriter(to).Write([]byte(text)); n != 0 || !errors.Is(err, gone) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

// FuzzPrintable holds what comes out to the invariants, and the Writer to Lines, in whatever pieces it is given.
func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "plain", "a\x1b[2J\u009b\u202e\r\n\t", "\xe2\x80", "\x1bnonce[0m\x1bnon", "\xf3\xa0\x81\x81\xff", "\u2028 🛒"} {
		f.Add(seed, uint(3))
	}
	f.Fuzz(func(t *testing.T, text string, at uint) {
		line, lines := Line(text), Lines(text)
		mustBePrintable(t, line)
		if strings.ContainsAny(line, "\n\t") {
			t.Errorf("%q is not one line", line)
		}
		mustBePrintable(t, strings.NewReplacer("\n", "", "\t", "").Replace(lines))
		if Line(line) != line || Lines(lines) != lines {
			t.Errorf("%q is cleaned twice", text)
		}
		var out bytes.Buffer
		w := NewTerminal(&out, "nonce")
		cut := int(at % uint(len(text)+1))
		for _, part := range []string{text[:cut], text[cut:], "."} {
			if n, err := io.WriteString(w, part); n != len(part) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		// What Lines shows as an escape of ours is one here.
		if want := strings.ReplaceAll(Lines(text+"."), `\u001bnonce`, "\x1b"); out.String() != want && !strings.Contains(text, `\u001bnonce`) {
			t.Errorf("in two pieces %q, want %q", &out, want)
		}
	})
}

func mustBePrintable(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%q is not valid UTF-8", text)
	}
	for _, r := range text {
		if !strconv.IsPrint(r) {
			t.Errorf("%q has %U", text, r)
			return
		}
	}
}
