package config

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// utf16Of is text as PowerShell's > and Windows' Notepad write it.
func utf16Of(text string, bigEndian, mark bool) string {
	if mark {
		text = "\uFEFF" + text
	}
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		if bigEndian {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

// What editors, shells and here-documents add around a credential is no part of it.
func TestACredentialIsReadAsItWasMeant(t *testing.T) {
	t.Parallel()
	for _, content := range []string{
		aSecret + "\n", aSecret + "\r\n", " \t" + aSecret + "\n\n", "\uFEFF" + aSecret + "\r\n", "\n\uFEFF " + aSecret, "\uFEFF\uFEFF" + aSecret,
		aSecret + "\u00A0", "\u2028" + aSecret + "\u3000",
	} {
		c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID_FILE=" + writeFile(t, strings.ReplaceAll(content, aSecret, aClientID)),
			"SHOPIFY_CLIENT_SECRET_FILE=" + writeFile(t, content)})
		if id, secret, err := c.Client(); err != nil || id != aClientID || secret.Reveal() != aSecret {
			t.Errorf("%q: %q, %q, %v", content, id, secret.Reveal(), err)
		}
		c = mustLoad(t, minimal("SHOPIFY_CLIENT_SECRET="+content))
		if _, secret, err := c.Client(); err != nil || secret.Reveal() != aSecret {
			t.Errorf("%q: %q, %v", content, secret.Reveal(), err)
		}
	}
}

// illegibleSecrets are what a file of a secret can hold that would come back from Shopify as
// a wrong secret.
var illegibleSecrets = map[string]struct{ content, say string }{
	"utf16_le":          {utf16Of(aSecret, false, true), "is UTF-16 text"},
	"utf16_be":          {utf16Of(aSecret+"\r\n", true, true), "is UTF-16 text"},
	"utf16_le_no_mark":  {utf16Of(aSecret, false, false), "is UTF-16 text"},
	"utf16_be_no_mark":  {utf16Of(aSecret+"\n", true, false), "is UTF-16 text"},
	"nul_at_the_end":    {aSecret + "\x00", "U+0000, a NUL"},
	"nul_inside":        {aSecret[:9] + "\x00" + aSecret[9:], "U+0000, a NUL"},
	"zero_width":        {aSecret[:9] + "\u200B" + aSecret[9:], "U+200B, of no width"},
	"zero_width_last":   {aSecret + "\u200D", "U+200D"},
	"word_joiner":       {"\u2060" + aSecret, "U+2060"},
	"mark_inside":       {aSecret[:9] + "\uFEFF" + aSecret[9:], "U+FEFF"},
	"marked_json":       {"\uFEFF\uFEFF{\"secret\": 1}", "holds JSON"},
	"mark_last":         {aSecret + "\uFEFF", "U+FEFF"},
	"soft_hyphen":       {aSecret[:9] + "\u00AD" + aSecret[9:], "U+00AD"},
	"right_to_left":     {"\u202E" + aSecret, "U+202E"},
	"variation":         {aSecret + "\uFE0F", "U+FE0F"},
	"hangul_filler":     {aSecret + "\u3164", "U+3164"},
	"blank_braille":     {aSecret + "\u2800", "U+2800"},
	"tag":               {aSecret + "\U000E0041", "U+E0041"},
	"space_inside":      {aSecret[:9] + " " + aSecret[9:], "holds a space"},
	"comment":           {aSecret + " # production", "holds a space"},
	"hard_space":        {aSecret[:9] + "\u00A0" + aSecret[9:], "U+00A0, a space that does not break"},
	"tab_inside":        {aSecret[:9] + "\t" + aSecret[9:], "U+0009, a tab"},
	"escape":            {"\x1b[32m" + aSecret, "U+001B"},
	"delete":            {aSecret + "\x7f", "U+007F"},
	"two_lines":         {aSecret + "\n" + aToken + "\n", "more than one line"},
	"two_lines_of_dos":  {aSecret + "\r\n" + aToken, "more than one line"},
	"return_inside":     {aSecret[:9] + "\r" + aSecret[9:], "more than one line"},
	"line_separator":    {aSecret + "\u2028" + aToken, "U+2028"},
	"json":              {`{"client_secret":"` + aSecret + `"}`, "holds JSON"},
	"json_of_lines":     {"\uFEFF{\n  \"client_secret\": \"" + aSecret + "\"\n}\n", "holds JSON"},
	"json_list":         {`["` + aSecret + `"]`, "holds JSON"},
	"json_string":       {`"` + aSecret + `"`, "has quotation marks"},
	"quoted":            {"'" + aSecret + "'\n", "has quotation marks"},
	"marked_and_quoted": {"\uFEFF\"" + aSecret + "\"", "has quotation marks"},
	"typographic":       {"“" + aSecret + "”", "has quotation marks"},
	"backticks":         {"`" + aSecret + "`", "has quotation marks"},
	"env_file":          {"SHOPIFY_CLIENT_SECRET=" + aSecret, "holds NAME=value"},
	"exported":          {"export SHOPIFY_CLIENT_SECRET='" + aSecret + "'", "holds NAME=value"},
	"latin_1":           {aSecret + "\xe9", "not UTF-8"},
	"letter":            {aSecret + "é", "U+00E9"},
	"cyrillic":          {strings.Replace(aSecret, "a", "а", 1), "U+0430"},
}

func TestWhatNoCredentialHasIsRefusedByName(t *testing.T) {
	t.Parallel()
	for name, tc := range illegibleSecrets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, tc.content)
			for _, setting := range []string{"SHOPIFY_CLIENT_SECRET", "SHOPIFY_ACCESS_TOKEN", "SHOPIFY_REFRESH_TOKEN", "EVERGATE_STORE_KEY", "SHOPIFY_CLIENT_ID"} {
				file := setting + "_FILE=" + path
				environ := minimal(setting+"=", file, "EVERGATE_GRANT=client_credentials")
				mustRefuse(t, mistakes(t, environ...), setting, tc.say)
				if !strings.Contains(tc.content, "\x00") { // no environment can hold one
					mustRefuse(t, mistakes(t, minimal(setting+"="+tc.content, "EVERGATE_GRANT=client_credentials")...), setting, tc.say)
				}
			}
			// A file that becomes illegible later is reported when it is used.
			later := writeFile(t, aSecret)
			c := mustLoad(t, minimal("SHOPIFY_CLIENT_SECRET=", "SHOPIFY_CLIENT_SECRET_FILE="+later))
			overwrite(t, later, tc.content)
			_, secret, err := c.Client()
			if err == nil || !secret.Empty() {
				t.Fatalf("%q is used", secret.Reveal())
			}
			mustRefuse(t, []string{err.Error()}, "SHOPIFY_CLIENT_SECRET", tc.say)
		})
	}
}

// mustRefuse expects one mistake, about one setting, that repeats nothing of a credential.
func mustRefuse(t *testing.T, got []string, setting, say string) {
	t.Helper()
	if len(got) != 1 || !strings.HasPrefix(got[0], setting+" ") || !strings.Contains(got[0], say) {
		t.Errorf("%s: %q, want one mistake that says %q", setting, got, say)
	}
	if all := strings.Join(got, ""); strings.Contains(all, "0123456789abcdef") || strings.Contains(all, aToken[6:]) {
		t.Errorf("%s: the value is repeated: %q", setting, got)
	}
}

func TestEverySettingIsReadAsItWasMeant(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		value := map[string]string{
			"SHOPIFY_SHOP": "acme", "EVERGATE_LISTEN": "127.0.0.1:8080", "EVERGATE_STORE": "file:/d", "EVERGATE_PACE": "off", "EVERGATE_LOG_LEVEL": "debug",
			"EVERGATE_TOKEN_WAIT": "5s", "EVERGATE_UNSAFE_LISTEN": "true", "EVERGATE_REPLAY_BUFFER": "1MiB", "EVERGATE_UPSTREAM_URL": "https://{shop}",
		}[s.name]
		if value != "" {
			for _, around := range []string{"%\r", "%\n", "\t%", "\uFEFF%", "%\u00A0", " % "} {
				c, err := Load(minimal(s.name + "=" + strings.Replace(around, "%", value, 1)))
				if err != nil {
					t.Errorf("%s, %q: %v", s.name, around, err)
				} else if c.effective(s) != mustLoad(t, minimal(s.name+"="+value)).effective(s) {
					t.Errorf("%s, %q: %q", s.name, around, c.effective(s))
				}
			}
		}
		for _, bad := range []string{"a\rb", "a\nb", "a\tb", "a\u00A0b", "a\u200Bb", "a\u202Eb", `"a"`, "'a'", "“a”", "a\x00b", "\xff\xfea\x00"} {
			got := mistakes(t, minimal(s.name+"="+bad)...)
			if len(got) == 0 || !strings.HasPrefix(got[0], s.name+" ") {
				t.Errorf("%s=%q: %q", s.name, bad, got)
			}
		}
	}
}

func TestAPathIsReadAsItWasMeant(t *testing.T) {
	t.Parallel()
	path := writeFile(t, aSecret)
	c := mustLoad(t, minimal("SHOPIFY_CLIENT_SECRET=", "SHOPIFY_CLIENT_SECRET_FILE="+path+"\r"))
	if got := c.File("SHOPIFY_CLIENT_SECRET"); got != path {
		t.Errorf("%q", got)
	}
	mustRefuse(t, mistakes(t, minimal("SHOPIFY_CLIENT_SECRET=", `SHOPIFY_CLIENT_SECRET_FILE="`+path+`"`)...), "SHOPIFY_CLIENT_SECRET_FILE", "has quotation marks")
	mustRefuse(t, mistakes(t, minimal("SHOPIFY_CLIENT_SECRET=", "SHOPIFY_CLIENT_SECRET_FILE="+path+"\u200B")...), "SHOPIFY_CLIENT_SECRET_FILE", "U+200B")
}

// An env file that an editor saved with a byte order mark sets another variable in its first line.
func TestANameWithSomethingInvisibleInItIsSaid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"\uFEFFSHOPIFY_CLIENT_SECRET", "SHOPIFY_CLIENT_SECRET\u200B", "SHOPIFY_CLIENT_SECRET ", "\tEVERGATE_LISTEN", "EVERGATE_LISTEN\r"} {
		got := strings.Join(mistakes(t, minimal(name+"="+aSecret)...), "\n")
		if !strings.Contains(got, "cannot be seen") || strings.Contains(got, aSecret) {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func TestVisibleTextOfAnyLanguageIsASetting(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/srv/läden", "/srv/магазин", "/srv/お店", "/srv/a b", "/srv/it's"} {
		if c := mustLoad(t, minimal("EVERGATE_STORE=file:"+dir)); c.Store != "file:"+dir {
			t.Errorf("%q", c.Store)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, tc := range illegibleSecrets {
		f.Add(tc.content)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := cleanSecret("SHOPIFY_CLIENT_SECRET", text)
		if err != nil {
			if value != "" {
				t.Errorf("%q beside %v", value, err)
			}
			return
		}
		if again, err := cleanSecret("SHOPIFY_CLIENT_SECRET", value); again != value || err != nil {
			t.Errorf("%q becomes %q, then %q, %v", text, value, again, err)
		}
		for i := range len(value) {
			if value[i] <= ' ' || value[i] > '~' {
				t.Errorf("%q passes in %q", value[i], value)
			}
		}
	})
}
