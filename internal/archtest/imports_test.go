package archtest

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// mayImport is the matrix: for each package, the other packages of the module that it may
// import, and the modules that it may. What is not here is forbidden, a new package too.
var mayImport = map[string]struct{ ours, others []string }{
	"cmd/proxy":          {ours: []string{"access", "admin", "brief", "caller", "check", "clientenv", "clock", "config", "durable", "grant", "grantadmin", "guard", "listen", "localca", "login", "logsink", "printable", "readfile", "redact", "remedy", "shopify", "shopsim", "sidecar", "spelling", "store", "systemd", "token", "trust", "truststore"}, others: []string{"golang.org/x/sys", "golang.org/x/term"}},
	"internal/access":    {ours: []string{"caller", "listen", "policy", "reload", "remedy", "request", "token"}},
	"internal/admin":     {ours: []string{"brief", "denial", "guard", "markup", "refresh", "remedy", "request", "token"}, others: []string{"github.com/prometheus/client_golang", "github.com/prometheus/client_model"}},
	"internal/archtest":  {},
	"internal/ascii":     {},
	"internal/brief":     {},
	"internal/caller":    {ours: []string{"ascii", "denial", "plain", "reload", "remedy", "request", "shopify", "socket", "token"}, others: []string{"golang.org/x/sys"}},
	"internal/certtest":  {},
	"internal/check":     {ours: []string{"access", "limit", "listen", "localca", "netfail", "printable", "readfile", "redact", "remedy", "shopify", "token"}},
	"internal/clientenv": {ours: []string{"remedy", "shopify", "token"}, others: []string{"software.sslmate.com/src/go-pkcs12"}},
	"internal/clock":     {},
	"internal/config":    {ours: []string{"envelope", "guard", "listen", "plain", "readfile", "redact", "remedy", "resolve", "shopify", "spelling", "store", "token", "trust"}, others: []string{"github.com/caarlos0/env/v11"}},
	"internal/denial":    {ours: []string{"brief"}},
	"internal/durable":   {ours: []string{"clock", "remedy"}},
	"internal/front":     {ours: []string{"clock", "request", "socket", "wire"}},
	"internal/fleet":     {ours: []string{"clock", "token"}, others: []string{"github.com/hashicorp/golang-lru/v2", "golang.org/x/sync"}},
	"internal/footprint": {},
	"internal/grant":     {ours: []string{"netfail", "remedy", "shopify", "token"}},
	"internal/guard":     {ours: []string{"access", "ascii", "caller", "denial", "policy", "remedy", "request", "shopify", "token"}},
	"internal/inject":    {ours: []string{"ascii", "brief", "caller", "clock", "denial", "guard", "limit", "metrics", "netfail", "pace", "policy", "prefixed", "redact", "request", "shopify", "token", "tracing", "upstream", "wire"}},
	"internal/kubestore": {ours: []string{"clock", "envelope", "netfail", "plain", "readfile", "remedy", "token"}},
	"internal/limit":     {ours: []string{"clock", "remedy", "socket"}},
	"internal/listen":    {ours: []string{"ascii", "reload", "remedy", "token"}},
	"internal/localca":   {ours: []string{"brief", "durable", "remedy"}, others: []string{"github.com/hashicorp/golang-lru/v2"}},
	"internal/login":     {ours: []string{"denial", "grant", "markup", "store", "token"}},
	"internal/logsink":   {ours: []string{"brief", "printable"}},
	"internal/markup":    {},
	"internal/metrics":   {ours: []string{"shopify"}, others: []string{"github.com/prometheus/client_golang", "github.com/prometheus/client_model"}},
	"internal/netfail":   {},
	"internal/pace":      {ours: []string{"prefixed", "shopify"}, others: []string{"github.com/hashicorp/golang-lru/v2", "github.com/andybalholm/brotli", "github.com/klauspost/compress/zstd"}},
	"internal/pgstore":   {ours: []string{"clock", "envelope", "readfile", "remedy", "token"}, others: []string{"github.com/jackc/pgx/v5/pgconn"}},
	"internal/pipetest":  {},
	"internal/policy":    {ours: []string{"ascii", "caller", "denial", "plain", "reload", "remedy", "request", "shopify"}, others: []string{"github.com/vektah/gqlparser/v2"}},
	"internal/prefixed":  {},
	"internal/plain":     {ours: []string{"remedy"}},
	"internal/printable": {},
	"internal/readfile":  {ours: []string{"plain", "remedy"}},
	"internal/redact":    {},
	"internal/refresh":   {ours: []string{"clock", "remedy", "token"}, others: []string{"golang.org/x/sync"}},
	"internal/remedy":    {},
	"internal/reload":    {ours: []string{"durable", "readfile", "remedy"}},
	"internal/request":   {},
	"internal/resolve":   {ours: []string{"readfile"}, others: []string{"golang.org/x/net/dns/dnsmessage"}},
	"internal/shopify":   {ours: []string{"ascii", "netfail", "remedy", "token"}},
	"internal/shopsim":   {others: []string{"github.com/vektah/gqlparser/v2"}},
	"internal/sidecar": {ours: []string{"access", "admin", "brief", "clientenv", "clock", "config", "denial", "durable", "envelope", "fleet", "footprint", "front", "grant", "guard", "inject", "limit", "listen", "localca", "login", "logsink", "metrics", "pace", "policy", "printable", "readfile", "refresh", "reload", "remedy", "resolve", "shopify", "shopsfile", "store", "systemd", "token", "tracing", "tunnel", "upstream"},
		others: []string{"github.com/hashicorp/golang-lru/v2", "github.com/prometheus/client_golang"}},
	"internal/envelope":   {ours: []string{"remedy", "token"}},
	"internal/store":      {ours: []string{"clock", "durable", "envelope", "kubestore", "pgstore", "redisstore", "remedy", "token"}},
	"internal/shopsfile":  {ours: []string{"config", "listen", "reload", "remedy", "spelling", "token"}, others: []string{"go.yaml.in/yaml/v3"}},
	"internal/socket":     {},
	"internal/spelling":   {},
	"internal/systemd":    {},
	"internal/token":      {ours: []string{"remedy"}},
	"internal/trust":      {},
	"internal/tracing":    {ours: []string{"netfail", "readfile"}, others: []string{"google.golang.org/protobuf/encoding/protowire"}},
	"internal/truststore": {ours: []string{"readfile", "remedy"}},
	"internal/tunnel":     {ours: []string{"clock", "denial", "guard", "limit", "netfail", "request", "socket"}},
	"internal/upstream":   {ours: []string{"clock", "netfail", "remedy", "socket", "trust", "wire"}, others: []string{"golang.org/x/net/proxy", "golang.org/x/sys"}},
	"internal/wire":       {},

	"internal/grantadmin":        {ours: []string{"config", "envelope", "grant", "remedy", "shopify", "store", "token"}},
	"examples/go/products":       {}, // whoever copies it has nothing else
	"examples/simulator/go":      {}, // likewise
	"internal/denial/denialtest": {ours: []string{"denial"}},
	"internal/reload/reloadtest": {},
	"internal/redisstore":        {ours: []string{"brief", "clock", "envelope", "netfail", "pace", "plain", "readfile", "remedy", "token"}, others: []string{"github.com/redis/rueidis"}},
	"internal/store/storetest":   {ours: []string{"token"}}, // the suite that every store passes
}

// alone are the packages whose tests must not import more than they do either: the vocabulary,
// the numbers, and a simulator that would otherwise share our misreadings of the protocol.
var alone = []string{"internal/token", "internal/metrics", "internal/shopsim"}

func TestImportsFollowTheMatrix(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if strings.HasPrefix(f.dir(), "test/") || f.dir() == "test" || f.dir() == "bench" {
			continue // programs that test the binary from outside
		}
		allowed, known := mayImport[f.dir()]
		if !known {
			t.Errorf("%s: the package %s is not in the matrix: add it here and to docs/architecture.md", f.name, f.dir())
			continue
		}
		for _, target := range f.imports() {
			if target == module+"/"+f.dir() {
				continue // an example sees its package as others do
			}
			if !f.isTest() || slices.Contains(alone, f.dir()) && strings.HasPrefix(target, module+"/") {
				if !permitted(target, allowed.ours, allowed.others) {
					t.Errorf("%s must not import %s", f.name, target)
				}
			}
		}
	}
}

func permitted(target string, ours, others []string) bool {
	if rest, ok := strings.CutPrefix(target, module+"/internal/"); ok {
		return slices.Contains(ours, rest)
	}
	first, _, _ := strings.Cut(target, "/")
	if first == module || !strings.Contains(first, ".") {
		return first != module // the standard library
	}
	return slices.ContainsFunc(others, func(m string) bool { return target == m || strings.HasPrefix(target, m+"/") })
}

// A template finds methods by name, so the linker keeps every exported method of everything: 2 MiB of this binary.
// OpenTelemetry's own packages are 0.8 MiB, for what internal/tracing does in a few hundred lines; tests compare with them.
func TestWhatIsLargeIsNotLinked(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/proxy")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), module+"/internal/markup\n") {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	const find = "find who imports it with go mod why or go list -deps"
	for dep := range strings.Lines(string(out)) {
		switch dep = strings.TrimSpace(dep); dep {
		case "text/template", "html/template", "net/rpc", "golang.org/x/net/trace":
			t.Errorf("%s is linked: %s, and write pages with internal/markup", dep, find)
		}
		if strings.HasPrefix(dep, "go.opentelemetry.io/") {
			t.Errorf("%s is linked: %s, and see docs/adr/0022-spans-of-our-own.md", dep, find)
		}
	}
}

func TestNothingImportsACommand(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		for _, target := range f.imports() {
			if strings.HasPrefix(target, module+"/cmd/") {
				t.Errorf("%s imports %s", f.name, target)
			}
		}
	}
}

// What is tested in the standard library's packages and in the others' is a test's own
// choice, but a test library would be a second language.
func TestTestsUseNoTestLibrary(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		for _, target := range f.imports() {
			for _, library := range []string{"github.com/stretchr/testify", "github.com/onsi/", "gotest.tools/", "github.com/google/go-cmp"} {
				if strings.HasPrefix(target, library) {
					t.Errorf("%s imports %s: the standard library is enough", f.name, target)
				}
			}
		}
	}
}

func TestEveryPackageHasAPackageComment(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, f := range files(t) {
		name := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			name = "Command " + path.Base(f.dir()) + " "
		}
		documented[f.dir()] = documented[f.dir()] || !f.isTest() && strings.HasPrefix(f.ast.Doc.Text(), name)
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no comment that begins with Package or Command and its name", dir)
		}
	}
}
