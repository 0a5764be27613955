package guard

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	type h = http.Header
	for name, c := range map[string]struct {
		header h
		code   string
	}{
		"a program":              {h{}, ""},
		"Node":                   {h{"Sec-Fetch-Mode": {"cors"}, "User-Agent": {"node"}}, ""},
		"typed address":          {h{"Sec-Fetch-Site": {"none"}}, ""},
		"own page":               {h{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://localhost:8080"}}, ""},
		"same site":              {h{"Sec-Fetch-Site": {"same-site"}}, CodeCrossSite},
		"cross site":             {h{"Sec-Fetch-Site": {"cross-site"}}, CodeCrossSite},
		"unknown site":           {h{"Sec-Fetch-Site": {"Same-Origin"}}, CodeCrossSite},
		"empty site":             {h{"Sec-Fetch-Site": {""}}, CodeCrossSite},
		"two sites":              {h{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, CodeCrossSite},
		"two equal sites":        {h{"Sec-Fetch-Site": {"none", "none"}}, CodeCrossSite},
		"cross site, own origin": {h{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://localhost:8080"}}, CodeCrossSite},
		"own origin":             {h{"Origin": {"http://localhost:8080"}}, ""},
		"null":                   {h{"Origin": {"null"}}, CodeCrossSite},
		"empty origin":           {h{"Origin": {""}}, CodeCrossSite},
		"other port":             {h{"Origin": {"http://localhost:3000"}}, CodeCrossSite},
		"no port":                {h{"Origin": {"http://localhost"}}, CodeCrossSite},
		"other scheme":           {h{"Origin": {"https://localhost:8080"}}, CodeCrossSite},
		"other name":             {h{"Origin": {"http://127.0.0.1:8080"}}, CodeCrossSite},
		"longer name":            {h{"Origin": {"http://localhost:8080.evil.example"}}, CodeCrossSite},
		"with a path":            {h{"Origin": {"http://localhost:8080/"}}, CodeCrossSite},
		"two origins":            {h{"Origin": {"http://localhost:8080", "http://localhost:8080"}}, CodeCrossSite},
		"origin list":            {h{"Origin": {"http://localhost:8080 http://evil.example"}}, CodeCrossSite},
		"no origin, cross mode":  {h{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, ""},
	} {
		r := request("localhost:8080", "/admin/shop.json")
		r.Header = c.header
		refusal := CheckOrigin(r)
		wantCode(t, name, refusal, c.code)
		if c.code != "" && refusal.Status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, refusal.Status)
		}
	}
}

func TestNoOriginEqualsAnAbsentHost(t *testing.T) {
	r := request("", "/admin/shop.json")
	r.Header.Set("Origin", "http://")
	wantCode(t, "no host", CheckOrigin(r), CodeCrossSite)
}

func TestTheOriginHasTheSchemeInUse(t *testing.T) {
	r := request("localhost:8443", "/admin/shop.json")
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Origin", "https://localhost:8443")
	wantCode(t, "https", CheckOrigin(r), "")
	r.Header.Set("Origin", "http://localhost:8443")
	wantCode(t, "http", CheckOrigin(r), CodeCrossSite)
}
