package shopsfile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evergate/internal/listen"
	"evergate/internal/remedy"
)

func TestMistakes(t *testing.T) {
	t.Parallel()
	const hex = "00112233445566778899aabbccddeeff"
	for text, wants := range map[string][]string{
		"":                                     {"shops.yaml: it names no shop"},
		"# nothing\n":                          {"it names no shop"},
		"shops: {}":                            {"it names no shop"},
		"acme":                                 {"line 1: the file is no mapping"},
		"- acme":                               {"line 1: the file is no mapping"},
		head + "shop:\n  acme: {}\n":           {"line 4: the file has a key that is not known: shop: did you mean shops?"},
		head + "shops: [acme, beta]":           {"line 4: shops is no mapping: write key: value"},
		head + "shops: {acme: x}":              {"line 4: acme.myshopify.com is no mapping"},
		head + "shops:\n  acme: {clientid: 1}": {"line 5: acme.myshopify.com has a key that is not known: clientid: did you mean client_id?"},
		head + "shops:\n  acme: {client-secret-file: x}":                                        {"did you mean client_secret_file?"},
		head + "shops:\n  acme: {shpss_" + hex + ": x}":                                         {"line 5: acme.myshopify.com has a key that is not known: there are client_id"},
		head + "shops:\n  acme: {}\n  acme: {}":                                                 {"line 6: acme.myshopify.com is there twice: it is on line 5 already: keep one"},
		head + "shops:\n  acme: {}\n  ACME.myshopify.COM: {}":                                   {"line 6: acme.myshopify.com is there twice"},
		head + "shops:\n  acme: {}\n  'acme': {}":                                               {"line 6: acme.myshopify.com is there twice"},
		head + "shops:\n  single: {}":                                                           {"line 5: single.myshopify.com is the shop of SHOPIFY_SHOP already"},
		head + "shops:\n  www.acme.example: {}":                                                 {"line 5: shops: \"www.acme.example\" is not a myshopify.com domain"},
		head + "shops:\n  ? [a, b]\n  : {}":                                                     {"line 5: shops has a key that is no text"},
		head + "shops:\n  a_b: {}\n  \"a b\": {}":                                               {"line 5: ", "line 6: "},
		head + "shops:\n  acme: {grant: ofline, policy: readonly}":                              {"acme.myshopify.com: grant is none that there is: ofline: write auto, client_credentials, offline or static", "policy is none that there is: readonly: write full, read-only or none"},
		head + "shops:\n  acme: {grant: static}":                                                {"line 5: acme.myshopify.com has the grant static and no access token"},
		head + "shops:\n  acme: {access_token: shpat_1}":                                        {"has both an access token and credentials of another grant: say which to use with grant: static"},
		head + "shops:\n  acme: {client_secret: shpss_1, client_secret_file: x}":                {"has both client_secret and client_secret_file: keep one"},
		head + "shops:\n  acme: {client_secret: shpat_" + hex + "}":                             {"acme.myshopify.com: client_secret holds an access token"},
		head + "shops:\n  acme:\n    client_id:":                                                {"line 6: acme.myshopify.com: client_id is empty"},
		head + "shops:\n  acme:\n    client_id: ''":                                             {"client_id is empty"},
		head + "shops:\n  acme:\n    client_id: ~":                                              {"client_id is empty"},
		head + "shops:\n  acme:\n    client_id: [a]":                                            {"client_id is no single value"},
		head + "shops:\n  acme:\n    client_id: !vault x":                                       {"client_id has a tag"},
		head + "shops:\n  acme:\n    client_secret: ${SECRET}":                                  {"line 6: acme.myshopify.com: client_secret holds a variable or a template"},
		head + "shops:\n  acme:\n    client_secret_file: ~/x":                                   {"begins with ~"},
		head + "shops:\n  acme:\n    client_secret_file: missing":                               {"line 6: acme.myshopify.com: client_secret_file: the file cannot be read"},
		head + "shops:\n  acme:\n    client_secret_file: empty":                                 {"line 6: acme.myshopify.com: client_secret_file: ", "is empty"},
		head + "shops:\n  acme:\n    client_id: a\n    client_id: b":                            {"line 7: acme.myshopify.com has client_id twice: it is on line 6 already"},
		head + "shops:\n  acme:\n    <<: {}":                                                    {"line 6: acme.myshopify.com has a merge key"},
		head + "shops:\n  acme:\n    listen: 8081":                                              {"line 6: acme.myshopify.com: listen: the listen address \"8081\" has no host: write 127.0.0.1:8081"},
		head + "shops:\n  acme:\n    listen: beta@127.0.0.1:8081":                               {"names a shop before the @"},
		head + "shops:\n  acme:\n    listen: 0.0.0.0:8081":                                      {"acme.myshopify.com: not here: 0.0.0.0:8081"},
		head + "shops:\n  acme: {listen: '127.0.0.1:8081'}\n  beta: {listen: '127.0.0.1:8081'}": {"line 6: beta.myshopify.com: listen is 127.0.0.1:8081, which acme.myshopify.com (line 5) has already"},
		head + "shops:\n  acme: {listen: 'localhost:8081'}\n  beta: {listen: '[::1]:8081'}":     {"which acme.myshopify.com (line 5) has already"},
		head + "shops:\n  acme: {listen: '127.0.0.1:8080'}":                                     {"which EVERGATE_LISTEN has already"},
		head + "shops:\n  acme: {listen: 'localhost:8080'}":                                     {"which EVERGATE_LISTEN has already"},
		head + "shops:\n  acme: {listen: '127.0.0.1:9090'}":                                     {"which EVERGATE_ADMIN_LISTEN has already"},
		head + "shops:\n  acme: &a {listen: '127.0.0.1:8081'}\n  beta: *a":                      {"line 5: beta.myshopify.com: listen is 127.0.0.1:8081, which acme.myshopify.com (line 5) has already"},
		head + "stored: yes":                                                                    {"line 4: stored is neither true nor false"},
		head + "stored:":                                                                        {"stored is neither true nor false"},
		"stored: true":                                                                          {"line 1: stored: true has no credentials"},
		"shops: {acme: }":                                                                       {"line 1: acme.myshopify.com has no credentials"},
		"defaults: {client_id: a}\nshops: {acme: }":                                             {"line 2: acme.myshopify.com has a client_id and no client_secret"},
		"defaults: {client_secret: shpss_1}\nshops: {acme: }":                                   {"has a client_secret and no client_id"},
		"defaults: {access_token: shpat_1, listen: '127.0.0.1:1', refresh_token_file: x}\nshops: {acme: {client_id: a, client_secret: shpss_1}}": {"defaults has access_token, which belongs to one shop", "defaults has listen", "defaults has refresh_token_file"},
		head + "login: '*'\nshops: {acme: }":               {"line 4: login lets shops give a grant that would not be used: write stored: true"},
		head + "stored: true\nlogin: ['a.example.com']":    {"login has something else than names of shops"},
		head + "shops:\n\tacme: {}":                        {"line 5: the file is indented with a tab: indent with spaces"},
		head + "shops:\n  acme:\n  \tgrant: offline":       {"line 6: the file is indented with a tab"},
		head + "shops:\n  acme: {}\n---\nshops: {}":        {"a second document begins here"},
		head + "shops:\n  acme:\n    client_secret: *abc":  {"an alias (*…) of an anchor that is not there: put a value that begins with * into quotation marks"},
		head + "shops:\n  acme:\n    client_secret: \"abc": {"quotation marks that do not enclose"},
		head + "shops:\n  acme: {":                         {"the file ends a list or a mapping in a way that cannot be"},
		head + "shops:\n  acme: a: b":                      {"line 5: the file has a colon where none can be"},
		head + "shops:\n  acme: {}\n beta: {}":             {"where a key is expected"},
		head + "shops:\n  acme: {scopes: [a, [b]]}":        {"scopes is no single value"},
		"\xff\xfea\x00":          {"line 1: it holds bytes that are not UTF-8 text"},
		"shops:\n  acme\x00: {}": {"line 2: it holds bytes that are not UTF-8 text"},
		"shops:\n  acme\xff: {}": {"line 2: it holds bytes that are not UTF-8 text"},
	} {
		o := place(t, map[string]string{"empty": "\n"})
		o.Single = shopOf(t, "single")
		local, err := listen.Parse("127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		admin, _ := listen.Parse("127.0.0.1:9090")
		o.Taken = []Taken{{"EVERGATE_LISTEN", local}, {"EVERGATE_ADMIN_LISTEN", admin}}
		o.Reach = func(a listen.Address) error {
			if a.Loopback() {
				return nil
			}
			return remedy.New(a.Address, "not here")
		}
		f, err := Parse([]byte(text), o)
		if err == nil || f != nil {
			t.Errorf("%q is taken", text)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q:\n%v\nwant %s", text, err, want)
			}
		}
		for _, one := range remedy.All(err) {
			if _, do := remedy.Split(one); do == "" && !strings.Contains(err.Error(), "is empty") && !strings.Contains(err.Error(), "shops: ") {
				t.Errorf("%q: nothing says what to do: %v", text, one)
			}
			if !strings.HasPrefix(one.Error(), o.Path) {
				t.Errorf("%q: the file is not named: %v", text, one)
			}
		}
	}
}

func TestAllMistakesAreReportedAtOnceInOrder(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte("shops:\n  b: {grant: x}\n  a: {polcy: y}\n  a: {}\ndefaults: {client_id: a, client_secret: b, foo: c}\nstored: maybe\n"), Options{Path: "x"})
	var lines []string
	for _, one := range remedy.All(err) {
		place, _, _ := strings.Cut(one.Error(), ": ")
		lines = append(lines, strings.TrimPrefix(place, "x, line "))
	}
	if got := strings.Join(lines, " "); got != "2 3 4 5 6" {
		t.Errorf("%s:\n%v", got, err)
	}
}

func TestOneCauseIsNotReportedForEachOfThousands(t *testing.T) {
	t.Parallel()
	text := bytes.TrimPrefix(fleet(5000), []byte(head))
	_, err := Parse(text, Options{Path: "x"})
	if n := len(remedy.All(err)); n != mostMistakes+1 || !strings.Contains(err.Error(), "4900 more mistakes") {
		t.Errorf("%d mistakes", n)
	}
}

// A text costs what its length makes it cost, whatever is in it.
func TestHostileFilesEnd(t *testing.T) {
	t.Parallel()
	const n = 20_000
	for name, text := range map[string]string{
		"laughs":        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nshops: {acme: {scopes: *e}}\n",
		"a cycle":       "shops: &s\n  acme: *s\n",
		"another cycle": "shops:\n  acme: &a {scopes: &b [*b]}\n  beta: *a\n",
		"wide aliases":  "shops:\n  acme: &a {" + strings.Repeat("x,", n) + "}\n" + manyShops(n, "*a"),
		"long lists":    head + "shops:\n  acme: &a {scopes: [" + strings.Repeat("x,", n) + "]}\n" + manyShops(n, "*a"),
		"lists":         strings.Repeat("[", n),
		"mappings":      strings.Repeat("{a: ", n),
		"dashes":        strings.Repeat("- ", n),
		"questions":     strings.Repeat("? ", n),
		"anchors":       strings.Repeat("&a ", n),
		"colons":        strings.Repeat("a: ", n),
		"comments":      strings.Repeat("# x\n", n) + "shops: {}",
		"a long key":    head + "shops: {" + strings.Repeat("a", 1<<20) + ": {}}",
		"long key":      strings.Repeat("a", 1<<20) + ": {}",
		"too many":      strings.Repeat("a,", mostNodes),
		"too large":     strings.Repeat("a", Largest+1),
	} {
		if _, err := Parse([]byte(text), Options{Path: "x"}); err == nil {
			t.Errorf("%s: taken", name)
		} else if len(err.Error()) > 64<<10 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func manyShops(n int, value string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("  s" + strings.Repeat("a", i%7) + string(rune('a'+i%26)) + ": " + value + "\n")
	}
	return b.String()
}

func TestNoErrorRepeatsACredential(t *testing.T) {
	t.Parallel()
	const mark = "MARKc0ffee"
	for _, value := range []string{mark, "shpss_" + mark, "*" + mark, "&" + mark, "!" + mark + " x", `"` + mark, "'" + mark, "[" + mark, "{" + mark, "@" + mark, "`" + mark, "%" + mark, mark + ": x", "\t" + mark, "|" + mark, ">\n" + mark, mark + " " + mark, "\"\\" + mark + "\"", "${" + mark + "}", "- " + mark, "? " + mark, "/run/" + mark} {
		for _, key := range []string{"client_secret", "access_token", "refresh_token", "client_secret_previous", "client_id", "grant", "policy", "scopes", "unknown1", mark} {
			for _, around := range []string{"shops: {acme: }\ndefaults:\n  %k: %v\n", "shops:\n  acme:\n    %k: %v\n", "%k: %v\n", "shops:\n  acme: {%k: %v}\n", "shops:\n acme:\n%k: %v\n  x"} {
				text := strings.NewReplacer("%k", key, "%v", value).Replace(around)
				if _, err := Parse([]byte(text), Options{Path: "x"}); err != nil && strings.Contains(err.Error(), mark) {
					t.Errorf("%q:\n%v", text, err)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{contract, head + "shops: {acme: }", head + "stored: true\nlogin: [a*]", "shops: {a: &a {listen: 'localhost:1'}, b: *a}", "\t", "a: *b", "? [x]\n: y", "!!binary x: y", "%YAML 1.1\n---\na"} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	for _, name := range []string{"app", "gamma"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("shpss_1"), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text, Options{Path: filepath.Join(dir, "shops.yaml")})
		if (file == nil) != (err != nil) {
			t.Fatalf("%v %v", file, err)
		}
		if err != nil {
			return
		}
		for i, s := range file.Shops {
			if s.Name.IsZero() || s.Grant == "" || i > 0 && file.Shops[i-1].Name.Handle() >= s.Name.Handle() {
				t.Errorf("the shop %v %+v", s.Name, s.Settings)
			}
			if got, ok := file.Shop(s.Name); !ok || got.Settings != s.Settings {
				t.Errorf("%v is not found", s.Name)
			}
			file.MayLogin(s.Name)
		}
		if len(file.Shops) == 0 && !file.Stored {
			t.Error("there is no shop")
		}
	})
}
