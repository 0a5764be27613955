package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"evergate/internal/plain"
	"evergate/internal/remedy"
)

// cleanSetting is plain.Value for what is no credential.
func cleanSetting(setting, value string) (string, error) {
	value, err := plain.Value(value)
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

// cleanSecret is plain.Value for a credential. RFC 6749 (appendix A) has them of visible ASCII, and no credential of
// Shopify's has a space.
func cleanSecret(setting, value string) (string, error) {
	if err := unexpanded(setting, plain.Unmarked(value)); err != nil {
		return "", err
	}
	if isJSON(plain.Unmarked(value)) {
		return "", remedy.New("keep the value alone, without braces and names", "holds JSON")
	}
	value, err := plain.Value(value)
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
			if r == ' ' || r == utf8.RuneError || !plain.IsVisible(r) {
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
