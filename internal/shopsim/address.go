package shopsim

import (
	"net/url"
	"slices"
	"strings"
)

// Address is the path and query of the request as they can be shown: without credentials, which do not belong there
// and are put there all the same, and in printable ASCII.
func (e Entry) Address() string {
	path, query, asked := strings.Cut(e.RequestURI, "?")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if isCredential(url.PathUnescape(s)) {
			segments[i] = hidden
		}
	}
	out := strings.Join(segments, "/")
	if asked {
		parameters := strings.Split(query, "&")
		for i, p := range parameters {
			name, value, _ := strings.Cut(p, "=")
			if isSecretName(url.QueryUnescape(name)) || isCredential(url.QueryUnescape(value)) {
				parameters[i] = name + "=" + hidden
			}
			if isCredential(url.QueryUnescape(name)) {
				parameters[i] = hidden
			}
		}
		out += "?" + strings.Join(parameters, "&")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, out)
}

const hidden = "[hidden]"

// isCredential knows credentials by how they begin, or by being 32 hexadecimal digits. What cannot be read may be one.
func isCredential(text string, err error) bool {
	if err != nil {
		return true
	}
	return hasTokenPrefix(text) || len(text) == 32 && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}

// hasTokenPrefix knows Shopify's tokens and secrets by how they begin.
func hasTokenPrefix(text string) bool {
	text = strings.ToLower(text)
	for _, prefix := range []string{"shpat_", "shpca_", "shppa_", "shpua_", "shprt_", "shpss_", "shptka_", "atkn_"} {
		if strings.Contains(text, prefix) {
			return true
		}
	}
	return false
}

// isSecretName knows the parameters that carry credentials, wherever they are sent.
func isSecretName(name string, err error) bool {
	return err != nil || slices.ContainsFunc([]string{"token", "secret", "code", "hmac", "password"}, func(part string) bool {
		return strings.Contains(strings.ToLower(name), part)
	})
}
