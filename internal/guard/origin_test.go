package guard

import (
	"crypto/tls"
	"net/http"
	"testing"

	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
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
		"same site":              {h{"Sec-Fetch-Site": {"same-site"}}, denial.CodeCrossSite},
		"cross site":             {h{"Sec-Fetch-Site": {"cross-site"}}, denial.CodeCrossSite},
		"unknown site":           {h{"Sec-Fetch-Site": {"Same-Origin"}}, denial.CodeCrossSite},
		"empty site":             {h{"Sec-Fetch-Site": {""}}, denial.CodeCrossSite},
		"two sites":              {h{"Sec-Fetch-Site": {"same-origin", "cross-site"}}, denial.CodeCrossSite},
		"two equal sites":        {h{"Sec-Fetch-Site": {"none", "none"}}, denial.CodeCrossSite},
		"cross site, own origin": {h{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://localhost:8080"}}, denial.CodeCrossSite},
		"own origin":             {h{"Origin": {"http://localhost:8080"}}, ""},
		"null":                   {h{"Origin": {"null"}}, denial.CodeCrossSite},
		"empty origin":           {h{"Origin": {""}}, denial.CodeCrossSite},
		"other port":             {h{"Origin": {"http://localhost:3000"}}, denial.CodeCrossSite},
		"no port":                {h{"Origin": {"http://localhost"}}, denial.CodeCrossSite},
		"other scheme":           {h{"Origin": {"https://localhost:8080"}}, denial.CodeCrossSite},
		"other name":             {h{"Origin": {"http://127.0.0.1:8080"}}, denial.CodeCrossSite},
		"longer name":            {h{"Origin": {"http://localhost:8080.evil.example"}}, denial.CodeCrossSite},
		"with a path":            {h{"Origin": {"http://localhost:8080/"}}, denial.CodeCrossSite},
		"two origins":            {h{"Origin": {"http://localhost:8080", "http://localhost:8080"}}, denial.CodeCrossSite},
		"origin list":            {h{"Origin": {"http://localhost:8080 http://evil.example"}}, denial.CodeCrossSite},
		"no origin, cross mode":  {h{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, ""},
	} {
		r := newRequest("localhost:8080", "/admin/shop.json")
		r.Header = c.header
		err := CheckOrigin(view(r))
		denialtest.Want(t, name, err, c.code)
		if c.code != "" && denialtest.Of(t, err).Status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, denialtest.Of(t, err).Status)
		}
	}
}

func TestNoOriginEqualsAnAbsentHost(t *testing.T) {
	r := newRequest("", "/admin/shop.json")
	r.Header.Set("Origin", "http://")
	denialtest.Want(t, "no host", CheckOrigin(view(r)), denial.CodeCrossSite)
}

func TestTheOriginHasTheSchemeInUse(t *testing.T) {
	r := newRequest("localhost:8443", "/admin/shop.json")
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Origin", "https://localhost:8443")
	denialtest.Want(t, "https", CheckOrigin(view(r)), "")
	r.Header.Set("Origin", "http://localhost:8443")
	denialtest.Want(t, "http", CheckOrigin(view(r)), denial.CodeCrossSite)
}
