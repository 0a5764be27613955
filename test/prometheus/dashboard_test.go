package prometheus

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what the tests read of Grafana's model.
type dashboard struct {
	UID           string
	SchemaVersion int
	Annotations   struct{ List []struct{ Expr string } }
	Templating    struct{ List []struct{ Name, Type string } }
	Panels        []panel
}

type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct {
		Expr, LegendFormat string
		Datasource         struct{ Type, UID string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 20 {
		t.Fatalf("%d panels", len(d.Panels))
	}
	return d
}

func TestDashboardIsWhatGrafanaExpects(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
	}
	if want := []string{"datasource datasource", "instance query", "shop query"}; !slices.Equal(variables, want) || d.UID == "" || d.SchemaVersion < 36 {
		t.Errorf("variables %q, uid %q, schema %d", variables, d.UID, d.SchemaVersion)
	}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	var rows []string
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: its id is not its own, or it has no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W == 0 || g.H == 0 || g.X+g.W > 24 {
			t.Errorf("%s: does not fit into the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s: no query or no unit", p.Title)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" || q.Datasource.Type != "prometheus" {
				t.Errorf("%s: asks %+v, not the chosen data source", p.Title, q.Datasource)
			}
			if !strings.Contains(q.Expr, `instance=~"$instance"`) && !strings.Contains(q.Expr, "ALERTS") {
				t.Errorf("%s: shows every instance, whatever is chosen: %s", p.Title, q.Expr)
			}
		}
	}
	if want := []string{"Now", "Tokens", "Traffic", "Latency", "Rate limits", "Errors", "Versions", "Limits", "Many shops"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

var metricName = regexp.MustCompile(`\bevergate_[a-z_]+`)

func TestDashboardShowsEveryMetricAndNoOther(t *testing.T) {
	t.Parallel()
	var published []string
	histograms := map[string]bool{}
	for line := range strings.Lines(read(t, "../../internal/metrics/testdata/metrics.golden")) {
		name, rest, _ := strings.Cut(line, "{")
		published = append(published, name)
		histograms[name] = strings.HasSuffix(strings.TrimSpace(rest), "histogram")
	}
	shown := map[string]bool{}
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			for _, name := range metricName.FindAllString(q.Expr, -1) {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base, ok := strings.CutSuffix(name, suffix); ok && histograms[base] {
						name = base
					}
				}
				shown[name] = true
				if !slices.Contains(published, name) {
					t.Errorf("%s: there is no %s", p.Title, name)
				}
			}
		}
	}
	for _, name := range published {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// chosen makes of a query what Grafana makes of it when everything is chosen.
var chosen = strings.NewReplacer("$instance", ".*", "$shop", ".*", "$__rate_interval", "20s")

// quiet are the queries that have nothing to show while all is well, by their panel, and why.
var quiet = map[string]string{
	"Refusals":                "Shopify refuses nobody: those who wait do so before they send",
	"Server errors, by route": "there are none, and a share of nothing is not drawn",
}

// look asks every query of the dashboard, with the kind of histograms that p stores. While all is
// well, those in quiet may be empty; in trouble none may be.
func (d dashboard) look(t *testing.T, p *server, trouble bool) {
	t.Helper()
	asked := 0
	ask := func(title, expr string) {
		asked++
		samples, err := p.ask(t.Context(), chosen.Replace(expr))
		if err != nil {
			t.Errorf("%s: %v", title, err)
			return
		}
		samples = slices.DeleteFunc(samples, func(s sample) bool { return math.IsNaN(s.value) })
		switch {
		case len(samples) > 0 && trouble && strings.Contains(expr, "or vector(0)") && samples[0].value <= 0:
			t.Errorf("%s: shows nothing amiss: %s", title, expr)
		case len(samples) == 0 && (trouble || quiet[title] == ""):
			t.Errorf("%s: no data for %s", title, expr)
		}
	}
	for _, one := range d.Panels {
		for i, q := range one.Targets {
			title := one.Title
			if i > 0 {
				title = fmt.Sprintf("%s (%s)", title, q.LegendFormat)
			}
			ask(title, q.Expr)
		}
	}
	if trouble {
		for _, a := range d.Annotations.List {
			ask("annotation", a.Expr)
		}
	}
	if asked < 30 {
		t.Errorf("%d queries", asked)
	}
}
