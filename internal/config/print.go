package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"

	"evergate/internal/token"
)

// Print writes every setting with its default, its effective value (secrets redacted)
// and its meaning.
func (c *Config) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SETTING\tVALUE\tDEFAULT\tMEANING")
	for _, s := range settings() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.name, scrub(c.effective(s)), dash(s.defaultValue), s.help)
	}
	return t.Flush()
}

func (c *Config) effective(s setting) string {
	if path, ok := c.files[s.name]; ok {
		return "[from " + path + "]"
	}
	switch v := reflect.ValueOf(c).Elem().Field(s.index).Interface().(type) {
	case token.Secret:
		if v.Empty() {
			return "-"
		}
		return v.String()
	case []string:
		return dash(strings.Join(v, ","))
	default:
		return dash(fmt.Sprint(v))
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Markdown writes the table of docs/reference/configuration.md.
func Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| Setting | Default | Meaning |\n|---|---|---|\n")
	for _, s := range settings() {
		name, def := "`"+s.name+"`", "–"
		if s.hasFile() {
			name += ", `" + s.name + "_FILE`"
		}
		if s.defaultValue != "" {
			def = "`" + s.defaultValue + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, def, s.help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
