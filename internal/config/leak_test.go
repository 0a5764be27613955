package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// everything is whatever a Config and its error can be made to print.
func everything(c *Config, err error) string {
	var b strings.Builder
	_ = Print(&b, c.Values(false), 80, false)
	fmt.Fprintf(&b, "\n%v\n%v\n%+v\n%#v\n%+v\n%q", err, c, c, c, *c, c.Warnings)
	if _, _, err := c.Client(); err != nil {
		fmt.Fprintln(&b, err)
	}
	if _, err := c.StaticToken(); err != nil {
		fmt.Fprintln(&b, err)
	}
	return b.String()
}

func TestNoSecretIsEverPrinted(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 5))
	prefixes := []string{"", "shpss_", "shpat_", "shpca_", "shprt_", "shppa_", "shptka_", "atkn_"}
	wrappings := []string{"%s", "%s\n", " %s", `"%s"`, "'%s'", `"%s`, "%s x", "\t%s\r\n\r\n"}
	mess := []string{"EVERGATE_GRANT=magic", "EVERGATE_GRANT=static", "EVERGATE_TOKEN_WAIT=x", "SHOPIFY_SHOP=www.x.example", "EVERGATE_LISTN=x", "SHOPIFY_CLIENT_ID=", "EVERGATE_LISTEN=0.0.0.0:1"}
	one := func() (secret, wrapped string) {
		secret = prefixes[rng.IntN(len(prefixes))] + fmt.Sprintf("%08x%08xMARK", rng.Uint32(), rng.Uint32())
		return secret, fmt.Sprintf(wrappings[rng.IntN(len(wrappings))], secret)
	}
	for range 150 {
		environ := minimal()
		var secrets []string
		for _, name := range []string{"SHOPIFY_CLIENT_SECRET", "SHOPIFY_ACCESS_TOKEN"} {
			secret, wrapped := one()
			secrets = append(secrets, secret)
			switch rng.IntN(5) {
			case 0:
				environ = append(environ, name+"=", name+"_FILE="+writeFile(t, wrapped))
			case 1:
				environ = append(environ, name+"="+wrapped, name+"_FILE="+writeFile(t, wrapped))
			default:
				environ = append(environ, name+"="+wrapped)
			}
		}
		for range rng.IntN(4) {
			environ = append(environ, mess[rng.IntN(len(mess))])
		}
		c, err := Load(environ)
		for _, secret := range secrets {
			if printed := everything(c, err); strings.Contains(printed, secret) {
				t.Fatalf("%q of %q is printed:\n%s", secret, environ, printed)
			}
		}
	}
}

// Shopify's credentials can be told by their prefix, so they need not be repeated where
// they do not belong either.
func TestMisplacedSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, set string }{
		{"as_client_id", "SHOPIFY_CLIENT_ID=" + aSecret},
		{"as_client_id_quoted", `SHOPIFY_CLIENT_ID="` + aSecret + `"`},
		{"as_shop", "SHOPIFY_SHOP=" + aSecret},
		{"as_path_of_the_secret", "SHOPIFY_CLIENT_SECRET_FILE=" + aSecret},
		{"as_path_of_the_id", "SHOPIFY_CLIENT_ID_FILE=" + aSecret},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"SHOPIFY_SHOP=acme", tc.set}
			c, err := Load(environ)
			if err == nil {
				t.Fatal("taken as right")
			}
			if strings.Contains(err.Error(), aSecret) {
				t.Errorf("the error repeats it: %v", err)
			}
			var b strings.Builder
			if _ = Print(&b, c.Values(false), 80, false); strings.Contains(b.String(), aSecret) {
				t.Error("`evergate config` prints it")
			}
		})
	}
}

func TestPasswordInTheUpstreamURLIsNotPrinted(t *testing.T) {
	t.Parallel()
	c, err := Load(minimal("EVERGATE_UPSTREAM_URL=https://user:pa55word@gateway"))
	if err == nil || strings.Contains(err.Error(), "pa55word") {
		t.Errorf("the error repeats it: %v", err)
	}
	var b strings.Builder
	if _ = Print(&b, c.Values(false), 80, false); strings.Contains(b.String(), "pa55word") {
		t.Error("`evergate config` prints it")
	}
}

// FuzzLoad holds Load to its promises over any environment: no panic, every mistake in a
// line of its own that names a variable, no secret in anything that can be printed.
func FuzzLoad(f *testing.F) {
	for _, seed := range [][4]string{
		{"acme", "", "", ""},
		{"https://acme.myshopify.com", "shpss_", "shpss_", "EVERGATE_LISTEN=0.0.0.0:1\nEVERGATE_ADMIN_LISTEN=x"},
		{"acme", "'", "\"", "EVERGATE_GRANT=static\nEVERGATE_TOKEN_WAIT=5\nEVERGATE_REPLAY_BUFFER=1GiB"},
		{"acme", "\n", "shprt_", "EVERGATE_LISTN=1\nEVERGATE_PORT_80_TCP=x\nEVERGATE_LOG_LEVEL=warn+2\nEVERGATE_UPSTREAM_URL=https://{shop}:1"},
		{"{shop}", "shpat_", "", "EVERGATE_UPSTREAM_URL=%zz\nEVERGATE_ALLOWED_HOSTS=,,*\nSHOPIFY_SCOPES=, ,\nEVERGATE_UNSAFE_LISTEN=1\nSHOPIFY_CLIENT_ID=x"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, shop, secretPrefix, tokenPrefix, rest string) {
		const marker = "Mark3dS3cret"
		if strings.Contains(shop+secretPrefix+tokenPrefix+rest, marker) || strings.Contains(rest, "_FILE") {
			t.Skip("the marker would be no proof, and no file outside the test is to be read")
		}
		environ := []string{"SHOPIFY_SHOP=" + shop}
		if secretPrefix != "" {
			environ = append(environ, "SHOPIFY_CLIENT_SECRET="+secretPrefix+marker+"1")
		}
		if tokenPrefix != "" {
			environ = append(environ, "SHOPIFY_ACCESS_TOKEN="+tokenPrefix+marker+"2"+tokenPrefix)
		}
		c, err := Load(append(environ, strings.Split(rest, "\n")...))
		if printed := everything(c, err); strings.Contains(printed, marker) {
			t.Fatalf("a secret is printed:\n%s", printed)
		}
		if err == nil {
			if c.Shop.IsZero() || c.Base == nil || len(c.Listeners) == 0 || c.Admin.Network == "" || c.Grant != GrantStatic && c.Grant != GrantClientCredentials {
				t.Fatalf("right, but not complete: %+v", c)
			}
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.Contains(line, "SHOPIFY_") && !strings.Contains(line, "EVERGATE_") && !strings.HasPrefix(line, "no credentials") &&
				!strings.HasPrefix(line, "the listen address") {
				t.Fatalf("the mistake %q names no variable, in\n%v", line, err)
			}
		}
	})
}
