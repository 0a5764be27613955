package kubernetes

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// parse reads the documents of a YAML file.
func parse(t *testing.T, text string) (documents []map[string]any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var document map[string]any
		if err := decoder.Decode(&document); err != nil {
			if errors.Is(err, io.EOF) {
				return documents
			}
			t.Fatalf("%v in:\n%s", err, text)
		}
		if document != nil {
			documents = append(documents, document)
		}
	}
}

// at walks into what was parsed; nil if there is nothing.
func at(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}

// A chart that includes the sidecar does not see Evergate's Chart.yaml, so the version of
// the image is in a template, too.
func TestTheImagesVersionIsTheCharts(t *testing.T) {
	t.Parallel()
	version := at(parse(t, read(t, chart+"/Chart.yaml"))[0], "appVersion")
	want := `{{- define "evergate.appVersion" -}}` + version.(string) + `{{- end -}}`
	if !strings.Contains(read(t, chart+"/templates/_names.tpl"), want) {
		t.Errorf("templates/_names.tpl does not have %s", want)
	}
	if dependency := at(parse(t, read(t, "testdata/app/Chart.yaml"))[0], "dependencies", 0, "version"); dependency != at(parse(t, read(t, chart+"/Chart.yaml"))[0], "version") {
		t.Errorf("testdata/app depends on %v of the chart", dependency)
	}
}

func TestTheChartCarriesTheRulesAndTheDashboard(t *testing.T) {
	t.Parallel()
	sameOrUpdate(t, chart+"/files/rules.yaml", read(t, root+"/deploy/prometheus/rules.yaml"))
	sameOrUpdate(t, chart+"/files/evergate.json", read(t, root+"/deploy/grafana/evergate.json"))
	rules := parse(t, read(t, chart+"/files/rules.yaml"))
	if len(rules) != 1 || at(rules[0], "groups", 0, "rules", 0) == nil {
		t.Error("files/rules.yaml has no rule: it has to be one document with groups")
	}
	if !json.Valid([]byte(read(t, chart+"/files/evergate.json"))) {
		t.Error("files/evergate.json is no JSON")
	}
}

// schema is the part of values.schema.json that says which names there are.
type schema struct {
	Properties           map[string]schema `json:"properties"`
	PatternProperties    map[string]schema `json:"patternProperties"`
	AdditionalProperties any               `json:"additionalProperties"`
}

// leaves are the values that a schema allows, by path, without those below an open object.
func (s schema) leaves(path string) (all []string) {
	if len(s.Properties) == 0 {
		return []string{path}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		all = append(all, s.Properties[name].leaves(strings.TrimPrefix(path+"."+name, "."))...)
	}
	return all
}

func TestTheSchemaKnowsTheValuesAndNoOthers(t *testing.T) {
	t.Parallel()
	var s schema
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{"global": true} // Helm's own
	for _, v := range documentedValues(t) {
		documented[v.path] = true
	}
	for _, leaf := range s.leaves("") {
		known := documented[leaf]
		for path := leaf; !known && strings.Contains(path, "."); {
			path = path[:strings.LastIndex(path, ".")]
			known = documented[path]
		}
		if !known {
			t.Errorf("values.schema.json knows %s, values.yaml does not", leaf)
		}
	}
	for path := range documented {
		if !s.has(strings.Split(path, ".")) {
			t.Errorf("values.yaml has %s, values.schema.json has not", path)
		}
	}
	s.closed(t, "values")
}

func (s schema) has(path []string) bool {
	if len(path) == 0 {
		return true
	}
	next, ok := s.Properties[path[0]]
	return ok && next.has(path[1:])
}

// closed reports each object that has names of its own and lets others pass.
func (s schema) closed(t *testing.T, path string) {
	if len(s.Properties) > 0 && s.AdditionalProperties != false {
		t.Errorf("%s: a misspelt name passes: set additionalProperties to false", path)
	}
	for name, next := range s.Properties {
		next.closed(t, path+"."+name)
	}
}

var (
	settingName = regexp.MustCompile(`\b(?:SHOPIFY|EVERGATE)_[A-Z][A-Z_]*[A-Z]\b`)
	documented  = regexp.MustCompile("(?m)^\\| `([A-Z_]+)`(?:, `([A-Z_]+_FILE)`)? \\|")
)

// settings are all settings of Evergate and those that can be given as a file, from the
// table that is generated from its code.
func settings(t *testing.T) (all, secret map[string]bool) {
	t.Helper()
	all, secret = map[string]bool{}, map[string]bool{}
	for _, m := range documented.FindAllStringSubmatch(read(t, root+"/docs/reference/configuration.md"), -1) {
		all[m[1]] = true
		if m[2] != "" {
			all[m[2]], secret[m[1]] = true, true
		}
	}
	if len(all) < 20 || len(secret) < 5 {
		t.Fatalf("%d settings, %d secrets: this is not the table", len(all), len(secret))
	}
	return all, secret
}

// A name below settings that Evergate does not know is refused before there is a pod. What it knows is generated, so
// that a new setting needs nothing here but `make generate`.
func TestTheChartKnowsEverySetting(t *testing.T) { // not in parallel: renders that are made anew need it
	known, _ := settings(t)
	sameOrUpdate(t, chart+"/templates/_known.tpl", "{{/* Every setting of Evergate; generated from its code. */}}\n{{- define \"evergate.knownSettings\" -}}\n"+
		strings.Join(slices.Sorted(maps.Keys(known)), " ")+"\n{{- end -}}\n")
}

// A setting that Evergate does not know ends it at once.
func TestRendersSetOnlyWhatEvergateKnows(t *testing.T) {
	t.Parallel()
	known, _ := settings(t)
	for _, name := range goldens(t) {
		for _, document := range parse(t, read(t, goldenFile(name))) {
			for _, env := range environments(document) {
				if n := env.name; (strings.HasPrefix(n, "EVERGATE_") || strings.HasPrefix(n, "SHOPIFY_")) && n != "SHOPIFY_URL" && !known[n] {
					t.Errorf("%s: %s is not a setting of Evergate", name, n)
				}
			}
		}
	}
}

type variable struct{ name, value string }

// environments are the variables of all containers of an object.
func environments(document map[string]any) (all []variable) {
	spec := podSpec(document)
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			env, _ := at(c, "env").([]any)
			for _, e := range env {
				name, _ := at(e, "name").(string)
				value, _ := at(e, "value").(string)
				all = append(all, variable{name, value})
			}
		}
	}
	return all
}

// podSpec is the spec of an object's pods; nil if it has none.
func podSpec(document map[string]any) map[string]any {
	for _, path := range [][]any{
		{"spec", "template", "spec"},
		{"spec", "jobTemplate", "spec", "template", "spec"},
	} {
		if spec, ok := at(document, path...).(map[string]any); ok {
			return spec
		}
	}
	if document["kind"] == "Pod" {
		spec, _ := document["spec"].(map[string]any)
		return spec
	}
	return nil
}

// What a person may give as a file they can give in a Secret, and nothing of it in the open.
func TestTheChartKnowsEverySecret(t *testing.T) {
	t.Parallel()
	_, secret := settings(t)
	var s schema
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &s); err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(read(t, chart+"/templates/_settings.tpl"), `{{- define "evergate.secretSettings" -}}`)
	list, _, _ = strings.Cut(list, "{{- end -}}")
	want := slices.Sorted(maps.Keys(secret))
	for what, got := range map[string][]string{
		"the schema's secrets.keys":   slices.Sorted(maps.Keys(s.Properties["secrets"].Properties["keys"].Properties)),
		"the schema's secrets.inline": slices.Sorted(maps.Keys(s.Properties["secrets"].Properties["inline"].Properties)),
		"evergate.secretSettings":     slices.Sorted(slices.Values(settingName.FindAllString(list, -1))),
	} {
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, Evergate has %q", what, got, want)
		}
	}
}
