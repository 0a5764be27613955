package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"evergate/internal/remedy"
)

// bom is what some editors and PowerShell put before a text in UTF-8.
const bom = "\uFEFF"

// clean returns the value of a setting as it was meant: without a byte order mark and the white space
// around it, which files, here-documents and editors add. What nobody can see and no setting
// has is refused, because it would reach Shopify, or become part of a file's name, as it is. The error
// goes behind the name of the setting and repeats nothing of the value.
func clean(value string) (string, error) {
	if isUTF16(value) {
		return "", remedy.New("save it as UTF-8, without a byte order mark", "is UTF-16 text")
	}
	value = unmarked(value)
	for i, r := range value {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(value[i:], "\uFFFD"):
			return "", remedy.New("save it as UTF-8", "holds bytes that are not UTF-8")
		case r == '\n' || r == '\r':
			return "", remedy.New("keep the value alone", "holds more than one line")
		case !isVisible(r):
			return "", remedy.New("type it anew", "holds a character that cannot be seen (%U%s)", r, nameOf(r))
		}
	}
	if isQuoted(value) {
		return "", remedy.New("remove them", "has quotation marks around it, which are taken as part of the value")
	}
	return value, nil
}

// unmarked takes byte order marks and white space off; two files put together have two marks.
func unmarked(value string) string {
	value = strings.TrimSpace(value)
	for strings.HasPrefix(value, bom) {
		value = strings.TrimSpace(value[len(bom):])
	}
	return value
}

// cleanSetting is clean for what is no credential.
func cleanSetting(setting, value string) (string, error) {
	value, err := clean(value)
	if err == nil {
		err = unexpanded(setting, value)
	}
	if err == nil {
		err = wrongPath(setting, value)
	}
	if err != nil {
		return "", err
	}
	return value, nil
}

// cleanSecret is clean for a credential. RFC 6749 (appendix A) has them of visible ASCII, and no credential of
// Shopify's has a space.
func cleanSecret(setting, value string) (string, error) {
	if err := unexpanded(setting, unmarked(value)); err != nil {
		return "", err
	}
	if isJSON(unmarked(value)) {
		return "", remedy.New("keep the value alone, without braces and names", "holds JSON")
	}
	value, err := clean(value)
	if err != nil {
		return "", err
	}
	if err := standIn(setting, value); err != nil {
		return "", err
	}
	for _, r := range value {
		switch {
		case r == ' ':
			return "", remedy.New("keep the value alone", "holds a space, which no credential has")
		case r > unicode.MaxASCII:
			return "", remedy.New("copy it again from where it is shown", "holds a character that no credential has (%U)", r)
		}
	}
	return value, nil
}

// isUTF16 knows text in UTF-16 by its byte order mark, and without one by the NUL beside each ASCII letter.
func isUTF16(s string) bool {
	if strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff") {
		return true
	}
	nul := strings.Count(s, "\x00")
	return nul > 0 && nul >= len(s)/2-1 && len(s) >= 4
}

// isVisible reports whether a character shows itself, or is the space.
func isVisible(r rune) bool {
	switch {
	case r == ' ':
		return true
	case !strconv.IsPrint(r): // controls, formats such as those of direction, other spaces
		return false
	}
	return !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !unicode.Is(unicode.Variation_Selector, r) && r != '\u2800'
}

// nameOf names the characters that people meet, for those who do not know them by their numbers.
func nameOf(r rune) string {
	switch r {
	case 0:
		return ", a NUL"
	case '\t':
		return ", a tab"
	case '\u00A0', '\u202F':
		return ", a space that does not break"
	case '\u00AD':
		return ", a soft hyphen"
	case '\u200B', '\u200C', '\u200D', '\u2060', '\uFEFF':
		return ", of no width"
	}
	return ""
}

// isQuoted finds quotation marks that an env file, a YAML file or a text editor left around a value.
func isQuoted(value string) bool {
	first, n := utf8.DecodeRuneInString(value)
	last, m := utf8.DecodeLastRuneInString(value)
	if len(value) < n+m {
		return false
	}
	switch first {
	case '"', '\'', '`':
		return last == first
	case '“', '”', '„', '‟':
		return strings.ContainsRune(`“”"`, last)
	case '‘', '’', '‚', '‛':
		return strings.ContainsRune(`‘’'`, last)
	case '«':
		return last == '»'
	}
	return false
}

func isJSON(value string) bool {
	return strings.HasPrefix(value, "{") || strings.HasPrefix(value, "[") && json.Valid([]byte(value))
}

// refused is what stands for a value that cannot be read, so that its setting does not count as missing as well. It is never used: the
// settings as a whole are refused.
func refused(name string) string {
	if !strings.HasPrefix(name, "SHOPIFY_") || name == "SHOPIFY_SCOPES" {
		return "" // the default
	}
	return "refused-" + strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// cleanValues cleans the settings and the paths of those that are files, and reports each that cannot be read.
func cleanValues(vars map[string]string) (errs []error) {
	for _, s := range settings() {
		read := cleanSetting
		if s.hasFile() {
			read = cleanSecret
			path, err := cleanSetting(s.name+"_FILE", vars[s.name+"_FILE"])
			if err != nil {
				errs = append(errs, named(s.name+"_FILE", err))
				vars[s.name], path = refused(s.name), ""
			}
			replace(vars, s.name+"_FILE", path)
		}
		value, err := read(s.name, vars[s.name])
		if err != nil {
			errs = append(errs, named(s.name, err))
			value = refused(s.name)
		}
		replace(vars, s.name, value)
	}
	return errs
}

// replace sets what is set already.
func replace(vars map[string]string, name, value string) {
	if _, set := vars[name]; set || value != "" {
		vars[name] = value
	}
}

// named says which setting an error is about.
func named(name string, err error) error { return fmt.Errorf("%s %w", name, err) }

// hiddenNames refuses variables whose name looks like a setting's and is another: a byte order mark at the
// beginning of an env file becomes part of its first name.
func hiddenNames(vars map[string]string) (errs []error) {
	for name := range vars {
		plain := strings.Map(func(r rune) rune {
			if r == ' ' || r == utf8.RuneError || !isVisible(r) {
				return -1
			}
			return r
		}, name)
		if plain != name && known(plain) {
			errs = append(errs, remedy.New("type the name anew, or save the file without the mark",
				"a variable looks like %s and has a character in its name that cannot be seen, such as the byte order mark of an env file", plain))
		}
	}
	return errs
}

// CleanSecret reads a credential that comes in another way than as a setting, by the same rules. Its error goes
// behind a word for it and repeats nothing of it.
func CleanSecret(value string) (string, error) { return cleanSecret("", value) }

// CleanPath reads the path of a file that comes in another way than as a setting, by the same rules. Its error goes behind a
// word for it.
func CleanPath(value string) (string, error) { return cleanSetting("_FILE", value) }
