package kubernetes

import (
	"fmt"
	"strings"
	"testing"
)

// documentedValue is a line of values.yaml with the comment above it.
type documentedValue struct{ section, path, standard, meaning string }

// documentedValues reads values.yaml as a person does: a comment is about the line below it, "# ##"
// begins a section, and what has something behind its colon is a value.
func documentedValues(t *testing.T) (all []documentedValue) {
	t.Helper()
	var section string
	var comment, parents []string
	for line := range strings.Lines(read(t, chart+"/values.yaml")) {
		line = strings.TrimRight(line, "\n")
		text := strings.TrimLeft(line, " ")
		switch depth := (len(line) - len(text)) / 2; {
		case strings.HasPrefix(text, "# ## "):
			section = strings.TrimPrefix(text, "# ## ")
		case strings.HasPrefix(text, "# "):
			comment = append(comment, text[2:])
		case text == "":
			comment = nil
		default:
			name, value, ok := strings.Cut(text, ":")
			if !ok || depth > len(parents) {
				t.Fatalf("values.yaml: %q is neither a comment nor a value: write lists and maps in one line", line)
			}
			parents = append(parents[:depth], name)
			if value = strings.TrimSpace(value); value != "" {
				all = append(all, documentedValue{section, strings.Join(parents, "."), value, strings.Join(comment, " ")})
			}
			comment = nil
		}
	}
	if len(all) < 50 {
		t.Fatalf("%d values: this is not values.yaml", len(all))
	}
	return all
}

const valuesBegin, valuesEnd = "<!-- values:begin -->\n", "<!-- values:end -->"

func TestTheReadmeIsGeneratedFromTheValues(t *testing.T) {
	t.Parallel()
	const path = chart + "/README.md"
	page := read(t, path)
	before, rest, begins := strings.Cut(page, valuesBegin)
	_, after, ends := strings.Cut(rest, valuesEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks %s or %s", path, valuesBegin, valuesEnd)
	}
	var table strings.Builder
	section := ""
	for _, v := range documentedValues(t) {
		if v.meaning == "" {
			t.Errorf("values.yaml: %s has no comment", v.path)
		}
		if v.section != section {
			section = v.section
			fmt.Fprintf(&table, "\n### %s\n\n| Value | Default | Meaning |\n|---|---|---|\n", section)
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", v.path, v.standard, v.meaning)
	}
	table.WriteString("\n")
	sameOrUpdate(t, path, before+valuesBegin+table.String()+valuesEnd+after)
}
