package config

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"evergate/internal/redact"
	"evergate/internal/token"
)

// Value is a setting with what is in force.
type Value struct {
	Setting string `json:"setting"`
	Group   string `json:"group"`
	// Value is as one would write it; empty: it has none. A secret is [redacted], or [from PATH].
	Value   string `json:"value"`
	Default string `json:"default"`
	Changed bool   `json:"changed"` // it is not the default
	Meaning string `json:"meaning"`
}

// Values are the settings in the order in which people read them, or those alone that have another value than their default.
func (c *Config) Values(changed bool) (all []Value) {
	for _, s := range settings() {
		v := Value{s.name, s.group, redact.Text(c.effective(s)), s.defaultValue, false, s.help}
		v.Changed = v.Value != v.Default
		if v.Changed || !changed {
			all = append(all, v)
		}
	}
	return all
}

// Print writes the values for people, on lines of at most width characters where words allow that; under each its
// meaning, unless brief.
func Print(w io.Writer, values []Value, width int, brief bool) error {
	name, value := 0, 0
	for _, v := range values {
		name, value = max(name, len(v.Setting)), max(value, min(len(dash(v.Value)), widestValue))
	}
	group := ""
	for _, v := range values {
		if v.Group != group {
			if group != "" {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s\n\n", v.Group)
			group = v.Group
		}
		line := fmt.Sprintf("%-*s  %-*s", name, v.Setting, value, dash(v.Value))
		if v.Default != "" {
			line += "  default " + v.Default
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
		if !brief {
			fmt.Fprintln(w, wrapped(v.Meaning, "    ", width))
		}
	}
	return nil
}

// widestValue is how far values push what stands behind them; a longer one pushes its own line alone.
const widestValue = 24

// wrapped is text on lines that begin with indent and have at most width characters, if no word is longer.
func wrapped(text, indent string, width int) string {
	var b strings.Builder
	room := 0
	for _, word := range strings.Fields(text) {
		length := utf8.RuneCountInString(word)
		if room < length+1 {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(indent)
			room = width - len(indent)
		} else {
			b.WriteByte(' ')
			room--
		}
		b.WriteString(word)
		room -= length
	}
	return b.String()
}

// effective is the value that is in force as one would write it; empty: none.
func (c *Config) effective(s setting) string {
	if path, ok := c.files[s.name]; ok {
		return "[from " + path + "]"
	}
	switch v := reflect.ValueOf(c).Elem().Field(s.index).Interface().(type) {
	case token.Secret:
		if v.Empty() {
			return ""
		}
		return v.String()
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		if d, err := time.ParseDuration(s.defaultValue); err == nil && d == v {
			return s.defaultValue
		}
		return durationText(v)
	case slog.Level:
		return strings.ToLower(v.String())
	case int:
		if v == 0 && s.defaultValue == "" {
			return ""
		}
		return strconv.Itoa(v)
	case Size:
		if v == 0 && s.defaultValue == "" {
			return ""
		}
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

// durationText is a duration as people write it: 2m, not 2m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
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
