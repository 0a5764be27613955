package config

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the table into docs/reference/configuration.md")

const (
	manual     = "../../docs/reference/configuration.md"
	tableBegin = "<!-- settings:begin -->\n"
	tableEnd   = "<!-- settings:end -->"
)

func TestMarkdownIsTheTableInTheManual(t *testing.T) {
	page, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), tableBegin)
	table, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the table: it wants the lines %q and %q", manual, tableBegin, tableEnd)
	}
	var want strings.Builder
	if err := Markdown(&want); err != nil {
		t.Fatal(err)
	}
	if table == want.String() {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is not the one of the settings: go test ./internal/config -run TestMarkdown -update writes it", manual)
	}
	if err := os.WriteFile(manual, []byte(before+tableBegin+want.String()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTableHasARowForEachSetting(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := Markdown(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != len(settings())+2 || lines[0] != "| Setting | Default | Meaning |" {
		t.Fatalf("%d lines for %d settings, beginning with %q", len(lines), len(settings()), lines[0])
	}
	for i, s := range settings() {
		row := lines[i+2]
		if strings.Count(row, "|") != 4 || !strings.Contains(row, "`"+s.name+"`") || !strings.Contains(row, s.help) {
			t.Errorf("row %q", row)
		}
		if strings.Contains(row, "`"+s.name+"_FILE`") != s.hasFile() {
			t.Errorf("%s: whether it can be a file is told wrongly: %q", s.name, row)
		}
	}
}

func TestPrintShowsWhatIsInForce(t *testing.T) {
	t.Parallel()
	file := writeFile(t, aSecret)
	c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET_FILE=" + file, "SHOPIFY_ACCESS_TOKEN=" + aToken,
		"EVERGATE_GRANT=client_credentials", "EVERGATE_TOKEN_WAIT=7s", "SHOPIFY_SCOPES=read_products,write_orders", "EVERGATE_LOG_LEVEL=warn", "EVERGATE_REPLAY_BUFFER=2048", "EVERGATE_UPSTREAM_TIMEOUT=120s"})
	var b strings.Builder
	if err := Print(&b, c.Values(false), 80, false); err != nil {
		t.Fatal(err)
	}
	value := map[string][]string{}
	for line := range strings.Lines(b.String()) {
		if f := strings.Fields(line); len(f) > 1 && strings.Contains(f[0], "_") && line[0] != ' ' {
			value[f[0]] = f[1:]
		}
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 && line[0] == ' ' {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	if len(value) != len(settings()) {
		t.Errorf("%d lines for %d settings", len(value), len(settings()))
	}
	if !strings.HasPrefix(b.String(), "The shop and its app\n\nSHOPIFY_SHOP ") || !strings.Contains(b.String(), "\n\nWhere tools and operators call\n\nEVERGATE_LISTEN ") {
		t.Errorf("there are no groups:\n%s", b.String())
	}
	for name, want := range map[string]string{
		"SHOPIFY_SHOP":              "acme",
		"SHOPIFY_CLIENT_ID":         aClientID,
		"SHOPIFY_CLIENT_SECRET":     "[from " + file + "]",
		"SHOPIFY_ACCESS_TOKEN":      "[redacted]",
		"SHOPIFY_SCOPES":            "read_products,write_orders",
		"EVERGATE_GRANT":            "client_credentials default auto",
		"EVERGATE_LISTEN":           "127.0.0.1:8080 default 127.0.0.1:8080",
		"EVERGATE_UNSAFE_LISTEN":    "false default false",
		"EVERGATE_ALLOWED_HOSTS":    "-",
		"EVERGATE_TOKEN_WAIT":       "7s default 5s",
		"EVERGATE_REPLAY_BUFFER":    "2KiB default 1MiB",
		"EVERGATE_LOG_FORMAT":       "-",
		"EVERGATE_LOG_LEVEL":        "warn default info",
		"EVERGATE_UPSTREAM_TIMEOUT": "2m default 125s",
		"EVERGATE_MAX_CONNECTIONS":  "-",
	} {
		if got := strings.Join(value[name], " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if strings.Contains(b.String(), aSecret) || strings.Contains(b.String(), aToken) {
		t.Error("a secret is printed")
	}
}

func TestAValueIsWrittenAsItsDefaultIs(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET=" + aSecret, "EVERGATE_GRANT=client_credentials"})
	var changed []string
	for _, v := range c.Values(true) {
		changed = append(changed, v.Setting)
	}
	if want := "SHOPIFY_SHOP SHOPIFY_CLIENT_ID SHOPIFY_CLIENT_SECRET EVERGATE_GRANT"; strings.Join(changed, " ") != want {
		t.Errorf("%q, want %s", changed, want)
	}
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 500 * time.Millisecond: "500ms"} {
		if got := durationText(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}

func TestPrintWorksWithoutAnySetting(t *testing.T) {
	t.Parallel()
	c, err := Load(nil)
	if err == nil {
		t.Fatal("nothing is taken as right")
	}
	var b strings.Builder
	if err := Print(&b, c.Values(false), 80, false); err != nil || !strings.Contains(b.String(), "SHOPIFY_ACCESS_TOKEN") {
		t.Errorf("%v\n%s", err, &b)
	}
}

func TestAFullDiskIsReported(t *testing.T) {
	t.Parallel()
	if err := Print(fullDisk{}, (&Config{}).Values(false), 80, false); err == nil {
		t.Error("Print hides it")
	}
	if err := Markdown(fullDisk{}); err == nil {
		t.Error("Markdown hides it")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }
