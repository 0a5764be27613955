package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	aClientID = "3f1c9b7a5d2e4f60819273a4b5c6d7e8"
	aSecret   = "shpss_0123456789abcdef0123456789abcdef"
	aToken    = "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"
)

// minimal is an environment that has what must be set; more overrides it.
func minimal(more ...string) []string {
	return append([]string{"PATH=/bin", "HOME=/root", "SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=" + aClientID, "SHOPIFY_CLIENT_SECRET=" + aSecret}, more...)
}

func mustLoad(t *testing.T, environ []string) *Config {
	t.Helper()
	c, err := Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mistakes loads an environment that is wrong and returns one line per mistake.
func mistakes(t *testing.T, environ ...string) []string {
	t.Helper()
	c, err := Load(environ)
	if err == nil {
		t.Errorf("%q is taken as right", environ)
		return nil
	}
	if c == nil {
		t.Fatal("no Config beside the error, so nothing can be printed")
	}
	return strings.Split(err.Error(), "\n")
}

// mustSay expects one mistake that holds every part.
func mustSay(t *testing.T, got []string, parts ...string) {
	t.Helper()
	if got == nil {
		return // reported above
	}
	for _, line := range got {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return
		}
	}
	t.Errorf("no mistake says %q:\n%s", parts, strings.Join(got, "\n"))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal())
	for name, pair := range map[string][2]any{
		"shop":             {c.Shop.Domain(), "acme.myshopify.com"},
		"grant":            {c.Grant, GrantClientCredentials},
		"listen":           {fmt.Sprint(c.Listeners), "[127.0.0.1:8080]"},
		"admin":            {c.Admin.String(), "127.0.0.1:9090"},
		"unsafe":           {c.UnsafeListen, false},
		"hosts":            {len(c.AllowedHosts), 0},
		"scopes":           {len(c.Scopes), 0},
		"token wait":       {c.TokenWait, 5 * time.Second},
		"replay buffer":    {c.ReplayBuffer, Size(1 << 20)},
		"shutdown delay":   {c.ShutdownDelay, time.Duration(0)},
		"shutdown timeout": {c.ShutdownTimeout, 30 * time.Second},
		"log level":        {c.LogLevel, slog.LevelInfo},
		"log format":       {c.LogFormat, ""},
		"upstream":         {c.Base.String(), "https://acme.myshopify.com"},
		"upstream timeout": {c.UpstreamTimeout, 125 * time.Second},
		"roots":            {c.Roots == nil, true},
		"warnings":         {len(c.Warnings), 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestEverySettingIsRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		set  string
		read func(*Config) any
		want string
	}{
		{"SHOPIFY_SHOP=Other.myshopify.com", func(c *Config) any { return c.Shop }, "other.myshopify.com"},
		{"SHOPIFY_CLIENT_ID=id", func(c *Config) any { return c.ClientID }, "id"},
		{"SHOPIFY_CLIENT_SECRET=x", func(c *Config) any { return c.ClientSecret.Reveal() }, "x"},
		{"SHOPIFY_SCOPES=read_products,write_orders", func(c *Config) any { return len(c.Scopes) }, "2"},
		{"EVERGATE_GRANT=client_credentials", func(c *Config) any { return c.Grant }, "client_credentials"},
		{"EVERGATE_LISTEN=127.0.0.1:1,[::1]:2,localhost:3,unix:/run/e.sock,acme@127.0.0.1:0", func(c *Config) any { return c.Listeners },
			"[127.0.0.1:1 [::1]:2 localhost:3 unix:/run/e.sock acme@127.0.0.1:0]"},
		{"EVERGATE_UNSAFE_LISTEN=true", func(c *Config) any { return c.UnsafeListen }, "true"},
		{"EVERGATE_ADMIN_LISTEN=0.0.0.0:9091", func(c *Config) any { return c.Admin }, "0.0.0.0:9091"},
		{"EVERGATE_ALLOWED_HOSTS=a.internal,b.internal", func(c *Config) any { return c.AllowedHosts }, "[a.internal b.internal]"},
		{"EVERGATE_TOKEN_WAIT=1500ms", func(c *Config) any { return c.TokenWait }, "1.5s"},
		{"EVERGATE_REPLAY_BUFFER=64KiB", func(c *Config) any { return c.ReplayBuffer }, "64KiB"},
		{"EVERGATE_SHUTDOWN_DELAY=2s", func(c *Config) any { return c.ShutdownDelay }, "2s"},
		{"EVERGATE_SHUTDOWN_TIMEOUT=1m", func(c *Config) any { return c.ShutdownTimeout }, "1m0s"},
		{"EVERGATE_LOG_LEVEL=DEBUG", func(c *Config) any { return c.LogLevel }, "DEBUG"},
		{"EVERGATE_LOG_LEVEL=error", func(c *Config) any { return c.LogLevel }, "ERROR"},
		{"EVERGATE_LOG_FORMAT=text", func(c *Config) any { return c.LogFormat }, "text"},
		{"EVERGATE_LOG_FORMAT=json", func(c *Config) any { return c.LogFormat }, "json"},
		{"EVERGATE_UPSTREAM_URL=http://127.0.0.1:4443", func(c *Config) any { return c.Base }, "http://127.0.0.1:4443"},
		{"EVERGATE_UPSTREAM_TIMEOUT=10s", func(c *Config) any { return c.UpstreamTimeout }, "10s"},
	} {
		c, err := Load(minimal(tc.set))
		if err != nil {
			t.Errorf("%s: %v", tc.set, err)
		} else if got := fmt.Sprint(tc.read(c)); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.set, got, tc.want)
		}
	}
}

// Compose files and charts set what nobody filled in to nothing.
func TestSettingThatIsSetToNothingHasItsDefault(t *testing.T) {
	t.Parallel()
	environ := minimal()
	for _, s := range settings() {
		if !strings.HasPrefix(s.name, "SHOPIFY_") {
			environ = append(environ, s.name+"=")
		}
	}
	got, want := mustLoad(t, append(environ, "SHOPIFY_SCOPES=", "SHOPIFY_ACCESS_TOKEN=", "SHOPIFY_CLIENT_SECRET_FILE=")), mustLoad(t, minimal())
	for _, s := range settings() {
		g, w := reflect.ValueOf(got).Elem().Field(s.index).Interface(), reflect.ValueOf(want).Elem().Field(s.index).Interface()
		if fmt.Sprint(g) != fmt.Sprint(w) {
			t.Errorf("%s: %v, want the default %v", s.name, g, w)
		}
	}
}

func TestListsMayHaveSpacesAndACommaTooMany(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal("SHOPIFY_SCOPES= read_products, write_orders ,", "EVERGATE_LISTEN= 127.0.0.1:1 , [::1]:2"))
	if !slices.Equal(c.Scopes, []string{"read_products", "write_orders"}) {
		t.Errorf("scopes %q: a scope with a space in front is never granted, and is reported as missing for ever", c.Scopes)
	}
	if fmt.Sprint(c.Listeners) != "[127.0.0.1:1 [::1]:2]" {
		t.Errorf("listeners %v", c.Listeners)
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	got := mistakes(t, "SHOPIFY_SHOP=https://acme.myshopify.com/admin", "SHOPIFY_CLIENT_ID="+aToken, "SHOPIFY_CLIENT_SECRET="+aToken+"x",
		"SHOPIFY_ACCESS_TOKEN="+aSecret, "EVERGATE_GRANT=magic", "EVERGATE_LISTEN=0.0.0.0:8080", "EVERGATE_ADMIN_LISTEN=9090",
		"EVERGATE_TOKEN_WAIT=-1s", "EVERGATE_UPSTREAM_TIMEOUT=0s", "EVERGATE_SHUTDOWN_TIMEOUT=0s", "EVERGATE_SHUTDOWN_DELAY=-1s",
		"EVERGATE_REPLAY_BUFFER=lots", "EVERGATE_LOG_LEVEL=loud", "EVERGATE_LOG_FORMAT=xml", "EVERGATE_UNSAFE_LISTEN=maybe",
		"EVERGATE_UPSTREAM_URL=ftp://x", "EVERGATE_UPSTREAM_CA_FILE=/does/not/exist", "EVERGATE_POLCY=full", "EVERGATE_LISTNE=x")
	for _, parts := range [][]string{
		{"SHOPIFY_SHOP", `is a URL`, "the shop is acme.myshopify.com"},
		{"SHOPIFY_CLIENT_ID", "holds an access token"},
		{"SHOPIFY_CLIENT_SECRET", "starts with shpss_"},
		{"SHOPIFY_ACCESS_TOKEN", "SHOPIFY_CLIENT_SECRET"},
		{`EVERGATE_GRANT="magic": write client_credentials, `},
		{"EVERGATE_LISTEN", "not loopback", "EVERGATE_UNSAFE_LISTEN=true"},
		{"EVERGATE_ADMIN_LISTEN", "127.0.0.1:9090"},
		{"EVERGATE_TOKEN_WAIT", "longer than nothing"},
		{"EVERGATE_UPSTREAM_TIMEOUT", "longer than nothing"},
		{"EVERGATE_SHUTDOWN_TIMEOUT", "longer than nothing"},
		{"EVERGATE_SHUTDOWN_DELAY", "negative"},
		{"EVERGATE_REPLAY_BUFFER", `"lots"`, "1MiB"},
		{"EVERGATE_LOG_LEVEL", `"loud"`, "debug, info, warn or error"},
		{"EVERGATE_LOG_FORMAT", `"xml"`, "text or json"},
		{"EVERGATE_UNSAFE_LISTEN", `"maybe"`, "true or false"},
		{"EVERGATE_UPSTREAM_URL", "https://{shop}"},
		{"EVERGATE_UPSTREAM_CA_FILE", "/does/not/exist"},
		{"EVERGATE_POLCY is not a setting"},
		{"EVERGATE_LISTNE", "did you mean EVERGATE_LISTEN?"},
	} {
		mustSay(t, got, parts...)
	}
	if len(got) != 19 {
		t.Errorf("%d mistakes for 19:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestOneMistakeIsReportedOnce(t *testing.T) {
	t.Parallel()
	for _, set := range []string{
		"EVERGATE_TOKEN_WAIT=5", "EVERGATE_UPSTREAM_TIMEOUT=forever", "EVERGATE_SHUTDOWN_TIMEOUT=1", "EVERGATE_SHUTDOWN_DELAY=x",
		"EVERGATE_REPLAY_BUFFER=1GB", "EVERGATE_UNSAFE_LISTEN=yes", "EVERGATE_LOG_LEVEL=x", "SHOPIFY_SHOP=", "EVERGATE_GRANT=x",
		"EVERGATE_LISTEN=8080", "EVERGATE_ADMIN_LISTEN=x", "EVERGATE_UPSTREAM_URL=x", "SHOPIFY_CLIENT_ID=", "SHOPIFY_CLIENT_SECRET=",
	} {
		got := mistakes(t, minimal(set)...)
		if name, _, _ := strings.Cut(set, "="); len(got) != 1 || !strings.Contains(got[0], name) {
			t.Errorf("%s: %d mistakes:\n%s", set, len(got), strings.Join(got, "\n"))
		}
	}
}

func TestMistakesComeInTheSameOrder(t *testing.T) {
	t.Parallel()
	environ := minimal("EVERGATE_TOKEN_WAIT=0s", "EVERGATE_UPSTREAM_TIMEOUT=0s", "EVERGATE_SHUTDOWN_TIMEOUT=0s", "EVERGATE_A1=", "EVERGATE_B1=", "EVERGATE_C1=")
	want := mistakes(t, environ...)
	for range 50 {
		if got := mistakes(t, environ...); !slices.Equal(got, want) {
			t.Fatalf("first\n%s\nthen\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
	}
}

func TestAnAddressBelongsToOneListener(t *testing.T) {
	t.Parallel()
	public := []string{"EVERGATE_PUBLIC_URL=https://login.example.com"}
	for name, tc := range map[string]struct {
		environ []string
		say     string // empty: no mistake
	}{
		"tools_where_operators_call_by_default": {[]string{"EVERGATE_LISTEN=127.0.0.1:9090"}, `EVERGATE_LISTEN: the listen address "127.0.0.1:9090" is one that EVERGATE_ADMIN_LISTEN has already: give each an address of its own; EVERGATE_ADMIN_LISTEN is 127.0.0.1:9090 if it is not set`},
		"one_of_several":                        {[]string{"EVERGATE_LISTEN=127.0.0.1:8080,localhost:9090"}, `"localhost:9090" is one that EVERGATE_ADMIN_LISTEN has already`},
		"every_address":                         {[]string{"EVERGATE_LISTEN=0.0.0.0:9090", "EVERGATE_UNSAFE_LISTEN=true"}, `"0.0.0.0:9090" is one that EVERGATE_ADMIN_LISTEN has already`},
		"operators_where_tools_call":            {[]string{"EVERGATE_ADMIN_LISTEN=127.0.0.1:8080"}, `EVERGATE_LISTEN: the listen address "127.0.0.1:8080" is one that EVERGATE_ADMIN_LISTEN has already: give each an address of its own`},
		"one_socket":                            {[]string{"EVERGATE_LISTEN=unix:/run/e.sock", "EVERGATE_ADMIN_LISTEN=unix:/run/e.sock"}, `"unix:/run/e.sock" is one that EVERGATE_ADMIN_LISTEN has already`},
		"login_where_tools_call":                {append(public, "EVERGATE_LOGIN_LISTEN=127.0.0.1:8080"), `EVERGATE_LOGIN_LISTEN: the listen address "127.0.0.1:8080" is one that EVERGATE_LISTEN has already`},
		"login_where_operators_call":            {append(public, "EVERGATE_LOGIN_LISTEN=127.0.0.1:9090"), `EVERGATE_LOGIN_LISTEN: the listen address "127.0.0.1:9090" is one that EVERGATE_ADMIN_LISTEN has already`},
		"every_address_and_one":                 {[]string{"EVERGATE_LISTEN=127.0.0.1:8080,0.0.0.0:8080", "EVERGATE_UNSAFE_LISTEN=true"}, `"0.0.0.0:8080" is one that EVERGATE_LISTEN has already`},

		"localhost_and_one_of_its_addresses": {[]string{"EVERGATE_LISTEN=localhost:8080,127.0.0.1:8080"}, ""},
		"both_families":                      {[]string{"EVERGATE_LISTEN=127.0.0.1:8080", "EVERGATE_ADMIN_LISTEN=[::1]:8080"}, ""},
		"free_ports":                         {[]string{"EVERGATE_LISTEN=127.0.0.1:0,127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.say == "" {
				mustLoad(t, minimal(tc.environ...))
				return
			}
			mustSay(t, mistakes(t, minimal(tc.environ...)...), tc.say)
		})
	}
}

func TestMisspeltNamesAreRefused(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]string{
		"EVERGATE_LISTN":             "did you mean EVERGATE_LISTEN?",
		"EVERGATE_LISTENS":           "did you mean EVERGATE_LISTEN?",
		"EVERGATE_ADMIN_LISTENER":    "did you mean EVERGATE_ADMIN_LISTEN?",
		"EVERGATE_TOKENWAIT":         "did you mean EVERGATE_TOKEN_WAIT?",
		"EVERGATE_UPSTREAM_CAFILE":   "did you mean EVERGATE_UPSTREAM_CA_FILE?",
		"EVERGATE_LOGLEVEL":          "did you mean EVERGATE_LOG_LEVEL?",
		"EVERGATE_ALLOWED_HOST":      "did you mean EVERGATE_ALLOWED_HOSTS?",
		"EVERGATE_listen":            "is not a setting",
		"EVERGATE_":                  "is not a setting",
		"EVERGATE_SOMETHING_ELSE":    "`evergate config` lists them all; remove it",
		"EVERGATE_LOG_LEVEL_FILE":    "is not a setting",
		"EVERGATE_SERVICES_HOST":     "is not a setting",
		"EVERGATE_PORTS":             "is not a setting",
		"EVERGATE_SHOPIFY_CLIENT_ID": "is not a setting",
	} {
		mustSay(t, mistakes(t, minimal(name+"=1")...), name, say)
	}
}

// What is missing may be there, by the wrong name.
func TestAMisspeltNameIsToldWithTheMistakes(t *testing.T) {
	t.Parallel()
	mustSay(t, mistakes(t, "SHOPIFY_SHPO=acme", "SHOPIFY_ACCESS_TOKEN=shpat_1"), "SHOPIFY_SHPO is not a setting: did you mean SHOPIFY_SHOP?")
	mustSay(t, mistakes(t, "SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=x", "SHOPIFY_CLIENT_SECERT_FILE=/x"), "did you mean SHOPIFY_CLIENT_SECRET_FILE?")
	for _, m := range mistakes(t, minimal("SHOPIFY_SHOPS=a,b", "EVERGATE_TOKEN_WAIT=0s")...) {
		if strings.Contains(m, "SHOPIFY_SHOPS") {
			t.Errorf("what it may stand for is set: %s", m)
		}
	}
}

func TestNamesOfOthersAreNotOurBusiness(t *testing.T) {
	t.Parallel()
	mustLoad(t, minimal("EVERGATE=1", "evergate_listen=x", "MY_EVERGATE_X=1", "SHOPIFY_ANYTHING=1", "SHOPIFY_API_KEY=x", "EVERGATE_URL=http://127.0.0.1:1",
		// What Kubernetes puts into every pod beside a Service called evergate.
		"EVERGATE_PORT=tcp://10.0.0.1:8080", "EVERGATE_PORT_8080_TCP=tcp://10.0.0.1:8080", "EVERGATE_PORT_8080_TCP_PROTO=tcp",
		"EVERGATE_PORT_8080_TCP_PORT=8080", "EVERGATE_PORT_8080_TCP_ADDR=10.0.0.1", "EVERGATE_SERVICE_HOST=10.0.0.1",
		"EVERGATE_SERVICE_PORT=8080", "EVERGATE_SERVICE_PORT_HTTP=8080"))
}

// The library takes a field without a tag for one whose variable has no name.
func TestVariableWithoutANameIsNoSetting(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal("=x", "=http://elsewhere.test", ""))
	if c.Base.Host != "acme.myshopify.com" || len(c.Warnings) != 0 {
		t.Errorf("base %s, warnings %q", c.Base, c.Warnings)
	}
}

func TestParseNeedsNoCredentials(t *testing.T) {
	t.Parallel()
	c, err := Parse([]string{"EVERGATE_ADMIN_LISTEN=127.0.0.1:1"})
	if err != nil || c.AdminListen != "127.0.0.1:1" {
		t.Errorf("%v, %v", c.AdminListen, err)
	}
	if _, err := Parse([]string{"EVERGATE_ADMIN_LISTNE=127.0.0.1:1"}); err == nil {
		t.Error("a misspelt name passes")
	}
}

// The tags are the manual, so each must be there.
func TestEverySettingHasANameAndAMeaning(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range settings() {
		if !strings.HasPrefix(s.name, "SHOPIFY_") && !strings.HasPrefix(s.name, "EVERGATE_") || seen[s.name] {
			t.Errorf("%s: a bad name, or a second one", s.name)
		}
		seen[s.name] = true
		if !strings.HasSuffix(s.help, ".") || strings.ContainsAny(s.help, "|\n") {
			t.Errorf("%s: %q is no sentence that fits into a table", s.name, s.help)
		}
	}
	for name := range strings.FieldsSeq(`SHOPIFY_SHOP SHOPIFY_CLIENT_ID SHOPIFY_CLIENT_SECRET SHOPIFY_ACCESS_TOKEN SHOPIFY_SCOPES EVERGATE_GRANT
		EVERGATE_LISTEN EVERGATE_UNSAFE_LISTEN EVERGATE_ADMIN_LISTEN EVERGATE_ALLOWED_HOSTS EVERGATE_TOKEN_WAIT EVERGATE_REPLAY_BUFFER
		EVERGATE_SHUTDOWN_DELAY EVERGATE_SHUTDOWN_TIMEOUT EVERGATE_LOG_LEVEL EVERGATE_LOG_FORMAT EVERGATE_UPSTREAM_URL
		EVERGATE_UPSTREAM_CA_FILE EVERGATE_UPSTREAM_TIMEOUT`) {
		if !seen[name] {
			t.Errorf("%s is a published name and has gone", name)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "65536": 65536, "1KiB": 1024, "512KiB": 512 << 10, "1MiB": 1 << 20, "1024MiB": 1 << 30, "1048576KiB": 1 << 30,
		"1073741824": 1 << 30, "2 MiB": 2 << 20, "007": 7,
		"": -1, "-1": -1, "1.5MiB": -1, "1GiB": -1, "1MB": -1, "1k": -1, "MiB": -1, "1025MiB": -1, "1073741825": -1, "9223372036854775807MiB": -1,
		"1KiBMiB": -1, "0x10": -1, "1e3": -1, "١": -1,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); (err != nil) != (want < 0) || err == nil && int64(s) != want {
			t.Errorf("%q: %d, %v, want %d", in, s, err, want)
		}
	}
}

func TestSizeIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	for size, want := range map[Size]string{0: "0", 1: "1", 1023: "1023", 1024: "1KiB", 1536: "1536", 512 << 10: "512KiB", 1 << 20: "1MiB", 3 << 19: "1536KiB", 1 << 30: "1024MiB"} {
		var back Size
		if err := back.UnmarshalText([]byte(size.String())); err != nil || back != size || size.String() != want {
			t.Errorf("%d is written %q and read %d (%v), want %q", int64(size), size, int64(back), err, want)
		}
	}
}
