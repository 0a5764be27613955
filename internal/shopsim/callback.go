package shopsim

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// consent installs the app and sends the browser back with a code.
func (s *Sim) consent(q *request, z authorization) *response {
	z.shop.installed[z.app.id] = true
	value := s.state.newCode(code{grantKey: z.grantKey, scopes: z.scopes, online: z.online}, q.now)
	return s.sendBack(q, z, map[string]string{"code": value})
}

// cancel sends the browser back without one, or leaves it where it is.
func (s *Sim) cancel(q *request, z authorization) *response {
	if s.state.settings.CancelSilently {
		return htmlPage(http.StatusOK, "Installation cancelled", "Installation cancelled", "The app was not installed.")
	}
	return s.sendBack(q, z, map[string]string{
		"error": "access_denied", "error_description": "The merchant cancelled the installation",
	})
}

// sendBack redirects to the app, with a signature over all parameters: those
// that the redirect URL brought along, too, since whoever checks the signature
// cannot tell them apart. It is made with the oldest secret that is not revoked.
func (s *Sim) sendBack(q *request, z authorization, add map[string]string) *response {
	c := s.state.settings
	params := z.redirect.Query()
	host := base64.StdEncoding.EncodeToString([]byte("admin.shopify.com/store/" + strings.TrimSuffix(q.shop.domain, ".myshopify.com")))
	if !c.HostPadding {
		host = strings.TrimRight(host, "=")
	}
	params.Set("host", host)
	params.Set("shop", q.shop.domain)
	params.Set("timestamp", strconv.FormatInt(q.now.Unix(), 10))
	if z.state != "" {
		params.Set("state", z.state)
	}
	for name, value := range add {
		params.Set(name, value)
	}
	params.Del("hmac")
	params.Set("hmac", signQuery(params, z.app.secrets[0], c.SignedForm))
	target := *z.redirect
	target.RawQuery = joinQuery(params, percentEncode, percentEncode)
	resp := htmlPage(http.StatusFound, "Redirecting", "Redirecting", "")
	resp.header.Set("Location", target.String())
	resp.header.Set("Cache-Control", "no-store")
	return resp
}

// signQuery is the hmac parameter that goes with the other parameters.
func signQuery(params url.Values, secret string, form SignedForm) string {
	message := joinQuery(params, percentEncode, percentEncode)
	if form == SignedDecoded {
		message = joinQuery(params, strings.NewReplacer("%", "%25", "&", "%26", "=", "%3D").Replace,
			strings.NewReplacer("%", "%25", "&", "%26").Replace)
	}
	return hex.EncodeToString(mac(secret, message))
}

// joinQuery writes the parameters sorted by name, as name=value joined by &.
func joinQuery(params url.Values, name, value func(string) string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(params)) {
		for _, v := range params[k] {
			pairs = append(pairs, name(k)+"="+value(v))
		}
	}
	return strings.Join(pairs, "&")
}

// percentEncode writes a space as %20, which every decoder understands.
func percentEncode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
